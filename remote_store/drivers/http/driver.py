"""The driver of files of web servers: one GET a read, one HEAD a question, keys as they are, nothing written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

import aiohttp

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import BackendUnavailable, InvalidPath, NotFound, closed, found_folder, unsupported
from remote_store._models import FileInfo, FolderEntry, folder_entry
from remote_store._paths import join, spellable
from remote_store.drivers.base import FILE, FOLDER, Driver, EntryKind, Page, Want
from remote_store.drivers.http.errors import Folder, Site, mapped
from remote_store.drivers.http.index import LONGEST, decoded, names_in
from remote_store.drivers.http.reading import HTTPReader
from remote_store.drivers.http.replies import Facts
from remote_store.drivers.http.session import Session
from remote_store.drivers.http.unpacking import content_of
from remote_store.drivers.objects.seeking import Seeker
from remote_store.drivers.objects.where import forget_failure
from remote_store.drivers.objects.wire import Malformed
from remote_store.drivers.profiles import HTTP
from remote_store.drivers.trees.walk import walk
from remote_store.io.blocking import BlockingFile
from remote_store.io.content import PART, spool, spooling
from remote_store.io.ranges import RangeReader, whole
from remote_store.io.streams import Reader

NO_HEAD = frozenset({403, 405, 501})
"""Answers to a HEAD by servers, and signed URLs, that take a GET."""
ANSWERS = frozenset(range(200, 500)) - {401, 407, 408, 429}
"""By which a server shows that it is there: a folder need not have a page."""
TOGETHER = 16
"""Files of a listing that are asked for at a time."""
INDEXED = frozenset({Capability.LIST, Capability.GLOB})


class Errors:
    """See `HTTPDriver.errors`: of many reads at once each has one, so it is small, as collections look at all."""

    __slots__ = ("_driver", "_key", "_life")

    def __init__(self, driver: HTTPDriver, key: str, life: object) -> None:
        self._driver, self._key, self._life = driver, key, life

    def __enter__(self) -> None:
        forget_failure()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception):
            return
        found = mapped(error, self._driver.where, self._key)
        ended = self._life is not self._driver.session.life
        if ended and isinstance(found, (BackendUnavailable, RuntimeError, AssertionError)):
            cause = error if found is not error else error.__cause__ or error
            raise closed(self._key, self._driver.name) from cause
        if found is not error:
            raise found from error


class HTTPDriver(Driver):
    """Files below the URL of a folder.

    Args:
        session: sends the requests.
        name: of the backend.
        index: whether folders are listed by their pages.

    Attributes:
        readers: with an open reply.
        where: what errors tell of the server.
    """

    profile = HTTP
    runs = "native"

    def __init__(self, session: Session, *, name: str = "http", index: bool = False) -> None:
        super().__init__(name, session.root)
        self.session, self._index = session, index
        self.capabilities = CapabilitySet(set(HTTP.capabilities) - (set() if index else INDEXED))
        self.where = Site("", name, session.timeout, session.root)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heads = True
        self.readers = WeakSet[HTTPReader]()

    # --- naming

    @property
    def fs(self) -> Any:
        return self.session.fs

    def native(self, key: str) -> str:
        return self.session.url(key).partition("?")[0]

    def key(self, native: str) -> str | None:
        path = native.partition("#")[0].partition("?")[0]
        if path.rstrip("/") == self.root:
            return ""
        below = path.removeprefix(self.root + "/")
        return unquote(below, errors="surrogateescape") if below != path else None

    def details(self) -> dict[str, Any]:
        return {"host": self.where.host, "root": unquote(urlsplit(self.root).path), "base_url": self.root}

    def check_key(self, key: str) -> None:
        try:
            key.encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            message = "A path with half a character is not valid on this storage"
            raise InvalidPath(message, path=key, backend=self.name) from error

    # --- requests

    def errors(self, key: str, life: object = None) -> Errors:
        """Maps what requests for a key raise; whatever it is where the store is closed meanwhile, that it is closed.

        Args:
            key: asked for.
            life: of the session, to which the call belongs; None for the current one.
        """
        return Errors(self, key, life or self.session.life)

    async def send(
        self, key: str, method: str, url: str, headers: Mapping[str, str], good: Collection[int]
    ) -> aiohttp.ClientResponse:
        """One request for a key, with its tries and within the deadline; a folder is refused."""
        try:
            return await self._send(key, method, url, headers, good)
        except Folder:
            raise found_folder(key, self.name) from None

    async def _send(
        self, key: str, method: str, url: str, headers: Mapping[str, str], good: Collection[int]
    ) -> aiohttp.ClientResponse:
        with self.errors(key):
            loop = asyncio.get_running_loop()
            if self._loop is None:
                self._loop = loop
            elif self._loop is not loop:
                raise RuntimeError("an AsyncStore belongs to the event loop that used it first; make one for each loop")
            await self.session.open()  # Sends nothing: no part of the deadline.
            async with asyncio.timeout(self.session.timeout):
                return await self.session.send(method, url, headers, good)

    async def _ask(self, key: str, url: str, *, sized: bool = False) -> Facts:
        """What the server tells of a file: by HEAD, or where it takes none, or tells no size, by a GET of one byte."""
        refused = False
        if self._heads:
            async with await self._send(key, "HEAD", url, {}, (200, *NO_HEAD)) as reply:
                facts = Facts(Facts.of(reply).size or None, reply.headers)  # Many say 0 where they do not know.
                if reply.status == 200 and (facts.size or not sized):
                    return facts
                refused = reply.status != 200
        good = 200, 206, 416
        async with await self._send(key, "GET", url, {"Range": "bytes=0-0"}, good) as reply:
            reply.close()
            self._heads = self._heads and not refused
            with self.errors(key):
                return Facts.of(reply)

    # --- questions

    async def kind(self, key: str) -> EntryKind | None:
        try:
            await self._ask(key, self.session.url(key))
            return FILE
        except Folder:
            return FOLDER
        except NotFound:
            return await self._folder(key)

    async def _folder(self, key: str) -> EntryKind | None:
        """Whether a folder is where no file is: some servers know it by its slash alone."""
        if not self._index:
            return None
        try:
            await self._ask(key, self.session.url(key, "/"))
        except NotFound:
            return None
        return FOLDER

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        try:
            facts = await self._ask(key, self.session.url(key), sized=True)
        except Folder:
            return folder_entry(key)
        except NotFound:
            return folder_entry(key) if await self._folder(key) else None
        size = facts.size
        if size is None:  # Then nothing but the content tells it.
            reader = HTTPReader(self, key)
            try:
                size = await reader.target(0, 0, 2)
            finally:
                await reader.close()
        return facts.info(key, size)

    async def check(self) -> None:
        async with await self._send(".", "HEAD", self.session.url("", "/"), {}, ANSWERS | {501}):
            pass

    # --- reading

    async def read_bytes(self, key: str) -> bytes:
        return await whole(HTTPReader(self, key))

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        return await whole(HTTPReader(self, key, start, end))

    async def open_read(self, key: str) -> HTTPReader:
        reader = HTTPReader(self, key)
        await reader.open()
        return reader

    async def open_part(self, key: str, start: int, end: int | None, etag: str | None = None) -> RangeReader:
        reader = HTTPReader(self, key, start, end)
        await reader.open()
        return RangeReader(reader, start, end)

    async def open_seekable(self, key: str) -> Reader:
        reader = await self.open_read(key)
        if reader.seeks:
            return Seeker(reader)
        copy = spool()
        try:
            while data := await reader.read(PART):
                with spooling(key, self.name):
                    copy.write(data)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        finally:
            await reader.close()
        return BlockingFile(copy)

    # --- listing

    def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        if not self._index:
            raise unsupported(Capability.LIST.value, key or ".", self.name, "this backend without index=True")

        async def children(folder: str) -> Iterable[tuple[str, FileInfo | FolderEntry]]:
            return await self._children(folder, want)

        return walk(children, key, max_depth, want, self.name)

    async def _children(self, folder: str, want: Want) -> list[tuple[str, FileInfo | FolderEntry]]:
        """What the page of a folder leads to; nothing where there is no folder."""
        try:
            names = await self._names(folder)
        except NotFound:
            return []
        asked = {name for name, is_folder in names.items() if not is_folder and spellable(name)}
        entries: list[tuple[str, FileInfo | FolderEntry]]
        entries = [(name, folder_entry(join(folder, name))) for name in names if name not in asked]
        files = sorted(asked) if want != "folders" else []
        for first in range(0, len(files), TOGETHER):
            some = files[first : first + TOGETHER]
            infos = await asyncio.gather(*(self.info(join(folder, name)) for name in some))
            entries += [(name, info) for name, info in zip(some, infos, strict=True) if info is not None]
        return entries

    async def _names(self, folder: str) -> dict[str, bool]:
        url = self.session.url(folder, "/")
        async with await self.send(folder, "GET", url, {}, (200,)) as reply:
            with self.errors(folder or "."):
                found = str(reply.url).partition("?")[0]
                if "html" not in reply.content_type or not self.session.is_home(found):
                    raise Malformed("no page of links where a folder is to be listed")
                if unquote(urlsplit(found).path) != unquote(urlsplit(url).path):  # As of a login.
                    raise Malformed("a redirect to another page where a folder is to be listed")
                content, page = content_of(reply), bytearray()
                async with asyncio.timeout(self.session.timeout):
                    while data := await content.read(PART):
                        page += data
                        if len(page) > LONGEST:
                            raise Malformed("a page of links that is too long")
                    # Long pages take a while, in which the loop has others to serve.
                    text = await asyncio.to_thread(decoded, bytes(page), reply.charset)
                    return await asyncio.to_thread(names_in, text, found)

    # --- life

    async def close(self) -> None:
        self.session.life = object()
        for reader in list(self.readers):
            await reader.end()
        await self.session.close(self.owned)
        self._loop = None
