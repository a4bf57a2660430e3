"""A TCP proxy on loopback that breaks connections on demand, so that faults are as exact as they are real."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 57\r\nConnection: close\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message>no</Message></Error>"
)


@dataclass(frozen=True, eq=False)
class Fault:
    """What goes wrong on each connection once `after` bytes of one side have passed since it was armed.

    Args:
        act: `reset` the connection, `stall` it until healed, answer 503 to requests (`busy`), or let bytes `drip`.
        side: whose bytes count, and stop; a stalled request is dropped when healed, a stalled reply delivered.
        after: bytes that still pass.
        times: connections it strikes.
        pause: before each 64 KiB that drip [s].
    """

    act: Literal["reset", "stall", "busy", "drip"]
    side: Literal["request", "response"] = "request"
    after: int = 0
    times: int = 1 << 30
    pause: float = 0


class Proxy:
    """A proxy to `upstream` (`http://host:port`), in a thread of its own.

    Attributes:
        endpoint: its URL.
        connections: how many it has accepted.
        struck: set once the armed fault has struck.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._fault, self._left, self._healed = Fault("reset", times=0), 0, asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.connections, self.struck, self.endpoint = 0, threading.Event(), "http://127.0.0.1:0"
        self.heal()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def arm(self, fault: Fault) -> None:
        """Let things go wrong from now on, on open connections too."""
        self._run(self._arm(fault))

    def heal(self) -> None:
        """Forward everything again."""
        self._run(self._arm(Fault("reset", times=0)))

    def refuse(self) -> None:
        """Refuse connections, and reset those that are open, until healed."""
        self._run(self._stop())

    def close(self) -> None:
        self.refuse()
        self._run(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _arm(self, fault: Fault) -> None:
        self._healed.set()
        self._fault, self._left, self._healed = fault, fault.times, asyncio.Event()
        self.struck.clear()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", urlsplit(self.endpoint).port)
            self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None
        connections = dict(self._open)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for writer in connections.values():  # A task that was cancelled before it began has closed nothing.
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _settle(self) -> None:
        """Let connections end that were being accepted when the server closed."""
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        for _ in range(2):  # Transports close one step after they were told to.
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            return writer.transport.abort()
        # A task of our own, because asyncio reports the cancellation of one it made itself as an error.
        self.connections += 1
        connection = asyncio.ensure_future(self._serve(reader, writer))
        self._open[connection] = writer
        connection.add_done_callback(self._open.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pumps: list[asyncio.Task[None]] = []
        # Shielded, because a connection that is cancelled while it opens is closed by nobody.
        opening = asyncio.ensure_future(asyncio.open_connection(self._upstream.hostname, self._upstream.port))
        try:
            there = await asyncio.shield(opening)
            pumps.append(asyncio.ensure_future(self._pump("request", reader, there[1], writer)))
            pumps.append(asyncio.ensure_future(self._pump("response", there[0], writer, writer)))
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass
        finally:  # Waits for nothing, because the proxy may cancel a connection that is ending already.
            for pump in pumps:
                pump.cancel()
            opening.add_done_callback(_close)
            writer.close()

    async def _pump(
        self, side: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        """Forward one side until it ends or a fault ends it."""
        with suppress(OSError):
            await self._forward(side, source, sink, client)

    async def _forward(
        self, side: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        armed, passed = self._fault, 0
        while data := await source.read(1 << 16):
            if armed is not self._fault:
                armed, passed = self._fault, 0
            passed += len(data)
            if armed.act == "drip":
                self.struck.set()
                await asyncio.sleep(armed.pause if armed.side == side else 0)
            elif armed.side == side and self._left and passed > armed.after:
                cut = len(data) - (passed - armed.after)
                sink.write(data[:cut])
                self._left -= 1
                self.struck.set()
                if armed.act == "reset":
                    return client.transport.abort()
                if armed.act == "busy":
                    client.write(BUSY)
                    while await source.read(1 << 16):
                        pass
                    return
                await self._healed.wait()
                if side == "request":
                    return
                data = data[cut:]
            sink.write(data)
            await sink.drain()


def _close(opening: asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    with suppress(OSError):
        opening.result()[1].close()


@contextmanager
def proxy_to(endpoint: str) -> Iterator[Proxy]:
    """A proxy, and its end."""
    with closing(Proxy(endpoint)) as proxy:
        yield proxy
