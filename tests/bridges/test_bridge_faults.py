"""The bridge to async backends when a close, an interrupt, a fork or an error comes in the middle of something."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.processes import Fork
from helpers.scripted import Gate, Producer, Scripted, entry

from remote_store import AsyncBackendSyncAdapter, NotFound, Store
from remote_store.aio import AsyncMemoryBackend
from remote_store.backends import MemoryBackend
from remote_store.engine.runners import Call

Adapter = AsyncBackendSyncAdapter
CLOSED = "^AsyncBackendSyncAdapter is closed"
interrupting = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal to a thread")


def ended(adapter: Adapter) -> bool:
    """Whether the loop and its thread end by themselves."""
    adapter._run._thread.join(DEADLINE)
    return adapter._run._loop.is_closed() and not adapter._run._thread.is_alive()


# --- a close between two items


def closing_midway(bridged: Any, item: Any) -> Adapter:
    """An adapter that another thread closes after the first item; the next one comes once that has begun."""
    backend = Scripted()
    adapter: Adapter = bridged(backend)

    async def close() -> None:
        begun = asyncio.Event()

        async def begin() -> None:
            begun.set()

        backend.before_close = begin
        threading.Thread(target=adapter.close).start()
        await begun.wait()

    backend.items = (item, close, item)
    return adapter


TARGET = MemoryBackend()
WHOLE: dict[str, Callable[[Store], Any]] = {
    "read": lambda store: store.read("f").read(),
    "read more": lambda store: store.read("f").read(100),
    "readall": lambda store: store.read("f").readall(),  # type: ignore[attr-defined]
    "readinto": lambda store: store.read("f").readinto(bytearray(100)),  # type: ignore[attr-defined]
    "text": lambda store: io.TextIOWrapper(store.read("f")).read(),
    "read_seekable": lambda store: store.read_seekable("f"),
    "write": lambda store: Store(TARGET).write("f", store.read("f")),
    "write_atomic": lambda store: Store(TARGET).write_atomic("f", store.read("f")),
}
ENTRIES: dict[str, Callable[[Store], Any]] = {
    "list_files": lambda store: list(store.list_files("")),
    "list_folders": lambda store: list(store.list_folders("")),
    "iter_children": lambda store: list(store.iter_children("")),
    "glob": lambda store: list(store.glob("*")),
    "get_folder_info": lambda store: store.get_folder_info("", max_depth=2),
}


@pytest.mark.parametrize("what", [*WHOLE, *ENTRIES])
def test_a_close_midway_is_told_and_nothing_is_short(bridged: Any, what: str) -> None:
    act = {**WHOLE, **ENTRIES}[what]
    with pytest.raises(RuntimeError, match=CLOSED):
        act(Store(closing_midway(bridged, b"abc" if what in WHOLE else entry("a"))))
    assert not TARGET.exists("f")


def test_a_close_between_two_parts_of_a_spooled_file_is_told(bridged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = bridged(Scripted(*[bytes(1 << 20)] * 2))

    @contextlib.contextmanager
    def closing_after(*names: str) -> Iterator[None]:
        yield
        adapter.close()

    monkeypatch.setattr("remote_store._backend.spooling", closing_after)
    with pytest.raises(RuntimeError, match=CLOSED):
        adapter.read_seekable("f")


def test_a_stream_read_bit_by_bit_is_at_its_end_after_a_close(bridged: Any) -> None:
    adapter = bridged(Scripted(b"abcdef", b"gh"))
    stream = adapter.read("f")
    assert stream.read(3) == b"abc"
    adapter.close()
    assert [stream.read(3), stream.read(), stream.read(0), stream.peek()] == [b""] * 4
    assert stream.readinto(bytearray(3)) == 0


def test_a_stream_at_its_end_before_the_close_was_whole(bridged: Any) -> None:
    adapter = bridged(Scripted(b"abc"))
    stream, items = adapter.read("f"), bridged(Scripted(entry("a"))).list_files("")
    assert stream.read() == b"abc"
    assert len(list(items)) == 1
    adapter.close()
    items._adapter.close()
    assert stream.read() == b""
    assert not stream.closed
    assert list(items) == []


@pytest.mark.parametrize("what", [*WHOLE, *ENTRIES])
def test_a_close_between_the_check_and_the_first_pull_is_told(bridged: Any, what: str) -> None:
    backend = Scripted(b"abc")
    adapter = bridged(backend)

    def late(*args: Any, **options: Any) -> Any:
        adapter.close()
        return backend._script()

    for name in ("read", "list_files", "list_folders", "iter_children", "glob"):
        setattr(backend, name, late)
    with pytest.raises(RuntimeError, match=CLOSED):
        {**WHOLE, **ENTRIES}[what](Store(adapter))


def test_a_call_that_a_close_overtakes_is_told_and_dropped(bridged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = bridged(AsyncMemoryBackend())
    monkeypatch.setattr(adapter._run, "_check", lambda operation: adapter.close())
    with pytest.raises(RuntimeError, match=CLOSED):
        adapter.exists("f")  # an operation that is not dropped warns
    gc.collect()


def test_a_listing_that_is_given_up_says_so_once(bridged: Any) -> None:
    gate = Gate()
    adapter = bridged(Scripted(entry("a"), gate))
    items = adapter.list_files("")
    next(items)
    with ThreadPoolExecutor(1) as threads:
        pull = threads.submit(next, items)
        assert gate.reached.wait(DEADLINE)
        adapter.close(timeout=0.1)
        with pytest.raises(RuntimeError, match=CLOSED):
            pull.result(DEADLINE)
    assert list(items) == []


# --- the end of the interpreter

AT_EXIT = """
import os
from remote_store import AsyncBackendSyncAdapter
from remote_store.aio import AsyncMemoryBackend

class Last:
    def __init__(self, adapter):
        self.adapter, self.stream, self.items = adapter, adapter.read("f"), adapter.list_files("")
    def __del__(self, write=os.write):
        try:
            {what}
            write(1, b"done")
        except RuntimeError as error:
            write(1, str(error).encode())

adapter = AsyncBackendSyncAdapter(AsyncMemoryBackend())
adapter.write("f", b"1")
last = Last(adapter)
next(last.items)
"""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("self.adapter.exists('f')", "AsyncBackendSyncAdapter is closed"),
        ("self.adapter.read('f')", "AsyncBackendSyncAdapter is closed"),
        ("self.adapter.close(None)", "done"),
        ("self.stream.close(), self.items.close()", "done"),
    ],
)
def test_what_comes_while_the_interpreter_ends_does_not_hold_it_up(what: str, said: str) -> None:
    script = AT_EXIT.format(what=what)
    environment = {"PYTHONPATH": ":".join(sys.path)}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, timeout=2 * DEADLINE, text=True
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, said, "")


# --- what a backend raises in the end


@pytest.mark.parametrize("error", [asyncio.CancelledError("bye"), SystemExit("bye"), KeyboardInterrupt("bye")])
def test_whatever_aclose_raises_is_logged_and_the_drain_goes_on(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise error

    backend = Scripted(b"abc", b"de")
    backend.before_close = fail
    adapter = Adapter(backend)
    stream = adapter.read("f")
    with caplog.at_level(logging.WARNING):
        adapter.close(timeout=None)
    (record,) = caplog.records
    assert record.getMessage() == "AsyncBackendSyncAdapter: an error while closing"
    assert "bye" in caplog.text
    assert backend.ended.is_set()
    assert ended(adapter)
    assert stream.read() == b""


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_task_of_the_backend_that_exits_does_not_end_the_loop(bridged: Any, error: type[BaseException]) -> None:
    backend = AsyncMemoryBackend()

    async def exists(path: str) -> bool:
        async def leave() -> None:
            raise error

        await asyncio.wait([task := asyncio.create_task(leave())])
        return isinstance(task.exception(), error)

    backend.exists = exists  # type: ignore[method-assign]
    adapter = bridged(backend)
    assert adapter.exists("f") is True
    assert adapter.is_file("f") is False


# --- forks


def test_a_child_forked_while_another_thread_reads_is_told_at_once(bridged: Any) -> None:
    gate = Gate()
    adapter = bridged(Scripted(b"abc", gate, b"de"))
    stream = adapter.read("f")
    calls = [lambda: stream.read(1), lambda: stream.readinto(bytearray(1)), stream.peek, stream.readline]

    def child() -> list[str]:
        told = []
        for call in calls:
            with pytest.raises(RuntimeError) as caught:
                call()
            told.append(str(caught.value))
        stream.close()
        adapter.close()
        return told

    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(stream.read)
        assert gate.reached.wait(DEADLINE)
        with Fork(child) as fork:
            told = fork.result()
        gate.open()
        assert read.result(DEADLINE) == b"abcde"
    assert len(told) == len(calls)
    assert all("cannot be used in a forked process" in message for message in told)


# --- draining


@pytest.mark.parametrize("who", ["aclose", "a call"])
def test_a_stream_left_half_read_holds_up_no_close(who: str, caplog: pytest.LogCaptureFixture) -> None:
    backend, returned, asked = Scripted(), asyncio.Event(), threading.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
            yield b"de"
        finally:
            returned.set()

    async def wait(*args: Any) -> Any:
        asked.set()
        return await returned.wait()

    backend.read = lambda path: chunks()  # type: ignore[method-assign]
    backend.exists = wait  # type: ignore[method-assign]
    backend.before_close = wait if who == "aclose" else None
    adapter = Adapter(backend)
    stream = adapter.read("f")
    with ThreadPoolExecutor(1) as threads, caplog.at_level(logging.WARNING):
        call = threads.submit(adapter.exists, "f") if who == "a call" else None
        assert call is None or asked.wait(DEADLINE)
        adapter.close(timeout=None)
        assert call is None or call.result(DEADLINE) is True
    assert caplog.records == []
    assert ended(adapter)
    assert stream.read() == b""


def test_a_hanging_aclose_leaves_no_producer() -> None:
    gate, backend = Gate(), Scripted(b"abc", b"de")
    backend.before_close = gate
    adapter = Adapter(backend)
    stream, items = adapter.read("f"), adapter.list_files("")
    next(items)
    adapter.close(timeout=0.1)
    assert ended(adapter)
    assert gate.cancelled.is_set()
    assert backend.events.count("end") == 2
    assert stream.read() == b""


def test_after_a_hung_call_the_hung_end_of_a_producer_is_given_up_too(caplog: pytest.LogCaptureFixture) -> None:
    call, end, again, backend = Gate(), Gate(), Gate(), Scripted()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await end()
            await again()

    backend.read = lambda path: chunks()  # type: ignore[method-assign]
    backend.exists = lambda path: call()  # type: ignore[assignment, method-assign]
    adapter = Adapter(backend)
    stream = adapter.read("f")
    with ThreadPoolExecutor(1) as threads, caplog.at_level(logging.WARNING):
        hung = threads.submit(adapter.exists, "f")
        assert call.reached.wait(DEADLINE)
        adapter.close(timeout=0.1)
        with pytest.raises(RuntimeError, match=CLOSED):
            hung.result(DEADLINE)
        assert ended(adapter)
    assert end.cancelled.is_set()
    assert again.cancelled.is_set()
    assert len(caplog.records) == 1
    stream.close()


async def test_a_close_that_gave_up_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    backend, free = Scripted(), asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    backend.before_close = stubborn
    adapter = Adapter(backend)
    with caplog.at_level(logging.WARNING):
        await asyncio.to_thread(adapter.close, timeout=0.1)
        await asyncio.to_thread(adapter.close, timeout=None)  # would wait for ever
        adapter.close(timeout=None)  # nor does the loop of this thread matter any more
    assert adapter._run._thread.is_alive()
    assert [record.getMessage()[:39] for record in caplog.records] == ["AsyncBackendSyncAdapter close timed out"]
    adapter._run._loop.call_soon_threadsafe(free.set)
    assert await asyncio.to_thread(ended, adapter)


# --- interrupts


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, previous)


@interrupting
@pytest.mark.parametrize("what", ["listing", "stream"])
def test_an_interrupt_ends_a_listing_and_a_stream(bridged: Any, what: str) -> None:
    main = threading.get_ident()

    async def interrupt() -> None:
        signal.pthread_kill(main, signal.SIGINT)

    item: Any = b"abc" if what == "stream" else entry("a")
    backend = Scripted(item, interrupt, item, item)
    adapter = bridged(backend)
    if what == "stream":
        stream = adapter.read("f")
        with interrupted():
            stream.read()
        assert stream.closed
        assert stream.read() == stream.read(1) == b""
    else:
        items = adapter.list_files("")
        next(items)
        with interrupted():
            next(items)
        assert list(items) == []  # an entry may have been lost
        assert backend.ended.wait(DEADLINE)
    assert adapter.is_file("f") is False


@interrupting
def test_an_interrupted_call_may_end_as_it_likes(bridged: Any, caplog: pytest.LogCaptureFixture) -> None:
    main, gate, backend = threading.get_ident(), Gate(), AsyncMemoryBackend()

    async def exists(path: str) -> bool:
        signal.pthread_kill(main, signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await gate()
        return True

    backend.exists = exists  # type: ignore[method-assign]
    adapter = bridged(backend)
    with interrupted():
        adapter.exists("f")
    adapter.close()
    gc.collect()
    assert caplog.records == []


@contextlib.contextmanager
def interrupted_before_it_begins(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An interrupt right after the call was handed to a loop that is busy with something else."""
    busy, go_on = threading.Event(), threading.Event()

    async def block(*args: Any) -> None:
        busy.set()
        go_on.wait(DEADLINE)

    adapter.inner.exists = block  # type: ignore[method-assign, assignment]
    begin, cancel = Call.begin, Call.cancel

    def begin_interrupted(call: Call[Any]) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(Call, "cancel", cancel_then_go_on)
        begin(call)
        raise KeyboardInterrupt

    def cancel_then_go_on(call: Call[Any], *ended: Any) -> bool:
        asked = cancel(call, *ended)
        go_on.set()
        return asked

    with ThreadPoolExecutor(1) as threads:
        blocked = threads.submit(adapter.exists, "f")
        assert busy.wait(DEADLINE)
        monkeypatch.setattr(Call, "begin", begin_interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield
        blocked.result(DEADLINE)
    gc.collect()  # an operation that is neither run nor dropped warns


@pytest.mark.parametrize("content", [b"1", io.BytesIO(b"1")], ids=["bytes", "file"])
def test_a_call_interrupted_before_it_begins_never_runs(
    bridged: Any, content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = bridged(AsyncMemoryBackend())
    with interrupted_before_it_begins(adapter, monkeypatch):
        adapter.write("f", content)
    assert adapter.is_file("f") is False


def test_closing_a_stream_after_an_interrupt_lets_go_of_its_producer(
    bridged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, producer = Scripted(), Producer(b"abc")
    backend.read = lambda path: producer  # type: ignore[assignment, method-assign]
    adapter = bridged(backend)
    stream = adapter.read("f")
    with interrupted_before_it_begins(adapter, monkeypatch):
        stream.read()
    stream.close()
    assert producer.closed.wait(DEADLINE)


# --- what is kept, and what is let go


def test_a_collection_may_come_in_the_middle_of_a_call(bridged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Scripted(b"abc", b"de")
    adapter = bridged(backend)
    dropped, begin = [adapter.read("f")], Call.begin

    def begin_collecting(call: Call[Any]) -> None:
        monkeypatch.undo()
        dropped.clear()
        gc.collect()
        begin(call)

    monkeypatch.setattr(Call, "begin", begin_collecting)
    assert adapter.is_file("f") is False
    assert backend.ended.wait(DEADLINE)


@pytest.mark.parametrize("what", ["read_bytes", "read", "next chunk", "next entry", "content"])
def test_no_cycle_keeps_what_was_there_when_a_call_failed(bridged: Any, what: str) -> None:
    class Witness:
        pass

    async def miss() -> None:
        raise NotFound("gone", path="f")

    memory, script = bridged(AsyncMemoryBackend()), bridged(Scripted(b"abc", miss))
    calls: dict[str, Callable[[], Any]] = {
        "read_bytes": lambda: memory.read_bytes("f"),
        "read": lambda: memory.read("f"),
        "next chunk": lambda: script.read("f").read(),
        "next entry": lambda: list(script.list_files("")),
        "content": lambda: memory.write("f", io.StringIO("text")),
    }

    def fail() -> weakref.ref[Witness]:
        witness = Witness()
        try:
            calls[what]()
        except (NotFound, TypeError):
            memory.is_file("f"), script.is_file("f")  # so that the loops are done with the call, too
            return weakref.ref(witness)
        raise AssertionError

    gc.collect()
    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()
