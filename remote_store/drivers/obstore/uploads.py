"""Content of unknown length on its way into obstore, which takes it from an iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any


class Discarded(Exception):
    """Ends the content of an upload that is to leave nothing: obstore aborts it then, and not if it is cancelled."""


class Upload:
    """One upload; its parts are given one after another.

    Args:
        put: begins it, given what to read it from; obstore judges the condition at its end.
    """

    def __init__(self, put: Callable[[AsyncIterator[bytes]], Awaitable[Any]]) -> None:
        self._parts: asyncio.Queue[bytes | type[Discarded] | None] = asyncio.Queue(1)
        self._put = asyncio.ensure_future(put(self._content()))
        self._ended = False

    async def _content(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            if isinstance(part, type):
                raise part
            yield part

    async def give(self, part: bytes | type[Discarded] | None) -> None:
        """Hand over the next part, or the end, once there is room; raises what the upload failed with."""
        giving = asyncio.ensure_future(self._parts.put(part))
        try:
            await asyncio.wait({giving, self._put}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving.cancel()
        if self._put.done():
            self._put.result()

    async def finish(self) -> Any:
        """End the content, and wait for what the store says."""
        await self.give(None)
        self._ended = True
        return await asyncio.shield(self._put)

    async def discard(self) -> None:
        """Let it end without a result, as far as it has not got all of its content."""
        if self._ended:
            self._put.cancel()
        else:
            with suppress(Exception):
                await self.give(Discarded)
        await asyncio.wait([self._put])
        if not self._put.cancelled():
            self._put.exception()  # Nobody else asks for it.
