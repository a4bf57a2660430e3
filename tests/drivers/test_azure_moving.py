"""Copies, moves and writes on Azure storage: in their own time, given up, and told from what others do meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers.azure import PART, Place, azure_place, copying, meanwhile, page, pieces, renaming
from servers.azure import CONTAINER, AzureServer
from servers.azure_faults import (
    BLOCKS_GONE,
    BUSY,
    DENIED,
    UNMET,
    first,
    hang,
    in_turn,
    instead,
    once,
    refusal,
    reset_after,
    reset_before,
    when,
)
from servers.double_answers import Answer, CarryOut, Hook, Request

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
)

LONG = b"".join(pieces(2))


async def keys(place: Place) -> list[str]:
    return sorted([str(entry.path) async for entry in place.view.list_files("", recursive=True)])


# --- sources and targets that change


@pytest.mark.parametrize("turn", ["copy", "delete"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_source_that_changes_while_it_is_moved_is_kept(blobs: Place, turn: str, overwrite: bool) -> None:
    blobs.put("key", b"old")
    another = once(meanwhile(lambda: blobs.put("key", b"newer")))
    on = copying(another) if turn == "copy" else when(another, "DELETE")
    with blobs.server.hooked(on), pytest.raises(PreconditionFailed) as caught:
        await blobs.view.move("key", "new", overwrite=overwrite)
    assert "key" in str(caught.value)
    assert "new" in str(caught.value)
    assert blobs.contents() == {"key": b"newer", **({"new": b"old"} if turn == "delete" else {})}
    await blobs.works()


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_file_that_changes_before_its_rename_is_kept(tree: Place, overwrite: bool) -> None:
    tree.put("key", b"old")
    with (
        tree.server.hooked(renaming(once(meanwhile(lambda: tree.put("key", b"newer"))))),
        pytest.raises(PreconditionFailed) as caught,
    ):
        await tree.view.move("key", "new", overwrite=overwrite)
    assert "key" in str(caught.value)
    assert tree.contents() == {"key": b"newer"}
    await tree.works()


async def test_a_source_that_others_took_is_missing(az: Place) -> None:
    for verb in ("copy", "move"):
        az.put("key", b"1")
        az.put("new", b"old")
        gone = once(meanwhile(lambda: az.remove("key"), BUSY))
        with (
            az.server.hooked(copying(gone) if verb == "copy" or not az.hns else renaming(gone)),
            pytest.raises(RemoteStoreError) as caught,
        ):
            await getattr(az.view, verb)("key", "new", overwrite=True)
        assert type(caught.value) in (NotFound, PreconditionFailed)
        assert az.contents() == {"new": b"old"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("lost", [None, BUSY])
@pytest.mark.parametrize("verb", ["copy", "move"])
async def test_a_target_that_others_made_is_kept(az: Place, verb: str, overwrite: bool, lost: Answer | None) -> None:
    az.put("key", b"mine")
    theirs = once(meanwhile(lambda: az.put("new", b"theirs"), lost))
    with az.server.hooked(renaming(theirs) if verb == "move" and az.hns else copying(theirs)):
        if overwrite:
            await getattr(az.view, verb)("key", "new", overwrite=True)
        else:
            with pytest.raises(AlreadyExists):
                await getattr(az.view, verb)("key", "new")
    assert az.contents()["new"] == (b"mine" if overwrite else b"theirs")
    assert ("key" in az.contents()) is (verb == "copy" or not overwrite)


async def test_who_may_not_delete_keeps_the_source(blobs: Place) -> None:
    blobs.put("key", b"1")
    with blobs.server.hooked(when(instead(DENIED), "DELETE")), pytest.raises(PermissionDenied):
        await blobs.view.move("key", "new")
    assert blobs.contents() == {"key": b"1", "new": b"1"}


# --- own echoes, and what others did


WRITES: dict[str, tuple[Callable[[Hook], Hook], Callable[[Place, dict[str, Any]], Any], bytes]] = {
    "put": (lambda hook: when(hook, "PUT"), lambda at, how: at.view.write("new", b"mine", **how), b"mine"),
    "commit": (
        lambda hook: when(hook, "PUT", "comp=blocklist"),
        lambda at, how: at.view.write("new", at.view.stream(pieces(2)), **how),
        LONG,
    ),
    "publish": (renaming, lambda at, how: at.view.write("new", at.view.stream(pieces(2)), **how), LONG),
}
LOST = {"reset": reset_after, "503": lambda request, carry_out: (carry_out(), BUSY)[1]}


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("condition", ["exclusive", "if_match", "overwrite"])
@pytest.mark.parametrize("times", [1, 3])
async def test_the_echo_of_an_own_write_is_success(az: Place, verb: str, condition: str, times: int) -> None:
    if verb == "publish" and not az.hns:
        return
    on, work, content = WRITES[verb]
    how: dict[str, Any] = {"metadata": {"who": "me"}}
    if condition == "if_match":
        how["if_match"] = az.put("new", b"old")
    elif condition == "overwrite":
        how["overwrite"] = True
    with az.server.hooked(on(first(times, LOST["reset"]))):
        result = await work(az, how)
    assert az.contents() == {"new": content}
    assert result.etag == (await az.view.get_file_info("new")).etag == az.item("new").etag
    await az.works()


@pytest.mark.parametrize("theirs", ["other content", "other metadata", "the same size", "the same"])
@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("condition", ["exclusive", "if_match"])
async def test_a_write_whose_reply_was_lost_is_told_from_that_of_another(
    az: Place, verb: str, theirs: str, condition: str
) -> None:
    if verb == "publish" and not az.hns:
        return
    on, work, content = WRITES[verb]
    how: dict[str, Any] = {"metadata": {"who": "me"}}
    if condition == "if_match":
        how["if_match"] = az.put("new", b"old")
    other = {"other content": b"other", "the same size": bytes(len(content))}.get(theirs, content)
    who = "me" if theirs == "the same" else "another"
    target = renaming if verb == "commit" and az.hns else on
    another = meanwhile(lambda: az.put("new", other, who=who), BUSY)
    with (
        az.server.hooked(target(once(another))),
        pytest.raises(AlreadyExists if condition == "exclusive" else PreconditionFailed),
    ):
        await work(az, how)
    assert az.contents() == {"new": other}
    assert await keys(az) == ["new"]
    await az.works()


async def test_a_delete_whose_reply_was_lost_is_done(az: Place) -> None:
    az.put("key", b"1")
    with az.server.hooked(when(once(reset_after), "DELETE")):
        await az.view.delete("key")
    assert az.contents() == {}
    with pytest.raises(NotFound):
        await az.view.delete("key")
    az.put("key", b"1")
    with az.server.hooked(when(once(meanwhile(lambda: az.remove("key"))), "DELETE")), pytest.raises(NotFound):
        await az.view.delete("key")
    az.put("key", b"1")
    with az.server.hooked(when(in_turn(instead(BUSY), instead(page(404))), "DELETE")), pytest.raises(NotFound):
        await az.view.delete("key")


async def test_a_move_whose_reply_was_lost_is_done(az: Place) -> None:
    for overwrite in (False, True):
        for lost in LOST.values():
            az.put("key", b"1")
            with az.server.hooked((renaming if az.hns else copying)(once(lost))):
                await az.view.move("key", "new", overwrite=overwrite)
            assert az.contents() == {"new": b"1"}
            az.remove("new")


# --- blocks


@pytest.mark.parametrize("overwrite", [False, True])
async def test_another_commit_that_discards_our_blocks_is_told(blobs: Place, overwrite: bool) -> None:
    theirs = meanwhile(lambda: blobs.put("new", b"theirs"))
    with (
        blobs.server.hooked(when(once(theirs), "PUT", "comp=blocklist")),
        pytest.raises(BackendUnavailable if overwrite else AlreadyExists) as caught,
    ):
        await blobs.view.write("new", blobs.view.stream(pieces(2)), overwrite=overwrite)
    if overwrite:
        assert "Another writer" in str(caught.value)
    assert blobs.contents() == {"new": b"theirs"}
    await blobs.works()


async def test_blocks_that_are_gone_for_another_reason_are_an_outage(az: Place) -> None:
    with (
        az.server.hooked(when(instead(BLOCKS_GONE), "PUT", "comp=blocklist")),
        pytest.raises((BackendUnavailable, AlreadyExists)),
    ):
        await az.view.write("new", az.view.stream(pieces(2)), overwrite=True)
    assert az.contents() == {}
    assert await keys(az) == []
    await az.works()


async def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(az: Place) -> None:
    az.put("new", b"old")
    seen: list[bytes] = []
    watched = when(lambda request, carry_out: seen.append(az.contents()["new"]), "PUT")
    with az.server.hooked(watched):
        await az.view.write("new", az.view.stream(pieces(3)), overwrite=True)
    assert set(seen) == {b"old"}
    assert az.contents() == {"new": b"".join(pieces(3))}


async def test_a_stream_that_breaks_off_leaves_the_old_file(az: Place) -> None:
    az.put("new", b"old")

    def broken() -> Any:
        yield from pieces(3)
        raise ZeroDivisionError

    async def broken_too() -> Any:
        for piece in broken():
            yield piece

    with pytest.raises(ZeroDivisionError):
        await az.view.write("new", broken_too() if az.view.is_async else broken(), overwrite=True)
    assert az.contents() == {"new": b"old"}
    assert await keys(az) == ["new"]
    await az.works()


@pytest.mark.parametrize("method", ["block&", "blocklist", "mode=legacy"])
async def test_a_writer_that_is_cancelled_leaves_the_old_file(
    azure_server: AzureServer, container: str, method: str
) -> None:
    if method == "mode=legacy" and container == CONTAINER:
        return
    async with azure_place("async", azure_server, container) as place:
        place.put("new", b"old")
        loop, there, released = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def hook(request: Request, carry_out: CarryOut) -> Any:
            loop.call_soon_threadsafe(there.set)
            hang(released)(request, lambda: BUSY)
            return BUSY

        with azure_server.hooked(when(hook, "PUT", method)):
            task = asyncio.ensure_future(place.view.write("new", bytes(3 * PART), overwrite=True))
            await there.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            released.set()
        assert place.contents() == {"new": b"old"}
        await place.works()


@pytest.mark.parametrize("answer", [reset_before, instead(UNMET), instead(refusal("InternalError"))])
async def test_a_write_that_cannot_be_published_leaves_nothing_hidden(tree: Place, answer: Hook) -> None:
    tree.put("new", b"old")
    with tree.server.hooked(renaming(answer)), pytest.raises(RemoteStoreError):
        await tree.view.write("new", tree.view.stream(pieces(2)), overwrite=True)
    assert tree.contents() == {"new": b"old"}
    await tree.works()
