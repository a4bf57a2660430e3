"""The SDK's sessions: of HTTP, sending each request once and to the address it was signed for; of the SDK, quicker."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

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


def moment(told: Any) -> dt.datetime:
    """A time in any form that services use, read as the SDK does, but the two common forms by quicker means."""
    for read in (dt.datetime.fromisoformat, parsedate_to_datetime) if isinstance(told, str) else ():
        with suppress(ValueError, OverflowError):
            found = read(told)
            if found.tzinfo is not None:
                return found
    read_by_sdk: dt.datetime = parse_timestamp(told)
    return read_by_sdk
