"""What was written under a condition and whose reply was lost, over a dict: told from what others wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from helpers.dictfaults import PART, Hooked, parts, put, refuse, unheard, verbs
from helpers.dictwire import Act, DictWire, dict_view

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
)
from remote_store.certify.view import View
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.marks import MARK, marked
from remote_store.drivers.objects.wire import Meaning


@pytest.fixture
async def view(kind: str, wire: DictWire) -> AsyncIterator[View]:
    async with dict_view(kind, wire, part_size=PART) as view:
        yield view


REFUSALS = [Meaning.CONDITION_FAILED, Meaning.CONFLICT]


async def options_of(view: View, how: str) -> dict[str, Any]:
    if how == "create":
        return {}
    return {"if_match": (await view.write("key", b"old")).etag}


@pytest.mark.parametrize("how", ["create", "if_match"])
@pytest.mark.parametrize("meaning", REFUSALS)
@pytest.mark.parametrize("verb", ["put", "complete"])
async def test_the_echo_of_an_own_write_is_success(
    view: View, wire: DictWire, verb: str, meaning: Meaning, how: str
) -> None:
    options = await options_of(view, how)
    Hooked(wire, verb, unheard(meaning))
    result = await view.write("key", parts(view) if verb == "complete" else b"mine", metadata={"a": "b"}, **options)
    wire.hook = None
    info = await view.get_file_info("key")
    assert (result.etag, result.digest, result.size) == (info.etag, info.digest, info.size)
    assert info.metadata == {"a": "b"}
    assert wire.uploads == {}


@pytest.mark.parametrize("verb", ["put", "complete"])
async def test_where_metadata_leave_no_room_for_a_mark_content_tells(view: View, wire: DictWire, verb: str) -> None:
    metadata = {"a": "b" * 2047}
    Hooked(wire, verb, unheard(Meaning.CONDITION_FAILED))
    await view.write("key", parts(view) if verb == "complete" else b"mine", metadata=metadata)
    assert wire.blobs["key"].metadata == metadata
    Hooked(wire, "put", unheard(Meaning.CONDITION_FAILED, lambda: put(wire, "other", b"theirs", a="b" * 2047)))
    with pytest.raises(AlreadyExists):
        await view.write("other", b"mine", metadata=metadata)


async def test_the_mark_of_a_write_under_a_condition_is_seen_by_nobody(view: View, wire: DictWire) -> None:
    result = await view.write("new", b"1", metadata={"a": "b"})
    assert result.metadata == {"a": "b"}
    changed = await view.write("new", b"2", if_match=result.etag)
    await view.copy("new", "copy")
    assert set(wire.blobs["new"].metadata or {}) == set(wire.blobs["copy"].metadata or {}) == {MARK}
    for key in ("new", "copy"):
        assert (await view.get_file_info(key)).metadata is None
        assert (await view.head(key)).metadata is None
    assert changed.metadata is None
    await view.write("new", b"3", overwrite=True)  # Needs none.
    assert wire.blobs["new"].metadata is None
    for key in (MARK, MARK.title()):
        for content in (b"4", parts(view)):
            with pytest.raises(ValueError, match=f"metadata key '{key}' is reserved"):
                await view.write("new", content, metadata={key: "mine"}, overwrite=True)
    assert wire.blobs["new"].data == b"3"
    assert wire.uploads == {}


async def test_no_increment_is_lost_when_a_reply_is(view: View, wire: DictWire) -> None:
    """Two clients that count up the same number store equal bytes."""

    def another() -> None:
        put(wire, "n", b"2")
        refuse(Meaning.CONDITION_FAILED, lost=True)

    await view.write("n", b"1")
    Hooked(wire, "put", lambda number, act: another() if number == 1 else act())
    await view.update("n", lambda content: b"%d" % (int(content or b"0") + 1))
    assert await view.read_bytes("n") == b"3"


async def test_an_upload_that_is_gone_because_it_was_completed_is_success(view: View, wire: DictWire) -> None:
    Hooked(wire, "complete", unheard(Meaning.NO_UPLOAD))
    await view.write("key", parts(view), overwrite=True)
    assert await view.read_bytes("key") == wire.blobs["key"].data
    Hooked(wire, "complete", lambda number, act: refuse(Meaning.NO_UPLOAD, lost=True))
    with pytest.raises(RemoteStoreError, match="NO_UPLOAD"):
        await view.write("other", parts(view), overwrite=True)
    assert "other" not in wire.blobs


@pytest.mark.parametrize("how", ["create", "if_match"])
@pytest.mark.parametrize("theirs", [{"data": b"mine"}, {"data": b"mine", "who": "other"}, {"data": b"eniM"}])
async def test_a_write_of_others_stays_a_conflict_when_a_reply_is_lost(
    view: View, wire: DictWire, theirs: dict[str, Any], how: str
) -> None:
    options = await options_of(view, how)
    Hooked(wire, "put", unheard(Meaning.CONDITION_FAILED, lambda: put(wire, "key", **theirs)))
    with pytest.raises(PreconditionFailed if options else AlreadyExists) as caught:
        await view.write("key", b"mine", **options)
    assert (caught.value.path, caught.value.backend) == ("key", "dict")
    assert wire.blobs["key"].data == theirs["data"]
    content = b"".join([*(bytes([number]) * PART for number in range(3)), b"end"])
    Hooked(wire, "complete", unheard(Meaning.CONDITION_FAILED, lambda: put(wire, "long", content)))
    with pytest.raises(AlreadyExists):
        await view.write("long", parts(view))
    assert wire.blobs["long"].data == content
    assert wire.uploads == {}


@pytest.mark.parametrize("verb", ["put", "complete"])
async def test_an_equal_file_is_a_conflict_where_no_reply_was_lost(view: View, wire: DictWire, verb: str) -> None:
    def work(number: int, act: Act) -> Any:
        act()
        refuse(Meaning.CONDITION_FAILED)

    Hooked(wire, verb, work)
    wire.requests.clear()
    with pytest.raises(AlreadyExists):
        await view.write("key", parts(view) if verb == "complete" else b"mine")
    assert verbs(wire)[-1] in (verb, "discard")  # Nobody looked.


@pytest.mark.parametrize("refusal", [PermissionDenied, BackendUnavailable])
async def test_where_nobody_may_look_nothing_is_claimed(
    view: View, wire: DictWire, refusal: type[RemoteStoreError]
) -> None:
    async def hook(verb: str, name: str, act: Act) -> Any:
        if verb == "head":
            refuse(Meaning.OTHER, error=refusal)
        reply = act()
        return reply if verb != "put" else refuse(Meaning.CONDITION_FAILED, lost=True)

    wire.hook = hook
    with pytest.raises(BackendUnavailable, match="may have been carried out") as caught:
        await view.write("key", b"mine")
    assert isinstance(caught.value.__cause__, refusal)


@pytest.mark.parametrize("edited", [b"2", b"10"])
async def test_an_own_write_that_others_changed_since_is_not_claimed(view: View, wire: DictWire, edited: bytes) -> None:
    """They kept its metadata, as tools do that read, change and write."""
    first = await view.write("n", b"0")

    def work(number: int, act: Act) -> Any:
        act()
        wire.store("n", edited, WriteOptions(True, wire.blobs["n"].metadata))
        refuse(Meaning.CONDITION_FAILED, lost=True)

    Hooked(wire, "put", work)
    with pytest.raises(BackendUnavailable, match="may have been carried out"):
        await view.write("n", b"1", if_match=first.etag)
    assert wire.blobs["n"].data == edited


async def test_an_update_on_which_others_built_is_not_counted_twice(view: View, wire: DictWire) -> None:
    await view.write("n", b"0")

    def work(number: int, act: Act) -> Any:
        if number > 1:
            return act()
        ours = act()
        again = marked(WriteOptions(True, if_match=ours["etag"]))
        wire.store("n", b"2", again)
        refuse(Meaning.CONDITION_FAILED, lost=True)

    Hooked(wire, "put", work)
    with pytest.raises(BackendUnavailable, match="may have been carried out"):
        await view.update("n", lambda content: b"%d" % (int(content or b"0") + 1))
    assert wire.blobs["n"].data == b"2"


async def test_who_replaced_the_same_content_was_first(view: View, wire: DictWire) -> None:
    first = await view.write("n", b"0")
    theirs = marked(WriteOptions(True, if_match=first.etag))
    Hooked(wire, "put", unheard(Meaning.CONDITION_FAILED, lambda: wire.store("n", b"1", theirs)))
    with pytest.raises(PreconditionFailed):
        await view.write("n", b"1", if_match=first.etag)


async def test_the_mark_is_known_in_any_case(view: View, wire: DictWire) -> None:
    """Gateways change the case of headers."""

    def work(number: int, act: Act) -> Any:
        act()
        stored = wire.blobs["n"]
        stored.metadata = {key.title(): value for key, value in (stored.metadata or {}).items()}
        refuse(Meaning.CONDITION_FAILED, lost=True)

    Hooked(wire, "put", work)
    await view.write("n", b"1")
    assert (await view.get_file_info("n")).metadata is None


async def test_a_target_with_the_mark_of_the_source_is_not_taken_for_the_copy(view: View, wire: DictWire) -> None:
    """What others make of a copy may keep all its metadata."""
    await view.write("src", b"mine")

    def theirs() -> None:
        wire.store("dst", b"eniM", WriteOptions(True, wire.blobs["src"].metadata))

    Hooked(wire, "copy", unheard(Meaning.CONDITION_FAILED, theirs))
    with pytest.raises(AlreadyExists):
        await view.move("src", "dst")
    assert {name: blob.data for name, blob in wire.blobs.items()} == {"src": b"mine", "dst": b"eniM"}


@pytest.mark.parametrize("verb", ["copy", "move"])
@pytest.mark.parametrize("meaning", REFUSALS)
async def test_the_echo_of_an_own_copy_is_success(view: View, wire: DictWire, verb: str, meaning: Meaning) -> None:
    await view.write("src", b"mine", metadata={"a": "b"})
    Hooked(wire, "copy", unheard(meaning))
    await getattr(view, verb)("src", "dst")
    assert wire.blobs["dst"].data == b"mine"
    assert ("src" in wire.blobs) == (verb == "copy")


@pytest.mark.parametrize("verb", ["copy", "move"])
async def test_a_target_of_others_stays_a_conflict_when_the_reply_to_a_copy_is_lost(
    view: View, wire: DictWire, verb: str
) -> None:
    await view.write("src", b"mine")
    for lost in (False, True):
        wire.blobs.pop("dst", None)

        def work(number: int, act: Act, lost: bool = lost) -> Any:
            put(wire, "dst", b"theirs")
            refuse(Meaning.CONDITION_FAILED, lost=lost)

        Hooked(wire, "copy", work)
        with pytest.raises(AlreadyExists) as caught:
            await getattr(view, verb)("src", "dst")
        assert caught.value.path == "dst"
        assert {name: blob.data for name, blob in wire.blobs.items()} == {"src": b"mine", "dst": b"theirs"}


# --- a conflict with a request under way


async def test_a_conflict_is_tried_once_more(view: View, wire: DictWire) -> None:
    hooked = Hooked(wire, "put", lambda number, act: refuse(Meaning.CONFLICT) if number == 1 else act())
    assert (await view.write("key", b"x")).size == 1
    assert hooked.asked == 2


@pytest.mark.parametrize("second", REFUSALS)
async def test_a_second_refusal_is_the_answer(view: View, wire: DictWire, second: Meaning) -> None:
    for options, error in (({}, AlreadyExists), ({"if_match": "e0"}, PreconditionFailed)):
        hooked = Hooked(wire, "put", lambda number, act: refuse(Meaning.CONFLICT if number == 1 else second))
        with pytest.raises(error):
            await view.write("key", b"x", **options)
        assert hooked.asked == 2
    assert wire.blobs == {}


async def test_a_write_that_meets_its_own_first_try_half_way_is_success(view: View, wire: DictWire) -> None:
    def work(number: int, act: Act) -> Any:
        if number == 1:
            act()
            refuse(Meaning.CONFLICT, lost=True)
        return act()  # Which refuses, of course, and knows nothing of the try before.

    Hooked(wire, "put", work)
    assert (await view.write("key", b"mine")).etag == wire.blobs["key"].etag


async def test_a_missing_target_of_a_conditional_write_is_a_failed_precondition(view: View, wire: DictWire) -> None:
    for content in (b"x", parts(view)):
        with pytest.raises(PreconditionFailed, match="if_match"):
            await view.write("key", content, if_match="e0")
    assert wire.uploads == {}
    wire.exists = False
    with pytest.raises(NotFound, match="box"):
        await view.write("key", b"x", if_match="e0")
