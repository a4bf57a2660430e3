"""Writers over a driver's uploads."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, BinaryIO, Protocol, cast

from remote_store._models import WriteResult
from remote_store.io.content import binary
from remote_store.io.streams import Run


class Upload(Protocol):
    """A file being written, invisible until it is committed."""

    async def write(self, data: bytes) -> None: ...
    async def commit(self) -> WriteResult: ...
    async def abort(self) -> None: ...


class AtomicWriter(BinaryIO):
    """The binary writer of `open_atomic` as type checkers see it; what backends give need not inherit from it.

    Attributes:
        result: the `WriteResult`, to be read after the block has ended well (None before).
    """

    result: WriteResult


class ScopedWriter(io.RawIOBase):
    """The writer of `open_atomic` for a store below a root: its errors pass through `scope`."""

    result: WriteResult | None = None

    def __init__(self, file: Any, scope: AbstractContextManager[Any]) -> None:
        self._file, self._scope = file, scope

    def writable(self) -> bool:
        return True

    def write(self, buffer: Any) -> int:
        with self._scope:
            return cast("int", self._file.write(buffer))

    def flush(self) -> None:
        if not self.closed and not self._file.closed:
            with self._scope:
                self._file.flush()

    def tell(self) -> int:
        return cast("int", self._file.tell())

    def close(self) -> None:
        if not self.closed:
            with self._scope:
                self._file.close()
            super().close()


class _RawUpload(io.RawIOBase):
    def __init__(self, upload: Upload, run: Run) -> None:
        self.upload: Upload | None = upload
        self._run = run
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, buffer: Any) -> int:
        if self.upload is not None:
            self._run(self.upload.write(bytes(buffer)))
        self._position += len(buffer)
        return len(buffer)

    def tell(self) -> int:
        return self._position


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
        if isinstance(buffer, str):
            hint = "encode it, wrap the file in io.TextIOWrapper, or use write_text"
            raise TypeError(f"open_atomic takes bytes, not str: {hint}")
        return super().write(buffer)

    def commit(self) -> None:
        if not self.closed:
            self.flush()
        upload = self._detach()
        if upload is not None:
            try:
                self.result = self._finish(upload.commit())
            except BaseException:
                self._finish(upload.abort())
                raise
        self.close()

    def abort(self) -> None:
        upload = self._detach()
        try:
            with suppress(ValueError):  # The caller may have detached the raw stream.
                self.close()
        finally:
            if upload is not None:
                self._finish.let_go(upload.abort())

    def _detach(self) -> Upload | None:
        upload, self._upload.upload = self._upload.upload, None
        return upload


class AsyncAtomicWriter:
    """The async binary writer of `open_atomic`.

    Attributes:
        result: the `WriteResult`, to be read after the block has ended well (None before).
    """

    def __init__(self, write: Callable[[bytes], Awaitable[Any]]) -> None:
        self._write: Callable[[bytes], Awaitable[Any]] | None = write
        self.result: WriteResult = cast("WriteResult", None)
        self.scope: AbstractContextManager[Any] = nullcontext()

    async def write(self, data: bytes) -> int:
        """Append `data`; returns its length [bytes]."""
        if self._write is None:
            raise ValueError("write to closed file")
        with self.scope:
            await self._write(binary(data))
        return len(data)

    def close(self) -> None:
        self._write = None
