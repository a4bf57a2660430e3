"""Credentials of Google's, as gcsfs knows them: found and refreshed in threads, never on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import datetime as dt
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import gcsfs
import google.auth.credentials
import google.auth.exceptions as auth
import google.oauth2.credentials
from gcsfs.core import GCSFileSystem
from google.auth.transport.requests import Request

from remote_store.drivers.gcs.options import METHODS
from remote_store.drivers.objects.clock import Clock

T = TypeVar("T")
AGENT = f"python-gcsfs/{gcsfs.__version__}"
EARLY = 300.0
"""How long before they run out credentials are refreshed, as gcsfs does; half their life where that is short [s]."""
NEAR = ("metadata.google.internal", "169.254.169.254")
"""Hosts that a proxy does not know: where Google's machines get their tokens."""


LOOKING = 10
"""Credentials that were not found are looked for again, once refused, after so many times as long as looking took."""


async def in_daemon(work: Callable[[], T]) -> T:
    """What a thread gives that the end of the program does not wait for: google.auth tries long, without a deadline."""
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not outcome.done():  # Else whoever waited was cancelled.
            outcome.set_result(result) if error is None else outcome.set_exception(error)  # type: ignore[arg-type]

    def run() -> None:
        result, raised = None, None
        try:
            result = context.run(work)
        except BaseException as error:
            raised = error
        with suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(settle, result, raised)

    threading.Thread(target=run, name="remote_store-gcs-login", daemon=True).start()
    return await outcome


def known(token: Any) -> Any:
    """What gcsfs takes for `token` without asking anybody: it would send an access token to Google, in a URL."""
    if isinstance(token, os.PathLike):
        return os.fspath(token)
    if isinstance(token, str) and token not in METHODS and not os.path.exists(token):
        return google.oauth2.credentials.Credentials(token)
    if isinstance(token, google.auth.credentials.AnonymousCredentials):
        return "anon"
    if isinstance(token, Mapping):
        return dict(token)
    return token


class Login:
    """The credentials of a filesystem.

    Args:
        fs: the filesystem.
        method: how to find its credentials, once they are needed; None leaves those that it has.
        timeout: of each request for an access token [s].
        proxy: through which these go.
        ca_bundle: file of the certificates that they trust.

    Attributes:
        clock: of Google, as it was told last.
    """

    def __init__(
        self,
        fs: GCSFileSystem,
        method: tuple[Any] | None = None,
        timeout: float = 60,
        proxy: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._fs, self._method = fs, method
        self._timeout, self._proxy, self._ca_bundle = timeout, proxy, ca_bundle
        self._chain, self._refused, self._look = method, False, math.inf
        self._early, self.clock = EARLY, Clock()
        self._working: asyncio.Future[None] | None = None

    @property
    def anonymous(self) -> bool:
        """Whether requests carry no credentials."""
        return self._fs.credentials.credentials is None

    @property
    def ran_out(self) -> bool:
        """Whether, by the clock of this machine, there was an access token that is no good any more."""
        found = self._fs.credentials.credentials
        return found is not None and found.token is not None and self._left() <= 0

    @property
    def found_none(self) -> bool:
        """Whether they do so because none were found."""
        return self.anonymous and self._method is None and self._fs.credentials.token is None

    @property
    def waits(self) -> bool:
        """Whether a request waits until credentials are `ready`."""
        return self._method is not None or self._left() <= self._early or self._looks_again

    async def ready(self) -> None:
        """Find credentials, and refresh them before they run out."""
        await self._in_thread(self._prepare)

    async def found(self) -> None:
        """Find credentials, and ask for no access token."""
        if self._method is not None or self._looks_again:
            await self._in_thread(self._find)

    async def renew(self, used: str) -> bool:
        """Get another access token than the one that was refused; whether there is one."""
        if self.anonymous:
            self._refused = True
            return False
        if self._bearer() == used:
            try:
                await self._in_thread(self._refresh)  # Whatever time is left.
            except auth.GoogleAuthError as error:
                if isinstance(error, auth.TransportError) or error.retryable:
                    raise
                return False  # Those that cannot be refreshed are what was refused.
        return self._bearer() != used

    async def _in_thread(self, work: Callable[[], None]) -> None:
        """Let a thread work while others wait, at most one: it may outlive the deadlines of those who wait for it."""
        if self._working is None or self._working.done():
            self._working = asyncio.ensure_future(in_daemon(work))
            self._working.add_done_callback(lambda done: done.cancelled() or done.exception())  # Nobody may wait.
        await asyncio.shield(self._working)

    @property
    def _looks_again(self) -> bool:
        """Whether it is time to look again for credentials that were not found, since requests without are refused."""
        return self._refused and self.found_none and time.monotonic() >= self._look

    def _prepare(self) -> None:
        self._find()
        if self._left() <= self._early:
            try:
                self._refresh()
            except auth.GoogleAuthError:
                self._early = self._left() / 2  # Those at hand will do for now.
                if self._early <= 0:
                    raise

    def _find(self) -> None:
        method, begun = self._chain if self._looks_again else self._method, time.monotonic()
        if method is not None:
            found = copy.copy(self._fs.credentials)
            found.token, found.heads = method[0], {}
            try:
                found.connect(method=found.token)
            except ValueError as error:
                raise auth.DefaultCredentialsError(error) from error
            self._fs.credentials, self._method, self._refused = found, None, False
            if self._chain is not None:
                self._look = time.monotonic() + LOOKING * (time.monotonic() - begun)

    def _refresh(self) -> None:
        request, own = _Request(), self._fs.credentials
        request.hear = self.clock.hear
        request.defaults = {"timeout": self._timeout}
        if self._proxy is not None:
            near = {f"http://{host}": "" for host in NEAR}
            request.defaults["proxies"] = {"http": self._proxy, "https": self._proxy, **near}
        if self._ca_bundle is not None:
            request.defaults["verify"] = self._ca_bundle
        try:
            with own.lock:
                own.credentials.refresh(request)
        finally:
            request.session.close()
        self._early = min(EARLY, self._left() / 2)

    def _left(self) -> float:
        """How long the access token is good for [s]."""
        found = self._fs.credentials.credentials
        if found is None or (found.token is None and found.valid):
            return math.inf
        if found.token is None:
            return 0
        if found.expiry is None:
            return math.inf
        left: dt.timedelta = found.expiry.replace(tzinfo=dt.UTC) - dt.datetime.now(dt.UTC)
        return left.total_seconds()

    def _bearer(self) -> str:
        return self.headers({}).get("authorization", "")

    def headers(self, more: Mapping[str, str]) -> dict[str, str]:
        """The headers of a request; nothing is refreshed for them."""
        headers = {"User-Agent": AGENT, **more}
        if not self.anonymous:
            self._fs.credentials.credentials.apply(headers)
        return headers

    @property
    def signer(self) -> Any:
        """Credentials that sign by themselves; None where there are none."""
        found = self._fs.credentials.credentials
        signs = isinstance(found, google.auth.credentials.Signing) and getattr(found, "signer_email", None)
        return found if signs else None


class _Request(Request):  # type: ignore[misc]
    """How google.auth asks for tokens."""

    defaults: dict[str, Any]
    """Of each request: what a session is told, settings of the environment outrank."""
    hear: Callable[[Mapping[str, str]], None]
    """Is given the headers of each answer."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        answer = super().__call__(*args, **{**self.defaults, **options})
        self.hear(answer.headers)
        return answer
