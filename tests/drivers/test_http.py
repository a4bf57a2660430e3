"""Files of web servers: what each call asks, and what servers of many kinds make of that."""

from __future__ import annotations

import datetime as dt
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from helpers.web import Place, web_view
from servers.double_answers import HTML, Answer, CarryOut, Request
from servers.double_faults import instead, once, when
from servers.files import FileServer, plain_server

from remote_store import (
    BackendUnavailable,
    Capability,
    CapabilityNotSupported,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
)

CONTENT = bytes(range(256)) * 40
ODD = ["a b", "a#b", "a?b=c&d", "a%41", "%2e", "ü/𝄞", "a+b;c,d", "'\"<>", "~-_.!*()@:$", "d/e f/g#h"]


async def stream(place: Place, key: str, **options: Any) -> bytes:
    return b"".join([chunk async for chunk in place.view.read(key, **options)])


# --- requests


async def test_each_call_is_one_request(web: Place) -> None:
    web.put("d/f", CONTENT)
    view = web.view
    calls: list[tuple[Any, str]] = [
        (lambda: view.read_bytes("d/f"), "GET d/f"),
        (lambda: stream(web, "d/f"), "GET d/f"),
        (lambda: stream(web, "d/f", start=3, end=9), "GET d/f"),
        (lambda: view.read_range("d/f", 3, 9), "GET d/f"),
        (lambda: view.exists("d/f"), "HEAD d/f"),
        (lambda: view.is_file("d/f"), "HEAD d/f"),
        (lambda: view.is_folder("d"), "HEAD d"),
        (lambda: view.get_file_info("d/f"), "HEAD d/f"),
        (lambda: view.exists("no"), "HEAD no"),
    ]
    for call, expected in calls:
        web.server.forget()
        await call()
        assert web.lines == [expected]
    web.server.forget()
    assert (await view.exists(""), await view.is_file(""), await view.is_folder("")) == (True, False, True)
    assert web.lines == []


async def test_a_file_is_described(web: Place) -> None:
    web.put("f", CONTENT)
    os.utime(web.folder / "f", (1_700_000_000, 1_700_000_000))
    info = await web.view.get_file_info("f")
    assert (info.size, info.modified_at) == (len(CONTENT), dt.datetime.fromtimestamp(1_700_000_000, dt.UTC))
    assert info.content_type == "text/plain"
    assert info.etag
    assert '"' not in info.etag


async def test_keys_are_literal(web: Place) -> None:
    for number, key in enumerate(ODD):
        web.put(key, str(number).encode())
    for number, key in enumerate(ODD):
        assert await web.view.read_bytes(key) == str(number).encode()
        assert await web.view.exists(key)
        native = web.view.store.native_path(key)
        assert web.view.store.to_key(native) == key
    assert not await web.view.exists("a")


async def test_what_is_not_declared_is_refused_without_a_request(web: Place) -> None:
    for call in (
        lambda: web.view.write("f", b"1"),
        lambda: web.view.delete("f"),
        lambda: web.view.move("f", "g"),
        lambda: web.view.copy("f", "g"),
        lambda: web.view.write_atomic("f", b"1"),
        lambda: web.view.delete_folder("d"),
        lambda: web.view.sign("f"),
        lambda: web.view.get_folder_info("d"),
    ):
        with pytest.raises(CapabilityNotSupported):
            await call()
    with pytest.raises(CapabilityNotSupported):
        [_ async for _ in web.view.list_files("")]
    assert web.lines == []


async def test_folders_are_not_read(web: Place) -> None:
    web.put("d/f", b"1")
    assert not await web.view.is_file("d")
    for call in (web.view.read_bytes, web.view.get_file_info):
        with pytest.raises(InvalidPath, match="exists as a directory"):
            await call("d")
    for path in ("d/f/g", "no/f"):
        assert not await web.view.exists(path)
        with pytest.raises(NotFound):
            await web.view.read_bytes(path)


# --- reading


async def test_ranges(web: Place) -> None:
    web.put("f", CONTENT)
    web.put("empty", b"")
    for start, end in ((0, 1), (0, 10), (5, 9), (len(CONTENT) - 2, len(CONTENT) + 9), (0, 1 << 40)):
        assert await web.view.read_range("f", start, end) == CONTENT[start:end]
        assert await stream(web, "f", start=start, end=end) == CONTENT[start:end]
    for start in (len(CONTENT), len(CONTENT) + 5):
        assert await web.view.read_range("f", start, start + 5) == b""
    assert await stream(web, "f", start=7) == CONTENT[7:]
    assert await web.view.read_bytes("empty") == await web.view.read_range("empty", 0, 9) == b""
    assert (await web.view.get_file_info("empty")).size == 0


BEHAVIOURS: dict[str, dict[str, Any]] = {
    "as it should": {},
    "no ranges": {"ranges": False},
    "no lengths": {"sized": False},
    "no lengths and no ranges": {"sized": False, "ranges": False},
    "compressed": {"packed": True},
    "compressed and no lengths": {"packed": True, "sized": False},
    "no HEAD": {"heads": False},
    "weak etags": {"etag": "W/"},
    "no etags": {"etag": None},
    "neither etags nor times": {"etag": None, "dated": False},
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_every_server_gives_what_is_there(web: Place, behaviour: str) -> None:
    web.put("d/f", CONTENT)
    web.put("empty", b"")
    with web.server.having(**BEHAVIOURS[behaviour]):
        assert await web.view.read_bytes("d/f") == CONTENT
        assert await stream(web, "d/f") == CONTENT
        assert await stream(web, "d/f", start=300, end=700) == CONTENT[300:700]
        assert await web.view.read_range("d/f", 300, 700) == CONTENT[300:700]
        assert await web.view.read_range("d/f", len(CONTENT) + 1, len(CONTENT) + 2) == b""
        assert (await web.view.get_file_info("d/f")).size == len(CONTENT)
        assert (await web.view.get_file_info("empty")).size == 0
        assert await web.view.is_file("d/f")
        assert await web.view.is_folder("d")
        assert not await web.view.exists("no")


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_every_file_is_seekable(web: Place, behaviour: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", b"1" * 3000)
        archive.writestr("b", b"2" * 3000)
    web.put("z", packed.getvalue())
    with web.server.having(**BEHAVIOURS[behaviour]):
        file = await web.view.read_seekable("z")
        assert await file.seek(-4, 2) == len(packed.getvalue()) - 4
        assert await file.read() == packed.getvalue()[-4:]
        assert await file.seek(1) == 1
        assert await file.read(5) == packed.getvalue()[1:6]
        await file.aclose()
        if not web.view.is_async:
            with web.view.store.read("z") as opened, zipfile.ZipFile(opened) as archive:
                assert archive.read("b") == b"2" * 3000


async def test_seeks_that_lead_nowhere_far_send_nothing(web: Place) -> None:
    web.put("f", CONTENT)
    file = await web.view.read_seekable("f")
    assert await file.read(100) == CONTENT[:100]
    await file.seek(20)
    assert await file.read(30) == CONTENT[20:50]
    await file.aclose()
    assert web.lines == ["GET f"]


async def test_a_server_that_takes_no_head_is_asked_once(web: Place) -> None:
    web.put("f", CONTENT)
    with web.server.having(heads=False):
        for _ in range(3):
            assert (await web.view.get_file_info("f")).size == len(CONTENT)
    assert web.lines == ["HEAD f", "GET f", "GET f", "GET f"]
    assert [request.headers.get("Range") for request in web.server.asked[1:]] == ["bytes=0-0"] * 3


@pytest.mark.parametrize("status", [403, 405, 501])
async def test_a_head_that_is_refused_says_nothing_of_the_file(web: Place, status: int) -> None:
    web.put("f", CONTENT)
    with web.server.hooked(when(instead(Answer(status)), "HEAD")):
        assert await web.view.exists("f")
        assert not await web.view.exists("no")
        assert (await web.view.get_file_info("f")).size == len(CONTENT)


async def test_a_head_that_tells_no_length_is_not_believed(web: Place) -> None:
    web.put("f", CONTENT)
    with web.server.hooked(when(instead(Answer(200, b"", {"Content-Length": "0"})), "HEAD")):
        assert (await web.view.get_file_info("f")).size == len(CONTENT)


async def test_a_file_that_changes_between_two_requests_is_not_mixed(web: Place) -> None:
    for behaviour in ({}, {"ranges": False}, {"etag": None}, {"etag": "W/"}):
        web.put("f", b"1" * 3_000_000)
        os.utime(web.folder / "f", (1, 1))
        with web.server.having(**behaviour):
            file = await web.view.read_seekable("f")
            if not behaviour.get("ranges", True):  # Spooled, so that nothing is asked again.
                await file.aclose()
                continue
            assert await file.read(10) == b"1" * 10
            web.put("f", b"2" * 3_000_000)
            await file.seek(2_900_000)
            with pytest.raises(PreconditionFailed, match="replaced while it was being read"):
                await file.read(10)
            await file.aclose()


async def test_a_change_is_noticed_without_ranges(web: Place) -> None:
    if web.view.is_async:
        return  # Its streams do not seek.
    web.put("f", b"1" * 3_000_000)
    with web.server.having(ranges=False), web.view.store.read("f") as file:
        assert file.read(10) == b"1" * 10
        web.put("f", b"2" * 3_000_000)
        file.seek(2_900_000)
        with pytest.raises(PreconditionFailed):
            file.read(10)


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


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (206, {"Content-Range": "bytes 4-8/10240"}, b"45678"),
        (206, {"Content-Range": "bytes 3-9/10240"}, b"3456789"),
        (206, {"Content-Range": "bytes 3-7/10240"}, b"34567"),
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


async def test_a_server_may_ask_once_to_wait(web: Place) -> None:
    web.put("f", CONTENT)
    for status in (429, 503):
        busy = instead(Answer(status, headers={"Retry-After": "1"}))
        web.server.forget()
        with web.server.hooked(once(busy)):
            assert await web.view.read_bytes("f") == CONTENT
        with web.server.hooked(busy), pytest.raises(BackendUnavailable):
            await web.view.read_bytes("f")
        assert len(web.server.requests) == 4
        web.server.forget()
        long = Answer(status, headers={"Retry-After": "3600"})
        with web.server.hooked(instead(long)), pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1"):
            await web.view.read_bytes("f")
        assert len(web.server.requests) == 1


async def test_ping_needs_an_answer_and_no_page(web: Place) -> None:
    for status in (200, 403, 404, 405):
        with web.server.hooked(instead(Answer(status))):
            await web.view.ping()
    for status, error in ((401, PermissionDenied), (503, BackendUnavailable)):
        with web.server.hooked(instead(Answer(status))), pytest.raises(error):
            await web.view.ping()


async def test_pythons_own_server(tmp_path: Path) -> None:
    for key in ODD:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(key.encode())
    with plain_server(tmp_path) as url:
        async with web_view("async", url, index=True) as view:
            assert {str(info.path) async for info in view.list_files("", recursive=True)} == set(ODD)
            for key in ODD:
                assert await view.read_bytes(key) == key.encode()
                assert await view.read_range(key, 1, 2) == key.encode()[1:2]


async def test_capabilities_are_those_of_the_instance(web_server: FileServer) -> None:
    for index in (False, True):
        async with web_view("async", web_server.endpoint, index=index) as view:
            assert view.supports(Capability.LIST) is view.supports(Capability.GLOB) is index
            assert not view.supports(Capability.WRITE)
