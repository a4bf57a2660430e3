"""Copies by Azure, which may go on after it answered: begun, waited for, and undone where they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError

from remote_store.drivers.azure.errors import EXISTS, code_of, is_final
from remote_store.drivers.objects.ending import to_its_end
from remote_store.drivers.objects.wire import Malformed

AT_ONCE = 256 << 20
"""The service copies no larger blob in one step [bytes]: Blob Storage REST API, Copy Blob From URL."""
BLOCK = 64 << 20
"""How much of a larger one it copies as a block, within the deadline of a request [bytes]."""
MOST_BLOCKS = 50_000
"""A blob takes no more: Blob Storage REST API, Put Block List."""
POLL = 0.2
"""How long to wait between questions about a copy that goes on; up to ten times as long later [s]."""
Ask = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


UNDOING = 10
"""How long each step of undoing a copy may take [s]."""


class GoingOn:
    """What goes before a copy that may go on after it was answered."""


@dataclass
class Copying(GoingOn):
    """A copy that the service has begun.

    Args:
        id: that the service gave it.
        wait: before the next question about it [s].
    """

    id: str
    wait: float


async def at_once(ask: Ask, blob: Any, address: str, login: str | None, **conditions: Any) -> bool:
    """Copy what is at an address in one step, which replaces a blob whole or not at all; whether that can be done.

    The service does so up to a size from where it may read.

    Args:
        address: that lets whoever has it read, unless `login` does.
        login: lets the service read there.
    """
    try:
        done = await ask(
            lambda: blob.start_copy_from_url(address, requires_sync=True, source_authorization=login, **conditions)
        )
    except HttpResponseError as error:
        if is_final(error):
            raise
        return False
    if done.get("copy_status") != "success":
        raise Malformed("a copy at once that is not done")
    return True


async def begin(ask: Ask, blob: Any, address: str, creates: bool, **conditions: Any) -> Copying | None:
    """Copy what is at an address; None where that was done at once.

    Args:
        creates: whether the blob was not there when this was called, and may be any copy of what is at the address.
    """
    asked: list[asyncio.Future[Any]] = []

    def request() -> Awaitable[Any]:
        asked[:] = [asyncio.ensure_future(blob.start_copy_from_url(address, **conditions))]
        return asyncio.shield(asked[0])

    try:
        begun = await ask(request)
    except asyncio.CancelledError:
        await to_its_end(asyncio.ensure_future(_take_back(ask, blob, address, asked)))
        raise
    except HttpResponseError as error:
        found = await _own(blob, address) if getattr(error, "unheard", False) else None
        if found is not None and found.status == "pending":
            return Copying(found.id, POLL)  # An earlier try began it.
        if found is not None and found.status == "success" and creates and code_of(error) == EXISTS:
            return None  # An earlier try made it.
        raise
    if begun.get("copy_status") == "success":
        return None
    if not begun.get("copy_id"):
        raise Malformed("no id of the copy")
    return Copying(str(begun["copy_id"]), POLL)


async def _own(blob: Any, address: str) -> Any:
    """What the service tells of the last copy to a blob, if that was from an address and nothing was written since."""
    with suppress(HttpResponseError):
        copy = (await blob.get_blob_properties()).copy
        return copy if _place(copy.source) == _place(address) else None
    return None


def _place(address: Any) -> str:
    return unquote(str(address).partition("?")[0])


async def poll(ask: Ask, blob: Any, copying: Copying) -> Copying | None:
    """Ask about a copy, None once it is done; one that does not come to an end leaves nothing."""
    try:
        await asyncio.sleep(copying.wait)
        found = (await ask(lambda: blob.get_blob_properties())).copy
        if found.id == copying.id and found.status == "pending":
            copying.wait = min(copying.wait * 1.5, 10 * POLL)
            return copying
        if found.id != copying.id or found.status != "success":
            raise Malformed(f"a copy that ended as {found.status}")
    except BaseException:
        await to_its_end(asyncio.ensure_future(_undo(ask, blob, copying)))
        raise
    return None


async def _take_back(ask: Ask, blob: Any, address: str, asked: list[asyncio.Future[Any]]) -> None:
    """Undo a copy that nobody waits for any more, should it go on once the request for it is answered."""
    with suppress(Exception):
        try:
            begun = await asyncio.wait_for(asked[0], UNDOING) if asked else {}
            pending = begun.get("copy_id") if begun.get("copy_status") == "pending" else None
        except (AzureError, TimeoutError) as error:
            if (getattr(error, "status_code", None) or 500) < 500:
                return  # It was refused.
            async with asyncio.timeout(UNDOING):
                found = await _own(blob, address)
            pending = found.id if found is not None and found.status == "pending" else None
        if pending:
            await _undo(ask, blob, Copying(str(pending), 0))


async def _undo(ask: Ask, blob: Any, copying: Copying) -> None:
    """Abort a copy, and delete the empty blob that this leaves, whose etag may be another by then."""
    with suppress(Exception):  # It may have ended.
        async with asyncio.timeout(UNDOING):
            await ask(lambda: blob.abort_copy(copying.id))
    with suppress(Exception):
        async with asyncio.timeout(UNDOING):
            found = await ask(lambda: blob.get_blob_properties())
            if found.copy.id == copying.id and found.copy.status != "success":
                unchanged = {"etag": found.etag, "match_condition": MatchConditions.IfNotModified}
                await ask(lambda: blob.delete_blob(**unchanged))
