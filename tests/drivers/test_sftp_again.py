"""SFTP: what is tried again when a connection is not made, or lost, and the way through a proxy of HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from helpers.deadline import DEADLINE
from servers.connect import ConnectProxy, connect_proxy
from servers.ports import free_port
from servers.proxy import Fault, Proxy, proxy_to
from servers.sftp import LOGIN, SFTPServer, serve

from remote_store import BackendUnavailable, PermissionDenied, Store
from remote_store.aio import AsyncSFTPBackend, AsyncStore
from remote_store.backends import SFTPBackend


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to no wait before another try."""
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SFTPServer]:
    (tmp_path / "served/data").mkdir(parents=True)
    (tmp_path / "served/data/f").write_bytes(b"content")
    with serve(str(tmp_path / "served")) as server:
        yield server


@pytest.fixture
def between(server: SFTPServer) -> Iterator[Proxy]:
    with proxy_to(f"http://127.0.0.1:{server.port}") as proxy:
        yield proxy


def store(between: Proxy, **options: Any) -> AsyncStore:
    port = int(between.endpoint.rpartition(":")[2])
    return AsyncStore(AsyncSFTPBackend("127.0.0.1", "/data", port=port, **{**LOGIN, **options}))


async def listed(store: AsyncStore) -> list[str]:
    return [str(file.path) async for file in store.list_files("")]


# --- connections that are not made


async def test_connecting_is_tried_as_often_as_it_may_be(between: Proxy) -> None:
    for retries, comes in ((0, False), (2, False), (3, True)):
        between.arm(Fault("reset", "response", 0, times=3))
        before = between.connections
        async with store(between, retries=retries) as place:
            if comes:
                await place.write("new", b"1")
            else:
                with pytest.raises(BackendUnavailable, match="lost"):
                    await place.write("new", b"1")
        assert between.connections - before == retries + 1


async def test_a_refused_login_is_not_tried_again(between: Proxy) -> None:
    async with store(between, retries=3, password="wrong") as place:
        with pytest.raises(PermissionDenied):
            await place.exists("f")
    assert between.connections == 1


async def test_an_unknown_host_is_not_tried_again(between: Proxy, tmp_path: Path) -> None:
    async with store(between, retries=3, known_hosts=str(tmp_path / "none")) as place:
        with pytest.raises(BackendUnavailable, match="is not known"):
            await place.exists("f")
    assert between.connections == 1


async def test_who_waits_for_a_connection_that_fails_fails_with_it(between: Proxy) -> None:
    async with store(between, retries=1) as place:
        between.arm(Fault("reset", "response"))
        found = await asyncio.gather(*(place.exists("f") for _ in range(50)), return_exceptions=True)
        assert {type(error) for error in found} == {BackendUnavailable}
        assert between.connections == 2
        between.heal()
        assert await place.exists("f")


async def test_tries_end_with_the_deadline(between: Proxy) -> None:
    async with store(between, retries=50, timeout=0.5) as place:
        between.arm(Fault("stall", "response"))
        async with asyncio.timeout(DEADLINE):
            found = await asyncio.gather(*(place.exists("f") for _ in range(20)), return_exceptions=True)
        assert {type(error) for error in found} == {BackendUnavailable}
        assert between.connections == 1


# --- connections that are lost

QUESTIONS = {
    "exists": lambda store: store.exists("f"),
    "info": lambda store: store.get_file_info("f"),
    "read_bytes": lambda store: store.read_bytes("f"),
    "read_range": lambda store: store.read_range("f", 1, 3),
    "list": listed,
    "ping": lambda store: store.ping(),
    "delete": lambda store: store.delete("f"),
    "copy": lambda store: store.copy("f", "copied"),
    "move": lambda store: store.move("f", "moved"),
}
"""Calls that begin with a question."""


@pytest.mark.parametrize("call", QUESTIONS)
@pytest.mark.parametrize("side", ["request", "response"])
async def test_a_question_whose_connection_is_lost_is_asked_again(between: Proxy, call: str, side: Any) -> None:
    async with store(between, retries=1) as place:
        await place.exists("f")
        between.arm(Fault("reset", side, times=1))
        await QUESTIONS[call](place)
        assert between.struck.is_set()
        assert between.connections == 2


async def test_it_is_not_unless_told(between: Proxy) -> None:
    async with store(between) as place:
        await place.exists("f")
        between.arm(Fault("reset", "response", times=1))
        with pytest.raises(BackendUnavailable, match="lost"):
            await place.read_bytes("f")
        assert between.connections == 1


async def test_tries_of_a_question_and_of_its_connection_do_not_multiply(between: Proxy) -> None:
    async with store(between, retries=2) as place:
        await place.exists("f")
        between.arm(Fault("reset", "response"))
        with pytest.raises(BackendUnavailable):
            await place.read_bytes("f")
    assert between.connections == 1 + 3


async def test_content_is_sent_once(between: Proxy) -> None:
    read: list[int] = []

    async def content() -> AsyncIterator[bytes]:
        for number in range(3):
            read.append(number)
            yield bytes(300_000)

    async with store(between, retries=3) as place:
        await place.exists("f")
        between.arm(Fault("reset", "request", 200_000, times=1))
        with pytest.raises(BackendUnavailable, match="lost"):
            await place.write("new", content())
        assert between.connections == 1
        assert read == sorted(set(read))
        assert await listed(place) == ["f"]


# --- through a proxy


@pytest.fixture
def web_proxy() -> Iterator[ConnectProxy]:
    with connect_proxy() as proxy:
        yield proxy


def through(server: SFTPServer, proxy: ConnectProxy, **options: Any) -> Store:
    told = {"proxy": f"http://me:pa%3Ass@127.0.0.1:{proxy.port}", **LOGIN, **options}
    return Store(SFTPBackend("127.0.0.1", "/data", port=server.port, **told))


@pytest.mark.parametrize("glued", [False, True])
def test_a_server_is_reached_through_a_proxy(server: SFTPServer, web_proxy: ConnectProxy, glued: bool) -> None:
    web_proxy.glued = glued
    with through(server, web_proxy) as place:
        place.write("new", bytes(3_000_000))
        assert place.read_bytes("new") == bytes(3_000_000)
        told = repr(place) + str(place.resolve("f")) + place.unwrap(object).to_json()  # type: ignore[attr-defined]
    login = base64.b64encode(b"me:pa:ss").decode()
    assert web_proxy.asked == [(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1", f"Basic {login}")]
    assert "ss@" not in told
    assert json.loads(place.unwrap(object).to_json())["proxy"] == f"http://127.0.0.1:{web_proxy.port}"  # type: ignore[attr-defined]


def test_the_first_host_to_go_through_is_reached_through_a_proxy(server: SFTPServer, web_proxy: ConnectProxy) -> None:
    with serve(server._folder) as gate:
        login = {**LOGIN, "jump": f"guest@127.0.0.1:{gate.port}"}
        with through(server, web_proxy, **login) as place, pytest.raises(BackendUnavailable):
            place.exists("f")  # The gate of the tests passes nothing on.
        assert [asked for asked, _ in web_proxy.asked] == [f"CONNECT 127.0.0.1:{gate.port} HTTP/1.1"]


@pytest.mark.parametrize(
    ("answer", "why", "tries"),
    [
        ("HTTP/1.1 407 Proxy Authentication Required", "wants a login that it accepts", 1),
        ("HTTP/1.1 403 Forbidden", r"refuses to connect \(status 403\)", 1),
        ("HTTP/1.1 503 Busy", r"refuses to connect \(status 503\)", 3),
        ("SSH-2.0-none", "does not answer like one", 1),
    ],
)
def test_what_a_proxy_refuses_is_told(
    server: SFTPServer, web_proxy: ConnectProxy, answer: str, why: str, tries: int
) -> None:
    web_proxy.answer = answer
    with through(server, web_proxy, retries=2) as place:
        with pytest.raises(BackendUnavailable, match=rf"the proxy 127\.0\.0\.1:{web_proxy.port} {why}") as caught:
            place.exists("f")
        assert "ss@" not in str(caught.value)
        assert len(web_proxy.asked) == tries


def test_a_proxy_that_is_not_there_is_told(server: SFTPServer, web_proxy: ConnectProxy) -> None:
    nobody = free_port()
    web_proxy.port = nobody
    with through(server, web_proxy) as place:
        told = rf"the proxy 127\.0\.0\.1:{nobody} failed: the connection was refused"
        with pytest.raises(BackendUnavailable, match=told):
            place.exists("f")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retries": -1}, "retries must be a whole number"),
        ({"retries": 1.5}, "retries must be a whole number"),
        ({"proxy": "socks5://user:s3cret@h"}, "proxy must begin with http"),
        ({"ca_bundle": "/etc/ssl/cert.pem"}, "did you mean 'known_hosts'"),
    ],
)
def test_what_sftp_does_not_take_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        SFTPBackend("h", **options).name  # noqa: B018
    assert "s3cret" not in str(caught.value)
