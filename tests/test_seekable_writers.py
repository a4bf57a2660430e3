"""`open_atomic(seekable=True)`: formats that go back to their header, and what may go wrong meanwhile."""

from __future__ import annotations

import array
import asyncio
import errno
import io
import os
import tempfile
import threading
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remote_store import AlreadyExists, AsyncBackendSyncAdapter, RemoteStoreError, StorageFull, Store
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncStore, SyncBackendAdapter
from remote_store.backends import LocalBackend, MemoryBackend
from remote_store.drivers.local.writing import LocalSink
from remote_store.io.content import SPOOL_LIMIT

MAKERS: dict[str, Callable[[Path], Any]] = {
    "local": LocalBackend,
    "durable": lambda folder: LocalBackend(folder, durable=True),
    "memory": lambda _: MemoryBackend(),
    "bridge": lambda _: AsyncBackendSyncAdapter(AsyncMemoryBackend()),
}
ASYNC_MAKERS: dict[str, Callable[[Path], Any]] = {
    "local": AsyncLocalBackend,
    "memory": lambda _: AsyncMemoryBackend(),
    "threads": lambda _: MemoryBackend(),
    "bridge": lambda _: SyncBackendAdapter(AsyncBackendSyncAdapter(AsyncMemoryBackend())),
}


@pytest.fixture(params=[*MAKERS, "child"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store(MAKERS.get(request.param, LocalBackend)(tmp_path)) as store:
        yield store.child("below") if request.param == "child" else store


def test_an_archive_is_written_with_its_sizes_filled_in(store: Store) -> None:
    with store.open_atomic("a.zip", seekable=True) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one.txt", b"1" * 100_000, zipfile.ZIP_DEFLATED)
        with archive.open("two.bin", "w") as entry:
            entry.write(b"2" * 1_000_000)
    with zipfile.ZipFile(io.BytesIO(store.read_bytes("a.zip"))) as archive:
        assert archive.testzip() is None
        assert not archive.getinfo("two.bin").flag_bits & 8, "sizes follow the content, as in a stream"
        assert archive.read("two.bin") == b"2" * 1_000_000
    assert file.result.size == store.get_file_info("a.zip").size


def test_a_recording_is_written_with_its_length_filled_in(store: Store) -> None:
    with store.open_atomic("a.wav", seekable=True) as file, wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        for _ in range(10):
            sound.writeframes(bytes(16_000))
    with wave.open(io.BytesIO(store.read_bytes("a.wav"))) as sound:
        assert sound.getnframes() == 80_000


@pytest.mark.parametrize("wrap", [io.TextIOWrapper, io.BufferedRandom], ids=lambda wrap: wrap.__name__)
def test_a_wrapper_that_closes_the_file_in_its_block_is_no_failure(wrap: Callable[[Any], Any], tmp_path: Path) -> None:
    for store in (Store(MemoryBackend()), Store(LocalBackend(tmp_path))):
        with store.open_atomic("f", seekable=True) as file, wrap(file) as wrapper:
            wrapper.write("text" if wrap is io.TextIOWrapper else b"text")
        assert store.read_bytes("f") == b"text"


def test_text_is_refused_with_a_hint() -> None:
    store = Store(MemoryBackend())
    with pytest.raises(TypeError, match="not str: encode it"), store.open_atomic("f", seekable=True) as file:
        file.write("text")  # type: ignore[call-overload]
    assert not store.exists("f")


def test_local_files_are_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", None)
    store = Store(LocalBackend(tmp_path))
    with store.open_atomic("f", seekable=True) as file:
        file.write(b"0123")
        file.seek(1)
        file.write(b"x")
    assert (store.read_bytes("f"), os.listdir(tmp_path)) == (b"0x23", ["f"])


def test_a_gap_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a format leaves out, to fill it in later, goes to a file once it is large."""
    rolled = []
    rollover = tempfile.SpooledTemporaryFile.rollover

    def noting(spool: Any) -> None:
        rolled.append(len(spool._file.getbuffer()))
        rollover(spool)

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", noting)
    store = Store(MemoryBackend())
    with store.open_atomic("f", seekable=True) as file:
        file.seek(SPOOL_LIMIT * 2)
        file.write(b"1")
    assert rolled == [0]
    assert store.get_file_info("f").size == SPOOL_LIMIT * 2 + 1


def full(*args: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_as_such_and_nothing_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the caller goes on after the error: something is missing."""
    for store, patched in ((Store(MemoryBackend()), io.BytesIO), (Store(LocalBackend(tmp_path)), io.FileIO)):
        broken = type("Broken", (patched,), {"write": full})
        with monkeypatch.context() as patch:
            patch.setattr("remote_store.drivers.local.writing.io.FileIO", broken)
            patch.setattr("tempfile._io.BytesIO", broken)
            opened = store.open_atomic("d/f", seekable=True)
            file = opened.__enter__()
            with pytest.raises(StorageFull):
                file.write(b"x" * 1_000_000)
            with pytest.raises(StorageFull) as raised:
                opened.__exit__(None, None, None)
        assert raised.value.path == "d/f"
        assert not store.exists("d/f")


def test_what_a_discarded_writer_holds_goes_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor may be that of another file by then."""
    store = Store(LocalBackend(tmp_path))
    release, others = LocalSink._release, tmp_path / "others"
    descriptors = list[int]()

    def handed_on(sink: LocalSink) -> None:
        with others.open("wb") as other:
            descriptors.append(sink._fd)
            release(sink)
            os.dup2(other.fileno(), descriptors[0])

    def write() -> None:
        with store.open_atomic("f", seekable=True) as file:
            file.write(b"held back")
            raise KeyError

    monkeypatch.setattr(LocalSink, "_release", handed_on)
    with pytest.raises(KeyError):
        write()
    os.close(descriptors[0])
    assert others.read_bytes() == b""


def test_errors_of_a_child_store_have_its_paths() -> None:
    store = Store(MemoryBackend())
    store.write("d/f", b"1")
    with pytest.raises(AlreadyExists) as raised, store.child("d").open_atomic("f", seekable=True) as file:
        file.write(b"2")
    assert raised.value.path == "f"


def test_who_comes_first_within_the_block_wins() -> None:
    store = Store(MemoryBackend())
    opened = store.open_atomic("f", seekable=True)
    opened.__enter__().write(b"late")
    store.write("f", b"first")
    with pytest.raises(AlreadyExists):
        opened.__exit__(None, None, None)
    assert store.read_bytes("f") == b"first"


def test_a_forgotten_writer_leaves_nothing_open(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        opened = store.open_atomic("f", seekable=True)
        opened.__enter__().write(b"1")
        opened.__exit__(KeyError, KeyError(), None)
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(tmp_path) == []


def test_a_size_below_nothing_is_refused_and_harms_nothing(store: Store) -> None:
    with store.open_atomic("f", seekable=True) as file:
        file.write(b"123")
        with pytest.raises(ValueError, match="cannot have -1 bytes"):
            file.truncate(-1)
        with pytest.raises(TypeError):
            file.truncate(1.5)  # type: ignore[arg-type]
    assert store.read_bytes("f") == b"123"


# --- async


@pytest.mark.parametrize("make", ASYNC_MAKERS.values(), ids=ASYNC_MAKERS)
async def test_an_async_writer_goes_back(make: Callable[[Path], Any], tmp_path: Path) -> None:
    async with AsyncStore(make(tmp_path)) as store:
        async with store.open_atomic("d/f", seekable=True) as file:
            await file.write(b"....tail")
            assert (file.tell(), await file.seek(0)) == (8, 0)
            await file.write(b"head")
            assert (await file.read(), file.tell(), file.seekable()) == (b"tail", 8, True)
            await file.truncate(6)
        assert (await store.read_bytes("d/f"), file.result.size) == (b"headta", 6)


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("make", ASYNC_MAKERS.values(), ids=ASYNC_MAKERS)
async def test_the_place_is_in_bytes_whatever_is_written(
    make: Callable[[Path], Any], seekable: bool, tmp_path: Path
) -> None:
    numbers: Any = memoryview(array.array("I", [1, 2, 3]))
    async with AsyncStore(make(tmp_path)) as store:
        async with store.open_atomic("f", seekable=seekable) as file:
            assert (await file.write(numbers), file.tell()) == (numbers.nbytes, numbers.nbytes)
            if seekable:
                await file.truncate()
        assert await store.read_bytes("f") == numbers.tobytes()


@pytest.mark.parametrize("make", [AsyncMemoryBackend, MemoryBackend])
async def test_a_plain_async_writer_does_not_seek(make: Callable[[], Any]) -> None:
    async with AsyncStore(make()).open_atomic("f") as file:
        assert not file.seekable()
        for call in (lambda: file.seek(0), lambda: file.read(1), lambda: file.truncate(0)):
            with pytest.raises(io.UnsupportedOperation, match="seekable=True"):
                await call()


async def test_the_temporary_file_is_used_in_threads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk holds up no loop."""
    threads = set()

    class Noting(io.BytesIO):
        def write(self, data: Any) -> int:
            threads.add(threading.current_thread())
            return super().write(data)

        def readinto(self, buffer: Any) -> int:
            threads.add(threading.current_thread())
            return super().readinto(buffer)

    monkeypatch.setattr("tempfile._io.BytesIO", Noting)
    async with AsyncStore(AsyncMemoryBackend()).open_atomic("f", seekable=True) as file:
        await file.write(b"x" * 2_000_000)
        await file.seek(0)
        await file.read(1_000_000)
    assert threads
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("make", ASYNC_MAKERS.values(), ids=ASYNC_MAKERS)
async def test_a_cancelled_block_publishes_nothing(make: Callable[[Path], Any], tmp_path: Path) -> None:
    store = AsyncStore(make(tmp_path))
    entered = asyncio.Event()

    async def write() -> None:
        async with store.open_atomic("f", seekable=True) as file:
            await file.write(b"x" * 100)
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(write())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await store.exists("f")
    assert os.listdir(tmp_path) == []
    await store.aclose()


async def test_after_the_block_nothing_is_taken() -> None:
    store = AsyncStore(AsyncMemoryBackend())
    async with store.open_atomic("f", seekable=True) as file:
        await file.write(b"1")
    for call in (lambda: file.write(b"2"), lambda: file.seek(0), lambda: file.read()):
        with pytest.raises(ValueError, match="closed file"):
            await call()
    with pytest.raises(RemoteStoreError):
        async with store.open_atomic("f", seekable=True):
            pass


@pytest.mark.parametrize("maker", [LocalBackend, lambda _: MemoryBackend()], ids=["local", "memory"])
def test_a_writer_that_does_not_seek_says_how_to_get_one_that_does(
    maker: Callable[[Path], Any], tmp_path: Path
) -> None:
    store = Store(maker(tmp_path))
    with store.open_atomic("a") as file:
        file.write(b"1")
        assert not file.seekable()
        with pytest.raises(io.UnsupportedOperation, match="seekable=True"):
            file.seek(0)
    assert store.read_bytes("a") == b"1"
