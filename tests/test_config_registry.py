"""Stores by name: shared, closed, copied, pickled by name, and the default of a process."""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import os
import pickle
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from helpers.processes import DEADLINE, Fork, in_new_process

from remote_store import Store
from remote_store.aio import AsyncStore
from remote_store.config import Config, ConfigError, Registry, default_registry, set_default

SECRET = "dIsTiNcT"
VARIABLE = "REMOTE_STORE_CONFIG"


class Slow(MemoryFileSystem):
    """A filesystem that takes its time, and counts."""

    protocol = "slow"
    made = 0

    def __init__(self, password: str = "", **options: Any) -> None:
        time.sleep(0.05)
        type(self).made += 1
        super().__init__(**options)


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("slow", Slow, clobber=True)
    monkeypatch.setattr(Slow, "made", 0)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with a store of local files, whose folder is told by the environment."""
    monkeypatch.setenv("FILES_OF_TEST", str(tmp_path / "files"))
    path = tmp_path / "stores.toml"
    path.write_text(
        '[stores.files]\nurl = "file://${FILES_OF_TEST}"\nroot = "r"\noptions.durable = true\n'
        '[stores.same]\nbackend = "local"\noptions = { root = "files", durable = true }\n'
        '[stores.other]\nurl = "files"\n[stores.scratch]\nbackend = "memory"\n'
    )
    return path


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No default but what the test makes one."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with set_default(None):
        yield


# --- stores


def test_stores_with_equal_backends_share_one(file: Path) -> None:
    with Registry(file) as registry:
        assert registry.names == ("files", "same", "other", "scratch")
        assert registry.file == str(file)
        files, same, other = (registry.get_store(name) for name in ("files", "same", "other"))
        assert files._backend is same._backend
        assert other._backend is not same._backend
        files.write("f", b"1")
        assert same.read_bytes("r/f") == other.read_bytes("r/f") == b"1"
        assert registry.get_store("files") == files == same.child("r")
        assert len({files, same.child("r"), same, registry.get_store("files")}) == 2
        assert files == Store(files._backend, "r")


def test_threads_that_race_get_one_backend() -> None:
    registry = Registry({"stores": {name: {"url": "slow://x", "root": name} for name in ("a", "b")}})
    gate = threading.Barrier(16)

    def get(turn: int) -> Store:
        gate.wait(DEADLINE)
        return registry.get_store("ab"[turn % 2])

    with ThreadPoolExecutor(16) as threads, registry:
        stores = list(threads.map(get, range(16)))
    assert len({id(store._backend) for store in stores}) == Slow.made == 1
    assert len(set(stores)) == 2


def test_a_slow_backend_holds_up_no_other(tmp_path: Path) -> None:
    begun, release = threading.Event(), threading.Event()

    class Stuck(MemoryFileSystem):
        protocol = "stuck"

        def __init__(self, **options: Any) -> None:
            begun.set()
            assert release.wait(DEADLINE)
            super().__init__(**options)

    fsspec.register_implementation("stuck", Stuck, clobber=True)
    registry = Registry({"stores": {"slow": {"url": "stuck://x"}, "files": {"url": str(tmp_path)}}})
    with registry, ThreadPoolExecutor(1) as threads:
        try:
            slow = threads.submit(registry.get_store, "slow")
            assert begun.wait(DEADLINE)
            registry.get_store("files").write("f", b"1")
        finally:
            release.set()
        assert isinstance(slow.result(DEADLINE), Store)


def test_what_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry({"stores": {"a": {"url": f"{tmp_path}/a/${{NEW_VARIABLE}}"}}})
    with pytest.raises(ConfigError, match="NEW_VARIABLE is not set"):
        registry.get_store("a")
    monkeypatch.setenv("NEW_VARIABLE", "x")
    (tmp_path / "a").write_bytes(b"in the way")
    with pytest.raises(Exception, match=r"directory|folder|file"):
        registry.get_store("a")
    (tmp_path / "a").unlink()
    registry.get_store("a").write("f", b"1")


def test_memory_is_one_tree_for_all_of_a_registry() -> None:
    async def read(registry: Registry) -> bytes:
        return await registry.get_async_store("a").read_bytes("in/f")

    with Registry({"stores": {"a": {"backend": "memory"}, "b": {"backend": "memory", "root": "in"}}}) as registry:
        registry.get_store("b").write("f", b"1")
        assert registry.get_store("a").read_bytes("in/f") == b"1"
        assert asyncio.run(read(registry)) == asyncio.run(read(registry)) == b"1"
    with Registry({"stores": {"a": {"backend": "memory"}}}) as other:
        assert not other.get_store("a").exists("in/f")


# --- life


class Tagged(MemoryFileSystem):
    protocol = "tagged"

    def __init__(self, tag: str = "", **options: Any) -> None:
        self.tag = tag
        super().__init__(**options)


def test_closing_a_registry_closes_its_backends_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    from remote_store.backends._fsspec import FsspecBackend

    monkeypatch.setattr(FsspecBackend, "close", lambda self: closed.append(self._driver.fs.tag))
    fsspec.register_implementation("tagged", Tagged, clobber=True)
    stores = {name: {"url": "tagged://x", "options": {"tag": name}} for name in ("a", "b", "c")}
    with Registry({"stores": stores}) as registry:
        for name in ("a", "b"):
            with registry.get_store(name) as store:
                store.exists("f")
            with registry.get_store(name).child("x"):
                pass
        assert closed == []
        assert not registry.closed
    assert sorted(closed) == ["a", "b"]
    assert registry.closed
    for name in ("a", "c"):
        with pytest.raises(ConfigError, match="the registry is closed; make another"):
            registry.get_store(name)
        with pytest.raises(ConfigError, match="is closed"):
            registry.get_async_store(name)
    registry.close()


async def test_an_async_registry_closes_both_sides(file: Path) -> None:
    async with Registry(file) as registry:
        store = registry.get_async_store("files")
        assert isinstance(store, AsyncStore)
        await store.write("f", b"1")
        assert await store.read_bytes("f") == registry.get_store("files").read_bytes("f") == b"1"
        assert store == registry.get_async_store("files") == registry.get_async_store("same").child("r")
        async with store:
            pass
    with pytest.raises(ConfigError, match="is closed"):
        registry.get_async_store("files")
    await registry.aclose()


async def test_a_filesystem_that_is_asynchronous_runs_on_the_loop() -> None:
    pytest.importorskip("aiohttp")
    from fsspec.implementations.http import HTTPFileSystem

    async with Registry({"stores": {"a": {"backend": "http"}, "b": {"url": "http://127.0.0.1:1/x"}}}) as registry:
        for name in registry.names:
            store = registry.get_async_store(name)
            assert store.unwrap(HTTPFileSystem).asynchronous
            assert store == registry.get_async_store(name)
            assert not registry.get_store(name).unwrap(HTTPFileSystem).asynchronous


def test_a_filesystem_of_a_protocol_reads_and_writes(ftp_server: tuple[str, int]) -> None:
    from servers.ftp import PASSWORD, USER

    host, port = ftp_server
    login = {"username": USER, "password": PASSWORD}
    stores = {
        "url": {"url": f"ftp://{host}:{port}/", "root": "configured", "options": login},
        "userinfo": {"url": f"ftp://{USER}:{PASSWORD}@{host}:{port}/", "root": "configured"},
        "backend": {"backend": "ftp", "root": "configured", "options": {"host": host, "port": str(port), **login}},
    }
    with Registry({"stores": stores}) as registry:
        registry.get_store("url").write("f", b"1", overwrite=True)
        for name in registry.names:
            assert registry.get_store(name).read_bytes("f") == b"1"
            assert PASSWORD.encode() not in pickle.dumps(registry.get_store(name))


# --- copies and pickles


def roundtrips() -> list[Callable[[Any], Any]]:
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    return [*(lambda s, p=p: pickle.loads(pickle.dumps(s, p)) for p in protocols), copy.copy, copy.deepcopy]  # type: ignore[misc]


@pytest.mark.parametrize("source", ["file", "dict"])
def test_a_copy_equals_its_original(source: str, file: Path) -> None:
    registry = Registry(file if source == "file" else {"stores": {"files": {"url": "slow://x", "root": "r"}}})
    names = registry.names
    with registry:
        for name in names:
            for store in (registry.get_store(name), registry.get_async_store(name)):
                for one in (store, store.child("a/b"), store.child("a").child("b")):
                    for again in (work(one) for work in roundtrips()):
                        assert again == one
                        assert (type(again), repr(again), hash(again)) == (type(one), repr(one), hash(one))


def test_a_pickle_has_the_name_alone(file: Path) -> None:
    options = {"password": SECRET}
    with Registry({"stores": {"vault": {"url": "slow://host-of-it/x", "options": options}}}) as registry:
        for store in (registry.get_store("vault"), registry.get_async_store("vault").child("below")):
            data = pickle.dumps(store)
            assert b"vault" in data
            assert not any(word in data for word in (SECRET.encode(), b"slow", b"host-of-it", b"password"))
    with Registry(file) as registry:
        data = pickle.dumps(registry.get_store("files").child("below"))
        assert str(file).encode() in data
        assert b"below" in data
        assert b"durable" not in data


def test_stores_that_come_from_no_registry_pickle_as_before(tmp_path: Path) -> None:
    store = Store.from_url(str(tmp_path)).child("a")
    again = pickle.loads(pickle.dumps(store))
    assert again != store
    assert again.native_path("x") == store.native_path("x")


def read_f(store: Store) -> tuple[bytes, str]:
    with store:
        return store.read_bytes("f"), repr(store)


def read_f_async(store: AsyncStore) -> tuple[bytes, str]:
    async def main() -> tuple[bytes, str]:
        async with store:
            return await store.read_bytes("f"), repr(store)

    return asyncio.run(main())


def unpickle(data: bytes) -> str:
    try:
        return repr(pickle.loads(data))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def test_a_store_of_a_file_works_in_another_process(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Registry("stores.toml") as registry:
        for store in (registry.get_store("files"), registry.get_store("files").child("c")):
            store.write("f", b"1")
            monkeypatch.chdir("/")
            assert in_new_process(read_f, store) == (b"1", repr(store))
            monkeypatch.chdir(tmp_path)
        relative = registry.get_async_store("same").child("r")
        monkeypatch.chdir("/")
        assert in_new_process(read_f_async, relative) == (b"1", repr(relative))
        monkeypatch.delenv("FILES_OF_TEST")
        told = in_new_process(unpickle, pickle.dumps(registry.get_store("files")))
        assert told == f"ConfigError: {file}: stores.files.url: the environment variable FILES_OF_TEST is not set"


def test_spawned_workers_get_stores_by_name(file: Path) -> None:
    with Registry(file) as registry:
        store = registry.get_store("files")
        store.write("f", b"1")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map(read_f, [store, store]) == [(b"1", repr(store))] * 2
            aio = registry.get_async_store("files")
            assert pool.map(read_f_async, [aio, aio]) == [(b"1", repr(aio))] * 2
            pool.close()
            pool.join()


def test_a_store_of_code_needs_a_default_elsewhere(file: Path, monkeypatch: pytest.MonkeyPatch, default: None) -> None:
    with Registry({"stores": {"files": {"url": "${FILES_OF_TEST}", "root": "r"}}}) as registry:
        store = registry.get_store("files")
        store.write("f", b"1")
        data = pickle.dumps(store)
        told = in_new_process(unpickle, data)
        assert told.startswith("ConfigError: no configuration: set REMOTE_STORE_CONFIG to the path of a TOML file")
        monkeypatch.setenv(VARIABLE, str(file))
        assert in_new_process(read_f, store) == (b"1", repr(store))
        assert "no store 'filez'" in in_new_process(unpickle, data.replace(b"files", b"filez"))


def test_private_memory_is_not_found_in_another_process(file: Path) -> None:
    with Registry(file) as registry:
        store = registry.get_store("scratch")
        assert pickle.loads(pickle.dumps(store)) == store
        told = in_new_process(unpickle, pickle.dumps(store))
    assert told.startswith("UnpicklingError: the store 'scratch' lives in the memory of another process")


def test_a_pickle_outlives_its_registry(file: Path) -> None:
    with Registry(file) as registry:
        data = pickle.dumps(registry.get_store("files"))
    again, and_again = pickle.loads(data), pickle.loads(data)
    again.write("f", b"1", overwrite=True)
    assert again == and_again
    kept = weakref.ref(registry)
    del registry
    gc.collect()
    assert kept() is None


def test_a_store_keeps_its_registry(file: Path) -> None:
    store = Registry(file).get_store("files")
    gc.collect()
    assert pickle.loads(pickle.dumps(store)) == store


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
def test_a_registry_works_after_a_fork(file: Path, default: None) -> None:
    registry = Registry({"stores": {"files": {"url": "${FILES_OF_TEST}"}, "m": {"backend": "memory"}}})
    set_default(registry)
    store, memory = registry.get_store("files"), registry.get_store("m")
    store.write("f", b"1")
    memory.write("f", b"m")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._lock, registry._shared[0].lock:
            held.set()
            release.wait(DEADLINE)

    def work() -> bool:
        again = pickle.loads(pickle.dumps((store, memory)))
        new = default_registry().get_store("files")
        return again == (store, memory) and again[1].read_bytes("f") == b"m" and read_f(new)[0] == b"1"

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(DEADLINE)
        with Fork(work) as child:
            assert child.result() is True
    finally:
        release.set()
        thread.join()
    registry.close()


# --- the default


def test_the_default_comes_from_the_environment(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default: None
) -> None:
    for work in (default_registry, Registry.from_env):
        with pytest.raises(ConfigError, match="set REMOTE_STORE_CONFIG to the path of a TOML file"):
            work()
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(ConfigError, match="set_default"):
        default_registry()
    monkeypatch.setenv(VARIABLE, str(file))
    registry = default_registry()
    assert default_registry() is registry
    assert registry.file == str(file)
    assert Registry.from_env() is not registry
    assert Registry.from_env().names == registry.names
    other = tmp_path / "other.toml"
    monkeypatch.setenv(VARIABLE, str(other))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"other.toml: no such file"):
            default_registry()
    other.write_text('[stores.a]\nurl = "x"\n')
    assert default_registry().names == ("a",)
    assert default_registry() is default_registry()
    other.write_text('[stores.b]\nurl = "x"\n')
    assert default_registry().names == ("a",)
    monkeypatch.setenv(VARIABLE, str(file))
    assert default_registry().names == registry.names
    monkeypatch.setenv(VARIABLE, str(other))
    assert default_registry().names == ("b",)


def test_a_default_that_was_closed_is_made_anew(file: Path, monkeypatch: pytest.MonkeyPatch, default: None) -> None:
    monkeypatch.setenv(VARIABLE, str(file))
    with default_registry() as first:
        assert first.get_store("files") == pickle.loads(pickle.dumps(default_registry().get_store("files")))
    assert default_registry() is not first
    default_registry().get_store("files").write("f", b"1")


def test_a_default_can_be_set_for_good_or_for_a_block(
    file: Path, monkeypatch: pytest.MonkeyPatch, default: None
) -> None:
    one, two = (Registry(Config(stores={name: {"backend": "memory"}})) for name in "ab")
    set_default(one)
    assert default_registry() is one
    with set_default(two):
        assert default_registry() is two
        with set_default(None), pytest.raises(ConfigError):
            default_registry()
    assert default_registry() is one
    with pytest.raises(RuntimeError), set_default(two):
        raise RuntimeError
    assert default_registry() is one


def test_threads_that_race_get_one_default(file: Path, monkeypatch: pytest.MonkeyPatch, default: None) -> None:
    monkeypatch.setenv(VARIABLE, str(file))
    gate = threading.Barrier(16)

    def get(_: int) -> Registry:
        gate.wait(DEADLINE)
        return default_registry()

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(get, range(16)))) == 1


def test_what_a_registry_shows_is_short(file: Path) -> None:
    assert repr(Registry({"stores": {}})) == "Registry(file='', names=())"
    assert repr(Registry(file)).startswith(f"Registry(file='{file}', names=('files', ")
