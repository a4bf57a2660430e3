"""Credentials of Google Cloud Storage: every kind, found and refreshed off the event loop, outages told apart."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import google.auth.credentials
import google.oauth2.credentials
import google.oauth2.service_account
import pytest
import requests
from helpers.gcs import gcs_place, gcs_view
from helpers.lives import read_unpickled, refuses_another_loop, survives_a_fork
from helpers.processes import in_new_process, run_script
from servers.gcs import BUCKET, GcsServer
from servers.gcs_answers import json_answer
from servers.gcs_faults import UNAUTHORIZED, in_turn, instead, page, refusal, when
from servers.gcs_login import service_account, user
from servers.ports import free_port

from remote_store import BackendUnavailable, PermissionDenied, Store
from remote_store.aio import AsyncGCSBackend, AsyncStore
from remote_store.backends import GCSBackend

SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
RAW = "ya29.raw-access-token"
SETTINGS = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GCLOUD_PROJECT",
    "GCE_METADATA_HOST",
)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine where nobody logged in, and none of Google's."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setattr("gcsfs.credentials.GoogleCredentials.tokens", {})
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)


@pytest.fixture
def server(gcs_server: GcsServer) -> Iterator[GcsServer]:
    """The double, which demands credentials."""
    gcs_server.requests.clear()
    with gcs_server.having(token=RAW):
        yield gcs_server


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What google.auth and gcsfs send past the event loop."""
    sent: list[str] = []
    send = requests.Session.send

    def spy(self: Any, request: Any, **options: Any) -> Any:
        sent.append(request.url)
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", spy)
    return sent


def tokens(server: GcsServer) -> int:
    return sum(request.startswith("POST /token") for request in server.requests)


def account_object(server: GcsServer) -> Any:
    return google.oauth2.service_account.Credentials.from_service_account_info(
        service_account(server.endpoint), scopes=[SCOPE]
    )


def user_object(server: GcsServer, **told: Any) -> Any:
    return google.oauth2.credentials.Credentials(told.pop("token", None), **user(server.endpoint), **told)


def in_file(server: GcsServer, folder: Path) -> Path:
    file = folder / "key.json"
    file.write_text(json.dumps(service_account(server.endpoint)))
    return file


def rarely(*values: str) -> list[Any]:
    """Left to the full run: slow, and of the same rule."""
    return [pytest.param(value, marks=pytest.mark.full) for value in values]


KINDS: dict[str, Callable[[GcsServer, Path], Any]] = {
    "a file": lambda server, folder: str(in_file(server, folder)),
    "a path": in_file,
    "a dict": lambda server, folder: service_account(server.endpoint),
    "an access token": lambda server, folder: RAW,
    "a service account": lambda server, folder: account_object(server),
    "a user": lambda server, folder: user_object(server),
    "a static token": lambda server, folder: google.oauth2.credentials.Credentials(RAW),
}


@pytest.mark.parametrize("mode", [*rarely("sync"), "async"])
@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_lets_in(server: GcsServer, posts: list[str], tmp_path: Path, kind: str, mode: str) -> None:
    async with gcs_place(mode, server, token=KINDS[kind](server, tmp_path)) as place:
        assert posts == []  # Nothing is asked before the first call.
        await place.view.write("key", b"1")
        assert await place.view.read_bytes("key") == b"1"
    asked = 0 if "token" in kind else 1
    assert posts == [f"{server.endpoint}/token"] * asked
    assert tokens(server) == asked


@pytest.mark.parametrize("mode", [*rarely("sync"), "async"])
@pytest.mark.parametrize("method", [None, "google_default"])
async def test_credentials_are_found_where_google_looks(
    server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str | None, mode: str
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(in_file(server, tmp_path)))
    async with gcs_place(mode, server, token=method) as place:
        await asyncio.gather(*(place.view.exists("key") for _ in range(1 if mode == "sync" else 50)))
        await place.view.write("key", b"1")
    assert tokens(server) == 1


@pytest.mark.parametrize("mode", [*rarely("sync"), "async"])
async def test_where_none_are_found_requests_carry_none_and_errors_say_so(server: GcsServer, mode: str) -> None:
    async with gcs_place(mode, server, token=None) as place:
        with pytest.raises(PermissionDenied, match="no credentials were found, so requests carry none: pass token="):
            await place.view.read_bytes("key")
        with server.having(token=None):
            await place.view.write("key", b"1")  # A public place.
    for told in ("anon", google.auth.credentials.AnonymousCredentials()):
        async with gcs_place(mode, server, token=told) as place:
            with pytest.raises(PermissionDenied) as caught:
                await place.view.read_bytes("key")
            assert "were found" not in str(caught.value)


@pytest.mark.parametrize("mode", [*rarely("sync"), "async"])
async def test_credentials_that_were_not_found_are_looked_for_again(
    server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Somebody may log in meanwhile; but while requests without credentials are answered, nobody looks."""
    monkeypatch.setattr("remote_store.drivers.gcs.credentials.LOOKING", 0)
    async with gcs_place(mode, server, token=None) as place:
        with server.having(token=None):
            await place.view.write("key", b"1")
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(in_file(server, tmp_path)))
            await place.view.write("key", b"2", overwrite=True)
            assert tokens(server) == 0
        with pytest.raises(PermissionDenied, match="no credentials were found"):
            await place.view.read_bytes("key")
        assert await place.view.read_bytes("key") == b"2"
    assert tokens(server) == 1


async def test_looking_again_for_credentials_waits_by_what_looking_takes(
    server: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    monkeypatch.setattr("remote_store.drivers.gcs.credentials.LOOKING", 1e9)
    monkeypatch.setattr("gcsfs.credentials.GoogleCredentials._connect_google_default", lambda self: looked.append(1))
    async with gcs_place("async", server, token=None) as place:
        for _ in range(3):
            with pytest.raises(PermissionDenied):
                await place.view.read_bytes("key")
    assert len(looked) == 1


SILENT = """
import json, sys, time
from remote_store import BackendUnavailable, Store
from remote_store.backends import GCSBackend
import google.auth
begun = []
def never(*args, **options):
    begun.append(1)
    time.sleep(3600)
google.auth.default = never
with Store(GCSBackend("bucket", timeout=0.2, retries=0)) as store:
    try:
        store.exists("key")
    except BackendUnavailable:
        print("told", len(begun))
"""


def test_the_end_of_a_program_does_not_wait_for_credentials() -> None:
    assert run_script(SILENT) == ("told 1\n", "")


async def test_a_way_that_leads_nowhere_is_told(server: GcsServer) -> None:
    for method in ("google_default", "cloud", "cache"):
        async with gcs_place("async", server, token=method) as place:
            with pytest.raises(PermissionDenied, match=r"no usable credentials for 127\.0\.0\.1.*; pass token="):
                await place.view.read_bytes("key")
    assert server.requests == []


# --- refreshing


async def longest_gap(work: Any) -> float:
    """How long the event loop stood still at most, while a coroutine ran [s]."""
    task, gap, last = asyncio.ensure_future(work), 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.002)
        gap, last = max(gap, time.perf_counter() - last), time.perf_counter()
    await task
    return gap


@pytest.mark.parametrize("kind", ["a dict", *rarely("a user", "a file", "found", "about to run out", "refused")])
async def test_the_loop_goes_on_while_credentials_are_refreshed(
    server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Fifty first calls together ask once."""
    soon = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=240)
    make = {
        "found": lambda *_: None,
        "about to run out": lambda *_: user_object(server, token=RAW, expiry=soon),
        "refused": lambda *_: user_object(server, token="revoked"),
    }
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(in_file(server, tmp_path)))
    delay = 2.0
    async with gcs_place("async", server, token={**KINDS, **make}[kind](server, tmp_path)) as place:
        calls = [place.view.exists(f"key{number}") for number in range(50)]
        with server.having(token_delay=delay):
            assert await longest_gap(asyncio.gather(*calls)) < 0.75 * delay
    assert tokens(server) == 1


async def test_tokens_that_live_shortly_are_used_as_long_as_they_live(server: GcsServer) -> None:
    """Google's machines give out tokens that end before others would be refreshed."""
    with server.having(token_lifetime=250):
        async with gcs_place("async", server, token=service_account(server.endpoint)) as place:
            for _ in range(5):
                await place.view.exists("key")
    assert tokens(server) == 1


@pytest.mark.parametrize("mode", [*rarely("sync"), "async"])
async def test_a_token_that_is_refused_is_renewed_once(server: GcsServer, mode: str) -> None:
    async with gcs_place(mode, server, token=service_account(server.endpoint)) as place:
        await place.view.write("key", b"1")
        assert server.service
        server.service.issued.clear()  # Revoked, with an hour to go.
        assert await place.view.read_bytes("key") == b"1"
        assert tokens(server) == 2
        server.service.issued.clear()
        await place.view.write("long", place.view.stream([bytes(256 << 10), b"."]))
        assert tokens(server) == 3
        server.requests.clear()
        refused = when(instead(UNAUTHORIZED), "GET", "alt=media")
        with server.hooked(refused), pytest.raises(PermissionDenied, match="does not accept the credentials"):
            await place.view.read_bytes("key")
        assert tokens(server) == 1
        assert len(server.requests) == 3
        assert await place.view.read_bytes("key") == b"1"


@pytest.mark.parametrize("kind", ["an access token", "a static token"])
async def test_a_token_that_cannot_be_renewed_is_refused(server: GcsServer, tmp_path: Path, kind: str) -> None:
    async with gcs_place("async", server, token=KINDS[kind](server, tmp_path)) as place:
        with server.having(token="another"):
            with pytest.raises(PermissionDenied, match="does not accept the credentials"):
                await place.view.read_bytes("key")
            assert place.asked("alt=media") == 1


async def test_a_user_whose_token_has_no_end_is_renewed_all_the_same(server: GcsServer) -> None:
    async with gcs_place("async", server, token=user_object(server, token="stale")) as place:
        await place.view.write("key", b"1")
    assert tokens(server) == 1


# --- the place where tokens come from


@pytest.mark.parametrize("mode", [*rarely("sync"), "async"])
async def test_no_tokens_because_nobody_answers_is_an_outage(server: GcsServer, mode: str) -> None:
    nobody = service_account(f"http://127.0.0.1:{free_port()}")
    async with gcs_place(mode, server, token=nobody) as place:
        with pytest.raises(BackendUnavailable) as caught:
            await place.view.read_bytes("key")
        assert nobody["private_key"] not in str(caught.value)
    assert server.requests == []


async def test_no_tokens_because_of_an_outage_are_an_outage(server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff._DEFAULT_INITIAL_INTERVAL_SECONDS", 0.01, raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    async with gcs_place("async", server, token=service_account(server.endpoint)) as place:
        with server.hooked(when(instead(page(503)), "POST", "/token")), pytest.raises(BackendUnavailable):
            await place.view.read_bytes("key")
        await place.works()


async def test_no_tokens_because_the_key_was_revoked_is_no_outage(server: GcsServer) -> None:
    grant = json_answer({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
    async with gcs_place("async", server, token=service_account(server.endpoint)) as place:
        told = pytest.raises(PermissionDenied, match=r"no usable credentials for .* \(RefreshError\)")
        with server.hooked(when(instead(grant), "POST", "/token")), told:
            await place.view.read_bytes("key")
        await place.works()


async def test_a_silent_place_is_told_in_time_and_asked_once(server: GcsServer) -> None:
    async with gcs_place("async", server, token=service_account(server.endpoint), timeout=0.3) as place:
        with server.having(token_delay=3):
            calls = [place.view.exists("key") for _ in range(20)]
            begun = time.monotonic()
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert time.monotonic() - begun < 30
        assert {type(error) for error in found} == {BackendUnavailable}
    assert 1 <= tokens(server) <= 3


async def test_a_refusal_of_two_requests_at_once_renews_once(server: GcsServer) -> None:
    async with gcs_place("async", server, token=service_account(server.endpoint)) as place:
        await place.view.ping()
        assert server.service
        server.service.issued.clear()
        with server.having(token_delay=0.1):
            await asyncio.gather(*(place.view.exists(f"{number}") for number in range(50)))
    assert tokens(server) == 2


# --- lives


@pytest.mark.parametrize("mode", [*rarely("sync"), "async"])
@pytest.mark.parametrize("kind", ["a dict", *rarely("a file", "an access token", "a user")])
async def test_explicit_credentials_travel_in_a_pickle(server: GcsServer, tmp_path: Path, kind: str, mode: str) -> None:
    async with gcs_place(mode, server, token=KINDS[kind](server, tmp_path)) as place:
        await place.view.write("key", b"content")
        data = pickle.dumps(place.view.store)
        assert await asyncio.to_thread(in_new_process, read_unpickled, data) == b"content"


async def test_credentials_that_were_found_do_not_travel(
    server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(in_file(server, tmp_path)))
    async with gcs_view("async", server, "p", token=None) as view:
        await view.exists("key")
        data = pickle.dumps(view.store)
    assert b"PRIVATE KEY" not in data
    assert b"issued-" not in data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
def test_a_store_made_before_a_fork_works_in_the_child(server: GcsServer) -> None:
    options = {**server.options, "token": service_account(server.endpoint)}
    with Store(GCSBackend(BUCKET, server.fresh_prefix(), **options)) as store:
        survives_a_fork(store)


async def test_an_asynchronous_store_of_another_loop_is_refused(server: GcsServer) -> None:
    store = AsyncStore(AsyncGCSBackend(BUCKET, "p", **server.options))
    with suppress(PermissionDenied):
        await store.exists("key")
    await refuses_another_loop(store)


async def test_first_calls_that_fail_do_not_spoil_the_next(server: GcsServer) -> None:
    async with gcs_place("async", server, token=service_account(server.endpoint)) as place:
        with server.hooked(when(in_turn(instead(refusal(401, "x"))), "POST", "/token")), suppress(PermissionDenied):
            await place.view.exists("key")
        await place.works()
