"""The content that callers hand in, and the temporary files that hold what does not fit into memory."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol, cast

from remote_store._errors import RemoteStoreError, StorageFull, with_errno

PART = 1024 * 1024
"""What is taken of the caller's content at a time [bytes]."""
SPOOL_LIMIT = 8 * 1024 * 1024
"""Content of unknown length stays in memory up to here and goes to a temporary file beyond [bytes]."""


class Readable(Protocol):
    """What is read piece by piece; `b""` at the end only."""

    async def read(self, size: int) -> bytes: ...


class Source(Readable, Protocol):
    """The caller's content: whole in `data`, else read piece by piece on the caller's side."""

    data: bytes | None


async def pieces(source: Readable) -> AsyncIterator[bytes]:
    """All that is left of `source`, a part at a time."""
    while data := await source.read(PART):
        yield data


def spool(buffering: int = -1) -> tempfile.SpooledTemporaryFile[bytes]:
    """A binary file in memory that moves to disk as it grows, with the buffering of `open` there."""
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_LIMIT, buffering=buffering)


@contextmanager
def spooling(path: str, backend: str) -> Iterator[None]:
    """Map what goes wrong with a temporary file on this machine."""
    try:
        yield
    except OSError as error:
        if isinstance(error, RemoteStoreError):
            raise
        message = f"A temporary file on this machine failed ({os.strerror(error.errno or 0)})"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        verdict = (StorageFull if full else RemoteStoreError)(message, path=path, backend=backend)
        raise with_errno(verdict, error.errno) from error


def bytes_or_none(content: object) -> bytes | None:
    """The bytes of bytes-like content, None for anything else; text is refused."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, (bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, str):
        raise TypeError("content must be bytes, not str; encode it, or use write_text for text")
    return None


def encode(text: str, encoding: str) -> bytes:
    """Text as bytes; anything else is refused."""
    if not isinstance(text, str):
        raise TypeError(f"text must be str, not {type(text).__name__}; use write for bytes")
    return text.encode(encoding)


def binary(chunk: object) -> bytes:
    """A piece of content as bytes."""
    data = None if isinstance(chunk, str) else bytes_or_none(chunk)
    if data is None:
        hint = "; encode it, or use write_text for text" if isinstance(chunk, str) else ""
        raise TypeError(f"content must yield bytes, not {type(chunk).__name__}{hint}")
    return data


def check_content(content: bytes | BinaryIO | Iterable[bytes]) -> bytes | BinaryIO:
    """Content as bytes or a binary file; anything else is refused before any I/O."""
    data = bytes_or_none(content)
    if data is not None:
        return data
    if callable(getattr(content, "read", None)):
        return cast("BinaryIO", content)
    if not hasattr(content, "__iter__"):
        raise TypeError(f"content must be bytes, a binary file or an iterable of bytes, not {type(content).__name__}")
    return io.BufferedReader(_Chunks(content), PART)


def check_async_content(content: bytes | AsyncIterator[bytes] | Iterable[bytes]) -> bytes | AsyncIterator[bytes]:
    """Content as bytes or an async iterator; anything else is refused before any I/O."""
    data = bytes_or_none(content)
    if data is not None:
        return data
    if hasattr(content, "__aiter__"):
        return cast("AsyncIterator[bytes]", content)
    if hasattr(content, "read") or not hasattr(content, "__iter__"):
        hint = "; of a file, give what its read() gives" if hasattr(content, "read") else ""
        raise TypeError(f"content must be bytes or an iterator of bytes, not {type(content).__name__}{hint}")
    return _AsyncChunks(content)


class _Chunks(io.RawIOBase):
    """The chunks of an iterable as a file."""

    def __init__(self, chunks: Iterable[Any]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                chunk = next(self._chunks)
            except StopIteration:
                return 0
            self._rest = memoryview(binary(chunk))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _AsyncChunks:
    """The chunks of an iterable for a loop; no generator, which a loop that ends would close."""

    def __init__(self, chunks: Iterable[Any]) -> None:
        self._chunks = iter(chunks)

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return binary(chunk)
        raise StopAsyncIteration


class FileSource:
    """Bytes, a binary file or an iterable of bytes, read in the thread that runs the operation."""

    def __init__(self, content: bytes | BinaryIO | Iterable[bytes]) -> None:
        checked = check_content(content)
        self.data = checked if isinstance(checked, bytes) else None
        self._file = checked

    async def read(self, size: int) -> bytes:
        data: object = cast("BinaryIO", self._file).read(size)
        if isinstance(data, str):
            raise TypeError("content must yield bytes, not str; open the file in binary mode ('rb')")
        return binary(data)


class IteratorSource:
    """Bytes, or an iterator of them, async or not."""

    def __init__(self, content: bytes | AsyncIterator[bytes] | Iterable[bytes]) -> None:
        checked = check_async_content(content)
        self.data = checked if isinstance(checked, bytes) else None
        if not isinstance(checked, bytes):
            self._chunks = checked.__aiter__()

    async def read(self, size: int) -> bytes:
        async for chunk in self._chunks:
            if data := binary(chunk):
                return data
        return b""
