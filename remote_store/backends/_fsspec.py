"""Any fsspec filesystem as a backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO

from remote_store._backend import Backend
from remote_store._capabilities import Capability
from remote_store._streams import AtomicFile, read_stream
from remote_store.backends._engine import EngineBackend
from remote_store.drivers.base import Driver
from remote_store.drivers.profiles import GENERIC
from remote_store.drivers.registry import driver_for
from remote_store.engine.run import Inline, OnLoop


class DriverBackend(EngineBackend, Backend):
    """A synchronous backend over a driver."""

    @cached_property
    def _run(self) -> Inline:
        return OnLoop(self._driver.fs.loop) if self._driver.runs == "native" else Inline()

    def read(self, path: str) -> BinaryIO:
        reader = self._run(self._engine.open_read(self._file(path)))
        try:
            return read_stream(reader, self._run, Capability.SEEKABLE_READ in self.capabilities)
        except BaseException:
            self._run(reader.close())
            raise

    @contextmanager
    def open_atomic(self, path: str, *, overwrite: bool = False, **options: Any) -> Iterator[AtomicFile]:
        file = AtomicFile(self._open_upload(path, overwrite, **options), self._run)
        try:
            yield file
            file.commit()
        except BaseException:
            file.abort()
            raise

    def close(self) -> None:
        self._run(self._driver.close())


class FsspecBackend(DriverBackend):
    """A backend over an fsspec filesystem that you made yourself.

    A filesystem of a known kind gets its driver; any other gets the generic one, which trusts it with nothing.

    Args:
        fs: an fsspec filesystem; not one made with `asynchronous=True`.
        root: folder of it that is the root, as the filesystem spells it.

    Example:
        >>> import fsspec
        >>> from remote_store import FsspecBackend, Store
        >>> store = Store(FsspecBackend(fsspec.filesystem("memory"), "/reports"))
    """

    CAPABILITIES = GENERIC.capabilities

    def __init__(self, fs: Any, root: str = "", *, name: str | None = None) -> None:
        if getattr(fs, "asynchronous", False):
            raise ValueError("a filesystem made with asynchronous=True needs AsyncFsspecBackend and AsyncStore")
        self._recipe = (fs, root), {"name": name}
        self._fs, self._root, self._name = fs, root, name
        self._driver  # noqa: B018 (a filesystem that cannot be served is told now)
        self._watch_fork()

    def _make_driver(self) -> Driver:
        root = self._fs._strip_protocol(self._root) if self._root else ""
        return driver_for(self._fs, root, self._name)
