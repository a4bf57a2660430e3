"""Producers behind the bridge to async backends: one task and context each, their own end, and no item lost."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.scripted import Gate, Producer, Scripted, entry

from remote_store import AsyncBackendSyncAdapter

# --- a producer runs in one task and context

WHOSE = contextvars.ContextVar("WHOSE", default="nobody's")


@pytest.mark.parametrize("end", ["read", "stream closed", "adapter closed", "dropped"])
def test_a_producer_keeps_its_task_and_context_to_its_end(bridged: Any, end: str) -> None:
    tasks, seen, over = set(), [], threading.Event()

    async def chunks() -> AsyncIterator[bytes]:
        tasks.add(asyncio.current_task())
        seen.append(WHOSE.get())
        token = WHOSE.set("mine")
        try:
            yield b"a"
            tasks.add(asyncio.current_task())
            seen.append(WHOSE.get())
            yield b"b"
        finally:
            tasks.add(asyncio.current_task())
            WHOSE.reset(token)  # raises in another context
            seen.append(WHOSE.get())
            over.set()

    backend = Scripted()
    backend.read = lambda path: chunks()  # type: ignore[method-assign]
    adapter = bridged(backend)
    before = WHOSE.set("caller's")
    stream = adapter.read("f")
    WHOSE.reset(before)
    assert stream.read(2) == b"ab"
    if end == "dropped":
        del stream
        gc.collect()
    else:
        {"read": stream.read, "stream closed": stream.close, "adapter closed": adapter.close}[end]()
    assert over.wait(DEADLINE)
    assert len(tasks) == 1
    assert seen == ["caller's", "mine", "caller's"]


def timed(backend: Scripted, handled: bool, more: bytes = b"") -> threading.Event:
    """Let a backend's read run into a timeout that spans its yields; returns what is set when it is over."""
    over = threading.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(0.05):
                yield b"a"
                await asyncio.Event().wait()
        except TimeoutError:
            if not handled:
                raise
        finally:
            over.set()
        if more:
            yield more

    backend.read = lambda path: chunks()  # type: ignore[method-assign]
    return over


@pytest.mark.parametrize("when", ["pulled", "left alone"])
@pytest.mark.parametrize("whose", ["timeout", "task group"])
def test_a_timeout_or_task_group_may_span_yields(bridged: Any, whose: str, when: str) -> None:
    backend = Scripted()
    over = timed(backend, handled=False)

    async def fail() -> None:
        raise LookupError("child")

    async def grouped() -> AsyncIterator[bytes]:
        try:
            async with asyncio.TaskGroup() as group:
                yield b"a"
                group.create_task(fail())
                if when == "left alone":
                    yield b"b"
                await asyncio.Event().wait()
        finally:
            over.set()

    if whose == "task group":
        backend.read = lambda path: grouped()  # type: ignore[method-assign]
    adapter = bridged(backend)
    stream = adapter.read("f")
    if when == "left alone":
        assert stream.read(2 if whose == "task group" else 1)
        assert over.wait(DEADLINE)
        adapter.is_file("f")  # after the task that set `over` has waited
    with pytest.raises(TimeoutError if whose == "timeout" else ExceptionGroup) as caught:
        stream.read()
    assert whose == "timeout" or "child" in repr(caught.value)
    assert stream.read() == b""


@pytest.mark.parametrize("more", [b"", b"more"])
@pytest.mark.parametrize("when", ["pulled", "left alone"])
def test_a_producer_may_handle_its_timeout(bridged: Any, when: str, more: bytes) -> None:
    backend = Scripted()
    over = timed(backend, handled=True, more=more)
    adapter = bridged(backend)
    stream = adapter.read("f")
    if when == "left alone":
        assert over.wait(DEADLINE)
        adapter.is_file("f")
    assert stream.read() == b"a" + more


def test_an_error_that_nobody_pulled_is_told_while_the_end_is_under_way(bridged: Any) -> None:
    gate = Gate()

    class Timed(Producer):
        timeout: asyncio.Timeout | None = None

        async def __anext__(self) -> Any:
            if self.timeout is None:
                self.timeout = await asyncio.timeout(0.05).__aenter__()
            return self.item

        async def athrow(self, error: BaseException) -> Any:
            assert self.timeout is not None
            await self.timeout.__aexit__(type(error), error, None)

        async def aclose(self) -> None:
            await gate()

    backend, producer = Scripted(), Timed(entry("a"))
    backend.list_files = lambda *args, **options: producer  # type: ignore[assignment, method-assign]
    items = bridged(backend).list_files("")
    next(items)
    assert gate.reached.wait(DEADLINE)
    try:
        with pytest.raises(TimeoutError):
            next(items)
    finally:
        gate.open()


# --- their end


@pytest.mark.parametrize(
    "error",
    [
        LookupError("end"),
        TimeoutError("end"),
    ],
)
def test_what_the_end_of_a_producer_raises_is_told_to_who_closes_it(bridged: Any, error: Exception) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
        finally:
            raise error

    backend = Scripted()
    backend.read = lambda path: chunks()  # type: ignore[method-assign]
    stream = bridged(backend).read("f")
    with pytest.raises(type(error)) as caught:
        stream.close()
    assert caught.value is error


@pytest.mark.parametrize("end", ["end", "error"])
def test_whoever_waits_when_a_listing_ends_is_told(bridged: Any, end: str) -> None:
    gate = Gate()
    adapter = bridged(Scripted(gate, *([KeyError("k")] if end == "error" else [])))
    items = adapter.list_files("")
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(next, items, "end")
        assert gate.reached.wait(DEADLINE)
        later = [threads.submit(next, items, "end") for _ in range(2)]
        while items._pull._wanted.qsize() < 2:
            adapter.is_file("f")
        gate.open()
        if end == "end":
            assert first.result(DEADLINE) == "end"
        else:
            with pytest.raises(KeyError):
                first.result(DEADLINE)
        assert [pull.result(DEADLINE) for pull in later] == ["end", "end"]


def test_closing_a_stream_waits_for_its_producer_but_not_for_ever(bridged: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("remote_store.bridges.loop.CLOSING", 0.05)
    stream, gate = ending_at_a_gate(bridged)
    stream.close()
    assert gate.reached.is_set()
    assert not gate.left.is_set()
    gate.open()


async def test_closing_a_stream_in_a_running_loop_does_not_wait(bridged: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("remote_store.bridges.loop.CLOSING", 10 * DEADLINE)
    stream, gate = await asyncio.to_thread(ending_at_a_gate, bridged)
    stream.close()
    await asyncio.to_thread(gate.open)
    await asyncio.to_thread(stream._adapter.close)


def ending_at_a_gate(bridged: Any) -> tuple[Any, Gate]:
    gate, backend = Gate(), Scripted()

    class Gated(Producer):
        async def aclose(self) -> None:
            await gate()

    backend.read = lambda path: Gated(b"abc")  # type: ignore[assignment, method-assign]
    return bridged(backend).read("f"), gate


class Failing(Producer):
    """An exception, and another one in the end."""

    async def __anext__(self) -> Any:
        raise self.item

    async def aclose(self) -> None:
        await super().aclose()
        raise LookupError("in the end")


def listing(bridged: Any, producer: Any) -> Any:
    backend = Scripted()
    backend.list_files = lambda *args, **options: producer  # type: ignore[method-assign]
    return bridged(backend).list_files("")


def test_the_error_of_a_pull_comes_before_that_of_the_end(bridged: Any) -> None:
    items = listing(bridged, producer := Failing(KeyError("pull")))
    with pytest.raises(KeyError, match="pull"):
        next(items)
    assert producer.closed.is_set()
    assert list(items) == []


def test_a_producer_that_raises_stop_iteration_is_an_error(bridged: Any) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(listing(bridged, Failing(StopIteration())))


def test_a_producer_need_not_have_an_end(bridged: Any) -> None:
    left = [entry("b"), entry("a")]

    class Bare:
        def __aiter__(self) -> Bare:
            return self

        async def __anext__(self) -> Any:
            if not left:
                raise StopAsyncIteration
            return left.pop()

    assert [item.name for item in listing(bridged, Bare())] == ["a", "b"]


def test_a_listing_that_was_never_pulled_lets_go_of_its_producer(bridged: Any) -> None:
    items = listing(bridged, producer := Producer(entry("a")))
    items.close()
    assert producer.closed.is_set()


def test_a_listing_runs_in_the_context_it_was_made_in(bridged: Any) -> None:
    async def entries() -> AsyncIterator[Any]:
        yield entry(WHOSE.get())

    before = WHOSE.set("maker's")
    items = listing(bridged, entries())
    WHOSE.reset(before)
    assert next(items).name == "maker's"


@pytest.mark.parametrize("what", ["read", "list_files"])
def test_a_producer_that_is_no_generator_is_closed_when_it_is_dropped(bridged: Any, what: str) -> None:
    backend, producer = Scripted(), Producer(b"abc")
    setattr(backend, what, lambda *args, **options: producer)
    half = getattr(bridged(backend), what)("")
    next(iter(half)) if what == "list_files" else half.read(1)
    assert not producer.closed.is_set()
    del half
    gc.collect()
    assert producer.closed.wait(DEADLINE)


@pytest.mark.parametrize("what", ["read", "list_files"])
def test_a_stream_or_listing_keeps_its_adapter(what: str) -> None:
    held = getattr(AsyncBackendSyncAdapter(Scripted(b"abc", b"de")), what)("f")
    gc.collect()
    assert b"".join(held) == b"abcde"
    held._adapter.close()
