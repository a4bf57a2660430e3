"""Where credentials, headers and signatures go over HTTP, and what nobody may see."""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fsspec.implementations.http import HTTPFileSystem
from helpers.web import Place, web_view
from servers.double_answers import Answer
from servers.double_faults import instead, when
from servers.files import FileServer, file_server
from servers.web import self_signed, serve

from remote_store import BackendUnavailable, FsspecBackend, InvalidPath, PermissionDenied, RemoteStoreError, Store
from remote_store.aio import AsyncFsspecBackend, AsyncHTTPBackend, AsyncStore
from remote_store.backends import HTTPBackend
from remote_store.certify.view import View

SECRET = "hidden/value"
BASIC = "Basic " + base64.b64encode(f"ana:{SECRET}".encode()).decode()
SIGNED = "sig=hidden%2Fvalue&se=2026"
LOGINS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"username": "ana", "password": SECRET}, {"Authorization": BASIC}),
    ({"token": SECRET}, {"Authorization": f"Bearer {SECRET}"}),
    ({"headers": {"X-Api-Key": SECRET, "Cookie": f"session={SECRET}"}}, {"X-Api-Key": SECRET}),
    ({"client_kwargs": {"cookies": {"session": SECRET}}}, {"Cookie": f'session="{SECRET}"'}),
]
NAMES = {"Authorization", "X-Api-Key", "Cookie"}


def to(location: str, status: int = 302) -> Answer:
    return Answer(status, headers={"Location": location})


@pytest.fixture
def other(tmp_path: Path) -> Any:
    """Another server, which has `f`."""
    (tmp_path / "f").write_bytes(b"other")
    with file_server(tmp_path) as server:
        yield server


async def both(url: str, **options: Any) -> Any:
    for kind in ("sync", "async"):
        async with web_view(kind, url, **options) as view:
            yield view


@pytest.mark.parametrize(("options", "sent"), LOGINS, ids=["basic", "token", "headers", "cookies"])
async def test_credentials_go_to_one_server_alone(
    web: Place, other: FileServer, options: dict[str, Any], sent: dict[str, str]
) -> None:
    web.put("f", b"own")
    own = f"{web.server.endpoint}/{web.folder.name}"
    async for view in both(own, params=SIGNED, **options):
        web.server.forget()
        other.forget()
        assert await view.read_bytes("f") == b"own"
        for name, value in sent.items():
            assert web.server.asked[-1].headers[name] == value
        assert web.server.requests[-1].endswith(f"?{SIGNED}")
        with web.server.hooked(when(instead(to(f"{other.endpoint}/f?theirs=a%2Fb")), part="f")):
            assert await view.read_bytes("f") == b"other"
            assert (await view.get_file_info("f")).size == 5
        assert other.requests == ["GET /f?theirs=a%2Fb", "HEAD /f?theirs=a%2Fb"]
        for request in other.asked:
            assert not NAMES & set(request.headers), request.headers


async def test_a_redirect_on_one_server_keeps_them(web: Place) -> None:
    web.put("g", b"1")
    own = f"{web.server.endpoint}/{web.folder.name}"
    for location in ("g", "./g", f"/{web.folder.name}/g", f"{own}/g#part"):
        async for view in both(own, token="t"):
            with web.server.hooked(when(instead(to(location)), part="/f")):
                assert await view.read_bytes("f") == b"1"
            assert web.server.asked[-1].headers["Authorization"] == "Bearer t"


async def test_a_redirect_back_from_another_server_is_without_them(web: Place, other: FileServer) -> None:
    web.put("g", b"own")
    own = f"{web.server.endpoint}/{web.folder.name}"
    options = {"token": "t", "headers": {"X-Api-Key": "k"}, "client_kwargs": {"cookies": {"c": "d"}}}
    async for view in both(own, **options):
        away, back = when(instead(to(f"{other.endpoint}/f")), part="/f"), when(instead(to(f"{own}/g")))
        with web.server.hooked(away), other.hooked(back):
            assert await view.read_bytes("f") == b"own"
        assert not {"Authorization", "X-Api-Key", "Cookie"} & set(web.server.asked[-1].headers)


@pytest.mark.parametrize("location", ["http://h:99999/", "http://[bad/x", "http://h:-1/", "http://a..b/", "http://²/"])
async def test_a_redirect_to_what_is_no_url_is_an_error(web: Place, location: str) -> None:
    for call in (web.view.read_bytes, web.view.exists):
        with web.server.hooked(instead(to(location))), pytest.raises(BackendUnavailable):
            await call("f")


async def test_redirects_end(web: Place) -> None:
    with web.server.hooked(instead(to("/round"))), pytest.raises(BackendUnavailable, match="more than 5 redirects"):
        await web.view.read_bytes("f")
    assert len(web.server.requests) == 6
    for location in ("", "ftp://127.0.0.1/f", "file:///etc/passwd", "http://me:pw@127.0.0.1/f", "http:///f"):
        with web.server.hooked(instead(to(location))), pytest.raises(BackendUnavailable, match="redirect"):
            await web.view.read_bytes("f")
    for status in (301, 302, 303, 307, 308):
        with web.server.hooked(instead(to("f/", status))), pytest.raises(InvalidPath):
            await web.view.read_bytes("f")
    with web.server.hooked(instead(Answer(304))), pytest.raises(BackendUnavailable):
        await web.view.read_bytes("f")


async def test_nothing_leads_from_https_to_http(tmp_path: Path, other: FileServer) -> None:
    certificate = self_signed(tmp_path)
    with file_server(tmp_path, certificate) as secure:
        async for view in both(secure.endpoint, ca_bundle=str(certificate), token=SECRET):
            assert await view.read_bytes("f") == b"other"
            away = secure.hooked(instead(to(f"{other.endpoint}/f")))
            with away, pytest.raises(BackendUnavailable, match="from https to http"):
                await view.read_bytes("f")
        assert other.requests == []
        async for view in both(secure.endpoint, retries=0):
            with pytest.raises(BackendUnavailable, match="TLS failed"):
                await view.read_bytes("f")


ASKED = [
    {"params": SIGNED},
    {"params": {"key": SECRET}},
    {"username": "ana", "password": SECRET},
    {"token": SECRET},
    {"headers": {"X-Custom": SECRET}},
    {"client_kwargs": {"cookies": {"c": SECRET}}},
]


@pytest.mark.parametrize("options", [*ASKED, {"url": f"//ana:{SECRET.replace('/', '%2F')}@"}, {"url": f"?{SIGNED}"}])
async def test_nobody_sees_them(web: Place, options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    own = f"{web.server.endpoint}/{web.folder.name}"
    url = (options := dict(options)).pop("url", "")
    own = own.replace("//", url) if url.startswith("//") else own + url
    async for view in both(own, **options, timeout=5, retries=1):
        told = [repr(view.store), repr(view.store._backend), repr(view.store.resolve("f")), view.store.native_path("f")]
        for answer in (
            Answer(403, b"x"),
            Answer(500),
            Answer(404),
            to("/round"),
            Answer(206, b"12"),
            Answer(200, b"1", sent=0),
        ):
            with web.server.hooked(instead(answer)):
                with pytest.raises(RemoteStoreError) as caught:
                    await view.read_bytes("f")
                told += [str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))]
                pickle.loads(pickle.dumps(caught.value))
        with pytest.raises(ValueError, match="no form without secrets"):
            json.dumps(view.store.to_fsspec().to_dict())
        told.append(repr(view.store.to_fsspec()))
        for text in (*told, caplog.text):
            assert "hidden" not in text, text
            assert BASIC not in text
        again = pickle.loads(pickle.dumps(view.store))
        assert again.backend.recipe() == view.store.backend.recipe()


def test_a_store_without_secrets_has_a_form() -> None:
    store = Store(HTTPBackend("https://data.example.org/2026", index=True))
    again = type(store.to_fsspec()).from_dict(store.to_fsspec().to_dict())
    assert "data.example.org/2026" in json.dumps(store.to_fsspec().to_dict())
    assert again == store.to_fsspec()


# --- filesystems of fsspec that others made


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"client_kwargs": {"headers": {"X-Api-Key": SECRET}}}, {"X-Api-Key": SECRET}),
        ({"headers": {"Authorization": f"Bearer {SECRET}"}}, {"Authorization": f"Bearer {SECRET}"}),
        ({"cookies": {"session": "1"}}, {"Cookie": "session=1"}),
        ({"client_kwargs": {"cookies": {"session": "1"}}}, {"Cookie": "session=1"}),
        ({"params": {"sig": "a/b"}}, {}),
        ({"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=9)}, "ssl": False}, {}),
    ],
)
async def test_what_a_filesystem_was_given_holds(
    web: Place, other: FileServer, given: dict[str, Any], sent: dict[str, str]
) -> None:
    web.put("a b", b"own")
    own = f"{web.server.endpoint}/{web.folder.name}"
    sync = Store(FsspecBackend(HTTPFileSystem(**given, skip_instance_cache=True), own))
    fs = HTTPFileSystem(**given, asynchronous=True, skip_instance_cache=True)
    async with AsyncStore(AsyncFsspecBackend(fs, own)) as async_store:
        for view in (View(sync), View(async_store)):
            web.server.forget()
            assert await view.read_bytes("a b") == b"own"
            assert web.lines == ["GET a%20b"]
            for name, value in sent.items():
                assert web.server.asked[0].headers[name] == value
            assert web.server.requests[0].endswith("?sig=a%2Fb") is ("params" in given)
            with web.server.hooked(instead(to(f"{other.endpoint}/f"))):
                assert await view.read_bytes("a b") == b"other"
            assert not NAMES & set(other.asked[-1].headers)
        assert sync.unwrap(HTTPFileSystem).kwargs == async_store.unwrap(HTTPFileSystem).kwargs
    sync.close()
    assert sync.read_bytes("a b") == b"own"
    await (await fs.set_session()).close()


@pytest.mark.parametrize(
    ("given", "root", "said"),
    [
        ({"data": b"1"}, "http://h/", "passes 'data'"),
        ({"allow_redirects": True}, "http://h/", "passes 'allow_redirects'"),
        ({"headers": {"Range": "bytes=0-1"}}, "http://h/", "must not have 'Range'"),
        ({"client_kwargs": {"headers": {"accept-encoding": "gzip"}}}, "http://h/", "must not have 'accept-encoding'"),
        ({"client_kwargs": {"base_url": "http://h/"}}, "http://h/", "base_url"),
        ({"headers": {"authorization": "x"}}, "http://me:hidden@h/", "another"),
        ({}, "", "must begin with http"),
        ({}, "http:///x", "name a host"),
    ],
)
def test_what_has_no_meaning_is_refused(given: dict[str, Any], root: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        FsspecBackend(HTTPFileSystem(**given, skip_instance_cache=True), root)
    assert "hidden" not in str(caught.value)


# --- options


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("ftp://h/x", {}, "must begin with http"),
        ("http://", {}, "name a host"),
        ("http://h:0/", {}, "port"),
        ("http://h:hidden/", {}, "port"),
        ("http://h/x#hidden", {}, "fragment"),
        ("http://h/?hidden=1", {"params": "b=2"}, "tells the option 'params' already"),
        ("http://me:hidden@h/", {"username": "you"}, "tells the option 'username' already"),
        ("http://h/", {"token": "a", "username": "b"}, "one way to log in"),
        ("http://h/", {"token": "a", "headers": {"authorization": "b"}}, "one way to log in"),
        ("http://h/", {"password": "hidden"}, "password needs username"),
        ("http://h/", {"username": "a:b"}, "colon"),
        ("http://h/", {"token": "hid den"}, "token must be"),
        ("http://h/", {"headers": {"Range": "x"}}, "'Range'"),
        ("http://h/", {"headers": {"X": "hidden\n"}}, "printable"),
        ("http://h/", {"headers": {"X Y": "hidden"}}, "printable"),
        ("http://h/", {"client_kwargs": {"auth": 1}}, "'auth'"),
        ("http://h/", {"client_kwargs": {"trust_envy": 1}}, "'trust_envy', which aiohttp"),
        ("http://h/", {"timeout": 0}, "timeout"),
        ("http://h/", {"user": "x"}, "did you mean 'username'"),
        ("http://h/", {"simple_links": True}, "unknown option"),
        ("http://h/", {"trust_env": True}, "client_kwargs"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, options: dict[str, Any], said: str) -> None:
    for cls in (HTTPBackend, AsyncHTTPBackend):
        with pytest.raises(ValueError, match=said) as caught:
            cls(url, **options)
        assert "hidden" not in str(caught.value)


def test_urls_lead_to_the_named_backends() -> None:
    store = Store.from_url("https://ana:pw@Data.Example.org:8443/a%20b/?sig=a%2Fb", index=True)
    assert isinstance(store.backend, HTTPBackend)
    assert store.native_path("c d") == "https://data.example.org:8443/a%20b/c%20d"
    assert store.to_key("https://data.example.org:8443/a%20b/c%20d?sig=x") == "c d"
    assert isinstance(Store.from_url("http://[::1]:80/x").backend, HTTPBackend)
    assert Store.from_url("http://[::1]:80/x").native_path("k") == "http://[::1]:80/x/k"


async def test_a_refusal_is_one(web: Place) -> None:
    web.put("f", b"1")
    with web.server.having(login=BASIC):
        with pytest.raises(PermissionDenied):
            await web.view.read_bytes("f")
        async for view in both(f"{web.server.endpoint}/{web.folder.name}", username="ana", password=SECRET):
            assert await view.read_bytes("f") == b"1"
            await view.ping()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_proxy_is_asked(kind: str) -> None:
    with serve() as proxy:
        options = {"proxy": f"http://127.0.0.1:{proxy.port}", "retries": 0}
        async with web_view(kind, "http://data.example.invalid/x", **options) as view:
            with pytest.raises(BackendUnavailable):
                await view.read_bytes("f")
    assert [line for line, _ in proxy.asked] == ["GET http://data.example.invalid/x/f HTTP/1.1"]


def test_pandas_reads_through_a_store(web_server: FileServer) -> None:
    pandas = pytest.importorskip("pandas")
    folder = web_server.fresh_folder()
    (folder / "t a.csv").write_bytes(b"x,y\n1,2\n")
    frame = pandas.DataFrame({"x": range(1000)})
    packed = io.BytesIO()
    frame.to_csv(packed, index=False)
    (folder / "big.csv").write_bytes(packed.getvalue())
    fs = Store(HTTPBackend(f"{web_server.endpoint}/{folder.name}")).to_fsspec()
    with fs.open("t a.csv") as file:
        assert pandas.read_csv(file).to_dict("list") == {"x": [1], "y": [2]}
    with fs.open("big.csv") as file:
        assert pandas.read_csv(file).equals(frame)
