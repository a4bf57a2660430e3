"""Files that block, as readers and writers of coroutines: right here, or in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *args: Any, **options: Any) -> T:
    """Run blocking work in the default executor."""
    return await asyncio.to_thread(_no_stop_iteration, work, *args, **options)


def _no_stop_iteration(work: Callable[..., T], *args: Any, **options: Any) -> T:
    try:
        return work(*args, **options)
    except StopIteration as error:  # A future refuses it, and its caller would wait for ever.
        raise RuntimeError("a backend raised StopIteration") from error


class BlockingFile:
    """A reader, and a writer, over a blocking file, in the caller's thread."""

    def __init__(self, file: Any) -> None:
        self._file = file

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        """Run work that uses the file."""
        return work(*args)

    async def read(self, size: int) -> bytes:
        data: bytes = await self.call(self._file.read, size)
        return data

    async def write(self, data: bytes) -> int:
        count: int = await self.call(self._file.write, data)
        return count

    async def seek(self, offset: int, whence: int) -> int:
        position: int = await self.call(self._file.seek, offset, whence)
        return position

    async def truncate(self, size: int) -> int:
        length: int = await self.call(self._file.truncate, size)
        return length

    async def close(self) -> None:
        await self.call(self._file.close)


class ThreadFile(BlockingFile):
    """The same, each call in a thread, one at a time.

    (A call whose caller was cancelled may still be on its way when the file is closed.)
    """

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._lock = threading.Lock()

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        return await in_thread(self._locked, work, *args)

    def _locked(self, work: Callable[..., T], *args: Any) -> T:
        with self._lock:
            return work(*args)
