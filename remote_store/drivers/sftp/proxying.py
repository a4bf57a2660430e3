"""The way to an SSH server through a proxy of HTTP, which is asked to CONNECT (RFC 9110, 9.3.6)."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from remote_store.drivers.reasons import host_and_port, host_of, reason

END = b"\r\n\r\n"
LONGEST = 64 << 10
"""Most bytes of an answer of a proxy before what it passes on."""


class ProxyFailed(ConnectionError):
    """A proxy cannot be reached, or does not let the connection through; the text is for users.

    Args:
        text: for users.
        again: whether another try may do better.
    """

    def __init__(self, text: str, again: bool = True) -> None:
        super().__init__(text)
        self.again = again

    def __reduce__(self) -> tuple[Any, ...]:
        return ProxyFailed, (self.args[0], self.again)


class _Answer(asyncio.Protocol):
    """Takes what comes until the head of the answer is whole; what follows it is the server's."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.taken += data
        if (END in self.taken or len(self.taken) > LONGEST) and not self.whole.done():
            self.whole.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.whole.done():
            self.whole.set_exception(error or ConnectionResetError("closed"))


class Proxy:
    """A proxy, as asyncssh takes what it connects through.

    Args:
        url: of the proxy, with a login if it wants one.
    """

    def __init__(self, url: str) -> None:
        self._url, self._name = urlsplit(url), host_of(url)

    async def create_connection(self, make: Callable[[], Any], host: str, port: int) -> tuple[Any, Any]:
        """A connection to a server, and what `make` gives, which takes it over.

        Raises:
            ProxyFailed: there is none.
        """
        secure = self._url.scheme == "https"
        loop, transport = asyncio.get_running_loop(), None
        try:
            transport, answer = await loop.create_connection(
                _Answer, self._url.hostname or "", self._url.port or (443 if secure else 80), ssl=secure or None
            )
            transport.write(self._request(host_and_port(host, port)))
            await answer.whole
            self._judge(bytes(answer.taken))
            if transport.is_closing():
                raise ConnectionResetError("closed")
        except BaseException as error:
            if transport is not None:
                transport.abort()
            if isinstance(error, OSError) and not isinstance(error, ProxyFailed):
                raise ProxyFailed(f"the proxy {self._name} failed: {reason(error)}") from error
            raise
        taker = make()
        transport.set_protocol(taker)
        taker.connection_made(transport)
        if rest := bytes(answer.taken).partition(END)[2]:
            taker.data_received(rest)
        return transport, taker

    def _request(self, place: str) -> bytes:
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
        if self._url.username is not None:
            login = f"{unquote(self._url.username)}:{unquote(self._url.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
        return "\r\n".join([*lines, "", ""]).encode()

    def _judge(self, answer: bytes) -> None:
        found = re.match(rb"HTTP/1\.[01] (\d{3})\b", answer)
        if found is None or END not in answer:
            raise ProxyFailed(f"the proxy {self._name} does not answer like one", again=False)
        if not 200 <= (status := int(found[1])) < 300:
            why = "wants a login that it accepts" if status == 407 else f"refuses to connect (status {status})"
            raise ProxyFailed(f"the proxy {self._name} {why}", again=status >= 500)
