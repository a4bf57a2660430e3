"""Many ranges at once: the same bytes as one by one, neighbours together, some requests in flight."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.dictwire import Act, AsyncDictBackend, DictBackend, DictWire

from remote_store import InvalidPath, NotFound, Store
from remote_store.aio import AsyncStore

DATA = random.Random(0).randbytes(300_000)


@pytest.fixture(params=["sync", "async"])
def wire(request: pytest.FixtureRequest) -> DictWire:
    return DictWire(request.param == "async")


async def ranges(wire: DictWire, *args: Any, **options: Any) -> Any:
    """What a filesystem over the wire gives."""
    if wire.fs.asynchronous:
        async with AsyncStore(AsyncDictBackend(wire)) as store:
            await store.write("f", DATA, overwrite=True)
            return await store.to_fsspec()._cat_ranges(*args, **options)

    def work() -> Any:
        with Store(DictBackend(wire)) as store:
            store.write("f", DATA, overwrite=True)
            return store.to_fsspec().cat_ranges(*args, **options)

    return await asyncio.to_thread(work)


def asked(wire: DictWire) -> int:
    return sum(request.startswith("get") for request in wire.requests)


async def test_ranges_are_those_of_python(wire: DictWire) -> None:
    chance = random.Random(1)
    bounds = [chance.choice([None, 0, 5, -7, 299_999, 300_000, 400_000, chance.randrange(300_000)]) for _ in range(120)]
    starts, ends = bounds[:60], bounds[60:]
    found = await ranges(wire, ["f"] * 60, starts, ends)
    for start, end, got in zip(starts, ends, found, strict=True):
        assert got == DATA[start:end], (start, end)


@pytest.mark.parametrize(
    ("bounds", "options", "requests"),
    [
        ([(0, 10), (10, 20), (30, 40)], {}, 1),
        ([(200_000, 200_010), (0, 10), (5, 15)], {}, 2),
        ([(0, 10), (0, 10), (2, 4)], {}, 1),
        ([(0, 10), (11, 20)], {"max_gap": 0}, 2),
        ([(0, 10), (10, 20)], {"max_gap": 0}, 1),
        ([(0, 100), (100_000, 100_100)], {"max_gap": 100_000}, 1),
    ],
)
async def test_neighbours_are_one_request(
    wire: DictWire, bounds: list[tuple[int, int]], options: dict[str, int], requests: int
) -> None:
    starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
    assert await ranges(wire, ["f"] * len(bounds), starts, ends, **options) == [DATA[s:e] for s, e in bounds]
    assert asked(wire) == requests


@pytest.mark.parametrize(("options", "most"), [({}, 16), ({"batch_size": -1}, 16), ({"batch_size": 3}, 3)])
async def test_some_requests_are_in_flight(wire: DictWire, options: dict[str, int], most: int) -> None:
    waiting, full, seen = 0, threading.Event(), 0

    async def hook(verb: str, name: str, act: Act) -> Any:
        nonlocal waiting, seen
        if verb != "get":
            return act()
        waiting += 1
        seen = max(seen, waiting)
        if seen == most:
            full.set()
        while not full.is_set():
            await asyncio.sleep(0.001)
        waiting -= 1
        return act()

    wire.hook = hook
    starts = [*range(0, 300_000, 15_000)]
    async with asyncio.timeout(DEADLINE):
        found = await ranges(wire, ["f"] * 20, starts, [start + 10 for start in starts], max_gap=0, **options)
    assert found == [DATA[start : start + 10] for start in starts]
    assert seen == most


async def test_what_cannot_be_read_is_told_in_its_place(wire: DictWire) -> None:
    paths, starts = ["none", "f", "../f", "f"], [0, 0, 0, 100_000]
    found = await ranges(wire, paths, starts, [1, 1, 1, 100_001])
    assert isinstance(found[0], NotFound)
    assert found[1] == DATA[:1]
    assert isinstance(found[2], InvalidPath)
    assert found[3] == DATA[100_000:100_001]
    with pytest.raises(NotFound):
        await ranges(wire, paths, starts, 1, on_error="raise")


async def test_what_does_not_fit_is_refused(wire: DictWire) -> None:
    with pytest.raises(TypeError, match="list"):
        await ranges(wire, "f", 0, 1)
    with pytest.raises(ValueError, match="length"):
        await ranges(wire, ["f", "f"], [0], [1, 2])
