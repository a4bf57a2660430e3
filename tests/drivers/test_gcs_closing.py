"""The end of a store on Google Cloud Storage: no session of an upload stays, and what is in flight says why it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers.gcs import PART, Place, gcs_place, on_part, pieces
from servers.gcs import BUCKET, GcsServer
from servers.gcs_answers import CarryOut, Hook, Request
from servers.gcs_faults import hang, when

from remote_store import BackendUnavailable, Store
from remote_store.backends import GCSBackend

IN_TIME = 50.0
"""When whatever ends at once has ended on any machine; less than the deadline of a call [s]."""


def test_closing_cancels_uploads_of_open_writers(gcs_server: GcsServer) -> None:
    prefix = gcs_server.fresh_prefix()

    def write(store: Store) -> None:
        with store.open_atomic("new") as file:
            file.write(bytes(40 * PART))
            assert f"{prefix}/new" in gcs_server.uploads()
            store.close()
            assert f"{prefix}/new" not in gcs_server.uploads()

    store = Store(GCSBackend(BUCKET, prefix, part_size=PART, **gcs_server.options))
    with pytest.raises(BackendUnavailable, match="is closed"):
        write(store)
    assert gcs_server.keys(prefix) == []


CALLS: dict[str, tuple[Callable[[Place], Any], Callable[[Hook], Hook]]] = {
    "read": (lambda at: at.view.read_bytes("key"), lambda hook: when(hook, "GET", "alt=media")),
    "list": (lambda at: at.view.is_folder("key"), lambda hook: when(hook, "GET", "prefix=")),
    "write": (lambda at: at.view.write("new", b"1"), lambda hook: when(hook, "POST", "multipart")),
    "part": (lambda at: at.view.write("new", at.view.stream(pieces(3))), on_part),
    "move": (lambda at: at.view.move("key", "new", overwrite=True), lambda hook: when(hook, "POST", "moveTo")),
}


@pytest.mark.parametrize("verb", CALLS)
async def test_what_is_in_flight_ends_at_once_and_says_why(gcs_server: GcsServer, verb: str) -> None:
    work, on = CALLS[verb]
    begun, released = threading.Event(), threading.Event()

    def stuck(request: Request, carry_out: CarryOut) -> Any:
        begun.set()
        hang(released)(request, lambda: None)  # type: ignore[arg-type, return-value]
        raise ConnectionResetError

    async with gcs_place("async", gcs_server, timeout=600) as place:
        place.put("key", b"1")
        try:
            with gcs_server.hooked(on(stuck)):
                call = asyncio.ensure_future(work(place))
                await asyncio.to_thread(begun.wait)
                async with asyncio.timeout(IN_TIME):
                    await place.view.store.aclose()
                    with pytest.raises(BackendUnavailable, match="is closed"):
                        await call
        finally:
            released.set()
        assert place.contents() == {"key": b"1"}
