"""Filesystems that only wrap another: the driver of what is inside serves them, and they spell the paths."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.cached import SimpleCacheFileSystem, WholeFileCacheFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations
from helpers.kinds import UnknownFileSystem, UnknownLooped

from remote_store import (
    AlreadyExists,
    Capability,
    CapabilityNotSupported,
    DirectoryNotEmpty,
    FsspecBackend,
    NotFound,
    Store,
)
from remote_store.aio import AsyncFsspecBackend, AsyncStore
from remote_store.backends import LocalBackend
from remote_store.drivers.registry import driver_for


def local() -> Any:
    return LocalFileSystem(skip_instance_cache=True)


def dir_of(folder: object, fs: Any = None, **options: Any) -> Any:
    return DirFileSystem(str(folder), fs or local(), skip_instance_cache=True, **options)


WRAPPED = {
    "dir": lambda folder: (dir_of(folder), "in"),
    "dir, twice": lambda folder: (dir_of("in", dir_of(folder)), ""),
    "wrapper": lambda folder: (AsyncFileSystemWrapper(local(), asynchronous=False), f"{folder}/in"),
    "wrapper in dir": lambda folder: (dir_of(folder, AsyncFileSystemWrapper(local(), asynchronous=False)), "/in/"),
    "dir in wrapper": lambda folder: (AsyncFileSystemWrapper(dir_of(f"{folder}/in"), asynchronous=True), ""),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrappers_have_all_that_the_filesystem_inside_can_do(wrap: Any, tmp_path: Path) -> None:
    fs, root = wrap(tmp_path)
    store = Store(FsspecBackend(fs, root))
    assert {*store._backend.capabilities} == {*LocalBackend(tmp_path / "in").capabilities}
    store.write_atomic("a/b", b"1")
    assert (tmp_path / "in" / "a" / "b").read_bytes() == b"1"
    with pytest.raises(AlreadyExists) as caught:
        store.write("a/b", b"2")
    assert caught.value.path == "a/b"
    assert store.unwrap(type(fs)) is fs


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_paths_are_spelled_as_the_given_filesystem_does(wrap: Any, tmp_path: Path) -> None:
    fs, root = wrap(tmp_path)
    store = Store(FsspecBackend(fs, root))
    store.write("a b/c", b"1")
    native = store.native_path("a b/c")
    assert store.to_key(native) == "a b/c"
    assert store.resolve("a b/c").native_path == native
    sync = fs if not fs.asynchronous else fs.sync_fs
    assert sync.cat_file(native) == b"1"
    again = pickle.loads(pickle.dumps(store))
    assert again.read_bytes("a b/c") == b"1"
    assert again.native_path("a b/c") == native


def test_local_files_of_pyarrow_are_local_files(tmp_path: Path) -> None:
    fs = ArrowFSWrapper(pytest.importorskip("pyarrow.fs").LocalFileSystem())
    store = Store(FsspecBackend(fs, str(tmp_path / "in")))
    assert {*store._backend.capabilities} == {*LocalBackend(tmp_path / "in").capabilities}
    store.write("d/e/f", b"1")
    assert fs.cat_file(store.native_path("d/e/f")) == b"1"
    assert store.unwrap(ArrowFSWrapper) is fs
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("d")
    assert pickle.loads(pickle.dumps(store)).read_bytes("d/e/f") == b"1"


async def test_an_asynchronous_backend_over_what_blocks_runs_it_in_threads(tmp_path: Path) -> None:
    fs = AsyncFileSystemWrapper(dir_of(tmp_path), asynchronous=True)
    backend = AsyncFsspecBackend(fs, "in")
    assert isinstance(backend, AsyncFsspecBackend)
    async with AsyncStore(backend) as store:
        assert store.supports(Capability.EXCLUSIVE_CREATE)
        async with store.open_atomic("a/b") as file:
            await file.write(b"1")
        assert (tmp_path / "in" / "a" / "b").read_bytes() == b"1"
        assert store.unwrap(AsyncFileSystemWrapper) is fs
        again = pickle.loads(pickle.dumps(backend))
        assert await AsyncStore(again).read_bytes("a/b") == b"1"
        assert backend.driver.root == str(tmp_path / "in")
        assert (await AsyncStore(backend.claiming(backend.capabilities)).read_bytes("a/b")) == b"1"


async def test_a_synchronous_wrapper_is_still_refused_by_an_asynchronous_backend(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="blocks the loop"):
        AsyncFsspecBackend(dir_of(tmp_path))
    async with AsyncStore(FsspecBackend(dir_of(tmp_path))) as store:
        await store.write_atomic("f", b"1")


async def test_an_asynchronous_folder_is_deleted_with_its_folders(tmp_path: Path) -> None:
    inner = AsyncFileSystemWrapper(local(), asynchronous=True)
    fs = dir_of(tmp_path, inner, asynchronous=True)
    async with AsyncStore(AsyncFsspecBackend(fs)) as store:
        await store.write("d/e/f", b"1")
        await store.delete_folder("d", recursive=True)
    assert not (tmp_path / "d").exists()


async def test_an_asynchronous_dir_over_memory_needs_no_thread() -> None:
    fs = DirFileSystem(
        "/wrapped-memory", AsyncFileSystemWrapper(MemoryFileSystem(), asynchronous=True), asynchronous=True
    )
    backend = AsyncFsspecBackend(fs)
    assert backend.driver.runs == "inline"
    async with AsyncStore(backend) as store:
        await store.write("f", b"1", metadata={"a": "1"})
        assert (await store.get_file_info("f")).metadata == {"a": "1"}
        await store.delete("f")


def test_a_subclass_may_do_more_and_stays_generic(tmp_path: Path) -> None:
    for fs in (UnknownFileSystem(str(tmp_path), local()), UnknownLooped(local(), asynchronous=False)):
        assert type(driver_for(fs, "")).__name__ == "GenericDriver"
    inner = DirFileSystem("in", UnknownFileSystem(str(tmp_path), local()))
    assert not FsspecBackend(inner).capabilities.supports(Capability.ATOMIC_WRITE)


def test_a_root_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        FsspecBackend(dir_of(tmp_path / "a"), "../b")
    assert not (tmp_path / "b").exists()


def test_whole_trees_as_folders(tmp_path: Path) -> None:
    store = Store(FsspecBackend(dir_of("/"), str(tmp_path)))
    store.write("f", b"1")
    assert (tmp_path / "f").read_bytes() == b"1"
    assert store.native_path("f") == str(tmp_path / "f")[1:]
    (tmp_path / "link").symlink_to(tmp_path)
    assert Store(FsspecBackend(dir_of(tmp_path / "link"))).native_path("f") == "f"


def test_urls_of_folders(tmp_path: Path) -> None:
    with Store.from_url(f"dir://in::file://{tmp_path}") as store:
        assert store.supports(Capability.EXCLUSIVE_CREATE)
        store.write("f", b"1")
        assert (tmp_path / "in" / "f").read_bytes() == b"1"
        assert store.resolve("f").backend == "dir"
        assert store.unwrap(DirFileSystem).path == str(tmp_path)
    with Store.from_url(f"dir://in::file://{tmp_path}") as store:
        assert store.read_bytes("f") == b"1"


async def test_asynchronous_urls_of_wrappers(tmp_path: Path) -> None:
    for scheme in {"dir", "async_wrapper"} & known_implementations.keys():  # Older ones know no URL of the second.
        root = "in" if scheme == "dir" else tmp_path / "in"
        async with AsyncStore.from_url(f"{scheme}://{root}::file://{tmp_path}") as store:
            assert store.supports(Capability.ATOMIC_WRITE)
            await store.write_atomic(scheme, b"1")
        assert (tmp_path / "in" / scheme).read_bytes() == b"1"


@pytest.mark.parametrize("cached", [SimpleCacheFileSystem, WholeFileCacheFileSystem])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda fs: fs,
        lambda fs: DirFileSystem("/d", fs),
        lambda fs: AsyncFileSystemWrapper(fs, asynchronous=False),
        lambda fs: DirFileSystem("e", DirFileSystem("/d", AsyncFileSystemWrapper(fs, asynchronous=False))),
        lambda fs: UnknownFileSystem("/d", fs),
    ],
)
def test_a_cache_is_refused_wherever_it_is(cached: Any, wrap: Any, tmp_path: Path) -> None:
    cache = cached(fs=MemoryFileSystem(), cache_storage=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"may be stale.* what is inside it: memory$"):
        FsspecBackend(wrap(cache))
    with pytest.raises(ValueError, match="may be stale"):
        FsspecBackend(cached(fs=DirFileSystem("/d", MemoryFileSystem()), cache_storage=str(tmp_path / "cache")))


def test_errors_of_what_is_inside_name_keys_of_the_store(tmp_path: Path) -> None:
    store = Store(FsspecBackend(dir_of(tmp_path), "in")).child("deep")
    with pytest.raises(NotFound) as caught:
        store.read_bytes("no/such")
    assert (caught.value.path, caught.value.backend) == ("no/such", "dir")
    with pytest.raises(CapabilityNotSupported):
        store.sign("f")


@pytest.mark.parametrize("root", ["x/../../b", "x\\..\\..\\b"])
def test_a_root_that_leads_out_is_refused_however_it_is_spelled(root: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leads out"):
        FsspecBackend(DirFileSystem(str(tmp_path / "a"), LocalFileSystem()), root)


def test_local_files_of_obstore_are_found_by_url(tmp_path: Path) -> None:
    fs = pytest.importorskip("obstore.fsspec").FsspecStore("file")
    Store(FsspecBackend(fs, f"file://{tmp_path}/there")).write("f", b"1")
    assert (tmp_path / "there/f").read_bytes() == b"1"


def test_a_store_that_was_closed_does_not_get_a_closed_filesystem_again(tmp_path: Path) -> None:
    inner = MemoryFileSystem()
    store = Store(FsspecBackend(DirFileSystem("/closed", inner)).adopt())
    before = store.unwrap(DirFileSystem)
    store.write("f", b"1")
    store.close()
    assert store.read_bytes("f") == b"1"
    assert store.unwrap(DirFileSystem) is not before


@pytest.mark.parametrize("root", ["", ".", "/"])
def test_the_folder_of_a_wrapper_is_its_root_in_every_spelling(root: str, tmp_path: Path) -> None:
    fs = DirFileSystem(str(tmp_path), LocalFileSystem())
    store = Store(FsspecBackend(fs, root))
    store.write("d/f", b"1")
    assert fs.cat_file("d/f") == b"1"
    assert store.native_path("d/f") == "d/f"
    assert store.to_key("d/f") == "d/f"
