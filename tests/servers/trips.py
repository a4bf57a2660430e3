"""A TCP proxy on loopback that counts round trips: answers wait in it until neither side says more."""

from __future__ import annotations

import asyncio
import time

from servers.proxy import Proxy

QUIET = 0.015
"""How long both sides are silent before answers go on [s]."""


class TripCounter(Proxy):
    """Holds answers back for as long as the client still asks, so that what it asks after one is a further round trip.

    It never counts too few: an answer that leads to another request has left before. A machine that pauses between two
    requests of one trip makes it count too many, so the least of a few counts is the true one.

    Attributes:
        trips: an entry for each round trip so far.
    """

    def __init__(self, upstream: str) -> None:
        self.trips: list[str] = []
        self._asked, self._said = 0, 0.0
        super().__init__(upstream)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self.endpoint.rpartition(":")[2])

    def settle(self) -> None:
        """Wait until nobody has said anything for a while, so that what comes next is counted alone."""
        while (left := self._said + 3 * QUIET - time.monotonic()) > 0:
            time.sleep(left)

    async def _forward(
        self, side: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(1 << 16):
            self._said = time.monotonic()
            if side == "request":
                self._asked += len(data)
            else:
                data += await self._rest(source)
                if self._asked:
                    self.trips.append("round trip")
                self._asked = 0
            sink.write(data)
            await sink.drain()

    async def _rest(self, source: asyncio.StreamReader) -> bytes:
        """What a server says until it, and its client, have been silent for a while."""
        found = b""
        while (left := self._said + QUIET - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    more = await source.read(1 << 16)
            except TimeoutError:
                continue
            if not more:
                break
            found, self._said = found + more, time.monotonic()
        return found
