"""What services reached by aiohttp have in common."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from multidict import CIMultiDict

from remote_store.drivers.logs import redacted
from remote_store.drivers.objects.clock import time_told

CONNECTIONS = 256
"""aiohttp's 100 would let further calls wait while so many streams are open."""
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which a request is sent again, as the guides of the services say."""
UNHEARD = frozenset({500, 502, 503, 504})
"""Those of them after which it may have been carried out all the same."""


def connector(ca_bundle: str | None) -> dict[str, Any]:
    """Arguments of the connections."""
    if ca_bundle is None:
        return {"limit": CONNECTIONS}
    return {"limit": CONNECTIONS, "ssl": ssl.create_default_context(cafile=ca_bundle)}


def wait_told(headers: Mapping[str, str]) -> float:
    """How long a service asks to wait, in either form of `Retry-After` (RFC 9110, 10.2.3), by its own clock [s]."""
    retry_after = headers.get("Retry-After", "").strip()
    if retry_after.isdecimal():
        return float(retry_after)
    if (until := time_told(retry_after)) is None:
        return 0.0
    now = time_told(headers.get("Date")) or dt.datetime.now(dt.UTC)
    return max(0.0, (until - now).total_seconds())


def hide_secrets(error: BaseException | None) -> None:
    """Hide in an error, and in what caused it, what gives access in the URLs that aiohttp tells."""
    while error is not None:
        error.args = tuple(redacted(each) if isinstance(each, str) else each for each in error.args)
        if isinstance(message := getattr(error, "message", None), str):
            error.__dict__["message"] = redacted(message)
        if isinstance(error, OSError) and error.strerror:
            error.strerror = redacted(str(error.strerror))
        if isinstance(error, aiohttp.ClientResponseError):
            url, method = error.request_info.real_url.with_query(None).with_user(None), error.request_info.method
            none = CIMultiDict[str]()  # Not a proxy of it, which does not pickle.
            error.request_info = aiohttp.RequestInfo(url, method, none, url)  # type: ignore[arg-type]
            error.args = (error.request_info, *error.args[1:])
        error = error.__cause__ or error.__context__


def let_go(session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> None:
    """Close the connections of a store that nobody closed, in the thread of their loop."""
    connector = session.connector
    session.detach()
    if connector is not None and not connector.closed:
        with suppress(RuntimeError):  # The loop ends.
            if loop.is_running():
                loop.call_soon_threadsafe(connector._close)
            else:
                connector._close()


class Stream:
    """The body of a reply, as the floor reads it.

    Args:
        reply: of aiohttp.
    """

    def __init__(self, reply: Any) -> None:
        self._reply = reply
        self.read = reply.content.read

    def at_hand(self, size: int) -> bytes:
        """The same as `read` of what came whole already, without waiting; else `b""`."""
        content = self._reply.content
        whole = content.is_eof() and content.exception() is None
        return bytes(content.read_nowait(size)) if whole else b""

    def close(self) -> None:
        self._reply.close()


class ToldSum:
    """Checks content against the checksum that a header tells.

    Args:
        told: in base64.
        checksum: as those of `hashlib`, of nothing yet.
    """

    def __init__(self, told: str, checksum: Any) -> None:
        self._told, self._sum = told, checksum
        self.update = checksum.update

    def matches(self) -> bool:
        """Whether it is that of all that `update` was given."""
        return base64.b64encode(self._sum.digest()).decode() == self._told
