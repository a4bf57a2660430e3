"""The generic driver: trusts a filesystem with nothing, and says what it cannot hold."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from helpers.kinds import UnknownFileSystem, unknown_filesystem
from helpers.recording import Recording
from servers.ftp import PASSWORD, USER

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    CapabilityNotSupported,
    FsspecBackend,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
    Store,
)


@pytest.fixture
def fs() -> Recording:
    return Recording()


@pytest.fixture
def store(fs: Recording) -> Store:
    return Store(FsspecBackend(fs))


class Failed(Exception):
    status: int | None = None

    def __init__(self, status: int, reason: str = "no") -> None:
        super().__init__(f"https://user:s3cret@host/ said {reason}")
        self.status = status


@pytest.mark.parametrize(
    ("native", "error"),
    [
        (FileNotFoundError("x"), NotFound),
        (PermissionError("x"), PermissionDenied),
        (ConnectionResetError("x"), BackendUnavailable),
        (TimeoutError("x"), BackendUnavailable),
        (NotImplementedError("x"), CapabilityNotSupported),
        (Failed(401), PermissionDenied),
        (Failed(403), PermissionDenied),
        (Failed(404), NotFound),
        (Failed(412), PreconditionFailed),
        (Failed(423), ResourceLocked),
        (Failed(503), BackendUnavailable),
        (Failed(418), RemoteStoreError),
        (KeyError("https://user:s3cret@host/"), RemoteStoreError),
        (OSError(24, "https://user:s3cret@host/"), RemoteStoreError),
        (OSError(28, "https://user:s3cret@host/"), StorageFull),
        (OSError(122, "https://user:s3cret@host/"), StorageFull),
        (Failed(507), StorageFull),
        (Failed(403, "storageQuotaExceeded"), StorageFull),
        (Failed(403, "userRateLimitExceeded"), BackendUnavailable),
        (Failed(429), BackendUnavailable),
        (OSError("Forbidden: https://user:s3cret@host/"), PermissionDenied),
    ],
    ids=repr,
)
def test_whatever_a_filesystem_raises_is_typed_without_its_text(
    store: Store, fs: Recording, native: Exception, error: type[RemoteStoreError]
) -> None:
    store.write("f", b"1")
    fs.fail = {"cat_file": native}
    with pytest.raises(error) as caught:
        store.read_bytes("f")
    assert type(caught.value) is error
    assert caught.value.__cause__ is native
    assert (caught.value.path, caught.value.backend) == ("f", "recording")
    assert "s3cret" not in str(caught.value) + repr(caught.value)
    fs.fail = {}
    assert store.read_bytes("f") == b"1"


@pytest.mark.parametrize("native", [PermissionError("x"), ConnectionError("x"), Failed(503), Failed(403)], ids=repr)
def test_an_outage_is_never_absence(store: Store, fs: Recording, native: Exception) -> None:
    store.write("d/f", b"1")
    fs.fail = {"info": native, "ls": native}
    for question in (
        lambda: store.exists("d/f"),
        lambda: store.is_file("d/f"),
        lambda: store.is_folder("d"),
        lambda: store.get_file_info("d/f"),
        lambda: list(store.list_files("d")),
        lambda: store.delete("d/f", missing_ok=True),
        lambda: store.delete_folder("d", missing_ok=True),
        lambda: store.read_bytes("d/f"),
        store.ping,
    ):
        with pytest.raises((PermissionDenied, BackendUnavailable)):
            question()
    fs.fail = {}
    assert store.read_bytes("d/f") == b"1"


def test_only_literal_verbs_are_called(store: Store, fs: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in ("rm", "copy", "mv", "move", "put", "get", "cat", "pipe", "expand_path"):

        def refuse(*args: object, verb: str = verb, **options: object) -> None:
            raise AssertionError(f"{verb} was called")

        monkeypatch.setattr(fs, verb, refuse)
    store.write("a*/f[1]", b"1")
    store.write("a*/f[1]", io.BytesIO(b"2"), overwrite=True)
    store.copy("a*/f[1]", "b?/g")
    store.move("b?/g", "c/h")
    assert store.read_bytes("c/h") == b"2"
    assert store.exists("c/h")
    assert store.is_folder("c")
    store.delete("c/h")
    store.delete_folder("a*", recursive=True)
    assert list(store.list_files(recursive=True)) == []


def test_content_that_fails_never_reaches_the_filesystem(store: Store, fs: Recording) -> None:
    store.write("f", b"old")
    fs.calls.clear()

    class Source(io.RawIOBase):
        left = 30

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            self.left -= 1
            if not self.left:
                raise ZeroDivisionError
            return len(buffer)

    with pytest.raises(ZeroDivisionError):
        store.write("f", Source(), overwrite=True)
    assert not {"pipe_file", "put_file"} & set(fs.calls)
    assert store.read_bytes("f") == b"old"


def test_long_content_goes_through_a_file_that_is_removed(
    store: Store, fs: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content = bytes(range(256)) * 40_000
    assert store.write("d/big", io.BytesIO(content)).size == len(content)
    assert "put_file" in fs.calls
    assert store.read_bytes("d/big") == content
    fs.fail = {"put_file": ConnectionError("x")}
    with pytest.raises(BackendUnavailable):
        store.write("d/other", io.BytesIO(content))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_writer_makes_meanwhile_is_enough(
    store: Store, fs: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meets_another(path: str, value: bytes, **options: Any) -> None:
        fs.makedirs("/d/e", exist_ok=True)
        monkeypatch.undo()
        raise OSError("550")

    monkeypatch.setattr(fs, "pipe_file", meets_another)
    store.write("d/e/f", b"1")
    assert store.read_bytes("d/e/f") == b"1"


@pytest.mark.parametrize("native", [OSError("550"), PermissionError("x"), ConnectionError("x")], ids=repr)
def test_a_write_that_fails_for_another_reason_says_so(store: Store, fs: Recording, native: Exception) -> None:
    store.write("d/f", b"1")
    fs.calls, fs.fail = [], {"pipe_file": native}
    with pytest.raises(RemoteStoreError) as caught:
        store.write("d/g", b"1")
    assert caught.value.__cause__ is native
    assert fs.calls.count("pipe_file") <= 2


def test_a_move_that_copied_less_keeps_the_source(store: Store, fs: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("a", b"12345")
    monkeypatch.setattr(fs, "cp_file", lambda a, b: fs.pipe_file(b, b"1"))
    with pytest.raises(RemoteStoreError, match="source, which stays"):
        store.move("a", "b")
    assert store.read_bytes("a") == b"12345"


@pytest.mark.parametrize(("source", "target"), [("d/f", "link/f"), ("link/f", "d/f"), ("d/f", "d/g"), ("d/g", "d/f")])
def test_a_file_moved_onto_itself_through_a_link_is_kept(tmp_path: Path, source: str, target: str) -> None:
    store = Store(FsspecBackend(UnknownFileSystem(str(tmp_path))))
    store.write("d/f", b"1")
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "d" / "g").symlink_to("f")
    store.move(source, target, overwrite=True)
    assert store.read_bytes(target) == b"1"
    assert {path.name for path in (tmp_path / "d").iterdir()} <= {"f", "g"}


def test_a_move_between_what_looks_the_same_keeps_the_source_when_it_fails(store: Store, fs: Recording) -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for key, data in (("a", b"1"), ("b", b"2")):
        store.write(key, data)
        fs.store[fs._strip_protocol("/" + key)].modified = moment
    copy, copies = fs.cp_file, list[str]()

    def cp_file(source: str, target: str, **options: Any) -> None:
        copies.append(target)
        if len(copies) == 2:
            raise PermissionError
        copy(source, target, **options)

    fs.cp_file = cp_file
    with pytest.raises(PermissionDenied):
        store.move("a", "b", overwrite=True)
    assert {info.name: store.read_bytes(info.path) for info in store.list_files("")} == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("native", [NotImplementedError(), RuntimeError("no cp on the server")], ids=repr)
def test_a_filesystem_without_copy_copies_by_reading(store: Store, fs: Recording, native: Exception) -> None:
    store.write("a", b"12345")
    fs.fail = {"cp_file": native}
    store.copy("a", "d/b")
    store.move("a", "d/c")
    assert (store.read_bytes("d/b"), store.read_bytes("d/c"), store.exists("a")) == (b"12345", b"12345", False)


def test_a_filesystem_that_ignores_ranges_is_cut(store: Store, fs: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("a", b"0123456789")
    monkeypatch.setattr(fs, "cat_file", lambda path, start=None, end=None: b"0123456789")
    for start, end in ((2, 5), (8, 100), (20, 30), (2, 12), (0, 3), (0, 100), (3, 4)):
        assert store.read_range("a", start, end) == b"0123456789"[start:end]
    monkeypatch.undo()
    for start, end in ((2, 5), (8, 100), (20, 30), (2, 12), (0, 3), (0, 100), (3, 4)):
        assert store.read_range("a", start, end) == b"0123456789"[start:end]


def test_a_filesystem_that_takes_ranges_is_asked_for_nothing_else(store: Store, fs: Recording) -> None:
    store.write("a", b"0123456789")
    store.read_range("a", 2, 5)
    fs.calls = []
    assert store.read_range("a", 3, 6) == b"345"
    assert fs.calls.count("cat_file") == 1
    assert fs.calls.count("info") <= 1  # The generic driver looks before it reads.


def test_remembered_listings_are_dropped_before_asking(fs: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(FsspecBackend(fs))
    dropped: list[str] = []
    monkeypatch.setattr(fs, "invalidate_cache", lambda path=None: dropped.append("drop"))
    store.exists("x")
    list(store.list_files())
    assert len(dropped) >= 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (1.5, dt.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=dt.UTC)),
        ("20260102030405", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        ("2026-01-02T03:04:05+01:00", dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC)),
        ("Fri, 02 Jan 2026 03:04:05 GMT", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        (dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
        ("soon", dt.datetime.min.replace(tzinfo=dt.UTC)),
        (None, dt.datetime.min.replace(tzinfo=dt.UTC)),
    ],
)
def test_times_are_read_in_any_shape_and_never_invented(
    store: Store, fs: Recording, monkeypatch: pytest.MonkeyPatch, value: object, expected: dt.datetime
) -> None:
    info = {"name": "/f", "size": 1, "type": "file", "mtime": value, "created": 1.0, "ETag": '"abc"', "VersionId": "v"}
    monkeypatch.setattr(fs, "info", lambda path: info)
    found = store.get_file_info("f")
    assert found.modified_at == expected
    assert found.modified_at.utcoffset() == dt.timedelta(0)
    assert (found.etag, found.extra["version_id"]) == ("abc", "v")


# --- what can be declared


def test_the_profile_assumes_the_worst() -> None:
    caps = FsspecBackend(unknown_filesystem()).capabilities
    for absent in ("ATOMIC_WRITE", "EXCLUSIVE_CREATE", "USER_METADATA", "CONDITIONAL_WRITE", "ATOMIC_MOVE"):
        assert Capability[absent] not in caps
    assert FsspecBackend(unknown_filesystem()).concurrency == "single_connection"


def test_an_archive_is_read_and_refuses_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner/a.txt", "one")
        archive.writestr("inner/d/b.txt", "three")
    store = Store.from_url(f"zip://inner::file://{path}")
    assert store.read_text("a.txt") == "one"
    assert sorted(str(e.path) for e in store.list_files(recursive=True)) == ["a.txt", "d/b.txt"]
    assert [str(e.path) for e in store.list_folders()] == ["d"]
    assert [str(e.path) for e in store.glob("**/b.*")] == ["d/b.txt"]
    assert store.get_folder_info("").total_size == 8
    with pytest.raises(NotFound):
        store.read_bytes("nope")
    with pytest.raises(InvalidPath):
        store.read_bytes("d")
    for call, capability in (
        (lambda: store.write("x", b""), "write"),
        (lambda: store.delete("a.txt"), "delete"),
        (lambda: store.move("a.txt", "x"), "move"),
        (lambda: store.copy("a.txt", "x"), "copy"),
        (lambda: store.write_atomic("x", b""), "atomic_write"),
    ):
        with pytest.raises(CapabilityNotSupported) as caught:
            call()
        assert caught.value.capability == capability


def test_a_new_archive_is_written_through_a_store(tmp_path: Path) -> None:
    import fsspec

    fs = fsspec.filesystem("zip", fo=str(tmp_path / "new.zip"), mode="w", skip_instance_cache=True)
    store = Store(FsspecBackend(fs))
    assert not store.supports(Capability.DELETE)
    store.write("d/a", b"1")
    store.write("d/b", io.BytesIO(b"22"))
    fs.close()
    with zipfile.ZipFile(tmp_path / "new.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"d/a": b"1", "d/b": b"22"}


@pytest.mark.parametrize("mode", ["a", "w"])
@pytest.mark.parametrize("content", [b"new", io.BytesIO(b"new")], ids=["bytes", "stream"])
def test_an_archive_keeps_one_file_of_a_name(tmp_path: Path, content: Any, mode: str) -> None:
    path = tmp_path / "x.zip"
    if mode == "a":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("old", b"1")
    with Store.from_url(f"zip://::file://{path}", zip={"mode": mode}) as store:
        store.write("a", b"1")
        if mode == "w":
            store.write("old", io.BytesIO(b"1"))
        for name in ("a", "old"):
            with pytest.raises(AlreadyExists, match="an archive replaces none"):
                store.write(name, content, overwrite=True)
            with pytest.raises(AlreadyExists):
                store.write(name, content)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["a", "old"]


class UnknownArrow(ArrowFSWrapper):
    """One that no row knows."""


@pytest.mark.parametrize("kind", ["arrow", "obstore"])
def test_a_range_may_begin_a_file_and_end_behind_it(tmp_path: Path, kind: str) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    if kind == "arrow":
        local = pytest.importorskip("pyarrow.fs").LocalFileSystem()
        store = Store(FsspecBackend(UnknownArrow(local), str(tmp_path)))
    else:
        unknown = type("Unknown", (pytest.importorskip("obstore.fsspec").FsspecStore,), {})
        store = Store(FsspecBackend(unknown("file"), str(tmp_path)))
    for start, end in ((0, 2), (0, 10), (3, 10), (5, 6), (7, 10), (1, 3)):
        assert store.read_range("f", start, end) == b"12345"[start:end]
    with pytest.raises(NotFound):
        store.read_range("no", 0, 10)


def test_a_filesystem_without_delete_declares_none() -> None:
    class Minimal(AbstractFileSystem):
        protocol = "minimal"
        cachable = False

    caps = FsspecBackend(Minimal()).capabilities
    assert Capability.DELETE not in caps
    assert Capability.MOVE not in caps
    assert Capability.READ in caps


def test_a_wrong_password_is_permission_denied_and_not_told(ftp_server: tuple[str, int]) -> None:
    fs = FTPFileSystem(*ftp_server, username=USER, password=PASSWORD, skip_instance_cache=True)
    store = Store(FsspecBackend(fs, "/"))
    for text in (repr(store), str(store), repr(store._backend), repr(store.resolve("a"))):
        assert PASSWORD not in text
    fs.ftp.close()


def test_native_paths_below_a_root() -> None:
    fs = UnknownFileSystem("/x", MemoryFileSystem())
    store = Store(FsspecBackend(fs, "deep/root"))
    assert store.native_path("a") == "deep/root/a"
    assert store.to_key("deep/root/a") == "a"
    assert store.to_key("deep/root") == ""
    with pytest.raises(InvalidPath):
        store.to_key("deep/other")


@pytest.mark.parametrize("root", ["", "/r"])
def test_names_that_no_path_spells_go_with_their_folder(root: str) -> None:
    fs = Recording()
    fs.makedirs("/r")
    store = Store(FsspecBackend(fs, root))
    for name in ("d/plain", "e/stays", "dd/stays"):
        store.write(name, b"1")
    for name in ("x//y", "s/./t", "back\\slash"):
        fs.pipe_file(f"{root}/d/{name}", b"odd")
    if f"{root}/d/x//y" not in fs.find(f"{root}/d"):
        pytest.skip("this fsspec has no listing that tells such a name")
    store.delete_folder("d", recursive=True)
    assert sorted(fs.store) == [f"{root}/dd/stays", f"{root}/e/stays"]


# --- archives that libarchive reads


@pytest.mark.skipif(find_library("archive") is None, reason="libarchive is not installed")
@pytest.mark.parametrize(("form", "packing"), [("7zip", None), ("pax", "gzip"), ("iso9660", None)])
def test_an_archive_of_libarchive_is_read_and_nothing_else(tmp_path: Path, form: str, packing: str | None) -> None:
    libarchive = pytest.importorskip("libarchive")
    files = {"m/f": b"content", "m/empty": b"", "m/d/large": bytes(range(256)) * 9000}
    with libarchive.file_writer(str(tmp_path / "archive"), form, packing) as archive:
        for name, content in files.items():
            archive.add_file_from_memory(name, len(content), content)
    with Store.from_url(f"libarchive://m::file://{tmp_path / 'archive'}") as store:
        found = {f"m/{info.path}": store.read_bytes(info.path) for info in store.list_files("", recursive=True)}
        assert found == files
        assert store.read_range("d/large", 250, 260) == files["m/d/large"][250:260]
        assert store.read("f", start=3).read() == b"tent"
        assert store.is_folder("d")
        assert store.get_file_info("d/large").size == 9000 * 256
        for path, error in (("none", NotFound), ("f/below", NotFound), ("d", InvalidPath)):
            with pytest.raises(error):
                store.read_bytes(path)
        with pytest.raises(CapabilityNotSupported):
            store.write("new", b"1")
        file = store.unwrap(object).fo  # type: ignore[attr-defined]
    assert file.closed
