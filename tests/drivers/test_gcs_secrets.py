"""Signed URLs of Google Cloud Storage, and what nobody may see: keys, tokens, addresses of uploads."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
import traceback
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import aiohttp
import pytest
from google.auth.exceptions import TransportError
from helpers.gcs import PART, Place, gcs_place, gcs_view, on_part, pieces
from servers.gcs import BUCKET, GcsServer
from servers.gcs_answers import Hook
from servers.gcs_faults import GONE, UNAUTHORIZED, half_body, hang, instead, page, reset_after, reset_before, when
from servers.gcs_login import service_account, user

from remote_store import BackendUnavailable, CapabilityNotSupported, PermissionDenied, RemoteStoreError, Store
from remote_store.backends import GCSBackend

WEEK = 7 * 24 * 3600
KEYS = [
    "f", "d/a b.txt", "ü/𝄞", "a+b", "a?b#c&d=e;f", "%41%", "~-_.!*'()", "a\"b", "a=b&X-Goog-Date=1", "a:b@c,d$e",
    "<>{}|^`", "\x7f\x01", "a...b", "ä" * 100,
]  # fmt: skip


def account(server: GcsServer) -> dict[str, str]:
    return service_account(server.endpoint)


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def ask(url: str, method: str = "GET", data: bytes | None = None) -> tuple[int, bytes]:
    """What a server answers to somebody with nothing but the URL."""
    request = urllib.request.Request(url, data, {"Content-Type": "application/octet-stream"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


@pytest.mark.parametrize("kind", [pytest.param("sync", marks=pytest.mark.full), "async"])
@pytest.mark.parametrize("endpoint", ["the double", "Google", "slash"])
async def test_a_url_is_that_of_googles_own_client(gcs_server: GcsServer, endpoint: str, kind: str) -> None:
    from google.cloud.storage._signing import generate_signed_url_v4
    from google.oauth2.service_account import Credentials

    key = Credentials.from_service_account_info(account(gcs_server))
    where = {"the double": gcs_server.endpoint, "Google": "https://storage.googleapis.com", "slash": "http://h:1/"}
    url = where[endpoint]
    options = {"token": account(gcs_server), "endpoint_url": None if endpoint == "Google" else url}
    async with gcs_view(kind, gcs_server, "", **options) as view:
        for path in KEYS:
            for method, expires_in in (("GET", 3600), ("PUT", 1), ("GET", WEEK)):
                found = await view.sign(path, method=method, expires_in=expires_in)
                theirs = generate_signed_url_v4(
                    key,
                    f"/{BUCKET}/{quote(path, safe='/~')}",
                    expiration=dt.timedelta(seconds=expires_in),
                    api_access_endpoint=url.rstrip("/"),
                    method=method,
                    _request_timestamp=query(found)["X-Goog-Date"],
                )
                assert found.partition("?")[0] == theirs.partition("?")[0]
                assert query(found) == query(theirs)


async def test_who_pays_is_signed_too(gcs_server: GcsServer) -> None:
    async with gcs_view("async", gcs_server, "p", token=account(gcs_server), requester_pays="payer") as view:
        assert query(await view.sign("f"))["userProject"] == "payer"


async def test_a_url_reads_and_another_writes(gcs_server: GcsServer) -> None:
    async with gcs_place("async", gcs_server, token=account(gcs_server)) as place:
        for key in KEYS:
            place.put(key, b"old")
            assert ask(await place.view.sign(key)) == (200, b"old")
            assert ask(await place.view.sign(key, method="PUT"), "PUT", b"new")[0] == 200
            assert place.contents()[key] == b"new"


async def test_nothing_is_asked_but_for_credentials(gcs_server: GcsServer) -> None:
    async with gcs_place("async", gcs_server, token=account(gcs_server)) as place:
        for _ in range(3):
            await place.view.sign("missing")
        assert [request for request in gcs_server.requests if "/token" not in request] == []
        assert len(gcs_server.requests) <= 1


@pytest.mark.parametrize("kind", ["anonymous", "a token", "a user", "none found"])
async def test_credentials_that_cannot_sign_are_a_missing_capability(
    gcs_server: GcsServer, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from google.oauth2.credentials import Credentials

    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setattr("gcsfs.credentials.GoogleCredentials.tokens", {})
    login = {
        "anonymous": "anon",
        "a token": "raw-token",
        "a user": Credentials(None, **user(gcs_server.endpoint)),
        "none found": None,
    }
    async with gcs_view("async", gcs_server, "p", token=login[kind]) as view:
        for wrong in ({}, {"method": "DELETE"}, {"expires_in": 0}):
            with pytest.raises(CapabilityNotSupported, match="not supported by these credentials") as caught:
                await view.child("d").sign("f", **wrong)
            assert (caught.value.capability, caught.value.path) == ("signed_url", "f")


SIGNING = {
    "impersonated": "Error calling sign_bytes: {'error': {'code': %d, 'message': 'no', 'status': 'X'}}",
    "of a machine": 'Error calling the IAM signBlob API: b\'{\\n  "error": {\\n    "code": %d,\\n "status": "X"}}\'',
}


@pytest.mark.parametrize("kind", SIGNING)
@pytest.mark.parametrize("status", [403, 404, 400, 500])
async def test_credentials_that_may_not_sign_are_told_from_an_outage(
    gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch, kind: str, status: int
) -> None:
    def refused(self: Any, message: bytes) -> bytes:
        raise TransportError(SIGNING[kind] % status)

    monkeypatch.setattr("google.oauth2.service_account.Credentials.sign_bytes", refused)
    async with gcs_view("async", gcs_server, "p", token=account(gcs_server)) as view:
        with pytest.raises(RemoteStoreError) as caught:
            await view.sign("f")
    denied = status in (403, 404)
    assert type(caught.value) is (PermissionDenied if denied else BackendUnavailable)
    assert ("iam.serviceAccounts.signBlob" in str(caught.value)) == denied


@pytest.mark.parametrize("expires_in", [0, -1, WEEK + 1, 1.5, True, "60", None])
async def test_another_time_is_refused(gcs_server: GcsServer, expires_in: Any) -> None:
    async with gcs_view("async", gcs_server, "p", token=account(gcs_server)) as view:
        with pytest.raises(ValueError, match="whole seconds from 1 to 604800"):
            await view.sign("f", expires_in=expires_in)


# --- texts


LINE = 1
"""A line of a private key, after that which says what it is."""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("login", ["account", "token", "user"])
async def test_no_secret_is_ever_shown(gcs_server: GcsServer, kind: str, login: str) -> None:
    from google.oauth2.credentials import Credentials

    tokens: dict[str, Any] = {
        "account": account(gcs_server),
        "token": "raw-access-s3cret",
        "user": Credentials("raw-access-s3cret", **user(gcs_server.endpoint)),
    }
    secrets = [account(gcs_server)["private_key"].splitlines()[LINE], "raw-access-s3cret", "s3cret-client"]
    async with gcs_place(kind, gcs_server, token=tokens[login]) as place:
        await place.view.write("key", place.view.stream(pieces(1)))
        assert gcs_server.service
        secrets += [*gcs_server.service.issued, *gcs_server.service.sessions]
        store = place.view.store
        plan = store.resolve("key")
        driver = store._backend._driver
        shown = [store, store._backend, driver, driver.wire, driver.wire.session, driver.wire.session.login, plan]
        shown += [dict(plan.details), store.child("x"), driver.wire.where, driver.fs]
        texts = [text for one in shown for text in (repr(one), str(one))] + [store.native_path("key")]
        texts.append(json.dumps(dict(plan.details)))
        assert not [text for text in texts if any(secret in text for secret in secrets)]


FAULTS: dict[str, Hook] = {
    "reset before": reset_before,
    "reset after": reset_after,
    "half a body": half_body,
    "gone": instead(GONE),
    "401": instead(UNAUTHORIZED),
    "page": instead(page(200)),
    "502": instead(page(502)),
    "redirect": instead(page(302)),
}


async def test_no_error_tells_the_address_of_an_upload_or_a_token(gcs_server: GcsServer, monkeypatch: Any) -> None:
    """Nor does what it was caused by, nor a traceback."""
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)
    async with gcs_place("async", gcs_server, token=account(gcs_server)) as place:
        for fault in FAULTS.values():
            for on in (on_part(fault), when(fault, "POST"), when(fault, "GET")):
                await told_without_secrets(place, on)


async def told_without_secrets(place: Place, hook: Hook) -> None:
    seen: set[str] = set()

    def watching(request: Any, carry_out: Any) -> Any:
        if "upload_id" in request.query:
            seen.add(request.query["upload_id"])
        seen.add(request.headers.get("Authorization", "").removeprefix("Bearer ") or "-none-")
        return hook(request, carry_out)

    with place.server.hooked(watching):
        for work in (
            lambda: place.view.write("key", place.view.stream(pieces(2)), overwrite=True),
            lambda: place.view.write("key", bytes(PART), overwrite=True),
            lambda: place.view.read_bytes("key"),
            lambda: place.view.get_file_info("key"),
        ):
            try:
                await work()
            except RemoteStoreError as error:
                told = "".join(traceback.format_exception(error)) + repr(error.__cause__) + repr(error.__context__)
                assert not [secret for secret in seen if secret in told]


def test_a_deadline_tells_no_address(gcs_server: GcsServer) -> None:
    released = threading.Event()
    with Store(GCSBackend(BUCKET, "p", **gcs_server.options, timeout=0.3, part_size=PART)) as store:
        with gcs_server.hooked(on_part(hang(released))), pytest.raises(RemoteStoreError) as caught:
            store.write("key", iter(pieces(2)))
        released.set()
    told = "".join(traceback.format_exception(caught.value))
    assert "upload_id" not in told
    assert "/upload/" not in told


@pytest.mark.parametrize(
    "make",
    [
        lambda url: aiohttp.ClientOSError(None, f"Can not write request body for {url}"),
        lambda url: aiohttp.ServerTimeoutError(f"Connection timeout to host {url}"),
        lambda url: aiohttp.ClientPayloadError(f"of {url}"),
    ],
)
async def test_what_aiohttp_says_of_an_address_is_not_passed_on(
    gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    send = aiohttp.ClientSession._request

    async def fails(self: Any, method: str, url: Any, **options: Any) -> Any:
        if "upload_id" in str(url) and method == "PUT":
            raise make(url)
        return await send(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", fails)
    async with gcs_place("async", gcs_server, retries=0) as place:
        with pytest.raises(BackendUnavailable) as caught:
            await place.view.write("key", place.view.stream(pieces(2)))
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__cause__)
        assert "upload_id=***" in told
        assert re.search("upload_id=[0-9a-f]", told) is None
        await place.works()
