"""Streams over a driver's readers."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, Protocol, TypeVar, cast

from remote_store._errors import BackendUnavailable
from remote_store.io.content import PART
from remote_store.io.strides import Stride

T = TypeVar("T")

CHUNK = 64 * 1024
"""What an async read yields at a time [bytes] (ASYNC-020)."""

STRIDE = 2 * PART
"""What a synchronous read takes of a file at a time whose filesystem works in another thread [bytes]."""


class Run(Protocol):
    """Runs operations; see `engine.runners`."""

    def __call__(self, operation: Awaitable[Any], /) -> Any: ...
    def let_go(self, operation: Awaitable[Any], /) -> None: ...


def run_to_end(operation: Any) -> Any:
    """Run a coroutine that never waits to its end, in this thread, without a loop."""
    try:
        operation.send(None)
    except StopIteration as stop:
        return stop.value
    operation.close()
    raise RuntimeError("an operation of a synchronous filesystem waited for something")


class Here:
    """Runs operations that never wait, in the caller's thread; the garbage collector may call `let_go` in any."""

    def __call__(self, operation: Awaitable[T]) -> T:
        result: T = run_to_end(operation)
        return result

    let_go: Any = __call__


class Reader(Protocol):
    """An open file of a driver."""

    async def read(self, size: int) -> bytes:
        """At most `size` bytes (> 0); `b""` at the end only."""

    async def seek(self, offset: int, whence: int) -> int:
        """Move as `io.IOBase.seek` does; only with SEEKABLE_READ."""

    async def close(self) -> None: ...


class BytesReader:
    """Reads a snapshot."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int) -> bytes:
        return self._file.read(size)

    async def seek(self, offset: int, whence: int) -> int:
        if offset + (0, self._file.tell(), len(self._file.getbuffer()))[whence] < 0:
            raise before_start()
        return self._file.seek(offset, whence)

    async def close(self) -> None:
        self._file.close()


def before_start() -> io.UnsupportedOperation:
    """The error for a position before the start: an OSError, as of files (zipfile counts on it), and a ValueError."""
    return io.UnsupportedOperation("negative seek position")


class _RawReader(io.RawIOBase):
    """A reader as a file.

    Where each call of the reader is a hop to another thread, one hop brings up to `stride` bytes. The first hop after
    a seek brings one chunk, as random access needs few bytes at a place; further ones bring more.
    """

    def __init__(self, reader: Reader, run: Run, seekable: bool, stride: int) -> None:
        self._reader = reader
        self._run = run
        self._seekable = seekable
        self._stride, self._ahead = stride, CHUNK
        self._brought = Stride()
        self._position = 0
        self._broken: BaseException | None = None
        self._failure: Exception | None = None  # To be raised after the bytes that came before it.
        self._ended = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def readinto(self, buffer: Any) -> int:
        if self._brought.is_over:
            self._bring(self._ahead if self._stride > CHUNK else min(len(buffer), CHUNK))
            self._ahead = min(self._ahead * 4, self._stride)
        count = self._brought.into(memoryview(buffer))
        self._position += count
        return count

    def readall(self) -> bytes:
        self._ahead = self._stride
        pieces = self._brought.rest()
        while self._bring(self._stride):
            pieces += self._brought.rest()
        data = b"".join(pieces)
        self._position += len(data)
        return data

    def _bring(self, size: int) -> bool:
        """Fetch the next bytes; False at the end. After a failure there are none: a reader would see a gap."""
        if self._broken is not None:
            message = "An earlier read of this stream failed; seek to where to go on, or open it anew"
            raise BackendUnavailable(message, path=getattr(self._broken, "path", None)) from self._broken
        pieces: list[bytes] = []
        if not self._ended:
            try:
                pieces = self._run(self._fetch(size, several=self._ahead > CHUNK))
            except BaseException as error:
                self._broken = error
                raise
        self._brought = Stride(self._position, pieces, self._brought.pieces if self._seekable else ())
        return bool(pieces)

    async def _fetch(self, size: int, several: bool) -> list[bytes]:
        """`size` bytes, fewer at the end of the file or before a failure, which is raised by the next call.

        Args:
            size: of the bytes.
            several: whether to ask again for what the reader did not give at once.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        pieces: list[bytes] = []
        while size > 0:
            try:
                piece = await self._reader.read(size)
            except Exception as error:
                if not pieces:
                    raise
                self._failure = error
                break
            if piece:
                pieces.append(piece)
            if not several:
                break
            if not piece:
                self._ended = True
                break
            size -= len(piece)
        return pieces

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if not self._seekable:
            raise io.UnsupportedOperation("seek")
        if whence == io.SEEK_CUR:  # The reader may be further.
            offset, whence = self._position + offset, io.SEEK_SET
        if whence == io.SEEK_SET and self._broken is None and self._brought.seek(offset):
            self._position = offset
            return offset
        place = cast("int", self._run(self._reader.seek(offset, whence)))
        self._broken = self._failure = None
        self._brought = Stride(place)
        self._ahead, self._ended, self._position = CHUNK, False, place
        return place

    def tell(self) -> int:
        if not self._seekable:
            raise io.UnsupportedOperation("tell")
        return self._position  # Without asking the reader: `io` wants to know it of every file it opens.

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._broken = self._failure = None
            self._brought = Stride()
            with suppress(BackendUnavailable):  # A loop that is gone has closed it.
                self._run.let_go(self._reader.close())


def read_stream(reader: Reader, run: Run, seekable: bool, stride: int = CHUNK) -> BinaryIO:
    """A buffered binary stream over `reader`, which takes at most `stride` bytes of it at a time."""
    return io.BufferedReader(_RawReader(reader, run, seekable, stride), CHUNK)


class ScopedStream(io.RawIOBase):
    """A binary stream whose errors pass through `scope` (a store below a root makes their paths its own).

    Closing it closes the stream underneath only if it `owns` it: the caller's content is the caller's to close.
    """

    def __init__(self, stream: BinaryIO, scope: AbstractContextManager[Any], *, owns: bool = True) -> None:
        self._stream = stream
        self._scope = scope
        self._owns = owns

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def read(self, size: int | None = -1) -> bytes:
        with self._scope:
            return self._stream.read(-1 if size is None else size)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        with self._scope:
            return cast("int", self._stream.readinto(buffer))  # type: ignore[attr-defined]

    def readline(self, size: int | None = -1) -> bytes:
        with self._scope:
            return self._stream.readline(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._scope:
            return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        if not self.closed:
            try:
                if self._owns:
                    with self._scope:
                        self._stream.close()
            finally:
                super().close()


class AsyncItems(Generic[T]):
    """An async iterator that passes on another's items, and its errors through `scope`; `aclose` closes both.

    No generator, because a loop that ends closes all generators at once, and nested ones in the wrong order.
    """

    def __init__(
        self,
        items: AsyncIterator[T],
        scope: AbstractContextManager[Any],
        change: Callable[[T], T] | None = None,
        keep: Callable[[T], object] | None = None,
    ) -> None:
        self._items, self._scope, self._change, self._keep = items, scope, change, keep

    def __aiter__(self) -> AsyncItems[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            with self._scope:
                item = await self._items.__anext__()
            if self._keep is None or self._keep(item):
                return item if self._change is None else self._change(item)

    if not TYPE_CHECKING:  # Type checkers find these mistakes themselves.

        def __await__(self):
            hint = "iterate with `async for`; the whole content of a file is `await store.read_bytes(path)`"
            raise TypeError(f"an async iterator cannot be awaited: {hint}")

        def __iter__(self):
            raise TypeError("an async iterator is iterated with `async for`, as in `[item async for item in items]`")

    async def aclose(self) -> None:
        """Let go of what is underneath; safe to repeat."""
        if hasattr(self._items, "aclose"):
            with self._scope:
                await self._items.aclose()


class AsyncReadStream:
    """A seekable async stream: `await read(n)`, `seek`, `tell`, iteration, `async with`.

    Args:
        reader: what is read.
        run: runs the calls of the reader, where they belong to another loop.
    """

    def __init__(self, reader: Reader, run: Callable[[Awaitable[Any]], Awaitable[Any]] = lambda call: call) -> None:
        self._reader, self._run = reader, run
        self._position = 0
        self._held: list[bytes] = []  # Bytes that a failed read had received.
        self.closed = False
        self.scope: AbstractContextManager[Any] = nullcontext()

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that is left when negative; `b""` at the end. One that fails loses nothing."""
        self._check_open()
        pieces, self._held = self._held, []
        have = sum(map(len, pieces))
        try:
            with self.scope:
                while size < 0 or have < size:
                    piece = await self._run(self._reader.read(PART if size < 0 else min(size - have, PART)))
                    if not piece:
                        break
                    pieces.append(piece)
                    have += len(piece)
        except BaseException:
            self._held = pieces
            raise
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if 0 <= size < have:
            self._held, data = [data[size:]], data[:size]
        self._position += len(data)
        return data

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as `io.IOBase.seek` does; returns the new position [bytes]."""
        self._check_open()
        if whence == io.SEEK_CUR:
            offset, whence = self._position + offset, io.SEEK_SET
        with self.scope:
            self._position = await self._run(self._reader.seek(offset, whence))
        self._held = []
        return self._position

    def tell(self) -> int:
        """The position [bytes]."""
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    async def aclose(self) -> None:
        """Let go of the file; safe to repeat."""
        if not self.closed:
            self.closed = True
            with self.scope:
                await self._run(self._reader.close())

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    async def __aenter__(self) -> AsyncReadStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if data := await self.read(CHUNK):
            return data
        raise StopAsyncIteration
