"""Files in this process's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver
    from remote_store.drivers.options import Options


def make(options: Options, asynchronous: bool) -> Driver:
    """A driver over a tree of its own."""
    from remote_store.drivers.memory.driver import MemoryDriver
    from remote_store.drivers.memory.tree import private_filesystem

    return MemoryDriver(private_filesystem())
