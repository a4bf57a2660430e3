"""Sixteen creators at once on Google Cloud Storage: one wins each round, and its bytes are kept."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from helpers.gcs import PART, Place

from remote_store import AlreadyExists, PreconditionFailed

RACERS = 16
Work = Callable[[int, str], Coroutine[Any, Any, Any]]


def content(racer: int, size: int = 100) -> bytes:
    return b"%02d" % racer * (size // 2)


def puts(at: Place, _: str) -> Work:
    return lambda racer, key: at.view.write(key, content(racer))


def uploads(at: Place, _: str) -> Work:
    async def upload(racer: int, key: str) -> None:
        data = content(racer, PART + 2)
        await at.view.write(key, at.view.stream([data[:PART], data[PART:]]))

    return upload


def copies(at: Place, _: str) -> Work:
    for racer in range(RACERS):
        at.put(f"from/{racer}", content(racer))
    return lambda racer, key: at.view.copy(f"from/{racer}", key)


def moves(at: Place, _: str) -> Work:
    for racer in range(RACERS):
        at.put(f"from/{racer}", content(racer))
    return lambda racer, key: at.view.move(f"from/{racer}", key)


def conditions(at: Place, key: str) -> Work:
    etag = at.put(key, b"old")
    return lambda racer, key: at.view.write(key, content(racer), if_match=etag)


def conditional_uploads(at: Place, key: str) -> Work:
    etag = at.put(key, b"old")

    async def upload(racer: int, key: str) -> None:
        data = content(racer, PART + 2)
        await at.view.write(key, at.view.stream([data[:PART], data[PART:]]), if_match=etag)

    return upload


RACES = [puts, uploads, copies, moves, conditions, conditional_uploads]


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.soak)])
@pytest.mark.parametrize("race", RACES)
async def test_one_of_16_wins(
    gcs: Place, race: Callable[[Place, str], Work], rounds: int, record_property: Callable[[str, object], None]
) -> None:
    lost = PreconditionFailed if race in (conditions, conditional_uploads) else AlreadyExists
    for turn in range(rounds):
        key = f"to/{turn}"
        work = race(gcs, key)
        results = await gcs.view.race([partial(work, racer, key) for racer in range(RACERS)])
        winners = [racer for racer, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(winners) == 1, (turn, winners)
        assert [result for result in results if isinstance(result, BaseException) and type(result) is not lost] == []
        stored = gcs.contents()
        assert stored[key][:100] == content(winners[0])
        assert set(stored[key]) == set(content(winners[0]))
        if race is moves:
            kept = {f"from/{racer}" for racer in range(RACERS)} - {f"from/{winners[0]}"}
            assert {name for name in stored if name.startswith("from/")} == kept
    await gcs.works()
    if rounds > 3:
        record_property("figures", f"{race.__name__}, GCS: {rounds * RACERS} tries, {rounds} rounds, one winner each")


async def test_a_counter_loses_no_increment(gcs: Place) -> None:
    await gcs.view.write("counter", b"0")

    async def increment() -> None:
        for _ in range(4):
            while True:
                info = await gcs.view.get_file_info("counter")
                try:
                    number = int(await gcs.view.read_range("counter", 0, 20, if_match=info.etag))
                    await gcs.view.write("counter", b"%d" % (number + 1), if_match=info.etag)
                    break
                except PreconditionFailed:
                    continue

    await gcs.view.together([increment] * 8)
    assert await gcs.view.read_bytes("counter") == b"32"


async def test_one_source_that_many_move_arrives_once(gcs: Place) -> None:
    """Moves are one step of the service."""
    gcs.put("key", b"1")
    results = await gcs.view.race([lambda n=n: gcs.view.move("key", f"to/{n}") for n in range(RACERS)])
    assert sum(result is None for result in results) == 1
    assert list(gcs.contents().values()) == [b"1"]
