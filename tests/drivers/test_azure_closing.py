"""Stores on Azure storage that are closed in the middle of calls, which end at once, and say why."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from helpers.azure import PART, Place, azure_place, every, pieces
from helpers.deadline import DEADLINE
from servers.azure import HNS, AzureServer
from servers.azure_faults import BUSY, hang, instead
from servers.double_answers import Answer, CarryOut, Request

from remote_store import BackendUnavailable
from remote_store.certify.view import View

CALLS: dict[str, Callable[[View], Coroutine[Any, Any, Any]]] = {
    "read": lambda view: view.read_bytes("key"),
    "info": lambda view: view.get_file_info("key"),
    "write": lambda view: view.write("new", b"1"),
    "a long write": lambda view: view.write("new", view.stream(pieces(3))),
    "copy": lambda view: view.copy("key", "new"),
    "move": lambda view: view.move("key", "new"),
    "delete": lambda view: view.delete("key"),
    "delete_folder": lambda view: view.delete_folder("d", recursive=True),
    "list": lambda view: every(view.list_files("")),
}
LATER = BUSY._replace(headers={**BUSY.headers, "Retry-After": str(DEADLINE * 2)})


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("waits", ["for an answer", "for another try", "for a connection"])
async def test_a_call_ends_when_its_store_is_closed(
    azure_server: AzureServer, container: str, name: str, waits: str
) -> None:
    """At once, and with an error of the contract."""
    loop, there, released = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        loop.call_soon_threadsafe(there.set)
        return LATER if waits == "for another try" else hang(released)(request, lambda: BUSY)

    async with azure_place("async", azure_server, container, timeout=3 * DEADLINE) as place:
        place.put("key", b"1")
        place.put("d/f", b"1")
        clients = place.view.store._backend._driver.wire.clients
        if waits == "for a connection":
            clients._connector = {"limit": 1}
        with azure_server.hooked(hook):
            first = asyncio.ensure_future(place.view.exists("other")) if waits == "for a connection" else None
            call = asyncio.ensure_future(CALLS[name](place.view))
            await there.wait()
            while waits == "for another try" and not clients._waiting:
                await asyncio.sleep(0)
            await place.view.store.aclose()
            for task in (first, call) if first else (call,):
                with pytest.raises(BackendUnavailable, match="is closed for good"):
                    await asyncio.wait_for(task, DEADLINE)
            released.set()
        assert place.contents() == {"key": b"1", "d/f": b"1"}


async def test_a_call_that_is_cancelled_while_its_store_is_closed_is_cancelled(azure_server: AzureServer) -> None:
    async with azure_place("async", azure_server) as place:
        clients = place.view.store._backend._driver.wire.clients
        with azure_server.hooked(instead(LATER)):
            call = asyncio.ensure_future(place.view.read_bytes("key"))
            while not clients._waiting:
                await asyncio.sleep(0)
            call.cancel()
            await place.view.store.aclose()
            with pytest.raises(asyncio.CancelledError):
                await call


async def test_an_open_writer_of_a_store_that_is_closed_says_so(azure_server: AzureServer, container: str) -> None:
    async def write(store: Any) -> None:
        async with store.open_atomic("key") as file:
            await file.write(bytes(3 * PART))
            await store.aclose()
            await file.write(bytes(3 * PART))

    async with azure_place("async", azure_server, container) as place:
        with pytest.raises(BackendUnavailable, match="is closed for good"):
            await write(place.view.store)
        assert [key for key in place.contents() if ".~rs-" not in key] == []


async def test_uploads_are_discarded_whichever_kind_of_account_was_found(azure_server: AzureServer) -> None:
    """However the closing is cancelled: what is put together under a hidden name goes."""

    async def write(place: Place) -> None:
        async with place.view.store.open_atomic("key") as file:
            await file.write(bytes(3 * PART))
            closing = asyncio.ensure_future(place.view.store.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert place.asked("DELETE", ".~rs-") == 1

    async with azure_place("async", azure_server, HNS, hns=None) as place:
        with pytest.raises(BackendUnavailable, match="is closed for good"):
            await write(place)
