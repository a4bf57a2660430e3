"""The SDK's HTTP session, which sends each request once and to the address it was signed for."""

from __future__ import annotations

from typing import Any

from aiobotocore.httpsession import AIOHTTPSession


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
