"""`update`: read, change, write, again where somebody else was first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remote_store import AlreadyExists, Capability, CapabilityNotSupported, PreconditionFailed, Store
from remote_store.aio import AsyncMemoryBackend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend


def one_more(content: bytes | None) -> bytes:
    return b"%d" % (int(content or b"0") + 1)


def test_threads_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remote_store._updating.LONGEST_PAUSE", 0.01)
    store = Store(MemoryBackend())
    threads = [
        threading.Thread(target=lambda: [store.update("n", one_more, attempts=1000) for _ in range(25)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read_bytes("n") == b"200"


def test_the_function_may_use_the_store() -> None:
    store = Store(MemoryBackend())
    store.write("other", b"41")
    assert store.update("d/n", lambda _: one_more(store.read_bytes("other"))).size == 2
    assert store.read_bytes("d/n") == b"42"


def test_pauses_grow_and_the_error_says_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    store, pauses = Store(MemoryBackend()), list[float]()
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setattr("random.uniform", lambda low, high: high)

    def too_late(content: bytes | None) -> bytes:
        store.write("d/n", b"theirs", overwrite=True)
        return b"ours"

    with pytest.raises(PreconditionFailed, match="each of 8 attempts") as raised:
        store.child("d").update("n", too_late, attempts=8)
    assert (raised.value.path, raised.value.backend) == ("n", "memory")
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    assert store.read_bytes("d/n") == b"theirs"


def test_an_error_of_the_function_is_not_taken_for_a_conflict() -> None:
    store, calls = Store(MemoryBackend()), list[int]()
    store.write("taken", b"")

    def fail(content: bytes | None) -> bytes:
        calls.append(1)
        store.write("taken", b"")
        return b""

    with pytest.raises(AlreadyExists) as raised:
        store.update("n", fail)
    assert (raised.value.path, len(calls)) == ("taken", 1)


@pytest.mark.parametrize("error", [AlreadyExists, PreconditionFailed])
def test_a_conflict_of_what_the_content_is_read_from_is_told_at_once(error: type[Exception]) -> None:
    store, calls = Store(MemoryBackend()), list[int]()

    def changed(content: bytes | None) -> Any:
        calls.append(1)
        yield b"half"
        raise error("theirs", path="other", backend="memory")  # type: ignore[call-arg]

    with pytest.raises(error, match="theirs"):
        store.child("d").update("n", changed)
    assert len(calls) == 1
    assert not store.exists("d/n")


def test_a_backend_without_conditions_refuses_before_anything(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    with pytest.raises(CapabilityNotSupported) as raised:
        store.update("n", lambda content: pytest.fail("called"))
    assert raised.value.capability == Capability.CONDITIONAL_WRITE.value


def test_text_is_no_content() -> None:
    store = Store(MemoryBackend())
    with pytest.raises(TypeError, match="not str"):
        store.update("n", lambda content: "text")  # type: ignore[arg-type,return-value]
    assert not store.exists("n")


async def test_tasks_count_together() -> None:
    store = AsyncStore(AsyncMemoryBackend())

    async def slowly(content: bytes | None) -> bytes:
        await asyncio.sleep(0)
        return one_more(content)

    functions: list[Callable[[bytes | None], Any]] = [one_more, slowly] * 5
    await asyncio.gather(*(store.update("n", function, attempts=1000) for function in functions))
    assert await store.read_bytes("n") == b"10"


async def made(content: bytes | None) -> bytes:
    await asyncio.sleep(0)
    return b"1"


def test_a_store_refuses_an_async_function_and_writes_nothing() -> None:
    store: Any = Store(MemoryBackend())
    with pytest.raises(TypeError, match="async function needs AsyncStore"):
        store.update("n", made)
    assert not store.exists("n")
