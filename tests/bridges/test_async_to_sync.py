"""`AsyncBackendSyncAdapter` against ASYNC-080 to ASYNC-093, an ID to a test."""

from __future__ import annotations

import array
import asyncio
import gc
import io
import logging
import os
import pickle
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.processes import Fork
from helpers.scripted import (
    ENTRIES,
    OPERATIONS,
    PLAIN,
    Gate,
    Scripted,
    arguments,
    backend_methods,
    entry,
    noting,
)

from remote_store import (
    AlreadyExists,
    AsyncBackendSyncAdapter,
    Backend,
    BackendUnavailable,
    Capability,
    CapabilityNotSupported,
    CapabilitySet,
    NotFound,
    PermissionDenied,
    ResourceLocked,
    Store,
)
from remote_store._methods import Method
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend

Adapter = AsyncBackendSyncAdapter
RUNNING, CLOSED = (
    "AsyncBackendSyncAdapter cannot be called from a running event loop",
    "AsyncBackendSyncAdapter is closed",
)


def _call(method: Method) -> Callable[[Adapter], Any]:
    def call(adapter: Adapter) -> Any:
        result = getattr(adapter, method.name)(*arguments(method))
        if method.kind == "writer":
            with result as file:
                return file.write(b"1")
        return list(result) if method.kind == "items" else result

    return call


CALLS = {method.name: _call(method) for method in backend_methods("value", "items", "stream", "writer")} | {
    "write a stream": lambda adapter: adapter.write("f", io.BytesIO(b"1"))
}
LISTINGS = ["list_files", "list_folders", "iter_children", "glob"]


# --- ASYNC-080


def test_async_080_nothing_is_pulled_ahead(bridged: Any) -> None:
    backend = Scripted(b"abcd", b"efgh", b"ij")
    with bridged(backend).read("f") as stream:
        assert backend.events == ["pull b'abcd'"]
        assert stream.read(2) == b"ab"
        assert stream.read(2) == b"cd"
        assert backend.events == ["pull b'abcd'"]
        assert stream.read(1) == b"e"
        assert backend.events == ["pull b'abcd'", "pull b'efgh'"]
    backend = Scripted(entry("a"), entry("b"), entry("c"))
    items = bridged(backend).list_files("")
    assert backend.events == []
    assert next(items).name == "a"
    assert len(backend.events) == 1
    items.close()
    assert backend.events[1:] == ["end"]
    items._adapter.close()
    assert list(items) == []  # its user's close came first


class OneAtATime:
    """An async iterator that notices when it is asked twice at once."""

    def __init__(self, count: int) -> None:
        self.left, self.busy, self.overlaps, self.closed = count, False, 0, 0

    def __aiter__(self) -> OneAtATime:
        return self

    async def __anext__(self) -> Any:
        self.overlaps += self.busy
        self.busy = True
        await asyncio.sleep(0)
        self.busy = False
        self.left -= 1
        if self.left < 0:
            raise StopAsyncIteration
        return b"x" if self.left % 2 else entry("x")

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("what", ["list_files", "read"])
def test_async_080_one_pull_is_out_at_a_time_whoever_asks(bridged: Any, what: str) -> None:
    backend, items = Scripted(), OneAtATime(200)
    setattr(backend, what, lambda *args, **options: items)
    shared = getattr(bridged(backend), what)("")
    take = (lambda: shared.read(1)) if what == "read" else (lambda: next(shared, b""))
    if what == "read":
        items.__class__ = type("Chunks", (OneAtATime,), {"__anext__": lambda self: _chunk(self)})
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: take(), range(240)))
    assert items.overlaps == 0
    assert sum(item != b"" for item in taken) in (200, 201)
    assert items.closed == 1


async def _chunk(items: OneAtATime) -> bytes:
    await OneAtATime.__anext__(items)
    return b"x"


# --- ASYNC-081


def test_async_081_the_stream_is_binary_and_goes_forward_only(bridged: Any) -> None:
    stream = bridged(Scripted(b"abc", b"", b"de")).read("f")
    assert isinstance(stream, io.IOBase)
    assert (stream.readable(), stream.seekable(), stream.writable()) == (True, False, False)
    for call in (lambda: stream.seek(0), stream.tell, stream.fileno):
        with pytest.raises(io.UnsupportedOperation):
            call()
    assert stream.read(0) == b""
    assert stream.read(4) == b"abcd"
    assert stream.read(4) == b"e"
    assert stream.read(4) == stream.read() == b""
    stream.close()


def test_async_081_reading_to_the_end_into_buffers_and_by_lines(bridged: Any) -> None:
    adapter = bridged(Scripted(b"one\ntw", b"o\n", b"three"))
    assert adapter.read("f").read() == adapter.read("f").read(-1) == adapter.read("f").read(None) == b"one\ntwo\nthree"
    assert list(adapter.read("f")) == [b"one\n", b"two\n", b"three"]
    buffer = bytearray(5)
    with adapter.read("f") as stream:
        assert stream.readinto(buffer) == 5
        assert buffer == b"one\nt"
        assert io.TextIOWrapper(stream).read() == "wo\nthree"


READS: dict[str, Callable[[Any], Any]] = {
    "some": lambda stream: stream.read(1),
    "all": lambda stream: stream.read(),
    "none": lambda stream: stream.read(0),
    "into a buffer": lambda stream: stream.readinto(bytearray(1)),
    "into no buffer": lambda stream: stream.readinto(bytearray()),
    "peek": lambda stream: stream.peek(),
}


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_async_081_closed_by_the_user_it_refuses(bridged: Any, call: Any) -> None:
    backend = Scripted(b"abc", b"de")
    stream = bridged(backend).read("f")
    stream.close()
    assert backend.events[-1] == "end"
    stream.close()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^I/O operation on closed file\.$"):
            call(stream)
        stream._adapter.close()  # which does not change whose close it was


def test_async_081_closed_by_an_error_it_is_at_its_end_for_good(bridged: Any) -> None:
    stream = bridged(Scripted(b"abc", BackendUnavailable("gone", path="f", backend="memory"), b"de")).read("f")
    with pytest.raises(BackendUnavailable):
        stream.read()
    for _ in range(2):
        assert stream.read(1) == stream.read() == b""
        assert stream.readinto(bytearray(3)) == 0
        assert stream.closed
        stream.close()


@pytest.mark.parametrize("call", READS.values(), ids=READS)
@pytest.mark.parametrize("why", ["error", "adapter closed"])
def test_async_081_closing_it_then_changes_nothing(bridged: Any, why: str, call: Any) -> None:
    adapter = bridged(Scripted(b"abc", BackendUnavailable("gone", path="f", backend="memory")))
    stream = adapter.read("f")
    if why == "error":
        with pytest.raises(BackendUnavailable):
            stream.read()
    else:
        adapter.close()
    stream.close()
    assert call(stream) in (b"", 0)


def test_async_081_chunks_may_be_empty_and_of_any_bytes_type(bridged: Any) -> None:
    chunks = (b"", bytearray(b"abc"), b"", b"", memoryview(b"def"), b"", b"")
    adapter = bridged(Scripted(*chunks))
    assert adapter.read("f").read() == b"abcdef"
    stream = adapter.read("f")
    pieces = [stream.read(2) for _ in range(5)]
    assert pieces == [b"ab", b"cd", b"ef", b"", b""]
    assert {type(piece) for piece in pieces} == {bytes}
    assert bridged(Scripted(b"", b"")).read("f").read() == b""
    assert bridged(Scripted(b"", b"", b"abc")).read("f").peek() == b"abc"


def test_async_081_a_buffer_is_filled_by_bytes_whatever_its_items(bridged: Any) -> None:
    words = array.array("I", bytes(16))
    assert bridged(Scripted(b"0123456789", b"abcdef")).read("f").readinto(words) == 16
    assert words.tobytes() == b"0123456789abcdef"


def test_async_081_a_peek_shows_what_is_left_of_a_chunk_and_does_not_move(bridged: Any) -> None:
    backend = Scripted(bytes(20_000), b"de")
    stream = bridged(backend).read("f")
    assert len(stream.peek()) == len(stream.peek(1)) == 8192
    assert len(stream.peek(10_000)) == 10_000
    stream.read(19_999)
    assert stream.peek(10_000) == b"\0"
    assert len(backend.events) == 1
    assert stream.read() == b"\0de"


# --- ASYNC-082, 083


@pytest.mark.parametrize("call", CALLS)
async def test_async_082_a_running_loop_is_refused_at_once(call: str) -> None:
    adapter = Adapter(AsyncMemoryBackend())
    with pytest.raises(RuntimeError, match=f"^{RUNNING}.*AsyncStore"):
        CALLS[call](adapter)
    with pytest.raises(RuntimeError, match=f"^{RUNNING}"):
        adapter.close()
    await asyncio.to_thread(adapter.write, "f", b"still of use elsewhere")
    await asyncio.to_thread(adapter.close)


@pytest.mark.parametrize("closed", [False, True])
async def test_async_082_083_open_atomic_refuses_before_its_block(closed: bool) -> None:
    adapter = Adapter(AsyncMemoryBackend())
    if closed:
        await asyncio.to_thread(adapter.close)
    reached = []
    with pytest.raises(RuntimeError, match=CLOSED if closed else RUNNING), adapter.open_atomic("f"):
        reached.append(1)
    assert reached == []
    await asyncio.to_thread(adapter.close)
    adapter.close()  # a loop here does not matter when there is nothing to wait for


async def test_async_082_streams_and_listings_refuse_it_too() -> None:
    backend = Scripted(b"abc", b"de")
    adapter = Adapter(backend)
    stream = await asyncio.to_thread(adapter.read, "f")
    items = await asyncio.to_thread(adapter.list_files, "")
    for call in (lambda: stream.read(4), lambda: next(items)):
        with pytest.raises(RuntimeError, match=f"^{RUNNING}"):
            call()
    stream.close()  # lets go without waiting
    items.close()
    assert await asyncio.to_thread(backend.ended.wait, DEADLINE)
    await asyncio.to_thread(adapter.close)


@pytest.mark.parametrize("call", CALLS)
def test_async_083_a_closed_adapter_is_of_no_more_use(call: str) -> None:
    adapter = Adapter(AsyncMemoryBackend())
    adapter.close()
    with pytest.raises(RuntimeError, match=f"^{CLOSED}"):
        CALLS[call](adapter)


@pytest.mark.parametrize("state", ["closed", "in a loop"])
@pytest.mark.parametrize("call", CALLS)
async def test_async_082_083_what_is_refused_does_not_reach_the_backend(call: str, state: str) -> None:
    class Untouchable(AsyncMemoryBackend):
        def __getattribute__(self, name: str) -> Any:
            assert name not in vars(Backend) or name.startswith("_")
            return super().__getattribute__(name)

    adapter = Adapter(Untouchable())
    if state == "closed":
        await asyncio.to_thread(adapter.close)
    with pytest.raises(RuntimeError, match=CLOSED if state == "closed" else RUNNING):
        CALLS[call](adapter)
    await asyncio.to_thread(adapter.close)


# --- what is passed on


@pytest.mark.parametrize("name", [*OPERATIONS, *ENTRIES])
def test_each_operation_calls_its_own_twin(bridged: Any, name: str) -> None:
    backend = noting(AsyncMemoryBackend)
    args, options = {**OPERATIONS, **ENTRIES}[name]
    result = getattr(bridged(backend), name)(*args, **options)
    if name in ENTRIES:
        assert backend.calls == []
        (result,) = result
    assert backend.calls == [(name, args, options)]
    assert result is backend.answers[name]


@pytest.mark.parametrize("method", ["write", "write_atomic"])
def test_options_of_a_write_that_were_not_given_are_not_passed(bridged: Any, method: str) -> None:
    backend = noting(AsyncMemoryBackend)
    getattr(bridged(backend), method)("f", b"1")
    assert backend.calls == [(method, ("f", b"1"), {})]


def test_no_operation_is_left_out() -> None:
    public = {name for name in vars(Backend) if not name.startswith("_")}
    assert public == {method.name for method in backend_methods("value", "items", "stream", "writer")} | {"close"}


@pytest.mark.parametrize("what", PLAIN)
def test_what_needs_no_io_is_that_of_the_backend(bridged: Any, what: str) -> None:
    backend = noting(AsyncMemoryBackend)
    assert PLAIN[what](bridged(backend)) == PLAIN[what](backend) != PLAIN[what](AsyncMemoryBackend())
    assert Adapter.close_is_terminal is True


def test_an_adapter_is_pickled_with_a_backend_that_can_be(bridged: Any, tmp_path: Path) -> None:
    adapter = bridged(AsyncLocalBackend(tmp_path))
    adapter.write("f", b"1")
    with pickle.loads(pickle.dumps(adapter)) as copy:
        assert isinstance(copy, Adapter)
        assert copy.read_bytes("f") == b"1"
    assert adapter.read_bytes("f") == b"1"
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(bridged(AsyncMemoryBackend()))


# --- ASYNC-084 … 086


class Declaring(AsyncMemoryBackend):
    """Memory that declares what it is told to."""

    declared = CapabilitySet(set())

    @property
    def capabilities(self) -> CapabilitySet:
        return self.declared


@pytest.mark.parametrize("capability", Capability)
def test_async_084_capabilities_are_the_wrapped_ones_but_seekable_read(bridged: Any, capability: Capability) -> None:
    backend = Declaring()
    backend.declared = CapabilitySet({capability})
    assert set(bridged(backend).capabilities) == {capability} - {Capability.SEEKABLE_READ}
    backend.declared = CapabilitySet(set(Capability) - {capability})
    assert set(bridged(backend).capabilities) == set(Capability) - {capability, Capability.SEEKABLE_READ}


def test_async_084_what_has_no_flag_goes_with_list_delete_and_read(bridged: Any) -> None:
    store = Store(bridged(AsyncMemoryBackend()))
    assert not store.supports(Capability.SEEKABLE_READ)
    store.write("d/e/f", b"0123456789")
    assert [str(folder.path) for folder in store.list_folders("d")] == ["d/e"]
    with store.read_seekable("d/e/f") as stream:
        assert stream.seek(-3, io.SEEK_END) == 7
        assert stream.read() == b"789"
        assert stream.seek(1) == 1
        assert stream.read(2) == b"12"
    store.delete_folder("d", recursive=True)
    assert not store.exists("d")


class Recording(AsyncMemoryBackend):
    """Memory that notes how it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, bool, bytes]] = []

    async def write_atomic(self, path: str, content: Any, *, overwrite: bool = False, **options: Any) -> Any:
        data = content if isinstance(content, bytes) else b"".join([chunk async for chunk in content])
        self.calls.append((path, overwrite, data))
        return await super().write_atomic(path, data, overwrite=overwrite, **options)


def test_async_085_open_atomic_spools_and_writes_once(bridged: Any) -> None:
    backend = Recording()
    adapter = bridged(backend)
    with adapter.open_atomic("d/f") as file:
        assert isinstance(file, tempfile.SpooledTemporaryFile)
        file.write(b"abc")
        file.write(b"de")
        assert backend.calls == []
    assert backend.calls == [("d/f", False, b"abcde")]
    assert file.result.size == 5
    with pytest.raises(AlreadyExists), adapter.open_atomic("d/f") as file:
        file.write(b"new")
    with adapter.open_atomic("d/f", overwrite=True) as file:
        file.write(b"new")
    assert backend.calls[-1] == ("d/f", True, b"new")
    block = adapter.open_atomic("d/f", overwrite=True)
    block.__enter__().write(b"half")
    assert not block.__exit__(LookupError, LookupError(), None)
    assert len(backend.calls) == 3
    assert adapter.read_bytes("d/f") == b"new"


def test_async_085_its_gate_is_seen_when_the_block_ends(bridged: Any) -> None:
    class WithoutAtomicWrite(Declaring):
        declared = CapabilitySet({Capability.READ, Capability.WRITE})

        async def write_atomic(self, path: str, content: Any, **options: Any) -> Any:
            self.capabilities.require(Capability.ATOMIC_WRITE, self.name, path)

    adapter, reached = bridged(WithoutAtomicWrite()), []
    with pytest.raises(CapabilityNotSupported) as caught, adapter.open_atomic("f") as file:
        reached.append(file.write(b"1"))
    assert reached == [1]
    assert caught.value.capability == "atomic_write"


def test_async_086_handles_stay_on_their_loop_unless_said_to_be_safe(bridged: Any) -> None:
    class Handle:
        pass

    class Loopbound(AsyncMemoryBackend):
        def unwrap(self, type_hint: Any) -> Any:
            return Handle()

    class Safe(Loopbound):
        handle = Handle()

        def unwrap_sync_safe(self, type_hint: Any) -> Any:
            return self.handle

    with pytest.raises(CapabilityNotSupported, match="does not expose native handle"):
        bridged(Loopbound()).unwrap(Handle)
    assert bridged(Safe()).unwrap(Handle) is Safe.handle


# --- ASYNC-087, 093


class Failing(AsyncMemoryBackend):
    """Memory whose answers are one error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    async def _raise(self, *args: Any, **options: Any) -> Any:
        raise self.error

    exists = read_bytes = delete = get_file_info = check_health = write = _raise


ERRORS = [
    NotFound("File not found", path="f", backend="custom"),
    ResourceLocked("locked", path="f", backend="custom"),
    CapabilityNotSupported("no", path="f", backend="custom", capability="glob"),
    PermissionDenied("no", path="f", backend="custom"),
    BackendUnavailable("no", path="f", backend="custom"),
    TimeoutError("slow"),
    KeyError("k"),
    SystemExit(3),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_async_087_errors_arrive_as_they_are(bridged: Any, error: BaseException) -> None:
    adapter = bridged(Failing(error))
    calls: list[Callable[[], Any]] = [
        lambda: adapter.exists("f"),
        lambda: adapter.read_bytes("f"),
        lambda: adapter.delete("f"),
        lambda: adapter.get_file_info("f"),
        lambda: adapter.write("f", b"1"),
        lambda: adapter.write("f", io.BytesIO(b"1")),
    ]
    for call in calls:
        with pytest.raises(type(error)) as caught:
            call()
        assert caught.value is error
        assert "_raise" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        error.__traceback__ = None
    assert vars(error) == vars(ERRORS[ERRORS.index(error)])
    assert adapter.is_file("f") is False


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_async_093_check_health_tells_what_the_backend_tells(bridged: Any, error: BaseException) -> None:
    adapter = bridged(Failing(error))
    for call in (adapter.check_health, Store(adapter).ping):
        with pytest.raises(type(error)) as caught:
            call()
        assert caught.value is error


def test_async_087_a_backend_that_cancels_itself_is_no_closed_adapter(bridged: Any) -> None:
    adapter = bridged(Failing(asyncio.CancelledError()))
    with pytest.raises(CancelledError):
        adapter.exists("f")
    assert adapter.is_file("f") is False


def test_async_093_check_health_asks_the_backend(bridged: Any) -> None:
    class Healthy(AsyncMemoryBackend):
        asked = 0

        async def check_health(self) -> None:
            self.asked += 1

    backend = Healthy()
    Store(bridged(backend)).ping()
    assert backend.asked == 1


# --- ASYNC-088


def test_async_088_close_drains_in_order_and_ends_thread_and_loop() -> None:
    gate = Gate()
    backend = Scripted(gate)
    adapter = Adapter(backend)
    loop, thread = adapter._run._loop, adapter._run._thread
    assert thread.daemon
    assert thread.is_alive()
    with ThreadPoolExecutor(2) as threads:
        listing = threads.submit(lambda: list(adapter.list_files("")))
        assert gate.reached.wait(DEADLINE)

        async def then_let_go() -> None:
            backend.events.append("let go")
            gate._open.set()

        backend.before_close = then_let_go
        threads.submit(adapter.close).result(DEADLINE)
        assert listing.result(DEADLINE) == []
    assert backend.events == ["pull gate", "aclose", "let go", "end"]
    assert loop.is_closed()
    assert not thread.is_alive()
    adapter.close()
    assert backend.events.count("aclose") == 1


def test_async_088_without_a_timeout_it_waits(bridged: Any) -> None:
    adapter = Adapter(AsyncMemoryBackend())
    adapter.close(timeout=None)
    assert adapter._run._loop.is_closed()


def test_async_088_a_hanging_close_is_logged_once_and_left(caplog: pytest.LogCaptureFixture) -> None:
    gate, backend = Gate(), Scripted()
    backend.before_close = gate
    adapter = Adapter(backend)
    with caplog.at_level(logging.WARNING):
        adapter.close(timeout=0.2)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "AsyncBackendSyncAdapter close timed out" in record.getMessage()
    assert "1 unfinished" in record.getMessage()
    assert "<Task pending" in record.getMessage()
    assert gate.cancelled.wait(DEADLINE)
    adapter._run._thread.join(DEADLINE)
    assert adapter._run._loop.is_closed()


def test_async_088_a_call_that_outlives_the_close_is_told(caplog: pytest.LogCaptureFixture) -> None:
    gate, backend = Gate(), Scripted()
    backend.exists = lambda path: gate()  # type: ignore[assignment, method-assign]
    adapter = Adapter(backend)
    with ThreadPoolExecutor(1) as threads, caplog.at_level(logging.WARNING):
        call = threads.submit(adapter.exists, "f")
        assert gate.reached.wait(DEADLINE)
        adapter.close(timeout=0.2)
        with pytest.raises(RuntimeError, match=CLOSED):
            call.result(DEADLINE)
    assert len(caplog.records) == 1
    assert "Gate.__call__" in caplog.text


async def generated(backend: Scripted) -> None:
    async def items() -> Any:
        try:
            yield 1
        finally:
            backend.ended.set()

    backend.kept = items()  # type: ignore[attr-defined]
    await anext(backend.kept)  # type: ignore[attr-defined]


async def spawned(backend: Scripted) -> None:
    async def spawn(depth: int) -> None:
        await asyncio.sleep(0)
        if depth:
            backend.kept = asyncio.create_task(spawn(depth - 1))  # type: ignore[attr-defined]
        else:
            backend.ended.set()

    backend.before_close = lambda: spawn(3)


@pytest.mark.parametrize("leave", [generated, spawned])
def test_async_088_what_the_backend_leaves_on_the_loop_ends_with_it(leave: Any) -> None:
    backend = Scripted()
    backend.exists = lambda path: leave(backend)  # type: ignore[assignment, method-assign]
    with Adapter(backend) as adapter:
        adapter.exists("f")
    assert backend.ended.is_set()


def test_async_088_close_waits_for_work_in_threads() -> None:
    backend, returned, early = Scripted(), threading.Event(), []

    async def exists(path: str) -> bool:
        asyncio.get_running_loop().run_in_executor(None, lambda: early.append(returned.wait(0.1)))
        return True

    backend.exists = exists  # type: ignore[method-assign]
    with Adapter(backend) as adapter:
        adapter.exists("f")
    returned.set()
    assert early == [False]


# --- ASYNC-089


def test_async_089_many_threads_neither_block_nor_mix(bridged: Any) -> None:
    store = Store(bridged(AsyncMemoryBackend()))

    def work(number: int) -> None:
        for turn in range(16):
            tag = f"{number}-{turn}".encode()
            name = f"t{number}/{turn}"
            assert store.write(name, io.BytesIO(tag) if turn % 2 else tag).size == len(tag)
            assert store.read_bytes(name) == tag
            with store.read(name) as stream:
                assert stream.read() == tag
            with pytest.raises(AlreadyExists) as clash:
                store.write(name, b"")
            assert clash.value.path == name
            store.copy(name, name + ".copy")
            store.move(name, name + ".moved")
            with pytest.raises(NotFound) as missing:
                store.read_bytes(name)
            assert missing.value.path == name
            assert {info.name for info in store.list_files(f"t{number}")} == {f"{turn}.copy", f"{turn}.moved"}
            assert store.read_text(name + ".copy") == tag.decode()
            store.delete(name + ".copy")
            store.delete(name + ".moved")

    with ThreadPoolExecutor(32) as threads:
        for future in [threads.submit(work, number) for number in range(32)]:
            future.result(100)


def test_async_089_a_peek_takes_its_turn(bridged: Any) -> None:
    gate = Gate()
    stream = bridged(Scripted(b"abc", gate, b"de", b"fg", b"hi")).read("f")
    with ThreadPoolExecutor(2) as threads:
        read = threads.submit(stream.read)
        assert gate.reached.wait(DEADLINE)
        peek = threads.submit(stream.peek)
        gate.open()
        assert read.result(DEADLINE) == b"abcdefghi"
        assert peek.result(DEADLINE) == b""


# --- ASYNC-090, 091


@pytest.mark.parametrize("listing", LISTINGS)
def test_async_090_a_listing_that_fails_midway_raises_and_ends(bridged: Any, listing: str) -> None:
    error = PermissionDenied("no", path="b", backend="memory")
    items = getattr(bridged(Scripted(entry("a"), error, entry("c"))), listing)("")
    assert next(items).name == "a"
    with pytest.raises(PermissionDenied) as caught:
        next(items)
    assert caught.value is error
    assert list(items) == []
    with pytest.raises(StopIteration):
        next(items)


def test_async_090_an_iterator_that_is_no_generator_is_closed_on_errors(bridged: Any) -> None:
    class Broken(OneAtATime):
        async def __anext__(self) -> Any:
            raise BackendUnavailable("gone", path="", backend="memory")

    backend, items = Scripted(), Broken(1)
    backend.list_files = lambda *args, **options: items  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailable):
        next(bridged(backend).list_files(""))
    assert items.closed == 1


@pytest.mark.parametrize("where", ["pull", "end"])
def test_async_090_a_hanging_iterator_does_not_hold_up_close(where: str, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    backend = Scripted(b"abc", gate)
    if where == "end":

        async def generator() -> Any:
            try:
                yield b"abc"
            finally:
                await gate()

        backend.read = lambda path: generator()  # type: ignore[method-assign]
    adapter = Adapter(backend)
    stream = adapter.read("f")
    with ThreadPoolExecutor(1) as threads, caplog.at_level(logging.WARNING):
        read = threads.submit(stream.read) if where == "pull" else None
        assert read is None or gate.reached.wait(DEADLINE)
        adapter.close(timeout=0.2)
        if read is not None:  # what it had is no whole file
            with pytest.raises(RuntimeError, match=CLOSED):
                read.result(DEADLINE)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "close timed out" in caplog.text
    assert stream.read() == b""
    stream.close()
    assert stream.read() == b""


def test_async_090_an_error_of_aclose_is_logged_and_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise BackendUnavailable("no goodbye", path="", backend="memory")

    backend = Scripted()
    backend.before_close = fail
    adapter = Adapter(backend)
    with caplog.at_level(logging.WARNING):
        adapter.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "no goodbye" in caplog.text
    assert adapter._run._loop.is_closed()


def test_async_090_closing_ends_open_streams_and_listings() -> None:
    backend = Scripted(b"abc", b"de")
    adapter = Adapter(backend)
    stream, items = adapter.read("f"), adapter.list_files("")
    next(items)
    assert stream.read(1) == b"a"
    adapter.close()
    assert backend.events.count("end") == 2
    assert stream.read() == b""
    assert stream.readinto(bytearray(1)) == 0
    with pytest.raises(RuntimeError, match=CLOSED):  # no listing is short without a word
        next(items)
    assert list(items) == []
    stream.close()
    items.close()
    assert stream.read() == b""
    assert stream.closed


class Source(io.BytesIO):
    """Content that fails after its first part, and notes who read it."""

    def __init__(self) -> None:
        super().__init__(b"x" * 100)
        self.readers: list[str] = []

    def read(self, size: int | None = -1) -> bytes:
        self.readers.append(threading.current_thread().name)
        if len(self.readers) > 1:
            raise self.error
        return super().read(size)

    error = LookupError("source")


@pytest.mark.parametrize("method", ["write", "write_atomic"])
def test_async_091_content_that_fails_is_told_and_nothing_is_kept(bridged: Any, method: str) -> None:
    adapter, source = bridged(AsyncMemoryBackend()), Source()
    adapter.write("f", b"old")
    with pytest.raises(LookupError) as caught:
        getattr(adapter, method)("f", source, overwrite=True)
    assert caught.value is source.error
    assert set(source.readers) == {threading.current_thread().name}
    assert adapter.read_bytes("f") == b"old"


def test_async_091_an_interrupt_while_content_is_read_cancels_the_write(bridged: Any) -> None:
    backend, seen = AsyncMemoryBackend(), []

    async def write(path: str, content: Any, **options: Any) -> Any:
        try:
            return [chunk async for chunk in content]
        except BaseException as error:
            seen.append(type(error))
            raise

    backend.write = write  # type: ignore[method-assign]
    adapter, source = bridged(backend), Source()
    source.error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        adapter.write("f", source)
    adapter.close()
    assert seen == [asyncio.CancelledError]


# --- ASYNC-092


def test_async_092_the_context_is_that_of_the_adapter_alone() -> None:
    backend = Scripted()
    with Adapter(backend) as adapter:
        assert isinstance(adapter, Adapter)
        assert adapter.exists("") is True
    assert backend.events == ["aclose"]
    with pytest.raises(LookupError, match="body"), Adapter(Scripted()):
        raise LookupError("body")
    with pytest.raises(LookupError, match="body"), Store(Adapter(Scripted())):
        raise LookupError("body")


async def test_async_092_the_error_of_a_block_comes_before_that_of_leaving_it() -> None:
    adapter = Adapter(AsyncMemoryBackend())
    with pytest.raises(LookupError, match="body"), adapter:
        raise LookupError("body")
    with pytest.raises(RuntimeError, match=RUNNING), adapter:
        pass
    await asyncio.to_thread(adapter.close)


# --- leaks, signals, forks


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_a_thousand_adapters_leave_no_thread_socket_or_task() -> None:
    gc.collect()
    threads, files = threading.active_count(), open_files()
    for _ in range(1000):
        with Adapter(Scripted(b"abc", b"de")) as adapter:
            assert adapter.read("f").read(1) == b"a"
            next(adapter.list_files(""), None)
    assert threading.active_count() == threads
    assert open_files() <= files


def test_a_thousand_streams_and_listings_leave_no_task(bridged: Any) -> None:
    backend = Scripted(b"abc", b"de")
    adapter = bridged(backend)
    files = open_files()
    for _ in range(1000):
        with adapter.read("f") as stream:
            stream.read(1)
        items = adapter.list_files("")
        next(items)
        items.close()
    assert backend.events.count("end") == 2000
    assert asyncio.all_tasks(adapter._run._loop) == adapter._run.pulls == set()
    assert open_files() == files


def begun(items: Any) -> Any:
    next(items)
    return items


@pytest.mark.parametrize("begin", [lambda a: a.read("f"), lambda a: begun(a.list_files(""))], ids=["stream", "listing"])
def test_what_is_dropped_half_way_lets_go_of_its_producer(bridged: Any, begin: Any) -> None:
    backend = Scripted(b"abc", b"de")
    adapter = bridged(backend)
    half = begin(adapter)
    assert not backend.ended.is_set()
    del half
    gc.collect()
    assert backend.ended.wait(DEADLINE)


def test_a_stream_keeps_its_adapter() -> None:
    stream = Adapter(Scripted(b"abc", b"de")).read("f")
    gc.collect()
    assert stream.read() == b"abcde"
    stream._adapter.close()


def test_a_dropped_adapter_warns_and_ends() -> None:
    backend = Scripted()
    adapter = Adapter(backend)
    run = adapter._run
    held = [adapter]
    del adapter
    with pytest.warns(ResourceWarning, match="unclosed AsyncBackendSyncAdapter"):
        held.clear()
    run._thread.join(DEADLINE)
    assert run._loop.is_closed()
    assert backend.events == ["aclose"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal to a thread")
@pytest.mark.parametrize("call", ["exists", "next", "write"])
def test_an_interrupt_cancels_what_the_caller_waits_for(bridged: Any, call: str) -> None:
    gate = Gate()
    backend = Scripted(b"abc", gate)
    main = threading.get_ident()

    async def interrupt(*args: Any, **options: Any) -> Any:
        signal.pthread_kill(main, signal.SIGINT)
        await gate()

    backend.items = (b"abc", interrupt)
    backend.exists = backend.write = interrupt  # type: ignore[method-assign, assignment]
    adapter = bridged(backend)
    calls: dict[str, Callable[[], Any]] = {
        "exists": lambda: adapter.exists("f"),
        "next": lambda: adapter.read("f").read(),
        "write": lambda: adapter.write("f", io.BytesIO(b"1")),
    }
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            calls[call]()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert gate.cancelled.wait(DEADLINE) or not gate.reached.is_set()
    assert adapter.is_file("f") is False


def test_a_forked_child_is_told_and_the_parent_goes_on(bridged: Any) -> None:
    backend = Scripted(b"abc", b"de")
    adapter = bridged(backend)
    stream = adapter.read("f")

    def child() -> list[str]:
        told = []
        for call in (*CALLS.values(), lambda a: stream.read()):
            with pytest.raises(RuntimeError) as caught:
                call(adapter)
            told.append(str(caught.value))
        stream.close()
        adapter.__del__()  # has nothing to warn of
        adapter.close()
        with pytest.raises(RuntimeError) as caught:
            adapter.exists("f")
        return [*told, str(caught.value)]

    with Fork(child) as fork:
        told = fork.result()
    assert len(told) == len(CALLS) + 2
    assert all("cannot be used in a forked process" in message for message in told)
    assert stream.read() == b"abcde"
    assert adapter.is_file("f") is False


def test_only_an_async_backend_is_bridged(bridged: Any) -> None:
    from remote_store.backends import MemoryBackend

    before = threading.active_count()
    with pytest.raises(TypeError, match="must be an AsyncBackend, not MemoryBackend"):
        Adapter(MemoryBackend())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="AsyncBackendSyncAdapter"):
        Store(AsyncMemoryBackend())  # type: ignore[arg-type]
    assert threading.active_count() == before
