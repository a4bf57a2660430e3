"""Which driver speaks to which fsspec filesystem."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from remote_store.drivers.base import Driver
from remote_store.drivers.names import backend_name, protocols_of

GROUP = "remote_store.drivers"
"""Entry points of this group add drivers: the name is an fsspec protocol, the value a factory
`(fs, root, name) -> Driver`."""


def driver_for(fs: Any, root: str, name: str | None = None) -> Driver:
    """The driver of an fsspec filesystem: built in, registered by an entry point, or the generic one.

    Args:
        fs: the filesystem.
        root: folder of it that is the root, as the filesystem spells it.
        name: of the backend; unless given, that of its kind, else the protocol its class names first.
    """
    # Exactly these classes: a subclass, or a wrapper of the same protocol, may do things differently.
    if type(fs) is MemoryFileSystem:
        from remote_store.drivers.memory.driver import MemoryDriver

        return MemoryDriver(fs, root, name or "memory")
    if type(fs) is LocalFileSystem and os.name == "posix":
        from remote_store.drivers.local.driver import LocalDriver

        return LocalDriver(root or "/", name=name or "local")
    if (type(fs).__module__, type(fs).__name__) == ("s3fs.core", "S3FileSystem") and root.strip("/"):
        from remote_store.drivers.s3.driver import S3Driver

        return S3Driver(fs, *root.strip("/").split("/", 1), name=name or "s3")
    protocols = protocols_of(fs)
    name = name or backend_name(protocols[0])
    for protocol in protocols:
        if protocol in _registered():
            driver: Driver = _registered()[protocol].load()(fs, root, name)
            return driver
    from remote_store.drivers.generic.driver import GenericDriver

    return GenericDriver(fs, root, name)


@cache
def _registered() -> dict[str, Any]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
