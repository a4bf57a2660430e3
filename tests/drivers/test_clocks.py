"""A clock of this machine that is over an hour wrong: what is asked and signed is good all the same, or says why."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import google.oauth2.credentials
import pytest
from azure.core.credentials import AccessToken, AccessTokenInfo
from helpers.azure import azure_place, azure_view
from helpers.gcs import Place as GcsPlace
from helpers.gcs import gcs_place
from servers import web
from servers.azure import ACCOUNT, CONTAINER, HNS, KEY, AzureServer, azure
from servers.gcs import GcsServer
from servers.gcs_faults import throttled
from servers.gcs_login import service_account

from remote_store import PermissionDenied
from remote_store.drivers.objects.clock import Clock
from remote_store.drivers.objects.http import wait_told

HOUR = 4000
"""A little more, by which the service's clock is ahead of that of this machine, or behind it [s]."""
WRONG = pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["behind", "ahead"])
DIFFER = r"the clocks of this machine and of the service differ by 6[67] minutes"


def ask(url: str, certificate: str | None = None) -> tuple[int, bytes]:
    """What somebody gets who has nothing but a URL."""
    try:
        trust = ssl.create_default_context(cafile=certificate) if certificate else None
        with urllib.request.urlopen(url, timeout=60, context=trust) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


# --- Google Cloud Storage


@pytest.fixture
def gcs_double(gcs_server: GcsServer) -> Iterator[GcsServer]:
    with gcs_server.having(token="demanded"):
        yield gcs_server


@WRONG
async def test_google_refuses_an_assertion_of_another_time_and_the_error_says_so(
    gcs_double: GcsServer, ahead: float
) -> None:
    async with gcs_place("async", gcs_double, token=service_account(gcs_double.endpoint)) as place:
        told = pytest.raises(PermissionDenied, match=rf"no usable credentials .* \(RefreshError\); {DIFFER}; pass")
        with gcs_double.having(clock_ahead=ahead), told:
            await place.view.read_bytes("key")
        await place.works()


@WRONG
async def test_an_access_token_does_not_depend_on_the_clock(gcs_double: GcsServer, ahead: float) -> None:
    with gcs_double.having(clock_ahead=ahead):
        async with gcs_place("async", gcs_double, token="demanded") as place:
            await place.works()


@WRONG
async def test_a_token_that_google_refuses_may_be_of_another_time(gcs_double: GcsServer, ahead: float) -> None:
    with gcs_double.having(clock_ahead=ahead):
        async with gcs_place("async", gcs_double, token="ended") as place:
            with pytest.raises(PermissionDenied, match=rf"does not accept the credentials; {DIFFER}"):
                await place.view.read_bytes("key")


async def test_a_refusal_where_clocks_agree_says_nothing_of_them(gcs_double: GcsServer) -> None:
    async with gcs_place("async", gcs_double, token="ended") as place:
        with pytest.raises(PermissionDenied, match=r"does not accept the credentials \(path"):
            await place.view.read_bytes("key")


async def test_a_token_that_ends_by_a_clock_that_is_ahead_says_so(gcs_double: GcsServer) -> None:
    ended = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(minutes=10)
    token = google.oauth2.credentials.Credentials("demanded", expiry=ended)
    async with gcs_place("async", gcs_double, token=token) as place:
        with pytest.raises(PermissionDenied, match="by the clock of this machine, the access token has run out; pass"):
            await place.view.read_bytes("key")


async def signed_by_google(place: GcsPlace, expires_in: int = 3600) -> tuple[int, bytes]:
    url = await place.view.sign("key", expires_in=expires_in)
    with place.server.having(token=None):
        return await asyncio.to_thread(ask, url)


@WRONG
async def test_a_url_of_google_is_of_the_time_that_replies_tell(gcs_server: GcsServer, ahead: float) -> None:
    async with gcs_place("async", gcs_server, token=service_account(gcs_server.endpoint)) as place:
        await place.view.write("key", b"content")
        with gcs_server.having(clock_ahead=ahead):
            assert (await signed_by_google(place))[0] in (400, 403)  # No reply has told the time.
            await place.view.exists("key")
            assert await signed_by_google(place) == (200, b"content")
            assert (await signed_by_google(place, 30))[0] == 200


# --- Azure


@WRONG
@pytest.mark.parametrize("container", [CONTAINER, HNS], ids=["flat", "folders"])
async def test_azure_refuses_a_signature_of_another_time_and_the_error_says_so(
    azure_server: AzureServer, brief: None, container: str, ahead: float
) -> None:
    async with azure_place("async", azure_server, container) as place:
        with azure_server.having(clock_ahead=ahead):
            for call in (place.view.read_bytes("key"), place.view.exists("key"), place.view.write("key", b"1")):
                with pytest.raises(
                    PermissionDenied, match=r"the clocks of this machine and of 127.* differ by more than"
                ):
                    await call
        await place.works()


async def test_a_wrong_key_is_not_taken_for_a_wrong_clock(azure_server: AzureServer) -> None:
    with azure_server.having(demands=frozenset({"token"}), clock_ahead=600):
        async with azure_place("async", azure_server) as place:
            with pytest.raises(PermissionDenied, match=r"does not accept the credentials \(AuthenticationFailed\)"):
                await place.view.read_bytes("key")


class Credential:
    """One of Microsoft Entra ID."""

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)

    async def get_token_info(self, *scopes: str, **_: Any) -> AccessTokenInfo:
        return AccessTokenInfo(*await self.get_token(*scopes))

    async def close(self) -> None: ...


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AzureServer, str]]:
    """The double over TLS, without which the SDK sends no token; and its certificate."""
    certificate = web.self_signed(tmp_path_factory.mktemp("tls"))
    with azure(certificate) as server:
        yield server, str(certificate)


def options(tls: tuple[AzureServer, str], **login: Any) -> dict[str, Any]:
    host = tls[0].endpoint.partition("://")[2]
    place = {"account_name": ACCOUNT, "account_host": host, "ca_bundle": tls[1], "connection_string": None}
    return {**place, **login}


@WRONG
async def test_a_url_of_azure_by_a_delegated_key_is_good_at_once(tls: Any, ahead: float) -> None:
    server, certificate = tls
    with server.having(clock_ahead=ahead):
        async with azure_view("async", server, "p", **options(tls, credential=Credential())) as view:
            server.put("p/key", b"content")
            server.requests.clear()
            url = await view.sign("key")  # The first request tells the time.
            assert await asyncio.to_thread(ask, url, certificate) == (200, b"content")
            assert sum("userdelegationkey" in request for request in server.requests) == 2
            server.requests.clear()
            assert (await asyncio.to_thread(ask, await view.sign("key"), certificate))[0] == 200
            assert sum("userdelegationkey" in request for request in server.requests) == 1


@WRONG
async def test_a_url_of_azure_by_the_accounts_key_is_of_the_time_that_replies_tell(tls: Any, ahead: float) -> None:
    server, certificate = tls
    async with azure_view("async", server, "p", **options(tls, account_key=KEY)) as view:
        server.put("p/key", b"content")
        with server.having(clock_ahead=ahead):
            with pytest.raises(PermissionDenied, match="the clocks of this machine"):
                await view.exists("key")
            assert (await asyncio.to_thread(ask, await view.sign("key", expires_in=300), certificate))[0] == 200


# --- what replies tell


def date(seconds: float) -> str:
    """A header that tells what time it will be in that long."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize(
    "told",
    [dict, lambda: {"Date": "yesterday"}, lambda: {"Date": date(20)}, lambda: {"Date": date(-9999), "Age": "9999"}],
)
def test_a_clock_that_tells_nothing_new_changes_nothing(told: Callable[[], dict[str, str]]) -> None:
    clock = Clock()
    clock.hear(told())
    assert not clock.ahead
    assert abs(clock.now() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=30)


def test_what_was_told_is_forgotten_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, real = Clock(), time.time
    clock.hear({"Date": date(HOUR)})
    assert abs(clock.ahead.total_seconds() - HOUR) < 60
    monkeypatch.setattr("time.time", lambda: real() + HOUR)
    assert not clock.ahead


@WRONG
def test_a_wait_until_a_time_is_by_the_clock_of_who_asks_for_it(ahead: float) -> None:
    told = {"Date": date(ahead), "Retry-After": date(ahead + 7)}
    assert 6 <= wait_told(told) <= 8
    assert wait_told({**told, "Retry-After": date(ahead - 7)}) == 0
    assert wait_told({"Retry-After": date(100)}) > 60
    assert wait_told(throttled(3).headers) == 3
