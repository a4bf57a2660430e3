"""Moves on Azure storage with a hierarchical namespace: renames in one step, after both ends were looked at."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.azure import Place, meanwhile, pieces
from servers.azure_faults import MISMATCH, instead, once, when
from servers.azure_leases import Lease
from servers.double_answers import CarryOut, Request

from remote_store import AlreadyExists, InvalidPath, ResourceLocked


async def test_a_move_is_one_rename_after_two_questions(tree: Place) -> None:
    tree.put("key", b"k", who="me")
    tree.server.mkdir(tree.name("d"))
    tree.server.requests.clear()
    await tree.view.move("key", "d/new")
    assert [request.split()[0] for request in tree.server.requests] == ["HEAD", "HEAD", "PUT"]
    assert (await tree.view.get_file_info("d/new")).metadata == {"who": "me"}
    assert tree.contents() == {"d/new": b"k"}


async def test_missing_parents_are_made(tree: Place) -> None:
    """In place of nothing: what the service makes of a file there is not documented."""
    tree.put("key", b"k")
    conditions: list[str | None] = []

    def hook(request: Request, carry_out: CarryOut) -> None:
        conditions.append(request.headers.get("If-None-Match"))

    with tree.server.hooked(when(hook, "PUT", "resource=directory")):
        await tree.view.move("key", "a/b/c/new")
    assert conditions == ["*"]
    assert tree.contents() == {"a/b/c/new": b"k"}
    await tree.view.write("x/y/z", tree.view.stream(pieces(2)))
    assert (await tree.view.read_bytes("x/y/z")) == b"".join(pieces(2))


async def test_a_file_made_in_place_of_a_missing_parent_is_kept(tree: Place) -> None:
    tree.put("key", b"k")

    def hook(request: Request, carry_out: CarryOut) -> Any:
        if request.query.get("resource") == "directory":
            tree.put("d", b"theirs")
        return None

    with tree.server.hooked(hook), pytest.raises(InvalidPath):
        await tree.view.move("key", "d/new")
    assert tree.contents() == {"key": b"k", "d": b"theirs"}


async def test_a_parent_that_another_made_meanwhile_serves(tree: Place) -> None:
    tree.put("key", b"k")
    made = when(once(meanwhile(lambda: tree.server.mkdir(tree.name("d")))), "PUT", "resource=directory")
    with tree.server.hooked(made):
        await tree.view.move("key", "d/new")
    assert tree.contents() == {"d/new": b"k"}


async def test_a_move_onto_itself_changes_nothing(tree: Place) -> None:
    tree.put("key", b"k")
    await tree.view.move("key", "key", overwrite=True)
    assert tree.contents() == {"key": b"k"}


ODD = ["a b", "ü/𝄞", "a+b", "a?b#c&d=e;f", "%41%25", "~-_!*'()", 'a"b', "a:b@c,d$e", "<>{}|^`"]


@pytest.mark.parametrize("key", ODD)
async def test_odd_names_are_moved_as_they_are(tree: Place, key: str) -> None:
    await tree.view.write(key, b"1")
    await tree.view.move(key, key + "2")
    await tree.view.move(key + "2", f"{key}3/{key}")
    await tree.view.write(key, tree.view.stream(pieces(2)))
    assert tree.contents() == {key: b"".join(pieces(2)), f"{key}3/{key}": b"1"}
    assert {str(entry.path) async for entry in tree.view.list_files("", recursive=True)} == set(tree.contents())
    await tree.view.delete_folder(f"{key}3", recursive=True)
    assert set(tree.contents()) == {key}


# --- leases


@pytest.mark.parametrize("verb", ["copy", "move"])
async def test_a_file_that_somebody_has_leased_is_not_replaced(tree: Place, verb: str) -> None:
    """A rename by itself would break the lease."""
    tree.put("key", b"k")
    tree.put("new", b"old")
    tree.item("new").lease = Lease("1", -1, float("inf"))
    tree.server.requests.clear()
    with pytest.raises(ResourceLocked, match="leased") as caught:
        await getattr(tree.view, verb)("key", "new", overwrite=True)
    assert caught.value.path == "new"
    assert len(tree.server.requests) == 2
    with pytest.raises(AlreadyExists):
        await getattr(tree.view, verb)("key", "new")
    assert tree.contents() == {"key": b"k", "new": b"old"}
    tree.item("new").lease = None
    await getattr(tree.view, verb)("key", "new", overwrite=True)
    assert tree.contents()["new"] == b"k"


@pytest.mark.parametrize("matches", [False, True])
@pytest.mark.parametrize("looks", [True, False])
async def test_a_long_write_does_not_replace_a_file_that_somebody_has_leased(
    tree: Place, matches: bool, looks: bool
) -> None:
    """A lease is looked for; who may not look may write."""
    etag = tree.put("new", b"old")
    how: dict[str, Any] = {"if_match": etag} if matches else {"overwrite": True}
    tree.item("new").lease = Lease("1", -1, float("inf"))
    with tree.server.hooked(when(instead(MISMATCH), "HEAD" if not looks else "NONE")):
        if looks:
            with pytest.raises(ResourceLocked, match="leased"):
                await tree.view.write("new", tree.view.stream(pieces(2)), **how)
            assert tree.contents() == {"new": b"old"}
            tree.item("new").lease = None
        await tree.view.write("new", tree.view.stream(pieces(2)), **how)
    assert tree.contents() == {"new": b"".join(pieces(2))}
