"""The driver of the fast lane: around the driver of a service, which does what the lane does not."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from remote_store._errors import BackendUnavailable, RemoteStoreError
from remote_store.drivers.base import Page, Want
from remote_store.drivers.fast.lane import Lane
from remote_store.drivers.fast.wire import Below, FastWire, NotReady
from remote_store.drivers.objects.driver import ObjectDriver
from remote_store.drivers.objects.reading import ObjectReader
from remote_store.drivers.objects.wire import Wire
from remote_store.drivers.obstore.replies import Content
from remote_store.io.near import in_callers_thread, to_loop

P = ParamSpec("P")
T = TypeVar("T")


class FastReader(ObjectReader):
    """An object being read; what comes through the wire below is read on its loop."""

    async def read(self, size: int) -> bytes:
        await self._to_its_place()
        return await super().read(size)

    async def at_once(self) -> bytes | None:
        """Everything, where it came with the reply; else the first read goes on."""
        await self.open()
        data = self._body.whole if isinstance(self._body, Content) else None
        if data is None:
            return None
        self._driver.check_open(self._key)
        return bytes(data)

    async def close(self) -> None:
        await self._to_its_place()
        await super().close()

    async def _to_its_place(self) -> None:
        if self._body is not None and not isinstance(self._body, Content):
            await to_loop()


class FastDriver(ObjectDriver):
    """Objects of another driver: reads, questions for files and short writes by a lane, the rest by that driver.

    Args:
        below: the driver of the service.
        lane: leads to the same container.
    """

    reader = FastReader

    def __init__(self, below: ObjectDriver, lane: Lane) -> None:
        self._below, self._fast = below, FastWire(below.wire, lane)
        super().__init__(
            cast("Wire", self._fast),
            below.root,
            name=below.name,
            timeout=below.timeout,
            part_size=below.part_size,
            max_concurrency=below.max_concurrency,
            reject_write_under_file_ancestor=below.reject_write_under_file_ancestor,
        )
        self.profile, self.capabilities = below.profile, below.capabilities
        self.checks_ascii = below.checks_ascii
        # Those that look for files above do so all at once, which takes a loop.
        self.begins_here = not below.reject_write_under_file_ancestor

    # --- naming

    def native(self, key: str) -> str:
        return self._below.native(key)

    def key(self, native: str) -> str | None:
        return self._below.key(native)

    def check_key(self, key: str) -> None:
        self._below.check_key(key)

    def decides(self, miss: RemoteStoreError) -> bool:
        return self._below.decides(miss)

    def details(self) -> dict[str, Any]:
        return self._below.details()

    # --- calls

    async def _read(self, reader: ObjectReader) -> bytes:
        data = await cast("FastReader", reader).at_once()
        return await super()._read(reader) if data is None else data

    @property
    def timeout(self) -> float:
        """Deadline of one call, and of each chunk of a stream [s]."""
        return self._fast.timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._fast.timeout = self._below.timeout = seconds

    def limit(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext() if in_callers_thread() else super().limit()

    async def _send(
        self, key: str, cut: bool, request: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if not in_callers_thread():
            return await super()._send(key, cut, request, *args, **kwargs)
        rest: Callable[..., Awaitable[T]] = request
        if getattr(request, "__self__", None) is self._fast:
            begun = time.monotonic()
            try:
                with self.wire.errors(key):
                    try:
                        return await request(*args, **kwargs)
                    except NotReady:
                        pass
                    except Below as stopped:
                        rest = partial(self._fast.go_on, stopped.request, stopped.tried)
                        if time.monotonic() - begun >= self.timeout:
                            raise TimeoutError from stopped
            except BackendUnavailable as error:
                if (found := self.told(key, error)) is error:
                    raise
                raise found from error.__cause__
        await to_loop()
        return await super()._send(key, cut, rest, *args, **kwargs)

    async def close(self) -> None:
        await to_loop()
        await super().close()
        await self._below.close()

    # --- what the driver below does

    async def _hand_down(self, key: str, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        self.check_open(key)
        await to_loop()
        return await work(*args, **kwargs)

    async def has_children(self, key: str) -> bool:
        return await self._hand_down(key, self._below.has_children, key)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        await self._hand_down(src, self._below.copy, src, dst, overwrite)

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        await self._hand_down(src, self._below.move, src, dst, overwrite)

    async def sign(self, key: str, expires_in: int, method: str) -> str:
        return await self._hand_down(key, self._below.sign, key, expires_in, method)

    async def remove(self, key: str) -> None:
        await self._hand_down(key, self._below.remove, key)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        await self._hand_down(key, self._below.remove_folder, key, recursive)

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        pages = self._below.list_pages(key, max_depth, want, name_prefix)
        try:
            while (page := await self._hand_down(key, anext, pages, None)) is not None:
                yield page
        finally:
            await to_loop()
            await pages.aclose()

    async def check(self) -> None:
        await self._hand_down(".", self._below.check)
