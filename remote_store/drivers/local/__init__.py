"""Files on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver
    from remote_store.drivers.local.options import LocalOptions


def make(options: LocalOptions, asynchronous: bool) -> Driver:
    """A driver of a folder."""
    if os.name != "posix":
        raise NotImplementedError("LocalBackend needs POSIX; FsspecBackend(LocalFileSystem(), root) promises less")
    from remote_store.drivers.local.driver import LocalDriver

    return LocalDriver(os.fspath(options.root), create=options.create, durable=options.durable)


def over(fs: Any, root: str, name: str) -> Driver | None:
    """A driver over a filesystem of fsspec; None where it needs POSIX."""
    if os.name != "posix":
        return None
    from remote_store.drivers.local.driver import LocalDriver

    return LocalDriver(root or "/", name=name)
