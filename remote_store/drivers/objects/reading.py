"""Objects being read: one GET as long as reading goes forward, a ranged one after each seek."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from remote_store._errors import BackendUnavailable, RemoteStoreError, etag_differs
from remote_store.drivers.objects.wire import Checksum, Meaning, replaced
from remote_store.io.streams import before_start

if TYPE_CHECKING:
    from remote_store.drivers.objects.driver import ObjectDriver


class ObjectReader:
    """An object being read, from its first GET on with the etag that this one told.

    Args:
        driver: sends the requests.
        key: of the object.
        start: place of the first byte.
        end: place after the last one; None for the end of the object.
        etag: of the only content that may be read.

    Attributes:
        at: place of the next byte.
    """

    def __init__(
        self, driver: ObjectDriver, key: str, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> None:
        self._driver, self._key = driver, key
        self.at, self._end = start, end
        self._size: int | None = None
        self._etag = etag
        self._body: Any = None
        self._at_hand: Callable[[int], bytes] | None = None
        self._is_ready: Callable[[], bool] | None = None
        self._ranged = False
        self._checksum: Checksum | None = None
        self._resumes = driver.wire.resumes

    @property
    def is_open(self) -> bool:
        """Whether the next read goes on in an open body."""
        return self._body is not None

    async def open(self) -> None:
        """Send the GET for what is left."""
        driver, wire, key = self._driver, self._driver.wire, self._key
        ranged = self.at > 0 or self._end is not None
        try:
            body = await driver.call(key, wire.get, driver.object(key), self.at, self._end, self._etag)
        except RemoteStoreError as error:
            meaning = wire.meaning(error)
            if ranged and meaning is Meaning.BAD_RANGE:
                self._size = self.at  # The file ends before the range begins.
                return
            if self._etag is not None and meaning in (Meaning.CONDITION_FAILED, Meaning.MISSING):
                unread = self._size is None
                raise (etag_differs(key, driver.name) if unread else replaced("read", key, driver.name)) from (
                    error.__cause__
                )
            raise
        if ranged and not body.ranged:
            body.stream.close()
            message = "This service ignores ranges, so a file can only be read from front to back"
            raise RemoteStoreError(message, path=key, backend=driver.name)
        self._body, self._size, self._etag, self._ranged = body.stream, body.size, body.etag, body.ranged
        self._at_hand = getattr(body.stream, "at_hand", None)
        self._is_ready = getattr(body.stream, "is_ready", None)
        if not ranged:
            self._checksum = body.checksum

    async def read(self, size: int) -> bytes:
        most = self._most(size)
        if most and self._body is None:
            await self.open()
            most = self._most(size)
        if not most:
            return b""
        self._driver.check_open(self._key)
        data = self._at_hand(most) if self._at_hand else b""
        return self._checked(data or await self._wait(most))

    def _most(self, size: int) -> int:
        """How much of `size` may be read: no more than was asked for, whatever the service sends; 0 at the end."""
        if self._size is None:
            return size
        stop = self._size if self._end is None else min(self._size, self._end)
        return max(0, min(size, stop - self.at))

    async def _wait(self, size: int) -> bytes:
        """The next bytes, within their deadline where they have yet to come."""
        try:
            with self._driver.wire.errors(self._key, self._ranged):
                if self._is_ready is not None and self._is_ready():
                    return await self._next(size)
                async with self._driver.limit():
                    return await self._next(size)
        except BackendUnavailable as error:
            if (found := self._driver.told(self._key, error)) is error:
                raise
            raise found from error.__cause__

    def _checked(self, data: bytes) -> bytes:
        """Bytes that were read, unless they are not all or not the right ones."""
        self.at += len(data)
        if self._checksum is not None:
            self._checksum.update(data)
            if self.at == self._size and not self._checksum.matches():
                raise self._failed("The content is not what its checksum says")
        if not data:
            raise self._failed("The content ended early")
        return data

    async def _next(self, size: int) -> bytes:
        """Bytes from the open body; from another one, of the same content, where it breaks off."""
        while True:
            try:
                data: bytes = await self._body.read(size)
                if data and self.at + len(data) == self._size:
                    await self._body.read(1)  # At its end an SDK compares the checksum of a whole object.
                if data or not self._resumes:
                    return data
            except TimeoutError:
                raise
            except Exception:
                if not self._resumes:
                    raise
            self._resumes -= 1
            await self.close()
            await self.open()
            if self._body is None:
                return b""

    def _failed(self, message: str) -> BackendUnavailable:
        return BackendUnavailable(message, path=self._key, backend=self._driver.name)

    async def seek(self, offset: int, whence: int) -> int:
        target = await self.target(self.at, offset, whence)
        if target != self.at:
            await self.close()
            self._checksum = None
            self.at = target
        return target

    async def target(self, at: int, offset: int, whence: int) -> int:
        """Where a seek from `at` leads to."""
        if whence == 2 and self._size is None:
            await self.open()
        target = offset + (0, at, self._size or 0)[whence]
        if target < 0:
            raise before_start()
        return target

    async def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = self._at_hand = self._is_ready = None
