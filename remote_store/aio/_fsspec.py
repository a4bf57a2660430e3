"""Any fsspec filesystem as an asynchronous backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from remote_store._capabilities import Capability
from remote_store._models import FileInfo, FolderEntry, FolderInfo, WriteResult
from remote_store._paths import check_depth, check_range
from remote_store._streams import CHUNK, AsyncAtomicFile, AsyncReadStream, Reader
from remote_store.aio._backend import AsyncBackend, AsyncWritableContent
from remote_store.backends._engine import EngineBackend, depth
from remote_store.drivers.base import Driver, Want
from remote_store.drivers.profiles import GENERIC
from remote_store.drivers.registry import driver_for
from remote_store.engine.run import Awaited, Pinned


class AsyncDriverBackend(EngineBackend, AsyncBackend):
    """An asynchronous backend over a driver whose verbs do not block."""

    @cached_property
    def _run(self) -> Awaited | Pinned:
        driver = self._driver
        return Pinned(driver.fs.loop) if driver.runs == "native" and not driver.fs.asynchronous else Awaited()

    async def exists(self, path: str) -> bool:
        return await self._run(self._engine.exists(self._key(path)))

    async def is_file(self, path: str) -> bool:
        return await self._run(self._engine.is_file(self._key(path)))

    async def is_folder(self, path: str) -> bool:
        return await self._run(self._engine.is_folder(self._key(path)))

    async def read(self, path: str) -> AsyncIterator[bytes]:
        reader = await self._run(self._engine.open_read(self._file(path)))
        try:
            while chunk := await self._run(reader.read(CHUNK)):
                yield chunk
        finally:
            await self._run(reader.close())

    async def read_seekable(self, path: str) -> AsyncReadStream:
        if Capability.SEEKABLE_READ not in self.capabilities:
            return await super().read_seekable(path)
        reader = await self._run(self._engine.open_read(self._file(path)))
        return AsyncReadStream(_RunReader(reader, self._run))

    async def read_bytes(self, path: str) -> bytes:
        return await self._run(self._engine.read_bytes(self._file(path)))

    async def read_range(self, path: str, start: int, end: int) -> bytes:
        check_range(start, end)
        return await self._run(self._engine.read_range(self._file(path), start, end))

    async def write(
        self,
        path: str,
        content: AsyncWritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteResult:
        return await self._write("write", path, content, overwrite, metadata, if_match)

    async def write_atomic(
        self,
        path: str,
        content: AsyncWritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteResult:
        return await self._write("write_atomic", path, content, overwrite, metadata, if_match)

    async def _write(
        self,
        method: str,
        path: str,
        content: AsyncWritableContent,
        overwrite: bool,
        metadata: Mapping[str, str] | None,
        if_match: str | None,
    ) -> WriteResult:
        options = self._options(method, path, overwrite, metadata, if_match)
        key = self._file(path)
        return await self._run.with_content(lambda source: self._engine.write(key, source, options), content)

    @asynccontextmanager
    async def open_atomic(
        self,
        path: str,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AsyncIterator[AsyncAtomicFile]:
        kept = self._options("open_atomic", path, overwrite, metadata, **options)
        upload = await self._run(self._engine.open_upload(self._file(path), kept))
        file = AsyncAtomicFile(lambda data: self._run(upload.write(data)))
        try:
            yield file
            file.close()
            file.result = await self._run(upload.commit())
        except BaseException:
            file.close()
            await self._run(upload.abort())
            raise

    async def delete(self, path: str, *, missing_ok: bool = False) -> None:
        await self._run(self._engine.delete(self._file(path), missing_ok))

    async def delete_folder(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        await self._run(self._engine.delete_folder(self._folder(path), recursive, missing_ok))

    def list_files(
        self, path: str, *, recursive: bool = False, max_depth: int | None = None
    ) -> AsyncIterator[FileInfo]:
        return self._list(path, depth(recursive, max_depth), "files")

    def list_folders(self, path: str) -> AsyncIterator[FolderEntry]:
        return self._list(path, 0, "folders")

    def walk_folders(self, path: str, max_depth: int) -> AsyncIterator[FolderEntry]:
        check_depth(max_depth)
        return self._list(path, max_depth, "folders")

    def iter_children(self, path: str) -> AsyncIterator[FileInfo | FolderEntry]:
        return self._list(path, 0, "both")

    def glob(self, pattern: str) -> AsyncIterator[FileInfo]:
        return self._items(self._engine.glob(pattern))

    def _list(self, path: str, max_depth: int | None, want: Want) -> AsyncIterator[Any]:
        return self._items(self._engine.pages(self._key(path), max_depth, want))

    async def _items(self, pages: Any) -> AsyncIterator[Any]:
        try:
            while (page := await self._run(anext(pages, None))) is not None:
                for item in page:
                    yield item
        finally:
            await self._run(pages.aclose())

    async def get_file_info(self, path: str) -> FileInfo:
        return await self._run(self._engine.get_file_info(self._file(path)))

    async def get_folder_info(self, path: str) -> FolderInfo:
        return await self._run(self._engine.get_folder_info(self._key(path)))

    async def move(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        await self._run(self._engine.transfer("move", self._file(src), self._file(dst), overwrite))

    async def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        await self._run(self._engine.transfer("copy", self._file(src), self._file(dst), overwrite))

    async def check_health(self) -> None:
        await self._run(self._driver.check())

    async def aclose(self) -> None:
        await self._run(self._driver.close())


class _RunReader:
    """A reader whose calls run where its filesystem runs."""

    def __init__(self, reader: Reader, run: Awaited | Pinned) -> None:
        self._reader, self._run = reader, run

    async def read(self, size: int) -> bytes:
        return await self._run(self._reader.read(size))

    async def seek(self, offset: int, whence: int) -> int:
        return await self._run(self._reader.seek(offset, whence))

    async def close(self) -> None:
        await self._run(self._reader.close())


class AsyncFsspecBackend(AsyncDriverBackend):
    """An asynchronous backend over an asynchronous fsspec filesystem that you made yourself.

    Args:
        fs: made with `asynchronous=True`, to run on the caller's loop, or without, to stay on its own.
        root: folder of it that is the root, as the filesystem spells it.

    Raises:
        ValueError: `fs` is synchronous; `AsyncStore(FsspecBackend(fs))` serves it in threads.
    """

    CAPABILITIES = GENERIC.capabilities

    def __init__(self, fs: Any, root: str = "", *, name: str | None = None) -> None:
        self._recipe = (fs, root), {"name": name}
        self._fs, self._root, self._name = fs, root, name
        if self._driver.runs == "thread":
            raise ValueError("a synchronous filesystem blocks the loop; use AsyncStore(FsspecBackend(fs))")
        self._watch_fork()

    def _make_driver(self) -> Driver:
        root = self._fs._strip_protocol(self._root) if self._root else ""
        return driver_for(self._fs, root, self._name)
