"""Azure storage with a hierarchical namespace: real folders, renames in one step, and what is never seen."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from helpers.azure import PART, Place, azure_view, every, meanwhile, pieces, renaming
from helpers.processes import Fork
from servers.azure import HNS, AzureServer
from servers.azure_faults import (
    BUSY,
    DENIED,
    first,
    hang,
    in_turn,
    instead,
    once,
    refusal,
    when,
)
from servers.double_answers import CarryOut, Request

from remote_store import (
    AlreadyExists,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    Store,
)
from remote_store.backends import AzureBackend

LONG = b"".join(pieces(3))


async def files(place: Place, folder: str = "", **how: Any) -> list[str]:
    return sorted([str(entry.path) async for entry in place.view.list_files(folder, **how)])


async def folders(place: Place, folder: str = "", **how: Any) -> list[str]:
    return sorted([str(entry.path) async for entry in place.view.list_folders(folder, **how)])


# --- files and folders are never both


@pytest.mark.parametrize("code", ["PathConflict", "ResourceTypeMismatch", "PathAlreadyExists", "InvalidInput"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_write_under_a_file_or_onto_a_folder_is_refused(tree: Place, code: str, overwrite: bool) -> None:
    """Whichever of the codes the service gives."""
    tree.put("f", b"1")
    tree.put("d/g", b"2")
    for hook in (when(instead(refusal(code, status=409)), "PUT"), None):
        tree.server.hook = hook  # None lets the double judge.
        for key in ("f/a", "f/a/b/c", "d"):
            for content in (b"1", tree.view.stream(pieces(2))):
                with pytest.raises(InvalidPath) as caught:
                    await tree.view.write(key, content, overwrite=overwrite)
                assert caught.value.path == key
    assert tree.contents() == {"f": b"1", "d/g": b"2"}
    assert await files(tree, recursive=True) == ["d/g", "f"]


@pytest.mark.parametrize("verb", ["copy", "move"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_transfer_under_a_file_or_onto_a_folder_is_refused(tree: Place, verb: str, overwrite: bool) -> None:
    tree.put("f", b"1")
    tree.put("key", b"k")
    tree.put("d/g", b"2")
    tree.server.mkdir(tree.name("empty"))
    for src, dst in (("key", "f/a"), ("key", "f/a/b"), ("key", "d"), ("key", "empty"), ("d", "x"), ("empty", "f")):
        with pytest.raises(InvalidPath):
            await getattr(tree.view, verb)(src, dst, overwrite=overwrite)
    with pytest.raises(NotFound) as caught:
        await getattr(tree.view, verb)("gone", "x", overwrite=overwrite)
    assert caught.value.path == "gone"
    assert tree.contents() == {"f": b"1", "key": b"k", "d/g": b"2"}
    assert await folders(tree) == ["d", "empty"]


async def test_a_folder_made_meanwhile_is_not_replaced(tree: Place) -> None:
    tree.put("key", b"k")
    folder = once(meanwhile(lambda: tree.server.mkdir(tree.name("new"))))
    with tree.server.hooked(renaming(folder)), pytest.raises(InvalidPath):
        await tree.view.move("key", "new", overwrite=True)
    assert tree.contents() == {"key": b"k"}
    assert await folders(tree) == ["new"]


# --- missing containers


async def test_a_container_that_is_not_there_is_named(azure_server: AzureServer, brief: None) -> None:
    """Where nothing is asked beyond the miss itself."""
    async with azure_view("async", azure_server, "p", "gone", hns=True) as view:
        for work in (
            lambda: view.get_file_info("key"),
            lambda: view.head("key"),
            lambda: view.read_bytes("key"),
            lambda: view.delete("key"),
            lambda: view.delete_folder("d"),
            lambda: view.copy("key", "new"),
            lambda: view.move("key", "new"),
            lambda: view.write("key", b"1"),
            lambda: view.ping(),
        ):
            azure_server.requests.clear()
            with pytest.raises(NotFound, match="'gone' not found") as caught:
                await work()
            assert caught.value.path in ("key", "d", ".")
            assert len(azure_server.requests) <= 2
        assert not await view.exists("key")
        assert not await view.is_file("key")
        assert not await view.is_folder("key")
        assert await every(view.list_files("")) == await every(view.glob("key")) == await every(view.glob("*")) == []
        await view.delete("key", missing_ok=True)
        await view.delete_folder("key", missing_ok=True)


# --- hidden names


async def test_what_is_put_together_is_never_seen(tree: Place) -> None:
    tree.put("d/new", b"old")
    seen: list[Any] = []
    hidden: set[str] = set()
    other = Store(AzureBackend(HNS, tree.prefix, **tree.server.options, hns=True))

    def hook(request: Request, carry_out: CarryOut) -> None:
        tree.server.hook = None
        hidden.update(name for name in tree.contents() if name != "d/new")
        seen.append(sorted(str(one.path) for one in other.iter_children("d")))
        seen.append(other.get_folder_info("d").file_count)
        tree.server.hook = watching

    watching = renaming(hook)
    with other, tree.server.hooked(watching):
        await tree.view.write("d/new", tree.view.stream(pieces(3)), overwrite=True)
    assert seen == [["d/new"], 1]
    assert len(hidden) == 1
    name = hidden.pop()
    assert tree.contents() == {"d/new": LONG}
    for verb in ("read_bytes", "get_file_info", "delete"):
        with pytest.raises(InvalidPath, match="reserved"):
            await getattr(tree.view, verb)(name)
    with pytest.raises(InvalidPath, match="reserved"):
        await tree.view.write(name, b"1")


async def test_what_a_dead_writer_left_goes_with_its_folder(tree: Place) -> None:
    tree.put("d/.~rs-dead", b"half")
    assert await files(tree, recursive=True) == []
    assert await folders(tree) == ["d"]
    await tree.view.delete_folder("d", recursive=True)
    assert tree.contents() == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
@pytest.mark.parametrize("at", ["comp=block&", "comp=blocklist", "mode=legacy"])
def test_a_killed_writer_leaves_the_old_file(azure_server: AzureServer, at: str) -> None:
    prefix = azure_server.fresh_prefix()
    options = {**azure_server.options, "hns": True, "part_size": PART}
    there, released = threading.Event(), threading.Event()

    def hook(request: Request, carry_out: CarryOut) -> Any:
        there.set()
        return (
            hang(released)(request, carry_out)
            if at.endswith("&")
            else hang(released, done=False)(request, lambda: BUSY)
        )

    with Store(AzureBackend(HNS, prefix, **options)) as store:
        store.write("d/key", b"old")

        def work() -> None:
            with Store(AzureBackend(HNS, prefix, **options)) as own:
                own.write("d/key", iter(pieces(3)), overwrite=True)

        with azure_server.hooked(when(hook, "PUT", at)), Fork(work) as child:
            assert there.wait(50)
            child.kill()
            released.set()
        assert store.read_bytes("d/key") == b"old"
        assert [str(one.path) for one in store.list_files("", recursive=True)] == ["d/key"]
        store.write("d/key", iter(pieces(3)), overwrite=True)
        assert store.read_bytes("d/key") == LONG
        store.delete_folder("d", recursive=True)


# --- deleting


async def test_files_and_folders_are_deleted_by_type(tree: Place) -> None:
    tree.put("f", b"1")
    tree.put("d/g", b"2")
    tree.server.mkdir(tree.name("empty"))
    for folder in ("d", "empty"):
        with pytest.raises(InvalidPath):
            await tree.view.delete(folder)
        with pytest.raises(InvalidPath):
            await tree.view.delete(folder, missing_ok=True)
    for recursive in (False, True):
        with pytest.raises(InvalidPath):
            await tree.view.delete_folder("f", recursive=recursive)
    with pytest.raises(RemoteStoreError, match="not empty"):
        await tree.view.delete_folder("d")
    assert tree.contents() == {"f": b"1", "d/g": b"2"}
    await tree.view.delete_folder("empty")
    await tree.view.delete("d/g")
    assert await folders(tree) == ["d"]
    await tree.view.delete_folder("d")
    with pytest.raises(NotFound):
        await tree.view.delete_folder("d")
    assert await folders(tree) == []


async def test_a_folder_put_in_place_of_a_file_is_not_deleted_as_one(tree: Place) -> None:
    tree.put("key", b"1")

    def swap() -> None:
        tree.remove("key")
        tree.server.mkdir(tree.name("key"))

    with tree.server.hooked(when(once(meanwhile(swap)), "DELETE")), pytest.raises(InvalidPath) as caught:
        await tree.view.delete("key")
    assert caught.value.path == "key"
    assert await folders(tree) == ["key"]


@pytest.mark.parametrize("times", [1, 3])
async def test_a_file_that_is_replaced_before_it_goes_is_deleted(tree: Place, times: int) -> None:
    tree.put("key", b"1")
    with tree.server.hooked(when(first(times, meanwhile(lambda: tree.put("key", b"2"))), "DELETE")):
        await tree.view.delete("key")
    assert tree.contents() == {}


async def test_a_file_that_is_always_replaced_is_told(tree: Place) -> None:
    tree.put("key", b"1")
    replacing = when(meanwhile(lambda: tree.put("key", b"2")), "DELETE")
    with tree.server.hooked(replacing), pytest.raises(PreconditionFailed, match="replaced while it was being deleted"):
        await tree.view.delete("key")
    assert tree.contents() == {"key": b"2"}


async def test_a_file_written_before_a_folder_goes_keeps_it(tree: Place) -> None:
    tree.server.mkdir(tree.name("d"))
    written = when(once(meanwhile(lambda: tree.put("d/f", b"1"))), "DELETE")
    with tree.server.hooked(written), pytest.raises(RemoteStoreError, match="not empty"):
        await tree.view.delete_folder("d")
    assert tree.contents() == {"d/f": b"1"}


async def test_a_delete_in_several_calls_is_followed_to_its_end(tree: Place) -> None:
    for number in range(3):
        tree.put(f"d/{number}/f", b"1")
    with tree.server.having(delete_calls=4), tree.server.hooked(when(in_turn(None, instead(BUSY)), "DELETE")):
        await tree.view.delete_folder("d", recursive=True)
    assert tree.contents() == {}
    assert await folders(tree) == []


async def test_a_delete_that_does_not_come_to_an_end_is_an_error(tree: Place) -> None:
    tree.put("d/f", b"1")
    with (
        tree.server.having(delete_calls=3),
        tree.server.hooked(when(in_turn(None, *[instead(DENIED)] * 4), "DELETE")),
        pytest.raises(PermissionDenied),
    ):
        await tree.view.delete_folder("d", recursive=True)
    assert tree.contents() == {"d/f": b"1"}


# --- listing


@pytest.mark.parametrize("size", [None, 1, 2])
@pytest.mark.parametrize("empty", [False, True])
async def test_listings_are_whole_by_depth_and_type(tree: Place, size: int | None, empty: bool) -> None:
    for key in ("f", "d/g", "d/e/h", "d/e/i/j", "d.txt", "d/.~rs-1", ".~rs-2"):
        tree.put(key, b"1")
    tree.server.mkdir(tree.name("empty"))
    with tree.server.having(page=size, empty_page=empty):
        assert await files(tree) == ["d.txt", "f"]
        assert await files(tree, recursive=True) == ["d.txt", "d/e/h", "d/e/i/j", "d/g", "f"]
        assert await files(tree, "d", recursive=True, max_depth=1) == ["d/e/h", "d/g"]
        assert await files(tree, "empty") == []
        assert await folders(tree) == ["d", "empty"]
        found = await every(tree.view.iter_children("d"))
        assert sorted(str(one.path) for one in found) == ["d/e", "d/g"]
        assert await files(tree, "f") == await files(tree, "gone") == []


async def test_a_folder_that_vanishes_between_pages_is_no_crash(tree: Place) -> None:
    for number in range(4):
        tree.put(f"d/{number}", b"1")

    def vanish() -> None:
        for name in list(tree.server.container(HNS).items):
            if name.startswith(tree.name("d")):
                del tree.server.container(HNS).items[name]

    gone = when(in_turn(None, meanwhile(vanish)), "GET", "resource=filesystem")
    with tree.server.having(page=2), tree.server.hooked(gone):
        try:
            found = await files(tree, "d")
        except NotFound as error:
            assert error.path == "d"  # noqa: PT017
        else:
            assert found in (["d/0", "d/1"], [])


async def test_conditions_hold_for_long_writes_and_reads(tree: Place) -> None:
    first_etag = (await tree.view.write("key", tree.view.stream(pieces(2)))).etag
    second = await tree.view.write("key", tree.view.stream(pieces(3)), if_match=first_etag)
    for content in (b"1", tree.view.stream(pieces(2))):
        with pytest.raises(PreconditionFailed):
            await tree.view.write("key", content, if_match=first_etag)
    with pytest.raises(AlreadyExists):
        await tree.view.write("key", tree.view.stream(pieces(2)))
    assert second.etag == (await tree.view.get_file_info("key")).etag
    assert tree.contents() == {"key": LONG}
