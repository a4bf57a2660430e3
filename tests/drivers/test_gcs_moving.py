"""Copies and moves on Google Cloud Storage: in several steps, refused, and told from what others do meanwhile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from helpers.gcs import Place, on_part, pieces
from servers.gcs_answers import Answer, CarryOut, Hook, Request, json_answer
from servers.gcs_faults import (
    DENIED,
    HELD,
    UNAUTHORIZED,
    UNAVAILABLE,
    UNMET,
    first,
    in_turn,
    instead,
    once,
    page,
    refusal,
    reset_after,
    reset_before,
    when,
)

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
)

MIB = 1 << 20
OLD, NEW = bytes(3 * MIB), bytes([7]) * (3 * MIB + 5)
AGES = dt.timedelta(days=1)
REFUSALS = {
    "403": DENIED,
    "403, a page": page(403),
    "405": page(405),
    "400": refusal(400, "invalid"),
    "501": page(501),
}


def meanwhile(act: Callable[[], object], answer: Answer | None = UNAVAILABLE) -> Hook:
    """Somebody else acts; then the request is answered otherwise, or (None) carried out."""

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        act()
        return answer or carry_out()

    return hook


def moving(hook: Hook) -> Hook:
    return when(hook, "POST", "/moveTo/")


def copying(hook: Hook) -> Hook:
    return when(hook, "POST", "/rewriteTo/")


# --- copies in steps


async def test_a_copy_in_steps_is_whole_and_keeps_what_belongs_to_it(gcs: Place) -> None:
    gcs.put("key", OLD, metadata={"ä\n": "ü 𝄞"}, contentType="text/csv")
    with gcs.server.having(rewrite_step=MIB):
        await gcs.view.copy("key", "new")
    assert gcs.contents() == {"key": OLD, "new": OLD}
    info = await gcs.view.get_file_info("new")
    assert (info.metadata, info.content_type) == ({"ä\n": "ü 𝄞"}, "text/csv")
    assert gcs.asked("rewriteTo") == 1 + 3
    assert gcs.asked("rewriteTo", "ifSourceGenerationMatch") == 3


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_source_replaced_between_steps_is_never_mixed(gcs: Place, turn: int, overwrite: bool) -> None:
    gcs.put("key", OLD)
    another = in_turn(*[None] * turn, meanwhile(lambda: gcs.put("key", NEW), None))
    with gcs.server.having(rewrite_step=MIB), gcs.server.hooked(copying(another)):
        await gcs.view.copy("key", "new", overwrite=overwrite)
    assert gcs.contents() == {"key": NEW, "new": NEW}
    await gcs.works()


async def test_a_source_that_vanishes_between_steps_is_missing(gcs: Place) -> None:
    gcs.put("key", OLD)
    another = in_turn(None, None, meanwhile(lambda: gcs.remove("key"), None))
    with gcs.server.having(rewrite_step=MIB), gcs.server.hooked(copying(another)), pytest.raises(NotFound) as caught:
        await gcs.view.copy("key", "new")
    assert caught.value.path == "key"
    assert gcs.contents() == {}
    await gcs.works()


async def test_a_target_created_between_steps_is_kept(gcs: Place) -> None:
    gcs.put("key", OLD)
    another = in_turn(None, None, meanwhile(lambda: gcs.put("new", b"theirs"), None))
    with gcs.server.having(rewrite_step=MIB), gcs.server.hooked(copying(another)), pytest.raises(AlreadyExists):
        await gcs.view.copy("key", "new")
    assert gcs.contents() == {"key": OLD, "new": b"theirs"}
    await gcs.works()


@pytest.mark.parametrize("fault", [reset_before, reset_after, instead(UNAVAILABLE)], ids=["before", "after", "503"])
async def test_each_step_is_tried_again(gcs: Place, fault: Hook) -> None:
    gcs.put("key", OLD)
    faults = copying(in_turn(*[fault, None] * 4))
    with gcs.server.having(rewrite_step=MIB), gcs.server.hooked(faults):
        await gcs.view.copy("key", "new")
    assert gcs.contents() == {"key": OLD, "new": OLD}


async def test_a_copy_that_does_not_go_on_ends(gcs: Place) -> None:
    gcs.put("key", b"1")
    on_and_on = {"kind": "storage#rewriteResponse", "done": False, "totalBytesRewritten": "0", "rewriteToken": "t"}
    answers = copying(instead(json_answer(on_and_on)))
    with gcs.server.hooked(answers), pytest.raises(BackendUnavailable, match="does not go on"):
        await gcs.view.copy("key", "new")
    assert gcs.asked("rewriteTo") < 10
    assert gcs.contents() == {"key": b"1"}


# --- moves that are refused


@pytest.mark.parametrize("reason", REFUSALS)
async def test_where_a_move_is_refused_it_is_copied_and_deleted(gcs: Place, reason: str) -> None:
    with gcs.server.hooked(moving(instead(REFUSALS[reason]))):
        for number in range(2):
            gcs.put("key", b"content", metadata={"a": "b"}, contentType="text/csv")
            await gcs.view.move("key", f"new{number}")
            info = await gcs.view.get_file_info(f"new{number}")
            assert (info.metadata, info.content_type) == ({"a": "b"}, "text/csv")
    assert gcs.contents() == {"new0": b"content", "new1": b"content"}
    assert gcs.asked("moveTo") == 1  # What was refused is not asked again.
    assert gcs.asked("DELETE", "ifGenerationMatch") == 2
    await gcs.works()


async def test_a_refused_move_tells_nothing_of_other_folders(gcs: Place) -> None:
    """Roles may hold for some folders only."""

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        return DENIED if "moveTo" in request.path and "secret" in request.path.partition("moveTo")[0] else None

    for key in ("secret/a", "open/a", "open/b"):
        gcs.put(key, b"1")
    with gcs.server.hooked(hook):
        await gcs.view.move("secret/a", "new/a")
        await gcs.view.move("open/a", "new/b")
        await gcs.view.move("open/b", "new/c")
    assert gcs.asked("rewriteTo") == 1
    assert gcs.asked("moveTo") == 3


async def test_in_steps_too(gcs: Place) -> None:
    gcs.put("key", OLD)
    with gcs.server.having(rewrite_step=MIB), gcs.server.hooked(moving(instead(DENIED))):
        await gcs.view.move("key", "new")
    assert gcs.contents() == {"new": OLD}
    assert gcs.asked("rewriteTo", "ifSourceGenerationMatch") == 3


@pytest.mark.parametrize("turn", ["copy", "step", "delete"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_source_that_changes_while_it_is_moved_is_kept(gcs: Place, turn: str, overwrite: bool) -> None:
    gcs.put("key", OLD)
    another = meanwhile(lambda: gcs.put("key", NEW), None)
    hooks = {
        "copy": copying(once(another)),
        "step": copying(in_turn(None, another)),
        "delete": when(once(another), "DELETE"),
    }

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        return moving(instead(DENIED))(request, carry_out) or hooks[turn](request, carry_out)

    with gcs.server.having(rewrite_step=MIB), gcs.server.hooked(hook), pytest.raises(PreconditionFailed) as caught:
        await gcs.view.move("key", "new", overwrite=overwrite)
    assert "key" in str(caught.value)
    assert "new" in str(caught.value)
    assert gcs.contents() == {"key": NEW, **({"new": OLD} if turn == "delete" else {})}
    await gcs.works()


@pytest.mark.parametrize("answer", [DENIED, UNAUTHORIZED, page(400)])
async def test_what_was_refused_for_another_reason_is_not_remembered(gcs: Place, answer: Answer) -> None:
    """Where the copy is refused as well, it says nothing of moves."""
    gcs.put("key", b"1")
    with gcs.server.hooked(when(instead(answer), "POST")), pytest.raises(RemoteStoreError):
        await gcs.view.move("key", "new")
    gcs.server.requests.clear()
    await gcs.view.move("key", "new")
    assert len(gcs.server.requests) == 2  # With the question for the target.
    assert gcs.asked("moveTo") == 1
    assert gcs.contents() == {"new": b"1"}


async def test_an_object_that_is_held_is_not_moved_by_copying_it(gcs: Place) -> None:
    gcs.put("key", b"1")
    with gcs.server.hooked(moving(instead(HELD))), pytest.raises(ResourceLocked, match="hold"):
        await gcs.view.move("key", "new")
    assert gcs.asked("rewriteTo") == 0
    assert gcs.contents() == {"key": b"1"}


async def test_a_role_that_may_not_delete_keeps_the_source(gcs: Place) -> None:
    """And says so: the copy is there by then."""
    gcs.put("key", b"1")

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        return DENIED if request.method == "DELETE" or "moveTo" in request.path else None

    with gcs.server.hooked(hook), pytest.raises(PermissionDenied):
        await gcs.view.move("key", "new")
    assert gcs.contents() == {"key": b"1", "new": b"1"}


# --- own echoes, and what others did


async def test_a_move_whose_reply_was_lost_is_done_however_it_is_told(gcs: Place) -> None:
    """The second try may meet the missing source, or the target."""
    for overwrite in (False, True):
        for second in (None, instead(UNMET)):
            gcs.put("key", b"1")
            with gcs.server.hooked(moving(in_turn(reset_after, second))):
                await gcs.view.move("key", "new", overwrite=overwrite)
            assert gcs.contents() == {"new": b"1"}
            gcs.remove("new")


@pytest.mark.parametrize("target", [None, "old"])
async def test_a_source_that_others_took_is_missing(gcs: Place, target: str | None) -> None:
    """What stood at the target before is not what was moved."""
    gcs.put("key", b"1")
    if target:
        gcs.put("new", b"old")
        gcs.server.bucket().live[gcs.name("new")].updated -= AGES
    with gcs.server.hooked(moving(once(meanwhile(lambda: gcs.remove("key"))))), pytest.raises(NotFound) as caught:
        await gcs.view.move("key", "new", overwrite=True)
    assert caught.value.path == "key"
    assert gcs.contents() == ({"new": b"old"} if target else {})
    await gcs.works()


async def test_a_source_that_never_was_is_missing_after_a_storm(gcs: Place) -> None:
    with gcs.server.hooked(moving(first(2, instead(UNAVAILABLE)))), pytest.raises(NotFound) as caught:
        await gcs.view.move("key", "new")
    assert caught.value.path == "key"


def grow_old(place: Place, key: str) -> None:
    """Let a file be there for a minute."""
    place.server.bucket().live[place.name(key)].updated -= dt.timedelta(minutes=1)


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_target_that_others_made_is_kept(gcs: Place, overwrite: bool) -> None:
    gcs.put("key", b"mine")
    grow_old(gcs, "key")
    with gcs.server.hooked(moving(once(meanwhile(lambda: gcs.put("new", b"theirs"))))):
        if overwrite:
            await gcs.view.move("key", "new", overwrite=True)
        else:
            with pytest.raises(AlreadyExists):
                await gcs.view.move("key", "new")
    assert gcs.contents() == ({"new": b"mine"} if overwrite else {"key": b"mine", "new": b"theirs"})


async def test_who_may_not_look_is_told_what_the_move_was(gcs: Place) -> None:
    """Nothing is tried again where nobody can tell what became of the first try."""
    gcs.put("key", b"1")

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        if request.method == "GET" and "/o/" in request.path and gcs.asked("moveTo"):
            return DENIED
        return lost(request, carry_out)

    lost = moving(once(reset_after))
    with gcs.server.hooked(hook), pytest.raises(BackendUnavailable):
        await gcs.view.move("key", "new")
    assert gcs.asked("moveTo") == 1
    assert gcs.contents() == {"new": b"1"}


async def test_a_move_that_was_done_unheard_is_not_done_again_to_what_came_after_it(gcs: Place) -> None:
    gcs.put("log", b"old")

    def hook(request: Request, carry_out: CarryOut) -> Answer | None:
        if "moveTo" in request.path and gcs.asked("moveTo") == 1:
            carry_out()
            gcs.put("log", b"new")
            return refusal(503, "backendError")
        return None

    with gcs.server.hooked(hook), pytest.raises(BackendUnavailable):  # Both are new: nobody can tell.
        await gcs.view.move("log", "log.1", overwrite=True)
    assert gcs.asked("moveTo") == 1
    assert gcs.contents() == {"log": b"new", "log.1": b"old"}


WRITES: dict[str, tuple[Callable[[Hook], Hook], Callable[[Place, dict[str, Any]], Any], bytes]] = {
    "put": (
        lambda hook: when(hook, "POST", "multipart"),
        lambda at, how: at.view.write("new", b"mine", **how),
        b"mine",
    ),
    "upload": (
        lambda hook: on_part(hook, last=True),
        lambda at, how: at.view.write("new", at.view.stream(pieces(1)), **how),
        b"".join(pieces(1)),
    ),
}


@pytest.mark.parametrize("theirs", ["other content", "other metadata", "the same"])
@pytest.mark.parametrize("condition", ["exclusive", "if_match"])
async def test_a_put_whose_reply_was_lost_is_told_from_that_of_another(gcs: Place, theirs: str, condition: str) -> None:
    how = {"metadata": {"who": "me"}}
    options = {**how, "if_match": gcs.put("new", b"old")} if condition == "if_match" else how
    content = b"mine" if theirs != "other content" else b"m1ne"
    metadata = {"who": "me" if theirs != "other metadata" else "another"}
    another = meanwhile(lambda: gcs.put("new", content, metadata=metadata))
    refused = pytest.raises(AlreadyExists if condition == "exclusive" else PreconditionFailed)
    with gcs.server.hooked(when(once(another), "POST", "multipart")), refused:
        await gcs.view.write("new", b"mine", **options)
    assert gcs.contents() == {"new": content}


@pytest.mark.parametrize("verb", WRITES)
async def test_the_echo_of_an_own_replacement_is_success(gcs: Place, verb: str) -> None:
    on, work, content = WRITES[verb]
    etag = gcs.put("new", b"old")
    with gcs.server.hooked(on(once(reset_after))):
        result = await work(gcs, {"if_match": etag})
    assert gcs.contents() == {"new": content}
    assert result.etag == (await gcs.view.get_file_info("new")).etag


@pytest.mark.parametrize("theirs", [b"mine", b"other"])
async def test_a_copy_whose_reply_was_lost_is_told_from_that_of_another(gcs: Place, theirs: bytes) -> None:
    gcs.put("key", b"mine")
    with gcs.server.hooked(copying(once(meanwhile(lambda: gcs.put("new", theirs))))):
        if theirs == b"mine":
            await gcs.view.copy("key", "new")
        else:
            with pytest.raises(AlreadyExists):
                await gcs.view.copy("key", "new")
    assert gcs.contents() == {"key": b"mine", "new": theirs}


async def test_a_delete_whose_reply_was_lost_is_done(gcs: Place) -> None:
    gcs.put("key", b"1")
    with gcs.server.hooked(when(once(reset_after), "DELETE")):
        await gcs.view.delete("key")
    with gcs.server.hooked(when(first(2, instead(page(404))), "DELETE")), pytest.raises(NotFound):
        await gcs.view.delete("key")
