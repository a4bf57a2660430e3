"""Any fsspec filesystem as an asynchronous backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from remote_store._capabilities import Capability
from remote_store._paths import file_key
from remote_store.aio._backend import AsyncMadeBackend
from remote_store.backends._engine import EngineBackend, on_engine
from remote_store.backends._fsspec import FsspecBackend, UserFilesystem
from remote_store.bridges.threads import SyncBackendAdapter
from remote_store.drivers.base import Driver
from remote_store.engine.runners import Awaited, Pinned
from remote_store.io.files import AsyncAtomicWriter, async_seekable_file
from remote_store.io.streams import CHUNK, AsyncReadStream

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class AsyncDriverBackend(EngineBackend, AsyncMadeBackend, make=on_engine):
    """An asynchronous backend over a driver whose verbs do not block."""

    @cached_property
    def _run(self) -> Awaited:
        driver = self._driver
        return Pinned(driver.fs.loop) if driver.runs == "native" and not driver.fs.asynchronous else Awaited()

    async def read(
        self, path: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[bytes]:
        reader = await self._run(self._engine.open_read(self._key(path, file_key), start, end, if_match))
        try:
            while chunk := await self._run(reader.read(CHUNK)):
                yield chunk
        finally:
            await self._run(reader.close())

    async def read_seekable(self, path: str) -> AsyncReadStream:
        if Capability.SEEKABLE_READ not in self.capabilities:
            return await super().read_seekable(path)
        reader = await self._run(self._engine.open_seekable(self._key(path, file_key)))
        return AsyncReadStream(reader, self._run)

    @asynccontextmanager
    async def open_atomic(
        self, path: str, *, overwrite: bool = False, seekable: bool = False, **options: Any
    ) -> AsyncIterator[AsyncAtomicWriter]:
        upload = await self._open_upload(path, overwrite, **options)
        if seekable:
            async with async_seekable_file(upload, self._run, path, self.name) as file:
                yield file
            return
        file = AsyncAtomicWriter(lambda data: self._run(upload.write(data)))
        try:
            yield file
            file.close()
            file.result = await self._run(upload.commit())
        except BaseException:
            file.close()
            await self._run(upload.abort())
            raise

    async def aclose(self) -> None:
        await self._run(self._driver.close())
        self._after_close()


class AsyncFsspecBackend(UserFilesystem, AsyncDriverBackend):
    """An asynchronous backend over an asynchronous fsspec filesystem that you made yourself.

    What an `AsyncFileSystemWrapper` wraps is used by itself, each operation in a thread.

    Args:
        fs: made with `asynchronous=True`, to run on the caller's loop, or without, to stay on its own.
        root: folder of it that is the root, as the filesystem spells it.
        name: of the backend; the filesystem's protocol unless given.

    Raises:
        ValueError: `fs` is synchronous; `AsyncStore(FsspecBackend(fs))` serves it in threads.
    """

    def __init__(self, fs: AbstractFileSystem, root: str = "", *, name: str | None = None) -> None:
        if type(self) is AsyncFsspecBackend and hasattr(fs, "_strip_protocol") and _blocks_inside(fs):
            self.__class__ = _InThreads
            _InThreads.__init__(self, fs, root, name=name)  # type: ignore[arg-type]
        else:
            super().__init__(fs, root, name=name)

    def _check_driver(self, driver: Driver) -> None:
        if driver.runs == "thread":
            raise ValueError("a synchronous filesystem blocks the loop; use AsyncStore(FsspecBackend(fs))")


def _blocks_inside(fs: Any) -> bool:
    """Whether a filesystem only makes coroutines of one that blocks."""
    from remote_store.drivers.registry import runs_of
    from remote_store.drivers.wrappers import inside

    found = inside(fs)
    return found.looped and runs_of(found.fs) == "thread"


class _InThreads(SyncBackendAdapter, AsyncFsspecBackend):
    """`AsyncFsspecBackend` over what blocks."""

    _inner: FsspecBackend

    def __init__(self, fs: AbstractFileSystem, root: str = "", *, name: str | None = None) -> None:
        SyncBackendAdapter.__init__(self, FsspecBackend(fs, root, name=name))
        self._recipe = self._inner.recipe()

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, (_, args, options) = self._inner.__reduce__()
        return rebuild, (AsyncFsspecBackend, args, options)

    def adopt(self) -> Self:
        self._inner.adopt()
        return self

    @property
    def _driver(self) -> Driver:
        return self._inner.driver
