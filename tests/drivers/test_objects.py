"""What all object stores share, over a dict: conditions, lost replies, listings, deletes and moves."""

from __future__ import annotations

import asyncio
import pickle
import re
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from helpers.dictfaults import PART, Hooked, parts, put, refuse, verbs
from helpers.dictwire import Act, AsyncDictBackend, DictDriver, DictWire, dict_view

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    DirectoryNotEmpty,
    FileInfo,
    FolderEntry,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
)
from remote_store.aio import AsyncStore
from remote_store.certify.view import View
from remote_store.drivers.objects import wire as wire_module
from remote_store.drivers.objects.deleting import IN_FLIGHT
from remote_store.drivers.objects.wire import Failed, Listed, Meaning, Object


@pytest.fixture
async def view(kind: str, wire: DictWire) -> AsyncIterator[View]:
    async with dict_view(kind, wire, part_size=PART) as view:
        yield view


async def every(items: Any) -> list[Any]:
    return [item async for item in items]


# --- requests

REQUESTS: dict[str, tuple[Callable[[View], Any], str]] = {
    "write": (lambda view: view.write("new", b"1"), "put"),
    "write, conflict": (lambda view: view.write("f", b"1"), "put"),
    "a long write": (lambda view: view.write("new", parts(view, 1)), "head create part part complete"),
    "a long write, overwrite": (lambda view: view.write("f", parts(view, 0), overwrite=True), "put"),
    "read": (lambda view: view.read_bytes("f"), "get"),
    "read, miss": (lambda view: view.read_bytes("none"), "get page"),
    "read an empty range": (lambda view: view.read_range("f", 9, 12), "get"),
    "exists": (lambda view: view.exists("f"), "head"),
    "exists, folder": (lambda view: view.exists("d"), "head page"),
    "is_folder": (lambda view: view.is_folder("d"), "page"),
    "delete": (lambda view: view.delete("f"), "delete"),
    "delete, miss": (lambda view: view.delete("none", missing_ok=True), "delete page"),
    "delete, folder": (lambda view: view.delete("d", missing_ok=True), "delete page"),
    "copy": (lambda view: view.copy("f", "new"), "head copy"),
    "copy, overwrite": (lambda view: view.copy("f", "new", overwrite=True), "copy"),
    "copy, miss": (lambda view: view.copy("none", "new", overwrite=True), "copy page"),
    "move": (lambda view: view.move("f", "new"), "head head copy delete"),
    "move, overwrite": (lambda view: view.move("f", "new", overwrite=True), "head copy delete"),
    "delete_folder": (lambda view: view.delete_folder("d", recursive=True), "page delete_many"),
    "delete_folder, full": (lambda view: view.delete_folder("d"), "page"),
    "list_files": (lambda view: every(view.list_files("d")), "page"),
    "get_folder_info": (lambda view: view.get_folder_info(""), "page"),
}

REFUSED: dict[str, type[RemoteStoreError]] = {
    "write, conflict": AlreadyExists,
    "read, miss": NotFound,
    "delete, folder": InvalidPath,
    "copy, miss": NotFound,
    "delete_folder, full": DirectoryNotEmpty,
}


@pytest.mark.parametrize("call", REQUESTS)
async def test_calls_send_these_requests(view: View, wire: DictWire, call: str) -> None:
    put(wire, "f", b"content"), put(wire, "d/f", b"")
    work, sent = REQUESTS[call]
    with pytest.raises(REFUSED[call]) if call in REFUSED else nullcontext():
        await work(view)
    assert verbs(wire) == sent.split()


# --- moving


def before(wire: DictWire, verb: str, event: Callable[[], object]) -> None:
    """Let something happen before the first request of a verb."""

    def work(number: int, act: Act) -> Any:
        if number == 1:
            event()
        return act()

    Hooked(wire, verb, work)


def files(wire: DictWire) -> dict[str, bytes]:
    return {name: blob.data for name, blob in wire.blobs.items()}


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_source_that_changes_after_it_was_copied_is_kept(view: View, wire: DictWire, overwrite: bool) -> None:
    await view.write("a/src", b"old")
    before(wire, "delete", lambda: put(wire, "a/src", b"new"))
    with pytest.raises(PreconditionFailed, match="changed while it was being moved") as caught:
        await view.child("a").move("src", "dst", overwrite=overwrite)
    assert (caught.value.path, caught.value.target, caught.value.backend) == ("src", "dst", "dict")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert files(wire) == {"a/src": b"new", "a/dst": b"old"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("event", ["replaced", "deleted"])
async def test_a_source_that_changes_before_it_is_copied_is_kept(
    view: View, wire: DictWire, overwrite: bool, event: str
) -> None:
    await view.write("src", b"old")
    before(wire, "copy", lambda: put(wire, "src", b"new") if event == "replaced" else wire.blobs.clear())
    with pytest.raises(PreconditionFailed if event == "replaced" else NotFound) as caught:
        await view.move("src", "dst", overwrite=overwrite)
    assert caught.value.path == "src"
    assert files(wire) == ({"src": b"new"} if event == "replaced" else {})


async def test_a_source_that_others_deleted_meanwhile_has_been_moved(view: View, wire: DictWire) -> None:
    await view.write("src", b"old")
    before(wire, "delete", lambda: wire.blobs.pop("src"))
    await view.move("src", "dst")
    assert files(wire) == {"dst": b"old"}


async def test_a_target_that_appears_before_the_copy_is_kept(view: View, wire: DictWire) -> None:
    await view.write("src", b"mine")
    before(wire, "copy", lambda: put(wire, "dst", b"theirs"))
    with pytest.raises(AlreadyExists) as caught:
        await view.move("src", "dst")
    assert caught.value.path == "dst"
    assert files(wire) == {"src": b"mine", "dst": b"theirs"}


@pytest.mark.parametrize("changes", [False, True], ids=["same", "changed"])
async def test_where_deletes_take_no_condition_the_source_is_looked_at_again(
    view: View, wire: DictWire, changes: bool
) -> None:
    def work(number: int, act: Act) -> Any:
        if number > 1:
            return act()
        if changes:
            put(wire, "src", b"new")
        return refuse(Meaning.UNABLE)

    await view.write("src", b"old")
    Hooked(wire, "delete", work)
    if changes:
        with pytest.raises(PreconditionFailed):
            await view.move("src", "dst")
    else:
        await view.move("src", "dst")
    assert files(wire) == ({"src": b"new", "dst": b"old"} if changes else {"dst": b"old"})


async def test_a_refused_delete_is_told(view: View, wire: DictWire) -> None:
    await view.write("src", b"old")
    Hooked(wire, "delete", lambda number, act: refuse(Meaning.OTHER, error=PermissionDenied))
    with pytest.raises(PermissionDenied) as caught:
        await view.move("src", "dst")
    assert caught.value.path == "src"
    assert files(wire) == {"src": b"old", "dst": b"old"}


async def test_a_missing_source_of_a_copy_is_named(view: View, wire: DictWire) -> None:
    for verb in (view.copy, view.move):
        with pytest.raises(NotFound) as caught:
            await verb("src", "dst", overwrite=True)
        assert caught.value.path == "src"
    wire.exists = False
    with pytest.raises(NotFound, match="box") as caught:
        await view.copy("src", "dst", overwrite=True)


async def test_a_copy_in_steps_goes_on_until_it_is_done(view: View, wire: DictWire) -> None:
    await view.write("src", b"content")
    hooked = Hooked(wire, "copy", lambda number, act: f"token {number}" if number < 4 else act())
    await view.copy("src", "dst")
    assert hooked.asked == 4
    assert files(wire)["dst"] == b"content"


# --- listing


def pages(wire: DictWire, *given: Listed) -> Hooked:
    """Gives these pages, the last one for ever."""
    return Hooked(wire, "page", lambda number, act: given[min(number, len(given)) - 1])


def page(name: str, token: str | None) -> Listed:
    return Listed([], [Object(name, 1)] if name else [], token)


@pytest.mark.parametrize("tokens", [["a"], ["a", "b"], ["x", "a", "b", "c"]], ids=" ".join)
@pytest.mark.parametrize("names", [False, True], ids=["empty pages", "new names"])
async def test_a_listing_whose_tokens_lead_back_ends(
    view: View, wire: DictWire, tokens: list[str], names: bool
) -> None:
    def work(number: int, act: Act) -> Listed:
        assert number < 20
        again = tokens[number - 1] if number <= len(tokens) else tokens[number % (len(tokens) - 1 or 1) - 1]
        return page(f"key-{number}" if names else "", again)

    hooked = Hooked(wire, "page", work)
    for question in (lambda: every(view.list_files("")), lambda: view.get_folder_info("")):
        hooked.asked = 0
        with pytest.raises(BackendUnavailable, match="leads back"):
            await question()


async def test_a_listing_that_shows_the_same_page_again_ends(view: View, wire: DictWire) -> None:
    def work(number: int, act: Act) -> Listed:
        assert number < 5
        return page("key", str(number))

    hooked = Hooked(wire, "page", work)
    with pytest.raises(BackendUnavailable, match="leads back"):
        await every(view.list_files(""))
    hooked.asked = 0
    with pytest.raises(BackendUnavailable, match="nobody asked for"):
        await view.delete_folder("d", recursive=True)


async def test_empty_pages_are_no_end(view: View, wire: DictWire) -> None:
    pages(wire, page("", "1"), page("a", "2"), page("", "3"), page("b", None))
    assert [str(file.path) for file in await every(view.list_files(""))] == ["a", "b"]
    pages(wire, page("", "1"), page("d/a", "2"), page("", None))
    assert (await view.get_folder_info("d")).file_count == 1


async def test_a_listing_that_breaks_off_half_way_is_an_error(view: View, wire: DictWire) -> None:
    def work(number: int, act: Act) -> Any:
        return page("a", "1") if number == 1 else refuse(Meaning.OTHER, error=BackendUnavailable)

    Hooked(wire, "page", work)
    found = []
    with pytest.raises(BackendUnavailable):  # noqa: PT012 (what came before it is kept)
        async for entry in view.list_files(""):
            found.append(str(entry.path))
    assert found == ["a"]


async def test_a_container_that_vanishes_between_pages_is_an_error(view: View, wire: DictWire) -> None:
    wire.page_size = 1
    put(wire, "a", b""), put(wire, "b", b"")
    listing = view.list_files("")
    await anext(listing)
    wire.exists = False
    with pytest.raises(NotFound, match="box"):
        await anext(listing)
    assert await every(view.list_files("")) == []


async def test_folder_markers_are_folders_never_files(view: View, wire: DictWire) -> None:
    for name in ("x/", "x/y/", "x/y/file"):
        put(wire, name, b"")
    assert [str(file.path) for file in await every(view.list_files("", recursive=True))] == ["x/y/file"]
    assert [(type(entry), str(entry.path)) for entry in await every(view.iter_children(""))] == [(FolderEntry, "x")]
    assert [(type(entry), str(entry.path)) for entry in await every(view.iter_children("x"))] == [(FolderEntry, "x/y")]
    assert [type(entry) for entry in await every(view.iter_children("x/y"))] == [FileInfo]
    assert (await view.get_folder_info("x")).file_count == 1
    assert await view.is_folder("x")
    assert not await view.is_file("x")
    with pytest.raises(InvalidPath):
        await view.read_bytes("x")
    await view.delete("x/y/file")
    assert (await view.get_folder_info("x/y")).file_count == 0
    await view.delete_folder("x/y")
    await view.delete_folder("x", recursive=True)
    assert wire.blobs == {}


async def test_the_marker_of_the_root_is_no_entry_and_stays(kind: str, wire: DictWire) -> None:
    for name in ("root/", "root/d/", "root/d/f"):
        put(wire, name, b"")
    async with dict_view(kind, wire, "root") as view:
        assert [str(entry.path) for entry in await every(view.iter_children(""))] == ["d"]
        await view.delete_folder("d", recursive=True)
        assert await every(view.list_files("", recursive=True)) == []
    assert list(wire.blobs) == ["root/"]


async def test_a_folder_that_is_also_a_file_is_added_up_to_any_depth(view: View, wire: DictWire) -> None:
    put(wire, "both", b"1"), put(wire, "both/y/z", b"1")
    assert [(await view.get_folder_info("both", max_depth=depth)).file_count for depth in (None, 1, 0)] == [1, 1, 0]


async def test_a_file_that_is_also_a_folder_is_touched_alone(view: View, wire: DictWire) -> None:
    for key in ("a", "a/below", "a/b/c"):
        await view.write(key, key.encode())
    assert await view.is_file("a")
    assert await view.is_folder("a")
    await view.copy("a", "copied")
    await view.move("a", "moved")
    assert not await view.is_file("a")
    await view.write("a", b"again")
    await view.delete("a")
    assert files(wire) == {"a/below": b"a/below", "a/b/c": b"a/b/c", "copied": b"a", "moved": b"a"}
    with pytest.raises(InvalidPath):
        await view.delete("a", missing_ok=True)


# --- deleting


async def test_keys_that_were_not_deleted_are_told(view: View, wire: DictWire) -> None:
    for key in ("d/1", "d/2", "d/e/3"):
        put(wire, key, b"")
    failed = [Failed("d/2", PermissionDenied, "not yours"), Failed("d/1", BackendUnavailable, "gone")]
    Hooked(wire, "delete_many", lambda number, act: failed)
    with pytest.raises(PermissionDenied, match=r"not yours \(2 of 3 objects\)") as caught:
        await view.delete_folder("d", recursive=True, missing_ok=True)
    assert caught.value.path == "d/2"
    with pytest.raises(PermissionDenied) as caught:
        await view.child("d").delete_folder("e", recursive=True)
    assert caught.value.path == "2"


async def test_a_folder_is_deleted_in_batches_and_what_fits_none_alone(view: View, wire: DictWire) -> None:
    for number in range(7):
        put(wire, f"d/{number}", b"")
    put(wire, "d/a\x01b", b""), put(wire, "d/c\x01d", b"")
    wire.page_size, wire.batch = 5, 2
    Hooked(wire, "delete", lambda number, act: wire.blobs.clear() or act() if number == 2 else act())
    await view.delete_folder("d", recursive=True)
    assert wire.blobs == {}
    assert sorted(verbs(wire)) == ["delete", "delete", *["delete_many"] * 4, "page", "page"]
    wire.exists = False
    wire.hook = None
    with pytest.raises(NotFound, match="box"):
        await view.delete_folder("d", recursive=True)


def crowd(wire: DictWire, page_size: int, batch: int) -> None:
    for number in range(20):
        put(wire, f"d/{number:02}", b"")
    wire.page_size, wire.batch = page_size, batch


async def test_the_next_page_is_listed_while_a_few_batches_are_deleted(kind: str, wire: DictWire) -> None:
    crowd(wire, page_size=4, batch=2)
    deleting, most = set[str](), 0

    async def hook(verb: str, name: str, act: Act) -> Any:
        nonlocal most
        if verb == "delete_many":
            deleting.add(name)
            most = max(most, len(deleting))
            while most < IN_FLIGHT:  # Which takes two pages.
                await asyncio.sleep(0)
            deleting.remove(name)
        return act()

    wire.hook = hook
    async with asyncio.timeout(60), dict_view(kind, wire) as view:
        await view.delete_folder("d", recursive=True)
    assert wire.blobs == {}
    assert most == IN_FLIGHT


async def test_a_failed_batch_is_told_once_the_others_have_ended(view: View, wire: DictWire) -> None:
    crowd(wire, page_size=1, batch=1)
    begun, ended = list[str](), list[str]()

    async def hook(verb: str, name: str, act: Act) -> Any:
        if verb != "delete_many":
            return act()
        begun.append(name)
        if len(begun) == 1:
            return [Failed("d/00", PermissionDenied, "not yours")]
        for _ in range(100):
            await asyncio.sleep(0)
        ended.append(name)
        return act()

    wire.hook = hook
    with pytest.raises(PermissionDenied, match="not yours"):
        await view.delete_folder("d", recursive=True)
    assert len(ended) == len(begun) - 1 < 19


async def test_deletes_end_when_their_caller_is_cancelled(wire: DictWire) -> None:
    crowd(wire, page_size=2, batch=1)
    begun, ended = list[str](), list[str]()

    async def hook(verb: str, name: str, act: Act) -> Any:
        if verb != "delete_many":
            return act()
        begun.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    wire.hook = hook
    async with dict_view("async", wire) as view:
        deleting = asyncio.ensure_future(view.delete_folder("d", recursive=True))
        while len(begun) < IN_FLIGHT:
            await asyncio.sleep(0)
        deleting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deleting
        assert len(ended) == len(begun) == IN_FLIGHT
    assert len(wire.blobs) == 20


# --- a key the service cannot have


async def test_a_name_that_is_too_long_is_not_there_and_nobody_is_asked(view: View, wire: DictWire) -> None:
    assert not await view.is_file("ä" * 513)
    assert "head" not in verbs(wire)
    assert not await view.is_file("ä" * 512)
    assert "head" in verbs(wire)
    for work in (view.exists("a\udc80"), view.write("a\udc80", b"1"), view.read_bytes("a\udc80")):
        with pytest.raises(InvalidPath):
            await work


async def test_a_write_below_a_file_is_refused_where_asked_for(kind: str, wire: DictWire) -> None:
    put(wire, "a/file", b"1"), put(wire, "src", b"2")
    async with dict_view(kind, wire, reject_write_under_file_ancestor=True) as strict:
        for work in (
            strict.write("a/file/b/c", b""),
            strict.write("a/file/b", strict.stream([b"x"]), overwrite=True),
            strict.write_atomic("a/file/b", b""),
            strict.copy("src", "a/file/b"),
            strict.move("src", "a/file/b", overwrite=True),
        ):
            with pytest.raises(InvalidPath):
                await work
        with pytest.raises(NotFound):
            await strict.move("absent", "a/file/b")
        await strict.write("a/other", b"3")
    assert sorted(wire.blobs) == ["a/file", "a/other", "src"]
    async with dict_view(kind, wire) as view:
        await view.write("a/file/b", b"passes")


# --- life


async def test_closing_is_for_good_and_can_be_repeated(view: View, wire: DictWire, kind: str) -> None:
    await view.write("key", bytes(10))
    stream = await view.read_seekable("key")
    await stream.read(1)
    for _ in range(2):
        await view.store.aclose() if kind == "async" else view.store.close()
    assert wire.closed == [False]
    wire.requests.clear()
    for work in (
        lambda: view.read_bytes("key"),
        lambda: view.exists("key"),
        lambda: view.write("key", b""),
        lambda: view.write("key", view.stream([b"x"])),
        lambda: view.delete("key", missing_ok=True),
        view.ping,
        lambda: every(view.list_files("")),
    ):
        with pytest.raises(BackendUnavailable, match="is closed") as caught:
            await work()
        assert caught.value.__cause__ is not caught.value  # A chain that ends, for whoever walks it.
    assert wire.requests == []
    assert await view.exists("")


async def test_what_began_before_closing_goes_no_further(view: View, wire: DictWire, kind: str) -> None:
    wire.page_size = 1
    put(wire, "a", b""), put(wire, "b", b"")
    listing = view.list_files("")
    await anext(listing)
    await view.store.aclose() if kind == "async" else view.store.close()
    with pytest.raises(BackendUnavailable, match="is closed"):
        await anext(listing)
    assert verbs(wire) == ["page"]


async def test_reading_on_after_the_store_was_closed_is_an_error(view: View, wire: DictWire, kind: str) -> None:
    await view.write("key", bytes(1 << 20))
    stream = await view.read_seekable("key")
    await stream.read(10)
    await view.store.aclose() if kind == "async" else view.store.close()
    with pytest.raises(BackendUnavailable, match="is closed"):
        await stream.read()


def test_a_store_says_that_it_belongs_to_one_loop(wire: DictWire) -> None:
    store = AsyncStore(AsyncDictBackend(wire))

    async def use() -> None:
        await store.write("key", b"x", overwrite=True)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(use())
        with pytest.raises(RuntimeError, match="belongs to the event loop"):
            second.run(use())
        first.run(use())
        first.run(store.aclose())


@pytest.mark.parametrize("owned", [False, True])
async def test_a_driver_closes_the_filesystem_that_it_owns(wire: DictWire, owned: bool) -> None:
    driver = DictDriver(wire, name="dict")
    driver.owned = owned
    await driver.close()
    await driver.close()
    assert wire.closed == [owned]


@pytest.mark.parametrize("lives", [True, False])
async def test_a_ping_asks_for_the_container(view: View, wire: DictWire, lives: bool) -> None:
    wire.exists = lives
    if lives:
        await view.ping()
    else:
        with pytest.raises(NotFound, match="box") as caught:
            await view.ping()
        assert caught.value.path == "."
    assert verbs(wire) == ["page"]


@pytest.mark.parametrize("method", ["read", "read_range"])
async def test_a_folder_outranks_an_etag_that_is_not_there(view: View, wire: DictWire, method: str) -> None:
    async def read(path: str) -> Any:
        if method == "read":
            return await every(view.read(path, if_match="other"))
        return await view.read_range(path, 0, 1, if_match="other")

    await view.write("folder/f", b"1")
    wire.requests.clear()
    with pytest.raises(InvalidPath, match="exists as a directory"):
        await read("folder")
    with pytest.raises(PreconditionFailed, match="does not match if_match"):
        await read("none")
    with pytest.raises(PreconditionFailed, match="does not match if_match"):
        await read("folder/f")
    assert verbs(wire) == ["get", "page", "get", "page", "get"]


async def test_names_and_keys_lead_to_each_other(wire: DictWire) -> None:
    driver = DictDriver(wire, "a/b", name="dict")
    assert (driver.native(""), driver.native("c")) == ("box/a/b", "box/a/b/c")
    assert [driver.key(native) for native in ("box/a/b", "dict://box/a/b/", "box/a/b/c")] == ["", "", "c"]
    assert [driver.key(native) for native in ("box/a/bc", "other/a/b", "box")] == [None, None, None]


def test_the_shared_floor_knows_no_service() -> None:
    folder = Path(wire_module.__file__).parent
    named = re.compile(r"\b(?:s3(?!11)\w*|aws|amazon|(?:aio)?boto\w*|gcs\w*|google|azure|adlfs)\b", re.IGNORECASE)
    assert {path.name: found for path in folder.glob("*.py") if (found := named.findall(path.read_text()))} == {}
