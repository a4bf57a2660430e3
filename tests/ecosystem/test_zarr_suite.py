"""zarr's own suite for storages, over filesystems of stores of three kinds, used in each way that there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from libraries import library
from servers.s3 import BUCKET, S3Server

from remote_store.config import Registry, default_registry, set_default

suites = library("zarr.testing.store")
FsspecStore = library("zarr.storage").FsspecStore
cpu = library("zarr.core.buffer").cpu
sync = library("zarr.core.sync").sync


def by_name(registry: Registry) -> Any:
    return fsspec.filesystem("remote-store", asynchronous=True)


def asynchronous(registry: Registry) -> Any:
    return registry.get_async_store("store").to_fsspec()


def wrapped(registry: Registry) -> Any:
    return AsyncFileSystemWrapper(registry.get_store("store").to_fsspec(), asynchronous=True)


WAYS = [
    *((kind, by_name, "store") for kind in ("local", "memory", "s3")),
    *(("memory", by_name, "store/d/e"), ("memory", asynchronous, ""), ("memory", asynchronous, "d/e")),
    *(("memory", wrapped, ""), ("memory", wrapped, "/"), ("memory", asynchronous, "/"), ("s3", asynchronous, "/")),
]
"""Kind of store, filesystem over it, and where zarr begins: also at "/", where it does by default."""


@pytest.mark.parametrize(
    ("kind", "filesystem", "path"), WAYS, ids=[f"{kind}-{make.__name__}-{path}" for kind, make, path in WAYS]
)
class TestStore(suites.StoreTests):  # type: ignore[misc]
    store_cls = FsspecStore
    buffer_cls = cpu.Buffer

    @pytest.fixture
    async def registry(self, kind: str, tmp_path: Path, moto_server: S3Server) -> AsyncIterator[Registry]:
        store: dict[str, Any] = {"backend": kind, "root": moto_server.fresh_prefix()}
        store["options"] = {"s3": {"bucket": BUCKET, **moto_server.options}, "local": {"root": str(tmp_path)}}.get(
            kind, {}
        )
        async with Registry({"stores": {"store": store}}) as registry:
            with set_default(registry):
                yield registry
                sync(registry.aclose())

    @pytest.fixture
    async def store_kwargs(self, registry: Registry, filesystem: Any, path: str) -> dict[str, Any]:
        return {"fs": filesystem(registry), "path": path}

    @pytest.fixture(autouse=True)
    def _known(self, request: pytest.FixtureRequest, kind: str, filesystem: Any) -> None:
        if (request.node.originalname, kind) == ("test_serializable_store", "memory") and filesystem is not by_name:
            request.applymarker(pytest.mark.xfail(strict=True, reason="a private memory store does not pickle"))

    async def set(self, store: Any, key: str, value: Any) -> None:
        default_registry().get_store("store").write(inner(store, key), value.to_bytes(), overwrite=True)

    async def get(self, store: Any, key: str) -> Any:
        return self.buffer_cls.from_bytes(default_registry().get_store("store").read_bytes(inner(store, key)))

    def test_store_repr(self, store: Any) -> None:
        assert "FsspecStore" in repr(store)

    def test_store_supports_writes(self, store: Any) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: Any) -> None:
        assert store.supports_listing


def inner(store: Any, key: str) -> str:
    return f"{store.path.removeprefix('store')}/{key}"
