"""How local files are written, copied and moved: folders above, modes, times, metadata, faults, descriptors."""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.folders import (
    become_nobody,
    descriptors,
    free_descriptors,
    let_in,
    limit_descriptors,
    mounted,
    on_disk,
    once,
    refusing,
)
from helpers.processes import Fork

from remote_store import (
    BackendUnavailable,
    Capability,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
    Store,
)
from remote_store.backends import LocalBackend
from remote_store.drivers.local import system

# --- modes, owners, times, metadata


def test_new_files_follow_the_umask_and_overwriting_keeps_the_mode(store: Store, root: Path) -> None:
    old = os.umask(0o027)
    try:
        store.write("a", b"1")
        with store.open_atomic("b") as file:
            file.write(b"1")
    finally:
        os.umask(old)
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "b").stat().st_mode) == 0o640
    (root / "a").chmod(0o604)
    store.write("a", b"2", overwrite=True)
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o604


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give files away")
def test_overwriting_keeps_the_owner(store: Store, root: Path) -> None:
    store.write("a", b"1")
    os.chown(root / "a", 12345, 23456)
    store.write("a", b"2", overwrite=True)
    status = (root / "a").stat()
    assert (status.st_uid, status.st_gid) == (12345, 23456)


def test_metadata_stays_with_a_file_that_was_renamed_outside(store: Store, root: Path) -> None:
    if not store.supports(Capability.USER_METADATA):
        pytest.skip("this file system has no extended attributes")
    store.write("a", b"1", metadata={"k": "v"})
    (root / "a").rename(root / "b")
    assert store.get_file_info("b").metadata == {"k": "v"}


def test_a_move_to_another_device_moves_the_content(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("a", b"1", metadata={"k": "v"} if store.supports(Capability.USER_METADATA) else None)
    refusing(errno.EXDEV, "rename_new")(monkeypatch)
    store.move("a", "d/b")
    assert store.read_bytes("d/b") == b"1"
    assert on_disk(root) == ["d", "d/b"]
    if store.supports(Capability.USER_METADATA):
        assert store.get_file_info("d/b").metadata == {"k": "v"}


# --- faults


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EACCES, PermissionDenied),
        (errno.EROFS, PermissionDenied),
        (errno.EIO, BackendUnavailable),
        (errno.EBUSY, ResourceLocked),
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EMFILE, RemoteStoreError),
    ],
)
def test_system_errors_are_typed_and_leave_nothing(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[RemoteStoreError]
) -> None:
    store.write("old", b"old")
    for name in ("write_all", "link_open"):
        with monkeypatch.context() as patch:
            refusing(number, name)(patch)
            for path in ("old", "new", "deep/er/new"):
                with pytest.raises(error) as caught:
                    store.write(path, b"x" * 100, overwrite=True)
                assert type(caught.value) is error
                assert caught.value.path == path
                assert isinstance(caught.value.__cause__, OSError)
                assert getattr(caught.value, "errno", number) == number
                assert error is not RemoteStoreError or caught.value.errno == number  # type: ignore[attr-defined]
    assert on_disk(root) == ["old"]
    assert store.read_bytes("old") == b"old"
    store.write("deep/er/new", b"1")


def writes_of(store: Store, path: str, data: bytes) -> list[Callable[[], object]]:
    """Every way to write a file."""

    def in_a_block() -> None:
        with store.open_atomic(path, overwrite=True) as file:
            file.write(data)

    return [
        lambda: store.write(path, data, overwrite=True),
        lambda: store.write(path, io.BytesIO(data), overwrite=True),
        lambda: store.write_atomic(path, data, overwrite=True),
        in_a_block,
    ]


def test_a_full_disk_keeps_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=256k"):
        store = Store(LocalBackend(tmp_path / "small"))
        store.write("old", b"old")
        store.write("large", b"x" * 150_000)
        before = descriptors()
        for path in ("old", "new", "deep/er/new"):
            for write in (
                *writes_of(store, path, b"x" * 1_000_000),
                lambda p=path: store.copy("large", p, overwrite=True),
            ):
                with pytest.raises(StorageFull) as caught:
                    write()
                assert caught.value.errno == errno.ENOSPC
                assert caught.value.path == path
        assert on_disk(tmp_path / "small") == ["large", "old"]
        assert store.read_bytes("old") == b"old"
        assert descriptors() == before
        store.delete("large")
        store.write("deep/er/new", b"x" * 150_000)
        assert store.read_bytes("deep/er/new") == b"x" * 150_000


def test_a_disk_without_room_for_more_files_keeps_what_it_has(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=1m,nr_inodes=16"):
        store = Store(LocalBackend(tmp_path / "small"))
        store.write("old", b"old")
        with pytest.raises(StorageFull) as caught:
            store.write("a/" * 20 + "f", b"1")
        assert caught.value.errno == errno.ENOSPC
        assert on_disk(tmp_path / "small") == ["old"]
        store.write("a/b/f", b"1")


def test_a_move_to_a_full_disk_keeps_the_source(store: Store, root: Path) -> None:
    store.write("large", b"x" * 1_000_000)
    with mounted(root / "small", "size=256k"):
        store.write("small/old", b"old")
        for path in ("small/old", "small/d/new"):
            with pytest.raises(StorageFull):
                store.move("large", path, overwrite=True)
        assert on_disk(root / "small") == ["old"]
        assert store.read_bytes("small/old") == b"old"
    assert store.read_bytes("large") == b"x" * 1_000_000


def test_a_stream_fails_with_typed_errors_midway(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("f", b"x" * 3_000_000)
    stream = store.read("f")
    assert stream.read(10) == b"x" * 10

    def fail(*args: object) -> bytes:
        raise OSError(errno.EIO, "gone")

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", fail)
        with pytest.raises(BackendUnavailable) as caught:
            stream.read()
    assert caught.value.path == "f"
    stream.close()
    assert store.read_bytes("f") == b"x" * 3_000_000


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="drops to another user, which only root can")
def test_file_modes_are_permission_denied_never_missing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "closed").mkdir(parents=True)
    (root / "closed" / "f").write_bytes(b"1")
    (root / "unreadable").write_bytes(b"1")
    (root / "unreadable").chmod(0)
    (root / "closed").chmod(0)
    let_in(tmp_path)

    def work() -> int:
        become_nobody()
        return _denials(root)

    with Fork(work) as child:
        assert child.result() == 0
    (root / "closed").chmod(0o755)


def _denials(root: Path) -> int:
    """Number of the first attempt that was not denied, 0 if all were."""
    store = Store(LocalBackend(root))
    attempts: list[Callable[[], object]] = [
        lambda: store.read_bytes("unreadable"),
        lambda: store.read("unreadable"),
        lambda: store.exists("closed/f"),
        lambda: store.is_file("closed/f"),
        lambda: store.get_file_info("closed/f"),
        lambda: store.write("closed/new", b""),
        lambda: store.write("new", b""),
        lambda: store.delete("unreadable"),
        lambda: store.delete_folder("closed", recursive=True),
        lambda: store.move("unreadable", "x"),
        lambda: list(store.list_files("closed")),
        lambda: list(store.list_files(recursive=True)),
    ]
    for number, attempt in enumerate(attempts, 1):
        try:
            attempt()
        except PermissionDenied:
            continue
        except BaseException:
            return number
        return number
    return 0


# --- folders above


def attempts_at(store: Store, path: str) -> list[Callable[[], object]]:
    """Every call that makes the folders above a file."""
    return [*writes_of(store, path, b"1"), lambda: store.copy("f", path), lambda: store.move("f", path)]


@pytest.mark.parametrize("path", ["d/" + "x" * 300 + "/g", "d/e/" + "x" * 300, "f/g/h"])
def test_a_failed_write_leaves_neither_descriptors_nor_folders(store: Store, root: Path, path: str) -> None:
    store.write("f", b"1")
    before = descriptors()
    for _ in range(20):
        for attempt in attempts_at(store, path):
            with pytest.raises(InvalidPath):
                attempt()
    assert descriptors() == before
    assert on_disk(root) == ["f"]


def test_a_failed_write_leaves_folders_that_others_use(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "there").mkdir()

    def other_file() -> None:
        (root / "there/a/other").write_bytes(b"1")

    def other_folder() -> None:
        (root / "there/d/e").rename(root / "there/d/moved")
        (root / "there/d/e").mkdir()

    for path, others in (("there/a/b/c/f", other_file), ("there/d/e/f", other_folder)):
        with pytest.raises(ZeroDivisionError), store.open_atomic(path):
            raise others() or ZeroDivisionError
    assert on_disk(root) == ["there", "there/a", "there/a/other", "there/d", "there/d/e", "there/d/moved"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="drops to another user, which only root can")
def test_a_user_who_may_make_no_folders_is_denied_for_ever(tmp_path: Path, root: Path) -> None:
    let_in(tmp_path)
    root.chmod(0o755)
    (root / "open").mkdir()
    (root / "open").chmod(0o777)

    def work() -> list[str]:
        become_nobody()
        limit_descriptors(64)
        store = Store(LocalBackend(root))
        store.write("open/f", b"1")
        for _ in range(40):
            for attempt in (
                *writes_of(store, "new/f", b"1"),
                lambda: store.copy("open/f", "new/f"),
                lambda: store.move("open/f", "new/f"),
            ):
                with pytest.raises(PermissionDenied):
                    attempt()
        (root / "open/d").mkdir()
        (root / "open/d").chmod(0o555)
        with pytest.raises(PermissionDenied):
            store.write("open/d/e/f", b"1")
        return on_disk(root)

    with Fork(work) as child:
        assert child.result() == ["open", "open/d", "open/f"]


def test_a_write_without_descriptors_to_spare_fails_cleanly(store: Store, root: Path) -> None:
    def work() -> list[str]:
        free = free_descriptors(80)
        for spare in range(12):
            limit_descriptors(free[spare])
            with suppress(RemoteStoreError):
                store.write(f"{spare}/a/b/c/f", b"1")
            limit_descriptors(free[-1])
            if not store.exists(f"{spare}/a/b/c/f"):
                assert not (root / str(spare)).exists()
            assert free_descriptors(1) == free[:1], "a descriptor was lost"
        return on_disk(root)

    with Fork(work) as child:
        assert "11/a/b/c/f" in child.result()


def test_no_descriptors_left_is_told_with_its_number(store: Store) -> None:
    store.write("f", b"1")

    def work() -> set[int]:
        first = os.dup(0)
        os.close(first)
        limit_descriptors(first)
        numbers = set()
        for attempt in (
            lambda: store.read_bytes("f"),
            lambda: store.write("g", b"1"),
            lambda: list(store.list_files()),
            lambda: store.delete("f"),
        ):
            with pytest.raises(RemoteStoreError) as caught:
                attempt()
            numbers.add(caught.value.errno)  # type: ignore[attr-defined]
        return numbers

    with Fork(work) as child:
        assert child.result() == {errno.EMFILE}


def write_and_then(store: Store, path: str, act: Callable[[], object]) -> None:
    """Write a file, and let somebody do something before it is published."""
    with store.open_atomic(path, overwrite=True) as file:
        file.write(b"new")
        act()


@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize("where", ["outside", "inside"])
def test_nothing_is_published_in_a_folder_that_was_moved_away(
    store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnamed: bool, where: str
) -> None:
    if not unnamed:
        refusing(errno.EOPNOTSUPP, "open_unnamed")(monkeypatch)
    away = (tmp_path if where == "outside" else root) / "away"
    store.write("d/old", b"old")
    before = descriptors()
    for path in ("d/new", "d/old"):
        with pytest.raises(NotFound, match="moved while") as caught:
            write_and_then(store, path, lambda: (root / "d").rename(away))
        assert caught.value.path == path
        assert on_disk(away) == ["old"]
        assert (away / "old").read_bytes() == b"old"
        assert not (root / "d").exists()
        away.rename(root / "d")
    assert descriptors() == before


def test_a_linked_folder_is_written_to_while_the_link_stays(store: Store, root: Path) -> None:
    store.write("d/old", b"old")
    (root / "e").mkdir()
    (root / "link").symlink_to("d")
    store.write("link/new", b"1")
    with pytest.raises(NotFound, match="moved while"):
        write_and_then(store, "link/other", lambda: ((root / "link").unlink(), (root / "link").symlink_to("e")))
    assert on_disk(root) == ["d", "d/new", "d/old", "e", "link"]


def test_a_root_that_was_moved_away_gets_nothing(store: Store, root: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        write_and_then(store, "f", lambda: root.rename(tmp_path / "away"))
    assert on_disk(tmp_path / "away") == []
    store.write("f", b"1")
    assert on_disk(root) == ["f"]


def test_a_target_folder_deleted_while_a_file_is_moved_is_made_again(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("f", b"1")
    real = system.rename_new
    act = once(lambda: (root / "d").rmdir())

    def rename_new(*args: Any) -> None:
        act()
        real(*args)

    monkeypatch.setattr(system, "rename_new", rename_new)
    store.move("f", "d/g")
    assert on_disk(root) == ["d", "d/g"]


# --- modes, owners and times of copies, and of moves to another device


@pytest.fixture
def devices(store: Store, root: Path) -> Iterator[Store]:
    """A store with another device at `far`."""
    with mounted(root / "far", "size=1m"):
        yield store


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_copy_is_as_closed_as_its_source_and_keeps_the_mode_of_what_it_replaces(store: Store, root: Path) -> None:
    store.write("private", b"1")
    for mode in (0o600, 0o640, 0o755, 0o400):
        (root / "private").chmod(mode)
        store.copy("private", f"d/{mode:o}")
        assert mode_of(root / f"d/{mode:o}") == mode
    store.write("shared", b"2")
    (root / "shared").chmod(0o664)
    store.copy("private", "shared", overwrite=True)
    assert mode_of(root / "shared") == 0o664
    (root / "private").chmod(0o4755)
    store.copy("private", "program")
    assert mode_of(root / "program") == 0o755


def test_a_copy_is_never_more_open_than_its_source_while_it_is_written(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(errno.EOPNOTSUPP, "open_unnamed")(monkeypatch)
    store.write("private", b"1")
    (root / "private").chmod(0o600)
    modes = []
    real = system.write_all

    def write_all(fd: int, data: bytes) -> None:
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        real(fd, data)

    monkeypatch.setattr(system, "write_all", write_all)
    store.copy("private", "copy")
    assert modes == [0o600]


def test_a_move_to_another_device_keeps_mode_and_time(devices: Store, root: Path) -> None:
    devices.write("far/there", b"old")
    for path in ("far/new", "far/there"):
        devices.write("f", b"1")
        (root / "f").chmod(0o600)
        os.utime(root / "f", ns=(1_000_000_000, 2_000_000_001))
        devices.move("f", path, overwrite=True)
        assert mode_of(root / path) == 0o600
        assert (root / path).stat().st_mtime_ns == 2_000_000_001
        assert devices.read_bytes(path) == b"1"
        assert not devices.exists("f")
    before = descriptors()
    devices.move("far/new", "back")
    assert mode_of(root / "back") == 0o600
    assert descriptors() == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give files away")
def test_a_move_to_another_device_keeps_the_owner_and_a_copy_does_not(devices: Store, root: Path) -> None:
    devices.write("f", b"1")
    os.chown(root / "f", 12345, 23456)
    (root / "f").chmod(0o640)
    devices.copy("f", "copy")
    assert (root / "copy").stat().st_uid == os.geteuid()
    devices.move("f", "far/f")
    status = (root / "far/f").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o640)


def test_a_failed_move_to_another_device_leaves_no_folders(
    devices: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices.write("f", b"1")
    with monkeypatch.context() as patch:
        refusing(errno.EIO, "write_all")(patch)
        with pytest.raises(BackendUnavailable):
            devices.move("f", "far/d/e/f")
    assert on_disk(root) == ["f", "far"]
    assert devices.read_bytes("f") == b"1"


@pytest.mark.parametrize("how", ["in place", "by another file"])
def test_a_source_that_changes_while_it_is_moved_to_another_device_is_kept(
    devices: Store, root: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    devices.write("f", b"old")
    real = system.write_all

    def write_all(fd: int, data: bytes) -> None:
        real(fd, data)
        if how == "in place":
            (root / "f").write_bytes(b"newer")
        else:
            (root / "g").write_bytes(b"newer")
            (root / "g").rename(root / "f")

    with monkeypatch.context() as patch:
        patch.setattr(system, "write_all", write_all)
        with pytest.raises(PreconditionFailed) as caught:
            devices.move("f", "far/f")
    assert (caught.value.path, caught.value.target) == ("f", "far/f")
    assert "'" not in caught.value.message  # No key that a child store could not re-root.
    assert devices.read_bytes("f") == b"newer"


# --- foreign attributes


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\xff", b"a\xfe\xc3\xfe", b"\xc3\xfe1", b"_a\xfe1", b"\x00" * 9, b"a\xfe\xc3"]
)
def test_attributes_that_no_store_has_written_are_no_metadata(store: Store, root: Path, content: bytes) -> None:
    if not store.supports(Capability.USER_METADATA):
        pytest.skip("this file system has no extended attributes")
    store.write("d/f", b"1")
    store.write("f", b"1")
    for path in ("f", "d/f"):
        os.setxattr(root / path, system.ATTRIBUTE, content)
        assert store.get_file_info(path).metadata is None
        assert store.head(path).metadata is None
        store.copy(path, f"{path}-copy")
        assert store.get_file_info(f"{path}-copy").metadata is None
        store.move(path, f"{path}-moved")
        assert store.read_bytes(f"{path}-moved") == b"1"


def test_a_file_that_may_not_be_written_is_copied_with_its_metadata(tmp_path: Path, root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("drops to another user, which only root can")
    let_in(tmp_path)
    root.chmod(0o777)

    def work() -> object:
        become_nobody()
        store = Store(LocalBackend(root))
        if not store.supports(Capability.USER_METADATA):
            return {"k": "v"}
        store.write("f", b"1", metadata={"k": "v"})
        (root / "f").chmod(0o400)
        store.copy("f", "g")
        store.write("f", b"2", overwrite=True, metadata={"k": "v"})
        return store.get_file_info("f").metadata and store.get_file_info("g").metadata

    with Fork(work) as child:
        assert child.result() == {"k": "v"}


def test_descriptors_are_not_leaked(store: Store, root: Path) -> None:
    store.write("d/f", b"x" * 100_000)
    (root / "out").symlink_to("/")
    before = descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(50):
            store.read_bytes("d/f")
            with store.read("d/f") as stream:
                stream.read(1)
            next(store.list_files("d"))
            list(store.list_files(recursive=True))
            for path in ("missing", "d", "out/etc/passwd"):
                with pytest.raises(RemoteStoreError):
                    store.read(path)
                with pytest.raises(RemoteStoreError):
                    store.write(path if path != "missing" else "d/f", b"")
            store.copy("d/f", "g", overwrite=True)
            store.move("g", "h", overwrite=True)
            store.delete("h")
    assert descriptors() == before
