"""Local files beyond the contract suite: links, special files, modes, temporaries, durability, fallbacks."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.folders import on_disk, refusing

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    PreconditionFailed,
    RemoteStoreError,
    Store,
)
from remote_store.backends import LocalBackend
from remote_store.drivers.local import system

TEMP = ".~rs-"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


# --- links


def test_links_inside_the_root_are_what_they_lead_to(store: Store, root: Path) -> None:
    store.write("d/f", b"1")
    (root / "file").symlink_to(root / "d" / "f")
    (root / "folder").symlink_to("d")
    assert store.read_bytes("file") == b"1"
    assert store.get_file_info("file").size == 1
    assert store.is_file("file")
    assert store.is_folder("folder")
    assert store.read_bytes("folder/f") == b"1"
    assert {e.name for e in store.list_folders()} == {"d", "folder"}
    assert [e.name for e in store.list_files()] == ["file"]
    assert [e.name for e in store.list_files("folder")] == ["f"]


def test_recursion_does_not_enter_linked_folders(store: Store, root: Path) -> None:
    store.write("d/f", b"1")
    (root / "d" / "loop").symlink_to(root)
    assert [str(e.path) for e in store.list_files(recursive=True)] == ["d/f"]
    assert sorted(str(e.path) for e in store.list_folders(max_depth=9)) == ["d", "d/loop"]
    store.delete_folder("d", recursive=True)
    assert root.exists()


def test_links_out_of_the_root_are_absent_to_listings_and_refused_to_reads(
    store: Store, root: Path, outside: Path
) -> None:
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "dangling").symlink_to("nowhere")
    (root / "relative").symlink_to("../outside/secret")
    assert list(store.iter_children()) == []
    for path in ("file", "folder", "dangling", "folder/secret", "relative"):
        assert not store.exists(path), path
    for path in ("file", "relative", "folder/secret"):
        for read in (store.read, store.read_bytes, store.read_seekable, store.get_file_info):
            with pytest.raises(InvalidPath, match="escapes root"):
                read(path)
    with pytest.raises(InvalidPath):
        store.read_bytes("dangling")
    with pytest.raises(InvalidPath):
        store.get_file_info("dangling")
    assert list(store.list_files("folder")) == []
    assert store.get_folder_info("").file_count == 0


def test_nothing_is_written_moved_or_deleted_through_a_link_out_of_the_root(
    store: Store, root: Path, outside: Path
) -> None:
    (root / "folder").symlink_to(outside)
    store.write("f", b"1")
    for attempt in (
        lambda: store.write("folder/new", b"x"),
        lambda: store.write("folder/deep/er/new", b"x"),
        lambda: store.write("folder/secret", b"x", overwrite=True),
        lambda: store.copy("f", "folder/new"),
        lambda: store.move("f", "folder/new"),
        lambda: store.delete("folder/secret"),
    ):
        with pytest.raises(InvalidPath, match="escapes root"):
            attempt()
    with pytest.raises(RemoteStoreError):
        store.delete_folder("folder/x", recursive=True)
    assert on_disk(outside) == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"
    assert store.read_bytes("f") == b"1"


def test_a_link_swapped_in_after_the_folder_was_known_does_not_lead_out(
    store: Store, root: Path, outside: Path
) -> None:
    store.write("d/secret", b"mine")
    assert store.exists("d/secret")
    (root / "d").rename(root / "moved")
    (root / "d").symlink_to(outside)
    assert not store.exists("d/secret")
    with pytest.raises(InvalidPath):
        store.get_file_info("d/secret")
    with pytest.raises(InvalidPath):
        store.read_bytes("d/secret")


def test_delete_removes_the_link_and_write_replaces_it(store: Store, root: Path, outside: Path) -> None:
    store.write("target", b"1")
    for name, target in (("inside", "target"), ("out", str(outside / "secret")), ("dangling", "nowhere")):
        (root / name).symlink_to(target)
        with pytest.raises(AlreadyExists):
            store.write(name, b"2")
        store.write(name, b"2", overwrite=True)
        assert not (root / name).is_symlink()
        store.delete(name)
        (root / name).symlink_to(target)
        store.delete(name)
        assert not (root / name).is_symlink()
    assert store.read_bytes("target") == b"1"
    assert (outside / "secret").read_bytes() == b"secret"


def test_deleting_a_linked_folder_removes_the_link_alone(store: Store, root: Path) -> None:
    store.write("d/f", b"1")
    (root / "link").symlink_to("d")
    with pytest.raises(InvalidPath):
        store.delete("link")
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("link")
    store.delete_folder("link", recursive=True)
    assert on_disk(root) == ["d", "d/f"]


def test_moving_a_link_moves_the_content(store: Store, root: Path) -> None:
    store.write("d/f", b"1")
    (root / "d" / "link").symlink_to("f")
    store.move("d/link", "elsewhere/g")
    assert store.read_bytes("elsewhere/g") == b"1"
    assert not (root / "elsewhere" / "g").is_symlink()
    assert on_disk(root) == ["d", "d/f", "elsewhere", "elsewhere/g"]


def test_writing_to_a_linked_folder_is_refused(store: Store, root: Path) -> None:
    store.write("d/f", b"1")
    (root / "link").symlink_to("d")
    for overwrite in (False, True):
        with pytest.raises(InvalidPath, match="exists as a directory"):
            store.write("link", b"x", overwrite=overwrite)


def test_moving_over_another_name_of_the_same_file_leaves_one(store: Store, root: Path) -> None:
    store.write("a", b"1")
    os.link(root / "a", root / "b")
    with pytest.raises(AlreadyExists):
        store.move("a", "b")
    store.move("a", "b", overwrite=True)
    assert on_disk(root) == ["b"]
    assert store.read_bytes("b") == b"1"


@pytest.mark.parametrize("links", [1, 2])
@pytest.mark.parametrize(("source", "target"), [("d/f", "link/f"), ("link/f", "d/f")])
def test_moving_a_file_onto_itself_through_a_linked_folder_keeps_it(
    store: Store, root: Path, source: str, target: str, links: int
) -> None:
    store.write("d/f", b"1")
    (root / "link").symlink_to("d")
    if links > 1:
        os.link(root / "d" / "f", root / "other")
    store.move(source, target, overwrite=True)
    assert store.read_bytes("d/f") == b"1"
    with pytest.raises(AlreadyExists):
        store.move(source, target)
    assert store.read_bytes("d/f") == b"1"


# --- files that are no files


def test_special_files_are_absent_and_never_block(store: Store, root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(root)  # A socket's path is limited to about 100 bytes.
        server.bind("socket")
        assert list(store.iter_children()) == []
        for name in ("fifo", "socket"):
            assert not store.exists(name)
            for read in (store.read, store.read_bytes, store.get_file_info):
                with pytest.raises(InvalidPath):
                    read(name)
            with pytest.raises(NotFound):
                store.copy(name, "x")
            for overwrite in (False, True):
                with pytest.raises(InvalidPath):
                    store.write(name, b"", overwrite=overwrite)
            store.write("file", b"1", overwrite=True)
            for work in (store.copy, store.move):
                with pytest.raises(InvalidPath):
                    work("file", name, overwrite=True)
        store.delete("fifo")
        store.delete("socket")
        store.write("socket", b"1")
    assert store.read_bytes("socket") == b"1"
    assert on_disk(root) == ["file", "socket"]


def test_a_listing_skips_what_no_path_can_spell_with_one_warning(store: Store, root: Path) -> None:
    (root / "d").mkdir()
    for name in ("a\\b", "c\\d", "fine"):
        (root / "d" / name).write_bytes(b"1")
    with pytest.warns(UserWarning, match="RemotePath can spell") as caught:
        assert [e.name for e in store.list_files("d")] == ["fine"]
    assert len(caught) == 1
    with pytest.raises(InvalidPath):
        store.to_key(str(root / "d" / "a\\b"))
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("d")
    store.delete_folder("d", recursive=True)
    assert on_disk(root) == []


def test_names_that_are_not_utf8_round_trip(store: Store, root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).write_bytes(b"1")
    (info,) = store.list_files()
    assert store.read_bytes(str(info.path)) == b"1"


def test_a_name_the_system_cannot_encode_is_an_invalid_path(store: Store) -> None:
    for attempt in (
        lambda: store.read_bytes("\ud800"),
        lambda: store.write("\ud800", b""),
        lambda: store.write("d/\ud800/x", b""),
        lambda: store.delete("\ud800"),
        lambda: store.get_file_info("\ud800"),
    ):
        with pytest.raises(InvalidPath):
            attempt()
    with pytest.raises(InvalidPath):
        store.exists("\ud800")


# --- temporaries


def test_temporaries_are_reserved_hidden_and_swept(store: Store, root: Path) -> None:
    store.write("d/f", b"1")
    (root / "d" / f"{TEMP}0011").write_bytes(b"left by a killed writer")
    assert [e.name for e in store.iter_children("d")] == ["f"]
    for path in (f"{TEMP}x", f"d/{TEMP}0011", f"{TEMP}d/f"):
        for attempt in (
            lambda p=path: store.write(p, b""),
            lambda p=path: store.read_bytes(p),
            lambda p=path: store.exists(p),
            lambda p=path: store.delete(p, missing_ok=True),
            lambda p=path: list(store.list_files(p)),
        ):
            with pytest.raises(InvalidPath, match="reserved"):
                attempt()
    store.write(f"d/x{TEMP}", b"")
    store.delete(f"d/x{TEMP}")
    store.delete("d/f")
    store.delete_folder("d")
    assert on_disk(root) == []


def test_a_link_can_be_moved_onto_what_it_leads_to(store: Store, root: Path) -> None:
    store.write("f", b"1")
    (root / "link").symlink_to("f")
    store.move("link", "f", overwrite=True)
    assert on_disk(root) == ["f"]
    assert store.read_bytes("f") == b"1"
    assert not (root / "f").is_symlink()


def test_a_link_that_others_replace_while_it_is_moved_is_kept(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("f", b"1")
    store.write("g", b"2")
    (root / "link").symlink_to("f")
    real = system.write_all

    def write_all(fd: int, data: bytes) -> None:
        real(fd, data)
        (root / "link").unlink()
        (root / "link").symlink_to("g")

    with monkeypatch.context() as patch:
        patch.setattr(system, "write_all", write_all)
        with pytest.raises(PreconditionFailed):
            store.move("link", "new")
    assert store.read_bytes("link") == b"2"


def test_no_temporary_is_seen_while_writing(store: Store, root: Path) -> None:
    with store.open_atomic("d/f") as file:
        file.write(b"x" * 1_000_000)
        file.flush()
        assert list(store.list_files(recursive=True)) == []
    assert on_disk(root) == ["d", "d/f"]


# --- durability


def test_durable_stores_wait_for_the_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def record(fd: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", record)
    store = Store(LocalBackend(root, durable=True))
    for act, expected in (
        (lambda: store.write("a/b/f", b"1"), ["folder", "folder", "file", "folder"]),
        (lambda: store.move("a/b/f", "a/b/g"), ["folder", "folder"]),
        (lambda: store.delete("a/b/g"), ["folder"]),
        (lambda: store.delete_folder("a", recursive=True), ["folder"]),
    ):
        synced.clear()
        act()
        assert synced == expected
    synced.clear()
    Store(LocalBackend(root)).write("f", b"1")
    assert synced == []


@pytest.mark.parametrize(("verb", "failing"), [("move", 1), ("move", 2), ("delete", 1), ("delete_folder", 1)])
def test_a_disk_that_fails_in_the_end_is_told_by_the_contract(
    root: Path, monkeypatch: pytest.MonkeyPatch, verb: str, failing: int
) -> None:
    store = Store(LocalBackend(root, durable=True))
    store.write("d/f", b"1")
    acts: dict[str, Callable[[], object]] = {
        "move": lambda: store.move("d/f", "g"),
        "delete": lambda: store.delete("d/f"),
        "delete_folder": lambda: store.delete_folder("d", recursive=True),
    }
    left = iter(range(failing, 0, -1))

    def fsync(fd: int) -> None:
        if next(left) == 1:
            raise OSError(errno.EIO, "no luck")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(BackendUnavailable) as caught:
            acts[verb]()
    assert caught.value.errno == errno.EIO
    assert on_disk(root) == {"move": ["d", "g"], "delete": ["d"], "delete_folder": []}[verb]


# --- file systems that can do less


POORER = {
    "no unnamed files": refusing(errno.EOPNOTSUPP, "open_unnamed"),
    "unnamed files that cannot be linked": refusing(errno.ENOENT, "link_open"),
    "no hard links": refusing(errno.EPERM, "open_unnamed", "link_open", "link"),
    "no renameat2": refusing(errno.EINVAL, "_renameat2"),
    "nothing": refusing(errno.ENOSYS, "open_unnamed", "link_open", "link", "_renameat2", "keep"),
}


@pytest.fixture(params=POORER, ids=lambda name: name.replace(" ", "-"))
def poorer(request: pytest.FixtureRequest, root: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    POORER[request.param](monkeypatch)
    return Store(LocalBackend(root))


def test_poorer_file_systems_keep_the_contract_they_declare(poorer: Store, root: Path) -> None:
    from remote_store.certify.checks import CHECKS
    from remote_store.certify.checks.absent import refuses_what_it_lacks
    from remote_store.certify.view import View
    from remote_store.engine.runners import run_to_end

    for index, check in enumerate(CHECKS):
        view = View(poorer.child(f"check-{index}"))
        if check.applies(view):
            run_to_end(check(view))
    run_to_end(refuses_what_it_lacks(View(poorer)))
    assert not [name for name in on_disk(root) if TEMP in name]


def test_capabilities_are_what_the_file_system_can_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = LocalBackend(root).capabilities
    assert Capability.EXCLUSIVE_CREATE in full
    assert full <= LocalBackend.CAPABILITIES
    POORER["no hard links"](monkeypatch)
    assert Capability.EXCLUSIVE_CREATE in LocalBackend(root).capabilities
    POORER["nothing"](monkeypatch)
    poor = Store(LocalBackend(root))
    assert not poor.supports(Capability.EXCLUSIVE_CREATE)
    assert not poor.supports(Capability.USER_METADATA)
    poor.write("f", b"1")
    with pytest.raises(AlreadyExists):
        poor.write("f", b"2")
    with pytest.raises(AlreadyExists):
        poor.copy("f", "f2") or poor.move("f2", "f")
    assert poor.read_bytes("f") == b"1"


# --- the root


def test_the_root_is_created_unless_told_otherwise(tmp_path: Path) -> None:
    assert Store(LocalBackend(tmp_path / "a" / "b")).ping() is None
    assert (tmp_path / "a" / "b").is_dir()
    store = Store(LocalBackend(tmp_path / "c", create=False))
    assert not (tmp_path / "c").exists()
    assert store.exists("")
    assert not store.exists("x")
    assert list(store.list_files(recursive=True)) == []
    assert store.get_folder_info("").file_count == 0
    store.delete("x", missing_ok=True)
    for attempt in (store.ping, lambda: store.write("f", b""), lambda: store.write("d/f", b"")):
        with pytest.raises(NotFound, match="not found"):
            attempt()
    assert not (tmp_path / "c").exists()


def test_a_deleted_root_is_made_again_by_a_write(store: Store, root: Path) -> None:
    root.rmdir()
    store.write("d/f", b"1")
    assert store.read_bytes("d/f") == b"1"


def test_a_root_that_is_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(RemoteStoreError):
        LocalBackend(tmp_path / "f")
    with pytest.raises(RemoteStoreError):
        LocalBackend(tmp_path / "f" / "below")


def test_a_linked_root_is_the_folder_it_leads_to(tmp_path: Path, root: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    store = Store(LocalBackend(tmp_path / "link"))
    store.write("d/f", b"1")
    assert store.read_bytes("d/f") == b"1"
    assert store.native_path("d/f") == str(root / "d" / "f")


def test_the_whole_machine_can_be_a_root(root: Path) -> None:
    (root / "f").write_bytes(b"1")
    store = Store(LocalBackend("/", create=False), str(root))
    assert store.read_bytes("f") == b"1"
    assert [e.name for e in store.list_files()] == ["f"]
    assert store.native_path("f") == str(root / "f")
    assert store.to_key(str(root / "f")) == "f"


def test_paths_outside_are_no_keys_of_the_store(store: Store, outside: Path) -> None:
    for path in (str(outside / "secret"), "/", "/etc/passwd", "relative/path"):
        with pytest.raises(InvalidPath, match="escapes root"):
            store.to_key(path)
        assert LocalBackend(store.native_path("")).to_key(path) == path


def test_a_folder_deleted_under_a_writer_is_made_again(store: Store, root: Path) -> None:
    with store.open_atomic("d/e/f") as file:
        file.write(b"1")
        os.rmdir(root / "d" / "e")
        os.rmdir(root / "d")
    assert store.read_bytes("d/e/f") == b"1"
