"""FTP: what holds on servers, and for users, that may do less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers.ftp import ftp_backend, serve

from remote_store import Capability, NotFound, Store


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
