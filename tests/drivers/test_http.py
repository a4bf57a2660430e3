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
from servers.double_answers import Answer
from servers.double_faults import instead, when
from servers.files import BEHAVIOURS, FileServer, plain_server

from remote_store import (
    Capability,
    CapabilityNotSupported,
    InvalidPath,
    NotFound,
    PreconditionFailed,
)
from remote_store._models import UNKNOWN_TIME

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
        assert web.server.asked[0].headers["Accept-Encoding"] == "identity"
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


@pytest.mark.parametrize("time", ["Fri, 31 Dec 9999 23:59:59 -2300", "yesterday"])
async def test_a_time_that_cannot_be_is_unknown(web: Place, time: str) -> None:
    with web.server.hooked(instead(Answer(200, b"0123", {"Last-Modified": time}))):
        assert (await web.view.get_file_info("f")).modified_at == UNKNOWN_TIME


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
