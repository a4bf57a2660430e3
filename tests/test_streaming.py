"""Streams take little memory, listings come as they are read, and what is left early is let go."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self

import pytest
from fsspec.asyn import get_loop
from helpers.deadline import DEADLINE
from servers.s3 import BUCKET, S3Server

from remote_store import BackendUnavailable, FolderInfo, NotFound, Store
from remote_store.aio import AsyncLocalBackend, AsyncStore
from remote_store.backends import LocalBackend, S3Backend
from remote_store.engine.runners import Inline
from remote_store.io.streams import CHUNK, read_stream

MIB = 1 << 20
SPOOL_LIMIT = 8 * MIB
"""Content of an async iterator that a synchronous backend gets as bytes [bytes]."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self")


# --- memory

SIZE = 256 * MIB
LIMIT = 64
"""How much a process may grow while it streams [MiB]."""

MEASURED = """
import asyncio, sys
from remote_store import Store
from remote_store.aio import AsyncLocalBackend, AsyncStore
from remote_store.backends import LocalBackend

MIB = 1 << 20
root, how, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
store, twin = Store(LocalBackend(root)), AsyncStore(AsyncLocalBackend(root))

class Zeros:
    def __init__(self, size):
        self.left = size
    def read(self, count):
        count = min(count if count >= 0 else self.left, self.left)
        self.left -= count
        return bytes(count)

async def zeros(size):
    for _ in range(size // MIB):
        yield bytes(MIB)

def sync_read(size):
    with store.read("source") as stream:
        return sum(len(piece) for piece in iter(lambda: stream.read(MIB), b""))

def sync_write(size):
    return store.write("target", Zeros(size), overwrite=True).size

def sync_open_atomic(size):
    with store.open_atomic("target", overwrite=True) as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return file.result.size

def sync_copy(size):
    store.copy("source", "target", overwrite=True)
    return store.get_file_info("target").size

async def async_read(size):
    total = 0
    async for chunk in twin.read("source"):
        total += len(chunk)
    return total

async def async_write(size):
    return (await twin.write("target", zeros(size), overwrite=True)).size

async def async_open_atomic(size):
    async with twin.open_atomic("target", overwrite=True) as file:
        async for piece in zeros(size):
            await file.write(piece)
    return file.result.size

def kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

work = globals()[how]
run = asyncio.run if how.startswith("async") else lambda result: result
store.write("source", Zeros(4 * MIB), overwrite=True)
assert run(work(4 * MIB)) == 4 * MIB
store.write("source", Zeros(size), overwrite=True)
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")
before = kib("VmRSS")
assert run(work(size)) == size
print((kib("VmHWM") - before) // 1024)
"""


@pytest.mark.full
@linux
@pytest.mark.parametrize(
    "how",
    ["sync_read", "sync_write", "sync_open_atomic", "sync_copy", "async_read", "async_write", "async_open_atomic"],
)
def test_a_large_file_streams_in_little_memory(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-W", "error", "-c", MEASURED, str(tmp_path / "root"), how, str(SIZE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= LIMIT


# --- hops: an S3 store runs on a loop in another thread


@pytest.fixture
def hops(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Callable[[], int]]]:
    """A store on S3 with parts of 8 MiB, and how often this thread has called on its loop since it was last asked."""
    options = {"endpoint_url": moto_server.endpoint, "key": "k", "secret": "s", "region_name": "us-east-1"}
    with Store(S3Backend(BUCKET, moto_server.fresh_prefix(), part_size=8 * MIB, **options)) as store:
        store.write("f", bytes(8 * MIB))
        loop, here, calls = get_loop(), threading.get_ident(), list[object]()
        schedule = loop.call_soon_threadsafe

        def counting(callback: Any, *args: Any, **options: Any) -> Any:
            if threading.get_ident() == here:
                calls.append(callback)
            return schedule(callback, *args, **options)

        def count() -> int:
            counted = len(calls)
            calls.clear()
            return counted

        monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
        yield store, count


def test_a_stream_crosses_to_the_loop_once_a_stride(hops: tuple[Store, Callable[[], int]]) -> None:
    store, count = hops
    with store.open_atomic("g") as file:
        for _ in range(16):
            file.write(bytes(MIB))
    assert 0 < count() <= 6
    assert file.result.size == 16 * MIB
    store.write("h", io.BytesIO(bytes(16 * MIB)))
    assert 0 < count() <= 6
    with store.read("f") as stream:
        assert sum(len(piece) for piece in iter(lambda: stream.read(32 << 10), b"")) == 8 * MIB
    assert 0 < count() <= 12
    with store.read("f") as stream:
        assert len(stream.read()) == 8 * MIB
    assert 0 < count() <= 12
    with store.read("g") as stream:
        assert sum(len(piece) for piece in iter(lambda: stream.read(32 << 10), b"")) == 16 * MIB
    assert 0 < count() <= 14


def test_a_small_file_through_fsspec_crosses_to_the_loop_once(hops: tuple[Store, Callable[[], int]]) -> None:
    store, count = hops
    fs = store.to_fsspec()
    count()
    with fs.open("small", "wb") as file:
        file.write(b"123")
    assert count() == 1
    fs.pipe_file("small", b"456")
    assert count() == 1
    assert fs.cat_file("small") == b"456"
    assert count() == 1


@pytest.mark.parametrize("seekable", [True, False])
def test_a_stream_gives_each_byte_in_order_whatever_sizes_are_asked_for(seekable: bool) -> None:
    content = os.urandom(3 * MIB)
    sizes = [1, CHUNK, 70_000, 3, 2 * CHUNK + 1, 500_000]
    cut = [content[at : at + 30_011] for at in range(0, len(content), 30_011)]
    stream = read_stream(Pieces(*cut), Inline(), seekable, MIB)
    taken = [stream.read(sizes[turn % len(sizes)]) for turn in range(20)]
    taken.append(stream.read())
    assert b"".join(taken) == content
    assert stream.read(1) == b""


def test_a_seek_within_what_two_hops_brought_asks_the_reader_for_nothing() -> None:
    content = os.urandom(MIB)
    reader = Pieces(*[content[at : at + CHUNK] for at in range(0, MIB, CHUNK)])
    stream = read_stream(reader, Inline(), True, 4 * CHUNK)
    assert stream.read(8 * CHUNK) == content[: 8 * CHUNK]
    asked = len(reader.asked)
    for place in (5 * CHUNK, 2 * CHUNK + 7, 8 * CHUNK - 3, CHUNK):
        assert stream.seek(place) == stream.tell() == place
        assert stream.read(3) == content[place : place + 3]
    assert len(reader.asked) == asked
    stream.seek(6 * CHUNK)
    assert stream.read() == content[6 * CHUNK :]


class Pieces:
    """A reader that gives what it is made of, piece by piece, and notes what it was asked for."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.left, self.asked = list(pieces), list[int]()

    async def read(self, size: int) -> bytes:
        self.asked.append(size)
        piece = self.left.pop(0) if self.left else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def seek(self, offset: int, whence: int) -> int:
        return offset

    async def close(self) -> None:
        pass


def test_what_came_before_a_failure_in_one_stride_is_not_lost() -> None:
    reader = Pieces(bytes(CHUNK), b"1" * CHUNK, b"2" * CHUNK, NotFound("went away"))
    stream = read_stream(reader, Inline(), True, MIB)
    assert len(stream.read(CHUNK)) == CHUNK
    assert stream.read(2 * CHUNK) == b"1" * CHUNK + b"2" * CHUNK
    with pytest.raises(NotFound):
        stream.read(1)
    with pytest.raises(BackendUnavailable, match="seek to where to go on"):
        stream.read(1)


def test_a_stream_takes_more_at_a_time_as_it_is_read_on_and_begins_anew_after_a_seek() -> None:
    reader = Pieces(*[bytes(CHUNK)] * 64)
    stream = read_stream(reader, Inline(), True, MIB)
    stream.read(1)
    assert reader.asked == [CHUNK]
    stream.read(CHUNK)
    assert sum(reader.asked[1:2]) == 4 * CHUNK
    assert 64 - len(reader.left) == 5
    stream.seek(3 * MIB)
    stream.read(1)
    assert reader.asked[-1] == CHUNK


# --- listings

FILES = 20_000


class CountingScan:
    """What `os.scandir` gives, counting the entries that were taken of all of them."""

    taken = 0
    open = 0

    def __init__(self, path: Any) -> None:
        self._entries: Any = _scandir(path)
        CountingScan.open += 1

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> os.DirEntry[str]:
        entry: os.DirEntry[str] = next(self._entries)
        CountingScan.taken += 1
        return entry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        if self._entries is not None:
            self._entries.close()
            self._entries = None
            CountingScan.open -= 1


_scandir = os.scandir


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with 20,000 files in a folder."""
    root = tmp_path_factory.mktemp("crowded")
    (root / "d").mkdir()
    for number in range(FILES):
        os.close(os.open(root / "d" / f"{number:05}", os.O_CREAT | os.O_WRONLY))
    return root


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> type[CountingScan]:
    monkeypatch.setattr(CountingScan, "taken", 0)
    monkeypatch.setattr(CountingScan, "open", 0)
    monkeypatch.setattr("os.scandir", CountingScan)
    return CountingScan


LISTINGS: dict[str, Callable[[Any], Any]] = {
    "list_files": lambda store: store.list_files("d"),
    "list_files, recursive": lambda store: store.list_files("", recursive=True),
    "list_files, by depth": lambda store: store.list_files("", max_depth=1),
    "list_files, by pattern": lambda store: store.list_files("d", pattern="*"),
    "iter_children": lambda store: store.iter_children("d"),
    "glob": lambda store: store.glob("d/*"),
    "of a child": lambda store: store.child("d").list_files(),
}
listings = pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)


@listings
def test_a_listing_yields_before_the_last_entry_is_read(
    crowded: Path, scans: type[CountingScan], listing: Callable[[Store], Iterator[Any]]
) -> None:
    store = Store(LocalBackend(crowded))
    items = listing(store)
    assert scans.taken == 0
    next(items)
    assert 0 < scans.taken <= FILES // 10
    assert scans.open == 1
    assert sum(1 for _ in islice(items, FILES // 2)) == FILES // 2
    assert scans.taken <= FILES // 2 + FILES // 10
    items.close()  # type: ignore[attr-defined]
    assert scans.open == 0
    assert sum(1 for _ in listing(store)) == FILES


@listings
async def test_an_async_listing_yields_before_the_last_entry_is_read(
    crowded: Path, scans: type[CountingScan], listing: Callable[[AsyncStore], Any]
) -> None:
    store = AsyncStore(AsyncLocalBackend(crowded))
    async with aclosing(listing(store)) as items:
        await anext(items)
        assert 0 < scans.taken <= FILES // 10
        assert scans.open == 1
        seen = 1
        async for _ in items:
            seen += 1
            if seen == FILES // 2:
                break
        assert scans.taken <= FILES // 2 + FILES // 10
    assert scans.open == 0
    assert sum([1 async for _ in listing(store)]) == FILES


async def test_totals_count_every_entry(crowded: Path, scans: type[CountingScan]) -> None:
    for info in (
        Store(LocalBackend(crowded)).get_folder_info("d"),
        await AsyncStore(AsyncLocalBackend(crowded)).get_folder_info("d"),
    ):
        assert isinstance(info, FolderInfo)
        assert info.file_count == FILES
    assert (scans.taken, scans.open) == (2 * FILES, 0)


# --- content between an async caller and a sync backend


class RecordingBackend(LocalBackend):
    """Records what content it is given, and may be stopped in a write."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.contents: list[Any] = []
        self.read_back: list[int] = []
        self.entered, self.go, self.finished = threading.Event(), threading.Event(), threading.Event()
        self.go.set()

    def write(self, path: str, content: Any, **options: Any) -> Any:
        return self._recorded(super().write, path, content, options)

    def write_atomic(self, path: str, content: Any, **options: Any) -> Any:
        return self._recorded(super().write_atomic, path, content, options)

    def _recorded(self, write: Callable[..., Any], path: str, content: Any, options: dict[str, Any]) -> Any:
        self.contents.append(content)
        self.entered.set()
        try:
            assert self.go.wait(DEADLINE)
            return write(path, content, **options)
        finally:
            self.finished.set()


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


@pytest.mark.parametrize("method", ["write", "write_atomic"])
@pytest.mark.parametrize("sizes", [(), (0,), (1,), (5 * MIB, 3 * MIB), (SPOOL_LIMIT,)], ids=str)
async def test_small_content_reaches_a_sync_backend_as_bytes(
    tmp_path: Path, method: str, sizes: tuple[int, ...]
) -> None:
    backend = RecordingBackend(tmp_path)
    store = AsyncStore(backend)
    result = await getattr(store, method)("f", pieces(*sizes))
    assert [type(content) for content in backend.contents] == [bytes]
    assert len(backend.contents[0]) == result.size == sum(sizes)
    assert (await store.get_file_info("f")).size == sum(sizes)


@pytest.mark.parametrize("method", ["write", "write_atomic"])
@pytest.mark.parametrize("sizes", [(SPOOL_LIMIT, 1), (SPOOL_LIMIT + 1,), (MIB,) * 12], ids=str)
async def test_large_content_reaches_a_sync_backend_as_a_stream(
    tmp_path: Path, method: str, sizes: tuple[int, ...]
) -> None:
    backend = RecordingBackend(tmp_path)
    store = AsyncStore(backend)
    result = await getattr(store, method)("f", pieces(*sizes))
    (content,) = backend.contents
    assert not isinstance(content, (bytes, bytearray, memoryview))
    assert content.closed
    assert result.size == sum(sizes)
    assert await store.read_bytes("f") == b"x" * sum(sizes)


async def test_bytes_reach_a_sync_backend_as_they_are(tmp_path: Path) -> None:
    backend = RecordingBackend(tmp_path)
    data = b"x" * (SPOOL_LIMIT + 1)
    await AsyncStore(backend).write("f", data)
    assert backend.contents == [data]


async def test_content_that_fails_never_reaches_a_sync_backend(tmp_path: Path) -> None:
    async def failing(size: int) -> AsyncIterator[bytes]:
        yield b"x" * size
        raise LookupError("source")

    backend = RecordingBackend(tmp_path)
    store = AsyncStore(backend)
    await store.write("f", b"old")
    for size in (1, SPOOL_LIMIT + 1):
        with pytest.raises(LookupError, match="source"):
            await store.write("f", failing(size), overwrite=True)
    assert backend.contents == [b"old"]
    assert await store.read_bytes("f") == b"old"
    assert os.listdir(tmp_path) == ["f"]


# --- cancelling


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("old", [b"old", None], ids=["overwriting", "creating"])
@pytest.mark.parametrize("size", [1000, SPOOL_LIMIT + MIB], ids=["bytes", "spool"])
@pytest.mark.parametrize("method", ["write", "write_atomic"])
async def test_cancelling_a_write_in_a_thread_leaves_old_or_new(
    tmp_path: Path, method: str, size: int, old: bytes | None
) -> None:
    backend = RecordingBackend(tmp_path)
    store = AsyncStore(backend)
    if old is not None:
        await store.write("d/f", old)
    backend.entered.clear()
    backend.finished.clear()
    backend.go.clear()
    task = asyncio.create_task(getattr(store, method)("d/f", pieces(size // 2, size - size // 2), overwrite=True))
    assert await asyncio.to_thread(backend.entered.wait, 60)
    await cancelled(task)
    assert await _read_or_none(store, "d/f") == old
    backend.go.set()
    assert await asyncio.to_thread(backend.finished.wait, 60)
    assert await _read_or_none(store, "d/f") in (old, b"x" * size)
    assert {str(file.path) for file in Store(backend).list_files("", recursive=True)} <= {"d/f"}
    assert set(os.listdir(tmp_path / "d") if (tmp_path / "d").exists() else ()) <= {"f"}


@pytest.mark.parametrize("taken", [1000, SPOOL_LIMIT + MIB], ids=["bytes", "spool"])
@pytest.mark.parametrize("old", [b"old", None], ids=["overwriting", "creating"])
async def test_cancelling_while_content_is_read_leaves_the_old(tmp_path: Path, taken: int, old: bytes | None) -> None:
    waiting = asyncio.Event()
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"x" * taken
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    backend = RecordingBackend(tmp_path)
    store = AsyncStore(backend)
    if old is not None:
        await store.write("f", old)
    before = len(backend.contents)
    task = asyncio.create_task(store.write("f", endless(), overwrite=True))
    await waiting.wait()
    await cancelled(task)
    assert closed.is_set()
    assert len(backend.contents) == before
    assert await _read_or_none(store, "f") == old
    assert os.listdir(tmp_path) == ([] if old is None else ["f"])


@pytest.mark.parametrize("old", [b"old", None], ids=["overwriting", "creating"])
async def test_cancelling_an_open_atomic_block_leaves_the_old(tmp_path: Path, old: bytes | None) -> None:
    store = AsyncStore(AsyncLocalBackend(tmp_path))
    if old is not None:
        await store.write("f", old)
    written = asyncio.Event()

    async def block() -> None:
        async with store.open_atomic("f", overwrite=True) as file:
            await file.write(b"x" * 2 * MIB)
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await written.wait()
    await cancelled(task)
    assert await _read_or_none(store, "f") == old
    assert os.listdir(tmp_path) == ([] if old is None else ["f"])


async def _read_or_none(store: AsyncStore, path: str) -> bytes | None:
    try:
        return await store.read_bytes(path)
    except NotFound:
        return None


# --- leaving early


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def leave_read(store: AsyncStore) -> None:
    async for chunk in store.read("f"):
        assert chunk
        break


async def close_read(store: AsyncStore) -> None:
    async with aclosing(store.read("f")) as chunks:
        inside = open_files()
        await anext(chunks)
        assert open_files() == inside + 1
    assert open_files() == inside


async def fail_in_read(store: AsyncStore) -> None:
    async def read() -> None:
        async for _ in store.read("f"):
            raise LookupError

    with pytest.raises(LookupError):
        await read()


async def cancel_read(store: AsyncStore) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async for _ in store.read("f"):
            reading.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await reading.wait()
    await cancelled(task)


async def leave_seekable(store: AsyncStore) -> None:
    async with await store.read_seekable("f") as stream:
        await stream.read(1)


async def leave_listing(store: AsyncStore) -> None:
    async for _ in store.list_files("", recursive=True):
        break


async def never_start_read(store: AsyncStore) -> None:
    store.read("f")


async def settled(way: Awaitable[None]) -> None:
    """Go a way, and let asyncio close the iterators that were forgotten on it."""
    await way
    gc.collect()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


WAYS: list[Callable[[AsyncStore], Awaitable[None]]] = [
    leave_read, close_read, fail_in_read, cancel_read, leave_seekable, leave_listing, never_start_read,
]  # fmt: skip


@linux
@pytest.mark.parametrize("child", ["", "d"])
@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_leaving_early_closes_the_file(
    tmp_path: Path, way: Callable[[AsyncStore], Awaitable[None]], child: str
) -> None:
    async def main() -> None:
        store = AsyncStore(AsyncLocalBackend(tmp_path))
        await settled(way(store.child(child) if child else store))

    for path in ("f", "d/f", "d/g"):
        Store(LocalBackend(tmp_path)).write(path, b"x" * MIB)
    asyncio.run(main())
    before = open_files()
    asyncio.run(main())
    assert open_files() == before


class KeepingBackend(LocalBackend):
    """Keeps every stream it opened, so that none is closed by being forgotten."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: list[BinaryIO] = []

    def read(self, path: str) -> BinaryIO:
        self.opened.append(super().read(path))
        return self.opened[-1]


@pytest.mark.parametrize("way", [leave_read, fail_in_read, cancel_read])
def test_leaving_an_async_read_early_closes_the_stream_underneath(
    tmp_path: Path, way: Callable[[AsyncStore], Awaitable[None]]
) -> None:
    backend = KeepingBackend(tmp_path)
    backend.write("f", b"x" * MIB)
    asyncio.run(settled(way(AsyncStore(backend))))
    assert [stream.closed for stream in backend.opened] == [True]


@linux
def test_leaving_a_sync_read_early_closes_the_file(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    store.write("d/f", b"x" * MIB)
    before = open_files()
    for each in (store, store.child("d")):
        path = "d/f" if each is store else "f"
        with each.read(path) as stream:
            assert stream.read(10) == b"x" * 10
            assert open_files() == before + 1
        assert open_files() == before
        listing = each.list_files("", recursive=True)
        next(listing)
        listing.close()  # type: ignore[attr-defined]
        assert open_files() == before
