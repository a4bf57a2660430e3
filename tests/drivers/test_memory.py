"""Memory beyond the contract suite: isolation, and one tree with fsspec."""

from __future__ import annotations

import sys
import threading
import uuid
from functools import partial

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from remote_store import FsspecBackend, InvalidPath, NotFound, PreconditionFailed, Store
from remote_store.backends import MemoryBackend
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end


@pytest.fixture
def base() -> str:
    return f"tree-{uuid.uuid4().hex}"


def test_each_memory_backend_has_its_own_tree(base: str) -> None:
    one, two, shared = Store(MemoryBackend()), Store(MemoryBackend()), Store.from_url("memory://")
    one.write(f"{base}/f", b"1")
    assert not two.exists(f"{base}/f")
    assert not shared.exists(f"{base}/f")
    assert f"/{base}/f" not in MemoryFileSystem.store


def test_memory_urls_share_fsspecs_tree(base: str) -> None:
    store, fs = Store.from_url(f"memory://{base}"), fsspec.filesystem("memory")
    store.write("d/f", b"store")
    assert fs.cat_file(f"/{base}/d/f") == b"store"
    fs.pipe_file(f"/{base}/d/g", b"fsspec")
    assert store.read_bytes("d/g") == b"fsspec"
    assert sorted(e.name for e in store.list_files("d")) == ["f", "g"]
    assert Store.from_url(f"memory://{base}/d").read_bytes("g") == b"fsspec"
    store.delete("d/f")
    store.delete("d/g")
    assert fs.isdir(f"/{base}/d")
    store.delete_folder("d")
    assert not fs.exists(f"/{base}/d")


def test_what_fsspec_does_to_a_private_tree_is_seen() -> None:
    store = Store(MemoryBackend())
    fs = store.unwrap(MemoryFileSystem)
    store.write("d/e/f", b"1")
    fs.pipe_file("/d/g/h", b"2")
    fs.mkdir("/empty")
    assert sorted(str(e.path) for e in store.iter_children("d")) == ["d/e", "d/g"]
    assert store.is_folder("empty")
    fs.rm_file("/d/e/f")
    fs.rmdir("/empty")
    assert not store.exists("d/e/f")
    assert not store.exists("empty")
    assert [str(e.path) for e in store.list_files(recursive=True)] == ["d/g/h"]
    assert fs.find("/") == ["/d/g/h"]
    store.delete_folder("d", recursive=True)
    assert fs.ls("/") == []


def test_a_change_through_fsspec_changes_the_etag(base: str) -> None:
    store, fs = Store.from_url(f"memory://{base}"), fsspec.filesystem("memory")
    etag = store.write("f", b"1").etag
    assert store.get_file_info("f").etag == etag
    fs.pipe_file(f"/{base}/f", b"2")
    assert store.get_file_info("f").etag != etag
    with pytest.raises(PreconditionFailed):
        store.write("f", b"3", if_match=etag)
    etag = store.get_file_info("f").etag
    with fs.open(f"/{base}/f", "ab") as file:
        file.write(b"more")
    assert store.get_file_info("f").etag != etag


def test_names_no_path_can_spell_are_skipped_and_swept(base: str) -> None:
    store, fs = Store.from_url(f"memory://{base}"), fsspec.filesystem("memory")
    for name in ("d//f", "d/a\\b", "d/fine"):
        fs.store[f"/{base}/{name}"] = fs.open(f"/{base}/d/fine", "wb")
    with pytest.warns(UserWarning, match="RemotePath can spell") as caught:
        assert [str(e.path) for e in store.list_files("d", recursive=True)] == ["d/fine"]
    assert len(caught) == 1
    with pytest.raises(InvalidPath):
        store.to_key(f"/{base}/d//f")
    store.delete_folder("d", recursive=True)
    assert not [path for path in fs.store if path.startswith(f"/{base}/")]


def test_readers_of_one_file_have_their_own_positions_and_content() -> None:
    store = Store(MemoryBackend())
    store.write("f", b"0123456789")
    with store.read("f") as one, store.read("f") as two:
        assert one.read(5) == b"01234"
        store.write("f", b"new", overwrite=True)
        assert two.read() == b"0123456789"
        assert one.read() == b"56789"
        one.seek(-2, 2)
        assert one.read() == b"89"


def test_listing_while_others_write_is_safe() -> None:
    store = Store(MemoryBackend())
    stop = threading.Event()

    def churn(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.write(f"d/{worker}-{number % 50}", b"x", overwrite=True)
            store.delete(f"d/{worker}-{(number + 25) % 50}", missing_ok=True)

    threads = [threading.Thread(target=churn, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            assert all(e.size == 1 for e in store.list_files("d", recursive=True))
            store.get_folder_info("")
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_race_in_memory_is_decided_under_a_lock() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # Threads change places often enough to meet in any unguarded gap.
    try:
        for _ in range(60):
            store = Store(MemoryBackend())
            view = View(store)
            etag = store.write("shared", b"").etag
            created = run_to_end(view.race([partial(view.write, "new", b"x")] * 6))
            swapped = run_to_end(view.race([partial(view.write, "shared", b"x", if_match=etag)] * 6))
            for results in (created, swapped):
                assert len([r for r in results if not isinstance(r, BaseException)]) == 1
    finally:
        sys.setswitchinterval(interval)


def test_native_paths_are_fsspecs(base: str) -> None:
    store = Store.from_url(f"memory://{base}")
    assert store.native_path("a/b") == f"/{base}/a/b"
    assert store.to_key(f"memory://{base}/a/b") == "a/b"
    assert store.to_key(f"/{base}") == ""
    with pytest.raises(InvalidPath):
        store.to_key("/other/a")


def test_a_root_below_a_file_finds_nothing(base: str) -> None:
    Store.from_url("memory://").write(base, b"file")
    store = Store(FsspecBackend(MemoryFileSystem(), f"/{base}/below"))
    assert not store.exists("x")
    with pytest.raises(InvalidPath):
        store.write("x", b"")
    with pytest.raises(NotFound):
        store.read_bytes("x")
