"""The generic driver over filesystems that wrap others, cache, hide errors, or need closing."""

from __future__ import annotations

import http.server
import io
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.tar import TarFileSystem
from helpers.kinds import UnknownFileSystem, UnknownLooped, unknown_filesystem
from servers.ftp import PASSWORD, USER, serve

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    FsspecBackend,
    InvalidPath,
    NotFound,
    PermissionDenied,
    RemoteStoreError,
    ResourceLocked,
    Store,
)
from remote_store.aio import AsyncStore


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers with the status its path asks for; 200 has content."""

    def do_GET(self) -> None:
        status = int(self.path.rpartition("/")[2])
        self.send_response(status)
        body = b"content" if status == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def http_url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


REFUSALS = {401: PermissionDenied, 403: PermissionDenied, 423: ResourceLocked, 500: BackendUnavailable}


async def test_http_tells_a_refusal_and_an_outage_from_absence(http_url: str) -> None:
    async with AsyncStore.from_url(http_url, retries=0) as store:
        assert await store.read_bytes("200") == b"content"
        assert not await store.exists("404")
        for status, error in REFUSALS.items():
            for question in (store.exists, store.read_bytes, store.get_file_info):
                with pytest.raises(error):
                    await question(str(status))
        assert not store.supports(Capability.WRITE)
        assert not store.supports(Capability.LIST)


def test_a_sync_store_over_http_tells_them_too(http_url: str) -> None:
    with Store.from_url(http_url, retries=0) as store:
        assert store.read_bytes("200") == b"content"
        assert not store.exists("404")
        for status, error in REFUSALS.items():
            with pytest.raises(error):
                store.exists(str(status))
    assert store.read_bytes("200") == b"content"
    store.close()
    with Store.from_url("http://127.0.0.1:9", retries=0) as nowhere, pytest.raises(BackendUnavailable):
        nowhere.exists("x")


class Remembering(MemoryFileSystem):
    """A filesystem that believes its own listings until told otherwise."""

    protocol = "remembering"
    cachable = False

    def __init__(self, tree: dict[str, Any]) -> None:
        super().__init__()
        self.store, self.pseudo_dirs = tree, [""]
        self.known: dict[str, Any] = {}

    def invalidate_cache(self, path: str | None = None) -> None:
        self.known.clear()

    def info(self, path: str, **options: Any) -> Any:
        if path not in self.known:
            try:
                self.known[path] = super().info(path, **options)
            except FileNotFoundError:
                self.known[path] = None
        if self.known[path] is None:
            raise FileNotFoundError(path)
        return self.known[path]


@pytest.mark.parametrize(
    "wrap", [lambda fs: fs, AsyncFileSystemWrapper, UnknownLooped, lambda fs: UnknownFileSystem("/", fs)]
)
def test_no_layer_hides_what_another_process_wrote(wrap: Any) -> None:
    tree: dict[str, Any] = {}
    store, other = Store(FsspecBackend(wrap(Remembering(tree)))), Store(FsspecBackend(Remembering(tree)))
    assert not store.exists("theirs")
    other.write("theirs", b"precious")
    with pytest.raises(AlreadyExists):
        store.write("theirs", b"mine")
    assert store.read_bytes("theirs") == b"precious"


def test_a_wrapper_can_do_no_more_than_what_it_wraps(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("d/f")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"123"))
    store = Store(FsspecBackend(DirFileSystem("d", TarFileSystem(str(tmp_path / "x.tar")))))
    assert store.read_bytes("f") == b"123"
    for capability in (Capability.WRITE, Capability.DELETE, Capability.MOVE, Capability.COPY):
        assert not store.supports(capability)


def test_closing_a_store_finishes_the_archive_that_its_url_opened(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with Store.from_url(f"zip://::file://{path}", zip={"mode": "w"}) as store:
        assert not store.supports(Capability.READ)
        store.write("a/b", b"1")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("a/b") == b"1"
    with Store.from_url(f"zip://::file://{path}") as store:
        assert store.read_bytes("a/b") == b"1"
    assert store.read_bytes("a/b") == b"1"
    store.close()


def test_closing_a_store_leaves_a_filesystem_of_the_caller_alone(tmp_path: Path) -> None:
    fs = fsspec.filesystem("zip", fo=str(tmp_path / "x.zip"), mode="w", skip_instance_cache=True)
    with Store(FsspecBackend(fs)) as store:
        store.write("a", b"1")
    fs.pipe_file("b", b"2")
    fs.close()
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert sorted(archive.namelist()) == ["a", "b"]


def test_folders_are_deleted_below_any_root(ftp_server: tuple[str, int]) -> None:
    fs = FTPFileSystem(*ftp_server, username=USER, password=PASSWORD, skip_instance_cache=True)
    store = Store(FsspecBackend(fs))
    for key in ("top-t/u/v", "top-t/w"):
        store.write(key, b"1", overwrite=True)
    store.delete_folder("top-t", recursive=True)
    assert not store.exists("top-t")
    fs.ftp.close()


def test_a_lost_ftp_connection_is_told_and_made_again(tmp_path: Path) -> None:
    with serve(str(tmp_path)) as (host, port):
        url = f"ftp://{host}:{port}"
        with Store.from_url(url, username=USER, password=PASSWORD) as store:
            store.write("f", b"1")
            store.unwrap(FTPFileSystem).ftp.sock.shutdown(socket.SHUT_RDWR)
            with pytest.raises(RemoteStoreError):
                store.read_bytes("f")
            assert store.read_bytes("f") == b"1"


def test_closing_an_ftp_store_closes_its_connection_which_the_next_call_makes_again(
    ftp_server: tuple[str, int],
) -> None:
    host, port = ftp_server
    store = Store.from_url(f"ftp://{host}:{port}/closed", username=USER, password=PASSWORD)
    with store:
        store.write("f", b"1", overwrite=True)
        connection = store.unwrap(FTPFileSystem).ftp.sock
    assert connection.fileno() == -1
    with store:
        assert store.read_bytes("f") == b"1"


def test_a_folder_that_somebody_else_makes_first_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = unknown_filesystem()
    store = Store(FsspecBackend(fs))
    pipe, makedirs = fs.pipe_file, fs.makedirs
    failed: list[str] = []

    def pipe_once(path: str, value: bytes) -> None:
        if not failed:
            failed.append(path)
            raise OSError("no such folder")
        pipe(path, value)

    def too_late(path: str, exist_ok: bool = False) -> None:
        makedirs(path, exist_ok=True)
        raise OSError("exists")

    monkeypatch.setattr(fs, "pipe_file", pipe_once)
    monkeypatch.setattr(fs, "makedirs", too_late)
    store.write("d/f", b"1")
    assert store.read_bytes("d/f") == b"1"


def test_mistaken_urls_and_filesystems_are_told() -> None:
    for url in ("http:/x", "s3:/bucket", "C:\\data"):
        with pytest.raises(ValueError, match="malformed URL"):
            Store.from_url(url)
    with pytest.raises(TypeError, match="from_url"):
        FsspecBackend("memory")


def test_secrets_of_a_query_are_not_told() -> None:
    store = Store(FsspecBackend(unknown_filesystem(), "http://host/base?X-Amz-Signature=s3cret"))
    assert "s3cret" not in repr(store._backend) + repr(store.resolve("a"))
    with pytest.raises(InvalidPath) as caught:
        Store.from_url("memory://x").to_key("http://u:s3cret@h/y")
    assert "s3cret" not in str(caught.value)


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    from remote_store.backends import LocalBackend

    store = Store(LocalBackend(tmp_path / "gone", create=False))
    with pytest.raises(NotFound, match="Root folder"):
        store.write("a/b", b"1")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidPath, match="is not a folder"):
        LocalBackend(tmp_path / "file")
