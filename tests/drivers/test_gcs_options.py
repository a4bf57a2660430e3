"""What GCSBackend takes, what comes of it, and filesystems of gcsfs that users made."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gcsfs.core import GCSFileSystem
from helpers.gcs import PART, gcs_place
from helpers.processes import run_script
from servers import web
from servers.gcs import BUCKET, GcsServer
from servers.gcs_faults import UNAVAILABLE, instead
from servers.gcs_login import service_account
from servers.ports import free_port

from remote_store import AlreadyExists, BackendUnavailable, FsspecBackend, RemoteStoreError, Store
from remote_store.aio import AsyncFsspecBackend, AsyncGCSBackend, AsyncStore
from remote_store.backends import GCSBackend
from remote_store.certify.view import View

RAW = "ya29.s3cret-token"


def by_class(**options: Any) -> Store:
    return Store(GCSBackend(BUCKET, **options))


def by_url(**options: Any) -> Store:
    return Store.from_url(f"gs://{BUCKET}", **options)


def by_config(**options: Any) -> Store:
    config = pytest.importorskip("remote_store.config")
    policies = {name: options.pop(name) for name in ("retries", "ca_bundle", "proxy", "timeout") if name in options}
    fields = {"url": f"gcs://{BUCKET}", "options": options, **policies}
    store: Store = config.Registry({"stores": {"a": fields}}).get_store("a")
    return store


WAYS = pytest.mark.parametrize("way", [by_class, by_url, by_config])
Way = Callable[..., Store]


def unreachable(store: Store) -> str:
    with store, pytest.raises(BackendUnavailable) as caught:
        store.read_bytes("key")
    return caught.value.message


# --- values of no use


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bucket": ""}, "needs a bucket"),
        ({"bucket": None}, "needs a bucket"),
        ({"bucket": 5}, "needs a bucket"),
        ({"bucket": "gs://bucket"}, "a bucket is a name"),
        ({"bucket": "bucket/prefix"}, "a bucket is a name"),
        *[({"bucket": name}, "and nothing else") for name in ("a b", "bücket", "b\n", "b?c", "\udc80", "a%2fb")],
        ({"part_size": 0}, "part_size must be a multiple of 256 KiB"),
        ({"part_size": -PART}, "part_size must be a multiple of 256 KiB"),
        ({"part_size": PART + 1}, "part_size must be a multiple of 256 KiB"),
        ({"part_size": "8MB"}, "part_size must be a multiple of 256 KiB"),
        ({"part_size": float(PART)}, "part_size must be a multiple of 256 KiB"),
        ({"part_size": True}, "part_size must be a multiple of 256 KiB"),
        ({"requester_pays": True}, "requester_pays=True needs project="),
        ({"endpoint_url": "localhost:4443"}, "endpoint_url must begin with http"),
        ({"endpoint_url": ""}, "endpoint_url must begin with http"),
        ({"endpoint_url": 5}, "endpoint_url must begin with http"),
        ({"endpoint_url": "http://"}, "endpoint_url must name a host"),
        ({"endpoint_url": f"http://me:{RAW}@host/"}, "endpoint_url must name a host, and no login"),
        ({"timeout": 0}, "timeout must be"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"timeout": "60"}, "timeout must be"),
        ({"retries": -1}, "retries must be a whole number"),
        ({"retries": 1.5}, "retries must be a whole number"),
        ({"retries": True}, "retries must be a whole number"),
        ({"proxy": f"socks5://me:{RAW}@h:1"}, "proxy must begin with http"),
        ({"ca_bundle": "/no/such.pem"}, "ca_bundle '/no/such.pem' cannot be used"),
        ({"token": "/no/such/key.json"}, "token names a file that does not exist"),
        ({"token": Path("/no/such/key")}, "token names a file that does not exist"),
        ({"token": ""}, "token must be an access token without blanks"),
        ({"token": f"{RAW}\n"}, "token must be an access token without blanks"),
        ({"token": f"{RAW} x"}, "token must be an access token without blanks"),
        ({"token": f"{RAW}é"}, "token must be an access token without blanks"),
        ({"token": "browser"}, "pass the credentials that google_auth_oauthlib gives"),
        ({"token": {"type": "service_account", "private_key": RAW}}, "token="),
        ({"token": {}}, "token="),
        ({"token": 5}, "token="),
        ({"token": [RAW]}, "token="),
        ({"tokn": RAW}, r"unknown option 'tokn' .*did you mean 'token'\?"),
        ({"bukket": "x"}, "unknown option 'bukket'"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_at_once(options: dict[str, Any], says: str) -> None:
    for cls in (GCSBackend, AsyncGCSBackend):
        with pytest.raises(ValueError, match=says) as caught:
            cls(**{"bucket": "b", **options})
        assert RAW not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)


NO_KEYS = ["", "no JSON", "{}", "[]", f'{{"private_key": "{RAW}"}}', '{"type": "service_account"}']


@pytest.mark.parametrize("content", NO_KEYS)
def test_a_file_that_holds_no_credentials_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)
    for token in (str(file), file):
        with pytest.raises(ValueError, match="token=") as caught:
            GCSBackend("b", token=token)
        assert RAW not in str(caught.value)


def test_a_url_takes_no_credentials() -> None:
    for make in (Store.from_url, AsyncStore.from_url):
        with pytest.raises(ValueError, match="no credentials") as caught:
            make(f"gs://me:{RAW}@bucket/prefix")
        assert RAW not in str(caught.value)


# --- tries and time


@WAYS
@pytest.mark.parametrize("retries", [0, 1])
def test_a_failed_request_is_tried_again_so_often(gcs_server: GcsServer, way: Way, retries: int) -> None:
    gcs_server.requests.clear()
    with gcs_server.hooked(instead(UNAVAILABLE)):
        unreachable(way(**gcs_server.options, retries=retries))
    assert len(gcs_server.requests) == 1 + retries


@WAYS
def test_a_call_ends_with_its_deadline(way: Way) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        message = unreachable(way(token="anon", endpoint_url=endpoint, timeout=0.3))
    assert "did not answer within 0.3 s" in message


def test_a_port_that_refuses_is_named() -> None:
    port = free_port()
    message = unreachable(by_class(token="anon", endpoint_url=f"http://127.0.0.1:{port}", retries=0))
    assert f"127.0.0.1:{port}" in message
    assert "refused" in message


def test_a_host_that_is_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", missing)
    monkeypatch.setattr("aiohttp.connector.DefaultResolver", __import__("aiohttp").resolver.ThreadedResolver)
    message = unreachable(by_class(token="anon", endpoint_url="http://storage.invalid", retries=0))
    assert "no such host" in message


# --- certificates and proxies


@WAYS
def test_certificates_of_a_bundle_are_trusted(tmp_path: Path, way: Way) -> None:
    bundle = web.self_signed(tmp_path)
    with web.serve(bundle) as server:
        options = {"token": "anon", "endpoint_url": f"https://127.0.0.1:{server.port}", "retries": 0}
        assert "TLS failed" in unreachable(way(**options))
        assert server.asked == []
        assert "it answered 503" in unreachable(way(**options, ca_bundle=str(bundle)))
        assert len(server.asked) == 1


@WAYS
def test_requests_go_through_a_proxy(way: Way) -> None:
    with web.serve() as proxy:
        url = f"http://me:pa55word@127.0.0.1:{proxy.port}"
        store = way(token="anon", endpoint_url="http://storage.example.com", retries=0, proxy=url)
        message = unreachable(store)
    ((line, headers),) = proxy.asked
    assert line.startswith("GET http://storage.example.com/storage/v1/b/")
    assert headers["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:pa55word").decode()
    assert "pa55word" not in message + repr(store) + repr(store._backend) + repr(store._backend._driver)


@WAYS
def test_a_proxy_that_refuses_is_named(way: Way) -> None:
    port = free_port()
    proxy = f"http://me:pa55word@127.0.0.1:{port}"
    message = unreachable(way(token="anon", endpoint_url="http://storage.example.com", retries=0, proxy=proxy))
    assert f"the proxy 127.0.0.1:{port} failed" in message
    assert "pa55word" not in message


def test_requests_for_access_tokens_go_the_same_way(
    gcs_server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the proxy, trusting the certificates, whatever the environment says."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    gcs_server.requests.clear()
    elsewhere = {"endpoint_url": "http://storage.example.com", "retries": 0}
    login = service_account("http://login.example.com")
    with by_class(token=login, proxy=gcs_server.endpoint, **elsewhere) as store, pytest.raises(RemoteStoreError):
        store.read_bytes("key")
    assert gcs_server.requests[0] == "POST http://login.example.com/token"
    bundle = web.self_signed(tmp_path)
    with web.serve(bundle) as server:
        login = service_account(f"https://127.0.0.1:{server.port}")
        for more, refused in (({}, True), ({"ca_bundle": str(bundle)}, False)):
            with by_class(token=login, **elsewhere, **more) as store, pytest.raises(RemoteStoreError) as caught:
                store.read_bytes("key")
            assert ("TLS failed" in str(caught.value) or "no/such" in str(caught.value.__cause__)) == refused


# --- filesystems of the user's


@contextmanager
def grpc_forbidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Whoever opens a channel of gRPC is noted."""
    grpc = pytest.importorskip("grpc")
    opened: list[str] = []
    for module in (grpc, grpc.aio):
        for name in ("insecure_channel", "secure_channel"):

            def note(target: str, *_: Any, **__: Any) -> Any:
                opened.append(target)
                raise OSError("no gRPC here")

            monkeypatch.setattr(module, name, note)
    yield opened


def plain(**options: Any) -> Any:
    return GCSFileSystem(**options)


def extended(**options: Any) -> Any:
    module = pytest.importorskip("gcsfs.extended_gcsfs")
    return module.ExtendedGcsFileSystem(**options)


@pytest.mark.parametrize("make", [plain, extended])
@pytest.mark.parametrize("kind", ["sync", "async", "async, on a loop of its own"])
async def test_a_filesystem_of_gcsfs_keeps_what_cloud_storage_keeps(
    gcs_server: GcsServer, kind: str, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with grpc_forbidden(monkeypatch) as opened:
        fs = make(**gcs_server.options, asynchronous=kind == "async", skip_instance_cache=True)
        prefix = gcs_server.fresh_prefix()
        root = f"{BUCKET}/{prefix}"
        store: Any = Store(FsspecBackend(fs, root)) if kind == "sync" else AsyncStore(AsyncFsspecBackend(fs, root))
        view = View(store)
        assert all(store.supports(capability) for capability in GCSBackend.CAPABILITIES)
        gcs_server.requests.clear()
        results = await view.race([lambda: view.write("key", b"1")] * 8)
        assert sorted(isinstance(result, AlreadyExists) for result in results) == [False] + [True] * 7
        assert len(gcs_server.requests) == 8
        await view.write("long", view.stream([bytes(9 << 20)]))
        assert len(await view.read_bytes("long")) == 9 << 20
        assert await view.get_file_info("key")
        await view.move("long", "longer")
        assert store.native_path("key") == f"{root}/key"
        assert all("/storage/v1/b/" in request for request in gcs_server.requests)
        await (store.aclose() if view.is_async else view.close())
        assert opened == []
    session = fs._session
    assert not session.closed

    # Its own calls go on; what it asks by gRPC is its own affair.
    async def use() -> bytes:
        content: bytes = await GCSFileSystem._cat_file(fs, f"{root}/key")
        await session.close()
        return content

    there = use() if kind == "async" else asyncio.wrap_future(asyncio.run_coroutine_threadsafe(use(), fs.loop))
    assert await there == b"1"


async def test_a_store_that_is_closed_in_the_middle_says_so(gcs_server: GcsServer) -> None:
    async with gcs_place("async", gcs_server) as place:
        place.put("key", bytes(4 << 20))
        stream = place.view.read("key")
        await anext(stream)
        await place.view.store.aclose()
        with pytest.raises(BackendUnavailable, match="is closed"):
            async for _ in stream:
                pass


SCRIPT = """
import json, sys
options, prefix = json.loads(sys.argv[1])
from remote_store import Store
from remote_store.backends import GCSBackend
store = Store(GCSBackend("test-bucket", prefix, **options))
store.write("key", b"1", overwrite=True)
assert store.read_bytes("key") == b"1"
"""


@pytest.mark.full
def test_nothing_depends_on_the_switch_of_gcsfs(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which lets its filesystem ask by gRPC what kind of bucket each is, before anything else."""
    arguments = json.dumps((gcs_server.options, gcs_server.fresh_prefix()))
    for switch in ("true", "false"):
        monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", switch)
        gcs_server.requests.clear()
        assert run_script(SCRIPT, arguments) == ("", "")
        assert len(gcs_server.requests) == 2
