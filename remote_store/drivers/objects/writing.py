"""Objects being written: in one request while they fit a part, in parts beyond, a few of them in flight."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from remote_store._errors import RemoteStoreError, target_exists
from remote_store.drivers.base import FILE, Sink, WriteOptions
from remote_store.drivers.objects.ending import to_its_end
from remote_store.drivers.objects.marks import marked
from remote_store.drivers.objects.wire import Meaning

if TYPE_CHECKING:
    from remote_store.drivers.objects.driver import ObjectDriver

PARTS_PER_SIZE = 1000
"""After so many parts their size doubles, so that 5 TiB fit into 10,000 parts, more than which some services refuse."""


class ObjectSink(Sink):
    """Content of unknown length."""

    def __init__(self, driver: ObjectDriver, key: str, options: WriteOptions) -> None:
        self._driver, self._key, self._options = driver, key, options
        self._buffer = bytearray()
        self._upload: PartedUpload | None = None

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
            self._options = marked(self._options)
            self._upload = PartedUpload(self._driver, self._key, self._options)
        part, self._buffer = bytes(self._buffer), bytearray()
        with self._driver.judged(self._key, self._options):  # Some services judge before the end.
            await self._upload.send(part)

    async def _is_known(self) -> bool:
        with suppress(RemoteStoreError):  # Whoever may not look may write: the service has the last word.
            return await self._driver.kind(self._key) == FILE
        return False

    async def commit(self) -> Mapping[str, Any]:
        if self._upload is None:
            return await self._driver.put(self._key, bytes(self._buffer), self._options)
        last, self._buffer = bytes(self._buffer), bytearray()
        with self._driver.judged(self._key, self._options):
            return await self._upload.complete(last)

    async def abort(self) -> None:
        self._buffer.clear()
        if self._upload is not None:
            await self._upload.abort()


class PartedUpload:
    """Parts of one object, a few at a time, that become it together or not at all.

    Args:
        driver: sends the requests.
        key: of the object.
        options: how it is written.
        create: begins the upload, unless `Wire.create` does.
    """

    def __init__(
        self,
        driver: ObjectDriver,
        key: str,
        options: WriteOptions,
        create: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self._driver, self._key, self._options = driver, key, options
        self._create = create or (lambda: driver.wire.create(driver.object(key), options))
        self._size = 0
        self._created: asyncio.Future[Any] | None = None
        self._upload: Any = None
        self._parts: list[asyncio.Task[Any]] = []
        self._running: set[asyncio.Task[Any]] = set()
        self._discarding: asyncio.Future[None] | None = None

    @property
    def part_size(self) -> int:
        """How long the next part may be [bytes]."""
        return self._driver.part_size << (len(self._parts) // PARTS_PER_SIZE)

    async def send(self, data: bytes) -> None:
        """Send a part once there is room for one more in flight."""
        # As a file that nobody else holds: of bytes, and of shared ones, HTTP clients make copies.
        await self.start(len(data), self._driver.wire.part, io.BytesIO(data))

    async def start(self, size: int, request: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Begin a part of `size` bytes, which `request(upload, number, start, *args)` sends."""
        self._driver.check_open(self._key)
        if self._created is None:
            # Shielded, because a caller who is cancelled now must still learn the upload in order to discard it.
            self._driver.uploads.add(self)
            self._created = asyncio.ensure_future(self._driver.last_call(self._key, self._create))
            self._upload = await asyncio.shield(self._created)
            self._driver.check_open(self._key)
        while len(self._running) >= self._driver.max_concurrency:
            done, self._running = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            self._driver.check_open(self._key)  # Which cancels parts, and not their writer.
            for part in done:
                part.result()
        place = self._upload, len(self._parts) + 1, self._size
        task = asyncio.ensure_future(self._driver.call(self._key, request, *place, *args))
        self._size += size
        self._parts.append(task)
        self._running.add(task)

    async def complete(self, last: bytes = b"") -> Mapping[str, Any]:
        """Send the last part, if there is one more, and make one object of all."""
        driver, wire = self._driver, self._driver.wire
        if last and not wire.last_part_completes:
            await self.send(last)
            last = b""
        self._size += len(last)
        if self._parts:
            await asyncio.wait(self._parts, return_when=asyncio.FIRST_EXCEPTION)
        driver.check_open(self._key)
        parts = await asyncio.gather(*self._parts)
        try:
            result = await driver.conditional(
                self._key, self._options, wire.complete, self._upload, parts, io.BytesIO(last), self._options
            )
        except RemoteStoreError as error:
            refused = wire.meaning(error) in (Meaning.CONDITION_FAILED, Meaning.CONFLICT, Meaning.NO_UPLOAD)
            if not (refused and wire.lost_reply(error)):
                raise
            sums = wire.sums_of_parts(parts)
            result = await driver.own_write(self._key, sums, self._size, self._options, error)
        self._created = None
        driver.uploads.discard(self)
        return result

    async def abort(self) -> None:
        """Stop what is in flight and discard what arrived, however often the caller is cancelled meanwhile."""
        self._discarding = self._discarding or asyncio.ensure_future(self._discard())
        await to_its_end(self._discarding)

    async def _discard(self) -> None:
        for task in self._parts:
            task.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        created, self._created = self._created, None
        if created is not None:
            await asyncio.wait([created])
            if not created.cancelled() and created.exception() is None:
                with suppress(RemoteStoreError):
                    await self._driver.last_call(self._key, self._driver.wire.discard, created.result())
        self._driver.uploads.discard(self)
