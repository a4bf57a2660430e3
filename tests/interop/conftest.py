"""Filesystems over stores of three kinds, each to be called in one way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from filesystems import Ops
from servers.s3 import BUCKET, S3Server

from remote_store import Store
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend
from remote_store.config import Registry, set_default

WAYS = [
    "local-sync",
    pytest.param("local-async", marks=pytest.mark.full),
    pytest.param("memory-sync", marks=pytest.mark.full),
    "memory-async",
    pytest.param("s3-sync", marks=pytest.mark.full),
    pytest.param("s3-async", marks=pytest.mark.full),
]


@pytest.fixture(params=WAYS)
async def ops(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Ops]:
    kind, mode = request.param.split("-")
    args, options = (tmp_path / "store",) if kind == "local" else (), {}
    if kind == "s3":
        server: S3Server = request.getfixturevalue("moto_server")
        args, options = (BUCKET, server.fresh_prefix()), server.options
    if mode == "sync":
        backends: Any = {"local": LocalBackend, "memory": MemoryBackend, "s3": S3Backend}
        with Store(backends[kind](*args, **options)) as store:
            yield Ops(store)
    else:
        backends = {"local": AsyncLocalBackend, "memory": AsyncMemoryBackend, "s3": AsyncS3Backend}
        async with AsyncStore(backends[kind](*args, **options)) as async_store:
            yield Ops(async_store)


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.full)])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Store]:
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("moto_server")
        with Store(S3Backend(BUCKET, server.fresh_prefix(), **server.options)) as store:
            yield store
    else:
        yield Store(MemoryBackend() if request.param == "memory" else LocalBackend(tmp_path / "store"))


@pytest.fixture
def fs(store: Store) -> Any:
    return store.to_fsspec()


@pytest.fixture
def s3(moto_server: S3Server) -> Iterator[Store]:
    with Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)) as store:
        yield store


@pytest.fixture
def registry(tmp_path: Path, moto_server: S3Server) -> Iterator[Registry]:
    file = tmp_path / "stores.toml"
    file.write_text(
        f"""
        [stores.files]
        backend = "local"
        options = {{ root = "{tmp_path}/files" }}
        [stores.bucket]
        backend = "s3"
        root = "{moto_server.fresh_prefix()}"
        options = {json.dumps({"bucket": BUCKET, **moto_server.options}).replace('":', '" =')}
        [stores.private]
        backend = "memory"
        """
    )
    with Registry(file) as registry, set_default(registry):
        yield registry
