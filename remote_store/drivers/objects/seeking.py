"""Seeking in an object with few requests."""

from __future__ import annotations

from typing import Protocol

from remote_store.io.streams import Reader

READ_ON = 512 << 10
"""A seek no further ahead reads on in the open body, which takes no longer than a new request [bytes]."""
KEPT = 1 << 20
"""How much of what was read last is kept for seeks back [bytes]."""


class Source(Reader, Protocol):
    """A reader whose every seek to another place costs a request.

    Attributes:
        at: place of the next byte.
    """

    at: int

    @property
    def is_open(self) -> bool:
        """Whether the next read goes on in an open body."""

    async def target(self, at: int, offset: int, whence: int) -> int:
        """Where a seek from `at` leads to."""


class Seeker:
    """A reader whose seeks cost a request only where they lead far away.

    Args:
        source: reads the object; nobody else moves it.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._at = source, source.at
        self._kept = bytearray()  # What the source gave last, up to where it is now.

    async def read(self, size: int) -> bytes:
        back = self._source.at - self._at
        if 0 < back <= len(self._kept):
            start = len(self._kept) - back
            data = bytes(self._kept[start : start + size])
        else:
            await self._go()
            data = await self._next(size)
        self._at += len(data)
        return data

    async def seek(self, offset: int, whence: int) -> int:
        """Note the place; the next read goes there."""
        self._at = await self._source.target(self._at, offset, whence)
        return self._at

    async def close(self) -> None:
        self._kept.clear()
        await self._source.close()

    async def _go(self) -> None:
        """Bring the source to the place of the next read, or to the end if that comes first."""
        ahead = self._at - self._source.at
        if ahead and not (self._source.is_open and 0 < ahead <= READ_ON):
            self._kept.clear()
            await self._source.seek(self._at, 0)
        while self._source.at < self._at and await self._next(self._at - self._source.at):
            pass

    async def _next(self, size: int) -> bytes:
        try:
            data = await self._source.read(size)
        except BaseException:
            await self._source.close()  # What broke off is no use to the next read, which asks anew.
            raise
        self._kept += data[-KEPT:]
        del self._kept[:-KEPT]
        return data
