"""FTP: what holds on servers, and for users, that may do less."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from ftplib import FTP, error_perm, error_temp
from pathlib import Path

import pytest
from fsspec.implementations.ftp import FTPFileSystem
from servers.ftp import ftp_backend, serve

from remote_store import BackendUnavailable, Capability, FsspecBackend, NotFound, PermissionDenied, StorageFull, Store


@contextmanager
def served(folder: Path, **how: object) -> Iterator[tuple[Store, Path]]:
    with serve(str(folder), **how) as address, Store(ftp_backend(*address)) as store:  # type: ignore[arg-type]
        (root,) = folder.iterdir()
        yield store, root


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", [{"rights": "elradmwMT"}, {"replaces": False}], ids=["never", "onto nothing"])
def test_where_the_server_does_not_rename_content_is_sent_to_its_name(tmp_path: Path, how: dict[str, object]) -> None:
    with served(tmp_path, **how) as (store, root):
        for content in (b"1", b"2", [b"3", b"4" * (9 << 20)]):
            store.write("d/f", content, overwrite=True)
        store.copy("d/f", "g")
        store.write("g", b"5", overwrite=True)
        store.move("g", "d/f", overwrite=True)
        store.move("d/f", "e/h")
        assert files(root) == {"e/h": b"5"}
        with pytest.raises(NotFound):
            store.move("d/f", "i")


def test_a_link_moved_over_its_target_leaves_the_content(tmp_path: Path) -> None:
    with served(tmp_path) as (store, root):
        store.write("f", b"content")
        (root / "link").symlink_to("f")
        store.move("link", "f", overwrite=True)
        assert files(root) == {"f": b"content"}


def test_a_write_is_published_by_a_rename_and_a_move_is_one(tmp_path: Path) -> None:
    with served(tmp_path) as (store, root):
        store.write("f", b"1")
        before = (root / "f").stat().st_ino
        store.write("f", b"2", overwrite=True)
        assert (root / "f").stat().st_ino != before
        inode = (root / "f").stat().st_ino
        store.move("f", "d/g")
        assert (root / "d/g").stat().st_ino == inode
        assert not store.supports(Capability.ATOMIC_WRITE)
        assert not store.supports(Capability.EXCLUSIVE_CREATE)


def test_content_that_the_server_says_is_not_all_is_no_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as (store, _):
        store.write("f", b"0123456789")
        ftp = store.unwrap(FTPFileSystem).ftp
        told, voidresp = [], ftp.voidresp

        def aborted() -> None:
            told.append("426")
            voidresp()
            raise error_temp("426 Connection closed; transfer aborted.")

        receiving = ftp.transfercmd

        def transfer(command: str, rest: object = None) -> object:
            monkeypatch.setattr(ftp, "voidresp", aborted if command.startswith("RETR") else voidresp)
            return receiving(command, rest)

        monkeypatch.setattr(ftp, "transfercmd", transfer)
        assert store.read_range("f", 2, 5) == b"234"  # The client itself hangs up.
        assert len(told) == 1
        with pytest.raises(BackendUnavailable):
            store.read_bytes("f")


def test_a_full_server_keeps_the_old_file_and_no_part_of_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path) as (store, root):
        store.write("f", b"old content")
        ftp = store.unwrap(FTPFileSystem).ftp
        sending = ftp.storbinary

        def cut(command: str, file: object, *arguments: object, **options: object) -> None:
            sending(command, io.BytesIO(b"part"), *arguments, **options)
            raise error_perm("552 Disc quota exceeded")

        monkeypatch.setattr(ftp, "storbinary", cut)
        for attempt in (
            lambda: store.write("f", b"new" * 100, overwrite=True),
            lambda: store.write("new", b"new" * 100),
            lambda: store.copy("f", "copied"),
        ):
            with pytest.raises(StorageFull):
                attempt()
        assert files(root) == {"f": b"old content"}


@pytest.mark.parametrize("root", ["/", ""])
def test_a_server_that_cannot_list_now_is_unavailable_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    with served(tmp_path) as (store, _):
        whole = Store(FsspecBackend(store.unwrap(FTPFileSystem), root))
        whole.write("f", b"1", overwrite=True)

        def refuse(*arguments: object) -> None:
            raise error_temp("421 Too many connections.")

        monkeypatch.setattr(FTP, "mlsd", refuse)
        for attempt in (lambda: list(whole.list_files("")), lambda: whole.exists("f"), lambda: whole.read_bytes("f")):
            with pytest.raises(BackendUnavailable):
                attempt()


def test_long_files_are_streamed_and_ranges_are_taken_from_any_place(tmp_path: Path) -> None:
    with served(tmp_path) as (store, _):
        content = bytes(range(256)) * 40_000
        store.write("f", content)
        with store.read("f") as stream:
            assert stream.read(10) == content[:10]
            assert store.exists("f")  # While it is open.
            assert stream.seek(5_000_000) == 5_000_000
            assert stream.read() == content[5_000_000:]
        assert store.read("f", start=9_000_000, end=9_000_100).read() == content[9_000_000:9_000_100]
        assert store.read_range("f", len(content), len(content) + 5) == b""


def test_a_file_that_may_not_be_read_is_denied_not_missing(tmp_path: Path) -> None:
    with served(tmp_path, rights="eladfmwMT") as (store, _):
        store.write("f", b"1")
        with pytest.raises(PermissionDenied):
            store.read_bytes("f")
