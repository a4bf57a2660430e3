"""Copies by Azure storage: at once where it can, else waited for, and never half done."""

from __future__ import annotations

import asyncio
import threading

import pytest
from helpers.azure import Place, azure_place, azure_view, copying, meanwhile, pieces
from helpers.deadline import DEADLINE
from servers.azure import AzureServer
from servers.azure_faults import BUSY, done_then, first, in_turn, instead, once, refusal, reset_after, when
from servers.azure_items import Copy
from servers.double_answers import Answer, CarryOut, Hook, Request

from remote_store import AlreadyExists, BackendUnavailable, PreconditionFailed


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


BLOCK = 1 << 10
LARGE = b"".join(bytes([number]) * BLOCK for number in range(1, 5)) + b"."


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than two KiB is large."""
    monkeypatch.setattr("remote_store.drivers.azure.copies.AT_ONCE", 2 * BLOCK)
    monkeypatch.setattr("remote_store.drivers.azure.copies.BLOCK", BLOCK)


@pytest.mark.parametrize("verb", ["copy", "move"])
async def test_a_large_file_is_copied_by_blocks(az: Place, large: None, verb: str) -> None:
    """What it replaces is there until it is whole; all that describes it goes along."""
    if verb == "move" and az.hns:
        return
    az.put("key", LARGE, who="me", is_directory="false")
    kept = {"Content-Type": "text/csv", "Cache-Control": "no-cache", "Content-Language": "de"}
    az.item("key").settings.update(kept)
    told = dict(az.item("key").settings)
    az.put("new", b"old")
    seen: set[bytes] = set()

    def look(request: Request, carry_out: CarryOut) -> None:
        seen.add(az.contents()["new"])

    with az.server.having(copies_at_once=2 * BLOCK, copy_fails=True), az.server.hooked(look):
        await getattr(az.view, verb)("key", "new", overwrite=True)
    assert seen - {LARGE} == {b"old"}  # The request that deletes a source sees the new file.
    assert az.contents() == {"new": LARGE, **({"key": LARGE} if verb == "copy" else {})}
    assert az.item("new").metadata == {"who": "me"}
    assert az.item("new").settings == told
    assert az.asked("PUT", "comp=block&") == 5
    assert az.server.uncommitted(az.prefix, az.container) == {}
    await az.works()


@pytest.mark.parametrize("turn", ["a block", "the commit"])
async def test_a_large_copy_that_fails_leaves_the_old_file(az: Place, large: None, turn: str) -> None:
    az.put("key", LARGE)
    az.put("new", b"old")
    if turn == "a block":
        failing = when(in_turn(None, *[instead(BUSY)] * 40), "PUT", "comp=block&")
    else:
        failing = when(instead(BUSY), "PUT", "comp=blocklist")
    with (
        az.server.having(copies_at_once=2 * BLOCK),
        az.server.hooked(failing),
        pytest.raises(BackendUnavailable),
    ):
        await az.view.copy("key", "new", overwrite=True)
    assert az.contents() == {"key": LARGE, "new": b"old"}
    await az.works()


async def test_a_large_file_that_changes_while_it_is_copied_is_never_mixed(az: Place, large: None) -> None:
    az.put("key", LARGE)
    az.put("new", b"old")
    changing = when(in_turn(None, None, meanwhile(lambda: az.put("key", LARGE[::-1]))), "PUT", "comp=block&")
    with (
        az.server.having(copies_at_once=2 * BLOCK),
        az.server.hooked(changing),
        pytest.raises(PreconditionFailed, match="replaced"),
    ):
        await az.view.copy("key", "new", overwrite=True)
    assert az.contents() == {"key": LARGE[::-1], "new": b"old"}


async def test_a_large_copy_that_is_cancelled_leaves_the_old_file(
    azure_server: AzureServer, container: str, brief: None, large: None
) -> None:
    async with azure_place("async", azure_server, container, max_concurrency=1) as place:
        place.put("key", LARGE)
        place.put("new", b"old")
        copied, loop = asyncio.Event(), asyncio.get_running_loop()
        told = meanwhile(lambda: loop.call_soon_threadsafe(copied.set))
        with azure_server.having(copies_at_once=0), azure_server.hooked(when(told, "PUT", "comp=block&")):
            task = asyncio.ensure_future(place.view.copy("key", "new", overwrite=True))
            await asyncio.wait_for(copied.wait(), DEADLINE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert place.contents() == {"key": LARGE, "new": b"old"}
        await place.works()


async def test_a_large_copy_goes_on_where_the_service_does_not_read_its_source(az: Place, large: None) -> None:
    """Such as behind a firewall, which keeps the service itself out."""
    az.put("key", LARGE)
    az.put("new", b"old")
    refused = when(instead(refusal("CannotVerifyCopySource", status=403)), "PUT", "comp=block&")
    with az.server.having(copies_at_once=2 * BLOCK), az.server.hooked(refused):
        await az.view.copy("key", "new", overwrite=True)
    assert az.contents() == {"key": LARGE, "new": LARGE}


async def test_azurite_copies_by_blocks(azurite_server: AzureServer, large: None) -> None:
    prefix = azurite_server.fresh_prefix()
    async with azure_view("async", azurite_server, prefix) as view:
        await view.write("key", LARGE, metadata={"who": "me"}, content_type="text/csv")
        await view.write("new", b"old")
        await view.move("key", "new", overwrite=True)
        assert await view.read_bytes("new") == LARGE
        info = await view.get_file_info("new")
        assert (info.metadata, info.content_type) == ({"who": "me"}, "text/csv")
        assert not await view.exists("key")


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


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_copy_that_is_cancelled_while_it_begins_leaves_nothing(
    azure_server: AzureServer, brief: None, monkeypatch: pytest.MonkeyPatch, overwrite: bool, answered: bool
) -> None:
    """Whether the service has begun it, its answer tells, or else the blob."""
    if not answered:
        monkeypatch.setattr("remote_store.drivers.azure.copies.UNDOING", 0.5)
    async with azure_place("async", azure_server) as place:
        place.put("key", b"content")
        begun, loop, goes_on = asyncio.Event(), asyncio.get_running_loop(), threading.Event()

        def hook(request: Request, carry_out: CarryOut) -> Answer | None:
            if "x-ms-copy-source" not in request.headers or "x-ms-requires-sync" in request.headers:
                return None
            answer = carry_out()
            loop.call_soon_threadsafe(begun.set)
            goes_on.wait(DEADLINE)
            return answer

        with azure_server.having(copies_at_once=0, copy_polls=None), azure_server.hooked(hook):
            task = asyncio.ensure_future(place.view.copy("key", "new", overwrite=overwrite))
            await asyncio.wait_for(begun.wait(), DEADLINE)
            task.cancel()
            if answered:
                await asyncio.sleep(0)
                goes_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            goes_on.set()
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
