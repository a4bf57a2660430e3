"""WebDAV, over wsgidav, and over answers of servers of other minds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.publishing import Place, place_of
from servers.proxy import Fault
from servers.webdav import PASSWORD, DavServer

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    FsspecBackend,
    NotFound,
    PermissionDenied,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
    Store,
)

httpx = pytest.importorskip("httpx")
webdav4 = pytest.importorskip("webdav4.fsspec")

FOLDER = (
    '<multistatus xmlns="DAV:"><response><href>{}/</href><propstat><prop><resourcetype><collection/></resourcetype>'
    "</prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
)
FILE = (
    '<multistatus xmlns="DAV:"><response><href>{}</href><propstat><prop><resourcetype/><getcontentlength>10'
    "</getcontentlength><getetag>W/&quot;weak&quot;</getetag></prop><status>HTTP/1.1 200 OK</status></propstat>"
    "</response></multistatus>"
)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of("webdav", request, tmp_path) as found:
        yield found


def answering(answer: Callable[[Any], Any], url: str = "http://files.example/dav", **options: Any) -> Store:
    """A store whose requests a function answers."""
    transport = httpx.MockTransport(answer)
    fs = webdav4.WebdavFileSystem(url, transport=transport, retry=False, skip_instance_cache=True, **options)
    return Store(FsspecBackend(fs, "root"))


def served(method: str, status: int, body: str = "") -> Callable[[Any], Any]:
    """A server with a file `f` and folders, that answers one method otherwise."""

    def answer(request: Any) -> Any:
        path = request.url.path
        if request.method == method:
            return httpx.Response(status, text=body)
        if request.method == "PROPFIND" and path.rpartition("/")[2].startswith("new"):
            return httpx.Response(404)
        if request.method == "PROPFIND":
            return httpx.Response(207, text=(FILE if path.endswith("/f") else FOLDER).format(path.rstrip("/")))
        return httpx.Response(201 if request.method in ("PUT", "MOVE", "COPY", "MKCOL") else 200)

    return answer


# --- answers


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, PermissionDenied),
        (403, PermissionDenied),
        (423, ResourceLocked),
        (429, BackendUnavailable),
        (500, BackendUnavailable),
        (503, BackendUnavailable),
        (507, StorageFull),
    ],
)
def test_what_the_server_answers_is_told(status: int, error: type[RemoteStoreError]) -> None:
    for method, attempt in (
        ("PROPFIND", lambda s: s.exists("f")),
        ("GET", lambda s: s.read_bytes("f")),
        ("PUT", lambda s: s.write("new", b"1")),
        ("MOVE", lambda s: s.write("new", b"1")),
        ("MOVE", lambda s: s.move("f", "new")),
        ("COPY", lambda s: s.copy("f", "new")),
        ("DELETE", lambda s: s.delete("f")),
    ):
        with pytest.raises(error) as caught:
            attempt(answering(served(method, status)))
        assert type(caught.value) is error, method
        assert caught.value.path in ("f", "new")
        assert "files.example" in str(caught.value) or status in (423,)


def test_a_conflict_that_the_server_finds_is_told() -> None:
    store = answering(served("MOVE", 412))
    with pytest.raises(AlreadyExists) as caught:
        store.write("new", b"1")
    assert caught.value.path == "new"
    with pytest.raises(AlreadyExists):
        store.move("f", "new")


@pytest.mark.parametrize("body", ["<html>Welcome</html>", "no markup", '<multistatus xmlns="DAV:"/>'])
@pytest.mark.parametrize("status", [200, 207])
def test_what_does_not_answer_like_webdav_is_unavailable(status: int, body: str) -> None:
    store = answering(served("PROPFIND", status, body))
    for attempt in (lambda: store.exists("f"), lambda: list(store.list_files("")), store.ping):
        with pytest.raises(BackendUnavailable, match=r"What answers at files\.example:80 is no WebDAV server"):
            attempt()


def test_a_folder_of_which_a_part_stays_is_not_deleted() -> None:
    locked = (
        '<multistatus xmlns="DAV:"><response><href>/dav/root/d/x</href><status>HTTP/1.1 423 Locked</status></response>'
        "</multistatus>"
    )
    with pytest.raises(ResourceLocked):
        answering(served("DELETE", 207, locked)).delete_folder("d", recursive=True)


def test_a_server_that_ignores_ranges_gives_the_right_bytes() -> None:
    store = answering(served("GET", 200, "0123456789"))
    assert store.read_range("f", 3, 6) == b"345"
    assert store.read("f", start=7).read() == b"789"
    assert store.read_range("f", 12, 15) == b""


def test_another_range_than_was_asked_for_is_cut_or_refused() -> None:
    def early(request: Any) -> Any:
        if request.method == "GET":
            return httpx.Response(206, text="0123", headers={"Content-Range": f"bytes {first}-{first + 3}/10"})
        return served("OPTIONS", 200)(request)

    first = 0
    assert answering(early).read_range("f", 2, 4) == b"23"
    first = 5
    with pytest.raises(RemoteStoreError):
        answering(early).read_range("f", 2, 4)


def test_redirects_lead_to_no_other_server_and_keep_the_method() -> None:
    asked = list[Any]()

    def leading(request: Any) -> Any:
        asked.append(request)
        if request.url.path.endswith("/f"):
            return httpx.Response(302, headers={"Location": target})
        return served("OPTIONS", 200)(httpx.Request(request.method, "http://files.example/dav/root/f"))

    target = "http://elsewhere.example/dav/root/g"
    store = answering(leading, headers={"X-Token": "tok3n"})
    for question in (store.exists, store.read_bytes):
        with pytest.raises(BackendUnavailable):
            question("f")
    assert {request.url.host for request in asked} == {"files.example"}
    target = "/dav/root/g"
    assert store.exists("f")
    assert asked[-1].method == "PROPFIND"
    assert asked[-1].headers["X-Token"] == "tok3n"


def test_a_weak_etag_is_none() -> None:
    info = answering(served("GET", 200)).get_file_info("f")
    assert (info.size, info.etag) == (10, None)


def test_content_that_ends_early_is_no_content(place: Place) -> None:
    place.store.write("f", b"x" * (8 << 20))
    place.proxy.arm(Fault("reset", "response", after=1 << 20))
    with pytest.raises(BackendUnavailable, match="the connection was lost"):
        place.store.read_bytes("f")


# --- secrets


def test_credentials_are_in_no_text(dav_server: DavServer) -> None:
    fs = webdav4.WebdavFileSystem(dav_server.endpoint, auth=("user", "wr0ng-s3cret"), skip_instance_cache=True)
    store = Store(FsspecBackend(fs))
    with pytest.raises(PermissionDenied, match=r"127\.0\.0\.1") as caught:
        store.read_bytes("f")
    told = [str(caught.value), repr(caught.value), repr(caught.value.__cause__), str(caught.value.__cause__)]
    fs.client.http.close()
    assert not any("s3cret" in text for text in told)


def test_credentials_of_the_url_are_sent_as_such_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        seen.append(request)
        return served("", 0)(request)

    store = answering(answer, f"http://me:{PASSWORD}@files.example/dav")
    store.write("new", b"1")
    (moved,) = (request for request in seen if request.method == "MOVE")
    assert moved.headers["destination"] == "http://files.example/dav/root/new"
    assert moved.headers["overwrite"] == "F"
    assert all("authorization" in request.headers for request in seen)
    with pytest.raises(PermissionDenied) as caught:
        answering(served("PROPFIND", 403), f"http://me:{PASSWORD}@files.example/dav").exists("f")
    told = [str(caught.value), repr(caught.value), str(caught.value.__cause__), repr(store), str(store.resolve("f"))]
    told.append(caplog.text)
    assert "files.example" in caplog.text
    assert not any(PASSWORD in text for text in told)


# --- what is asked


def test_every_character_of_a_key_is_quoted_once(place: Place) -> None:
    names = ["a?b", "#x", "50%", "50%25", "a b", "ü+é", "a;b", "a&b=c", "%2F", "new\nline"]
    for name in names:
        place.store.write(name, name.encode())
        place.store.write(name, name.encode(), overwrite=True)
    assert place.files == {name: name.encode() for name in names}
    assert sorted(str(info.path) for info in place.store.list_files("")) == sorted(names)
    for name in names:
        place.store.move(name, f"d/{name}")
        place.store.copy(f"d/{name}", f"e/{name}")
        place.store.delete(f"d/{name}")
    assert place.files == {f"e/{name}": name.encode() for name in names}


def test_calls_take_few_requests(place: Place) -> None:
    store, asked = place.store, list[str]()
    hooks = store.unwrap(webdav4.WebdavFileSystem).client.http.event_hooks
    hooks["request"] = [lambda request: asked.append(request.method)]
    store.unwrap(webdav4.WebdavFileSystem).client.http.event_hooks = hooks

    def methods(attempt: Callable[[], object]) -> str:
        asked.clear()
        attempt()
        return " ".join(asked).replace("PROPFIND", "?")

    assert methods(lambda: store.write("f", b"1")) == "? PUT MOVE"
    assert methods(lambda: store.write("d/e/f", b"1")) == "? ? ? PUT ? MKCOL MKCOL MKCOL PUT MOVE"
    assert methods(lambda: store.write("d/e/g", b"1")) == "? ? PUT MOVE"
    assert methods(lambda: store.write("f", b"2", overwrite=True)) == "? PUT MOVE"
    assert methods(lambda: store.read_bytes("f")) == "? GET"
    assert methods(lambda: store.read_range("f", 0, 1)) == "? GET"
    assert methods(lambda: store.read("f", start=1).read()) == "? GET"
    assert methods(lambda: store.exists("f")) == "?"
    assert methods(lambda: store.copy("f", "g")) == "? ? COPY MOVE"
    assert methods(lambda: store.move("g", "h")) == "? ? MOVE"
    assert methods(lambda: store.move("h", "f", overwrite=True)) == "? ? ? ? MOVE"
    assert methods(lambda: list(store.list_files("d", recursive=True))) == "? ?"
    assert methods(lambda: store.delete("f")) == "? DELETE"
    assert methods(lambda: store.delete_folder("d", recursive=True)) == "? DELETE"
    assert place.proxy.connections == 1


def test_a_reader_sees_the_old_content_the_new_or_nothing(place: Place, dav_server: DavServer) -> None:
    """A server deletes a file before it moves another to its name: so no write is promised to be atomic."""
    contents = [bytes([48 + number]) * 300_000 for number in range(8)]
    place.store.write("f", contents[0])
    assert not place.store.supports(Capability.ATOMIC_WRITE)
    done, seen = threading.Event(), list[bytes]()

    def read() -> None:
        with Store(FsspecBackend(dav_server.filesystem(), place.folder.name).adopt()) as reader:
            while not done.is_set():
                # wsgidav answers 500 where a file goes while it looks at it.
                with suppress(NotFound, BackendUnavailable):
                    seen.append(reader.read_bytes("f"))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for content in contents * 3:
            place.store.write("f", content, overwrite=True)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert set(seen) <= set(contents)
