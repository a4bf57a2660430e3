"""Streams of a range of a file, over streams of all of it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from functools import wraps
from typing import Any, BinaryIO

from remote_store._errors import NotFound, etag_differs
from remote_store._paths import check_range
from remote_store.io.blocking import BlockingFile
from remote_store.io.content import PART
from remote_store.io.streams import Here, Reader, before_start, read_stream, run_to_end


async def skip(reader: Reader, count: int) -> None:
    """Read `count` bytes, or to the end if that comes first."""
    while count and (data := await reader.read(min(count, PART))):
        count -= len(data)


async def whole(reader: Reader) -> bytes:
    """All that a reader has left; closes it."""
    pieces = []
    try:
        while piece := await reader.read(PART):
            pieces.append(piece)
    finally:
        await reader.close()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class RangeReader:
    """The bytes `[start, end)` of what another reader reads, which is at `start` now."""

    def __init__(self, reader: Reader, start: int, end: int | None) -> None:
        self._reader = reader
        self._start, self._end = start, end
        self._at = start

    async def read(self, size: int) -> bytes:
        if self._end is not None:
            size = min(size, self._end - self._at)
        data = await self._reader.read(size) if size > 0 else b""
        self._at += len(data)
        return data

    async def seek(self, offset: int, whence: int) -> int:
        base = self._at if whence == io.SEEK_CUR else self._start
        if whence == io.SEEK_END:
            size = await self._reader.seek(0, io.SEEK_END)
            base = max(self._start, size if self._end is None else min(size, self._end))
        target = base + offset
        await self._reader.seek(self._at if target < self._start else target, io.SEEK_SET)
        if target < self._start:
            raise before_start()
        self._at = target
        return target - self._start

    async def close(self) -> None:
        await self._reader.close()


def range_stream(stream: BinaryIO, start: int, end: int | None) -> BinaryIO:
    """A stream of the bytes `[start, end)` of another stream, which is at 0 now."""
    reader = BlockingFile(stream)
    if stream.seekable():
        stream.seek(start)
    else:
        run_to_end(skip(reader, start))
    return read_stream(RangeReader(reader, start, end), Here(), stream.seekable())


def takes_ranges(read: Callable[..., Any]) -> bool:
    """Whether the `read` of a backend takes `start` itself."""
    from inspect import Parameter, signature

    parameters = signature(read).parameters
    return "start" in parameters or any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())


def with_ranges(read: Callable[..., BinaryIO]) -> Callable[..., BinaryIO]:
    """The `read` of a backend that gives ranges, and knows etags, by one that takes a path alone."""

    @wraps(read)
    def ranged(
        self: Any, path: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> BinaryIO:
        check_range(start, end)
        with ExitStack() as undo, _missing_differs(path, self.name, if_match):
            stream = undo.enter_context(read(self, path))
            if if_match is not None and self.get_file_info(path).etag != if_match:
                raise etag_differs(path, self.name)
            if start or end is not None:
                stream = range_stream(stream, start, end)
            undo.pop_all()
            return stream

    return ranged


def with_async_ranges(read: Callable[..., AsyncIterator[bytes]]) -> Callable[..., AsyncIterator[bytes]]:
    """`with_ranges` for asynchronous backends."""

    @wraps(read)
    async def ranged(
        self: Any, path: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[bytes]:
        check_range(start, end)
        at, checked = 0, if_match is None
        with _missing_differs(path, self.name, if_match):
            async with aclosing(read(self, path)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    if not checked and (await self.get_file_info(path)).etag != if_match:
                        raise etag_differs(path, self.name)
                    checked = True
                    if part := chunk[max(0, start - at) : None if end is None else max(0, end - at)]:
                        yield part
                    at += len(chunk)
                    if end is not None and at >= end:
                        return
            if not checked and (await self.get_file_info(path)).etag != if_match:
                raise etag_differs(path, self.name)

    return ranged


@contextmanager
def _missing_differs(path: str, backend: str, if_match: str | None) -> Iterator[None]:
    """A file that is missing has not the etag that was asked for."""
    try:
        yield
    except NotFound as error:
        if if_match is None:
            raise
        raise etag_differs(path, backend) from error
