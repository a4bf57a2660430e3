"""The driver of SFTP: few round trips, many requests in flight, every write published whole."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from asyncssh import SFTPError

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import (
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    PermissionDenied,
    RemoteStoreError,
    file_missing,
    folder_missing,
    found_file,
    found_folder,
    not_empty,
    source_changed,
    storage_full,
    target_exists,
)
from remote_store._models import FileInfo, FolderEntry
from remote_store.drivers.base import FILE, FOLDER, Driver, EntryKind, Page, Want, WriteOptions
from remote_store.drivers.errors import DENIED
from remote_store.drivers.profiles import SFTP
from remote_store.drivers.sftp.again import again
from remote_store.drivers.sftp.channel import Channel, attributes_in, done, handle_in
from remote_store.drivers.sftp.connecting import Connections
from remote_store.drivers.sftp.errors import CONNECTING, FAILURE, UNCLEAR, by_code, of_connection, too_long
from remote_store.drivers.sftp.folders import Listing, entry_of, is_empty, remove_empty, remove_tree
from remote_store.drivers.sftp.moving import rename
from remote_store.drivers.sftp.packets import (
    NO_ATTRIBUTES,
    READ,
    READ_ONLY,
    STATVFS,
    Ask,
    Attributes,
    Space,
    space_in,
)
from remote_store.drivers.sftp.places import Look, Place, encoded
from remote_store.drivers.sftp.reading import AT_ONCE, SFTPReader, read_at_once
from remote_store.drivers.sftp.writing import LinkTrial, SFTPSink, sync_folder

_log = logging.getLogger(__name__)
Pages = AsyncGenerator[Page, None]
Judge = Callable[[SFTPError], Awaitable[RemoteStoreError | None]]


class SFTPDriver(Driver):
    """Files below the folder `root` of a server.

    Args:
        fs: the filesystem of fsspec.
        connections: to the server.
        root: folder that is the root; relative ones begin at the home folder.
        name: of the backend.
        durable: whether writes, moves and deletes wait for the server's disk.
    """

    profile = SFTP
    runs = "native"

    def __init__(
        self, fs: Any, connections: Connections, root: str, *, name: str = "sftp", durable: bool = False
    ) -> None:
        super().__init__(name, "/" if root.startswith("/") and not root.strip("/") else root.rstrip("/"))
        self._fs, self.connections, self.durable = fs, connections, durable
        self.capabilities = SFTP.capabilities

    # --- naming

    @property
    def fs(self) -> Any:
        return self._fs

    def native(self, key: str) -> str:
        if not key or not self.root:
            return key or self.root
        return f"{self.root.rstrip('/')}/{key}"

    def key(self, native: str) -> str | None:
        path = "/" + native.partition("://")[2].partition("/")[2] if "://" in native else native
        if path.rstrip("/") == self.root.rstrip("/"):
            return ""
        if not self.root:
            return None if path.startswith("/") else path
        prefix = self.root.rstrip("/") + "/"
        return path[len(prefix) :] if path.startswith(prefix) else None

    def check_key(self, key: str) -> None:
        try:
            same = encoded(key).decode("utf-8", "surrogateescape") == key
        except UnicodeEncodeError:
            same = False
        if not same:
            raise InvalidPath("Path cannot be encoded for this filesystem", path=key, backend=self.name)

    def details(self) -> dict[str, Any]:
        return {"host": self.connections.connector.place, "root": self.root or "."}

    # --- calls

    @asynccontextmanager
    async def talking(self, key: str, judge: Judge | None = None) -> AsyncIterator[None]:
        """Map what talking to the server raises; `judge` may find out more about a refusal."""
        try:
            yield
        except SFTPError as error:
            verdict = None
            if error.code in UNCLEAR:
                try:
                    verdict = (judge and await judge(error)) or await self.why(error, key)
                except (*CONNECTING, SFTPError):
                    pass  # The first error stands where a question fails.
            raise verdict or by_code(error, key, self.name) from error
        except CONNECTING as error:
            if isinstance(error, RemoteStoreError):
                raise
            cause = error.__cause__ if error.__cause__ is not None else error
            raise of_connection(error, key, self.name, self.connections.connector.place) from cause

    async def why(self, error: SFTPError, key: str) -> RemoteStoreError | None:
        """Why a server failed that told no reason: no space, or a file system that is read only."""
        if error.code != FAILURE:
            return None
        if too_long(encoded(key)):
            message = "Path is not valid on this filesystem: a name in it is too long"
            return InvalidPath(message, path=key, backend=self.name)
        channel = await self.connections.channel()
        folder = key
        while channel.can("statvfs"):
            folder = folder.rpartition("/")[0]
            reply = await channel.answer(channel.ask_extended(STATVFS, encoded(self.native(folder) or ".")))
            if isinstance(reply, bytes):
                space: Space = space_in(reply)
                if space.flags & READ_ONLY:
                    return PermissionDenied(f"{DENIED}: the file system is read only", path=key, backend=self.name)
                return storage_full(key, self.name) if space.is_full else None
            if not folder:
                return None
        return None

    async def _channel(self, key: str) -> Channel:
        async with self.talking(key):
            return await self.connections.channel()

    async def _look(self, key: str) -> Place:
        channel = await self._channel(key)
        async with self.talking(key):
            return await Look(channel, self.root, key, self.name).place()

    look = again(_look)
    """Where a key leads."""

    def try_links(self, channel: Channel, path: bytes) -> LinkTrial | None:
        """Ask whether hard links decide between writers, beside a file; None where that is known."""
        if channel.links is None and not channel.can("hardlink"):
            channel.links = False
        return LinkTrial(channel, path, self.connections.litter) if channel.links is None else None

    async def links(self, channel: Channel, trial: LinkTrial | None) -> bool:
        """Whether hard links decide between writers; without, exclusive creation is not to be had."""
        if trial is not None:
            channel.links = await trial.holds()
        if not channel.links and Capability.EXCLUSIVE_CREATE in self.capabilities:
            self.capabilities = CapabilitySet(self.capabilities - {Capability.EXCLUSIVE_CREATE})
            _log.warning("%s has no hard links that refuse to replace: no exclusive creation", self.details()["host"])
        return bool(channel.links)

    # --- questions

    async def kind(self, key: str) -> EntryKind | None:
        try:
            place = await self.look(key)
            found = place.entry and place.seen(self.name)
        except InvalidPath:
            return None
        return None if found is None else FOLDER if found.is_folder else FILE

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        place = await self.look(key)
        return None if place.entry is None else entry_of(key, place.seen(self.name))

    # --- reading

    async def _open(self, key: str) -> tuple[Channel, bytes, Attributes]:
        """A file that is open to be read, and what is known of it."""
        place = await self._look(key)
        found = place.readable(self.name)
        channel = await self._channel(key)
        async with self.talking(key):
            opened = await channel.answer(channel.ask_path(Ask.OPEN, place.real, READ, NO_ATTRIBUTES))
            return channel, handle_in(opened), found

    async def read_bytes(self, key: str) -> bytes:
        return await self._read(key, 0, None)

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        return await self._read(key, start, end)

    @again
    async def _read(self, key: str, start: int, end: int | None) -> bytes:
        channel, handle, found = await self._open(key)
        size = found.size or 0
        last = min(size + 1, end) if end is not None else size + 1
        if last - start <= AT_ONCE and found.size is not None:
            async with self.talking(key):
                if start >= size > 0 or (end is not None and start >= size):
                    channel.close_handle(handle)
                    return b""
                data = await read_at_once(channel, handle, start, last, size)
            if data is not None:
                return data
            channel, handle, found = await self._open(key)
        reader = SFTPReader(self, key, channel, handle, found.size or 0)
        try:
            await reader.seek(start, 0)
            pieces, left = [], end - start if end is not None else 1 << 62
            while left > 0 and (piece := await reader.read(min(left, AT_ONCE))):
                pieces.append(piece)
                left -= len(piece)
        finally:
            await reader.close()
        return b"".join(pieces)

    @again
    async def open_read(self, key: str) -> SFTPReader:
        channel, handle, found = await self._open(key)
        return SFTPReader(self, key, channel, handle, found.size or 0)

    # --- writing

    async def open_write(self, key: str, options: WriteOptions) -> SFTPSink:
        sink = SFTPSink(self, key, options)
        await sink.begin(await self._channel(key))
        return sink

    @again
    async def _ends(self, src: str, dst: str, overwrite: bool) -> tuple[Place, Place]:
        """Both ends of a transfer, looked at together; the faults of the source come first."""
        channel = await self._channel(src)
        looks = Look(channel, self.root, src, self.name), Look(channel, self.root, dst, self.name)
        async with self.talking(src):
            source = await looks[0].place()
            source.readable(self.name)
        async with self.talking(dst):
            target = await looks[1].place()
        target.check_writable(self.name)
        if target.entry is not None and not overwrite:
            raise target_exists(dst, self.name)
        return source, target

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        source, target = await self._ends(src, dst, overwrite)
        await self._copy(source, target, overwrite)

    async def _copy(self, source: Place, target: Place, overwrite: bool) -> None:
        channel, found = await self._channel(source.key), source.readable(self.name)
        async with self.talking(source.key):
            opening = channel.ask_path(Ask.OPEN, source.real, READ, NO_ATTRIBUTES)
        sink = SFTPSink(self, target.key, WriteOptions(overwrite), found.mode)
        try:
            await sink.begin(channel, target)
        except BaseException as error:
            channel.discard(opening)
            if isinstance(error, RemoteStoreError):  # What is wrong with the source comes first.
                async with self.talking(source.key):
                    handle_in(await channel.answer(opening))
            raise
        async with sink:
            async with self.talking(source.key):
                handle = handle_in(await channel.answer(opening))
            reader = SFTPReader(self, source.key, channel, handle, found.size or 0)
            try:
                if channel.can("copy_data"):
                    await sink.copy_from(handle, await reader.seek(0, 2) if found.size is None else found.size)
                else:
                    while data := await reader.read(AT_ONCE):
                        await sink.write(data)
                await sink.commit()
            finally:
                await reader.close()

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        source, target = await self._ends(src, dst, overwrite)
        channel = await self._channel(src)
        if (
            source.entry is not None
            and not source.entry.is_link
            and await rename(self, channel, source, target, overwrite)
        ):
            return
        # A link may lose its target by moving, and no file is renamed to another device: move the content.
        await self._copy(source, target, overwrite)
        async with self.talking(src):
            if await channel.answer(channel.ask_path(Ask.LSTAT, source.path)) != source.entry:
                raise source_changed(src, dst, self.name)
            done(await channel.answer(channel.ask_path(Ask.REMOVE, source.path)))

    # --- deleting

    async def remove(self, key: str) -> None:
        place = await self.look(key)
        if place.entry is None:
            raise file_missing(key, self.name)
        if place.target is not None and place.target.is_folder and not place.outside:
            raise found_folder(key, self.name)
        channel = await self._channel(key)
        async with self.talking(key):
            done(await channel.answer(channel.ask_path(Ask.REMOVE, place.path)))
            if self.durable:
                await sync_folder(channel, place.path)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        place = await self.look(key)
        if place.entry is None:
            raise folder_missing(key, self.name)
        if not place.seen(self.name).is_folder:
            raise found_file(key, self.name)
        channel = await self._channel(key)
        async with self.talking(key):
            if place.entry.is_link:
                if not recursive and not await is_empty(channel, place.real):
                    raise not_empty(key, self.name)
                done(await channel.answer(channel.ask_path(Ask.REMOVE, place.path)))
            elif not recursive:
                if not await remove_empty(channel, place.path):
                    raise not_empty(key, self.name)
            elif not await remove_tree(channel, place.path):
                message = "Folder is not empty: others write there while it is being deleted"
                raise DirectoryNotEmpty(message, path=key, backend=self.name)
            if self.durable:
                await sync_folder(channel, place.path)

    # --- listing

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        begun = await self._first_page(key, max_depth, want)
        if begun is None:
            return
        pages, page = begun
        async with aclosing(pages):
            while page is not None:
                yield page
                async with self.talking(key):
                    page = await anext(pages, None)

    @again
    async def _first_page(self, key: str, max_depth: int | None, want: Want) -> tuple[Pages, Page | None] | None:
        """The pages of a listing, but for the first, and that one; None where no folder is."""
        try:
            place = await self._look(key)
            if place.entry is None or not place.seen(self.name).is_folder:
                return None
        except InvalidPath:
            return None
        channel = await self._channel(key)
        pages = Listing(channel, self.root, want, self.name).pages(key, place.real, max_depth)
        async with self.talking(key):
            return pages, await anext(pages, None)

    @again
    async def check(self) -> None:
        channel = await self._channel("")
        async with self.talking(""):
            path = encoded(self.root or ".")
            looked, opened = await channel.answers(
                channel.ask_path(Ask.STAT, path), channel.ask_path(Ask.OPENDIR, path)
            )
            if isinstance(opened, bytes):
                channel.close_handle(opened)
        if isinstance(looked, SFTPError) and looked.code == 2:
            raise NotFound(f"Root folder {self.root!r} not found", path=".", backend=self.name) from looked
        async with self.talking(""):
            if not attributes_in(looked).is_folder:
                raise InvalidPath(f"Root {self.root!r} is not a folder", path=".", backend=self.name)
            handle_in(opened)

    async def close(self) -> None:
        await self.connections.close()
