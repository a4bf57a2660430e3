"""Errors of S3 name the place and the reason, and no secret."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import web
from servers.ports import free_port
from servers.proxy import Fault, Proxy, proxy_to
from servers.s3 import BUCKET, KEY, SECRET, Environ, S3Server, refusal

from remote_store import BackendUnavailable, PermissionDenied, RemoteStoreError, Store
from remote_store.backends import S3Backend

ONCE = {"retries": {"total_max_attempts": 1}}
PLACE = rf"127\.0\.0\.1:\d+ \(bucket '{BUCKET}'\)"


def told(error: type[RemoteStoreError], bucket: str = BUCKET, **options: Any) -> str:
    """The message of the error that a question ends with; no option of those that are secret is in it."""
    given = {"key": KEY, "secret": SECRET, "region_name": "us-east-1", "config_kwargs": ONCE, **options}
    with Store(S3Backend(bucket, **given)) as store, pytest.raises(RemoteStoreError) as caught:
        store.read_bytes("key")
    assert type(caught.value) is error
    for secret in (SECRET, KEY, "pa55word", "t0ken", "user"):
        assert secret not in str(caught.value) + repr(caught.value)
    return caught.value.message


@pytest.fixture
def proxy(moto_server: S3Server) -> Iterator[Proxy]:
    with proxy_to(moto_server.endpoint) as proxy:
        yield proxy


@pytest.mark.parametrize(
    "url", ["http://user:pa55word@", "http://user:pa55word@host\n", "http://no host/?sig=pa55word"]
)
def test_an_endpoint_that_the_sdk_refuses_is_told_without_secrets(url: str) -> None:
    given = {"key": KEY, "secret": SECRET, "region_name": "us-east-1", "endpoint_url": url}
    with Store(S3Backend(BUCKET, **given)) as store, pytest.raises(ValueError, match="Invalid endpoint") as caught:
        store.read_bytes("key")
    assert "pa55word" not in str(caught.value)


# --- no answer


def test_a_port_that_refuses_is_named() -> None:
    port = free_port()
    message = told(BackendUnavailable, endpoint_url=f"http://127.0.0.1:{port}")
    assert message == f"Storage cannot be reached at 127.0.0.1:{port} (bucket '{BUCKET}'): the connection was refused"


@pytest.mark.parametrize("url", ["http://user:pa55word@{}", "http://{}?token=t0ken", "http://user@{}/t0ken"])
def test_what_else_stands_in_the_url_is_not_shown(url: str) -> None:
    host = f"127.0.0.1:{free_port()}"
    assert host in told(BackendUnavailable, endpoint_url=url.format(host))


def test_an_endpoint_that_the_sdk_refuses_is_told_without_its_login() -> None:
    store = Store(S3Backend(BUCKET, key=KEY, secret=SECRET, endpoint_url="http://user:pa55word@ho st"))
    with store, pytest.raises(ValueError, match=r"cannot be made with these options.*ho st") as caught:
        store.ping()
    assert "pa55word" not in str(caught.value)


def test_a_deadline_tells_what_the_tries_before_it_met() -> None:
    options = {"timeout": 2, "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 50}}}
    message = told(BackendUnavailable, endpoint_url=f"http://127.0.0.1:{free_port()}", **options)
    assert re.fullmatch(f"Storage cannot be reached at {PLACE}: the connection was refused", message)


def test_a_deadline_tells_the_last_status(moto_server: S3Server) -> None:
    options = {"timeout": 2, "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 50}}}
    busy = refusal("503 Slow Down", "SlowDown")
    with moto_server.hooked(lambda environ, _: busy):
        message = told(BackendUnavailable, endpoint_url=moto_server.endpoint, **options)
    assert re.fullmatch(f"Storage cannot be reached at {PLACE}: it answered 503, and did no better within 2 s", message)


def test_silence_until_the_deadline_is_told(proxy: Proxy) -> None:
    proxy.arm(Fault("stall", "request"))
    message = told(BackendUnavailable, endpoint_url=proxy.endpoint, timeout=0.5)
    assert re.fullmatch(f"Storage cannot be reached at {PLACE}: it did not answer within 0.5 s", message)


def test_a_reply_that_does_not_come_in_time_is_told(proxy: Proxy) -> None:
    proxy.arm(Fault("stall", "response"))
    config = {**ONCE, "read_timeout": 0.3}
    message = told(BackendUnavailable, endpoint_url=proxy.endpoint, config_kwargs=config)
    assert re.fullmatch(f"Storage cannot be reached at {PLACE}: it did not answer in time", message)


def test_a_connection_that_is_not_accepted_in_time_is_told() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):  # Until the queue of those that nobody accepts is full.
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        config = {**ONCE, "connect_timeout": 0.3}
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        message = told(BackendUnavailable, endpoint_url=url, config_kwargs=config)
    assert re.fullmatch(f"Storage cannot be reached at {PLACE}: it did not accept a connection in time", message)


def test_a_connection_that_breaks_is_told(proxy: Proxy) -> None:
    proxy.arm(Fault("reset", "request"))
    message = told(BackendUnavailable, endpoint_url=proxy.endpoint)
    assert re.fullmatch(f"Storage cannot be reached at {PLACE}: the connection was lost", message)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(socket.EAI_NONAME, "no such host"), (socket.EAI_AGAIN, "the name of the host cannot be looked up")],
)
def test_a_host_that_is_not_found_is_told(monkeypatch: pytest.MonkeyPatch, code: int, reason: str) -> None:
    def unknown(host: str, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, f"no {host}")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    host = "nowhere.example.com"
    message = told(BackendUnavailable, endpoint_url=f"https://{host}")
    assert message == f"Storage cannot be reached at {host}:443 (bucket '{BUCKET}'): {reason} ({host})"


def test_a_proxy_that_is_not_found_is_told_from_the_service() -> None:
    config = {**ONCE, "proxies": {"http": "http://user:pa55word@no-such-proxy.invalid:3128"}}
    message = told(BackendUnavailable, endpoint_url="http://storage.example.com", config_kwargs=config)
    assert message.endswith(" (no-such-proxy.invalid)")


def test_a_proxy_that_cannot_be_reached_is_named() -> None:
    port = free_port()
    config = {**ONCE, "proxies": {"http": f"http://user:pa55word@127.0.0.1:{port}"}}
    message = told(BackendUnavailable, endpoint_url="http://storage.example.com", config_kwargs=config)
    assert message == (
        f"Storage cannot be reached at storage.example.com:80 (bucket '{BUCKET}'): the proxy 127.0.0.1:{port} failed"
    )


def test_a_certificate_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    with web.serve(web.self_signed(tmp_path)) as server:
        message = told(BackendUnavailable, endpoint_url=f"https://127.0.0.1:{server.port}")
    assert re.fullmatch(rf"Storage cannot be reached at {PLACE}: TLS failed \(self.signed certificate\)", message)


def test_a_port_that_speaks_no_tls_is_told(moto_server: S3Server) -> None:
    message = told(BackendUnavailable, endpoint_url=moto_server.endpoint.replace("http:", "https:"))
    assert re.match(rf"Storage cannot be reached at {PLACE}: TLS failed \(", message)


# --- no rights


CODES = {
    "SignatureDoesNotMatch": rf"Permission denied: the secret key is wrong for this access key id, says {PLACE}",
    "InvalidAccessKeyId": rf"Permission denied: {PLACE} does not know the access key id",
    "ExpiredToken": rf"Permission denied: the session token has expired, says {PLACE}",
    "InvalidToken": rf"Permission denied: the session token is not valid, says {PLACE}",
    "RequestTimeTooSkewed": rf"Permission denied: the clocks of this machine and of {PLACE} differ by more.*",
    "AccessDenied": rf"Permission denied: {PLACE} does not allow it to these credentials \(AccessDenied\)",
    "SomethingNew": rf"Permission denied: {PLACE} answered SomethingNew",
    f"user {SECRET}": rf"Permission denied: {PLACE} answered 403",
}


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_is_told_by_its_code(moto_server: S3Server, code: str) -> None:
    with moto_server.hooked(lambda environ, _: refusal("403 Forbidden", code, f"{SECRET} user")):
        message = told(PermissionDenied, endpoint_url=moto_server.endpoint)
    assert re.fullmatch(CODES[code], message)


def refused(server: S3Server, code: str, question: str, *args: str) -> str:
    """The message of the error that a question ends with when the service refuses it."""
    answer = refusal("403 Forbidden", code)
    with Store(S3Backend(BUCKET, **server.options)) as store, server.hooked(lambda environ, _: answer):
        with pytest.raises(PermissionDenied) as caught:
            getattr(store, question)(*args)
        return caught.value.message


def test_a_refusal_without_a_body_says_what_is_known(moto_server: S3Server) -> None:
    message = refused(moto_server, "AccessDenied", "get_file_info", "key")
    assert re.fullmatch(f"Permission denied: {PLACE} answered 403 and gave no reason", message)


def test_a_ping_tells_a_wrong_secret(moto_server: S3Server) -> None:
    assert re.fullmatch(CODES["SignatureDoesNotMatch"], refused(moto_server, "SignatureDoesNotMatch", "ping"))


def test_the_region_of_a_bucket_is_told(moto_server: S3Server) -> None:
    def elsewhere(environ: Environ, _: Any) -> Any:
        answer = refusal("301 Moved Permanently", "PermanentRedirect")
        return answer._replace(headers=(*answer.headers, ("x-amz-bucket-region", "eu-west-3")))

    with moto_server.hooked(elsewhere):
        message = told(BackendUnavailable, endpoint_url=moto_server.endpoint)
    assert message == f"The bucket '{BUCKET}' is in region eu-west-3; set region_name to it"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which no credentials are to be found."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.usefixtures("nobody")
def test_missing_credentials_are_told_with_the_ways_to_give_them(moto_server: S3Server) -> None:
    message = told(PermissionDenied, key=None, secret=None, endpoint_url=moto_server.endpoint)
    for part in ("No usable credentials", "key=", "secret=", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "profile="):
        assert part in message


@pytest.mark.usefixtures("nobody")
def test_a_profile_that_is_not_there_is_named(moto_server: S3Server) -> None:
    message = told(PermissionDenied, key=None, secret=None, profile="works", endpoint_url=moto_server.endpoint)
    assert message == "No usable credentials: the configuration of the SDK has no profile 'works'"


def test_amazons_own_service_is_named_by_its_region() -> None:
    options = {"region_name": "eu-central-1", "config_kwargs": {**ONCE, "proxies": {"https": "http://127.0.0.1:1"}}}
    message = told(BackendUnavailable, **options)
    place = f"S3 in eu-central-1 (bucket '{BUCKET}')"
    assert message == f"Storage cannot be reached at {place}: the proxy 127.0.0.1:1 failed"


# --- checksums


def test_the_checksum_of_a_whole_file_on_a_part_of_it_is_told_with_a_way_out(rclone_server: dict[str, Any]) -> None:
    checking = {"retries": rclone_server["config_kwargs"]["retries"]}
    with Store(S3Backend(**{**rclone_server, "config_kwargs": checking})) as store:
        store.write("ranged", b"0123456789", overwrite=True)
        assert store.read_bytes("ranged") == b"0123456789"
        with pytest.raises(BackendUnavailable, match="checksum") as caught:
            store.read_range("ranged", 1, 10)
        assert "config_kwargs={'response_checksum_validation': 'when_required'}" in str(caught.value)
    with Store(S3Backend(**rclone_server)) as store:
        assert store.read_range("ranged", 1, 10) == b"123456789"
