"""Local folder trees: listed and deleted by descriptor, whatever their depth and whatever others do meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.folders import descriptors, limit_descriptors, make_deep, on_disk, once
from helpers.processes import Fork
from helpers.races import shared_deletions, swapped_links, writers_and_deleters

from remote_store import (
    AlreadyExists,
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    RemoteStoreError,
    Store,
)
from remote_store.backends import LocalBackend

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at descriptors through /proc")
TEMP = ".~rs-"
DEEP = ["d" * 200] * 30
"""Names of folders that make a path longer than any system call takes."""
KEY = "/".join(["t", *DEEP, "f"])


def after_reading(folder: str, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody do something right after a folder of this name was read for the first time."""
    real, act = os.scandir, once(act)

    class Scan:
        def __init__(self, where: Any) -> None:
            with real(where) as entries:
                self._entries = list(entries)
            path = os.readlink(f"/proc/self/fd/{where}") if isinstance(where, int) else str(where)
            if os.path.basename(path) == folder:
                act()

        def __enter__(self) -> Iterator[Any]:
            return iter(self._entries)

        def __exit__(self, *exc_info: object) -> None:
            """Nothing is open."""

    monkeypatch.setattr(os, "scandir", Scan)


def swap(folder: Path, target: Path, away: Path) -> None:
    """Put a link in the place of a folder."""
    folder.rename(away)
    folder.symlink_to(target)


# --- depth


@pytest.fixture
def deep(store: Store, root: Path) -> Iterator[Store]:
    (root / "t").mkdir()
    make_deep(root / "t", DEEP, b"deep")
    yield store
    store.delete_folder("t", recursive=True, missing_ok=True)


def test_a_tree_deeper_than_any_path_is_listed(deep: Store) -> None:
    (info,) = deep.list_files(recursive=True)
    assert (str(info.path), info.size) == (KEY, 4)
    assert [str(info.path) for info in deep.list_files("t", recursive=True)] == [KEY]
    assert [str(info.path) for info in deep.list_files(KEY[:-2])] == [KEY]
    assert [str(info.path) for info in deep.glob("t/**/f")] == [KEY]
    assert len(list(deep.list_folders(max_depth=99))) == 31
    folder = deep.get_folder_info("t")
    assert (folder.file_count, folder.total_size) == (1, 4)


def test_what_a_listing_of_a_deep_tree_gives_can_be_fed_back(deep: Store) -> None:
    assert deep.exists(KEY)
    assert deep.is_file(KEY)
    assert deep.is_folder(KEY[:-2])
    assert deep.read_bytes(KEY) == b"deep"
    with deep.read(KEY) as stream:
        assert stream.read() == b"deep"
    assert deep.get_file_info(KEY).size == 4
    assert not deep.exists(KEY + "x")
    assert not deep.exists(KEY + "/x")
    with pytest.raises(NotFound):
        deep.read_bytes(KEY + "x")
    with pytest.raises(InvalidPath, match="exists as a directory"):
        deep.read_bytes(KEY[:-2])


def test_files_of_a_deep_tree_are_written_moved_and_deleted(deep: Store) -> None:
    below = KEY + "older/new"
    with pytest.raises(AlreadyExists):
        deep.write(KEY, b"x")
    with pytest.raises(InvalidPath, match="too long"):
        deep.write(KEY + "x" * 255, b"x")
    deep.write(below, b"1")
    deep.write(below, b"22", overwrite=True)
    assert deep.read_bytes(below) == b"22"
    deep.copy(below, "copied")
    deep.move(below, "moved")
    deep.move("moved", KEY, overwrite=True)
    assert deep.read_bytes(KEY) == deep.read_bytes("copied") == b"22"
    assert not deep.exists(below)
    deep.delete(KEY)
    deep.delete_folder(KEY + "older")
    assert list(deep.list_files("t", recursive=True)) == []


def test_no_link_is_followed_where_the_path_is_too_long(deep: Store, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    deep.write("inside", b"1")
    fd = os.open(root / "t", os.O_PATH)
    for name in DEEP:
        below = os.open(name, os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd = below
    os.symlink(tmp_path / "secret", "out", dir_fd=fd)
    os.symlink(root / "inside", "in", dir_fd=fd)
    os.close(fd)
    for name in ("out", "in"):
        key = KEY[:-1] + name
        assert not deep.exists(key)
        for read in (deep.read_bytes, deep.get_file_info):
            with pytest.raises(InvalidPath):
                read(key)
    assert "out" not in {entry.name for entry in deep.list_files(KEY[:-2])}


@pytest.mark.parametrize("missing_ok", [False, True])
def test_a_tree_deeper_than_any_path_is_deleted(store: Store, root: Path, missing_ok: bool) -> None:
    (root / "t").mkdir()
    make_deep(root / "t", DEEP, b"deep")
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("t")
    before = descriptors()
    store.delete_folder("t", recursive=True, missing_ok=missing_ok)
    assert on_disk(root) == []
    assert descriptors() == before


def test_depth_takes_no_descriptors(store: Store, root: Path) -> None:
    def work() -> int:
        limit_descriptors(descriptors() + 12)
        store.write("a/" * 1000 + "f", b"1")
        store.write("a/" * 500 + "g", b"1")
        assert len(list(store.list_files(recursive=True))) == 2
        store.delete_folder("a", recursive=True)
        return 0

    with Fork(work) as child:
        assert child.result() == 0
    assert on_disk(root) == []


def test_wide_and_deep_trees_are_listed_whole_and_deleted(store: Store, root: Path) -> None:
    keys = set()
    for width in range(3):
        folder = ""
        for depth in range(9):
            folder += f"{width}{depth}/"
            for key in (f"{folder}f", f"{folder}side/g", f"{folder}side/deeper/h"):
                store.write(key, b"1")
                keys.add(key)
    before = descriptors()
    assert {str(info.path) for info in store.list_files(recursive=True)} == keys
    assert {str(info.path) for info in store.list_files(recursive=True, max_depth=3)} == {
        key for key in keys if key.count("/") <= 3
    }
    listing = store.list_files(recursive=True)
    next(listing)
    listing.close()  # type: ignore[attr-defined]
    assert descriptors() == before
    for width in range(3):
        store.delete_folder(f"{width}0", recursive=True)
    assert on_disk(root) == []
    assert descriptors() == before


# --- links that others put in the place of folders


def test_deleting_enters_no_link_whichever_folder_was_swapped(
    store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("jail/top/mid/sub/f", b"1")
    store.write("other/sub/precious", b"precious")
    after_reading("mid", lambda: swap(root / "jail/top/mid", root / "other", tmp_path / "away"), monkeypatch)
    store.delete_folder("jail/top", recursive=True)
    monkeypatch.undo()
    assert on_disk(root) == ["jail", "other", "other/sub", "other/sub/precious"]
    assert store.read_bytes("other/sub/precious") == b"precious"


def test_listing_enters_no_link_whichever_folder_was_swapped(
    store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("jail/top/mid/sub/f", b"1")
    store.write("other/sub/precious", b"precious")
    after_reading("mid", lambda: swap(root / "jail/top/mid", root / "other", tmp_path / "away"), monkeypatch)
    names = {entry.name for entry in store.list_files("jail/top", recursive=True)}
    assert names <= {"f"}


def test_a_folder_swapped_for_a_link_before_it_is_entered_goes_with_the_tree(
    store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("keep/f", b"precious")
    store.write("d/e/f", b"1")
    after_reading("d", lambda: swap(root / "d/e", root / "keep", tmp_path / "away"), monkeypatch)
    store.delete_folder("d", recursive=True)
    assert on_disk(root) == ["keep", "keep/f"]
    assert store.read_bytes("keep/f") == b"precious"


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_that_became_a_link_while_it_was_deleted_is_told(
    store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recursive: bool
) -> None:
    store.write("keep/f", b"precious")
    (root / "d").mkdir()
    real = os.rmdir
    act = once(lambda: swap(root / "d", root / "keep", tmp_path / "away"))

    def rmdir(name: str, **options: Any) -> None:
        act()
        real(name, **options)

    monkeypatch.setattr(os, "rmdir", rmdir)
    with pytest.raises(DirectoryNotEmpty, match="others write there"):
        store.delete_folder("d", recursive=recursive, missing_ok=True)
    assert (root / "d").is_symlink()
    assert on_disk(root / "keep") == ["f"]


def test_a_folder_moved_away_while_the_walk_is_below_is_gone(
    store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = "/".join("abcdefgh")
    store.write(f"{deep}/f", b"1")
    for folder in ("a/z", "a/b/z", "a/b/c/z"):
        store.write(f"{folder}/g", b"1")
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "not_ours").write_bytes(b"1")
    with monkeypatch.context() as patch:
        after_reading("h", lambda: (root / "a/b/c").rename(tmp_path / "c"), patch)
        names = {str(info.path) for info in store.list_files(recursive=True)}
    assert {"a/z/g", "a/b/z/g"} <= names
    assert not [name for name in names if "not_ours" in name]
    (tmp_path / "c").rename(root / "a/b/c")
    with monkeypatch.context() as patch:
        after_reading("h", lambda: (root / "a/b/c").rename(tmp_path / "c"), patch)
        store.delete_folder("a", recursive=True)
    assert on_disk(root) == []
    assert (tmp_path / "z" / "not_ours").exists()


# --- others who write or delete in the same place


@pytest.mark.parametrize("missing_ok", [False, True])
def test_what_others_delete_meanwhile_is_as_good_as_deleted(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch, missing_ok: bool
) -> None:
    for number in range(5):
        store.write(f"d/e/{number}", b"1")
    store.write("d/f/g", b"1")

    def delete() -> None:
        (root / "d/e/3").unlink()
        (root / "d/f/g").unlink()
        (root / "d/f").rmdir()

    after_reading("e", delete, monkeypatch)
    store.delete_folder("d", recursive=True, missing_ok=missing_ok)
    assert on_disk(root) == []


def test_a_folder_that_others_deleted_whole_is_deleted(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("d/e/f", b"1")

    def delete() -> None:
        (root / "d/e/f").unlink()
        (root / "d/e").rmdir()
        (root / "d").rmdir()

    after_reading("e", delete, monkeypatch)
    store.delete_folder("d", recursive=True)
    assert on_disk(root) == []


def test_what_others_add_meanwhile_is_deleted_too(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("d/e/f", b"1")
    after_reading("e", lambda: store.write("d/e/g/h", b"1"), monkeypatch)
    store.delete_folder("d", recursive=True)
    assert on_disk(root) == []


def test_others_who_never_stop_writing_are_told_of(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("d/f", b"1")
    real = os.rmdir

    def rmdir(name: str, **options: Any) -> None:
        (root / "d" / "again").write_bytes(b"1")
        real(name, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", rmdir)
        with pytest.raises(DirectoryNotEmpty, match="not empty: others write there") as caught:
            store.delete_folder("d", recursive=True, missing_ok=True)
    assert caught.value.path == "d"
    assert "recursive=True" not in str(caught.value)
    store.delete_folder("d", recursive=True)
    assert on_disk(root) == []


def test_temporaries_that_their_writers_remove_meanwhile_keep_no_folder(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "d").mkdir()
    temp = root / "d" / f"{TEMP}0011"
    temp.write_bytes(b"")
    after_reading("d", temp.unlink, monkeypatch)
    store.delete_folder("d", missing_ok=True)
    assert on_disk(root) == []


def test_a_folder_with_a_reserved_name_is_content(store: Store, root: Path) -> None:
    (root / "d" / f"{TEMP}x").mkdir(parents=True)
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("d")
    store.delete_folder("d", recursive=True)
    assert on_disk(root) == []


@pytest.mark.parametrize("race", [swapped_links, shared_deletions, writers_and_deleters])
def test_races_over_folders_harm_nobody(race: Callable[[Path, int], list[str]], root: Path) -> None:
    assert race(root, 8 if race is not writers_and_deleters else 1) == []


# --- the root


def test_nothing_is_told_of_what_took_the_place_of_the_root(store: Store, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (outside / "folder").mkdir()
    store.write("mine", b"1")
    assert store.is_file("mine")
    root.rename(tmp_path / "away")
    for place in (root, tmp_path):
        if place is root:
            root.symlink_to(outside)
        for name in ("secret", "folder", "missing", "mine"):
            assert not store.exists(name)
            assert not store.is_file(name)
            assert not store.is_folder(name)
            for ask in (store.get_file_info, store.head, store.read_bytes):
                with pytest.raises((InvalidPath, NotFound)):
                    ask(name)
        assert list(store.iter_children()) == []
    root.unlink()
    (tmp_path / "away").rename(root)
    assert store.is_file("mine")


def test_a_root_that_was_replaced_by_a_folder_is_looked_at_anew(store: Store, root: Path, tmp_path: Path) -> None:
    store.write("f", b"1")
    assert store.get_file_info("f").size == 1
    root.rename(tmp_path / "away")
    root.mkdir()
    assert not store.exists("f")
    (root / "f").write_bytes(b"new")
    assert store.get_file_info("f").size == 3


def test_a_root_whose_parent_became_a_link_is_not_answered_for(tmp_path: Path) -> None:
    (tmp_path / "above" / "root").mkdir(parents=True)
    (tmp_path / "outside" / "root").mkdir(parents=True)
    (tmp_path / "outside" / "root" / "secret").write_bytes(b"secret")
    store = Store(LocalBackend(tmp_path / "above" / "root"))
    assert not store.exists("secret")
    swap(tmp_path / "above", tmp_path / "outside", tmp_path / "away")
    assert not store.exists("secret")
    with pytest.raises(RemoteStoreError):
        store.get_file_info("secret")


# --- names


def test_a_name_longer_than_names_may_be_is_absent_to_reads_and_told_by_writes(store: Store, root: Path) -> None:
    store.write("f", b"1")
    name = "x" * 256
    for path in (name, f"d/{name}", f"{name}/f", f"f/{name}"):
        assert not store.exists(path)
        with pytest.raises(NotFound):
            store.read_bytes(path)
        with pytest.raises(NotFound):
            store.get_file_info(path)
        with pytest.raises(NotFound):
            store.delete(path)
        assert list(store.list_files(path)) == []
    for path in (name, f"d/{name}", f"{name}/f", "é" * 128):
        for attempt in (
            lambda p=path: store.write(p, b""),
            lambda p=path: store.copy("f", p),
            lambda p=path: store.move("f", p),
        ):
            with pytest.raises(InvalidPath, match="too long"):
                attempt()
    assert on_disk(root) == ["f"]
    store.write("x" * 255, b"1")
