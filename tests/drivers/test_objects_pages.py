"""Pages of any object store that are short, or empty and not the last."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from helpers.dictwire import Act, DictWire, dict_view

from remote_store import BackendUnavailable, DirectoryNotEmpty, InvalidPath
from remote_store.drivers.objects.wire import Listed


def empty_first(wire: DictWire) -> None:
    """Let the first page of each listing be empty, as services may."""
    turn, tokens = itertools.count(), itertools.count()

    async def hook(verb: str, name: str, act: Act) -> Any:
        return Listed((), (), str(next(tokens))) if verb == "page" and next(turn) % 2 == 0 else act()

    wire.hook = hook


async def test_an_empty_page_that_is_not_the_last_decides_nothing(kind: str) -> None:
    wire = DictWire()
    async with dict_view(kind, wire) as view:
        await view.write("d/a", b"1")
        empty_first(wire)
        assert await view.is_folder("d")
        assert await view.exists("d")
        with pytest.raises(InvalidPath):
            await view.read_bytes("d")
        with pytest.raises(InvalidPath):
            await view.delete("d", missing_ok=True)
        await view.delete_folder("d", recursive=True)
        assert wire.blobs == {}


async def test_a_folder_that_is_not_empty_keeps_its_marker(kind: str) -> None:
    wire = DictWire()
    async with dict_view(kind, wire) as view:
        await view.write("m/x", b"1")
        marker = next(iter(wire.blobs)).removesuffix("x")
        wire.blobs[marker] = wire.blobs[marker + "x"]
        wire.page_size = 1  # The marker alone comes first.
        with pytest.raises(DirectoryNotEmpty):
            await view.delete_folder("m")
        assert set(wire.blobs) == {marker, marker + "x"}
        await view.delete("m/x")
        await view.delete_folder("m")
        assert wire.blobs == {}


async def test_a_listing_that_ignores_what_it_was_asked_for_deletes_nothing(kind: str) -> None:
    wire = DictWire()
    async with dict_view(kind, wire) as view:
        for key in ("tmp/a", "data/precious"):
            await view.write(key, b"1")

        async def hook(verb: str, name: str, act: Act) -> Any:
            return wire._page("", None, False, None, False) if verb == "page" else act()

        wire.hook = hook
        with pytest.raises(BackendUnavailable, match="nobody asked for"):
            await view.delete_folder("tmp", recursive=True)
        with pytest.raises(BackendUnavailable):
            await view.is_folder("nosuch")
        assert len(wire.blobs) == 2
