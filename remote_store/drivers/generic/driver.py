"""Any fsspec filesystem, by methods that take one literal key; nothing a filesystem reports is relied on unchecked.

The facts behind each choice: `exists`, `isfile` and `isdir` hide outages; `rm`, `copy` and `mv` expand globs;
`mode="create"` and `"xb"` are ignored by many; `open("wb")` publishes a half-written file when its block raises.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from typing import Any

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import (
    AlreadyExists,
    CapabilityNotSupported,
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    RemoteStoreError,
    container_missing,
    not_empty,
    unsupported,
)
from remote_store._models import FileInfo, FolderEntry, file_info, folder_entry
from remote_store._paths import join, redact
from remote_store.drivers.base import Driver, Page, Want, WriteOptions
from remote_store.drivers.errors import ABSENT, from_any_error
from remote_store.drivers.generic.files import GenericReader, GenericSink
from remote_store.drivers.generic.filesystem import (
    ARCHIVES,
    capabilities_of,
    container_of,
    first,
    is_async,
    layers_of,
    lock_of,
    place_of,
    time_of,
)
from remote_store.drivers.profiles import GENERIC
from remote_store.drivers.reasons import is_silence, kinds
from remote_store.drivers.registry import protocols_of
from remote_store.drivers.trees.walk import walk
from remote_store.io.content import PART
from remote_store.io.ranges import RangeReader, skip, whole
from remote_store.io.streams import BytesReader, Reader

_NEEDS = {
    **dict.fromkeys(("open", "cat_file"), Capability.READ),
    "rm_file": Capability.DELETE,
    "rmdir": Capability.DELETE,
    "cp_file": Capability.COPY,
    "ls": Capability.LIST,
    "info": Capability.METADATA,
}
"""The capability that a filesystem lacks when it leaves a method unimplemented; WRITE for the others."""

_TIME_KEYS = ("mtime", "modified", "last_modified", "LastModified", "Last-Modified", "updated", "modify")
_ETAG_KEYS = ("etag", "ETag")
_TYPE_KEYS = ("content_type", "ContentType", "contentType", "mimetype")


def facts(entry: FileInfo | FolderEntry | None) -> tuple[Any, ...]:
    """What an entry has in common with the same file under another name."""
    return (entry.size, entry.modified_at, entry.etag) if isinstance(entry, FileInfo) else (entry,)


class GenericDriver(Driver):
    """Keys below `root` of any fsspec filesystem, synchronous or asynchronous.

    Args:
        fs: the filesystem.
        root: folder of it that is the root, as it spells it.
        name: of the backend.
        capabilities: what `certify` proved of this kind of filesystem; by default what all have.
    """

    profile = GENERIC

    def __init__(self, fs: Any, root: str, name: str, capabilities: CapabilitySet | None = None) -> None:
        super().__init__(name, root)
        self._fs = self._verbs = fs
        self._async = is_async(fs)
        self.runs = "native" if self._async else "thread"
        self.capabilities = capabilities_of(fs) if capabilities is None else capabilities
        self.lock: AbstractContextManager[Any] = lock_of(fs)
        self._takes_ranges = False
        self._only_new = any(ARCHIVES.intersection(protocols_of(layer)) for layer in layers_of(fs))

    @property
    def fs(self) -> Any:
        return self._fs

    def native(self, key: str) -> str:
        return join(self.root, key) if self.root != "/" else "/" + key

    def key(self, native: str) -> str | None:
        path = self._fs._strip_protocol(native)
        if path.strip("/") == self.root.strip("/"):
            return ""
        prefix = self.root.rstrip("/") + "/" if self.root else ""
        return path[len(prefix) :].strip("/") if path.startswith(prefix) else None

    def details(self) -> dict[str, Any]:
        if self.container:
            return {self._container[0]: self.container, "root": redact(self.root.strip("/")[len(self.container) + 1 :])}
        return {**({"host": self.place} if self.place and "://" not in self.root else {}), "root": redact(self.root)}

    @cached_property
    def _container(self) -> tuple[str, str]:
        return container_of(self._fs, self.root)

    @property
    def container(self) -> str:
        """The bucket or container of the root; `""` where there is none."""
        return self._container[1]

    @cached_property
    def place(self) -> str:
        """Host and port of the service, where the filesystem tells."""
        return place_of(self._fs, self.root)

    async def call(self, verb: str, key: str, *args: Any, writing: bool = False, **options: Any) -> Any:
        """Call a method of the filesystem, one at a time for synchronous ones, with its errors mapped."""
        try:
            if self._async:
                # fsspec's one coroutine without an underscore.
                method = getattr(self._fs, "open_async" if verb == "open" else "_" + verb, None)
                if method is None:
                    raise NotImplementedError(verb)
                return await method(*args, **options)
            with self.lock:
                return getattr(self._verbs, verb)(*args, **options)
        except RemoteStoreError:
            raise
        except NotImplementedError as error:
            raise unsupported(_NEEDS.get(verb, Capability.WRITE).value, key, self.name) from error
        except Exception as error:
            raise self.verdict(error, key, writing) from error

    def verdict(self, error: Exception, key: str, writing: bool = False) -> RemoteStoreError:
        """The contract's error for what the filesystem raised."""
        return from_any_error(error, key, self.name, writing=writing, place=self.place)

    async def _fresh(self, verb: str, key: str) -> Any:
        """Ask about `key`, after the filesystem has dropped its cached listings."""
        try:
            with self.lock:
                for layer in layers_of(self._fs):
                    layer.invalidate_cache()
        except Exception as error:
            raise self.verdict(error, key) from error
        return await self.call(verb, key, self.native(key), **({"detail": True} if verb == "ls" else {}))

    # --- questions

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        try:
            return self._entry(key, await self._fresh("info", key))
        except NotFound:
            return None
        except InvalidPath as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in ABSENT:
                return None
            raise

    def _entry(self, key: str, info: Mapping[str, Any]) -> FileInfo | FolderEntry:
        if info.get("type") == "directory":
            return folder_entry(key)
        etag, version = first(info, _ETAG_KEYS), info.get("VersionId") or info.get("version_id")
        return file_info(
            key,
            int(info.get("size") or 0),
            time_of(first(info, _TIME_KEYS)),
            etag.strip('"') if isinstance(etag, str) else None,
            first(info, _TYPE_KEYS),
            extra={"version_id": version} if version else None,
        )

    # --- reading

    async def read_bytes(self, key: str) -> bytes:
        return bytes(await self.call("cat_file", key, self.native(key)))

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        try:
            data = bytes(await self.call("cat_file", key, self.native(key), start=start, end=end))
        except RemoteStoreError as error:
            if type(error) is not RemoteStoreError:
                raise
            # Some give it by an open file alone: arrow one that begins a file, obstore one that ends behind it.
            return await whole(await self.open_part(key, start, end))
        # Some filesystems ignore the range and send the whole file (sshfs).
        if len(data) > end - start:
            return data[start:end]
        if start and not (self._takes_ranges and len(data) == end - start):
            info = await self.info(key)
            if isinstance(info, FileInfo) and len(data) == info.size:
                return data[start:end]
            self._takes_ranges = True
        return data

    async def open_read(self, key: str) -> GenericReader:
        try:
            file = await self.call("open", key, self.native(key), "rb")
        except RemoteStoreError as error:
            if not self._async or not isinstance(error.__cause__, NotImplementedError):
                raise
            file = BytesReader(await self.read_bytes(key))
        return GenericReader(self, key, file)

    async def open_part(self, key: str, start: int, end: int | None, etag: str | None = None) -> Reader:
        reader = await self.open_read(key)
        try:
            there = 0
            with suppress(RemoteStoreError, TypeError):  # Files say in many ways that they do not seek.
                there = await reader.seek(start, 0)
            if there != start:
                await reader.close()
                reader = await self.open_read(key)
                await skip(reader, start)
        except BaseException:
            await reader.close()
            raise
        return RangeReader(reader, start, end)

    # --- writing

    async def open_write(self, key: str, options: WriteOptions) -> GenericSink:
        return GenericSink(self, key)

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        await self.store(key, "pipe_file", self.native(key), data)
        return {}

    async def store(self, key: str, verb: str, *args: Any) -> None:
        """Write through `verb`, and again after creating the folder above if that was missing."""
        if self._only_new and isinstance(await self.info(key), FileInfo):  # An archive would keep both.
            raise AlreadyExists("File already exists: an archive replaces none", path=key, backend=self.name)
        try:
            await self.call(verb, key, *args, writing=True)
            return
        except RemoteStoreError as error:
            if is_silence(error):
                raise
            if isinstance(error, NotFound) and self.container:
                await self._ask_container(key)
                raise
            # Filesystems report a missing folder in many ways (FTP: 550), so ask instead of guessing.
            parent, exists = key.rpartition("/")[0], None
            with suppress(RemoteStoreError):  # The first error stands when the question fails.
                exists = await self.info(parent) is not None
            # Another writer may have made it meanwhile; other kinds of error are not for want of a folder.
            if exists is None or (exists and (not parent or type(error) not in (RemoteStoreError, NotFound))):
                raise
        if not exists:
            try:
                await self.call("makedirs", key, self.native(parent), exist_ok=True, writing=True)
            except RemoteStoreError:
                if await self.info(parent) is None:  # Else somebody else was faster.
                    raise
        await self.call(verb, key, *args, writing=True)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        try:
            await self.store(dst, "cp_file", self.native(src), self.native(dst))
        except RemoteStoreError as error:
            # An error of no known kind comes from how the filesystem copies: sshfs runs `cp` on the server, which may
            # have none, or refuse the session for it.
            cause = error.__cause__
            cannot_copy = isinstance(cause, NotImplementedError) or "ChannelOpenError" in kinds(cause)
            if not (cannot_copy or type(error) is RemoteStoreError):
                raise
            reader = await self.open_read(src)
            try:
                async with GenericSink(self, dst) as sink:
                    while data := await reader.read(PART):
                        await sink.write(data)
                    await sink.commit()
            finally:
                await reader.close()

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        if not overwrite or facts(await self.info(src)) != facts(await self.info(dst)):
            return await self._move(src, dst, overwrite)
        # A link may make it one file by two names: move it through a third name, which certainly is another file.
        aside = f"{dst}.{secrets.token_hex(8)}"
        await self._move(src, aside, overwrite)
        try:
            await self._move(aside, dst, overwrite)
        except BaseException:
            with suppress(RemoteStoreError):
                await self._move(aside, src, overwrite)
            raise

    async def _move(self, src: str, dst: str, overwrite: bool) -> None:
        before = await self.info(src)
        await self.copy(src, dst, overwrite)
        after = await self.info(dst)
        if not isinstance(before, FileInfo) or not isinstance(after, FileInfo) or before.size != after.size:
            raise RemoteStoreError("The copy differs from its source, which stays", path=dst, backend=self.name)
        await self.remove(src)

    # --- deleting

    async def remove(self, key: str) -> None:
        await self.call("rm_file", key, self.native(key), writing=True)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        if not recursive and await self._children(key):
            raise not_empty(key, self.name)
        waiting, folders = [key], []
        while waiting:
            folder = waiting.pop()
            folders.append(folder)
            for native, info in await self._children(folder):
                below = join(folder, native.rpartition("/")[2])
                if info.get("type") == "directory":
                    waiting.append(below)
                else:
                    await self.call("rm_file", below, native, writing=True)
        for folder in reversed(folders):
            try:
                await self.call("rmdir", folder, self.native(folder), writing=True)
            except (NotFound, DirectoryNotEmpty, CapabilityNotSupported):
                if await self._children(folder) and not (recursive and await self._sweep(folder)):
                    raise not_empty(folder, self.name) from None

    async def _sweep(self, folder: str) -> bool:
        """Delete files in a folder that no path can spell (`a//b`), by their own names; whether nothing is left."""
        inside = self.native(folder).strip("/") + "/"
        for native in await self.call("find", folder, self.native(folder)):
            if str(native).lstrip("/").startswith(inside):
                with suppress(NotFound):
                    await self.call("rm_file", folder, native, writing=True)
        with suppress(NotFound):
            await self.call("rmdir", folder, self.native(folder), writing=True)
        return not await self._children(folder)

    # --- listing

    async def _children(self, key: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Native name and description of what is in a folder; nothing for a missing one."""
        try:
            entries = await self._fresh("ls", key)
        except NotFound:
            return []
        folder = self.native(key).strip("/")
        named = [(str(entry["name"]).rstrip("/"), entry) for entry in entries]
        return [(name, entry) for name, entry in named if name.strip("/") != folder]

    def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        return walk(self._entries, key, max_depth, want, self.name)

    async def _entries(self, folder: str) -> Iterable[tuple[str, FileInfo | FolderEntry]]:
        named = [(native.rpartition("/")[2], info) for native, info in await self._children(folder)]
        return ((name, self._entry(join(folder, name), info)) for name, info in named)

    async def check(self) -> None:
        try:
            await self._fresh("ls", "")
        except NotFound as error:
            if not self.container:
                raise NotFound(f"Folder {redact(self.root)!r} not found", path="", backend=self.name) from error
            await self._ask_container("")  # A prefix exists only while something is below it.

    async def _ask_container(self, key: str) -> None:
        """Raise `NotFound` that names the container, if that is missing."""
        try:
            await self.call("info", key, self.container)
        except NotFound as error:
            raise container_missing(self.container, key, self.name) from error

    async def close(self) -> None:
        """Close the filesystem, if it was made for this driver and can be closed."""
        if not self.owned:
            return
        if (stack := vars(self._fs).get("_stack")) is not None:  # sshfs
            await self._fs._pool.close()
            await stack.aclose()
            return
        if session := getattr(self._fs, "_session", None):
            await session.close()
        elif "archive" in {base.__module__.rpartition(".")[2] for base in type(self._fs).__mro__}:
            (self._fs if hasattr(self._fs, "close") else self._fs.of).close()  # LibArchiveFileSystem has no `close`.
