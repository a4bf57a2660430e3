"""Files that are read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from fsspec.asyn import AbstractAsyncStreamedFile
from fsspec.spec import AbstractBufferedFile

from remote_store._capabilities import Capability
from remote_store._errors import PreconditionFailed
from remote_store.interop._windows import Windows

if TYPE_CHECKING:
    from remote_store.interop._place import Place
    from remote_store.io.streams import AsyncReadStream

LINE = 64 << 10


REPLACED = "The file was replaced while it was being read"


class StoreReader(AbstractBufferedFile):  # type: ignore[misc]
    """A file being read in ranges, up to a block ahead.

    A file that was replaced meanwhile is noticed by its etag where the store takes `if_match`, else by its size. Local
    files and those in memory are read from one stream, which stays with one version.
    """

    def __init__(
        self,
        fs: Any,
        path: str,
        at: Place,
        size: int,
        block_size: int | None,
        *,
        size_given: bool,
        cache_type: str = Windows.name,
        cache_options: dict[str, Any] | None = None,
        etag: str | None = None,
        version_id: str | None = None,
    ) -> None:
        if version_id is not None:
            raise NotImplementedError("versions of files are not supported")
        self._stream: BinaryIO | None = None
        self._at, self._near, self._size_given = at, at.kind.near, size_given
        self._same = {"if_match": etag} if etag and at.store.supports(Capability.CONDITIONAL_WRITE) else {}
        block = block_size or at.kind.readahead
        super().__init__(fs, path, "rb", block, size=size, cache_type=cache_type, cache_options=cache_options)

    def _fetch_range(self, start: int, end: int) -> bytes:
        end = min(end, self.size)
        # One byte more costs nothing, and shows whether the file has grown.
        data = self._read(start, end + (end == self.size))
        if len(data) != end - start:
            message = REPLACED
            if self._size_given:
                message = f"The file does not have the {self.size} bytes that open() was told by size="
            raise PreconditionFailed(message, path=self.path, backend=self._at.backend_name)
        return data

    def _read(self, start: int, end: int) -> bytes:
        with self._at.errors:
            if not self._near:
                try:
                    return bytes(self._at.store.read_range(self._at.key, start, end, **self._same))
                except PreconditionFailed as error:  # The etag is that of the file that was opened, not the caller's.
                    raise PreconditionFailed(REPLACED, path=error.path, backend=error.backend) from error.__cause__
            if self._stream is None:
                self._stream = self._at.store.read_seekable(self._at.key)
            self._stream.seek(start)
            return self._stream.read(end - start)

    def readline(self) -> bytes:
        """All up to the end of the line; fsspec's own copies a whole block to find it."""
        return bytes(self.readuntil(b"\n", LINE))

    def close(self) -> None:
        """Let go of the file."""
        super().close()
        if self._stream is not None:
            self._stream.close()


class AsyncStoreReader(AbstractAsyncStreamedFile):  # type: ignore[misc]
    """A file being read by `await`."""

    def __init__(self, fs: Any, at: Place, stream: AsyncReadStream) -> None:
        self.fs, self.path, self.mode, self.closed = fs, at.path, "rb", False
        self.loc, self.size = 0, None  # Nobody has asked for the size.
        self._stream, self._errors = stream, at.errors

    async def read(self, length: int = -1) -> bytes:
        """At most `length` bytes, all that is left when negative."""
        with self._errors:
            if self._stream.tell() != self.loc:
                await self._stream.seek(self.loc)
            data = await self._stream.read(length)
        self.loc += len(data)
        return data

    async def close(self) -> None:
        """Let go of the file."""
        self.closed = True
        await self._stream.aclose()

    def __del__(self) -> None:
        """Do nothing: the loop to close it on may be gone."""


@contextmanager
def download_to(path: Any) -> Iterator[BinaryIO]:
    """A file of this machine that takes its name when the block ends, and is not there when it raises."""
    if not isinstance(path, str):
        yield path  # An open file, which is the caller's.
        return
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:  # A device or a pipe, which stays what it is; a folder refuses.
            yield file
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = os.path.join(os.path.dirname(path), f".{uuid4().hex}.part")
    try:
        with open(temporary, "xb") as file:
            yield file
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
