"""The SDK's sessions: of HTTP, sending each request once and to the address it was signed for; of the SDK, quicker.

And bodies of replies, which come to their end in as few steps as can be.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.utils import parse_timestamp

from remote_store import __version__


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


def quick_session(fs: Any) -> AioSession:
    """A session for a filesystem made here, which spends less on each request by settings of the SDK alone.

    Times are read by the standard library, since dateutil takes more than half of what a listing costs; and who asks is
    spelled once, not twice a request, unless an application is named, which the SDK spells in a way of its own.
    """
    session = AioSession(**fs.kwargs)
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    named = {"user_agent", "user_agent_appid"} & fs.config_kwargs.keys()
    if not named and not session.get_config_variable("user_agent_appid"):
        agent = session.get_component("user_agent_creator")
        agent.set_session_config(session.user_agent_name, session.user_agent_version, None)
        fs.config_kwargs = {**fs.config_kwargs, "user_agent": f"{agent.to_string()} remote-store/{__version__}"}
    return session


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HTTP_DATE = re.compile(
    rf"[A-Z][a-z]{{2}}, ([0-9]{{2}}) ({'|'.join(MONTHS)}) ([0-9]{{4}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT"
)
"""RFC 9110, section 5.6.7: the form that is sent."""


def http_date(told: str) -> dt.datetime:
    """A time as headers have it; ValueError for any other text."""
    found = HTTP_DATE.fullmatch(told)
    if found is None:
        return parsedate_to_datetime(told)
    day, month, year, hour, minute, second = found.groups()
    clock = int(hour), int(minute), int(second)
    return dt.datetime(int(year), MONTHS.index(month) + 1, int(day), *clock, tzinfo=dt.UTC)


def moment(told: Any) -> dt.datetime:
    """A time in any form that services use, read as the SDK does, but the two common forms by quicker means."""
    if isinstance(told, str):
        read = dt.datetime.fromisoformat if told[:1].isdigit() else http_date
        with suppress(ValueError, OverflowError):
            found = read(told)
            if found.tzinfo is not None:
                return found
    read_by_sdk: dt.datetime = parse_timestamp(told)
    return read_by_sdk


class Stream:
    """The SDK's body of a reply, as the floor reads it.

    Args:
        body: of the SDK.
        length: of the body [bytes].
    """

    def __init__(self, body: Any, length: int) -> None:
        self._body, self._length, self._at, self._over = body, length, 0, False
        self.close = body.close
        reply = getattr(body, "raw_stream", body)  # Of older SDKs the body is the reply itself, in a wrapper.
        self._content = reply.content if isinstance(reply, aiohttp.ClientResponse) else None

    def is_ready(self) -> bool:
        content = self._content
        return self._over or (
            content is not None and content.exception() is None and (content.total_bytes > self._at or content.is_eof())
        )

    async def read(self, size: int) -> bytes:
        if self._over:
            return b""
        if self._length - self._at <= size and self._content is not None and self._content.is_eof():
            self._over = True  # The SDK looks at its end, too, where all is asked for at once.
            data: bytes = await self._body.read()
        else:
            data = await self._body.read(size)
        self._at += len(data)
        return data
