"""Any text as a path: it names a file inside the store, or it is refused as InvalidPath."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.kinds import UnknownFileSystem
from hypothesis import example, given
from hypothesis import strategies as st

from remote_store import FsspecBackend, InvalidPath, RemotePath, Store
from remote_store.backends import LocalBackend, MemoryBackend

CONTENT = bytes(range(256))

AWKWARD = (
    "", ".", "..", "...", "a..b", "..a", "a", "b.txt", " ", " a ", "\0", "a\0b", "\n", "\r\n", "\t", "\x7f", "\u202e",
    "\ud800", "\udc80", "\udcff", "\U0001f600", "e\u0301", "\u00e9", "C:", "C:\\", "~", "~root", "$HOME", "%2e%2e",
    "%00", "*", "?", "[a]", "{a}", "**", "#", "-rf", ".~rs-", ".~rs-deadbeef", "a.~rs-", ".git", "CON", "file:",
    "file://", "memory:", "::", "proc", "x" * 255, "x" * 256, "\u00e9" * 128, "\U0001f600" * 70, "\\", "a\\b",
    "..\\..", "/", "//", "sentinel", "root",
)  # fmt: skip
anything = st.text(st.characters(exclude_categories=()), max_size=40)
segments = st.one_of(st.sampled_from(AWKWARD), anything)
separators = st.sampled_from(("/", "/", "\\", "//", "/./", "/../"))
repeated = st.sampled_from(("a/", "ab/", "x" * 200 + "/", "x"))
texts = st.one_of(
    anything,
    st.builds(str.join, separators, st.lists(segments, min_size=1, max_size=5)),
    st.builds(str.__mul__, repeated, st.integers(1, 300)),
)

TOO_LONG = "/".join(["d" * 100] * 60)


# --- paths


@given(texts)
@example("a/../b")
@example("\\\\server\\share")
def test_a_path_normalizes_once_or_is_invalid(text: str) -> None:
    try:
        path = RemotePath(text)
    except InvalidPath:
        return
    assert RemotePath(str(path)) == path
    assert str(RemotePath(str(path))) == str(path) == path.as_posix()
    assert "/".join(path.parts) == str(path)
    assert path.name == path.parts[-1]
    assert not {"", ".", ".."} & set(path.parts)
    assert not {"\0", "\\"} & set(str(path))


@given(texts)
def test_only_dots_nul_and_nothing_are_invalid(text: str) -> None:
    names = [name for name in text.replace("\\", "/").split("/") if name not in ("", ".")]
    if "\0" in text or ".." in names or not names:
        with pytest.raises(InvalidPath) as caught:
            RemotePath(text)
        assert caught.value.path == text
    else:
        assert RemotePath(text).parts == tuple(names)


# --- stores


def snapshot(folder: str) -> dict[str, bytes | None]:
    """Everything below a folder: content of files, None for folders."""
    found: dict[str, bytes | None] = {}
    for parent, folders, files in os.walk(folder):
        found.update(dict.fromkeys(os.path.join(parent, name) for name in folders))
        for name in files:
            with open(os.path.join(parent, name), "rb") as file:
                found[os.path.join(parent, name)] = file.read()
    return found


@contextmanager
def local() -> Iterator[Store]:
    """A store beside files that nobody may touch, among them some that share the beginning of its name."""
    with tempfile.TemporaryDirectory() as around:
        for name in ("sentinel", "a", "root2/a", "roo/a", "b.txt", "x"):
            path = os.path.join(around, "outer", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(b"outside")
        root = os.path.join(around, "outer", "root")
        before = snapshot(around)
        yield Store(LocalBackend(root))
        inside = os.path.join(root, "")
        after = {path: data for path, data in snapshot(around).items() if not path.startswith(inside) and path != root}
        assert after == before


@contextmanager
def memory() -> Iterator[Store]:
    """A child store beside a file that nobody may touch."""
    parent = Store(MemoryBackend())
    for name in ("sentinel", "a", "root2/a"):
        parent.write(name, b"outside")
    yield parent.child("root")
    outside = {str(file.path) for file in parent.list_files("", recursive=True)}
    assert {path for path in outside if not path.startswith("root/")} == {"sentinel", "a", "root2/a"}
    assert all(parent.read_bytes(name) == b"outside" for name in ("sentinel", "a", "root2/a"))


Opened = Callable[[], AbstractContextManager[Store]]
stores = pytest.mark.parametrize("opened", [local, memory], ids=["local", "memory"])


@stores
@given(text=texts)
@example(text="../sentinel")
@example(text="..\\sentinel")
@example(text="../root2/a")
@example(text="/etc/passwd")
@example(text="~/x")
@example(text="a\ud800")
@example(text="a\udcff")
@example(text="x" * 256)
@example(text=TOO_LONG)
def test_a_written_path_is_read_and_listed_or_invalid(opened: Opened, text: str) -> None:
    with opened() as store:
        try:
            result = store.write(text, CONTENT)
        except InvalidPath:
            assert list(store.list_files("", recursive=True)) == []
            assert list(store.list_folders("")) == []
            return
        key = str(RemotePath(text))
        assert str(result.path) == key
        assert store.read_bytes(text) == store.read_bytes(key) == CONTENT
        assert [str(file.path) for file in store.list_files("", recursive=True)] == [key]
        assert [file.size for file in store.list_files(key.rpartition("/")[0])] == [len(CONTENT)]
        assert store.to_key(store.native_path(key)) == key
        store.delete(key)
        assert store.exists(text) is False


@stores
@given(text=texts)
@example(text="../sentinel")
@example(text="..")
@example(text="/etc/passwd")
@example(text="a\ud800")
@example(text="x" * 256)
@example(text=TOO_LONG)
@example(text="")
def test_a_question_about_any_path_is_answered_or_invalid(opened: Opened, text: str) -> None:
    with opened() as store:
        root = not text.replace("\\", "/").replace("/", "").strip(".") and ".." not in text
        questions: dict[Callable[[str], object], object] = {
            store.exists: root,
            store.is_file: False,
            store.is_folder: root,
            lambda path: list(store.list_files(path, recursive=True)): [],
            lambda path: list(store.list_folders(path)): [],
            lambda path: list(store.iter_children(path)): [],
        }
        for question, answer in questions.items():
            try:
                found = question(text)
            except InvalidPath:
                continue
            assert found == answer


@stores
@given(text=texts)
@example(text="../sentinel")
@example(text="..")
@example(text="../root2")
@example(text="/etc/hostname")
@example(text="a\ud800")
@example(text="x" * 256)
@example(text=TOO_LONG)
@example(text="")
def test_what_is_not_there_is_missing_or_invalid(opened: Opened, text: str) -> None:
    with opened() as store:
        store.write("kept/file", CONTENT)
        for attempt in (
            store.read_bytes,
            store.read,
            store.get_file_info,
            store.delete,
            lambda path: store.delete_folder(path, recursive=True),
            lambda path: store.move(path, "elsewhere"),
            lambda path: store.copy(path, "elsewhere"),
        ):
            with pytest.raises((InvalidPath, FileNotFoundError)) as caught:
                attempt(text)
            assert type(caught.value).__module__.startswith("remote_store")
        assert [str(file.path) for file in store.list_files("", recursive=True)] == ["kept/file"]
        assert store.read_bytes("kept/file") == CONTENT


@stores
@given(text=texts)
@example(text="../sentinel")
@example(text="../root2/a")
@example(text="a\ud800")
@example(text="x" * 256)
@example(text=TOO_LONG)
def test_a_move_to_any_path_arrives_or_is_invalid(opened: Opened, text: str) -> None:
    with opened() as store:
        store.write("source", CONTENT)
        try:
            store.copy("source", text, overwrite=True)
            store.move("source", text, overwrite=True)
        except InvalidPath:
            assert [str(file.path) for file in store.list_files("", recursive=True)] == ["source"]
            assert list(store.list_folders("")) == []
            return
        key = str(RemotePath(text))
        assert [str(file.path) for file in store.list_files("", recursive=True)] == [key]
        assert store.read_bytes(key) == CONTENT


@stores
def test_two_keys_are_never_one_file(opened: Opened) -> None:
    # Both spell the bytes C3 A9 to a POSIX filesystem, the second by the surrogates that stand for single bytes.
    composed, escaped = "\u00e9", "\udcc3\udca9"
    with opened() as store:
        store.write(composed, b"composed")
        try:
            store.write(escaped, b"escaped", overwrite=True)
        except InvalidPath:
            assert store.read_bytes(composed) == b"composed"
            return
        assert store.read_bytes(composed) == b"composed"
        assert sorted(str(file.path) for file in store.list_files()) == [composed, escaped]


# --- depth, which is bounded by the filesystem alone

DEEP = "/".join(["d"] * 1500)


def remove_tree(root: str) -> None:
    """Remove a folder of any depth; `shutil.rmtree` recurses."""
    folders = [root]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    os.unlink(entry.path)
    for folder in reversed(folders):
        os.rmdir(folder)


@pytest.fixture(params=["local", "memory", "shared memory", "generic"])
def deep_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield Store(MemoryBackend())
    elif request.param != "local":
        shared = Store.from_url("memory://very-deep")
        unknown = FsspecBackend(UnknownFileSystem("/very-deep", MemoryFileSystem()))
        yield shared if request.param == "shared memory" else Store(unknown)
        MemoryFileSystem.store.clear()
        MemoryFileSystem.pseudo_dirs[:] = [""]
    else:
        root = tempfile.mkdtemp()
        yield Store(LocalBackend(root))
        remove_tree(root)


def test_a_very_deep_path_is_written_and_read_or_invalid(deep_store: Store) -> None:
    try:
        deep_store.write(DEEP, CONTENT)
    except InvalidPath:
        assert list(deep_store.list_folders("")) == []
        return
    assert deep_store.read_bytes(DEEP) == CONTENT
    assert [str(file.path) for file in deep_store.list_files("", recursive=True)] == [DEEP]


def test_a_very_deep_folder_is_deleted(deep_store: Store) -> None:
    for depth in range(100, 1500, 100):  # Grown in steps, each of which makes 100 folders only.
        deep_store.write("d/" * depth + "file", CONTENT)
    deep_store.delete_folder("d", recursive=True)
    assert deep_store.exists("d") is False
    assert list(deep_store.list_folders("")) == []
