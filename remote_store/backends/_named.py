"""Backends by name."""

from __future__ import annotations

import os
import pickle
from typing import Any, NoReturn

from remote_store.backends._fsspec import DriverBackend
from remote_store.drivers.base import Driver
from remote_store.drivers.profiles import LOCAL, MEMORY


class LocalBackend(DriverBackend):
    """Files in a folder of this machine (POSIX).

    Every write goes through a temporary file in the target folder and is published in one step, so nothing is lost
    or half written; nothing, links included, leads out of the root. User metadata is kept in extended attributes
    where the file system has them. Names that begin with `.~rs-` are reserved for temporary files.

    Args:
        root: folder that is the root; links to it are followed once, now.
        create: make it, and the folders above it, if it is missing.
        durable: on every write, move and delete wait until the disk has it (fsync of file and folder).

    Raises:
        PermissionDenied: the root cannot be created.
        InvalidPath: the root is not a folder.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import LocalBackend
        >>> store = Store(LocalBackend("data"))  # doctest: +SKIP
    """

    CAPABILITIES = LOCAL.capabilities

    def __init__(self, root: str | os.PathLike[str], *, create: bool = True, durable: bool = False) -> None:
        if os.name != "posix":
            raise NotImplementedError("LocalBackend needs POSIX; FsspecBackend(LocalFileSystem(), root) promises less")
        path = os.path.abspath(os.path.expanduser(os.fspath(root)))
        self._arguments: tuple[tuple[str], dict[str, Any]] = (path,), {"create": create, "durable": durable}
        self._driver  # noqa: B018 (a root that cannot be used is told now)

    @property
    def _recipe(self) -> tuple[tuple[str], dict[str, Any]]:
        return self._arguments

    def _make_driver(self) -> Driver:
        from remote_store.drivers.local import LocalDriver

        (path,), options = self._arguments
        return LocalDriver(path, **options)


class MemoryBackend(DriverBackend):
    """Files in this process's memory, in a tree of its own; gone with the backend.

    `Store.from_url("memory://…")` gives the tree that the whole process, fsspec included, shares.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import MemoryBackend
        >>> store = Store(MemoryBackend())
    """

    CAPABILITIES = MEMORY.capabilities

    def __init__(self) -> None:
        self._driver  # noqa: B018

    def _make_driver(self) -> Driver:
        return private_memory()

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


def private_memory() -> Driver:
    """A driver over a tree of its own."""
    from remote_store.drivers.memory import MemoryDriver, private_filesystem

    return MemoryDriver(private_filesystem())


def refuse_pickling() -> NoReturn:
    """Memory cannot be taken to another process."""
    raise pickle.PicklingError(
        "a MemoryBackend lives in one process and cannot be pickled; use a file:// or other URL to share files"
    )
