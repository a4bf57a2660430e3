"""Stores by name: shared, closed, pickled by name, on S3, and the default of a process."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import multiprocessing
import os
import pickle
import threading
import time
import traceback
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("s3fs")

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from helpers.deadline import DEADLINE
from helpers.processes import Fork, in_new_process
from servers.s3 import BUCKET, KEY, S3Server
from servers.s3 import SECRET as SECRET_KEY

from remote_store import BackendUnavailable, InvalidPath, NotFound, RemoteStoreError, Store
from remote_store.aio import AsyncStore
from remote_store.backends import LocalBackend, S3Backend
from remote_store.config import Config, ConfigError, Registry, default_registry, set_default

DISTINCT = "dIsTiNcT"
VARIABLE = "REMOTE_STORE_CONFIG"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with a store of local files, whose folder is told by the environment."""
    monkeypatch.setenv("FILES_OF_TEST", str(tmp_path / "files"))
    path = tmp_path / "stores.toml"
    path.write_text(
        '[stores.files]\nurl = "file://${FILES_OF_TEST}"\nroot = "r"\noptions.durable = true\n'
        '[stores.same]\nurl = "file://${FILES_OF_TEST}"\noptions.durable = true\n'
        '[stores.other]\nurl = "files"\n[stores.scratch]\nbackend = "memory"\n'
    )
    return path


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No default but what the test makes one."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with set_default(None):
        yield


@pytest.fixture
def config(moto_server: S3Server) -> dict[str, Any]:
    """Stores in one bucket, by URL and by options."""
    prefix, options = moto_server.fresh_prefix(), moto_server.options
    url = f"s3://{BUCKET}/{prefix}"
    policies = {"timeout": 7.5, "retries": 2, "reject_write_under_file_ancestor": True}
    return {
        "stores": {
            "url": {"url": url, "root": "r", "options": options},
            "same": {"url": url, "options": options},
            "backend": {"backend": "s3", "options": {"bucket": BUCKET, "root": prefix, **options}},
            "strict": {"url": url, "options": options, **policies},
        }
    }


@pytest.fixture
def s3_file(config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration as a file, credentials in the environment."""
    monkeypatch.setenv("S3_TEST_KEY", KEY)
    monkeypatch.setenv("S3_TEST_SECRET", SECRET_KEY)
    store = config["stores"]["url"]
    options = {**store["options"], "key": "${S3_TEST_KEY}", "secret": "${S3_TEST_SECRET}"}
    table = ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
    path = tmp_path / "s3.toml"
    path.write_text(f'[stores.url]\nurl = "{store["url"]}"\nroot = "r"\noptions = {{ {table} }}\n')
    return path


# --- stores


def test_stores_that_differ_in_their_root_share_a_backend(file: Path, tmp_path: Path) -> None:
    with Registry(file) as registry:
        assert registry.names == ("files", "same", "other", "scratch")
        files, same, other = (registry.get_store(name) for name in ("files", "same", "other"))
        assert files._backend is same._backend
        assert type(same._backend) is LocalBackend
        assert other._backend is not same._backend
        files.write("f", b"1")
        assert same.read_bytes("r/f") == other.read_bytes("r/f") == b"1"
        assert registry.get_store("files") == files == same.child("r") == Store(files._backend, "r")
        assert len({files, same.child("r"), same, registry.get_store("files")}) == 2
        assert repr(files) == f"Store(backend='local', root='{tmp_path}/files', root_path='r')"


def test_threads_that_race_get_one_backend(file: Path, monkeypatch: pytest.MonkeyPatch, default: None) -> None:
    made: list[object] = []

    class Slow(MemoryFileSystem):
        protocol = "slow"

        def __init__(self, **options: Any) -> None:
            time.sleep(0.05)
            made.append(self)
            super().__init__(**options)

    fsspec.register_implementation("slow", Slow, clobber=True)
    with file.open("a") as more:
        more.write('[stores.a]\nurl = "slow://x"\nroot = "a"\n[stores.b]\nurl = "slow://x"\nroot = "b"\n')
    monkeypatch.setenv(VARIABLE, str(file))
    gate = threading.Barrier(8)

    def get(turn: int) -> Store:
        gate.wait(DEADLINE)
        return default_registry().get_store("ab"[turn % 2])

    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(get, range(8)))
    assert len({id(store._backend) for store in stores}) == len(made) == 1
    assert len(set(stores)) == 2


def test_what_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry({"stores": {"a": {"url": f"{tmp_path}/a/${{NEW_VARIABLE}}"}}})
    with pytest.raises(ConfigError, match="NEW_VARIABLE is not set"):
        registry.get_store("a")
    monkeypatch.setenv("NEW_VARIABLE", "x")
    (tmp_path / "a").write_bytes(b"in the way")
    with pytest.raises(InvalidPath, match="is not a folder"):
        registry.get_store("a")
    (tmp_path / "a").unlink()
    registry.get_store("a").write("f", b"1")


def test_a_store_over_a_store_of_its_registry_holds_nobody_up() -> None:
    stores = {"outer": {"url": "dir://x::remote-store://inner"}, "inner": {"backend": "memory"}}
    with Registry({"stores": stores}) as registry, set_default(registry):
        outer = registry.get_store("outer")
        registry.get_store("inner").write("x/f", b"1")
        assert outer.read_bytes("f") == b"1"


def test_memory_is_one_tree_for_all_of_a_registry() -> None:
    async def read(registry: Registry) -> bytes:
        return await registry.get_async_store("a").read_bytes("in/f")

    with Registry({"stores": {"a": {"backend": "memory"}, "b": {"backend": "memory", "root": "in"}}}) as registry:
        registry.get_store("b").write("f", b"1")
        assert registry.get_store("a").read_bytes("in/f") == b"1"
        assert asyncio.run(read(registry)) == asyncio.run(read(registry)) == b"1"
    with Registry({"stores": {"a": {"backend": "memory"}}}) as other:
        assert not other.get_store("a").exists("in/f")


def test_a_filesystem_of_a_protocol_reads_and_writes(ftp_server: tuple[str, int]) -> None:
    from servers.ftp import PASSWORD, USER

    host, port = ftp_server
    fields = {"url": f"ftp://{host}:{port}/configured", "options": {"username": USER, "password": PASSWORD}}
    with Registry({"stores": {"a": fields, "below": {**fields, "root": "d"}}}) as registry:
        registry.get_store("below").write("f", b"1", overwrite=True)
        assert registry.get_store("a").read_bytes("d/f") == b"1"
        assert PASSWORD.encode() not in pickle.dumps(registry.get_store("a"))


# --- S3


def test_a_store_on_s3_reads_and_writes(config: dict[str, Any]) -> None:
    with Registry(config) as registry:
        url, same, backend = (registry.get_store(name) for name in ("url", "same", "backend"))
        assert url._backend is same._backend
        assert isinstance(url._backend, S3Backend)
        url.write("a/b", b"1")
        assert same.read_bytes("r/a/b") == backend.read_bytes("r/a/b") == b"1"
        assert [str(found.path) for found in url.list_files("", recursive=True)] == ["a/b"]
        with pytest.raises(NotFound) as caught:
            url.read_bytes("missing")
        assert (caught.value.path, caught.value.backend) == ("missing", "s3")


def test_policies_reach_the_sdk(config: dict[str, Any]) -> None:
    with Registry(config) as registry:
        strict, loose = registry.get_store("strict"), registry.get_store("same")
        assert strict._backend is not loose._backend
        loose.write("file", b"1")
        loose.write("file/below", b"1")
        with pytest.raises(InvalidPath):
            strict.write("file/below2", b"1")
        driver = strict._backend._driver  # type: ignore[attr-defined]
        assert driver.timeout == 7.5
        # Two more after the first.
        assert driver.fs._s3.meta.config.retries == {"mode": "standard", "total_max_attempts": 3}


async def test_an_async_store_belongs_to_its_loop(config: dict[str, Any]) -> None:
    async with Registry(config) as registry:
        url, same = registry.get_async_store("url"), registry.get_async_store("same")
        assert url._backend is same._backend
        assert url == same.child("r") == pickle.loads(pickle.dumps(url)) == copy.deepcopy(url)
        async with url, url.child("x"):
            await url.write("a/b", b"1")
        assert await same.read_bytes("r/a/b") == b"1"
        assert await asyncio.to_thread(registry.get_store("url").read_bytes, "a/b") == b"1"
        old = registry.get_store("url")
    for attempt in (url.read_bytes("a/b"), asyncio.to_thread(old.read_bytes, "a/b")):
        with pytest.raises(BackendUnavailable, match="is closed"):
            await attempt
    assert await registry.get_async_store("url").read_bytes("a/b") == b"1"
    await registry.aclose()


def test_each_loop_has_its_own_backend_and_closes_it(config: dict[str, Any]) -> None:
    """Were a backend left open, its session would warn, and warnings are errors."""
    registry = Registry(config)
    seen: list[weakref.ref[Any]] = []

    async def get() -> AsyncStore:
        store = registry.get_async_store("url")
        seen.extend((weakref.ref(asyncio.get_running_loop()), weakref.ref(store._backend)))
        return store

    async def use() -> None:
        store = await get()
        assert store._backend is registry.get_async_store("url")._backend
        await store.write("f", b"1", overwrite=True)

    for _ in range(3):
        asyncio.run(use())
    loop = asyncio.new_event_loop()  # One that is not shut down: its backend is but forgotten.
    loop.run_until_complete(get())
    loop.close()
    del loop
    past = [*seen]
    asyncio.run(use())
    gc.collect()
    assert [one() for one in past] == [None] * 8
    registry.close()


def test_an_async_store_got_outside_of_a_loop_belongs_to_its_user(config: dict[str, Any]) -> None:
    registry = Registry(config)
    store, other = registry.get_async_store("url"), registry.get_async_store("url")
    assert store._backend is not other._backend

    async def use(store: AsyncStore) -> bytes:
        async with store:
            await store.write("f", b"1", overwrite=True)
            return await store.read_bytes("f")

    assert asyncio.run(use(store)) == asyncio.run(use(other)) == b"1"
    del store, other
    gc.collect()
    registry.close()


async def test_no_log_or_text_of_live_stores_has_a_secret(
    moto_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, botocore logs headers with key id and session token, and what it signs."""
    caplog.set_level(logging.DEBUG)
    options = {**moto_server.options, **{name: f"{DISTINCT}-{name}" for name in ("key", "secret", "token")}}
    stores = {
        "a": {"url": f"s3://{BUCKET}/{moto_server.fresh_prefix()}", "options": options},
        "no": {"url": "s3://no-such-bucket", "options": options},
    }
    texts: list[str] = []
    async with Registry({"stores": stores}) as registry:
        aio = registry.get_async_store("a")
        await aio.write("f", b"1")

        def use() -> None:
            store = registry.get_store("a")
            assert store.read_bytes("f") == b"1"
            store.write("g", b"x" * (9 << 20))
            missing, no_bucket = (lambda: store.read_bytes("missing")), registry.get_store("no").ping
            for attempt in (missing, lambda: store.write("f", b"2"), no_bucket):
                with pytest.raises(RemoteStoreError) as caught:
                    attempt()
                texts.extend(traceback.format_exception(caught.value))
            plan = store.resolve("f")
            texts.extend([repr(store), repr(store._backend), repr(plan), str(pickle.dumps(store)), repr(registry)])

        await asyncio.to_thread(use)
        texts.extend([repr(aio), repr(aio._backend), repr(aio.resolve("f"))])
    assert {"botocore.endpoint", "botocore.auth"} <= {record.name for record in caplog.records}
    texts.extend(f"{record.getMessage()} {record.args!r}" for record in caplog.records)
    assert "x-amz-security-token:***" in "".join(texts)
    assert DISTINCT not in "".join(texts)


# --- life


def test_a_registry_closes_its_backends_and_makes_others_when_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from remote_store.backends._fsspec import FsspecBackend

    closed: list[str] = []
    monkeypatch.setattr(FsspecBackend, "close", lambda self: closed.append(self._driver.root))
    with Registry({"stores": {name: {"url": f"memory://closing-{name}"} for name in "abc"}}) as registry:
        with registry.get_store("a") as a, registry.get_store("b"), registry.get_store("a").child("x"):
            a.exists("f")
        assert closed == []
    assert sorted(closed) == ["/closing-a", "/closing-b"]
    registry.close()
    assert len(closed) == 2
    assert registry.get_store("a")._backend is not a._backend


async def test_an_async_registry_closes_both_sides(file: Path) -> None:
    async with Registry(file) as registry:
        store = registry.get_async_store("files")
        async with store:
            await store.write("f", b"1")
        assert await store.read_bytes("f") == registry.get_store("files").read_bytes("f") == b"1"
        assert store == registry.get_async_store("files") == registry.get_async_store("same").child("r")
    await registry.aclose()


# --- copies and pickles


@pytest.mark.parametrize("source", ["file", "dict"])
def test_a_copy_equals_its_original(source: str, file: Path) -> None:
    registry = Registry(file if source == "file" else {"stores": {"files": {"url": "memory://copied", "root": "r"}}})
    with registry:
        for store in (registry.get_store("files"), registry.get_async_store("files")):
            for one in (store, store.child("a/b"), store.child("a").child("b")):
                pickles = [pickle.loads(pickle.dumps(one, protocol)) for protocol in range(6)]
                for again in (*pickles, copy.copy(one), copy.deepcopy(one)):
                    assert again == one
                    assert (type(again), repr(again), hash(again)) == (type(one), repr(one), hash(one))


def test_a_pickle_has_the_name_alone(file: Path, s3_file: Path) -> None:
    with Registry({"stores": {"vault": {"url": "memory://place-of-it", "root": "x"}}}) as registry:
        for store in (registry.get_store("vault"), registry.get_async_store("vault").child("below")):
            assert b"vault" in pickle.dumps(store)
            assert b"place-of-it" not in pickle.dumps(store)
    with Registry(file) as registry, Registry(s3_file) as s3:
        data = pickle.dumps(registry.get_store("files").child("below"))
        assert all(word in data for word in (str(file).encode(), b"files", b"below"))
        assert b"durable" not in data
        for store in (s3.get_store("url"), s3.get_async_store("url")):
            assert not any(text.encode() in pickle.dumps(store) for text in (KEY, SECRET_KEY, BUCKET, "us-east-1"))


def test_a_pickled_configuration_has_the_placeholders(s3_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load(s3_file)
    with Registry(config) as registry:
        registry.get_store("url").write("f", b"1", overwrite=True)
    data = pickle.dumps(config)
    assert b"${S3_TEST_SECRET}" in data
    assert KEY.encode() not in data
    assert SECRET_KEY.encode() not in data
    again = pickle.loads(data)
    assert again == config
    with Registry(again) as registry:
        assert registry.get_store("url").read_bytes("f") == b"1"


def test_stores_that_come_from_no_registry_pickle_as_before(tmp_path: Path) -> None:
    store = Store.from_url(str(tmp_path)).child("a")
    again = pickle.loads(pickle.dumps(store))
    assert again != store
    assert again.native_path("x") == store.native_path("x")


def test_private_memory_refuses_to_be_pickled(file: Path) -> None:
    with Registry(file) as registry:
        for store in (registry.get_store("scratch"), registry.get_async_store("scratch").child("x")):
            assert copy.copy(store) == store
            for dump in (pickle.dumps, copy.deepcopy):
                with pytest.raises(pickle.PicklingError, match="a memory backend lives in one process"):
                    dump(store)


def read_f(store: Store) -> tuple[bytes, str]:
    with store:
        return store.read_bytes("f"), repr(store)


def read_f_async(store: AsyncStore) -> tuple[bytes, str]:
    async def main() -> tuple[bytes, str]:
        async with store:
            return await store.read_bytes("f"), repr(store)

    return asyncio.run(main())


def use(data: bytes) -> str:
    store = pickle.loads(data)
    try:
        return repr(asyncio.run(store.exists("f")) if isinstance(store, AsyncStore) else store.exists("f"))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", ["files", "url"])
def test_a_store_of_a_file_works_in_another_process(
    name: str, file: Path, s3_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Registry(file.name if name == "files" else s3_file.name) as registry:
        monkeypatch.chdir("/")
        for store in (registry.get_store(name), registry.get_store(name).child("c")):
            store.write("f", b"1")
            assert in_new_process(read_f, store) == (b"1", repr(store))
        aio = registry.get_async_store(name)
        assert in_new_process(read_f_async, aio) == (b"1", repr(aio))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map(read_f, [store, store]) == [(b"1", repr(store))] * 2
            pool.close()
            pool.join()
        monkeypatch.delenv("FILES_OF_TEST")
        if name == "files":
            told = in_new_process(use, pickle.dumps(store))
            assert told == in_new_process(use, pickle.dumps(aio))
            assert told == f"ConfigError: {file}: stores.files.url: the environment variable FILES_OF_TEST is not set"


def test_a_store_of_code_needs_a_default_elsewhere(file: Path, monkeypatch: pytest.MonkeyPatch, default: None) -> None:
    with Registry({"stores": {"files": {"url": "${FILES_OF_TEST}", "root": "r"}}}) as registry:
        store = registry.get_store("files")
        store.write("f", b"1")
        data = pickle.dumps(store)
        told = in_new_process(use, data)
        assert told.startswith("ConfigError: no configuration: set REMOTE_STORE_CONFIG to the path of a TOML file")
        monkeypatch.setenv(VARIABLE, str(file))
        assert in_new_process(read_f, store) == (b"1", repr(store))
        assert "stores.filez: no such store" in in_new_process(use, data.replace(b"files", b"filez"))


def test_a_store_that_is_not_found_is_passed_on(file: Path, monkeypatch: pytest.MonkeyPatch, default: None) -> None:
    with Registry({"stores": {"files": {"url": "${FILES_OF_TEST}", "root": "r"}}}) as registry:
        store = registry.get_store("files").child("c/d")
        store.write("f", b"1")
        for one in (store, store.child("e")):
            passed_on = in_new_process(pass_on, pickle.dumps(one))
            assert pickle.loads(passed_on) == one


def pass_on(data: bytes) -> bytes:
    """As Dask's scheduler does, which needs no configuration."""
    return pickle.dumps(pickle.loads(data))


def test_a_pickle_keeps_no_registry_but_a_store_does(file: Path) -> None:
    registry = Registry(file)
    store, kept = registry.get_store("files"), weakref.ref(registry)
    del registry
    gc.collect()
    data = pickle.dumps(store)
    assert pickle.loads(data) == store
    del store
    gc.collect()
    assert kept() is None
    again = pickle.loads(data)
    again.write("f", b"1", overwrite=True)
    assert again == pickle.loads(data)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
def test_a_registry_works_after_a_fork(file: Path, s3_file: Path, default: None) -> None:
    with Registry(file) as registry, Registry(s3_file) as s3, set_default(registry):
        stores = registry.get_store("files"), s3.get_store("url")
        memory = registry.get_store("scratch")
        for store in (*stores, memory):
            store.write("f", b"1")
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with registry._lock, s3._lock:
                held.set()
                release.wait(DEADLINE)

        def work() -> bool:
            again = pickle.loads(pickle.dumps(stores))
            new = default_registry().get_store("files")
            return again == stores and [read_f(one)[0] for one in (*stores, *again, new, memory)] == [b"1"] * 6

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            assert held.wait(DEADLINE)
            with Fork(work) as child:
                assert child.result() is True
        finally:
            release.set()
            thread.join()
        assert stores[1].read_bytes("f") == b"1"


# --- the default


def test_the_default_comes_from_the_environment(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default: None
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(ConfigError, match="no configuration: set REMOTE_STORE_CONFIG to the path of a TOML file, or"):
        default_registry()
    monkeypatch.setenv(VARIABLE, str(file))
    registry = default_registry()
    assert registry.names == Registry(file).names
    monkeypatch.setenv("HOME", str(tmp_path))
    other = tmp_path / "other.toml"
    monkeypatch.setenv(VARIABLE, "~/other.toml")
    with pytest.raises(ConfigError, match=rf"^{other}: cannot be read: No such file"):
        default_registry()
    other.write_text('[stores.a]\nurl = "x"\n')
    assert default_registry().names == ("a",)
    assert default_registry() is default_registry()
    monkeypatch.setenv(VARIABLE, str(file))
    assert default_registry() is registry


def test_a_default_can_be_set_for_good_or_for_a_block(default: None) -> None:
    one, two = (Registry(Config(stores={name: {"backend": "memory"}})) for name in "ab")
    set_default(one)
    with set_default(two):
        assert default_registry() is two
        with set_default(None), pytest.raises(ConfigError):
            default_registry()
    assert default_registry() is one
    with pytest.raises(RuntimeError), set_default(two):
        raise RuntimeError
    assert default_registry() is one


def read_url(url: str) -> bytes:
    with fsspec.open(url) as opened:
        return bytes(opened.read())


def test_urls_of_stores_work_in_fresh_interpreters(
    file: Path, s3_file: Path, monkeypatch: pytest.MonkeyPatch, default: None
) -> None:
    pytest.importorskip("remote_store.interop")
    for path, name in ((file, "files"), (s3_file, "url")):
        with Registry(path) as registry:
            registry.get_store(name).write("d/f", b"1")
        monkeypatch.setenv(VARIABLE, str(path))
        assert in_new_process(read_url, f"remote-store://{name}/d/f") == b"1"
