"""Configured stores on S3: sync and async, policies, event loops, and no secret in any log."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import pickle
import traceback
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("s3fs")

from helpers.processes import Fork, in_new_process
from servers.s3 import BUCKET, KEY, S3Server
from servers.s3 import SECRET as SECRET_KEY

from remote_store import InvalidPath, NotFound, PermissionDenied, Store
from remote_store.aio import AsyncStore
from remote_store.backends import S3Backend
from remote_store.config import Registry, set_default

DISTINCT = "dIsTiNcT"


@pytest.fixture
def config(moto_server: S3Server, tmp_path: Path) -> dict[str, Any]:
    """Stores in one bucket, by URL and by options."""
    prefix, options = moto_server.fresh_prefix(), moto_server.options
    of_s3fs = {name: value for name, value in options.items() if name != "region_name"}
    return {
        "stores": {
            "url": {"url": f"s3://{BUCKET}/{prefix}", "root": "r", "options": options},
            "same": {"backend": "s3", "options": {"bucket": BUCKET, "root": prefix, **options}},
            "strict": {
                "url": f"s3://{BUCKET}/{prefix}",
                "options": options,
                "timeout": 7.5,
                "retries": 4,
                "reject_write_under_file_ancestor": True,
            },
            "chained": {
                "url": f"simplecache::s3://{BUCKET}/{prefix}",
                "options": {"s3": of_s3fs, "cache_storage": str(tmp_path)},
            },
        }
    }


@pytest.fixture
def registry(config: dict[str, Any]) -> Iterator[Registry]:
    with Registry(config) as registry:
        yield registry


def test_a_configured_store_reads_and_writes(registry: Registry) -> None:
    url, same = registry.get_store("url"), registry.get_store("same")
    assert url._backend is same._backend
    assert isinstance(url._backend, S3Backend)
    url.write("a/b", b"1")
    assert same.read_bytes("r/a/b") == b"1"
    assert [str(file.path) for file in url.list_files(recursive=True)] == ["a/b"]
    with pytest.raises(NotFound) as caught:
        url.read_bytes("missing")
    assert (caught.value.path, caught.value.backend) == ("missing", "s3")


async def test_a_configured_async_store_reads_and_writes(config: dict[str, Any]) -> None:
    async with Registry(config) as registry:
        url, same = registry.get_async_store("url"), registry.get_async_store("same")
        assert url._backend is same._backend
        assert url == same.child("r")
        await url.write("a/b", b"1")
        assert await same.read_bytes("r/a/b") == b"1"
        assert await asyncio.to_thread(registry.get_store("url").read_bytes, "a/b") == b"1"


def test_policies_reach_the_backend(registry: Registry) -> None:
    strict, loose = registry.get_store("strict"), registry.get_store("same")
    assert strict._backend is not loose._backend
    driver = strict._backend._driver  # type: ignore[attr-defined]
    assert driver.timeout == 7.5
    assert driver.fs.config_kwargs["retries"] == {"max_attempts": 4, "mode": "standard"}
    loose.write("file", b"1")
    loose.write("file/below", b"1")
    with pytest.raises(InvalidPath):
        strict.write("file/below2", b"1")


def test_retries_counts_the_tries_after_the_first(config: dict[str, Any], moto_server: S3Server) -> None:
    config["stores"]["url"] |= {"retries": 2}
    with Registry(config) as registry:
        store = registry.get_store("url")
        store.exists("x")
        client = store._backend._driver.fs._s3  # type: ignore[attr-defined]
    assert client.meta.config.retries["total_max_attempts"] == 3


# --- event loops


def test_each_loop_has_its_own_backend_and_closes_it(config: dict[str, Any]) -> None:
    """Were a backend left open, its session would warn, and warnings are errors."""
    registry = Registry(config)
    seen: list[tuple[weakref.ref[Any], weakref.ref[Any]]] = []

    async def use(turn: int) -> AsyncStore:
        store = registry.get_async_store("url")
        assert store._backend is registry.get_async_store("url")._backend
        await store.write("f", b"%d" % turn, overwrite=True)
        assert await store.read_bytes("f") == b"%d" % turn
        seen.append((weakref.ref(asyncio.get_running_loop()), weakref.ref(store._backend)))
        return store

    stores = [asyncio.run(use(turn)) for turn in range(3)]
    assert len({id(store._backend) for store in stores}) == 3
    assert len(set(stores)) == 1
    del stores

    async def ask() -> None:
        registry.get_async_store("url")

    asyncio.run(ask())
    gc.collect()
    assert [(loop(), backend()) for loop, backend in seen] == [(None, None)] * 3
    registry.close()


def test_a_loop_that_was_not_shut_down_is_forgotten(config: dict[str, Any]) -> None:
    registry = Registry(config)

    async def get() -> weakref.ref[Any]:
        return weakref.ref(registry.get_async_store("url")._backend)

    loop = asyncio.new_event_loop()
    backend = loop.run_until_complete(get())
    loop.close()
    del loop
    asyncio.run(get())
    gc.collect()
    assert backend() is None
    registry.close()


async def test_closing_ends_the_backends_of_this_loop(config: dict[str, Any]) -> None:
    registry = Registry(config)
    store = registry.get_async_store("url")
    await store.write("f", b"1")
    async with store, store.child("x"):
        pass
    assert await store.read_bytes("f") == b"1"
    await registry.aclose()
    from remote_store import BackendUnavailable

    with pytest.raises(BackendUnavailable, match="is closed"):
        await store.read_bytes("f")
    await registry.aclose()


def test_a_store_got_outside_of_a_loop_belongs_to_its_user(config: dict[str, Any]) -> None:
    registry = Registry(config)
    store, other = registry.get_async_store("url"), registry.get_async_store("url")
    assert store._backend is not other._backend
    assert store == other == pickle.loads(pickle.dumps(store))
    assert len({store, other}) == 1

    async def use(store: AsyncStore) -> bytes:
        async with store:
            await store.write("f", b"1", overwrite=True)
            return await store.read_bytes("f")

    assert asyncio.run(use(store)) == asyncio.run(use(other)) == b"1"
    registry.close()


async def test_filesystems_that_are_asynchronous_work_by_backend_and_by_url(config: dict[str, Any]) -> None:
    async with Registry(config) as registry:
        await registry.get_async_store("same").write("f", b"1")
        assert await registry.get_async_store("chained").read_bytes("f") == b"1"


# --- pickles and forks


def read_f(store: Store) -> bytes:
    with store:
        return store.read_bytes("f")


def read_f_async(store: AsyncStore) -> bytes:
    async def main() -> bytes:
        async with store:
            return await store.read_bytes("f")

    return asyncio.run(main())


@pytest.fixture
def file(config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration as a file, credentials in the environment."""
    store = config["stores"]["url"]
    options = {**store["options"], "key": "${S3_TEST_KEY}", "secret": "${S3_TEST_SECRET}"}
    monkeypatch.setenv("S3_TEST_KEY", KEY)
    monkeypatch.setenv("S3_TEST_SECRET", SECRET_KEY)
    table = ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
    path = tmp_path / "stores.toml"
    path.write_text(f'[stores.url]\nurl = "{store["url"]}"\nroot = "r"\noptions = {{ {table} }}\n')
    return path


def test_a_store_works_in_another_process_without_its_credentials(file: Path) -> None:
    with Registry(file) as registry:
        store = registry.get_store("url").child("c")
        store.write("f", b"1")
        aio = registry.get_async_store("url")
        for one in (store, aio, aio.child("c")):
            data = pickle.dumps(one)
            assert not any(text.encode() in data for text in (KEY, SECRET_KEY, BUCKET, "us-east-1"))
            assert pickle.loads(data) == one
        assert in_new_process(read_f, store) == b"1"
        registry.get_store("url").write("f", b"2")
        assert in_new_process(read_f_async, aio) == b"2"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
def test_a_store_works_after_a_fork(file: Path) -> None:
    with Registry(file) as registry, set_default(registry):
        store = registry.get_store("url")
        store.write("f", b"1")
        data = pickle.dumps(store)
        with Fork(lambda: (read_f(store), read_f(pickle.loads(data)), pickle.loads(data) == store)) as child:
            assert child.result() == (b"1", b"1", True)
        assert store.read_bytes("f") == b"1"


# --- secrets


async def test_no_log_or_text_of_live_stores_has_a_secret(
    moto_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, botocore logs headers with key id and session token, and what it signs."""
    caplog.set_level(logging.DEBUG)
    secrets = {name: f"{DISTINCT}-{name}" for name in ("key", "secret", "token")}
    options = {**moto_server.options, **secrets}
    stores = {
        "a": {"url": f"s3://{BUCKET}/{moto_server.fresh_prefix()}", "options": options},
        "no": {"url": "s3://no-such-bucket", "options": options},
    }
    texts: list[str] = []
    async with Registry({"stores": stores}) as registry:
        aio = registry.get_async_store("a")
        await aio.write("f", b"1")
        assert await aio.read_bytes("f") == b"1"

        def use() -> None:
            store = registry.get_store("a")
            assert store.read_bytes("f") == b"1"
            store.write("g", b"x" * (9 << 20))
            for attempt in (
                lambda: store.read_bytes("missing"),
                lambda: store.write("f", b"2"),
                registry.get_store("no").ping,
            ):
                with pytest.raises((Exception, PermissionDenied)) as caught:
                    attempt()
                texts.extend(traceback.format_exception(caught.value))
            plan = store.resolve("f")
            texts.extend([repr(store), repr(store._backend), repr(plan), str(pickle.dumps(store)), repr(registry)])

        await asyncio.to_thread(use)
        texts.extend([repr(aio), repr(aio._backend), repr(aio.resolve("f"))])
    assert any(record.name == "botocore.endpoint" for record in caplog.records)
    assert any(record.name == "botocore.auth" for record in caplog.records)
    texts.extend(record.getMessage() for record in caplog.records)
    texts.extend(repr(record.args) for record in caplog.records)
    assert "x-amz-security-token:***" in "".join(texts)
    for text in texts:
        assert DISTINCT not in text
