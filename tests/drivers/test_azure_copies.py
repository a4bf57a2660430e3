"""Copies by Azure storage: at once where it can, else waited for, and never half done."""

from __future__ import annotations

import asyncio
import threading

import pytest
from helpers.azure import Place, azure_place, copying, meanwhile, pieces
from helpers.deadline import DEADLINE
from servers.azure import AzureServer
from servers.azure_faults import BUSY, done_then, first, in_turn, instead, once, reset_after, when
from servers.azure_items import Copy
from servers.double_answers import CarryOut, Hook, Request

from remote_store import AlreadyExists, BackendUnavailable


@pytest.mark.parametrize("polls", [1, 5])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_copy_is_waited_for(az: Place, polls: int, overwrite: bool) -> None:
    etag = az.put("key", b"content", who="me")
    if overwrite:
        az.put("new", b"old")
    az.item("key").settings["Content-Type"] = "text/csv"
    with az.server.having(copies_at_once=0, copy_polls=polls):
        await az.view.copy("key", "new", overwrite=overwrite)
    assert az.contents() == {"key": b"content", "new": b"content"}
    info = await az.view.get_file_info("new")
    assert (info.metadata, info.content_type) == ({"who": "me"}, "text/csv")
    assert az.item("key").etag == etag


async def test_a_source_is_deleted_after_the_copy_alone(blobs: Place) -> None:
    blobs.put("key", b"content")
    gone: list[bytes] = []

    def hook(request: Request, carry_out: CarryOut) -> None:
        gone.append(blobs.contents()["new"])

    with blobs.server.having(copies_at_once=0, copy_polls=3), blobs.server.hooked(when(hook, "DELETE")):
        await blobs.view.move("key", "new")
    assert gone == [b"content"]
    assert blobs.contents() == {"new": b"content"}


@pytest.mark.parametrize("verb", ["copy", "move"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_copy_that_fails_leaves_nothing(blobs: Place, verb: str, overwrite: bool) -> None:
    blobs.put("key", b"content")
    with (
        blobs.server.having(copies_at_once=0, copy_polls=2, copy_fails=True),
        pytest.raises(BackendUnavailable, match="a copy that ended as failed"),
    ):
        await getattr(blobs.view, verb)("key", "new", overwrite=overwrite)
    assert blobs.contents() == {"key": b"content"}
    await blobs.works()


@pytest.mark.parametrize("verb", ["copy", "move"])
async def test_a_copy_that_fails_empties_no_file_that_it_was_to_replace(blobs: Place, verb: str) -> None:
    """As far as the service copies at once, what is there is replaced whole or not at all."""
    blobs.put("key", b"content")
    blobs.put("new", b"old")
    with blobs.server.having(copy_polls=2, copy_fails=True), pytest.raises(BackendUnavailable):
        await getattr(blobs.view, verb)("key", "new", overwrite=True)
    assert blobs.contents() == {"key": b"content", "new": b"old"}
    await getattr(blobs.view, verb)("key", "new", overwrite=True)
    assert blobs.contents()["new"] == b"content"


async def test_what_is_too_large_to_be_copied_at_once_is_copied(az: Place) -> None:
    az.put("key", b"content", who="me")
    az.put("new", b"old")
    with az.server.having(copies_at_once=3):
        await az.view.copy("key", "new", overwrite=True)
    assert az.asked("PUT", "new") == 2
    assert az.contents() == {"key": b"content", "new": b"content"}
    assert az.item("new").metadata == {"who": "me"}


@pytest.mark.parametrize("verb", ["copy", "move"])
async def test_a_copy_that_another_aborts_leaves_nothing(blobs: Place, verb: str) -> None:
    blobs.put("key", b"content")

    def abort() -> None:
        blobs.item("new").copy.status = "aborted"
        blobs.item("new").touch()

    polling = when(in_turn(None, meanwhile(abort)), "HEAD", "/new")
    with (
        blobs.server.having(copies_at_once=0, copy_polls=None),
        blobs.server.hooked(polling),
        pytest.raises(BackendUnavailable, match="a copy that ended as aborted"),
    ):
        await getattr(blobs.view, verb)("key", "new", overwrite=True)
    assert blobs.contents() == {"key": b"content"}
    await blobs.works()


async def test_what_another_put_in_place_of_a_copy_is_kept(blobs: Place) -> None:
    blobs.put("key", b"content")
    polling = when(once(meanwhile(lambda: blobs.put("new", b"theirs"))), "HEAD", "/new")
    with (
        blobs.server.having(copies_at_once=0, copy_polls=None),
        blobs.server.hooked(polling),
        pytest.raises(BackendUnavailable, match="a copy that ended as"),
    ):
        await blobs.view.copy("key", "new", overwrite=True)
    assert blobs.contents() == {"key": b"content", "new": b"theirs"}


async def test_a_copy_that_cannot_be_asked_about_leaves_nothing(blobs: Place) -> None:
    """The service answers again by the time it is given up."""
    blobs.put("key", b"content")
    with (
        blobs.server.having(copies_at_once=0, copy_polls=None),
        blobs.server.hooked(when(first(5, instead(BUSY)), "HEAD", "/new")),
        pytest.raises(BackendUnavailable),
    ):
        await blobs.view.copy("key", "new", overwrite=True)
    assert blobs.contents() == {"key": b"content"}
    await blobs.works()


async def test_a_copy_that_is_cancelled_leaves_nothing(azure_server: AzureServer, brief: None) -> None:
    async with azure_place("async", azure_server) as place:
        place.put("key", b"content")
        polled, loop = asyncio.Event(), asyncio.get_running_loop()
        told = when(meanwhile(lambda: loop.call_soon_threadsafe(polled.set)), "HEAD", "/new")
        with azure_server.having(copies_at_once=0, copy_polls=None), azure_server.hooked(told):
            task = asyncio.ensure_future(place.view.copy("key", "new", overwrite=True))
            await polled.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert place.contents() == {"key": b"content"}
        await place.works()


@pytest.mark.parametrize("closes", [False, True], ids=["twice", "then its store is closed"])
async def test_a_copy_that_is_cancelled_while_it_is_undone_leaves_nothing(
    azure_server: AzureServer, brief: None, closes: bool
) -> None:
    async with azure_place("async", azure_server) as place:
        place.put("key", b"content")
        polled, undoing, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
        goes_on = threading.Event()

        def hook(request: Request, carry_out: CarryOut) -> None:
            if request.method == "HEAD" and request.path.endswith("/new"):
                loop.call_soon_threadsafe(polled.set)
            if request.query.get("comp") == "copy":
                loop.call_soon_threadsafe(undoing.set)
                goes_on.wait(DEADLINE)

        with azure_server.having(copies_at_once=0, copy_polls=None), azure_server.hooked(hook):
            task = asyncio.ensure_future(place.view.copy("key", "new", overwrite=True))
            await polled.wait()
            task.cancel()
            await undoing.wait()
            if closes:
                closing = asyncio.ensure_future(place.view.store.aclose())
            task.cancel()
            await asyncio.sleep(0)
            goes_on.set()
            if closes:
                await closing
                assert place.contents() == {"key": b"content"}
            with pytest.raises(asyncio.CancelledError):
                await task
        assert place.contents() == {"key": b"content"}


@pytest.mark.parametrize("polls", [0, 2])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_copy_whose_reply_was_lost_is_done(az: Place, polls: int, overwrite: bool) -> None:
    """It may still go on when it is asked for again."""
    az.put("key", b"content")
    with az.server.having(copies_at_once=0, copy_polls=polls), az.server.hooked(copying(once(reset_after))):
        await az.view.copy("key", "new", overwrite=overwrite)
    assert az.contents() == {"key": b"content", "new": b"content"}
    await az.works()


@pytest.mark.parametrize("lost", [reset_after, done_then(BUSY)], ids=["reset", "503"])
async def test_a_copy_of_blocks_whose_reply_was_lost_is_done(blobs: Place, lost: Hook) -> None:
    """They have no checksum to tell it by."""
    await blobs.view.write("key", blobs.view.stream(pieces(2)))
    with blobs.server.hooked(copying(once(lost))):
        await blobs.view.copy("key", "new")
    assert blobs.contents()["new"] == b"".join(pieces(2))
    with pytest.raises(AlreadyExists):
        await blobs.view.copy("key", "new")


@pytest.mark.parametrize("theirs", ["a write", "a copy of another"])
async def test_what_another_made_while_a_reply_was_lost_is_told(blobs: Place, theirs: str) -> None:
    await blobs.view.write("key", blobs.view.stream(pieces(2)))
    await blobs.view.write("other", blobs.view.stream(pieces(3)))

    def make() -> None:
        blobs.put("new", b"theirs")
        if theirs != "a write":
            address = f"{blobs.server.endpoint}/{blobs.container}/{blobs.name('other')}"
            blobs.item("new").copy = Copy(address, b"", 0, status="success")

    with blobs.server.hooked(copying(once(meanwhile(make, BUSY)))), pytest.raises(AlreadyExists):
        await blobs.view.copy("key", "new")
    assert blobs.contents()["new"] == b"theirs"
