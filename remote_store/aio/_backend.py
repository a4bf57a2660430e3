"""The asynchronous backend interface."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from remote_store._backend import BackendBase
from remote_store._capabilities import Capability
from remote_store._errors import unsupported
from remote_store._methods import Method, make_methods
from remote_store._models import FileInfo, FolderEntry, FolderInfo, SignedMethod, WriteResult
from remote_store._paths import check_depth
from remote_store.io.blocking import ThreadFile
from remote_store.io.content import pieces, spool, spooling
from remote_store.io.files import AsyncAtomicWriter, Draft
from remote_store.io.streams import AsyncReadStream

AsyncWritableContent = bytes | AsyncIterator[bytes]


class AsyncBackend(BackendBase):
    """An asynchronous storage backend.

    Subclass it without fsspec by writing the abstract methods; paths are normalized keys, `""` is the root. The
    methods hold the contract of `AsyncStore`. `read`, the listings and `glob` are async generator functions.
    """

    is_async = True

    @abc.abstractmethod
    async def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    @abc.abstractmethod
    async def is_file(self, path: str) -> bool:
        """Whether a file is there."""

    @abc.abstractmethod
    async def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""

    @abc.abstractmethod
    async def read(self, path: str) -> AsyncIterator[bytes]:
        """The content, chunk by chunk; keywords as of `Backend.read`."""
        yield b""

    @abc.abstractmethod
    async def read_bytes(self, path: str) -> bytes:
        """The whole content."""

    @abc.abstractmethod
    async def write(
        self,
        path: str,
        content: AsyncWritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteResult:
        """Create or replace a file, and the folders above it."""

    @abc.abstractmethod
    async def write_atomic(
        self,
        path: str,
        content: AsyncWritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteResult:
        """Like `write`; readers see the old content or the new."""

    @abc.abstractmethod
    async def delete(self, path: str, *, missing_ok: bool = False) -> None:
        """Remove a file."""

    @abc.abstractmethod
    async def delete_folder(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        """Remove a folder."""

    @abc.abstractmethod
    async def list_files(
        self, path: str, *, recursive: bool = False, max_depth: int | None = None
    ) -> AsyncIterator[FileInfo]:
        """Files below a folder; `max_depth` acts only together with `recursive=True`."""
        yield  # type: ignore[misc]

    @abc.abstractmethod
    async def list_folders(self, path: str) -> AsyncIterator[FolderEntry]:
        """Immediate subfolders."""
        yield  # type: ignore[misc]

    @abc.abstractmethod
    async def get_file_info(self, path: str) -> FileInfo:
        """Describe a file."""

    @abc.abstractmethod
    async def get_folder_info(self, path: str) -> FolderInfo:
        """Totals over everything below a folder."""

    @abc.abstractmethod
    async def move(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        """Rename a file."""

    @abc.abstractmethod
    async def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        """Duplicate a file."""

    async def read_range(self, path: str, start: int, end: int, *, if_match: str | None = None) -> bytes:
        """Bytes `[start, end)`; by `read` unless overridden. CONDITIONAL_WRITE brings `if_match`."""
        options: Any = {"start": start, "end": end, **({} if if_match is None else {"if_match": if_match})}
        return b"".join([chunk async for chunk in self.read(path, **options)])

    async def read_seekable(self, path: str) -> AsyncReadStream:
        """A seekable stream; spooled to a temporary file unless overridden."""
        copy = spool()
        try:
            async with aclosing(self.read(path)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    with spooling(path, self.name):
                        await asyncio.to_thread(copy.write, chunk)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return AsyncReadStream(ThreadFile(copy))

    @asynccontextmanager
    async def open_atomic(
        self,
        path: str,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        seekable: bool = False,
        **options: Any,
    ) -> AsyncIterator[AsyncAtomicWriter]:
        """A writer that commits on clean exit, and seeks if it is to be `seekable`; spooled into `write_atomic` unless
        overridden."""
        if metadata is not None:
            options["metadata"] = metadata
        draft = Draft(path, self.name)
        blocking = ThreadFile(draft)
        try:
            file = AsyncAtomicWriter(blocking.write, blocking if seekable else None)
            try:
                yield file
            finally:
                file.close()
            content = ThreadFile(await blocking.call(draft.finish))
            file.result = await self.write_atomic(path, pieces(content), overwrite=overwrite, **options)
        finally:
            await blocking.call(draft.let_go)

    async def sign(self, path: str, *, expires_in: int = 3600, method: SignedMethod = "GET") -> str:
        """A URL that gives access to one file for that long [s].

        Raises:
            CapabilityNotSupported: unless overridden.
        """
        raise unsupported(Capability.SIGNED_URL.value, path, self.name)

    async def iter_children(self, path: str) -> AsyncIterator[FileInfo | FolderEntry]:
        """Files and folders directly in a folder."""
        async for file in self.list_files(path):
            yield file
        async for folder in self.list_folders(path):
            yield folder

    async def walk_folders(self, path: str, max_depth: int) -> AsyncIterator[FolderEntry]:
        """Folders below `path` down to `max_depth`; level by level over `list_folders` unless overridden."""
        check_depth(max_depth)
        level = [path]
        for _ in range(max_depth + 1):
            below_level: list[str] = []
            for folder in level:
                async for entry in self.list_folders(folder):
                    below_level.append(entry.path.as_posix())
                    yield entry
            level = below_level

    async def glob(self, pattern: str) -> AsyncIterator[FileInfo]:
        """Files whose key matches `pattern`.

        Raises:
            CapabilityNotSupported: unless overridden.
        """
        raise self._no_glob(pattern)
        yield

    async def check_health(self) -> None:
        """Ask the service whether it, and the container, can be used; does nothing unless overridden."""

    async def aclose(self) -> None:
        """Let go of connections; safe to repeat."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


class AsyncMadeBackend(AsyncBackend):
    """`MadeBackend` for asynchronous backends."""

    def __init_subclass__(cls, *, make: Callable[[Method], Any] | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if make is not None:
            make_methods(cls, AsyncBackend, make)

    if TYPE_CHECKING:  # What is abstract is made.
        exists = AsyncBackend.exists
        is_file = AsyncBackend.is_file
        is_folder = AsyncBackend.is_folder
        read_bytes = AsyncBackend.read_bytes
        delete = AsyncBackend.delete
        delete_folder = AsyncBackend.delete_folder
        list_files = AsyncBackend.list_files
        list_folders = AsyncBackend.list_folders
        get_file_info = AsyncBackend.get_file_info
        get_folder_info = AsyncBackend.get_folder_info
        move = AsyncBackend.move
        copy = AsyncBackend.copy

        async def write(
            self,
            path: str,
            content: AsyncWritableContent,
            *,
            overwrite: bool = False,
            metadata: Mapping[str, str] | None = None,
            if_match: str | None = None,
            content_type: str | None = None,
        ) -> WriteResult: ...

        write_atomic = write
