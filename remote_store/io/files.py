"""Writers over a driver's uploads."""

from __future__ import annotations

import io
import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from typing import Any, BinaryIO, Protocol, cast

from remote_store._errors import not_whole
from remote_store._models import WriteResult
from remote_store.io.blocking import ThreadFile
from remote_store.io.content import PART, SPOOL_LIMIT, binary, spool, spooling
from remote_store.io.streams import Run, ScopedStream

Errors = Callable[[], AbstractContextManager[None]]
"""Makes what maps the errors of calls within it."""


class Upload(Protocol):
    """A file being written, invisible until it is committed."""

    def in_place(self) -> tuple[BinaryIO, Errors] | None:
        """The file itself, where it can be written at any place, and what maps its errors."""

    async def write(self, data: bytes) -> None: ...
    async def commit(self) -> WriteResult: ...
    async def abort(self) -> None: ...


class Seekable(Protocol):
    """What a writer of `open_atomic(seekable=True)` writes to."""

    async def read(self, size: int) -> bytes: ...
    async def seek(self, offset: int, whence: int) -> int: ...
    async def truncate(self, size: int) -> int: ...


class AtomicWriter(BinaryIO):
    """The binary writer of `open_atomic` as type checkers see it; what backends give need not inherit from it.

    Attributes:
        result: the `WriteResult`, to be read after the block has ended well (None before).
    """

    result: WriteResult


class ScopedWriter(ScopedStream):
    """The writer of `open_atomic` for a store below a root."""

    result: WriteResult | None = None

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return self._stream.readable()

    def write(self, buffer: Any) -> int:
        with self._scope:
            return self._stream.write(buffer)

    def truncate(self, size: int | None = None) -> int:
        with self._scope:
            return self._stream.truncate(size)

    def flush(self) -> None:
        if not self.closed and not self._stream.closed:
            with self._scope:
                self._stream.flush()


class _RawUpload(io.RawIOBase):
    def __init__(self, upload: Upload, run: Run) -> None:
        self.upload: Upload | None = upload
        self._run = run
        self._position = 0
        self.kept: list[bytes] | None = None
        """Once the file is at its end: what is written, to go with the commit."""

    def writable(self) -> bool:
        return True

    def write(self, buffer: Any) -> int:
        if self.kept is not None:
            self.kept.append(bytes(buffer))
        elif self.upload is not None:
            self._run(self.upload.write(bytes(buffer)))
        self._position += len(buffer)
        return len(buffer)

    def tell(self) -> int:
        return self._position


async def _ended(upload: Upload, last: list[bytes]) -> WriteResult:
    """Write what is left, and commit: one hop for both."""
    for data in last:
        await upload.write(data)
    return await upload.commit()


def _refuse_text(buffer: object) -> None:
    if isinstance(buffer, str):
        hint = "encode it, wrap the file in io.TextIOWrapper, or use write_text"
        raise TypeError(f"open_atomic takes bytes, not str: {hint}")


class AtomicFile(io.BufferedWriter):
    """The binary writer of `open_atomic`; nothing is visible before the block ends.

    Attributes:
        result: the `WriteResult`, once the block has ended well.
    """

    result: WriteResult | None = None

    def __init__(self, upload: Upload, run: Run, stride: int) -> None:
        self._upload = _RawUpload(upload, run)
        self._finish = run
        super().__init__(self._upload, stride)

    def write(self, buffer: Any) -> int:
        """Append bytes; returns their length [bytes]."""
        _refuse_text(buffer)
        return super().write(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Refuse; `open_atomic(seekable=True)` gives a writer that seeks."""
        raise io.UnsupportedOperation("seek: open the file with seekable=True")

    def commit(self) -> None:
        last: list[bytes] = []
        self._upload.kept = last
        if not self.closed:
            self.flush()
        if self._upload.upload is not None:
            self.result = self._finish(_ended(self._upload.upload, last))
            self._upload.upload = None
        self.close()

    def abort(self) -> None:
        upload, self._upload.upload = self._upload.upload, None
        try:
            with suppress(ValueError):  # The caller may have detached the raw stream.
                self.close()
        finally:
            if upload is not None:
                self._finish.let_go(upload.abort())


class _RawDraft(io.RawIOBase):
    """A file on this machine that is written at any place; remembers whether a write failed."""

    def __init__(self, file: BinaryIO, errors: Errors, path: str) -> None:
        self._file, self._errors, self._path = file, errors, path
        self._failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._errors():
            return cast("int", self._file.readinto(buffer))  # type: ignore[attr-defined]

    def write(self, buffer: Any) -> int:
        with self._changing():
            if self._file.tell() + len(buffer) > SPOOL_LIMIT and hasattr(self._file, "rollover"):
                self._file.rollover()  # Before memory is taken for the gap that a seek has left.
            return self._file.write(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._errors():
            return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        if size is not None and operator.index(size) < 0:
            raise ValueError(f"a file cannot have {size} bytes")  # Which harms nothing that was written.
        with self._changing():
            place = self._file.tell()
            size = place if size is None else size
            if size > self._file.seek(0, io.SEEK_END):  # Files in memory do not grow by `truncate`.
                self.seek(size - 1)
                self.write(b"\0")
            else:
                self._file.truncate(size)
            self._file.seek(place)
            return size

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with self._errors():
                yield
        except BaseException as error:
            self._failure = error
            raise

    def content(self) -> BinaryIO:
        """The file underneath, at its start.

        Raises:
            RemoteStoreError: something is missing, because a change failed.
        """
        if self._failure is not None:
            raise not_whole(self._failure, self._path) from self._failure
        with self._errors():
            self._file.seek(0)
        return self._file

    def let_go(self) -> None:
        self._file.close()


class Draft(io.BufferedRandom):
    """The binary writer of `open_atomic(seekable=True)`: it also seeks, tells, reads and truncates.

    Args:
        path: of the file it becomes.
        backend: its name.
        upload: what takes the content in the end, if not the caller.

    Attributes:
        result: the `WriteResult`, once the block has ended well.
    """

    result: WriteResult | None = None

    def __init__(self, path: str, backend: str, upload: Upload | None = None) -> None:
        in_place = upload and upload.in_place()
        self.is_target = in_place is not None
        """Whether this is the very file, of which nothing need be sent."""
        file, errors = in_place or (cast("BinaryIO", spool(buffering=0)), lambda: spooling(path, backend))
        self._draft = _RawDraft(file, errors, path)
        super().__init__(self._draft, PART // 4)

    def write(self, buffer: Any) -> int:
        """Write bytes at the position; returns their length [bytes]."""
        _refuse_text(buffer)
        return super().write(buffer)

    def finish(self) -> BinaryIO:
        """Take no more; gives what was written, from its start.

        Raises:
            RemoteStoreError: some of it is missing.
        """
        self.close()
        return self._draft.content()

    def let_go(self) -> None:
        """Close it, and forget what was not written yet; safe to repeat."""
        self._draft.let_go()
        with suppress(Exception):  # Of what it still holds, which nothing takes any more.
            self.close()


@contextmanager
def seekable_file(upload: Upload, run: Run, path: str, backend: str, stride: int) -> Iterator[Draft]:
    """A draft that is sent, `stride` [bytes] at a time, when the block ends well."""
    file: Draft | None = None
    try:
        file = Draft(path, backend, upload)
        yield file
        content = file.finish()
        while not file.is_target and (data := content.read(stride)):
            run(upload.write(data))
        file.result = run(upload.commit())
    except BaseException:
        try:  # First the draft: what it holds must not go to the next file that gets the descriptor of the upload.
            if file is not None:
                file.let_go()
        finally:
            run.let_go(upload.abort())
        raise
    file.let_go()


@asynccontextmanager
async def async_seekable_file(
    upload: Upload, run: Callable[[Awaitable[Any]], Awaitable[Any]], path: str, backend: str
) -> AsyncIterator[AsyncAtomicWriter]:
    """`seekable_file` for an event loop, which waits for no file."""
    draft: Draft | None = None
    try:
        draft = Draft(path, backend, upload)
        blocking = ThreadFile(draft)
        file = AsyncAtomicWriter(blocking.write, blocking)
        try:
            yield file
        finally:
            file.close()
        content = ThreadFile(await blocking.call(draft.finish))
        while not draft.is_target and (data := await content.read(PART)):
            await run(upload.write(data))
        file.result = await run(upload.commit())
    except BaseException:
        try:
            if draft is not None:
                await blocking.call(draft.let_go)
        finally:
            await run(upload.abort())
        raise
    await blocking.call(draft.let_go)


class AsyncAtomicWriter:
    """The async binary writer of `open_atomic`.

    Attributes:
        result: the `WriteResult`, to be read after the block has ended well (None before).
    """

    def __init__(self, write: Callable[[bytes], Awaitable[Any]], draft: Seekable | None = None) -> None:
        self._write: Callable[[bytes], Awaitable[Any]] | None = write
        self._draft = draft
        self._position = 0
        self.result: WriteResult = cast("WriteResult", None)
        self.scope: AbstractContextManager[Any] = nullcontext()

    def seekable(self) -> bool:
        """Whether it seeks, reads and truncates, too."""
        return self._draft is not None

    async def write(self, data: bytes) -> int:
        """Write `data` at the position, which is the end unless it was moved; returns its length [bytes]."""
        if self._write is None:
            raise ValueError("write to closed file")
        data = binary(data)  # Whose length is in bytes, unlike that of a view of integers.
        with self.scope:
            await self._write(data)
        self._position += len(data)
        return len(data)

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes from the position on, all that is left when negative."""
        data: bytes = await self._of_draft("read", size)
        self._position += len(data)
        return data

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as `io.IOBase.seek` does; returns the new position [bytes]."""
        self._position = await self._of_draft("seek", offset, whence)
        return self._position

    async def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file to `size` [bytes], to the position unless given; returns it."""
        length: int = await self._of_draft("truncate", self._position if size is None else size)
        return length

    def tell(self) -> int:
        """The position [bytes]."""
        return self._position

    async def _of_draft(self, verb: str, *args: Any) -> Any:
        if self._write is None:
            raise ValueError("I/O operation on closed file.")
        if self._draft is None:
            raise io.UnsupportedOperation(f"{verb}: open the file with seekable=True")
        with self.scope:
            return await getattr(self._draft, verb)(*args)

    def close(self) -> None:
        self._write = None
