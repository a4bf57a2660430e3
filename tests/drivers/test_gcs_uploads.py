"""Resumable uploads to Google Cloud Storage: short acknowledgements, sessions that end, refused conditions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.gcs import PART, Place, gcs_place, on_part, on_question, pieces, unreachable
from servers.gcs import GcsServer
from servers.gcs_answers import Answer, CarryOut, Hook, Request
from servers.gcs_faults import (
    GONE,
    UNAVAILABLE,
    UNMET,
    done_then,
    first,
    hang,
    in_turn,
    instead,
    keeping,
    matching,
    once,
    page,
    refusal,
    reset_after,
    when,
)

from remote_store import AlreadyExists, BackendUnavailable, PreconditionFailed, RemoteStoreError

LONG = b"".join(pieces(2))
MIB = 1 << 20


async def write(place: Place, **options: Any) -> Any:
    return await place.view.write("key", place.view.stream(pieces(2)), **options)


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def wide(
    request: pytest.FixtureRequest, gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """A store with parts of which the service may keep less."""
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)
    async with gcs_place(request.param, gcs_server, part_size=MIB) as place:
        yield place


# --- how much the service has


async def test_what_was_not_kept_is_sent_again_from_there(wide: Place) -> None:
    data = bytes(range(256)) * (4096 * 5 + 2500)
    with wide.server.hooked(matching(lambda request: len(request.body) > PART, keeping(PART))):
        result = await wide.view.write("key", wide.view.stream([data]))
    assert result.size == len(data)
    assert wide.contents() == {"key": data}
    assert wide.asked("PUT", "upload_id") == 5 * 4 + 3
    assert result.digest == (await wide.view.get_file_info("key")).digest


async def test_a_part_of_which_nothing_is_kept_is_sent_again_a_few_times(gcs: Place) -> None:
    nothing = instead(Answer(308, headers={}))
    with gcs.server.hooked(on_part(first(3, nothing), last=False)):
        await write(gcs)
    assert gcs.contents() == {"key": LONG}
    await gcs.view.delete("key")
    gcs.server.requests.clear()
    with gcs.server.hooked(on_part(nothing)), pytest.raises(BackendUnavailable) as caught:
        await write(gcs)
    unreachable(caught.value)
    assert gcs.asked("PUT", "upload_id") == 4
    assert gcs.contents() == {}
    await gcs.works()


@pytest.mark.parametrize(
    "told", ["bytes=0-99999999", "bytes=0-0", "bytes=5-9", "bytes=0-", "0-9", "bytes=0-" + "9" * 5000]
)
async def test_an_acknowledgement_that_makes_no_sense_is_an_error(gcs: Place, told: str) -> None:
    """Of more than was sent, or of less than was kept before."""
    nonsense = instead(Answer(308, headers={"Range": told}))
    with gcs.server.hooked(on_part(in_turn(None, nonsense))), pytest.raises(BackendUnavailable, match="malformed"):
        await write(gcs)
    assert gcs.contents() == {}
    await gcs.works()


@pytest.mark.parametrize("answer", [page(200), Answer(200, b"{}"), Answer(308, b"<html>", {"Range": "pages=1-2"})])
@pytest.mark.parametrize("last", [False, True])
async def test_a_page_is_no_acknowledgement(gcs: Place, answer: Answer, last: bool) -> None:
    with gcs.server.hooked(on_part(instead(answer), last=last)), pytest.raises(BackendUnavailable, match="malformed"):
        await write(gcs)
    assert gcs.contents() == {}
    await gcs.works()


async def test_a_lost_last_reply_is_asked_for(gcs: Place) -> None:
    with gcs.server.hooked(on_part(once(reset_after), last=True)):
        result = await write(gcs)
    questions = gcs.asked("PUT", "upload_id") - 3
    assert questions == 1
    assert gcs.contents() == {"key": LONG}
    assert result.etag == (await gcs.view.get_file_info("key")).etag


# --- sessions that end


@pytest.mark.parametrize("gone", [GONE, page(404), page(410), refusal(404, "notFound")])
@pytest.mark.parametrize("last", [False, True])
async def test_an_upload_that_is_gone_is_an_error(gcs: Place, gone: Answer, last: bool) -> None:
    gcs.put("key", b"old")

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        assert gcs.server.service
        gcs.server.service.sessions.pop(request.query["upload_id"], None)
        return gone

    with (
        gcs.server.hooked(on_part(hook, last=last)),
        pytest.raises(BackendUnavailable, match="upload is gone") as caught,
    ):
        await write(gcs, overwrite=True)
    unreachable(caught.value)
    assert gcs.contents() == {"key": b"old"}
    await gcs.works()


@pytest.mark.parametrize("gone", [GONE, page(404)])
@pytest.mark.parametrize("whose", ["ours", "another's", "another's metadata", "nobody's"])
async def test_an_upload_that_ended_unheard_is_told_by_what_is_there(gcs: Place, gone: Answer, whose: str) -> None:
    """The session ended with its last reply lost: the object shows what became of it."""

    def ended(request: Request, carry_out: CarryOut) -> Answer:
        if whose == "ours":
            carry_out()
        elif whose != "nobody's":
            metadata = {"who": "me" if whose == "another's" else "another"}
            gcs.put("key", LONG[:-1] + b"!" if whose == "another's" else LONG, metadata=metadata)
        raise ConnectionResetError

    with gcs.server.hooked(in_order(on_part(once(ended), last=True), on_question(instead(gone)))):
        if whose == "ours":
            result = await write(gcs, metadata={"who": "me"})
            assert result.etag == (await gcs.view.get_file_info("key")).etag
        else:
            with pytest.raises(BackendUnavailable, match="upload is gone"):
                await write(gcs, metadata={"who": "me"})
    if whose == "nobody's":
        assert gcs.contents() == {}
    await gcs.works()


def in_order(*hooks: Hook) -> Hook:
    """The first hook that answers has a request."""
    return lambda request, carry_out: next((found for hook in hooks if (found := hook(request, carry_out))), None)


# --- conditions


@pytest.mark.parametrize("judged", ["start", "part", "end"])
@pytest.mark.parametrize("condition", ["exclusive", "if_match"])
async def test_a_refused_condition_has_its_class_wherever_it_is_judged(gcs: Place, judged: str, condition: str) -> None:
    """What another writes before the upload begins, or while it goes on, is kept."""
    options: dict[str, Any] = {}
    if condition == "if_match":
        options["if_match"] = gcs.put("key", b"old")
    moment = on_part if judged != "start" else lambda hook: when(hook, "POST", "resumable")

    def another(request: Request, carry_out: CarryOut) -> Answer:
        gcs.put("key", b"theirs")
        return carry_out()

    error = AlreadyExists if condition == "exclusive" else PreconditionFailed
    settings = frozenset() if judged == "end" else frozenset({judged})
    judging = gcs.server.having(sessions_judged=settings)
    with judging, gcs.server.hooked(moment(once(another))), pytest.raises(error) as caught:
        await write(gcs, **options)
    assert type(caught.value) is error
    assert caught.value.path == "key"
    assert gcs.contents() == {"key": b"theirs"}
    await gcs.works()


async def test_a_condition_that_holds_replaces(gcs: Place) -> None:
    etag = gcs.put("key", b"old")
    result = await write(gcs, if_match=etag)
    assert gcs.contents() == {"key": LONG}
    assert result.etag == result.version_id == str(gcs.server.bucket().live[gcs.name("key")].generation)


async def test_a_refusal_is_not_an_echo_where_every_reply_was_heard(gcs: Place) -> None:
    """An equal file of another writer, too."""

    def another(request: Request, carry_out: CarryOut) -> Answer:
        gcs.put("key", LONG)
        return carry_out()

    with gcs.server.hooked(on_part(once(another), last=True)), pytest.raises(AlreadyExists):
        await write(gcs)
    await gcs.works()


async def test_an_upload_refused_after_a_storm_is_a_conflict(gcs: Place) -> None:
    def another(request: Request, carry_out: CarryOut) -> Answer:
        gcs.put("key", b"theirs")
        return UNAVAILABLE

    with gcs.server.hooked(in_order(on_part(once(another), last=True))), pytest.raises(AlreadyExists):
        await write(gcs)
    assert gcs.contents() == {"key": b"theirs"}
    await gcs.works()


@pytest.mark.parametrize("answer", [UNMET, page(412)])
async def test_a_start_that_is_refused_sends_no_part(gcs: Place, answer: Answer) -> None:
    with gcs.server.hooked(when(instead(answer), "POST", "resumable")), pytest.raises(AlreadyExists):
        await write(gcs)
    assert gcs.asked("PUT") == 0
    assert gcs.contents() == {}


# --- content


@pytest.mark.parametrize("last", [False, True])
async def test_content_that_arrives_changed_is_not_stored(gcs: Place, last: bool) -> None:
    def changed(request: Request, carry_out: CarryOut) -> Answer:
        request.body = b"!" + request.body[1:]
        return carry_out()

    with gcs.server.hooked(on_part(once(changed), last=last)), pytest.raises(RemoteStoreError) as caught:
        await write(gcs)
    assert type(caught.value) in (BackendUnavailable, RemoteStoreError)
    assert gcs.contents() == {}
    await gcs.works()


async def test_short_content_that_arrives_changed_is_not_stored(gcs: Place) -> None:
    def changed(request: Request, carry_out: CarryOut) -> Answer:
        request.body = request.body.replace(b"content", b"c0ntent")
        return carry_out()

    with gcs.server.hooked(when(changed, "POST", "multipart")), pytest.raises(RemoteStoreError):
        await gcs.view.write("key", b"content")
    assert gcs.contents() == {}
    await gcs.works()


@pytest.mark.parametrize("content", [b"\n--==0==", b"\r\n--", b"--", b"\r\n\r\n", bytes(range(256)) * 9, b""])
async def test_content_that_looks_like_a_boundary_is_stored_whole(gcs: Place, content: bytes) -> None:
    await gcs.view.write("key", content)
    assert gcs.contents() == {"key": content}


# --- beginning


@pytest.mark.parametrize("place", [None, "", "/upload?upload_id=1", "ftp://host/", "javascript:1"])
async def test_an_upload_without_an_address_is_an_error(gcs: Place, place: str | None) -> None:
    answer = Answer(200, headers={} if place is None else {"Location": place})
    with gcs.server.hooked(when(instead(answer), "POST", "resumable")), pytest.raises(BackendUnavailable):
        await write(gcs)
    assert gcs.contents() == {}


async def test_a_part_in_the_middle_of_a_storm_arrives(gcs: Place) -> None:
    with gcs.server.hooked(on_part(first(3, done_then(UNAVAILABLE)))):
        await write(gcs)
    assert gcs.contents() == {"key": LONG}


# --- cancellation


@pytest.mark.parametrize("stage", ["begin", "part", "last part"])
async def test_cancelling_leaves_nothing(gcs_server: GcsServer, stage: str) -> None:
    released, came = threading.Event(), threading.Event()

    def silent(request: Request, carry_out: CarryOut) -> Answer:
        came.set()
        return hang(released, done=True)(request, carry_out) if stage != "begin" else carry_out()

    on: Any = {
        "begin": lambda hook: when(hook, "POST", "resumable"),
        "part": lambda hook: on_part(hook, last=False),
        "last part": lambda hook: on_part(hook, last=True),
    }[stage]
    async with gcs_place("async", gcs_server) as place:
        # The last part is carried out, so the file is whole; not at all would be as good.
        expected = {"key": LONG} if stage == "last part" else {}
        with gcs_server.hooked(on(silent)):
            task = asyncio.ensure_future(write(place))
            assert await asyncio.to_thread(came.wait, DEADLINE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            released.set()
        assert place.contents() == expected
        await place.works()
