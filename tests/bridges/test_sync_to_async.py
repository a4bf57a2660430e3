"""`SyncBackendAdapter` against ASYNC-030 to ASYNC-037, an ID to a test."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import io
import tempfile
import threading
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.scripted import ENTRIES, OPERATIONS, PLAIN, arguments, backend_methods, entry, noting

import remote_store.io.content as content_module
from remote_store import AsyncBackendSyncAdapter, BackendUnavailable, NotFound, PermissionDenied, RemoteStoreError
from remote_store._methods import Method
from remote_store.aio import AsyncBackend, AsyncMemoryBackend, AsyncStore, SyncBackendAdapter
from remote_store.backends import MemoryBackend
from remote_store.bridges.threads import LISTING_BATCH


class Watched(MemoryBackend):
    """Memory that notes which thread calls what."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, bool]] = []
        self.write("f", b"x" * 150_000)
        self.write("d/g", b"1")
        self.calls.clear()

    def sign(self, path: str, **options: Any) -> str:
        return "https://example.org"

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in CALLS or name in PASSED_THROUGH or name in ("read", "close", "open_atomic"):
            self.calls.append((name, threading.current_thread() is threading.main_thread()))
        return value


async def drained(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def _call(method: Method) -> Callable[[AsyncBackend], Awaitable[Any]]:
    async def call(adapter: AsyncBackend) -> Any:
        options = {"recursive": True} if method.name == "delete_folder" else {}
        result = getattr(adapter, method.name)(*arguments(method), **options)
        return await (drained(result) if method.kind == "items" else result)

    return call


CALLS = {method.name: _call(method) for method in backend_methods("value", "items")} | {
    "write": lambda adapter: adapter.write("w", b"1"),
    "write_atomic": lambda adapter: adapter.write_atomic("w", b"1"),
    "read_seekable": lambda adapter: seekable(adapter),
}
PASSED_THROUGH: dict[str, Callable[[Any], Any]] = {
    **{name: ask for name, ask in PLAIN.items() if name != "concurrency"},
    "capabilities": lambda adapter: adapter.capabilities,
    "unwrap": lambda adapter: adapter.unwrap(MemoryBackend),
}


async def seekable(adapter: AsyncBackend) -> None:
    async with await adapter.read_seekable("f") as stream:
        await stream.seek(1)
        await stream.read(1)


async def test_async_030_the_adapter_is_an_async_backend() -> None:
    adapter = SyncBackendAdapter(MemoryBackend())
    assert isinstance(adapter, AsyncBackend)
    assert await AsyncStore(adapter).exists("") is True


@pytest.mark.parametrize("call", CALLS)
async def test_async_031_every_operation_runs_in_a_thread(call: str) -> None:
    backend = Watched()
    adapter = SyncBackendAdapter(backend)
    backend.calls.clear()
    await CALLS[call](adapter)
    assert backend.calls[0][0] == call
    called = threading.Event()

    def blocked(*args: Any, **options: Any) -> Any:
        assert called.wait(DEADLINE)
        raise PermissionDenied("no", path="f", backend="memory")

    setattr(backend, call, blocked)
    task = asyncio.ensure_future(CALLS[call](adapter))
    for _ in range(3):
        await asyncio.sleep(0)
    called.set()  # reached only because the loop is free
    with pytest.raises(PermissionDenied):
        await task


async def test_async_032_a_listing_comes_in_batches_from_threads() -> None:
    threads: list[bool] = []
    taken: list[int] = []

    class Long(MemoryBackend):
        def list_folders(self, path: str) -> Any:
            for index in range(3 * LISTING_BATCH):
                threads.append(threading.current_thread() is threading.main_thread())
                taken.append(index)
                yield index

    items = SyncBackendAdapter(Long()).list_folders("")
    assert await anext(items) == 0
    assert len(taken) == LISTING_BATCH
    assert await drained(items) == list(range(1, 3 * LISTING_BATCH))
    assert not any(threads)


class Handle(io.BytesIO):
    """A file that notes how it is read, and who closes it."""

    def __init__(self, size: int) -> None:
        super().__init__(bytes(size))
        self.sizes: list[int | None] = []
        self.closers: list[bool] = []
        self.gone = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.sizes.append(size)
        return super().read(size)

    def close(self) -> None:
        self.closers.append(threading.current_thread() is threading.main_thread())
        super().close()
        self.gone.set()


@pytest.fixture
def reading() -> tuple[SyncBackendAdapter, Handle]:
    backend, handle = MemoryBackend(), Handle(150_000)
    backend.read = lambda path: handle  # type: ignore[method-assign, assignment, return-value]
    return SyncBackendAdapter(backend), handle


async def test_async_033_a_read_yields_chunks_and_closes_in_a_thread(
    reading: tuple[SyncBackendAdapter, Handle],
) -> None:
    adapter, handle = reading
    assert [len(chunk) async for chunk in adapter.read("f")] == [65536, 65536, 150_000 - 2 * 65536]
    assert handle.sizes == [65536] * 4
    assert handle.closers == [False]


@pytest.mark.parametrize("how", ["left", "failed", "dropped"])
async def test_async_033_the_file_is_closed_however_reading_ends(
    reading: tuple[SyncBackendAdapter, Handle], how: str
) -> None:
    adapter, handle = reading
    chunks = adapter.read("f")
    await anext(chunks)
    if how == "left":
        await chunks.aclose()  # type: ignore[attr-defined]
    elif how == "failed":
        handle.read = lambda size: 1 // 0  # type: ignore[method-assign, assignment]
        with pytest.raises(ZeroDivisionError):
            await anext(chunks)
    else:
        del chunks
        gc.collect()
    assert await asyncio.to_thread(handle.gone.wait, DEADLINE)
    assert not any(handle.closers)


@pytest.mark.parametrize("what", PASSED_THROUGH)
async def test_async_034_what_needs_no_io_is_passed_on_in_place(what: str) -> None:
    backend = Watched()
    adapter = SyncBackendAdapter(backend)
    backend.calls.clear()
    with contextlib.suppress(Exception):  # unwrap has nothing of that type
        assert PASSED_THROUGH[what](adapter) == PASSED_THROUGH[what](backend)
    assert backend.calls[0] == (what, True)


async def test_async_035_aclose_closes_in_a_thread() -> None:
    backend = Watched()
    await SyncBackendAdapter(backend).aclose()
    assert backend.calls == [("close", True)]  # looked up here …
    closers: list[bool] = []
    backend.close = lambda: closers.append(threading.current_thread() is threading.main_thread())  # type: ignore[method-assign]
    await SyncBackendAdapter(backend).aclose()
    assert closers == [False]  # … and called there


@pytest.mark.parametrize("method", ["write", "write_atomic"])
async def test_async_036_an_iterator_becomes_bytes_or_beyond_a_limit_a_file_that_is_closed(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spools: list[Any] = []
    make = content_module.spool
    monkeypatch.setattr("remote_store.bridges.threads.spool", lambda: spools.append(make()) or spools[-1])
    contents: list[Any] = []

    class Noting(MemoryBackend):
        def write(self, path: str, content: Any, **options: Any) -> Any:
            contents.append(content)
            return super().write(path, content, **options)

        def write_atomic(self, path: str, content: Any, **options: Any) -> Any:
            contents.append(content)
            return super().write_atomic(path, content, **options)

    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(1 << 20)

    store = AsyncStore(Noting())
    assert (await getattr(store, method)("small", pieces(2))).size == 2 << 20
    assert contents == [bytes(2 << 20)]
    assert (await getattr(store, method)("large", pieces(9))).size == 9 << 20
    assert contents[1] is spools[0]
    with pytest.raises(Exception, match="already exists"):
        await getattr(store, method)("large", pieces(9))
    assert [spool.closed for spool in spools] == [True, True]


@pytest.mark.parametrize("error", [NotFound("n"), PermissionDenied("p"), BackendUnavailable("b"), TimeoutError("t")])
async def test_async_037_check_health_tells_what_the_backend_tells(error: Exception) -> None:
    backend = MemoryBackend()

    def fail() -> None:
        raise error

    backend.check_health = fail  # type: ignore[method-assign]
    for call in (SyncBackendAdapter(backend).check_health, AsyncStore(backend).ping):
        with pytest.raises(type(error)) as caught:
            await call()
        # asyncio hands on a copy of a TimeoutError.
        assert caught.value is error or repr(caught.value) == repr(error) == "TimeoutError('t')"


# --- what is passed on


@pytest.mark.parametrize("name", [*OPERATIONS, *ENTRIES])
async def test_each_operation_calls_its_own_twin(name: str) -> None:
    backend = noting(MemoryBackend)
    args, options = {**OPERATIONS, **ENTRIES}[name]
    result = getattr(SyncBackendAdapter(backend), name)(*args, **options)
    assert backend.calls == []
    (answer,) = await drained(result) if name in ENTRIES else (await result,)
    assert backend.calls == [(name, args, options)]
    assert answer is backend.answers[name]


@pytest.mark.parametrize("what", [*PLAIN, "close_is_terminal"])
def test_what_needs_no_io_is_that_of_the_backend(what: str) -> None:
    backend = noting(MemoryBackend)
    ask = PLAIN.get(what, lambda backend: backend.close_is_terminal)
    assert ask(SyncBackendAdapter(backend)) == ask(backend) != ask(MemoryBackend())


def test_a_handle_is_that_of_the_backend_on_any_loop() -> None:
    backend: Any = MemoryBackend()
    backend.unwrap = lambda type_hint: type_hint("handle")
    assert SyncBackendAdapter(backend).unwrap(str) == "handle"
    with AsyncBackendSyncAdapter(SyncBackendAdapter(backend)) as adapter:
        assert adapter.unwrap(str) == "handle"


# --- in the middle of things


@pytest.mark.parametrize("call", ["exists", "list_files", "open_atomic", "read"])
async def test_a_stop_iteration_of_the_backend_is_an_error(call: str) -> None:
    def stop(*args: Any, **options: Any) -> Any:
        raise StopIteration

    class Stopping(io.BytesIO):
        read = stop  # type: ignore[assignment]

    backend = MemoryBackend()
    setattr(backend, call, (lambda path: Stopping(b"1")) if call == "read" else stop)
    adapter = SyncBackendAdapter(backend)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "exists": lambda: adapter.exists("f"),
        "list_files": lambda: drained(adapter.list_files("")),
        "read": lambda: drained(adapter.read("f")),
        "open_atomic": lambda: adapter.open_atomic("f").__aenter__(),
    }
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(calls[call](), DEADLINE)


class Busy:
    """Something that a thread is busy with until it may go on, with notes of what happened."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.over = threading.Event(), threading.Event(), threading.Event()
        self.events: list[str] = []

    def work(self) -> None:
        self.events.append("begins")
        self.begun.set()
        assert self.go_on.wait(DEADLINE)
        self.events.append("ends")

    def end(self, how: str) -> None:
        self.events.append(how)
        self.over.set()

    async def cancel(self, task: asyncio.Future[Any]) -> None:
        """Cancel a task at its work, which goes on once all that follows was handed to threads."""
        assert await asyncio.to_thread(self.begun.wait, DEADLINE)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        await asyncio.to_thread(self.go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(self.over.wait, DEADLINE)


class BusyFile(io.RawIOBase):
    """A file whose reads, or whose opening, take a while."""

    def __init__(self, busy: Busy, opening: bool) -> None:
        self.busy, self.opening = busy, opening
        if opening:
            busy.work()

    def read(self, size: int = -1) -> bytes:
        self.busy.work()
        return b"1"

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed and self.busy.events:
            self.busy.end("closed" + " in the loop" * (threading.current_thread() is threading.main_thread()))
        super().close()


@pytest.mark.parametrize("during", ["opening", "reading"])
@pytest.mark.parametrize("method", ["read", "read_seekable"])
async def test_a_file_is_closed_after_the_read_whose_caller_was_cancelled(method: str, during: str) -> None:
    busy, backend = Busy(), MemoryBackend()
    setattr(backend, method, lambda path: BusyFile(busy, during == "opening"))
    adapter = SyncBackendAdapter(backend)

    async def read() -> None:
        if method == "read":
            await drained(adapter.read("f"))
        else:
            async with await adapter.read_seekable("f") as stream:
                await stream.read(1)

    await busy.cancel(asyncio.ensure_future(read()))
    assert busy.events == ["begins", "ends", "closed"]


class BusyWriter(MemoryBackend):
    """Memory whose atomic writes take a while where they are told to."""

    def __init__(self, busy: Busy, during: str) -> None:
        super().__init__()
        self.busy, self.during = busy, during

    @contextlib.contextmanager
    def open_atomic(self, path: str, **options: Any) -> Iterator[Any]:
        assert threading.current_thread() is not threading.main_thread()
        if self.during == "opening":
            self.busy.work()
        try:
            yield self
        except (asyncio.CancelledError, LookupError):
            self.busy.end("discarded")
            raise
        else:
            if self.during == "committing":
                self.busy.work()
            self.busy.end("committed")

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self.during == "writing":
            self.busy.work()


@pytest.mark.parametrize("during", ["opening", "writing", "committing"])
async def test_a_cancelled_atomic_write_is_discarded_after_what_is_running(during: str) -> None:
    busy = Busy()

    async def write() -> None:
        async with SyncBackendAdapter(BusyWriter(busy, during)).open_atomic("f") as file:
            await file.write(b"1")

    await busy.cancel(asyncio.ensure_future(write()))
    assert busy.events == ["begins", "ends", "committed" if during == "committing" else "discarded"]


async def test_after_its_block_the_writer_refuses() -> None:
    class Open(MemoryBackend):
        @contextlib.contextmanager
        def open_atomic(self, path: str, **options: Any) -> Iterator[Any]:
            yield (file := types.SimpleNamespace(write=written.append))
            file.result = len(written)

    adapter, written = SyncBackendAdapter(Open()), []
    async with adapter.open_atomic("f") as left:
        await left.write(b"1")
    with pytest.raises(LookupError):
        async with adapter.open_atomic("g") as failed:
            raise LookupError
    for file in (left, failed):
        with pytest.raises(ValueError, match=r"^write to closed file$"):
            await file.write(b"2")
    assert written == [b"1"]
    assert (left.result, failed.result) == (1, None)


async def test_a_cancelled_write_keeps_its_spool_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, seen = Busy(), []

    class Target(MemoryBackend):
        def write(self, path: str, content: Any, **options: Any) -> Any:
            busy.work()
            seen.append(len(content.read()))
            return None

    class Spool(tempfile.SpooledTemporaryFile[bytes]):
        def __exit__(self, *exc_info: object) -> None:
            super().__exit__(*exc_info)  # type: ignore[arg-type]
            busy.end("closed")

    monkeypatch.setattr("remote_store.bridges.threads.spool", Spool)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(1 << 20)

    await busy.cancel(asyncio.ensure_future(SyncBackendAdapter(Target()).write("f", pieces())))
    assert seen == [9 << 20]
    assert busy.events == ["begins", "ends", "closed"]


async def test_a_spool_that_fails_is_an_error_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(1 << 20)

    monkeypatch.setattr("remote_store.bridges.threads.spool", Full)
    with pytest.raises(RemoteStoreError, match="temporary file") as caught:
        await SyncBackendAdapter(MemoryBackend()).write("f", pieces())
    assert (caught.value.path, caught.value.backend) == ("f", "memory")


async def test_what_opened_just_before_the_cancellation_is_closed_in_a_thread() -> None:
    busy, backend = Busy(), MemoryBackend()
    busy.go_on.set()
    backend.read = lambda path: BusyFile(busy, True)  # type: ignore[method-assign, assignment, return-value]
    with ThreadPoolExecutor(1) as thread:
        asyncio.get_running_loop().set_default_executor(thread)
        task = asyncio.ensure_future(anext(SyncBackendAdapter(backend).read("f")))
        await asyncio.sleep(0)
        assert busy.begun.wait(DEADLINE)
        thread.submit(str).result(DEADLINE)  # after it, and this loop has not heard of it
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(busy.over.wait, DEADLINE)
    assert busy.events == ["begins", "ends", "closed"]


@pytest.mark.parametrize("count", [0, 5, LISTING_BATCH, LISTING_BATCH + 5])
async def test_an_error_in_a_listing_comes_after_the_entries_before_it(count: int) -> None:
    class Failing(MemoryBackend):
        def list_files(self, path: str, **options: Any) -> Iterator[Any]:
            yield from (entry(f"f{index}") for index in range(count))
            raise PermissionDenied("no", path="f", backend="memory")

    items = SyncBackendAdapter(Failing()).list_files("")
    assert [(await anext(items)).name for _ in range(count)] == [f"f{index}" for index in range(count)]
    with pytest.raises(PermissionDenied):
        await anext(items)


async def test_a_listing_is_closed_after_the_batch_whose_caller_was_cancelled() -> None:
    busy = Busy()

    def entries() -> Iterator[Any]:
        try:
            busy.work()
            yield entry("a")
            yield from iter(lambda: entry("b"), None)
        finally:
            busy.end("closed")

    backend, kept = MemoryBackend(), entries()  # which no collection ends
    backend.list_files = lambda *args, **options: kept  # type: ignore[method-assign]
    await busy.cancel(asyncio.ensure_future(anext(SyncBackendAdapter(backend).list_files(""))))
    assert busy.events == ["begins", "ends", "closed"]


async def test_a_listing_need_not_be_a_generator() -> None:
    left = [3, 0, 2, 1]

    class Broken:
        def __iter__(self) -> Broken:
            return self

        def __next__(self) -> int:
            return left.pop() or 1 // 0

    backend: Any = MemoryBackend()
    backend.list_folders = lambda path: [1, 2]
    adapter = SyncBackendAdapter(backend)
    assert await drained(adapter.list_folders("")) == [1, 2]
    backend.list_folders = lambda path: Broken()
    items = adapter.list_folders("")
    assert [await anext(items), await anext(items)] == [1, 2]
    with pytest.raises(ZeroDivisionError):  # and is not asked again
        await anext(items)


async def test_round_trips_through_both_bridges() -> None:
    adapter: Any = AsyncMemoryBackend()
    for _ in range(3):
        adapter = SyncBackendAdapter(AsyncBackendSyncAdapter(adapter))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 100_000

    async with AsyncStore(adapter) as store:
        assert (await store.write("d/f", pieces())).size == 300_000
        assert b"".join([chunk async for chunk in store.read("d/f")]) == b"x" * 300_000
        assert [str(info.path) async for info in store.list_files("", recursive=True)] == ["d/f"]
        with pytest.raises(NotFound) as caught:
            await store.read_bytes("d/none")
        assert (caught.value.path, caught.value.backend) == ("d/none", "memory")


async def test_a_thousand_reads_and_listings_leave_no_task() -> None:
    store = AsyncStore(SyncBackendAdapter(MemoryBackend()))
    await store.write("f", b"1")
    threads = threading.active_count()
    for _ in range(1000):
        async with contextlib.aclosing(store.read("f")) as chunks:  # type: ignore[type-var]
            await anext(chunks)
        async with contextlib.aclosing(store.list_files("")) as files:  # type: ignore[type-var]
            await anext(files)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert threading.active_count() <= threads + 32  # the default executor's
