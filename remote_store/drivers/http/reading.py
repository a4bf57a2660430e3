"""Files of web servers being read: one GET as long as reading goes forward, a ranged one after each seek.

A server that gives no ranges sends the file again, and what comes before the place of interest is skipped.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from remote_store._errors import BackendUnavailable, closed
from remote_store.drivers.http.replies import Part, Version, bytes_range, is_encoded, length_of
from remote_store.drivers.http.unpacking import Content, content_of
from remote_store.drivers.objects.wire import Malformed, replaced
from remote_store.io.content import PART
from remote_store.io.streams import before_start

if TYPE_CHECKING:
    from remote_store.drivers.http.driver import HTTPDriver


class HTTPReader:
    """A file being read, from its first GET on as the version that this one told.

    Args:
        driver: sends the requests.
        key: of the file.
        start: place of the first byte.
        end: place after the last one; None for the end of the file.

    Attributes:
        at: place of the next byte.
    """

    __slots__ = (
        "__weakref__", "_content", "_driver", "_end", "_key", "_life", "_place", "_ranges", "_reply", "_resumes",
        "_size", "_stop", "_version", "at", "seeks",
    )  # fmt: skip

    def __init__(self, driver: HTTPDriver, key: str, start: int = 0, end: int | None = None) -> None:
        self._driver, self._key = driver, key
        self.at, self._end = start, end
        self._size: int | None = None
        self._version: Version | None = None
        self._ranges = True
        self._reply: aiohttp.ClientResponse | None = None
        self._content: Content | None = None
        self._place = start  # In the open body, at or before `at`.
        self._stop: int | None = None  # Where the open body ends, as far as the server told.
        self._resumes = driver.session.retries
        self._life = driver.session.life
        self.seeks = False

    @property
    def is_open(self) -> bool:
        """Whether the next read goes on in an open body."""
        return self._reply is not None

    # --- requests

    async def open(self) -> None:
        """Send the GET for what is left."""
        ranged = self._ranges and (self.at > 0 or self._end is not None)
        headers = {"Range": bytes_range(self.at, self._end)} if ranged else {}
        if ranged and self._version and (condition := self._version.condition):
            headers["If-Range"] = condition
        self._check_open()
        url = self._driver.session.url(self._key)
        reply = await self._driver.send(self._key, "GET", url, headers, (200, 206, 416) if ranged else (200,))
        self._reply = reply
        self._driver.readers.add(self)
        try:
            self._check_open()
            with self._driver.errors(self._key):
                usable = self._take(reply, ranged)
                self._content = content_of(reply) if usable else None
        except BaseException:
            await self.close()
            raise
        if not usable:
            await self.close()
        if not usable and not self._at_end():
            self._ranges = False
            await self.open()

    def _take(self, reply: aiohttp.ClientResponse, ranged: bool) -> bool:
        """Begin with the body of a reply; False where there is nothing in it to read."""
        if reply.status == 416:
            part = Part.of(reply.headers)
            if part is not None and part.size is not None:
                self._is(part.size)
                if self.at < part.size:
                    raise Malformed("a range is refused that the file has")
            return False
        version = Version.of(reply.headers)
        if self._version is not None and not self._version.admits(version):
            raise replaced("read", self._key, self._driver.name)
        self._version = self._version or version
        self.seeks = reply.headers.get("Accept-Ranges", "").strip().lower() == "bytes" and bool(version.condition)
        if is_encoded(reply.headers):  # Then a part is one of something else than what is stored.
            self._ranges = self.seeks = False
            self._place, self._stop = 0, None
            return not ranged or reply.status == 200
        if reply.status == 206:
            return self._take_part(reply)
        self._place, self._stop = 0, length_of(reply.headers)
        if self._stop is not None:
            self._is(self._stop)
        return True

    def _take_part(self, reply: aiohttp.ClientResponse) -> bool:
        part = Part.of(reply.headers)
        if part is None:
            raise Malformed("a part without Content-Range")
        part.check(self.at, self._end)
        if part.size is not None:
            self._is(part.size)
        self._place, self._stop = self.at, part.last + 1
        if length_of(reply.headers) not in (None, self._stop - self._place):
            raise Malformed("a part of another length than its range")
        return part.tells_end(self._end)

    def _is(self, size: int) -> None:
        """Note the size of the file, which cannot change."""
        if self._size not in (None, size):
            raise replaced("read", self._key, self._driver.name)
        self._size = size

    # --- reading

    def _at_end(self) -> bool:
        return any(stop is not None and self.at >= stop for stop in (self._size, self._end))

    async def read(self, size: int) -> bytes:
        while not self._at_end():
            if self._reply is None:
                await self.open()
                continue
            stops = [stop - self.at for stop in (self._size, self._end) if stop is not None]
            if data := await self._next(min([size, *stops])):
                self.at += len(data)
                return data
        await self.close()
        return b""

    async def _next(self, size: int) -> bytes:
        """Bytes from the open body; none where it only led on to the place of interest, or to the end.

        Where it breaks off, reading goes on in another one if the server can tell that this is of the same content.
        """
        try:
            data = await self._piece(size if self._place >= self.at else min(PART, self.at - self._place))
        except BackendUnavailable as error:
            await self.close()
            self._check_open()
            lost = isinstance(error.__cause__, aiohttp.ClientError)
            if not (lost and self._resumes and self._version and self._version.condition):
                raise
            self._resumes -= 1
            return b""
        skipping = self._place < self.at
        self._place += len(data)
        return b"" if skipping else data

    async def _piece(self, size: int) -> bytes:
        """The next bytes of the open body."""
        content = self._content
        assert content is not None  # noqa: S101 (for type checkers)
        with self._driver.errors(self._key, self._life):
            async with asyncio.timeout(self._driver.session.timeout):
                data = await content.read(size)
            if data:
                return data
            if self._stop is not None and self._place < self._stop:
                raise aiohttp.ClientPayloadError("the content ended early")
        self._is(self._place)
        return data

    # --- seeking

    async def seek(self, offset: int, whence: int) -> int:
        target = await self.target(self.at, offset, whence)
        if target != self.at:
            await self.close()
            self.at = target
        return target

    async def target(self, at: int, offset: int, whence: int) -> int:
        """Where a seek from `at` leads to; from an end that the server does not tell, the file is read to it."""
        if whence == 2 and self._size is None:
            if self._reply is None:
                await self.open()
            while self._size is None and await self.read(PART):
                pass
        target = offset + (0, at, self._size or 0)[whence]
        if target < 0:
            raise before_start()
        return target

    async def close(self) -> None:
        if self._reply is not None:
            self._reply.close()
            self._reply = self._content = None
            self._driver.readers.discard(self)

    async def end(self) -> None:
        """Let go of the connection while somebody may be waiting for content, who else would until the deadline."""
        if self._reply is not None:
            self._reply.close()
            self._reply.content.set_exception(aiohttp.ClientConnectionError("the store was closed"))

    def _check_open(self) -> None:
        """Raise unless the store is as it was when this was made."""
        if self._life is not self._driver.session.life:
            raise closed(self._key, self._driver.name)
