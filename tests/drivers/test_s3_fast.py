"""The fast lane of S3: what goes through obstore, with what, and what does not."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.s3 import PART, CarryOut
from servers import web
from servers.ports import free_port
from servers.s3 import BUCKET, KEY, SECRET, Answer, Environ, S3Server, refusal, view_of

from remote_store import (
    BackendUnavailable,
    NotFound,
    PermissionDenied,
    RemoteStoreError,
    Store,
)
from remote_store.backends import S3Backend
from remote_store.certify import certify, certify_async
from remote_store.certify.view import View

pytest.importorskip("obstore")
Call = Callable[[View], Any]


@contextmanager
def heard(server: S3Server) -> Iterator[list[tuple[str, str]]]:
    """Which methods are asked for, and of whom: the SDK, which names each call, or obstore."""
    found: list[tuple[str, str]] = []

    def hook(environ: Environ, _: CarryOut) -> None:
        found.append((environ["REQUEST_METHOD"], "SDK" if "HTTP_AMZ_SDK_INVOCATION_ID" in environ else "obstore"))

    with server.hooked(hook):
        yield found


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def view(kind: str, moto_server: S3Server, prefix: str) -> Any:
    async with view_of(f"{kind}-fast", moto_server, prefix, part_size=PART) as view:
        await view.ping()
        yield view


@pytest.fixture
def options(moto_server: S3Server, prefix: str) -> dict[str, Any]:
    return {"bucket": BUCKET, "root": prefix, **moto_server.options, "engine": "fast"}


# --- what goes where


async def listed(view: View) -> list[Any]:
    return [entry async for entry in view.list_files("", recursive=True)]


THROUGH_OBSTORE: dict[str, tuple[Call, str]] = {
    "read_bytes": (lambda view: view.read_bytes("key"), "GET"),
    "read_range": (lambda view: view.read_range("key", 1, 3), "GET"),
    "get_file_info": (lambda view: view.get_file_info("key"), "HEAD"),
    "exists": (lambda view: view.exists("key"), "HEAD"),
    "write": (lambda view: view.write("new", b"1", metadata={"a": "b"}), "PUT"),
    "write over": (lambda view: view.write("key", b"1", overwrite=True, content_type="text/plain"), "PUT"),
    "write a stream": (lambda view: view.write("new", view.stream([b"1", b"2"])), "PUT"),
}
THROUGH_THE_SDK: dict[str, tuple[Call, list[str]]] = {
    "list_files": (listed, ["GET"]),
    "is_folder": (lambda view: view.is_folder("key"), ["GET"]),
    "a long stream": (
        lambda view: view.write("new", view.stream([bytes(PART), b"1"]), overwrite=True),
        ["POST", "PUT", "PUT", "POST"],
    ),
    "copy": (lambda view: view.copy("key", "new", overwrite=True), ["PUT"]),
    "move": (lambda view: view.move("key", "new", overwrite=True), ["HEAD", "PUT", "DELETE"]),
    "delete_folder": (lambda view: view.delete_folder("folder", recursive=True), ["GET", "POST"]),
    "a control character": (lambda view: view.exists("a\x01b"), ["HEAD", "GET"]),
    "metadata like a header": (lambda view: view.write("new", b"1", metadata={"content-type": "b"}), ["PUT"]),
}


@pytest.mark.parametrize("call", THROUGH_OBSTORE)
async def test_short_requests_go_through_obstore(view: View, moto_server: S3Server, call: str) -> None:
    await view.write("key", b"1234")
    work, method = THROUGH_OBSTORE[call]
    with heard(moto_server) as found:
        await work(view)
    assert found == [(method, "obstore")]


@pytest.mark.parametrize("call", THROUGH_THE_SDK)
async def test_all_else_goes_the_usual_way(view: View, moto_server: S3Server, call: str) -> None:
    await view.write("key", b"1234")
    await view.write("folder/key", b"1")
    work, methods = THROUGH_THE_SDK[call]
    with heard(moto_server) as found:
        await work(view)
    assert found == [(method, "SDK") for method in methods]


@pytest.mark.parametrize("kind", ["sync"])
async def test_a_stream_is_read_in_the_callers_thread(view: View) -> None:
    """No hop: the loop of the filesystem need not even run."""
    from fsspec.asyn import get_loop

    await view.write("key", bytes(2 << 20))
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(DEADLINE)

    get_loop().call_soon_threadsafe(hold)
    try:
        assert held.wait(DEADLINE)
        with view.store.read("key") as stream:
            assert len(stream.read()) == 2 << 20
        view.store.write("other", b"1")
        assert view.store.read_bytes("other") == b"1"
        assert view.store.exists("key")
    finally:
        go_on.set()


async def test_an_error_is_the_one_of_the_sdk(view: View, kind: str, moto_server: S3Server, prefix: str) -> None:
    await view.write("key", b"1234")
    async with view_of(kind, moto_server, prefix) as usual:
        for work in (
            lambda view: view.read_bytes("none"),
            lambda view: view.read_range("none", 0, 1, if_match="0"),
            lambda view: view.get_file_info("none"),
            lambda view: view.write("key", b"2"),
            lambda view: view.write("key", b"2", if_match="0"),
            lambda view: view.write("none", b"2", if_match="0"),
        ):
            errors = []
            for each in (usual, view):
                with pytest.raises(RemoteStoreError) as caught:
                    await work(each)
                errors.append(caught.value)
            assert type(errors[0]) is type(errors[1])
            assert str(errors[0]) == str(errors[1])
            assert repr(errors[0].__cause__) == repr(errors[1].__cause__)


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "AccessDenied", "ExpiredToken"])
async def test_a_refusal_is_asked_for_once(view: View, moto_server: S3Server, code: str) -> None:
    asked: list[str] = []

    def refuse(environ: Environ, _: CarryOut) -> Answer:
        asked.append(environ["REQUEST_METHOD"])
        return refusal("403 Forbidden", code)

    with moto_server.hooked(refuse), pytest.raises(PermissionDenied):
        await view.read_bytes("key")
    assert asked == ["GET"]


# --- redirects


@pytest.mark.parametrize("token", [None, "t0ken"])
async def test_no_redirect_leads_to_another_host(
    kind: str, moto_server: S3Server, prefix: str, token: str | None
) -> None:
    """Which would get the session token."""
    with web.serve() as elsewhere:
        there = (("Location", f"http://localhost:{elsewhere.port}/{BUCKET}/{prefix}/key"),)
        async with view_of(f"{kind}-fast", moto_server, prefix, token=token, retries=0) as view:
            await view.write("key", b"1")
            with moto_server.hooked(lambda environ, _: Answer("307 Temporary Redirect", b"", there)):
                for work in (view.read_bytes, view.exists):
                    with pytest.raises(BackendUnavailable):
                        await work("key")
        assert elsewhere.asked == []


async def test_behind_a_proxy_nothing_is_read_with_a_session_token(moto_server: S3Server, options: Any) -> None:
    with web.serve() as proxy:
        given = {**options, "endpoint_url": "http://storage.example.com", "retries": 0, "token": "t0ken"}
        with Store(S3Backend(**given, proxy=f"http://127.0.0.1:{proxy.port}")) as store:
            for work in (lambda: store.read_bytes("key"), lambda: store.write("key", b"1")):
                with pytest.raises(BackendUnavailable):
                    work()
    agents = [(line.split()[0], "aiobotocore" in headers.get("User-Agent", "")) for line, headers in proxy.asked]
    assert agents[0] == ("GET", True)
    assert {agent for agent in agents if agent[0] == "PUT"} == {("PUT", False)} or ("PUT", True) in agents


# --- options


REFUSED: dict[str, dict[str, Any]] = {
    "client_kwargs={'api_version'": {"client_kwargs": {"api_version": "2006-03-01"}},
    "config_kwargs={'tcp_keepalive'": {"config_kwargs": {"tcp_keepalive": True}},
    "config_kwargs={'max_pool_connections'": {"config_kwargs": {"max_pool_connections": 3}},
    "config_kwargs={'s3': {'use_accelerate": {"config_kwargs": {"s3": {"use_accelerate_endpoint": True}}},
    "config_kwargs={'signature_version'": {"config_kwargs": {"signature_version": "s3"}},
    "config_kwargs={'response_checksum": {"config_kwargs": {"response_checksum_validation": "when_supported"}},
    "s3_additional_kwargs={'ACL'": {"s3_additional_kwargs": {"ACL": "private"}},
    "a directory bucket": {"bucket": "logs--use1-az4--x-s3"},
    "an access point": {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/a"},
}


@pytest.mark.parametrize("told", REFUSED)
def test_an_option_that_cannot_be_carried_over_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="engine='fast' does not go with") as caught:
        S3Backend(**{**options, **REFUSED[told]})
    assert told in str(caught.value)


def test_a_variable_that_obstore_alone_heeds_is_refused(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    with pytest.raises(ValueError, match="environment variable AWS_SERVER_SIDE_ENCRYPTION"):
        S3Backend(**options)


def test_other_variables_change_nothing(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_port()}", "AWS_SKIP_SIGNATURE": "true",
        "AWS_SESSION_TOKEN": "another", "AWS_ACCESS_KEY_ID": "another", "AWS_S3_EXPRESS": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true", "AWS_REGION": "eu-west-3", "AWS_UNSIGNED_PAYLOAD": "true",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with Store(S3Backend(**options)) as store:
        store.write("key", b"1")
        assert store.read_bytes("key") == b"1"


@pytest.mark.parametrize("engine", ["slow", True, ""])
def test_another_engine_is_refused(options: Any, engine: Any) -> None:
    with pytest.raises(ValueError, match="engine must be 'fast' or None"):
        S3Backend(**{**options, "engine": engine})


def test_other_kinds_of_storage_have_no_engine(tmp_path: Path) -> None:
    for url in (tmp_path.as_uri(), "sftp://host/folder", "http://127.0.0.1:1/", "gs://bucket", "az://container"):
        with pytest.raises(ValueError, match="engine"):
            Store.from_url(url, engine="fast")


def test_it_needs_a_package(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"engine='fast' needs obstore: .*remote-store-fsspec\[fast\]"):
        S3Backend(**options)


def test_a_url_and_a_configuration_take_it(moto_server: S3Server, prefix: str) -> None:
    config = pytest.importorskip("remote_store.config")
    url = f"s3://{BUCKET}/{prefix}"
    fields = {"url": url, "options": {**moto_server.options, "engine": "fast"}}
    with config.Registry({"stores": {"a": fields}}) as registry:
        stores = [Store.from_url(url, **moto_server.options, engine="fast"), registry.get_store("a")]
        for number, store in enumerate(stores):
            store.ping()
            with heard(moto_server) as found:
                store.write(f"{number}", b"1")
            assert found == [("PUT", "obstore")]
        stores[0].close()


def test_requests_say_the_same_of_encryption_payer_and_who_asks(moto_server: S3Server, options: Any) -> None:
    seen: list[Environ] = []
    more = {"s3_additional_kwargs": {"ServerSideEncryption": "AES256"}, "requester_pays": True}
    backend = S3Backend(**options, **more, config_kwargs={"user_agent": "mine/1"})
    with Store(backend) as store, moto_server.hooked(lambda environ, _: seen.append(environ)):
        store.write("key", b"1")
        store.read_bytes("key")
    put, get = seen[-2:]
    assert "HTTP_AMZ_SDK_INVOCATION_ID" not in put
    assert put["HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION"] == "AES256"
    assert {each["HTTP_X_AMZ_REQUEST_PAYER"] for each in (put, get)} == {"requester"}
    assert all(each["HTTP_USER_AGENT"].startswith("mine/1") for each in (put, get))
    assert put["HTTP_X_AMZ_CHECKSUM_SHA256"]  # As buckets with locks demand a checksum of each write.


async def test_an_anonymous_store_signs_nothing(moto_server: S3Server, prefix: str) -> None:
    seen: list[Environ] = []
    given = {"key": None, "secret": None, "anon": True}
    async with view_of("async-fast", moto_server, prefix, **given) as view:
        with moto_server.hooked(lambda environ, _: seen.append(environ)), pytest.raises(NotFound):
            await view.read_bytes("key")
    assert "HTTP_AMZ_SDK_INVOCATION_ID" not in seen[0]
    assert "HTTP_AUTHORIZATION" not in seen[0]


@pytest.mark.parametrize("style", ["path", "virtual"])
async def test_a_bucket_is_addressed_as_the_sdk_does(prefix: str, style: str) -> None:
    with web.serve() as proxy:
        given = {"key": KEY, "secret": SECRET, "region_name": "eu-west-3", "endpoint_url": "http://storage.example.com"}
        more = {"config_kwargs": {"s3": {"addressing_style": style}}, "retries": 0}
        with Store(S3Backend(BUCKET, **given, **more, proxy=f"http://127.0.0.1:{proxy.port}", engine="fast")) as store:
            for work in (lambda: store.write("key", b"1"), lambda: store.is_folder("key")):
                with pytest.raises(BackendUnavailable):
                    work()
    places = {line.split()[1].partition("?")[0].removesuffix("/key").removesuffix("/") for line, _ in proxy.asked}
    place = f"{BUCKET}.storage.example.com" if style == "virtual" else f"storage.example.com/{BUCKET}"
    assert places == {f"http://{place}"}


# --- credentials


async def test_renewed_credentials_are_used(kind: str, moto_server: S3Server, prefix: str) -> None:
    """Those of the SDK's session, which renews them."""
    seen: list[str] = []
    async with view_of(f"{kind}-fast", moto_server, prefix) as view:
        await view.write("key", b"1")
        lane = view.store._backend._driver._fast._lane

        class Renewed:
            """Credentials that are new at each look."""

            number = 0

            def refresh_needed(self) -> bool:
                return True

            async def get_frozen_credentials(self) -> Any:
                from botocore.credentials import ReadOnlyCredentials

                self.number += 1
                return ReadOnlyCredentials(f"AKIA{self.number}", SECRET, f"token-{self.number}")

        lane._source = Renewed()
        lane._renewed = lane._source.refresh_needed
        with moto_server.hooked(lambda environ, _: seen.append(environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""))):
            for _ in range(2):
                await view.read_bytes("key")
    assert seen == ["token-1", "token-2"]


def test_nothing_shows_a_secret(options: Any, moto_server: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = Store(S3Backend(**{**options, "token": "t0ken-of-mine"}))
    with store, moto_server.hooked(lambda environ, _: refusal("503 Slow Down", "SlowDown")):
        with pytest.raises(BackendUnavailable) as caught:
            store.read_bytes("key")
        lane = store._backend._driver._fast._lane
        shown = [repr(lane), repr(lane.store(60.0)), repr(lane.store(60.0).config), repr(store), repr(caught.value)]
    for text in (*shown, str(caught.value), caplog.text):
        assert SECRET not in text
        assert "t0ken-of-mine" not in text


# --- processes


def test_a_backend_pickles(options: Any) -> None:
    backend = S3Backend(**options)
    Store(backend).write("key", b"1")
    twin = pickle.loads(pickle.dumps(backend))
    assert twin._recipe == backend._recipe
    with Store(twin) as store:
        assert store.read_bytes("key") == b"1"
    backend.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_goes_the_usual_way(options: Any, moto_server: S3Server) -> None:
    """obstore would never answer there."""
    with Store(S3Backend(**options)) as store:
        store.write("key", b"1")
        with heard(moto_server) as found:
            child = os.fork()
            if not child:
                try:
                    store.write("child", store.read_bytes("key"))
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
            assert store.read_bytes("child") == b"1"
    assert found == [("GET", "SDK"), ("PUT", "SDK"), ("GET", "obstore")]


# --- the whole contract


async def test_it_passes_certification(kind: str, moto_server: S3Server, prefix: str) -> None:
    async with view_of(f"{kind}-fast", moto_server, prefix) as view:
        report = await certify_async(view.store) if view.is_async else certify(view.store)
    assert report.ok, str(report)
