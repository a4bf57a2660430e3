"""Paths, errors, capabilities and models: the words of the contract."""

from __future__ import annotations

import copy
import datetime as dt
import errno
import os
import pickle
from typing import Any

import pytest

import remote_store
from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    CapabilityNotSupported,
    CapabilitySet,
    ContentDigest,
    DirectoryNotEmpty,
    FileInfo,
    FolderEntry,
    FolderInfo,
    InvalidPath,
    NotFound,
    PathEntry,
    PermissionDenied,
    PreconditionFailed,
    RemotePath,
    RemoteStoreError,
    ResolutionPlan,
    ResourceLocked,
    StorageFull,
    WriteResult,
)
from remote_store.drivers.errors import from_os_error

BUILTINS: dict[type[RemoteStoreError], tuple[type[Exception], int]] = {
    NotFound: (FileNotFoundError, errno.ENOENT),
    AlreadyExists: (FileExistsError, errno.EEXIST),
    PermissionDenied: (PermissionError, errno.EACCES),
    DirectoryNotEmpty: (OSError, errno.ENOTEMPTY),
    StorageFull: (OSError, errno.ENOSPC),
    BackendUnavailable: (ConnectionError, errno.ECONNABORTED),
}
ALL = [*BUILTINS, InvalidPath, CapabilityNotSupported, ResourceLocked, PreconditionFailed]
NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


# --- RemotePath


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a", "a"),
        ("a/b", "a/b"),
        ("/a//b/", "a/b"),
        ("a\\b", "a/b"),
        ("./a/./b/.", "a/b"),
        ("a..b/..c/d..", "a..b/..c/d.."),
        (" a ", " a "),
        ("...", "..."),
    ],
)
def test_paths_normalize(raw: str, text: str) -> None:
    path = RemotePath(raw)
    assert str(path) == path.as_posix() == text
    assert path == RemotePath(text)
    assert hash(path) == hash(RemotePath(text))
    assert path != text


@pytest.mark.parametrize("raw", ["..", "a/../b", "../a", "a/..", "a\\..", "\0", "a\0b", "", ".", "/", ".//", "./."])
def test_paths_reject(raw: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        RemotePath(raw)
    assert caught.value.path == raw


def test_paths_have_parts() -> None:
    path = RemotePath("a/b/c.tar.gz")
    assert (path.name, path.suffix, path.parts) == ("c.tar.gz", ".gz", ("a", "b", "c.tar.gz"))
    assert path.parent == RemotePath("a/b")
    assert RemotePath("a").parent is None
    assert RemotePath(".hidden").suffix == RemotePath("plain").suffix == RemotePath("dot.").suffix == ""
    assert RemotePath("a") / "b/c" == RemotePath("a") / RemotePath("b/c") == RemotePath("a/b/c")
    with pytest.raises(InvalidPath):
        RemotePath("a") / ".."
    with pytest.raises(TypeError):
        RemotePath("a") / 5  # type: ignore[operator]
    assert not isinstance(path, os.PathLike)


def test_paths_are_immutable_values() -> None:
    path = RemotePath("a/b")
    for change in (
        lambda: setattr(path, "_text", "x"),
        lambda: setattr(path, "new", 1),
        lambda: delattr(path, "_text"),
    ):
        with pytest.raises(AttributeError, match="immutable"):
            change()
    assert pickle.loads(pickle.dumps(path)) == path == copy.deepcopy(path)
    assert repr(path) == "RemotePath('a/b')"


def test_the_root_is_one() -> None:
    root = RemotePath.ROOT
    assert (str(root), root.name, root.parts, root.parent, root.suffix) == (".", ".", (".",), None, "")
    assert pickle.loads(pickle.dumps(root)) is root
    assert copy.deepcopy(root) is root
    for spelling in ("", ".", "/", "./"):
        assert RemotePath.from_backend_path(spelling) is root
    assert RemotePath.from_backend_path("/a/") == RemotePath("a")
    assert root / "a" == RemotePath("a")


@pytest.mark.parametrize("wrong", [None, 5, b"a", ["a"]])
def test_a_path_is_text(wrong: Any) -> None:
    with pytest.raises(TypeError):
        RemotePath(wrong)


# --- errors


@pytest.mark.parametrize("error", ALL)
def test_errors_are_direct_children_and_builtins(error: type[RemoteStoreError]) -> None:
    assert RemoteStoreError in error.__bases__
    assert not [other for other in ALL if other is not error and issubclass(error, other)]
    instance = error("what happened", path="a/b", backend="s3")
    if error in BUILTINS:
        builtin, number = BUILTINS[error]
        assert isinstance(instance, builtin)
        assert instance.errno == number  # type: ignore[attr-defined]
    else:
        assert not isinstance(instance, OSError)


@pytest.mark.parametrize("error", [RemoteStoreError, *ALL])
def test_errors_tell_where_and_pickle(error: type[RemoteStoreError]) -> None:
    instance = error("what happened", path="a/b", backend="s3")
    for text in (str(instance), repr(instance)):
        assert all(part in text for part in ("what happened", "a/b", "s3"))
    back = pickle.loads(pickle.dumps(instance))
    assert type(back) is error
    assert (str(back), back.path, back.backend) == (str(instance), "a/b", "s3")
    assert getattr(back, "errno", None) == getattr(instance, "errno", None)
    instance.path = "b"
    assert "a/b" not in str(instance)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EMFILE, RemoteStoreError),
        (errno.EROFS, PermissionDenied),
        (errno.EHOSTUNREACH, BackendUnavailable),
    ],
)
def test_an_os_error_keeps_its_number(number: int, expected: type[RemoteStoreError]) -> None:
    error = from_os_error(OSError(number, "text"), "a", "local", writing=True)
    assert type(error) is expected
    assert getattr(error, "errno", None) == number
    assert getattr(pickle.loads(pickle.dumps(error)), "errno", None) == number


def test_errors_need_no_place() -> None:
    assert str(NotFound("gone")) == "gone"
    assert (NotFound().path, NotFound().backend) == (None, None)


def test_a_missing_capability_is_named() -> None:
    error = CapabilityNotSupported("no", path="a", backend="x", capability=Capability.GLOB)
    assert error.capability == "glob"
    assert type(error.capability) is str
    assert pickle.loads(pickle.dumps(error)).capability == "glob"


def test_a_path_in_an_error_is_text() -> None:
    error = NotFound("gone", path=RemotePath("a/b"))  # type: ignore[arg-type]
    assert type(error.path) is str


# --- capabilities


def test_capabilities_are_a_closed_set_of_lower_case_values() -> None:
    assert {c.value for c in Capability} == {c.name.lower() for c in Capability}
    assert len(Capability) == 18
    with pytest.raises(ValueError, match="fly"):
        Capability("fly")


def test_a_capability_set_is_immutable() -> None:
    caps = CapabilitySet({Capability.READ, Capability.LIST})
    assert len(caps) == 2
    assert set(caps) == {Capability.READ, Capability.LIST}
    assert Capability.READ in caps
    assert caps.supports(Capability.LIST)
    assert not caps.supports(Capability.WRITE)
    with pytest.raises(AttributeError, match="immutable"):
        caps.new = 1  # type: ignore[attr-defined]
    assert not hasattr(caps, "add")
    assert pickle.loads(pickle.dumps(caps)) == caps
    assert repr(caps) == "CapabilitySet({list, read})"


def test_requiring_a_missing_capability_names_it() -> None:
    caps = CapabilitySet({Capability.READ})
    caps.require(Capability.READ, backend="x")
    with pytest.raises(CapabilityNotSupported, match="'atomic_write' is not supported") as caught:
        caps.require(Capability.ATOMIC_WRITE, backend="x")
    assert (caught.value.capability, caught.value.backend) == ("atomic_write", "x")


# --- models


def test_models_are_frozen_and_equal_by_path() -> None:
    path = RemotePath("a/b")
    info = FileInfo(path, "b", 3, NOW)
    assert info == FileInfo(path, "b", 9, NOW, etag="x")
    assert info != FileInfo(RemotePath("c"), "c", 3, NOW)
    assert info != FolderEntry(path, "b")
    assert len({info, FileInfo(path, "b", 9, NOW)}) == 1
    assert FolderInfo(path, 1, 2) == FolderInfo(path, 3, 4)
    assert FolderEntry(path, "b") == FolderEntry(path, "x")
    assert WriteResult(path, 1) != WriteResult(path, 2)
    assert WriteResult(path, 1) == WriteResult(path, 1)
    for model in (info, FolderEntry(path, "b"), FolderInfo(path, 1, 2), WriteResult(path, 1)):
        assert isinstance(model, PathEntry) is not isinstance(model, WriteResult)
        with pytest.raises(AttributeError):
            model.path = path  # type: ignore[misc]
        assert pickle.loads(pickle.dumps(model)) == model


def test_models_made_quickly_are_the_same_models() -> None:
    from remote_store._models import file_info, write_result

    quick, plain = file_info("a/b", 3, NOW, "e"), FileInfo(RemotePath("a/b"), "b", 3, NOW, etag="e")
    assert vars(quick) == vars(plain)
    made = write_result("a", 1, True, {"k": "v"}, {"etag": "e"})
    assert made == WriteResult(RemotePath("a"), 1, "native", etag="e", metadata={"k": "v"})
    assert vars(made).keys() == vars(WriteResult(RemotePath("a"), 1)).keys()
    assert FolderInfo(RemotePath.ROOT, 0, 0).name == "."


def test_a_digest_is_lower_case_hexadecimal() -> None:
    assert ContentDigest(" MD5\n", "\tABCDEF12 ") == ContentDigest("md5", "abcdef12")
    for bad in ("xyz", "12 34"):
        with pytest.raises(ValueError, match="hexadecimal"):
            ContentDigest("md5", bad)
    for empty in ("", "  "):
        with pytest.raises(ValueError, match=r"^algorithm must not be empty$"):
            ContentDigest(empty, "12")
        with pytest.raises(ValueError, match=r"^value must not be empty$"):
            ContentDigest("md5", empty)


def test_a_plan_is_read_only() -> None:
    details = {"root": "x"}
    plan = ResolutionPlan("s3", "s3", "a", "b/a", details)
    details["root"] = "changed"
    assert plan.details["root"] == "x"
    with pytest.raises(TypeError):
        plan.details["new"] = 1  # type: ignore[index]
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_unknown_public_names_fail_plainly() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        remote_store.Nothing  # type: ignore[attr-defined]  # noqa: B018
    assert "Store" in dir(remote_store)
