"""What goes wrong over HTTP: bodies that break off, ranges that nobody asked for, refusals, silence."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import threading
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.web import Place, web_view
from servers.double_answers import HTML, Answer, CarryOut, Request
from servers.double_faults import hang, in_turn, instead, once, reset_before, when
from servers.files import BEHAVIOURS, FileServer
from servers.ports import free_port

from remote_store import (
    BackendUnavailable,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    Store,
)
from remote_store.aio import AsyncHTTPBackend, AsyncStore
from remote_store.backends import HTTPBackend

CONTENT = bytes(range(256)) * 40


# --- what goes wrong in a body


def cut(after: int) -> Any:
    """The connection is reset after so many bytes of a body."""
    return lambda request, carry_out: carry_out()._replace(sent=after)


@pytest.mark.parametrize("behaviour", ["as it should", "no ranges", "no lengths", "weak etags", "no etags"])
async def test_a_body_that_breaks_off_is_gone_on_with(web: Place, behaviour: str) -> None:
    content = os.urandom(300_000)
    web.put("f", content)
    with web.server.having(**BEHAVIOURS[behaviour]), web.server.hooked(once(cut(100_000))):
        assert await web.view.read_bytes("f") == content
    assert web.lines == ["GET f", "GET f"]
    first, second = (request.headers for request in web.server.asked)
    assert ("Range" in first, "Range" in second) == (False, True)
    assert second["If-Range"].startswith('"') is ("etags" not in behaviour)
    assert second["If-Range"][:2] != "W/"


async def test_a_body_that_breaks_off_is_no_whole(web: Place) -> None:
    web.put("f", CONTENT)
    for behaviour in BEHAVIOURS.values():
        with web.server.having(**behaviour), web.server.hooked(when(cut(20), "GET")):
            for call in (lambda: web.view.read_bytes("f"), lambda: web.view.read_range("f", 0, 9000)):
                with pytest.raises(BackendUnavailable):
                    await call()
    web.server.forget()
    # Nobody could tell whether what follows is of the same content.
    with web.server.having(etag=None, dated=False), web.server.hooked(once(cut(20))), pytest.raises(BackendUnavailable):
        await web.view.read_bytes("f")
    assert web.lines == ["GET f"]


async def test_a_file_that_changes_where_a_body_breaks_off_is_not_mixed(web: Place) -> None:
    web.put("f", b"1" * 300_000)

    def change(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        web.put("f", b"2" * 300_000)
        return answer._replace(sent=100_000)

    with web.server.hooked(once(change)), pytest.raises(PreconditionFailed):
        await web.view.read_bytes("f")


@pytest.mark.parametrize("validator", [{"ETag": '"1"'}, {"Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT"}])
@pytest.mark.parametrize("status", [200, 206])
async def test_what_follows_must_show_that_it_is_the_same(web: Place, validator: Any, status: int) -> None:
    size, sent = 300_000, 100_000
    begun = Answer(200, b"1" * size, validator, sent=sent)
    part = {"Content-Range": f"bytes {sent}-{size - 1}/{size}"}
    rest = Answer(status, b"2" * (size - sent if status == 206 else size), part if status == 206 else {})
    for more in ({}, {"ETag": 'W/"1"'}):  # A weak one may be of any content that is much the same.
        answers = in_turn(instead(begun), instead(rest._replace(headers={**rest.headers, **more})))
        with web.server.hooked(answers), pytest.raises(PreconditionFailed):
            await web.view.read_bytes("f")
    same = rest._replace(headers={**rest.headers, **validator})
    with web.server.hooked(in_turn(instead(begun), instead(same))):
        assert (await web.view.read_bytes("f"))[sent:] == b"2" * (size - sent)


@pytest.mark.parametrize("sized", [True, False])
async def test_a_part_of_a_file_of_unknown_size_is_not_taken_for_its_rest(web: Place, sized: bool) -> None:
    web.put("f", CONTENT)
    part = Answer(206, CONTENT[5:10] + b"more" * (not sized), {"Content-Range": "bytes 5-9/*"}, sized)
    with web.server.hooked(once(instead(part))):
        assert b"".join([chunk async for chunk in web.view.read("f", start=5)]) == CONTENT[5:]
    with web.server.hooked(instead(part)), pytest.raises(BackendUnavailable):
        _ = [chunk async for chunk in web.view.read("f", start=5)]
    with web.server.hooked(instead(part)):
        assert await web.view.read_range("f", 5, 10) == CONTENT[5:10]


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (206, {"Content-Range": "bytes 4-8/10240"}, b"45678"),
        (206, {"Content-Range": "bytes 3-9/10240"}, b"3456789"),
        (206, {"Content-Range": "bytes 3-7/10240"}, b"34567"),
        (206, {"Content-Range": "bytes 2-8/10240"}, b"234567"),
        (206, {"Content-Range": "bytes 3-8/10240"}, b"345678901"),
        (206, {}, b"345678"),
        (206, {"Content-Range": "bytes 3-8/10240"}, b"345"),
        (206, {"Content-Range": "chapters 3-8/10240"}, b"345678"),
        (206, {"Content-Type": "multipart/byteranges; boundary=x"}, b"--x\r\n\r\n345678\r\n--x--"),
        (416, {"Content-Range": "bytes */10240"}, b""),
        (204, {}, b""),
        (203, {}, b"345678"),
    ],
)
async def test_another_range_than_was_asked_for_is_none(web: Place, status: int, headers: Any, body: bytes) -> None:
    with web.server.hooked(instead(Answer(status, body, headers))), pytest.raises(BackendUnavailable):
        await web.view.read_range("f", 3, 9)


async def test_a_part_without_a_length_ends_where_its_range_does(web: Place) -> None:
    part = Answer(206, b"345", {"Content-Range": "bytes 3-8/10240", "ETag": '"1"'}, sized=False)
    with web.server.hooked(instead(part)), pytest.raises(BackendUnavailable):
        await web.view.read_range("f", 3, 9)


async def test_a_part_that_nobody_asked_for_is_none(web: Place) -> None:
    part = Answer(206, b"012", {"Content-Range": "bytes 0-2/10"})
    with web.server.hooked(instead(part)), pytest.raises(BackendUnavailable):
        await web.view.read_bytes("f")


async def test_a_part_of_something_compressed_is_not_used(web: Place) -> None:
    web.put("f", CONTENT)
    part = Answer(206, b"\x1f\x8b", {"Content-Range": "bytes 3-8/99", "Content-Encoding": "gzip"})
    with web.server.hooked(once(instead(part))):
        assert await web.view.read_range("f", 3, 9) == CONTENT[3:9]


async def test_a_refused_range_without_a_size_is_asked_for_without_one(web: Place) -> None:
    web.put("f", CONTENT)
    with web.server.hooked(once(instead(Answer(416)))):
        assert await web.view.read_range("f", 3, 9) == CONTENT[3:9]


async def test_what_is_no_gzip_is_an_error(web: Place) -> None:
    packed = Answer(200, b"no gzip", {"Content-Encoding": "gzip"})
    with web.server.hooked(instead(packed)), pytest.raises(BackendUnavailable):
        await web.view.read_bytes("f")


RAW = zlib.compress(CONTENT)[2:-4]
PACKINGS = {
    "gzip": ("gzip", gzip.compress(CONTENT)),
    "two of gzip": ("X-GZIP", gzip.compress(CONTENT[:9]) + gzip.compress(CONTENT[9:])),
    "deflate": ("deflate", zlib.compress(CONTENT)),
    "deflate without its frame": ("deflate", RAW),
}


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("packing", PACKINGS)
async def test_what_comes_packed_is_unpacked_whole(web: Place, packing: str, sized: bool) -> None:
    encoding, packed = PACKINGS[packing]
    headers = {"Content-Encoding": encoding}
    with web.server.hooked(instead(Answer(200, packed, headers, sized))):
        assert await web.view.read_bytes("f") == CONTENT
        assert await web.view.read_range("f", 5, 9) == CONTENT[5:9]
    for cut_body in (packed[:-1], packed[: len(packed) // 2], b"" if not sized else packed[:1]):
        with (
            web.server.hooked(instead(Answer(200, cut_body, headers, sized))),
            pytest.raises(BackendUnavailable),
        ):
            await web.view.read_bytes("f")
    with web.server.hooked(instead(Answer(200, packed + b"more", headers, sized))), pytest.raises(BackendUnavailable):
        await web.view.read_bytes("f")


async def test_what_cannot_be_unpacked_is_an_error(web: Place) -> None:
    for encoding in ("x-foo", "gzip, gzip", "br"):
        with (
            web.server.hooked(instead(Answer(200, b"packed", {"Content-Encoding": encoding}))),
            pytest.raises(BackendUnavailable),
        ):
            await web.view.read_bytes("f")
    with web.server.hooked(instead(Answer(200, b"", {"Content-Encoding": "gzip"}))):
        assert await web.view.read_bytes("f") == b""


# --- statuses

STATUSES: dict[int, type[RemoteStoreError]] = {
    400: RemoteStoreError,
    401: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    405: RemoteStoreError,
    407: PermissionDenied,
    408: BackendUnavailable,
    410: NotFound,
    414: InvalidPath,
    429: BackendUnavailable,
    451: PermissionDenied,
    500: BackendUnavailable,
    501: BackendUnavailable,
    503: BackendUnavailable,
}


@pytest.mark.parametrize("status", STATUSES)
async def test_every_status_has_its_error(web: Place, status: int) -> None:
    with web.server.hooked(instead(Answer(status, b"<html>sorry</html>", HTML))):
        for call in (web.view.read_bytes, web.view.get_file_info):
            with pytest.raises(STATUSES[status]) as caught:
                await call("f")
            assert type(caught.value) is STATUSES[status]
            assert (caught.value.path, caught.value.backend) == ("f", "http")
            assert "sorry" not in str(caught.value)
        if status not in (404, 410):
            with pytest.raises(STATUSES[status]):
                await web.view.exists("f")


async def test_a_server_may_ask_once_to_wait(web: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    told = SimpleNamespace(get_running_loop=asyncio.get_running_loop, sleep=wait)
    monkeypatch.setattr("remote_store.drivers.objects.tries.asyncio", told)
    web.put("f", CONTENT)
    for status in (429, 503):
        busy, long = (instead(Answer(status, headers={"Retry-After": seconds})) for seconds in ("7", "3600"))
        with web.server.hooked(once(busy)):
            assert await web.view.read_bytes("f") == CONTENT
        with web.server.hooked(busy), pytest.raises(BackendUnavailable):
            await web.view.read_bytes("f")
        assert (len(web.server.requests), waits) == (4, [7, 7])
        web.server.forget()
        with web.server.hooked(long), pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1"):
            await web.view.read_bytes("f")
        assert (len(web.server.requests), waits) == (1, [7, 7])
        web.server.forget()
        waits.clear()


async def test_ping_needs_an_answer_and_no_page(web: Place) -> None:
    for status in (200, 403, 404, 405):
        with web.server.hooked(instead(Answer(status))):
            await web.view.ping()
    for status, error in ((401, PermissionDenied), (503, BackendUnavailable)):
        with web.server.hooked(instead(Answer(status))), pytest.raises(error):
            await web.view.ping()


# --- silence, and connections that are lost


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_silence_ends_at_the_deadline(web_server: FileServer, brief: None, kind: str) -> None:
    folder, released = web_server.fresh_folder(), threading.Event()
    (folder / "f").write_bytes(CONTENT)
    async with web_view(kind, f"{web_server.endpoint}/{folder.name}", timeout=0.3, retries=1) as view:
        with web_server.hooked(hang(released)):
            for call in (view.read_bytes, view.exists, view.get_file_info):
                with pytest.raises(BackendUnavailable, match=r"within 0\.3 s"):
                    await call("f")
        released.set()
        assert await view.read_bytes("f") == CONTENT


async def test_a_lost_connection_is_made_again(web: Place) -> None:
    web.put("f", CONTENT)
    with web.server.hooked(once(reset_before)):
        assert await web.view.read_bytes("f") == CONTENT
    with web.server.hooked(reset_before):
        for call in (lambda: web.view.read_bytes("f"), lambda: web.view.exists("f"), web.view.ping):
            with pytest.raises(BackendUnavailable, match="connection was lost"):
                await call()
    assert await web.view.read_bytes("f") == CONTENT


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_where_nobody_listens_is_told(brief: None, kind: str) -> None:
    port = free_port()
    async with web_view(kind, f"http://127.0.0.1:{port}", retries=1) as view:
        with pytest.raises(BackendUnavailable, match=rf"127\.0\.0\.1:{port}: the connection was refused"):
            await view.read_bytes("f")


async def test_many_callers_share_a_store(web: Place) -> None:
    if not web.view.is_async:
        return
    web.put("f", CONTENT)
    found = await asyncio.wait_for(asyncio.gather(*(web.view.read_bytes("f") for _ in range(256))), DEADLINE)
    assert found == [CONTENT] * 256


async def test_who_waits_while_a_store_is_closed_is_told() -> None:
    asked = asyncio.Queue[bytes]()

    async def stall(request: asyncio.StreamReader, reply: asyncio.StreamWriter) -> None:
        line = (await request.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        if b"/f " in line:
            head = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nAccept-Ranges: bytes\r\nContent-Length: 10\r\n\r\n'
            reply.write(head + b"01234")
        asked.put_nowait(line)
        with contextlib.suppress(OSError):
            await request.read()
        reply.close()

    server = await asyncio.start_server(stall, "127.0.0.1")
    url = "http://{}:{}".format(*server.sockets[0].getsockname())
    async with AsyncStore(AsyncHTTPBackend(url, timeout=DEADLINE * 2, retries=3)) as store:
        file = await store.read_seekable("f")
        assert await file.read(5) == b"01234"
        waiting = [asyncio.ensure_future(call) for call in (file.read(5), store.read_bytes("g"), store.exists("g"))]
        for _ in range(3):
            await asyncio.wait_for(asked.get(), DEADLINE)
        await store.aclose()
        for one in waiting:
            with pytest.raises(BackendUnavailable, match="closed"):
                await asyncio.wait_for(one, DEADLINE)
        with pytest.raises(BackendUnavailable, match="closed"):
            await file.read(5)
        await file.aclose()
    server.close()
    await server.wait_closed()


@pytest.mark.full
def test_closing_among_calls_raises_nothing_else(web_server: FileServer) -> None:
    folder, over, odd = web_server.fresh_folder(), threading.Event(), list[BaseException]()
    (folder / "f").write_bytes(CONTENT)
    store = Store(HTTPBackend(f"{web_server.endpoint}/{folder.name}"))

    def work() -> None:
        while not over.is_set():
            try:
                assert store.read_bytes("f") == CONTENT
                assert store.exists("f")
            except BackendUnavailable as error:
                if "closed" not in str(error):
                    odd.append(error)
            except BaseException as error:
                odd.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        store.exists("g") if _ % 2 else store.close()
    over.set()
    for thread in threads:
        thread.join(DEADLINE)
    store.close()
    assert odd == []


async def test_a_closed_store_opens_again(web_server: FileServer) -> None:
    folder = web_server.fresh_folder()
    (folder / "f").write_bytes(b"1")
    for kind in ("sync", "async"):
        async with web_view(kind, f"{web_server.endpoint}/{folder.name}") as view:
            assert await view.read_bytes("f") == b"1"
        assert await view.read_bytes("f") == b"1"
        await (view.store.aclose() if kind == "async" else view.close())
