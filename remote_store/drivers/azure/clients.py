"""The SDK's clients of a container, with the address and the credentials of an adlfs filesystem.

adlfs's own have a small pool, decode content, and wait for minutes between tries that do not tell what became of them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, TypeVar

import aiohttp
from adlfs import AzureBlobFileSystem
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from azure.storage.filedatalake.aio import DataLakeServiceClient, FileSystemClient

from remote_store.drivers.azure.errors import CHANGED, Closed, code_of
from remote_store.drivers.objects.clock import FAR, Clock
from remote_store.drivers.objects.http import AGAIN, CONNECTIONS, UNHEARD, hide_secrets, let_go, wait_told
from remote_store.drivers.objects.tries import Tries, Try
from remote_store.drivers.objects.wire import Malformed
from remote_store.drivers.reasons import kinds

T = TypeVar("T")
SCOPE = "https://storage.azure.com/.default"
"""Of tokens for any account: Microsoft Entra ID guide, authorize access to blobs."""
SPARE = 900
"""How much longer a signature is good for than its request may take, because clocks differ [s]."""

EARLIER = dt.timedelta(minutes=5)
"""How long before now a key to sign is good already, because clocks differ."""


def judged(error: Exception) -> Try:
    """What is to be done about a try that failed."""
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return Try(again=False)  # No credentials were found, or they cannot sign.
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        refused = kinds(getattr(error, "inner_exception", None)) & {"ClientConnectorError"}
        return Try(again=not isinstance(error, asyncio.CancelledError), unheard=not refused)
    wait = wait_told(error.response.headers) if error.response else 0
    again = error.status_code in AGAIN or code_of(error) == CHANGED
    return Try(again, error.status_code in UNHEARD, f"answered {error.status_code}", wait)


def check_reply(reply: Any) -> None:
    """Refuse success that is told by a page of a proxy or of a login: the service numbers each of its replies."""
    response = reply.http_response
    if response.status_code < 300 and not response.headers.get("x-ms-request-id"):
        response.internal_response.close()
        raise Malformed("it has no x-ms-request-id")


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (in a coroutine)
    return task


def _refused(error: BaseException | None) -> HttpResponseError | None:
    """The refusal whose body the SDK could not read, if that is why it raised an error of Python's."""
    while error is not None and not isinstance(error, HttpResponseError):
        error = error.__context__
    return error if error is not None and error.status_code is not None and error.status_code >= 400 else None


class Clients:
    """Makes requests to a container.

    Args:
        fs: the filesystem.
        container: its name.
        timeout: deadline of a call [s].
        retries: how often a failed request is sent again.
        connector: arguments of the connections.
        proxy: through which requests go.
    """

    def __init__(
        self,
        fs: AzureBlobFileSystem,
        container: str,
        timeout: float,
        retries: int,
        connector: dict[str, Any] | None = None,
        proxy: str | None = None,
    ) -> None:
        self.fs, self.name, self.timeout, self.retries = fs, container, timeout, retries
        self._connector, self._proxy = connector or {"limit": CONNECTIONS}, proxy
        self.clock = Clock()
        self.service: BlobServiceClient | None = None
        self.container: ContainerClient = None  # Made by `open`.
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._waiting: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        """Make the clients, which sends nothing."""
        if self.service is not None:
            return
        connector = aiohttp.TCPConnector(**self._connector)
        session = aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=True)
        session._retry_connection = False  # aiohttp would silently send a PUT again when a reused connection breaks.
        weakref.finalize(self, let_go, session, asyncio.get_running_loop())
        self._session, own = session, self.fs.service_client
        self.service = BlobServiceClient(own.url, credential=own.credential, **self._options())
        self.container = self.service.get_container_client(self.name)

    def _options(self) -> dict[str, Any]:
        """Arguments of each client."""
        return {
            "transport": AioHttpTransport(session=self._session, session_owner=False),
            "retry_total": 0,
            "permit_redirects": False,
            "raw_response_hook": self._look_at,
            "connection_timeout": 0.9 * self.timeout,  # Told from the deadline.
            "read_timeout": self.timeout,
            **({"proxies": dict.fromkeys(("http", "https"), self._proxy)} if self._proxy else {}),
        }

    def _look_at(self, reply: Any) -> None:
        self.clock.hear(reply.http_response.headers)
        check_reply(reply)

    @cached_property
    def tree(self) -> FileSystemClient:
        """The client of the half of the service that knows folders."""
        own = self.fs.service_client
        key = {name: getattr(own.credential, name, None) for name in ("account_name", "account_key")}
        credential = key if key["account_key"] else own.credential
        service = DataLakeServiceClient(own.url.replace(".blob.", ".dfs.", 1), credential=credential, **self._options())
        return service.get_file_system_client(self.name)

    async def close(self, owned: bool) -> None:
        """Let go of the connections; of the filesystem and the credentials it made, too, where nobody else has them.

        Requests under way end, and so do waits before further tries.
        """
        self._closed = True
        for task in self._waiting:
            task.cancel()
        if self._session is not None:
            await self._session.close()
        if owned:
            await self.fs.service_client.close()
            if self.fs.sync_credential is not None:  # adlfs has made both.
                await self.fs.credential.close()
                await asyncio.to_thread(self.fs.sync_credential.close)

    async def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Send a request until it is answered well, at most as often as it may be.

        Raises:
            Closed: before it was.
        """
        try:
            return await self._tried(request)
        except (Exception, asyncio.CancelledError) as error:
            # Who waited for a connection is told by a CancelledError, too, that there are none any more.
            cancelled = isinstance(error, asyncio.CancelledError) and _task().cancelling()
            if self._closed and not cancelled:
                raise Closed from error
            raise

    async def _tried(self, request: Callable[[], Awaitable[T]]) -> T:
        tries = Tries(self.retries, self.timeout, judged)
        while True:
            try:
                return await request()
            except (AzureError, aiohttp.ClientError, OSError) as error:
                hide_secrets(error)
                await self._again(tries, error)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                refused = _refused(error)
                if refused is None:
                    hide_secrets(error)
                    raise Malformed("it cannot be read") from error
                await self._again(tries, refused)

    async def _again(self, tries: Tries, error: Exception) -> None:
        """Wait before another try, unless there is none."""
        if self._closed:
            raise error
        task = _task()
        self._waiting.add(task)
        try:
            await tries.again(error)
        except asyncio.CancelledError:
            if self._closed and not task.uncancel():  # Cancelled by `close` alone.
                raise error from None
            raise
        finally:
            self._waiting.discard(task)

    # --- signed URLs

    @property
    def can_sign(self) -> bool:
        """Whether there is an account key, or credentials that may get a key for a time."""
        credential = self.fs.service_client.credential
        return hasattr(credential, "account_key") or hasattr(credential, "get_token")

    @property
    def signature(self) -> str:
        """The query that lets requests in, where the SDK puts it in no URL, as it is an object of its own."""
        told = getattr(self.fs.service_client.credential, "signature", None)
        return f"?{str(told).removeprefix('?')}" if told else ""

    def address(self, name: str) -> str:
        """The URL of a blob as a source, for which a signature must be there once more."""
        return f"{self.container.get_blob_client(name).url}{self.signature}"

    async def readable(self, name: str) -> tuple[str | None, str | None]:
        """A URL by which the service itself may read a blob, and what it shows there; None where there is no such URL.

        It does not use the login of the request for that (Blob Storage REST API, Copy Blob From URL).
        """
        credential, url = self.fs.service_client.credential, self.address(name)
        if hasattr(credential, "account_key"):
            return await self.sign(name, "GET", int(self.timeout) + SPARE), None
        if hasattr(credential, "get_token"):
            return url, f"Bearer {(await credential.get_token(SCOPE)).token}"
        return (url if "sig=" in url.partition("?")[2] else None), None

    async def sign(self, name: str, method: str, expires_in: int) -> str:
        """A URL by which whoever has it reads or writes a blob for that long [s]."""
        credential, length = self.fs.service_client.credential, dt.timedelta(seconds=expires_in)
        account, until = self.fs.service_client.account_name, self.clock.now() + length
        key: dict[str, Any] = {"account_key": getattr(credential, "account_key", None)}
        if key["account_key"] is None:
            key["user_delegation_key"], until = await self._delegated(length)
        allowed = BlobSasPermissions(read=True) if method == "GET" else BlobSasPermissions(create=True, write=True)
        signature = generate_blob_sas(account, self.name, name, **key, permission=allowed, expiry=until)
        return f"{self.container.get_blob_client(name).url.partition('?')[0]}?{signature}"

    async def _delegated(self, length: dt.timedelta) -> tuple[Any, dt.datetime]:
        """A key that signs for that long, and when it ends; asked for once more if its reply tells another time."""
        assert self.service  # noqa: S101 (made by `open`)
        for last in (False, True):
            now, known = self.clock.now(), self.clock.ahead
            ask = partial(self.service.get_user_delegation_key, now - EARLIER, now + length)
            try:
                key = await self.ask(ask)
            except HttpResponseError:
                if last or self.clock.ahead == known:
                    raise
            else:
                if last or abs(self.clock.ahead - known) <= FAR:
                    return key, now + length
        raise AssertionError


def detach(fs: AzureBlobFileSystem) -> None:
    """Undo what adlfs does when a filesystem is collected: it never is, and a forked child hangs at its exit."""
    registry: Any = weakref.finalize._registry  # type: ignore[attr-defined]  # There is no public way.
    for finalizer in list(registry):  # Its keys alone: pairs are new objects, which may set off a collection meanwhile.
        if (info := registry.get(finalizer)) and fs in info.args:
            finalizer.detach()


def close_at_end(clients: Clients) -> None:
    """Close the connections for tokens of a store that nobody closes, whose credentials adlfs has made."""
    fs = clients.fs
    if fs.sync_credential is not None and not fs.asynchronous:
        weakref.finalize(clients, _close, fs.credential, fs.loop, os.getpid())


def _close(credential: Any, loop: asyncio.AbstractEventLoop, process: int) -> None:
    if os.getpid() != process or not loop.is_running():  # A forked child has no thread of the loop.
        return
    closing = asyncio.run_coroutine_threadsafe(credential.close(), loop)
    if not threading.main_thread().is_alive():  # The program ends, and the loop with it.
        with suppress(Exception):
            closing.result(1)
