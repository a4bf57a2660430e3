"""Requests to Google Cloud Storage: an HTTP session of its own on gcsfs's connections, and bounded tries.

gcsfs's own session follows redirects, decodes content and gives up downloads after five minutes; its calls wait half a
minute between tries, and tell neither status nor body.
"""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Collection, Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from gcsfs.core import GCSFileSystem
from yarl import URL

from remote_store.drivers.gcs.credentials import Login
from remote_store.drivers.objects.http import AGAIN, UNHEARD, hide_secrets, let_go, wait_told
from remote_store.drivers.objects.tries import Tries, Try
from remote_store.drivers.objects.wire import Malformed

LONGEST_ERROR = 64 << 10
"""How much of an answer that is an error is read [bytes]."""
TAKEN_OVER = ("headers", "proxy", "proxy_auth", "trust_env", "trace_configs")
"""Arguments of gcsfs's session that the own one takes, too."""


class Answer(NamedTuple):
    """What the service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; `Malformed` where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            raise Malformed(f"status {self.status}, and no JSON") from None
        if not isinstance(found, dict):
            raise Malformed("no JSON object")
        return found


class Refused(Exception):
    """An answer that is no success.

    Args:
        answer: of the service.
        container: whether a status of 404 says that there is no such bucket.

    Attributes:
        unheard: whether an earlier try of the request may have been carried out.
    """

    def __init__(self, answer: Answer, container: bool = False) -> None:
        super().__init__(f"status {answer.status}")
        self.answer, self.container, self.unheard = answer, container, False
        self.reason, self.spoken = _reason(answer)

    def __reduce__(self) -> tuple[Any, ...]:
        # Without headers, which do not pickle, and of which one may be the secret URL of an upload.
        return Refused, (self.answer._replace(headers={}), self.container)

    @property
    def names_object(self) -> bool:
        """Whether it is about an object, as only this service says it: in JSON, or in text where content was asked for.

        Now and then it answers with a page (googleapis/nodejs-storage#1183), as any web server would.
        """
        return self.spoken or self.answer.body.startswith(b"No such object: ")

    @property
    def status(self) -> int:
        return self.answer.status


def _reason(answer: Answer) -> tuple[str, bool]:
    """The reason in an error of the JSON API, and whether it is one: Cloud Storage JSON API, HTTP status codes."""
    try:
        error = json.loads(answer.body)["error"]
        reasons = [entry.get("reason", "") for entry in error.get("errors", ())]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", False
    return next((reason for reason in reasons if isinstance(reason, str)), ""), True


def judged(error: Exception) -> Try:
    """What is to be done about a try that failed."""
    if not isinstance(error, Refused):
        return Try(again=True, unheard=not isinstance(error, aiohttp.ClientConnectorError))
    wait = wait_told(error.answer.headers)
    return Try(error.status in AGAIN, error.status in UNHEARD, f"answered {error.status}", wait)


@lru_cache
def _query(parameters: tuple[tuple[str, Any], ...]) -> str:
    return urlencode(parameters, quote_via=quote)


async def _start_of(reply: aiohttp.ClientResponse) -> bytes:
    """As much of a body as an error takes."""
    body = b""
    while len(body) < LONGEST_ERROR and (piece := await reply.content.read(LONGEST_ERROR - len(body))):
        body += piece
    return body


class Session:
    """Sends requests with the credentials, to the endpoint and over the connections of a gcsfs filesystem.

    Args:
        fs: the filesystem.
        login: its credentials.
        timeout: deadline of a call [s].
        retries: how often a failed request is sent again.
        connector: arguments of the connections of a filesystem that nobody else uses.
        proxy: through which requests go, unless the filesystem says.
    """

    def __init__(
        self,
        fs: GCSFileSystem,
        login: Login,
        timeout: float,
        retries: int,
        connector: Mapping[str, Any] | None = None,
        proxy: str | None = None,
    ) -> None:
        self.fs, self.login, self.timeout, self.retries = fs, login, timeout, retries
        self._connector, self._proxy = connector, proxy
        self._session: Any = None
        self._opening = asyncio.Lock()
        self.clock = login.clock

    async def open(self) -> None:
        """Make the session, which sends nothing."""
        if self._session is None:
            async with self._opening:  # The first calls come together.
                if self._session is None:
                    self._session = await self._make()

    async def _make(self) -> aiohttp.ClientSession:
        if self._connector is not None and self.fs._session is None:
            # In the place of gcsfs, whose finalizer closes it in whatever thread collects garbage.
            connections = aiohttp.TCPConnector(**self._connector)
            self.fs._session = aiohttp.ClientSession(**{**self.fs.session_kwargs, "connector": connections})
            weakref.finalize(self.fs, let_go, self.fs._session, asyncio.get_running_loop())
        shared = await self.fs._set_session()
        taken = {name: value for name, value in self.fs.session_kwargs.items() if name in TAKEN_OVER}
        session = aiohttp.ClientSession(
            connector=shared.connector,
            connector_owner=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=0.9 * self.timeout),  # Told from the deadline.
            **{"proxy": self._proxy, **taken},
        )
        # aiohttp silently sends a PUT again when a reused connection breaks; a second one would meet the first.
        session._retry_connection = False
        weakref.finalize(self, session.detach)  # From the connections, which gcsfs closes; or aiohttp complains.
        return session

    async def close(self, owned: bool) -> None:
        if self._session is not None:
            await self._session.close()
        if owned and self.fs._session is not None:
            await self.fs._session.close()
            self.fs._session = None

    def tries(self, retries: int | None = None) -> Tries:
        """Those of one call: as many as the session may, unless told."""
        return Tries(self.retries if retries is None else retries, self.timeout, judged)

    def url(self, path: str, **parameters: str | int | None) -> str:
        """The URL of a path, which is quoted already; with `userProject` where requests have one."""
        query = _query(tuple(self.fs._get_params(parameters).items()))
        return f"{self._base}{path}?{query}" if query else f"{self._base}{path}"

    @cached_property
    def _location(self) -> str:
        """The service, without a slash at the end."""
        location: str = self.fs._location
        return location.rstrip("/")

    @cached_property
    def _base(self) -> str:
        """How URLs of the service begin."""
        return f"{self._location}/"

    def is_own(self, url: str) -> bool:
        """Whether a URL leads to the service, or to one of Google's own hosts."""
        parts = urlsplit(url)
        google = parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")
        return google or url.startswith(self._base)

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        *,
        good: Collection[int] = (200,),
        container: bool = False,
        once: bool = False,
    ) -> Answer:
        """Send a request until it is answered well, at most as often as the session may.

        Args:
            method: of HTTP.
            url: where to.
            headers: beside those of the credentials.
            data: bytes of the body; makes it for each try if it can be called.
            good: statuses that are no error.
            container: whether 404 says that there is no such bucket.
            once: whether it may be sent once only.
        """
        tries = self.tries(0 if once else None)
        while True:
            try:
                reply = await self._ask(method, url, {"Accept-Encoding": "identity", **(headers or {})}, data)
                async with reply:
                    whole = reply.status in good
                    answer = Answer(reply.status, reply.headers, await (reply.read() if whole else _start_of(reply)))
                self.clock.hear(answer.headers)
                if answer.status in good:
                    return answer
                raise Refused(answer, container)
            except (aiohttp.ClientError, OSError, Refused) as error:
                await tries.again(error)

    async def get(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The answer to a GET, its body yet to be read; whoever has it closes it."""
        tries = self.tries()
        while True:
            try:
                reply = await self._ask("GET", url, headers, None)
                if reply.status in (200, 206):
                    return reply
                self.clock.hear(reply.headers)
                async with reply:
                    raise Refused(Answer(reply.status, reply.headers, await _start_of(reply)))
            except (aiohttp.ClientError, OSError, Refused) as error:
                await tries.again(error)

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], data: Any) -> aiohttp.ClientResponse:
        """One try, and one more with a new access token where the first was refused."""
        if self.login.waits:
            await self.login.ready()
        for last in (False, True):
            whole = self.login.headers(headers) if url.startswith(self._base) else dict(headers)
            if self._session.closed:
                raise aiohttp.ClientConnectionError("closed")
            try:
                reply: aiohttp.ClientResponse = await self._session.request(
                    method,
                    URL(url, encoded=True),
                    headers=whole,
                    data=data() if callable(data) else data,
                    allow_redirects=False,
                )
            except (aiohttp.ClientError, OSError) as error:
                hide_secrets(error)
                raise
            if reply.status != 401 or last:
                return reply
            try:
                if not await self.login.renew(whole.get("authorization", "")):
                    return reply
            except BaseException:
                reply.close()
                raise
            reply.close()
        raise AssertionError
