"""Requests to a web server: sessions of our own on the connections of an fsspec filesystem, and bounded tries.

fsspec's own session asks for compressed content, follows redirects with all that it was given, and gives up downloads
after five minutes.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL

from remote_store._errors import RemoteStoreError
from remote_store.drivers.http.errors import Folder, Judge, refused
from remote_store.drivers.http.options import ALLOWED, OURS, check_headers
from remote_store.drivers.objects.http import hide_secrets, let_go
from remote_store.drivers.objects.tries import Tries
from remote_store.drivers.objects.wire import Malformed

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
LONGEST_LINE = 64 << 10
"""Of a header: `Location` may be a long signed URL, and of aiohttp's 8 KiB keys alone can take half [bytes]."""
ANYWHERE = ("max_field_size", "max_line_size", "proxy", "proxy_auth", "proxy_headers", "ssl", "trace_request_ctx")
"""Arguments of requests that go with each one, wherever a redirect leads."""
AT_HOME = ("auth", "cookies", "headers", "params", "timeout")
"""Those that are for the server of the root alone, and those that are read once."""
SESSION = ("proxy", "proxy_auth", "trust_env")
"""Arguments of sessions that a session for other servers takes, too."""


def requested(fs: HTTPFileSystem, login: bool) -> dict[str, Any]:
    """The arguments of an fsspec filesystem for each request, whose root may have a login of its own.

    Raises:
        ValueError: one of them has no meaning here.
    """
    for name in sorted(fs.kwargs.keys() - {*ANYWHERE, *AT_HOME}):
        raise ValueError(f"this filesystem passes {name!r} to each request, which the driver of HTTP does not")
    if "base_url" in fs.client_kwargs:
        raise ValueError("this filesystem has client_kwargs with base_url; give the whole URL as the root")
    for given in (fs.kwargs, fs.client_kwargs):
        check_headers(headers := dict(given.get("headers") or {}))
        if login and (given.get("auth") or any(name.lower() == "authorization" for name in headers)):
            raise ValueError("the root has a login, and the filesystem another")
    return {name: fs.kwargs[name] for name in ANYWHERE if name in fs.kwargs}


def deadline(fs: HTTPFileSystem) -> float | None:
    """The deadline that an fsspec filesystem was given; None without."""
    given = fs.kwargs.get("timeout") or fs.client_kwargs.get("timeout")
    if isinstance(given, aiohttp.ClientTimeout):
        given = given.total or given.sock_read
    return float(given) if isinstance(given, (int, float)) and given > 0 else None


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


class Session:
    """Sends requests to one server, and wherever that leads.

    Args:
        fs: an fsspec filesystem, whose connections, headers and login they have.
        root: URL of the root, without a slash at its end and a query.
        query: of each request, without a question mark.
        timeout: deadline of a call [s].
        retries: how often a request that failed is sent again.
        anywhere: arguments of each request.

    Attributes:
        connections: arguments of the connections of a filesystem that nobody else uses.
        headers: for the server of the root, beside those that the filesystem was given.
        life: another object after each time it was closed.
    """

    def __init__(
        self,
        fs: HTTPFileSystem,
        root: str,
        query: str,
        timeout: float,
        retries: int,
        anywhere: Mapping[str, Any] | None = None,
    ) -> None:
        self.fs, self.root, self._query = fs, root, f"?{query}" if query else ""
        self.timeout, self.retries = timeout, retries
        self._anywhere = {"max_line_size": LONGEST_LINE, "max_field_size": LONGEST_LINE, **(anywhere or {})}
        self.connections: Mapping[str, Any] | None = None
        self.headers: Mapping[str, str] = {}
        self._origin = origin_of(root)
        self._home: Any = None
        self._abroad: Any = None
        self._at_home: dict[str, Any] = {}
        self._opening = asyncio.Lock()
        self._asking = 0
        self.life = object()

    # --- life

    async def open(self) -> None:
        """Make the sessions, which sends nothing."""
        if self._home is None or self._home.closed or self._home.connector.closed:
            async with self._opening:  # The first calls come together.
                if self._home is None or self._home.closed or self._home.connector.closed:
                    await self._make()

    async def _make(self) -> None:
        fs = self.fs
        if fs._session is not None and fs._session.closed:  # fsspec would never make another one.
            fs._session = None
        if self.connections is not None and fs._session is None:
            # In the place of fsspec, whose finalizer closes it in whatever thread collects garbage.
            connector = aiohttp.TCPConnector(**self.connections)
            fs._session = aiohttp.ClientSession(**{**fs.client_kwargs, "connector": connector})
            weakref.finalize(fs, let_go, fs._session, asyncio.get_running_loop())
        shared = await fs.set_session()
        if not isinstance(shared, aiohttp.ClientSession):
            raise RemoteStoreError("The filesystem's get_client must give an aiohttp.ClientSession")
        common: dict[str, Any] = {
            "connector": shared.connector,
            "connector_owner": False,
            "auto_decompress": False,
            # Told from the deadline of a call.
            "timeout": aiohttp.ClientTimeout(total=None, sock_connect=0.9 * self.timeout),
            **{name: fs.client_kwargs[name] for name in SESSION if name in fs.client_kwargs},
        }
        self._home = aiohttp.ClientSession(
            **common,
            cookie_jar=shared.cookie_jar,
            skip_auto_headers=shared.skip_auto_headers,
            trace_configs=shared.trace_configs,
            **{name: fs.client_kwargs[name] for name in ("middlewares",) if name in fs.client_kwargs},
        )
        self._abroad = aiohttp.ClientSession(**common)
        for session in (self._home, self._abroad):
            weakref.finalize(self, session.detach)  # From the connections, or aiohttp complains.
        headers = {**shared.headers, **(fs.kwargs.get("headers") or {}), **self.headers}
        self._at_home = {"headers": {name: value for name, value in headers.items() if not OURS.fullmatch(name)}}
        if auth := fs.kwargs.get("auth") or shared.auth:
            self._at_home["auth"] = auth
        if cookies := fs.kwargs.get("cookies"):
            self._at_home["cookies"] = cookies

    async def close(self, owned: bool) -> None:
        self.life = object()
        for session in (self._home, self._abroad):
            # Of a request whose session is closed meanwhile, aiohttp would lose the connection.
            if session is not None and not self._asking:
                await session.close()
        self._home = self._abroad = None
        self._opening = asyncio.Lock()  # The next use may be on another loop.
        if owned and self.fs._session is not None:
            await self.fs._session.close()
            self.fs._session = None

    # --- requests

    def url(self, key: str, end: str = "") -> str:
        """The URL of a key, with the query of each request; keys are literal, also those that are not UTF-8."""
        path = "/" + quote(key, safe="/", errors="surrogateescape") if key else ""
        return f"{self.root}{path}{end}{self._query}"

    def is_home(self, url: str) -> bool:
        """Whether a URL leads to the server of the root."""
        return origin_of(url) == self._origin

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], good: Collection[int]
    ) -> aiohttp.ClientResponse:
        """The answer to a request, its body yet to be read; whoever has it closes it.

        Args:
            method: GET or HEAD.
            url: where to.
            headers: beside those of the server of the root.
            good: statuses that are no error.
        """
        tries, life = Tries(self.retries, self.timeout, Judge()), self.life
        while True:
            try:
                reply = await self._followed(method, url, headers)
                if reply.status in good:
                    return reply
                reply.close()
                raise refused(reply.status, reply.headers)
            except Exception as error:
                hide_secrets(error)
                if isinstance(error, (Folder, Malformed)) or life is not self.life:
                    raise
                await tries.again(error)

    async def _followed(self, method: str, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The first answer that leads nowhere else."""
        home = True
        for hop in range(MOST_REDIRECTS + 1):
            # Others who lead back here are not to have what only we may ask for.
            home = home and self.is_home(url)
            try:
                reply = await self._ask(method, url, headers, home)
            except ValueError as error:
                if hop == 0 or isinstance(error, aiohttp.ClientError):
                    raise
                raise Malformed("a redirect to what is no URL") from error
            if reply.status not in REDIRECTS:
                return reply
            reply.release()
            url = _target(url, reply.headers.get("Location", ""))
        raise Malformed(f"more than {MOST_REDIRECTS} redirects")

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], home: bool) -> aiohttp.ClientResponse:
        own = self._at_home if home else {"headers": {}}
        # Of compressed content neither a size nor a range could be told.
        whole = {**own["headers"], "Accept-Encoding": "identity", **headers}
        more = {**self._anywhere, **own, "headers": whole, "allow_redirects": False}
        session = self._home if home else self._abroad
        if session is None:
            raise RuntimeError("the session was closed")
        self._asking += 1
        try:
            reply: aiohttp.ClientResponse = await session.request(method, URL(url, encoded=True), **more)
        finally:
            self._asking -= 1
        return reply


def _target(url: str, location: str) -> str:
    """Where a redirect leads.

    Raises:
        Folder: to the same name with a slash behind it.
        Malformed: nowhere, or where no request should go.
    """
    if not location:
        raise Malformed("a redirect without Location")
    try:
        target = quote(urljoin(url, location).partition("#")[0], safe=ALLOWED, errors="surrogateescape")
        old, new = urlsplit(url), urlsplit(target)
        origin_of(target)[1].encode("idna")
    except ValueError as error:  # A host or a port that cannot be.
        raise Malformed("a redirect to what is no URL") from error
    if new.path == old.path + "/":
        raise Folder
    if new.scheme not in ("http", "https") or not new.hostname:
        raise Malformed("a redirect to what is no URL of HTTP")
    if (old.scheme, new.scheme) == ("https", "http"):
        raise Malformed("a redirect from https to http, which would be read and changed by anyone on the way")
    if new.username is not None:
        raise Malformed("a redirect to a URL with a login")
    return target
