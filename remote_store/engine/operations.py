"""Every operation of the contract, written once over the verbs of a driver.

The coroutines run inline for synchronous filesystems, on a loop for asynchronous ones (`engine.run`); nothing here
knows which. A rule that all filesystems share stands here; what one filesystem can decide better itself (an atomic
create, a native wrong-type error) its driver decides, and `Profile.look_first` tells where it cannot.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from remote_store._capabilities import Capability
from remote_store._content import PART, Source
from remote_store._errors import (
    NotFound,
    below_file,
    file_missing,
    folder_missing,
    is_file,
    is_folder,
    target_exists,
)
from remote_store._models import FileInfo, FolderInfo, FolderTotals, WriteResult, write_result
from remote_store._streams import Reader
from remote_store.drivers.base import FILE, FOLDER, Driver, Page, Sink, Want, WriteOptions
from remote_store.engine.globs import Glob


class Upload:
    """A file being written: counts what goes in, and tells the result."""

    def __init__(self, engine: Engine, key: str, options: WriteOptions, sink: Sink) -> None:
        self._engine, self._key, self._options, self._sink = engine, key, options, sink
        self._size = 0

    async def write(self, data: bytes) -> None:
        await self._sink.write(data)
        self._size += len(data)

    async def commit(self) -> WriteResult:
        return self._engine.written(self._key, self._size, self._options, await self._sink.commit())

    async def abort(self) -> None:
        await self._sink.abort()


class Engine:
    """The operations of one backend; keys are normalized and below the backend's root."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.name = driver.name
        self._looks_before_reading = "read" in driver.profile.look_first
        self._looks_before_writing = "write" in driver.profile.look_first
        self._native = Capability.WRITE_RESULT_NATIVE in driver.capabilities

    # --- questions

    async def exists(self, key: str) -> bool:
        return not key or await self.driver.kind(key) is not None

    async def is_file(self, key: str) -> bool:
        return bool(key) and await self.driver.kind(key) == FILE

    async def is_folder(self, key: str) -> bool:
        return not key or await self.driver.kind(key) == FOLDER

    async def get_file_info(self, key: str) -> FileInfo:
        entry = await self.driver.info(key)
        if entry is None:
            raise file_missing(key, self.name)
        if not isinstance(entry, FileInfo):
            raise is_folder(key, self.name)
        return entry

    async def require_file(self, key: str) -> None:
        """Raise unless a file is there; a wrong type outranks a missing one."""
        kind = await self.driver.kind(key)
        if kind is None:
            raise file_missing(key, self.name)
        if kind == FOLDER:
            raise is_folder(key, self.name)

    # --- reading

    async def open_read(self, key: str) -> Reader:
        if self._looks_before_reading:
            await self.require_file(key)
        return await self.driver.open_read(key)

    async def read_bytes(self, key: str) -> bytes:
        if self._looks_before_reading:
            await self.require_file(key)
        return await self.driver.read_bytes(key)

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        if self._looks_before_reading or start == end:
            await self.require_file(key)
        return await self.driver.read_range(key, start, end) if start < end else b""

    # --- writing

    async def write(self, key: str, source: Source, options: WriteOptions) -> WriteResult:
        if source.data is None:
            upload = await self.open_upload(key, options)
            try:
                while chunk := await source.read(PART):
                    await upload.write(chunk)
                return await upload.commit()
            except BaseException:
                await upload.abort()
                raise
        if self._looks_before_writing:
            await self._check_target(key, options.replaces)
        reply = await self.driver.put(key, source.data, options)
        return self.written(key, len(source.data), options, reply)

    async def open_upload(self, key: str, options: WriteOptions) -> Upload:
        if self._looks_before_writing:
            await self._check_target(key, options.replaces)
        return Upload(self, key, options, await self.driver.open_write(key, options))

    def written(self, key: str, size: int, options: WriteOptions, reply: Mapping[str, Any]) -> WriteResult:
        return write_result(key, size, self._native, options.metadata, reply)

    async def _check_target(self, key: str, replaces: bool) -> None:
        """The order of a write's refusals: a folder, a file above it, a file there."""
        kind = await self.driver.kind(key)
        if kind == FOLDER:
            raise is_folder(key, self.name)
        if kind == FILE:
            if not replaces:
                raise target_exists(key, self.name)
            return
        ancestor = key.rpartition("/")[0]
        while ancestor and (kind := await self.driver.kind(ancestor)) is None:
            ancestor = ancestor.rpartition("/")[0]
        if ancestor and kind == FILE:
            raise below_file(key, self.name)

    # --- deleting

    async def delete(self, key: str, missing_ok: bool) -> None:
        try:
            if "remove" in self.driver.profile.look_first:
                await self.require_file(key)
            await self.driver.remove(key)
        except NotFound:
            if not missing_ok:
                raise

    async def delete_folder(self, key: str, recursive: bool, missing_ok: bool) -> None:
        try:
            if "remove" in self.driver.profile.look_first:
                await self._require_folder(key)
            await self.driver.remove_folder(key, recursive)
        except NotFound:
            if not missing_ok:
                raise

    async def _require_folder(self, key: str) -> None:
        kind = await self.driver.kind(key)
        if kind is None:
            raise folder_missing(key, self.name)
        if kind == FILE:
            raise is_file(key, self.name)

    # --- moving

    async def transfer(self, verb: str, src: str, dst: str, overwrite: bool) -> None:
        """`move` or `copy`: what is wrong with the source outranks what is wrong with the target."""
        await self.require_file(src)
        if src == dst:
            return
        await self._check_target(dst, overwrite)
        act = self.driver.move if verb == "move" else self.driver.copy
        await act(src, dst, overwrite)

    # --- listing

    async def pages(self, key: str, max_depth: int | None, want: Want) -> AsyncGenerator[Page, None]:
        if "list" in self.driver.profile.look_first and key and await self.driver.kind(key) != FOLDER:
            return
        async with aclosing(self.driver.list_pages(key, max_depth, want)) as pages:
            async for page in pages:
                yield page

    async def glob(self, pattern: str) -> AsyncGenerator[Page, None]:
        glob = Glob(pattern)
        if glob.max_depth is None or glob.max_depth >= 0:
            async with aclosing(self.pages(glob.prefix, glob.max_depth, "files")) as pages:
                async for page in pages:
                    yield [entry for entry in page if glob.matches(entry.path.as_posix())]
            return
        if await self.is_file(glob.prefix):
            yield [replace(await self.get_file_info(glob.prefix), metadata=None)]

    async def get_folder_info(self, key: str) -> FolderInfo:
        totals = FolderTotals()
        async with aclosing(self.pages(key, None, "files")) as pages:
            async for page in pages:
                for entry in page:
                    if isinstance(entry, FileInfo):
                        totals.add(entry)
        if not totals.count and key:
            await self._require_folder(key)
        return totals.info(key)
