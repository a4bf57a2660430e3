"""Streams of S3 objects: reading by GET, writing by put or in parts."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiobotocore.httpsession import AIOHTTPSession

from remote_store._errors import (
    BackendUnavailable,
    NotFound,
    RemoteStoreError,
    is_container_missing,
    target_exists,
)
from remote_store.drivers.base import FILE, Sink, WriteOptions
from remote_store.drivers.s3.errors import CONFLICT, FAILED_CONDITION, replaced
from remote_store.drivers.s3.headers import CHECKSUMS, Stored, combined, conditions, decoded, encoded, written
from remote_store.drivers.s3.replies import Malformed, code_of, etag, field, lost_reply, size
from remote_store.io.streams import before_start

if TYPE_CHECKING:
    from remote_store.drivers.s3.driver import S3Driver

PARTS_PER_SIZE = 1000
"""After so many parts their size doubles, so that 5 TiB fit into 10,000 parts (S3 limits)."""


class OneTryPerRequest(AIOHTTPSession):  # type: ignore[misc]
    """Leaves retries to the SDK, which counts them, and redirects, which it signs anew.

    aiohttp silently sends a PUT again when a reused connection breaks; of two conditional ones, the second would meet
    the first and be taken for somebody else's. It also follows any redirect, with the session token among the headers.
    """

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        session._retry_connection = False
        return _Undirected(session)


class _Undirected:
    """A session whose requests follow no redirect."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def request(self, method: str, **options: Any) -> Any:
        return self._session.request(method, allow_redirects=False, **options)


class S3Reader:
    """An object being read: one GET as long as reading goes forward, a ranged one after each seek.

    Attributes:
        at: place of the next byte.
    """

    def __init__(
        self, driver: S3Driver, key: str, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> None:
        self._driver, self._key = driver, key
        self.at, self._end = start, end
        self._size: int | None = None
        self._etag = etag
        self._body: Any = None
        self._ranged = False

    @property
    def is_open(self) -> bool:
        """Whether a body is at hand, which the next read goes on in."""
        return self._body is not None

    async def open(self) -> None:
        """Send the GET for what is left."""
        request: dict[str, str] = {"Key": self._driver.object(self._key)}
        if self.at or self._end is not None:
            request["Range"] = f"bytes={self.at}-{'' if self._end is None else self._end - 1}"
        if self._etag is not None:
            request["IfMatch"] = self._etag
        try:
            reply = await self._driver.call("get_object", self._key, **request)
        except RemoteStoreError as error:
            code = code_of(error.__cause__)
            if code in ("InvalidRange", "416") and "Range" in request and not isinstance(error, BackendUnavailable):
                self._size = self.at  # The file ends before the range begins.
                return
            gone = isinstance(error, NotFound) and not is_container_missing(error)
            if self._etag is not None and (code in FAILED_CONDITION or gone):
                raise replaced("read", self._key, self._driver.name) from error.__cause__
            raise
        try:
            self._take(reply, "Range" in request)
        except BaseException:
            reply["Body"].close()
            raise

    def _take(self, reply: Mapping[str, Any], ranged: bool) -> None:
        """Go on with the body of a reply, which must say what it is of."""
        told = reply.get("ContentRange", "")
        with self._driver.errors(self._key):
            tag, length = etag(reply), size(reply, "ContentLength")
            if told and not told.startswith(f"bytes {self.at}-"):
                raise Malformed("another range than was asked for")
        if ranged and not told:
            message = "This service ignores ranges, so a file can only be read from front to back"
            raise RemoteStoreError(message, path=self._key, backend=self._driver.name)
        total = told.rpartition("/")[2]
        self._body, self._etag, self._ranged = reply["Body"], f'"{tag}"', ranged
        self._size = int(total) if total.isdecimal() else self.at + length

    async def read(self, size: int) -> bytes:
        stop = self._size if self._end is None or self._size is None else min(self._size, self._end)
        if stop is not None and self.at >= stop:
            return b""
        if self._body is None:
            await self.open()
            return await self.read(size)
        self._driver.check_open(self._key)
        with self._driver.errors(self._key, self._ranged):
            async with asyncio.timeout(self._driver.timeout):
                data: bytes = await self._body.read(size)
                if data and self.at + len(data) == self._size:
                    await self._body.read(1)  # At its end the SDK compares the checksum of a whole object.
        self.at += len(data)
        if not data:
            raise BackendUnavailable("The content ended early", path=self._key, backend=self._driver.name)
        return data

    async def seek(self, offset: int, whence: int) -> int:
        target = await self.target(self.at, offset, whence)
        if target != self.at:
            await self.close()
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
            self._body = None


class S3Sink(Sink):
    """Content of unknown length: one put while it fits a part, a multipart upload beyond."""

    def __init__(self, driver: S3Driver, key: str, options: WriteOptions) -> None:
        self._driver, self._key, self._options = driver, key, options
        self._buffer = bytearray()
        self._upload: MultipartUpload | None = None

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            size = self._upload.part_size if self._upload else self._driver.part_size
            if len(self._buffer) == size:
                await self._flush()
            room = size - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]

    async def _flush(self) -> None:
        if self._upload is None:
            if not self._options.replaces and await self._is_known():
                raise target_exists(self._key, self._driver.name)
            self._upload = MultipartUpload(self._driver, self._key, self._options)
        part, self._buffer = bytes(self._buffer), bytearray()
        await self._upload.send(part)

    async def _is_known(self) -> bool:
        with suppress(RemoteStoreError):  # Whoever may not look may write: the service has the last word.
            return await self._driver.kind(self._key) == FILE
        return False

    async def commit(self) -> Mapping[str, Any]:
        if self._upload is None:
            return await self._driver.put(self._key, bytes(self._buffer), self._options)
        await self._flush()
        return await self._upload.complete()

    async def abort(self) -> None:
        self._buffer.clear()
        if self._upload is not None:
            await self._upload.abort()


class MultipartUpload:
    """Parts of one object, a few at a time, that become it together or not at all."""

    def __init__(
        self, driver: S3Driver, key: str, options: WriteOptions, kept: Mapping[str, Any] | None = None
    ) -> None:
        self._driver, self._key, self._options = driver, key, options
        self._kept = encoded(options.metadata) if kept is None else kept
        self._size = 0
        self._id: str | None = None
        self._created: asyncio.Future[str] | None = None
        self._parts: list[asyncio.Task[dict[str, Any]]] = []
        self._running: set[asyncio.Task[dict[str, Any]]] = set()

    @property
    def part_size(self) -> int:
        return self._driver.part_size << (len(self._parts) // PARTS_PER_SIZE)

    async def send(self, data: bytes) -> None:
        """Send a part once there is room for one more in flight."""
        self._size += len(data)
        # As a file, because a body of bytes is copied whole into the socket's buffer.
        await self._start(lambda number: self._part("upload_part", number, Body=io.BytesIO(data)))

    async def copy(self, start: int, end: int, **source: Any) -> None:
        """Copy bytes `[start, end)` of another object as a part."""
        self._size += end - start
        source["CopySourceRange"] = f"bytes={start}-{end - 1}"
        await self._start(lambda number: self._part("upload_part_copy", number, **source))

    async def _start(self, work: Callable[[int], Awaitable[dict[str, Any]]]) -> None:
        if self._id is None:
            # Shielded, because a caller who is cancelled now must still learn the id in order to abort.
            self._created = asyncio.ensure_future(self._begin())
            self._id = await asyncio.shield(self._created)
        while len(self._running) >= self._driver.max_concurrency:
            done, self._running = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        task = asyncio.ensure_future(work(len(self._parts) + 1))
        self._parts.append(task)
        self._running.add(task)

    async def _begin(self) -> str:
        request = {**self._kept, "Key": self._driver.object(self._key)}
        reply = await self._driver.call("create_multipart_upload", self._key, **request)
        with self._driver.errors(self._key):
            upload: str = field(reply, "UploadId")
        return upload

    async def _part(self, verb: str, number: int, **request: Any) -> dict[str, Any]:
        target = {"Key": self._driver.object(self._key), "UploadId": self._id, "PartNumber": number}
        reply = await self._driver.call(verb, self._key, **target, **request)
        reply = reply.get("CopyPartResult", reply)
        checksums = {name: value for name, value in reply.items() if name in CHECKSUMS}
        with self._driver.errors(self._key):
            return {"PartNumber": number, "ETag": field(reply, "ETag"), **checksums}

    async def complete(self) -> Mapping[str, Any]:
        parts = await asyncio.gather(*self._parts)
        request = {
            "Key": self._driver.object(self._key),
            "UploadId": self._id,
            "MultipartUpload": {"Parts": parts},
            **conditions(self._options),
        }
        try:
            reply = await self._driver.conditional("complete_multipart_upload", self._key, self._options, **request)
            result = written(reply)
        except RemoteStoreError as error:
            met_itself = code_of(error.__cause__) in FAILED_CONDITION | CONFLICT | {"NoSuchUpload"}
            if not (met_itself and lost_reply(error)):
                raise
            own = combined(part["ETag"] for part in parts)
            stored = Stored(own, self._size, decoded(self._kept.get("Metadata")))
            result = await self._driver.own_write(self._key, stored, error)
        self._id = self._created = None
        return result

    async def abort(self) -> None:
        """Stop what is in flight and discard what arrived, however often the caller is cancelled meanwhile."""
        discarding = asyncio.ensure_future(self._discard())
        cancelled: asyncio.CancelledError | None = None
        while not discarding.done():
            try:
                await asyncio.shield(discarding)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _discard(self) -> None:
        for task in self._parts:
            task.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        created, self._created = self._created, None
        if created is not None:
            with suppress(RemoteStoreError):
                request = {"Key": self._driver.object(self._key), "UploadId": await created}
                await self._driver.call("abort_multipart_upload", self._key, **request)
