"""Filesystems whose event loop does not run, or not yet: a call waits, or says so, and never hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec.asyn
import pytest
from fsspec.implementations.local import LocalFileSystem
from helpers.kinds import UnknownLooped
from helpers.processes import DEADLINE

from remote_store import BackendUnavailable, FsspecBackend, Store
from remote_store.aio import AsyncFsspecBackend, AsyncStore
from remote_store.certify.view import View
from remote_store.engine import runners
from remote_store.engine.runners import run_to_end

Work = Callable[[View], Awaitable[Any]]


class LateLoop:
    """An event loop that a thread runs when it is told to.

    Attributes:
        asked: set when something was handed to the loop.
    """

    def __init__(self) -> None:
        self.asked, self._go = threading.Event(), threading.Event()
        self.loop = asyncio.new_event_loop()
        self._handed_on = self.loop.call_soon_threadsafe
        self.loop.call_soon_threadsafe = self._ask  # type: ignore[method-assign, assignment]
        self.thread = threading.Thread(target=self._run)

    def _ask(self, *arguments: Any, **options: Any) -> Any:
        self.asked.set()
        return self._handed_on(*arguments, **options)

    def _run(self) -> None:
        self._go.wait(DEADLINE)
        self.loop.run_forever()

    def begin(self) -> None:
        self._go.set()

    def end(self) -> None:
        if self.thread.is_alive():
            self._go.set()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(DEADLINE)
        self.loop.close()


@pytest.fixture
def late() -> Iterator[LateLoop]:
    made = LateLoop()
    yield made
    made.end()


@pytest.fixture(params=["sync", "async"])
def use(request: pytest.FixtureRequest, late: LateLoop, tmp_path: Path) -> Callable[[Work], Any]:
    """Runs work on a store of local files, whose filesystem is bound to the loop."""
    fs = UnknownLooped(LocalFileSystem(), asynchronous=False, loop=late.loop)
    if request.param == "sync":
        store = Store(FsspecBackend(fs, str(tmp_path)))
        return lambda work: run_to_end(work(View(store)))
    aio = AsyncStore(AsyncFsspecBackend(fs, str(tmp_path)))
    return lambda work: asyncio.run(work(View(aio)))  # type: ignore[arg-type]


async def write(view: View) -> Any:
    await view.write("f", b"1")
    return await view.read_bytes("f")


@pytest.mark.parametrize("owner", ["user", "fsspec"])
def test_a_loop_that_begins_late_is_waited_for(
    owner: str, late: LateLoop, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if owner == "fsspec":  # As between its making of the loop, and of the thread.
        monkeypatch.setattr(fsspec.asyn, "loop", [late.loop])
        monkeypatch.setattr(fsspec.asyn, "iothread", [None])
    late.thread.start()
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(use, write)
        try:
            assert late.asked.wait(DEADLINE)
        finally:
            late.begin()
        assert call.result(DEADLINE) == b"1"


def test_a_loop_that_nobody_runs_is_not_waited_for_for_ever(
    use: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runners, "BEGIN", 0.05)
    with pytest.raises(BackendUnavailable, match=r"Nobody runs the event loop of this filesystem: waited 0\.05 s"):
        use(write)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["closed", "its thread has ended", "stopped, then closed"])
def test_a_loop_that_will_never_run_is_gone(
    how: str, late: LateLoop, use: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if how == "closed":
        late.loop.close()
    elif how == "stopped, then closed":
        late.thread.start()
        late.begin()
        assert use(write) == b"1"
        late.end()
        late.asked.clear()
        (tmp_path / "f").unlink()
    else:
        ended = threading.Thread(target=int)
        ended.start()
        ended.join(DEADLINE)
        monkeypatch.setattr(fsspec.asyn, "loop", [late.loop])
        monkeypatch.setattr(fsspec.asyn, "iothread", [ended])
    with pytest.raises(BackendUnavailable, match="The event loop of this filesystem is gone") as caught:
        use(write)
    assert caught.value.backend
    assert not late.asked.is_set()
    assert list(tmp_path.iterdir()) == []
