"""Signed URLs of S3: what they open, for how long, and who must not see them."""

from __future__ import annotations

import logging
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
from helpers.liars import Liar
from servers.s3 import BUCKET, S3Server, view_of

from remote_store import CapabilityNotSupported, InvalidPath, Store
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
from remote_store.certify import certify
from remote_store.certify.view import View

WEEK = 7 * 24 * 3600


class SignsBriefly(Liar):
    """Memory, which is certified in a second, with URLs that a report need not cut short."""

    def sign(self, path: str, **options: Any) -> str:
        return "http://127.0.0.1:9/f?X-Amz-Signature=0123abcd"


def ask(url: str, method: str = "GET", data: bytes | None = None) -> tuple[int, bytes]:
    """What a server answers to somebody with nothing but the URL."""
    request = urllib.request.Request(url, data, {"Content-Type": "application/octet-stream"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def query(url: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


async def test_a_url_reads_and_another_writes(view: View) -> None:
    await view.write("d/a b.txt", b"old")
    assert ask(await view.child("d").sign("a b.txt")) == (200, b"old")
    assert ask(await view.sign("d/a b.txt", method="PUT"), "PUT", b"new") == (200, b"")
    assert await view.read_bytes("d/a b.txt") == b"new"


async def test_nothing_is_asked_of_the_service(view: View, moto_server: S3Server) -> None:
    before = len(moto_server.requests)
    await view.sign("missing")
    await view.sign("missing", method="PUT")
    assert moto_server.requests[before:] == []


@pytest.mark.parametrize("expires_in", [1, 3600, WEEK])
async def test_it_says_how_long_it_is_good_for(view: View, expires_in: int) -> None:
    found = query(await view.sign("f", expires_in=expires_in))
    assert found["X-Amz-Expires"] == str(expires_in)
    assert found["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"  # The SDK alone would take version 2 in this region.


@pytest.mark.parametrize("expires_in", [0, -1, WEEK + 1, 1.5, True, "60", None])
async def test_another_time_is_refused(view: View, expires_in: Any) -> None:
    with pytest.raises(ValueError, match="whole seconds from 1 to 604800"):
        await view.sign("f", expires_in=expires_in)


@pytest.mark.parametrize("method", ["DELETE", "get", "", None])
async def test_another_method_is_refused(view: View, method: Any) -> None:
    with pytest.raises(ValueError, match="'GET' or 'PUT'"):
        await view.sign("f", method=method)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_service_that_verifies_lets_nobody_do_more(kind: str, ministack_server: S3Server) -> None:
    async with view_of(kind, ministack_server, ministack_server.fresh_prefix()) as view:
        for key in ("f", "a b+ü#?&=%.txt", "g"):
            await view.write(key, b"content")
            assert ask(await view.sign(key)) == (200, b"content")
        url = await view.sign("f")
        assert ask(url, "PUT", b"changed")[0] == 403
        assert ask(url.replace("/f?", "/g?"))[0] == 403
        assert ask(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"))[0] == 403
        assert ask(await view.sign("g", method="PUT"))[0] == 403
        assert await view.read_bytes("f") == b"content"


@pytest.mark.parametrize("reason", ["anonymous", "no credentials"])
async def test_credentials_that_cannot_sign_are_a_missing_capability(
    reason: str, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    options = {"endpoint_url": moto_server.endpoint, "region_name": "us-east-1", "anon": reason == "anonymous"}
    async with AsyncStore(AsyncS3Backend(BUCKET, **options)) as store:
        for wrong in ({}, {"method": "DELETE"}, {"expires_in": 0}):
            with pytest.raises(CapabilityNotSupported, match="not supported by these credentials") as raised:
                await store.child("d").sign("f", **wrong)
            assert (raised.value.capability, raised.value.path) == ("signed_url", "f")
        with pytest.raises(InvalidPath):
            await store.sign("")


def test_urls_of_a_client_that_signs_by_version_2_stay_so(moto_server: S3Server) -> None:
    """Who configures it, for a service that knows no other, gets it."""
    with Store(S3Backend(BUCKET, config_kwargs={"signature_version": "s3"}, **moto_server.options)) as store:
        assert {"AWSAccessKeyId", "Signature", "Expires"} <= query(store.sign("f")).keys()


def test_a_url_is_in_no_log(moto_server: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Store(S3Backend(BUCKET, "p", **moto_server.options)) as store:
        urls = [store.sign("f"), store.sign("f", method="PUT"), store.child("d").sign("f")]
    assert len(caplog.records) > 10
    told = caplog.text + "".join(repr(record.args) + repr(record.exc_text) for record in caplog.records)
    for url in urls:
        assert query(url)["X-Amz-Signature"] not in told


def test_a_url_is_in_no_report() -> None:
    report = certify(Store(SignsBriefly()), workers=2)
    assert "http://127.0.0.1:9/f?X-Amz-Signature=..." in report.to_json()
    assert "0123abcd" not in report.to_json()


async def test_a_content_type_travels_with_every_write(view: View, moto_server: S3Server) -> None:
    """With one request, in parts, and by a writer."""
    for number, size in enumerate((1, (5 << 20) + 1)):
        await view.write(f"w{number}", view.stream([bytes(size)]), content_type="text/csv")
        await view.write_atomic(f"a{number}", bytes(size), content_type="text/csv")
        async with view.open_atomic(f"o{number}", content_type="text/csv", seekable=bool(number)) as file:
            await file.write(bytes(size))
    found = {key: (await view.get_file_info(key)).content_type for key in ("w0", "a0", "o0", "w1", "a1", "o1")}
    assert set(found.values()) == {"text/csv"}, found
