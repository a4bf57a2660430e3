"""Cancellation, dying loops, forks, foreign errors, and other people's mistakes."""

from __future__ import annotations

import asyncio
import copy
import errno
import gc
import io
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from helpers.deadline import DEADLINE
from helpers.kinds import UnknownLooped, unknown_filesystem

from remote_store import (
    Capability,
    CapabilityNotSupported,
    FileInfo,
    FsspecBackend,
    InvalidPath,
    NotFound,
    PermissionDenied,
    RemotePath,
    RemoteStoreError,
    Store,
)
from remote_store._models import UNKNOWN_TIME
from remote_store.aio import AsyncMemoryBackend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend


def filled(count: int) -> MemoryBackend:
    backend = MemoryBackend()
    store = Store(backend)
    for index in range(count):
        store.write(f"d/{index:04}", b"1")
    return backend


# --- cancellation and loops


async def test_cancelling_a_listing_in_a_thread_is_a_plain_cancellation() -> None:
    backend = filled(3)
    started, go_on = threading.Event(), threading.Event()
    closed: list[str] = []

    def slow(path: str, **options: Any) -> Iterator[FileInfo]:
        try:
            started.set()
            go_on.wait(DEADLINE)
            yield FileInfo(RemotePath("d/x"), "x", 1, UNKNOWN_TIME)
        finally:
            closed.append("closed")

    backend.list_files = slow  # type: ignore[method-assign]
    store = AsyncStore(backend)

    async def listing() -> list[Any]:
        return [info async for info in store.list_files("d")]

    task = asyncio.ensure_future(listing())
    await asyncio.to_thread(started.wait)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert closed == ["closed"]


async def test_what_a_cancelled_open_opened_is_closed_off_the_loop() -> None:
    backend = MemoryBackend()
    Store(backend).write("f", b"1")
    started, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    closers: list[str] = []

    class Stream(io.BytesIO):
        def close(self) -> None:
            if not self.closed:
                closers.append(threading.current_thread().name)
                closed.set()
            super().close()

    def slow(path: str) -> Any:
        started.set()
        go_on.wait(DEADLINE)
        return Stream(b"1")

    backend.read = slow  # type: ignore[method-assign]
    chunks = AsyncStore(backend).read("f")
    task = asyncio.ensure_future(anext(chunks))
    await asyncio.to_thread(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 30)
    assert threading.main_thread().name not in closers


def test_a_sync_listing_outlives_the_loop_it_was_begun_in() -> None:
    store = Store(filled(1000))
    listing = store.list_files("d")

    async def begin() -> None:
        next(listing)

    asyncio.run(begin())
    assert len(list(listing)) == 999


def test_iterators_left_at_the_end_of_a_loop_close_quietly(tmp_path: Path) -> None:
    script = """
        import asyncio, sys
        from remote_store.aio import AsyncStore, AsyncMemoryBackend, AsyncLocalBackend

        async def main():
            asyncio.get_running_loop().slow_callback_duration = 60
            for backend in (AsyncMemoryBackend(), AsyncLocalBackend(sys.argv[1])):
                store = AsyncStore(backend)
                for index in range(600):
                    await store.write(f"d/{index}", b"x" * 200_000 if index == 1 else b"1", overwrite=True)
                left.extend([store.read("d/1"), store.list_files("d"), store.glob("d/*")])
                left.append(store.child("d").iter_children())
            for iterator in left:
                await anext(iterator)

        left = []
        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_with_an_open_stream_over_a_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 200_000)
    script = """
        import sys
        from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
        from fsspec.implementations.dirfs import DirFileSystem
        from fsspec.implementations.local import LocalFileSystem
        from remote_store import FsspecBackend, Store

        class Looped(AsyncFileSystemWrapper):
            pass

        store = Store(FsspecBackend(Looped(DirFileSystem(sys.argv[1], LocalFileSystem()))))
        stream = store.read("f")
        assert stream.read(1) == b"x"
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    assert subprocess.run(command, timeout=DEADLINE, check=False).returncode == 0


# --- forks


def in_child(work: Any) -> int:
    child = os.fork()
    if child == 0:
        try:
            os._exit(int(work() or 0))
        except BaseException as error:
            sys.stderr.write(repr(error))
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_stores_over_loops_and_connections_work_in_a_forked_child(tmp_path: Path, ftp_server: tuple[str, int]) -> None:
    from servers.ftp import ftp_store

    (tmp_path / "f").write_bytes(b"1")
    looped = Store(FsspecBackend(UnknownLooped(DirFileSystem(str(tmp_path), LocalFileSystem()))))
    stream = looped.read("f")

    def child() -> int:
        stream.close()
        return 0 if looped.read_bytes("f") == b"1" else 1

    assert in_child(child) == 0
    assert stream.read() == b"1"
    with ftp_store(*ftp_server) as store:
        for index in range(5):
            store.write(f"f{index}", b"%d" % index)

        def read_all() -> int:
            return sum(store.read_bytes(f"f{index}") != b"%d" % index for index in range(5))

        assert in_child(read_all) == 0
        assert read_all() == 0


# --- errors from elsewhere


class Failing(io.RawIOBase):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise self._error


def test_errors_of_the_callers_content_keep_their_paths() -> None:
    backend = MemoryBackend()
    child, root = Store(backend, "b"), Store(backend)
    with pytest.raises(NotFound) as caught:
        child.write("k", Failing(NotFound("gone", path="b/data", backend="memory")))  # type: ignore[arg-type]
    assert caught.value.path == "b/data"
    root.write("b/data", b"1")
    backend.read = lambda path: Failing(NotFound("gone", path=path, backend="memory"))  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(NotFound) as caught:
        child.write("k", root.read("b/data"))
    assert caught.value.path == "b/data"
    with pytest.raises(NotFound) as caught, child.open_atomic("t"):
        root.get_folder_info("b/none", max_depth=0)
    assert caught.value.path == "b/none"


async def test_errors_of_the_callers_async_content_keep_their_paths() -> None:
    store = AsyncStore(AsyncMemoryBackend())

    async def failing() -> Any:
        raise NotFound("gone", path="b/data", backend="memory")
        yield b""

    with pytest.raises(NotFound) as caught:
        await store.child("b").write("k", failing())
    assert caught.value.path == "b/data"
    with pytest.raises(NotFound) as caught:
        async with store.child("b").open_atomic("t"):
            await store.read_bytes("b/none")
    assert caught.value.path == "b/none"


def test_errors_of_a_childs_writer_speak_its_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from remote_store.drivers.local import system

    child = Store(LocalBackend(tmp_path)).child("a")

    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(system, "write_all", full)
    with pytest.raises(RemoteStoreError) as caught, child.open_atomic("b/f") as file:
        file.write(b"x" * 1_000_000)
    assert caught.value.path == "b/f"
    assert list(tmp_path.iterdir()) == []


def test_errors_at_the_call_speak_a_childs_paths(tmp_path: Path) -> None:
    child = Store(LocalBackend(tmp_path)).child("kid")
    for attempt in (lambda: child.list_files(".~rs-x"), lambda: child.get_file_info(".~rs-x")):
        with pytest.raises(InvalidPath) as caught:
            attempt()
        assert caught.value.path == ".~rs-x"


def test_content_stays_open_for_its_caller(tmp_path: Path) -> None:
    for store in (
        Store(MemoryBackend()),
        Store(LocalBackend(tmp_path), "d"),
        Store(FsspecBackend(unknown_filesystem())),
    ):
        content = io.BytesIO(b"12345")
        store.write("f", content)
        gc.collect()
        assert not content.closed
        content.seek(2)
        store.write_atomic("g", content) if store.supports(Capability.ATOMIC_WRITE) else store.write("g", content)
        assert store.read_bytes("g") == b"345"
        assert not content.closed


# --- mistakes


def test_a_store_refuses_what_is_no_backend() -> None:
    with pytest.raises(TypeError, match="AsyncStore"):
        Store(AsyncMemoryBackend())  # type: ignore[arg-type]
    for cls in (Store, AsyncStore):
        for wrong in ("memory://x", None, 5):
            with pytest.raises(TypeError, match="from_url"):
                cls(wrong)  # type: ignore[arg-type]


def test_wrong_types_are_told_at_once() -> None:
    store = Store(MemoryBackend())
    for attempt in (
        lambda: store.write_text("a", b"bytes"),  # type: ignore[arg-type]
        lambda: store.to_key(Path("a")),  # type: ignore[arg-type]
        lambda: store.list_files(pattern=5),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            attempt()
    assert list(store.list_files()) == []


def test_stores_over_one_backend_are_equal() -> None:
    backend = MemoryBackend()
    assert AsyncStore(backend, "x") == AsyncStore(backend, "x")
    assert hash(AsyncStore(backend, "x")) == hash(AsyncStore(backend, "x"))
    assert AsyncStore(backend, "x") != AsyncStore(MemoryBackend(), "x")


def test_a_copied_child_closes_nothing(tmp_path: Path) -> None:
    closed: list[int] = []

    class Closing(LocalBackend):
        def close(self) -> None:
            closed.append(1)

    child = Store(Closing(tmp_path)).child("a")
    copy.copy(child).close()
    assert closed == []
    assert pickle.loads(pickle.dumps(Store(LocalBackend(tmp_path), "x"))).native_path("f") == str(tmp_path / "x" / "f")


def test_streams_refuse_positions_before_the_start(tmp_path: Path) -> None:
    for backend in (MemoryBackend(), LocalBackend(tmp_path)):
        store = Store(backend)
        store.write("f", b"0123456789")
        with store.read("f") as stream:
            for offset, whence in ((-1, 0), (-11, 2), (-1, 1)):
                with pytest.raises(ValueError, match="negative seek") as caught:
                    stream.seek(offset, whence)
                assert isinstance(caught.value, OSError)
            assert stream.seek(-2, 2) == 8
        with store.read_seekable("f") as stream:
            assert not zipfile.is_zipfile(stream)


def test_a_writer_that_is_detached_leaves_nothing(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        with pytest.raises(ValueError, match="detached"), store.open_atomic("d/f") as file:
            file.detach()
    assert list(tmp_path.iterdir()) == []
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_writers_know_their_position(tmp_path: Path) -> None:
    for backend in (MemoryBackend(), LocalBackend(tmp_path)):
        for store in (Store(backend), Store(backend, "d")):
            with store.open_atomic("f", overwrite=True) as file:
                file.write(b"123")
                assert file.tell() == 3
                file.write(b"x" * 1_000_000)
                assert file.tell() == 1_000_003


def test_temporary_files_that_fail_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = Store(FsspecBackend(unknown_filesystem()))
    store.write("small", b"x" * 9_000_000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(RemoteStoreError, match="temporary file") as caught:
        store.write("f", io.BytesIO(b"x" * 9_000_000))
    assert type(caught.value) is RemoteStoreError
    assert not store.exists("f")


def test_the_first_error_stands_when_the_question_after_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = unknown_filesystem()
    store = Store(FsspecBackend(fs))
    info = fs.info
    broken = False

    def pipe(path: str, value: bytes) -> None:
        nonlocal broken
        broken = True
        raise PermissionError("no")

    def outage(path: str, **options: Any) -> Any:
        if broken:
            raise ConnectionError("down")
        return info(path, **options)

    monkeypatch.setattr(fs, "pipe_file", pipe)
    monkeypatch.setattr(fs, "info", outage)
    with pytest.raises(PermissionDenied):
        store.write("d/f", b"1")


def test_a_verb_a_filesystem_lacks_is_a_missing_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = unknown_filesystem()
    store = Store(FsspecBackend(fs))

    def lacking(path: str, value: bytes) -> None:
        raise NotImplementedError

    monkeypatch.setattr(fs, "pipe_file", lacking)
    with pytest.raises(CapabilityNotSupported, match="'write' is not supported") as caught:
        store.write("f", b"1")
    assert caught.value.capability == "write"


def test_deep_trees_are_written_and_deleted(tmp_path: Path) -> None:
    local = Store(LocalBackend(tmp_path))
    memory = Store(MemoryBackend())
    generic = Store(FsspecBackend(unknown_filesystem()))
    for store in (local, memory, generic):
        depth = 1100 if store is not generic else 300
        store.write("a/" * depth + "f", b"1")
        assert [str(e.path).count("/") for e in store.list_files(recursive=True)] == [depth]
        store.delete_folder("a", recursive=True)
        assert not store.exists("a")


def test_metadata_up_to_the_limit_is_kept_whatever_its_characters(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    if not store.supports(Capability.USER_METADATA):
        pytest.skip("this file system has no extended attributes")
    for value in ('"' * 2000, "\n" * 2000, "ü" * 1000, "\0" * 2000):
        store.write("f", b"1", metadata={"k": value}, overwrite=True)
        assert store.get_file_info("f").metadata == {"k": value}


def test_undoing_a_failed_write_stays_inside_the_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    store = Store(LocalBackend(root))

    class Swapping(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            (root / "a").rename(root / "moved")
            (root / "a").symlink_to(outside)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write("a/b/f", Swapping())  # type: ignore[arg-type]
    assert (outside / "b").is_dir()


def test_one_unreadable_link_does_not_break_a_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    store = Store(LocalBackend(root))
    store.write("ok", b"1")
    (root / "link").symlink_to(outside / "f")
    real = os.open

    def denied(path: Any, *args: Any, **options: Any) -> int:
        if os.path.basename(path) == "link":
            raise PermissionError(errno.EACCES, "no")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", denied)
    assert [e.name for e in store.list_files()] == ["ok"]
    assert not store.exists("link")
    with pytest.raises(InvalidPath, match="escapes root"):
        store.read_bytes("link")


# --- who runs what


async def test_content_is_read_on_the_callers_loop() -> None:
    from remote_store.aio import AsyncFsspecBackend

    loops: list[asyncio.AbstractEventLoop] = []

    async def content() -> Any:
        for _ in range(3):
            loops.append(asyncio.get_running_loop())
            yield b"1"

    for asynchronous in (True, False):
        fs = UnknownLooped(unknown_filesystem(), asynchronous=asynchronous)
        store = AsyncStore(AsyncFsspecBackend(fs))
        await store.write("f", content())
        assert await store.read_bytes("f") == b"111"
    assert set(loops) == {asyncio.get_running_loop()}


def test_calls_of_one_connection_never_overlap() -> None:
    fs = unknown_filesystem()
    inside, overlaps = [0], [0]

    def alone(method: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            inside[0] += 1
            overlaps[0] += inside[0] > 1
            try:
                for _ in range(50):
                    pass
                return method(*args, **options)
            finally:
                inside[0] -= 1

        return call

    for name in ("info", "ls", "cat_file", "pipe_file", "rm_file"):
        setattr(fs, name, alone(getattr(fs, name)))
    stores = [Store(FsspecBackend(fs)), Store(FsspecBackend(fs), "d")]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # Threads change places often enough to meet inside if they can.

    def work(number: int) -> None:
        for _ in range(10):
            store = stores[number % 2]
            store.write(f"f{number}", b"1", overwrite=True)
            store.read_bytes(f"f{number}")
            list(store.list_files())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert overlaps == [0]


def test_each_url_opens_a_filesystem_of_its_own(ftp_server: tuple[str, int]) -> None:
    from servers.ftp import PASSWORD, USER

    host, port = ftp_server
    opened = [Store.from_url(f"ftp://{host}:{port}", username=USER, password=PASSWORD) for _ in range(2)]
    assert opened[0].unwrap(object) is not opened[1].unwrap(object)
    assert not opened[0].unwrap(object).dircache.use_listings_cache  # type: ignore[attr-defined]
    for store in opened:
        store.close()


async def test_async_streams_and_writers_of_a_child_speak_its_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = AsyncMemoryBackend()
    child = AsyncStore(backend).child("a")
    await child.write("f", b"1")

    async def gone(*args: object) -> Any:
        raise NotFound("gone", path="a/f", backend="memory")

    stream = await child.read_seekable("f")
    monkeypatch.setattr(stream._reader, "read", gone)
    with pytest.raises(NotFound) as caught:
        await stream.read()
    assert caught.value.path == "f"

    async def write() -> None:
        async with child.open_atomic("g") as file:
            monkeypatch.setattr(file, "_write", gone)
            await file.write(b"1")

    with pytest.raises(NotFound) as caught:
        await write()
    assert caught.value.path == "f"
    assert not await child.exists("g")


def test_a_handle_is_closed_when_wrapping_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    from remote_store.backends import _fsspec

    store = Store(LocalBackend(tmp_path))
    store.write("f", b"1")

    def fail(*args: object) -> Any:
        raise MemoryError

    monkeypatch.setattr(_fsspec, "read_stream", fail)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(MemoryError):
            store.read("f")
    assert len(os.listdir("/proc/self/fd")) == before
