"""A store and a model of plain dicts side by side: what the contract says of one call after another."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.kinds import UnknownFileSystem
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from remote_store import (
    AlreadyExists,
    Capability,
    CapabilityNotSupported,
    DirectoryNotEmpty,
    FileInfo,
    FsspecBackend,
    InvalidPath,
    NotFound,
    PreconditionFailed,
    RemotePath,
    RemoteStoreError,
    Store,
)
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

Refusal = tuple[type[RemoteStoreError], str] | None
Metadata = dict[str, str] | None


class SourceFailed(Exception):
    """What the caller's own content, or block, raises."""


# --- the model


class File(NamedTuple):
    data: bytes
    metadata: Metadata = None


def above(key: str) -> list[str]:
    """The folders above a key, nearest first."""
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def join(root: str, path: str) -> str:
    return f"{root}/{path}" if root and path else root or path


def matches(pattern: list[str], names: list[str]) -> bool:
    """Whether a glob matches, segment by segment; `**` at the end stands for what is below, so for one at least."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(names)
        return any(matches(pattern[1:], names[skip:]) for skip in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and matches(pattern[1:], names[1:])


class Tree:
    """Files and folders.

    Args:
        keeps_folders: whether a folder outlives the files in it.
        capabilities: of the store that is modelled.
    """

    def __init__(self, keeps_folders: bool, capabilities: frozenset[Capability]) -> None:
        self.files: dict[str, File] = {}
        self._made: set[str] = set()
        self._keeps_folders, self._capabilities = keeps_folders, capabilities

    @property
    def folders(self) -> set[str]:
        held = {folder for key in self.files for folder in above(key)}
        return held | self._made if self._keeps_folders else held

    def kind(self, root: str, path: str) -> str | None:
        """The root of a store, child included, is a folder by definition."""
        key = join(root, path)
        if not path or key in self.folders:
            return "folder"
        return "file" if key in self.files else None

    def below(self, root: str, path: str, kind: str) -> Iterator[tuple[str, str, int]]:
        """Key, store-relative path and depth of the files or folders below a folder."""
        folder = join(root, path)
        for key in self.files if kind == "file" else self.folders:
            if not folder or key.startswith(folder + "/"):
                own = key[len(root) + 1 :] if root else key
                yield key, own, key[len(folder) + 1 if folder else 0 :].count("/")

    # --- refusals, in the contract's order

    def lacks(self, *needed: Capability) -> Refusal:
        return None if self._capabilities.issuperset(needed) else (CapabilityNotSupported, "")

    def no_file(self, root: str, path: str) -> Refusal:
        kind = self.kind(root, path)
        return None if kind == "file" else (InvalidPath if kind == "folder" else NotFound, path)

    def no_folder(self, root: str, path: str) -> Refusal:
        kind = self.kind(root, path)
        return None if kind == "folder" else (InvalidPath if kind == "file" else NotFound, path)

    def no_place(self, root: str, path: str, replaces: bool) -> Refusal:
        """Why nothing can be written there: a folder, a file above, a file there."""
        kind = self.kind(root, path)
        if kind == "folder" or any(folder in self.files for folder in above(join(root, path))):
            return InvalidPath, path
        return (AlreadyExists, path) if kind == "file" and not replaces else None

    def no_write(self, root: str, path: str, overwrite: bool, metadata: Metadata, *needed: Capability) -> Refusal:
        needs = (*needed, *((Capability.USER_METADATA,) if metadata else ()))
        return self.lacks(*needs) or self.no_place(root, path, overwrite)

    def no_transfer(self, root: str, src: str, dst: str, overwrite: bool) -> Refusal:
        for path in (src, dst):
            if not path:
                return InvalidPath, path
        missing = self.no_file(root, src)
        return missing or (None if src == dst else self.no_place(root, dst, overwrite))

    # --- changes

    def put(self, root: str, path: str, file: File) -> None:
        key = join(root, path)
        self.files[key] = file
        self._made.update(above(key))

    def drop_folder(self, key: str) -> None:
        below = key + "/"
        self.files = {other: file for other, file in self.files.items() if not other.startswith(below)}
        self._made = {other for other in self._made if other != key and not other.startswith(below)}


# --- what is tried: few names, so that files, folders and paths below files meet all the time

PATHS = ("a", "b", "a/a", "a/b", "a/b/a", "a/b/b", "a/b/a/a", "b/a", "b/a/b", "a*", "a*/b", "a*/a/b")
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda path: path,
    "absolute": lambda path: f"/{path}",
    "dotted": lambda path: f"./{path}/",
    "doubled": lambda path: path.replace("/", "//"),
    "backslashes": lambda path: path.replace("/", "\\"),
}
GLOBS = ("*", "**", "a/*", "a/**", "*/b", "**/b", "?/*/[!b]", "a[*]", "a[*]/**", "**/a/**", "b", "a/b", "[!a]", "a*/*")


class Place(NamedTuple):
    """A path of a store or child store, and a spelling of it."""

    root: str
    path: str
    text: str


def spelled(root: str, path: str, spelling: str) -> Place:
    return Place(root, path, SPELLINGS[spelling](path))


roots = st.sampled_from(("", "", "", "a", "a/b", "a*"))
spellings = st.sampled_from(("plain", "plain", *SPELLINGS))
paths = st.sampled_from(PATHS)
places = st.builds(spelled, roots, paths, spellings)
folders = st.builds(spelled, roots, st.one_of(st.just(""), paths), spellings)
"""Places that may be the root, for folder and query methods, and now and then for the others."""
anywhere = st.one_of(places, places, places, folders)
contents = st.lists(st.binary(max_size=4), max_size=3)
metadatas = st.sampled_from((None, None, {"k": "1"}, {"k": "2", "x": ""}))
depths = st.sampled_from((None, None, 0, 1, 2, 9))
flags = st.booleans()


class SideBySide(RuleBasedStateMachine):
    """Does to a store what it does to a `Tree`, and looks at both."""

    def __init__(self, opened: Callable[[ExitStack], Store | AsyncStore], keeps_folders: bool) -> None:
        super().__init__()
        self._stack = ExitStack()
        store = opened(self._stack)
        self.view = View(store, empty_folders=keeps_folders)
        self.runner = self._stack.enter_context(asyncio.Runner()) if self.view.is_async else None
        self.tree = Tree(keeps_folders, frozenset(filter(store.supports, Capability)))

    def teardown(self) -> None:
        with self._stack:
            self.done(self.view.aclose if self.view.is_async else self.view.close)

    @initialize(grown=st.lists(paths, max_size=8))
    def grow(self, grown: list[str]) -> None:
        for path in grown:
            self.write(
                Place("", path, path), [path.encode()], stream=False, atomic=False, overwrite=True, metadata=None
            )

    # --- how a step runs

    def done(self, call: Callable[[], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            return await call()

        coroutine: Coroutine[Any, Any, Any] = main()
        return run_to_end(coroutine) if self.runner is None else self.runner.run(coroutine)

    def expect(self, refusal: Refusal, call: Callable[[], Awaitable[Any]]) -> Any:
        """The result of a call, or None when it is refused just as predicted."""
        if refusal is None:
            return self.done(call)
        kind, path = refusal
        with pytest.raises(kind) as caught:
            self.done(call)
        assert type(caught.value) is kind
        if kind is not CapabilityNotSupported:
            assert RemotePath.from_backend_path(caught.value.path or "") == RemotePath.from_backend_path(path)
        return None

    def at(self, root: str) -> View:
        return self.view.child(root) if root else self.view

    def stream(self, pieces: Sequence[bytes | BaseException]) -> Any:
        """Content of unknown length; to a file an empty piece is its end, to an iterator it is nothing."""
        return self.view.stream(pieces if self.view.is_async else [piece for piece in pieces if piece != b""])

    def one_of(self, data: st.DataObject, keys: Iterable[str]) -> Place:
        """Something that is there, seen from any store above it."""
        key = data.draw(st.sampled_from(sorted(keys)))
        root = data.draw(st.sampled_from(["", *above(key)]))
        path = key[len(root) + 1 :] if root else key
        return Place(root, path, path)

    def listed(self, call: Callable[[], Any]) -> list[Any]:
        async def collect() -> list[Any]:
            return [item async for item in call()]

        items: list[Any] = self.done(collect)
        return items

    # --- writing

    @rule(place=anywhere, pieces=contents, stream=flags, atomic=flags, overwrite=flags, metadata=metadatas)
    def write(
        self, place: Place, pieces: list[bytes], stream: bool, atomic: bool, overwrite: bool, metadata: Metadata
    ) -> None:
        view, data = self.at(place.root), b"".join(pieces)
        needed = Capability.ATOMIC_WRITE if atomic else Capability.WRITE
        refusal = self.tree.no_write(place.root, place.path, overwrite, metadata, needed)
        write = partial(view.write_atomic if atomic else view.write, place.text, overwrite=overwrite, metadata=metadata)
        result = self.expect(refusal, lambda: write(self.stream(pieces) if stream else data))
        if refusal is None:
            assert (str(result.path), result.size, result.metadata) == (place.path, len(data), metadata)
            self.tree.put(place.root, place.path, File(data, metadata))

    @rule(place=places, pieces=contents, overwrite=flags)
    def write_what_fails(self, place: Place, pieces: list[bytes], overwrite: bool) -> None:
        view = self.at(place.root)
        if self.tree.no_place(place.root, place.path, overwrite) is None:
            content = self.stream([*pieces, SourceFailed()])
            with pytest.raises(SourceFailed):
                self.done(lambda: view.write(place.text, content, overwrite=overwrite))

    @rule(place=anywhere, pieces=contents, overwrite=flags, metadata=metadatas, fails=flags)
    def open_atomic(self, place: Place, pieces: list[bytes], overwrite: bool, metadata: Metadata, fails: bool) -> None:
        async def block() -> Any:
            async with self.at(place.root).open_atomic(place.text, overwrite=overwrite, metadata=metadata) as file:
                for piece in pieces:
                    await file.write(piece)
                if fails:
                    raise SourceFailed
            return file.result

        refusal = self.tree.no_write(place.root, place.path, overwrite, metadata, Capability.ATOMIC_WRITE)
        if refusal is None and fails:
            with pytest.raises(SourceFailed):
                self.done(block)
            return
        result = self.expect(refusal, block)
        if refusal is None:
            data = b"".join(pieces)
            assert (str(result.path), result.size, result.metadata) == (place.path, len(data), metadata)
            self.tree.put(place.root, place.path, File(data, metadata))

    @rule(place=anywhere, data=st.binary(max_size=4), matches=flags)
    def swap(self, place: Place, data: bytes, matches: bool) -> None:
        view, etag = self.at(place.root), "other"
        is_file = self.tree.kind(place.root, place.path) == "file"
        if is_file and matches:
            etag = self.done(lambda: view.get_file_info(place.text)).etag or etag
        refusal = self.tree.lacks(Capability.CONDITIONAL_WRITE) or self.tree.no_place(place.root, place.path, True)
        if refusal is None and not (is_file and matches):
            refusal = PreconditionFailed, place.path
        self.expect(refusal, lambda: view.write(place.text, data, if_match=etag))
        if refusal is None:
            self.tree.put(place.root, place.path, File(data))

    @rule(data=st.data(), content=st.binary(max_size=4), matches=flags)
    def swap_what_is_there(self, data: st.DataObject, content: bytes, matches: bool) -> None:
        if self.tree.files:
            self.swap(self.one_of(data, self.tree.files), content, matches)

    # --- deleting

    @rule(place=anywhere, missing_ok=flags)
    def delete(self, place: Place, missing_ok: bool) -> None:
        refusal = self.tree.no_file(place.root, place.path)
        accepted = None if missing_ok and refusal and refusal[0] is NotFound else refusal
        self.expect(accepted, lambda: self.at(place.root).delete(place.text, missing_ok=missing_ok))
        if refusal is None:
            del self.tree.files[join(place.root, place.path)]

    @rule(place=anywhere, recursive=flags, missing_ok=flags)
    def delete_folder(self, place: Place, recursive: bool, missing_ok: bool) -> None:
        refusal = (InvalidPath, place.path) if not place.path else self.tree.no_folder(place.root, place.path)
        if refusal is None and not recursive:
            below = (self.tree.below(place.root, place.path, kind) for kind in ("file", "folder"))
            refusal = (DirectoryNotEmpty, place.path) if any(map(list, below)) else None
        accepted = None if missing_ok and refusal and refusal[0] is NotFound else refusal
        delete = partial(self.at(place.root).delete_folder, recursive=recursive, missing_ok=missing_ok)
        self.expect(accepted, lambda: delete(place.text))
        if refusal is None:
            self.tree.drop_folder(join(place.root, place.path))

    @rule(data=st.data(), recursive=flags)
    def delete_folder_that_is_there(self, data: st.DataObject, recursive: bool) -> None:
        if self.tree.folders:
            self.delete_folder(self.one_of(data, self.tree.folders), recursive, missing_ok=False)

    # --- moving

    @rule(root=roots, src=st.one_of(st.just(""), paths, paths, paths), dst=st.one_of(st.just(""), paths, paths, paths))
    def copy(self, root: str, src: str, dst: str) -> None:
        self._transfer("copy", root, src, dst, False)

    @rule(root=roots, src=paths, dst=paths, overwrite=flags, verb=st.sampled_from(("move", "copy")))
    def transfer(self, root: str, src: str, dst: str, overwrite: bool, verb: str) -> None:
        self._transfer(verb, root, src, dst, overwrite)

    @rule(data=st.data(), dst=paths, overwrite=flags, verb=st.sampled_from(("move", "copy")))
    def transfer_what_is_there(self, data: st.DataObject, dst: str, overwrite: bool, verb: str) -> None:
        if self.tree.files:
            self._transfer(verb, "", data.draw(st.sampled_from(sorted(self.tree.files))), dst, overwrite)

    def _transfer(self, verb: str, root: str, src: str, dst: str, overwrite: bool) -> None:
        refusal = self.tree.no_transfer(root, src, dst, overwrite)
        self.expect(refusal, lambda: getattr(self.at(root), verb)(src, dst, overwrite=overwrite))
        if refusal is None and src != dst:
            self.tree.put(root, dst, self.tree.files[join(root, src)])
            if verb == "move":
                del self.tree.files[join(root, src)]

    # --- questions

    @rule(place=anywhere)
    def ask(self, place: Place) -> None:
        view, kind = self.at(place.root), self.tree.kind(place.root, place.path)
        assert self.done(lambda: view.exists(place.text)) is (kind is not None)
        assert self.done(lambda: view.is_file(place.text)) is (kind == "file")
        assert self.done(lambda: view.is_folder(place.text)) is (kind == "folder")

    @rule(place=anywhere)
    def describe_file(self, place: Place) -> None:
        view, refusal = self.at(place.root), self.tree.no_file(place.root, place.path)
        info = self.expect(refusal, lambda: view.get_file_info(place.text))
        head = self.expect(refusal, lambda: view.head(place.text))
        if refusal is None:
            file = self.tree.files[join(place.root, place.path)]
            assert (str(info.path), info.name) == (place.path, place.path.rpartition("/")[2])
            assert (info.size, info.metadata) == (len(file.data), file.metadata)
            assert (head.path, head.size, head.source, head.metadata) == (
                info.path,
                info.size,
                "sidecar",
                file.metadata,
            )

    @rule(place=folders, max_depth=depths)
    def describe_folder(self, place: Place, max_depth: int | None) -> None:
        if not place.path and place.root in self.tree.files:
            return  # Totals of a child store whose root is a file: the contract does not say.
        refusal = self.tree.no_folder(place.root, place.path)
        info = self.expect(refusal, lambda: self.at(place.root).get_folder_info(place.text, max_depth=max_depth))
        if refusal is None:
            below = self.tree.below(place.root, place.path, "file")
            sizes = [
                len(self.tree.files[key].data) for key, _, depth in below if max_depth is None or depth <= max_depth
            ]
            assert (str(info.path), info.file_count, info.total_size) == (place.path or ".", len(sizes), sum(sizes))

    # --- reading

    @rule(place=anywhere, start=st.integers(0, 5), length=st.integers(0, 9))
    def read(self, place: Place, start: int, length: int) -> None:
        async def streamed() -> bytes:
            return b"".join([chunk async for chunk in view.read(place.text)])

        async def sought() -> bytes:
            async with await view.read_seekable(place.text) as stream:
                await stream.seek(start)
                return bytes(await stream.read())

        view, refusal = self.at(place.root), self.tree.no_file(place.root, place.path)
        part = self.expect(refusal, lambda: view.read_range(place.text, start, start + length))
        found = [self.expect(refusal, call) for call in (lambda: view.read_bytes(place.text), streamed, sought)]
        if refusal is None:
            data = self.tree.files[join(place.root, place.path)].data
            assert part == data[start : start + length]
            assert found == [data, data, data[start:]]

    @rule(data=st.data(), start=st.integers(0, 5), length=st.integers(0, 9))
    def look_at_what_is_there(self, data: st.DataObject, start: int, length: int) -> None:
        if self.tree.files:
            place = self.one_of(data, self.tree.files)
            self.read(place, start, length)
            self.describe_file(place)

    # --- listing

    @rule(place=folders, recursive=flags, max_depth=depths, pattern=st.sampled_from((None, None, "a*", "[!a]")))
    def list(self, place: Place, recursive: bool, max_depth: int | None, pattern: str | None) -> None:
        view = self.at(place.root)

        def expected(kind: str, deepest: int | None) -> list[str]:
            return sorted(
                own
                for _, own, depth in self.tree.below(place.root, place.path, kind)
                if (deepest is None or depth <= deepest) and fnmatchcase(own.rpartition("/")[2], pattern or "*")
            )

        options: dict[str, Any] = {"pattern": pattern, "max_depth": max_depth}
        files = self.listed(lambda: view.list_files(place.text, recursive=recursive, **options))
        deepest = max_depth if max_depth is not None else None if recursive else 0
        assert sorted(str(file.path) for file in files) == expected("file", deepest)
        assert all(file.metadata is None and file.name == file.path.name for file in files)
        subfolders = self.listed(lambda: view.list_folders(place.text, **options))
        assert sorted(str(folder.path) for folder in subfolders) == expected("folder", max_depth or 0)

    @rule(place=folders)
    def iterate_children(self, place: Place) -> None:
        children = self.listed(lambda: self.at(place.root).iter_children(place.text))
        found = sorted((str(child.path), "file" if isinstance(child, FileInfo) else "folder") for child in children)
        kinds = ("file", "folder")
        below = [(own, kind, d) for kind in kinds for _, own, d in self.tree.below(place.root, place.path, kind)]
        assert found == sorted((own, kind) for own, kind, depth in below if depth == 0)

    @rule(root=roots)
    def glob(self, root: str) -> None:
        files = [own for _, own, _ in self.tree.below(root, "", "file")]
        for pattern in GLOBS:
            found = self.listed(partial(self.at(root).glob, pattern))
            expected = sorted(own for own in files if matches(pattern.split("/"), own.split("/")))
            assert (pattern, sorted(str(file.path) for file in found)) == (pattern, expected)

    @invariant()
    def both_hold_the_same(self) -> None:
        files = self.listed(lambda: self.view.list_files("", recursive=True))
        assert {str(file.path): file.size for file in files} == {k: len(f.data) for k, f in self.tree.files.items()}
        assert len(files) == len(self.tree.files)
        subfolders = [str(folder.path) for folder in self.listed(lambda: self.view.list_folders("", max_depth=9))]
        assert sorted(subfolders) == sorted(self.tree.folders)
        for key, file in self.tree.files.items():
            assert self.done(partial(self.view.read_bytes, key)) == file.data
            assert self.done(partial(self.view.get_file_info, key)).metadata == file.metadata


# --- the stores

_names = (f"model-{number}" for number in itertools.count())


def _local(stack: ExitStack) -> Store:
    return Store(LocalBackend(stack.enter_context(tempfile.TemporaryDirectory())))


def _async_local(stack: ExitStack) -> AsyncStore:
    return AsyncStore(AsyncLocalBackend(stack.enter_context(tempfile.TemporaryDirectory())))


def _in_shared_memory(stack: ExitStack) -> str:
    """A folder of the tree that the process shares, empty again in the end."""
    name = next(_names)
    stack.callback(_forget, f"/{name}")
    return name


def _forget(folder: str) -> None:
    for key in [key for key in MemoryFileSystem.store if key.startswith(f"{folder}/")]:
        del MemoryFileSystem.store[key]
    MemoryFileSystem.pseudo_dirs[:] = [
        path for path in MemoryFileSystem.pseudo_dirs if path != folder and not path.startswith(f"{folder}/")
    ]


def _generic(stack: ExitStack) -> Store:
    return Store(FsspecBackend(UnknownFileSystem(f"/{_in_shared_memory(stack)}", MemoryFileSystem())))


STORES: dict[str, tuple[Callable[[ExitStack], Store | AsyncStore], bool]] = {
    "local": (_local, True),
    "memory": (lambda stack: Store(MemoryBackend()), True),
    "shared memory": (lambda stack: Store.from_url(f"memory://{_in_shared_memory(stack)}"), True),
    # fsspec keeps no folders for what is written through its own methods.
    "generic": (_generic, False),
    "async memory": (lambda stack: AsyncStore(AsyncMemoryBackend()), True),
    "async local": (_async_local, True),
}


@pytest.mark.parametrize("kind", STORES)
def test_a_store_does_what_the_model_predicts(kind: str) -> None:
    machine: Any = partial(SideBySide, *STORES[kind])
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=settings.default.max_examples * 2 // 5,
            stateful_step_count=40,
        ),
    )
