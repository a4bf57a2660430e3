"""Iterables of bytes as content: read on the caller's side, whatever runs the write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from servers.s3 import BUCKET, S3Server

from remote_store import AsyncBackendSyncAdapter, NotFound, Store, WriteResult
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend

MIB = 1 << 20


class Threads:
    """Chunks, and where they were asked for.

    Attributes:
        seen: threads in which that was.
    """

    def __init__(self, *sizes: int) -> None:
        self.sizes, self.seen = sizes, set[threading.Thread]()

    def __iter__(self) -> Iterator[bytes]:
        for number, size in enumerate(self.sizes):
            self.seen.add(threading.current_thread())
            yield bytes([number]) * size


@pytest.fixture(params=["memory", "local", "s3", "bridged"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("moto_server")
        backend: Any = S3Backend(BUCKET, server.fresh_prefix(), **server.options, part_size=5 * MIB)
    else:
        makers: dict[str, Callable[[], Any]] = {
            "memory": MemoryBackend,
            "local": lambda: LocalBackend(tmp_path),
            "bridged": lambda: AsyncBackendSyncAdapter(AsyncMemoryBackend()),
        }
        backend = makers[request.param]()
    with Store(backend) as store:
        yield store


@pytest.mark.parametrize("method", ["write", "write_atomic"])
def test_chunks_are_read_in_the_callers_thread(store: Store, method: str) -> None:
    chunks = Threads(1, 3 * MIB, 0, 100, 3 * MIB)
    result: WriteResult = getattr(store, method)("f", chunks)
    assert chunks.seen == {threading.current_thread()}
    assert result.size == 6 * MIB + 101
    assert store.read_bytes("f") == b"".join(Threads(*chunks.sizes))


def test_many_small_chunks_are_few_writes(store: Store) -> None:
    assert store.write("f", (b"%06d\n" % number for number in range(50_000))).size == 350_000
    assert store.read_range("f", 349_993, 350_000) == b"049999\n"


def test_an_error_of_another_store_keeps_its_path(store: Store) -> None:
    other = Store(MemoryBackend())

    def chunks() -> Iterator[bytes]:
        yield b"1"
        yield other.read_bytes("d/missing")

    with pytest.raises(NotFound) as raised:
        store.child("d").write("f", chunks())
    assert (raised.value.path, raised.value.backend) == ("d/missing", "memory")
    assert not store.exists("d/f")


def test_a_stream_of_one_file_fills_another(store: Store) -> None:
    store.write("a", b"1\n2\n3\n")
    with store.read("a") as lines:
        store.write("b", (line for line in lines if line != b"2\n"))
    assert store.read_bytes("b") == b"1\n3\n"


@pytest.fixture(params=["memory", "local", "s3", "threads"])
async def async_store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("moto_server")
        backend: Any = AsyncS3Backend(BUCKET, server.fresh_prefix(), **server.options, part_size=5 * MIB)
    else:
        makers: dict[str, Callable[[], Any]] = {
            "memory": AsyncMemoryBackend,
            "local": lambda: AsyncLocalBackend(tmp_path),
            "threads": MemoryBackend,
        }
        backend = makers[request.param]()
    async with AsyncStore(backend) as store:
        yield store


@pytest.mark.parametrize("method", ["write", "write_atomic"])
async def test_chunks_are_read_in_the_callers_task(async_store: AsyncStore, method: str) -> None:
    chunks = Threads(1, 3 * MIB, 0, 100, 6 * MIB)
    result: WriteResult = await getattr(async_store, method)("f", chunks)
    assert chunks.seen == {threading.current_thread()}
    assert result.size == 9 * MIB + 101
    assert await async_store.read_bytes("f") == b"".join(Threads(*chunks.sizes))


async def test_a_file_is_no_content_of_an_async_store(async_store: AsyncStore, tmp_path: Path) -> None:
    """Its lines would be read without anyone's asking, and its reads hold up the loop."""
    (tmp_path / "source").write_bytes(b"1\n2\n")
    with open(tmp_path / "source", "rb") as file, pytest.raises(TypeError, match=r"give what its read\(\) gives"):
        await async_store.write("f", file)


class Simple(MemoryBackend):
    """Takes bytes and files, as backends did before there were iterables."""

    def write(self, path: str, content: bytes | BinaryIO, **options: Any) -> WriteResult:
        data = content if isinstance(content, bytes) else content.read()
        result: WriteResult = super().write(path, data, **options)
        return result


def test_a_simple_backend_gets_a_file() -> None:
    store = Store(Simple())
    assert store.write("f", iter([b"ab", b"", b"cd"])).size == 4
    assert store.read_bytes("f") == b"abcd"
