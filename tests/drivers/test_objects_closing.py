"""The end of a store of any object store, over a dict: what is in flight is told, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from helpers.dictfaults import PART, parts
from helpers.dictwire import Act, DictWire, dict_view

from remote_store import BackendUnavailable
from remote_store.certify.view import View

IN_TIME = 50.0
"""When whatever ends at once has ended on any machine; less than the deadline of a call [s]."""


@pytest.fixture(params=[False, True], ids=["parts, then completed", "the last part completes"])
def wire(request: pytest.FixtureRequest) -> DictWire:
    return DictWire(last_part_completes=request.param)


@pytest.fixture
async def view(wire: DictWire) -> AsyncIterator[View]:
    async with dict_view("async", wire, part_size=PART, timeout=600) as view:
        yield view


@pytest.mark.parametrize("after", [0, 5 * PART], ids=["commit", "write"])
async def test_closing_discards_uploads_of_open_writers(view: View, wire: DictWire, after: int) -> None:
    async def write() -> None:
        async with view.store.open_atomic("new") as file:
            for _ in range(3):
                await file.write(bytes(PART))
            assert len(wire.uploads) == 1
            await view.store.aclose()
            assert wire.uploads == {}
            await file.write(bytes(after))

    with pytest.raises(BackendUnavailable, match="is closed") as caught:
        await write()
    assert caught.value.path == "new"
    assert wire.blobs == {}


class Stuck:
    """Holds all requests of one verb until they are cancelled."""

    def __init__(self, wire: DictWire, verb: str) -> None:
        self._verb, self.begun = verb, asyncio.Event()
        wire.hook = self

    async def __call__(self, verb: str, name: str, act: Act) -> Any:
        if verb == self._verb:
            self.begun.set()
            await asyncio.Event().wait()
        return act()


CALLS: dict[str, Callable[[View], Any]] = {
    "get": lambda view: view.read_bytes("key"),
    "head": lambda view: view.exists("key"),
    "page": lambda view: view.is_folder("key"),
    "put": lambda view: view.write("new", b"1"),
    "create": lambda view: view.write("new", parts(view)),
    "part": lambda view: view.write("new", parts(view, 20)),
    "complete": lambda view: view.write("new", parts(view)),
    "copy": lambda view: view.copy("key", "new"),
    "delete": lambda view: view.delete("key"),
    "discard": lambda view: abandoned(view),
}


async def abandoned(view: View) -> None:
    async with view.store.open_atomic("new") as file:
        await file.write(bytes(3 * PART))
        raise BackendUnavailable("is closed, or might be", path="new", backend="dict")


@pytest.mark.parametrize("verb", CALLS)
async def test_what_is_in_flight_ends_at_once_and_says_why(
    view: View, wire: DictWire, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_store.drivers.objects.calls.GRACE", 0.05)
    await view.write("key", b"1")
    stuck = Stuck(wire, verb)
    work = asyncio.ensure_future(CALLS[verb](view))
    await stuck.begun.wait()
    async with asyncio.timeout(IN_TIME):
        await view.store.aclose()
        with pytest.raises(BackendUnavailable, match="is closed"):
            await work
    assert wire.closed == [False]
    assert set(wire.blobs) == {"key"}
    assert wire.uploads == {} or verb == "discard"


async def test_an_upload_that_begins_while_its_store_is_closed_is_discarded(view: View, wire: DictWire) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def hook(verb: str, name: str, act: Act) -> Any:
        reply = act()
        if verb == "create":
            begun.set()
            await goes_on.wait()
        return reply

    wire.hook = hook
    work = asyncio.ensure_future(view.write("new", parts(view)))
    await begun.wait()
    closing = asyncio.ensure_future(view.store.aclose())
    await asyncio.sleep(0)
    goes_on.set()
    await closing
    with pytest.raises(BackendUnavailable, match="is closed"):
        await work
    assert wire.uploads == {}


class Held:
    """Lets discards begin, and end when told."""

    def __init__(self, wire: DictWire) -> None:
        self.begun, self.goes_on = asyncio.Event(), asyncio.Event()
        wire.hook = self

    async def __call__(self, verb: str, name: str, act: Act) -> Any:
        if verb == "discard":
            self.begun.set()
            await self.goes_on.wait()
        return act()


@pytest.mark.parametrize("times", [1, 3])
async def test_a_close_that_is_cancelled_ends_first(view: View, wire: DictWire, times: int) -> None:
    async def write() -> None:
        held = Held(wire)
        async with view.store.open_atomic("new") as file:
            await file.write(bytes(3 * PART))
            closing = asyncio.ensure_future(view.store.aclose())
            await held.begun.wait()
            for _ in range(times):
                closing.cancel()
                await asyncio.sleep(0)
            ended = closing.done()
            held.goes_on.set()
            assert not ended
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert wire.uploads == {}
            assert wire.closed == [False]

    with pytest.raises(BackendUnavailable, match="is closed"):
        await write()
    await view.store.aclose()
    assert wire.closed == [False]


async def test_a_close_that_is_cancelled_lets_go_of_connections(
    view: View, wire: DictWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on, ended = asyncio.Event(), asyncio.Event(), False

    async def close(owned: bool) -> None:
        nonlocal ended
        begun.set()
        await goes_on.wait()
        ended = True

    monkeypatch.setattr(wire, "close", close)
    closing = asyncio.ensure_future(view.store.aclose())
    await begun.wait()
    closing.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert ended


async def test_who_closes_a_store_that_is_being_closed_waits(view: View, wire: DictWire) -> None:
    async def write() -> None:
        held = Held(wire)
        async with view.store.open_atomic("new") as file:
            await file.write(bytes(3 * PART))
            first = asyncio.ensure_future(view.store.aclose())
            await held.begun.wait()
            second = asyncio.ensure_future(view.store.aclose())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not second.done()
            held.goes_on.set()
            await second
            assert wire.uploads == {}
            await first

    with pytest.raises(BackendUnavailable, match="is closed"):
        await write()


async def test_a_client_that_is_not_made_in_time_is_an_outage(wire: DictWire, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(wire, "open", stuck)
    async with dict_view("async", wire, timeout=0.05) as view, asyncio.timeout(IN_TIME):
        with pytest.raises(BackendUnavailable, match="in time"):
            await view.exists("key")
