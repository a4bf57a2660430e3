"""Files that block, as readers and writers of coroutines: in threads, or right here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import IO, Any, TypeVar

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

    async def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        return data

    async def write(self, data: bytes) -> int:
        count: int = self._file.write(data)
        return count

    async def seek(self, offset: int, whence: int) -> int:
        position: int = self._file.seek(offset, whence)
        return position

    async def truncate(self, size: int) -> int:
        length: int = self._file.truncate(size)
        return length

    async def close(self) -> None:
        self._file.close()


class ThreadReader:
    """A reader over a blocking file, each call in a thread, one at a time.

    (A call whose caller was cancelled may still be on its way when the file is closed.)
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()

    async def read(self, size: int) -> bytes:
        return await self.call(self._file.read, size)

    async def seek(self, offset: int, whence: int) -> int:
        return await self.call(self._file.seek, offset, whence)

    async def close(self) -> None:
        await self.call(self._file.close)

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        """Run work that uses the file in a thread, while no other call does."""
        return await in_thread(self._locked, work, *args)

    def _locked(self, call: Callable[..., T], *args: Any) -> T:
        with self._lock:
            return call(*args)


class ThreadFile(ThreadReader):
    """A file that is written as well."""

    async def write(self, data: bytes) -> int:
        return await self.call(self._file.write, data)

    async def truncate(self, size: int) -> int:
        return await self.call(self._file.truncate, size)
