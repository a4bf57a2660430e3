"""Calls of an object store: each on one event loop and within a deadline, all of them over once it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from remote_store._errors import BackendUnavailable, RemoteStoreError, closed
from remote_store.drivers.base import Driver
from remote_store.drivers.objects.ending import to_its_end

if TYPE_CHECKING:
    from remote_store.drivers.objects.wire import Wire
    from remote_store.drivers.objects.writing import PartedUpload

P = ParamSpec("P")
T = TypeVar("T")
SLACK = 0.01
"""What part of its deadline a call may lose before its request, which else gets a timer anew."""
GRACE = 5.0
"""How long the end of a store waits for its uploads to be discarded [s]."""


class CallingDriver(Driver):
    """Sends the requests of a wire.

    Args:
        wire: speaks to the service.
        root: folder that is the root.
        name: of the backend.
        timeout: deadline of one SDK call with its retries, and of each chunk of a stream [s].

    Attributes:
        uploads: in parts, which were begun and have not ended.
    """

    def __init__(self, wire: Wire, root: str, name: str, timeout: float) -> None:
        super().__init__(name, root)
        self.wire, self.timeout = wire, timeout
        self.uploads: set[PartedUpload] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._limits: dict[asyncio.Timeout, bool] = {}
        """Of calls in flight; whether they are cut at once when the store is closed."""
        self._idle: asyncio.Event | None = None

    def check_open(self, key: str) -> None:
        if self._closed:
            raise closed(key, self.name)

    def told(self, key: str, error: RemoteStoreError) -> RemoteStoreError:
        """An error as users are told of it: of what was in flight when the store was closed, that it was."""
        if not self._closed or not isinstance(error, BackendUnavailable):
            return error
        found = closed(key, self.name)
        found.__cause__ = error.__cause__
        return found

    async def call(self, key: str, request: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """One request of the wire, for `key`, with the SDK's retries and within the deadline."""
        self.check_open(key)
        return await self._send(key, True, request, *args, **kwargs)

    async def last_call(self, key: str, request: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what begins or discards an upload, and has its time even while the store is closed."""
        return await self._send(key, False, request, *args, **kwargs)

    def limit(self) -> AbstractAsyncContextManager[Any]:
        """The deadline of a piece of a stream."""
        return Deadline(self, self.timeout)

    async def _send(
        self, key: str, cut: bool, request: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            with self.wire.errors(key):
                loop = asyncio.get_running_loop()
                if self._loop is None:
                    self._loop = loop
                elif self._loop is not loop:
                    raise RuntimeError(
                        "an AsyncStore belongs to the event loop that used it first; make one for each loop"
                    )
                async with Deadline(self, self.timeout, cut) as limit:
                    began = loop.time()
                    await self.wire.open()  # Looks for credentials, once; the request has its full time afterwards.
                    if cut:
                        self.check_open(key)
                    if (now := loop.time()) - began > self.timeout * SLACK:
                        limit.reschedule(now + self.timeout)
                    return await request(*args, **kwargs)
        except BackendUnavailable as error:
            if (found := self.told(key, error)) is error:
                raise
            raise found from error.__cause__

    async def close(self) -> None:
        """End the store, once; whoever closes it meanwhile, or is cancelled, waits for that too."""
        if self._closing is None:
            self._closed = True
            self._closing = asyncio.ensure_future(self._close())
        if not self._closing.done() and self._closing.get_loop() is asyncio.get_running_loop():
            await to_its_end(self._closing)

    async def _close(self) -> None:
        try:
            if (self._limits or self.uploads) and self._loop is asyncio.get_running_loop():
                await self._end()
        finally:
            await self.wire.close(self.owned)

    async def _end(self) -> None:
        """Cut what is in flight, and discard uploads."""
        self._cut(all_of_them=False)
        endings = [asyncio.ensure_future(upload.abort()) for upload in self.uploads]
        if endings:
            await asyncio.wait(endings, timeout=GRACE)
        self._cut(all_of_them=True)
        if endings:
            await asyncio.wait(endings, timeout=GRACE)
        if self._limits:
            self._idle = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), GRACE)

    def _cut(self, all_of_them: bool) -> None:
        for limit, cut in self._limits.items():
            if (cut or all_of_them) and not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())


class Deadline:
    """Bounds a call, or a piece of a stream, by time, and by the end of its store.

    Args:
        driver: that it is a call of.
        timeout: [s].
        cut: whether the end of the store cuts it at once.
    """

    __slots__ = ("_cut", "_driver", "_limit")

    def __init__(self, driver: CallingDriver, timeout: float | None, cut: bool = True) -> None:
        self._driver, self._limit, self._cut = driver, asyncio.timeout(timeout), cut

    async def __aenter__(self) -> asyncio.Timeout:
        await self._limit.__aenter__()
        self._driver._limits[self._limit] = self._cut
        return self._limit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        limits = self._driver._limits
        del limits[self._limit]
        if not limits and self._driver._idle is not None:
            self._driver._idle.set()
        await self._limit.__aexit__(kind, error, traceback)
