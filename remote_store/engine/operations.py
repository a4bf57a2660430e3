"""Every operation of the contract, written once over the verbs of a driver.

The coroutines run inline for synchronous filesystems, on a loop for asynchronous ones (`engine.runners`); nothing here
knows which. Rules that all filesystems share are here. What one filesystem decides better itself (an atomic create, a
native wrong-type error) is left to its driver; `Profile.look_first` names the verbs that cannot decide it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, BinaryIO, TypeVar

from remote_store._capabilities import Capability
from remote_store._errors import (
    BackendUnavailable,
    InvalidPath,
    NotFound,
    RemoteStoreError,
    file_missing,
    folder_missing,
    found_file,
    found_file_above,
    found_folder,
    is_container_missing,
    not_whole,
    target_exists,
)
from remote_store._models import FileInfo, FolderInfo, FolderTotals, WriteResult, write_result
from remote_store._paths import check_depth, check_range
from remote_store.drivers.base import FILE, FOLDER, Driver, EntryKind, Page, Sink, Want, WriteOptions
from remote_store.engine.globs import Glob
from remote_store.io.content import Source
from remote_store.io.files import Errors
from remote_store.io.streams import BytesReader, Reader

T = TypeVar("T")


class Upload:
    """A file being written, one piece after the other; counts the bytes and makes the result.

    After a write that failed or was cancelled a piece is missing: further writes and the commit raise.
    """

    def __init__(self, engine: Engine, key: str, options: WriteOptions, sink: Sink) -> None:
        self._engine, self._key, self._options, self._sink = engine, key, options, sink
        self._size = 0
        self._file: BinaryIO | None = None
        self._lock = asyncio.Lock()
        self._broken: BaseException | None = None

    def in_place(self) -> tuple[BinaryIO, Errors] | None:
        """The file itself, where it can be written at any place, and what maps its errors."""
        found = self._sink.in_place()
        self._file = found and found[0]
        return found

    async def write(self, data: bytes) -> None:
        async with self._lock:
            self._check_whole()
            try:
                await self._sink.write(data)
            except BaseException as error:
                self._broken = error
                raise
            self._size += len(data)

    async def commit(self) -> WriteResult:
        async with self._lock:
            self._check_whole()
            size = self._size if self._file is None else self._file.seek(0, os.SEEK_END)
            return self._engine.written(self._key, size, self._options, await self._sink.commit())

    def _check_whole(self) -> None:
        if self._broken is not None:
            raise not_whole(self._broken, self._key, self._engine.name) from self._broken

    async def abort(self) -> None:
        await self._sink.abort()


class Engine:
    """The operations of one backend; keys are normalized and below the backend's root."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.name = driver.name
        self._looks_before_reading = "read" in driver.profile.look_first
        self._looks_before_writing = "write" in driver.profile.look_first
        self.opens_at_once = driver.opens_at_once and not self._looks_before_writing
        self._native = Capability.WRITE_RESULT_NATIVE in driver.capabilities

    @property
    def _flat(self) -> bool:
        """Whether its namespace is flat, which some drivers find out by their first call."""
        return self.driver.profile.flat

    # --- questions

    async def kind(self, key: str) -> EntryKind | None:
        """`FILE`, `FOLDER` or None. In a flat namespace a folder is asked for only where no file was found."""
        found = await self.driver.kind(key)
        return FOLDER if found is None and await self._has_keys_below(key) else found

    async def _has_keys_below(self, key: str) -> bool:
        """Whether a flat namespace has a folder `key`; a missing container has none."""
        if not self._flat:
            return False
        try:
            return await self.driver.has_children(key)
        except NotFound:
            return False

    async def exists(self, key: str) -> bool:
        return not key or await self.kind(key) is not None

    async def is_file(self, key: str) -> bool:
        found = await self.driver.kind(key) if key else FOLDER
        if found is None:
            await self._missed_file(key)
        return found == FILE

    async def is_folder(self, key: str) -> bool:
        if not key or self._flat:
            return not key or await self._has_keys_below(key)
        return await self.driver.kind(key) == FOLDER

    async def get_file_info(self, key: str) -> FileInfo:
        entry = await self.driver.info(key)
        if isinstance(entry, FileInfo):
            return entry
        if entry is not None:
            raise found_folder(key, self.name)
        raise await self._missed_file(key)

    async def require_file(self, key: str) -> None:
        """Raise unless a file is there; a wrong type outranks a missing one."""
        kind = await self.driver.kind(key)
        if kind is None:
            raise await self._missed_file(key)
        if kind == FOLDER:
            raise found_folder(key, self.name)

    async def _missed_file(self, key: str, reported: NotFound | None = None) -> RemoteStoreError:
        """The verdict on a file that was not found: in a flat namespace it may be a folder.

        Args:
            key: of the file.
            reported: the service's error for it. Without one, or where that decides nothing, as a 404 that any web
                server may answer, the question for a folder must be answered, or refused for lack of rights.
        """
        miss = reported or file_missing(key, self.name)
        if self._flat and not is_container_missing(miss):
            try:
                if await self.driver.has_children(key):
                    return found_folder(key, self.name)
            except NotFound as probe:
                return probe  # It names the missing container, which a HEAD cannot.
            except BackendUnavailable:
                if reported is None or not self.driver.decides(reported):
                    raise
            except RemoteStoreError:
                pass  # The first error stands when the probe fails.
        return miss

    async def check_health(self) -> None:
        await self.driver.check()

    # --- reading

    async def _reading(self, key: str, read: Callable[..., Awaitable[T]], *args: Any) -> T:
        if self._looks_before_reading:
            await self.require_file(key)
        try:
            return await read(key, *args)
        except NotFound as miss:
            if not self._flat:
                raise
            raise await self._missed_file(key, miss) from miss.__cause__

    async def open_read(self, key: str, start: int = 0, end: int | None = None, if_match: str | None = None) -> Reader:
        if not start and end is None and if_match is None:
            return await self._reading(key, self.driver.open_read)
        if start == end:  # A range of no bytes cannot be asked for.
            return BytesReader(await self.read_range(key, start, end, if_match=if_match))
        if if_match is not None:
            return await self.driver.open_part(key, start, end, if_match)
        return await self._reading(key, self.driver.open_part, start, end)

    async def sign(self, key: str, expires_in: int = 3600, method: str = "GET") -> str:
        return await self.driver.sign(key, expires_in, method)

    async def open_seekable(self, key: str) -> Reader:
        return await self._reading(key, self.driver.open_seekable)

    async def read_bytes(self, key: str) -> bytes:
        return await self._reading(key, self.driver.read_bytes)

    async def read_range(self, key: str, start: int, end: int, *, if_match: str | None = None) -> bytes:
        check_range(start, end)
        if if_match is not None:
            return await self.driver.read_matching(key, start, end, if_match)
        if start == end:
            await self.require_file(key)
            return b""
        return await self._reading(key, self.driver.read_range, start, end)

    # --- writing

    async def write(self, key: str, source: Source, options: WriteOptions) -> WriteResult:
        await self._before_write(key, options.replaces)
        if source.data is None:
            size = 0
            async with await self.driver.open_write(key, options) as sink:
                while chunk := await source.read(self.driver.stride):
                    await sink.write(chunk)
                    size += len(chunk)
                return self.written(key, size, options, await sink.commit())
        reply = await self.driver.put(key, source.data, options)
        return self.written(key, len(source.data), options, reply)

    write_atomic = write  # A driver that has ATOMIC_WRITE writes no other way.

    async def open_upload(self, key: str, options: WriteOptions) -> Upload:
        await self._before_write(key, options.replaces)
        return Upload(self, key, options, await self.driver.open_write(key, options))

    def written(self, key: str, size: int, options: WriteOptions, reply: Mapping[str, Any]) -> WriteResult:
        return write_result(key, size, self._native, options.metadata, reply)

    async def _before_write(self, key: str, replaces: bool) -> None:
        if self._looks_before_writing:
            await self._check_target(key, replaces)
        elif self._flat and self.driver.reject_write_under_file_ancestor:
            await self._check_ancestors(key)

    async def _check_target(self, key: str, replaces: bool) -> None:
        """The order of a write's refusals: a folder, a file above it, a file there."""
        kind = await self.driver.kind(key)
        if kind == FOLDER:
            raise found_folder(key, self.name)
        if kind == FILE:
            if not replaces:
                raise target_exists(key, self.name)
            return
        ancestor = key.rpartition("/")[0]
        while ancestor and (kind := await self.driver.kind(ancestor)) is None:
            ancestor = ancestor.rpartition("/")[0]
        if ancestor and kind == FILE:
            raise found_file_above(key, self.name)

    async def _check_ancestors(self, key: str) -> None:
        """Look at every ancestor of a key in a flat namespace, together."""
        parts = key.split("/")[:-1]
        ancestors = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
        if FILE in await asyncio.gather(*(self.driver.kind(ancestor) for ancestor in ancestors)):
            raise found_file_above(key, self.name)

    # --- deleting

    async def delete(self, key: str, *, missing_ok: bool = False) -> None:
        looks_first = "remove" in self.driver.profile.look_first
        try:
            if looks_first:
                await self.require_file(key)
            await self.driver.remove(key)
        except NotFound as miss:
            verdict = miss if looks_first else await self._missed_file(key, miss)
            if not (missing_ok and isinstance(verdict, NotFound)):
                raise verdict from miss.__cause__

    async def delete_folder(self, key: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        try:
            if "remove" in self.driver.profile.look_first and not self._flat:
                await self._require_folder(key)
            await self.driver.remove_folder(key, recursive)
        except NotFound as miss:
            if self._flat and not is_container_missing(miss) and await self._is_known_file(key):
                raise found_file(key, self.name) from None
            if not missing_ok:
                raise

    async def _require_folder(self, key: str, found: bool | None = None) -> None:
        """Raise unless a folder is there; `found`: whether a flat listing of it had any key, where one was made."""
        if found and self._flat:
            return
        if found is not None and self._flat:
            raise (found_file if await self._is_known_file(key) else folder_missing)(key, self.name)
        kind = await self.kind(key)
        if kind is None:
            raise folder_missing(key, self.name)
        if kind == FILE:
            raise found_file(key, self.name)

    async def _is_known_file(self, key: str) -> bool:
        """Whether a file stands where no folder was found; the first verdict stands when the probe fails."""
        with suppress(RemoteStoreError):
            return await self.driver.kind(key) == FILE
        return False

    # --- moving

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        await self._transfer("move", src, dst, overwrite)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        await self._transfer("copy", src, dst, overwrite)

    async def _transfer(self, verb: str, src: str, dst: str, overwrite: bool) -> None:
        """What is wrong with the source outranks what is wrong with the target."""
        act = self.driver.move if verb == "move" else self.driver.copy
        if src == dst or not self._flat:
            if src == dst or not self.driver.profile.judges_ends:
                await self.require_file(src)
            if src == dst:
                return
            if not self.driver.profile.judges_ends:
                await self._check_target(dst, overwrite)
        else:
            await self._before_flat_transfer(src, dst, overwrite)
        try:
            await act(src, dst, overwrite)
        except NotFound as miss:
            if not self._flat:
                raise
            # A move knows its source from a HEAD, whose 404 decides nothing by itself.
            reported = miss if verb == "copy" or is_container_missing(miss) else None
            raise await self._missed_file(src, reported) from miss.__cause__

    async def _before_flat_transfer(self, src: str, dst: str, overwrite: bool) -> None:
        """Look no further than needed: the service itself reports a missing source."""
        if self.driver.reject_write_under_file_ancestor and "/" in dst:
            await self.require_file(src)
            await self._check_ancestors(dst)
        if not overwrite and await self.driver.kind(dst) == FILE:
            await self.require_file(src)
            raise target_exists(dst, self.name)

    # --- listing

    def list_files(
        self, key: str, *, recursive: bool = False, max_depth: int | None = None
    ) -> AsyncGenerator[Page, None]:
        check_depth(max_depth)
        return self.pages(key, max_depth if recursive else 0, "files")

    def list_folders(self, key: str) -> AsyncGenerator[Page, None]:
        return self.pages(key, 0, "folders")

    def walk_folders(self, key: str, max_depth: int) -> AsyncGenerator[Page, None]:
        check_depth(max_depth)
        return self.pages(key, max_depth, "folders")

    def iter_children(self, key: str) -> AsyncGenerator[Page, None]:
        return self.pages(key, 0, "both")

    async def pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = "", strict: bool = False
    ) -> AsyncGenerator[Page, None]:
        """Pages of a listing; what is missing is empty, but for a container if it is `strict`."""
        if "list" in self.driver.profile.look_first and key and await self.driver.kind(key) != FOLDER:
            return
        first = True
        async with aclosing(self.driver.list_pages(key, max_depth, want, name_prefix)) as pages:
            try:
                async for page in pages:
                    first = False
                    yield page
            except NotFound as miss:
                if not first or (strict and is_container_missing(miss)):
                    raise  # A container that vanishes in between is an error, not an end.

    async def glob(self, pattern: str) -> AsyncGenerator[Page, None]:
        glob = Glob(pattern)
        if glob.max_depth is None or glob.max_depth >= 0:
            async with aclosing(self.pages(glob.prefix, glob.max_depth, "files", glob.name_prefix)) as pages:
                async for page in pages:
                    yield [entry for entry in page if glob.matches(entry.path.as_posix())]
        else:
            with suppress(InvalidPath, NotFound):  # A link out of the root is absent to listings, as is a container.
                if isinstance(entry := await self.driver.info(glob.prefix), FileInfo):
                    yield [replace(entry, metadata=None)]
                elif entry is None:
                    await self._missed_file(glob.prefix)

    async def get_folder_info(self, key: str) -> FolderInfo:
        totals, found = FolderTotals(), False
        async with aclosing(self.pages(key, None, "files", strict=bool(key))) as pages:
            async for page in pages:
                found = True
                for entry in page:
                    if isinstance(entry, FileInfo):
                        totals.add(entry)
        if not totals.count and key:
            await self._require_folder(key, found)
        return totals.info(key)
