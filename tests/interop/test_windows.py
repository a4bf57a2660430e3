"""How much of a file is fetched: all of it in few requests where it is read on, little more than is asked where not."""

from __future__ import annotations

import random
from typing import Any

import pytest
from fsspec.caching import ReadAheadCache

from remote_store.interop import _windows
from remote_store.interop._windows import GAP, LEAST, LITTLE, REQUEST, Windows

KIB, MIB = 1 << 10, 1 << 20
BLOCK = 50 * MIB
ZEROS = bytes(210 * MIB)


def recorded(cls: Any, data: bytes, block: int) -> tuple[Any, list[tuple[int, int]]]:
    """A cache, and the ranges that it fetches."""
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(data)
        fetched.append((start, end))
        return data[start:end]

    return cls(block, fetch, len(data)), fetched


def fetched_by(reads: list[tuple[int, int]], size: int = len(ZEROS), block: int = BLOCK) -> list[tuple[int, int]]:
    """What reads of a file of zeros fetch."""
    cache, fetched = recorded(Windows, ZEROS[:size], block)
    for start, stop in reads:
        assert len(cache._fetch(start, stop)) == stop - start
    return fetched


def total(ranges: list[tuple[int, int]]) -> int:
    return sum(end - start for start, end in ranges)


def test_any_reads_give_what_is_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3000):
        chance = random.Random(seed)
        data, block = chance.randbytes(chance.randint(1, 400)), chance.randint(1, 60)
        monkeypatch.setattr(_windows, "LEAST", chance.choice([1, 5, 20, 100]))
        monkeypatch.setattr(_windows, "GAP", chance.choice([0, 5, 50]))
        monkeypatch.setattr(_windows, "REQUEST", chance.choice([0, 2, 30]))
        cache, _ = recorded(Windows, data, block)
        at = 0
        for _ in range(chance.randint(1, 40)):
            start = at if chance.random() < 0.4 else chance.randint(0, len(data))
            at = min(start + chance.randint(0, 40), len(data))
            assert cache._fetch(start, at) == data[start:at], seed
            assert cache._held == sum(len(piece.data) for piece in cache._pieces.values()), seed
            assert cache._held <= 4 * block + 2 * (block + 40), seed


@pytest.mark.parametrize("step", [64 * KIB, MIB, 7 * MIB, 60 * MIB, 210 * MIB])
def test_a_file_read_on_takes_no_more_requests_than_by_readahead(step: int) -> None:
    theirs, taken = recorded(ReadAheadCache, ZEROS, BLOCK)
    ours, fetched = recorded(Windows, ZEROS, BLOCK)
    for start in range(0, len(ZEROS), step):
        for cache in (ours, theirs):
            cache._fetch(start, start + step)
    assert len(fetched) <= len(taken)
    assert total(fetched) == len(ZEROS)


def test_reading_on_keeps_one_block() -> None:
    cache = Windows(100, lambda start, end: bytes(end - start), 10_000)
    for start in range(0, 10_000, 50):
        cache._fetch(start, start + 50)
        assert sum(len(piece.data) for piece in cache._pieces.values()) <= 300


@pytest.mark.parametrize("order", [1, -1])
def test_jumps_fetch_what_is_asked(order: int) -> None:
    columns = [(start, start + 700 * KIB) for start in range(10 * MIB, 200 * MIB, 7 * MIB)]
    assert fetched_by(columns[::order]) == columns[::order]


def test_small_jumps_fetch_the_least() -> None:
    places = [start * MIB for start in (90, 10, 130, 50)]
    assert fetched_by([(start, start + 8) for start in places]) == [(start, start + LEAST) for start in places]
    again = [(start + LEAST - 8, start + LEAST) for start in places]
    assert len(fetched_by([(start, start + 8) for start in places] + again)) == len(places)


def test_the_window_grows_again_while_reading_goes_on() -> None:
    start = 20 * MIB
    fetched = fetched_by([(at, at + 64 * KIB) for at in range(start, 205 * MIB, 64 * KIB)])
    lengths = [end - start for start, end in fetched]
    assert lengths[0] == LEAST
    assert lengths[:4] == sorted(lengths[:4])
    assert max(lengths) == BLOCK + 64 * KIB
    assert len(fetched) <= 8


def test_a_table_read_whole_takes_few_requests() -> None:
    """Its end first, then the rest in the 32 MiB that pyarrow reads at once."""
    size, step = len(ZEROS), 32 * MIB
    rest = [(start, min(start + step, size)) for start in range(4, size, step)]
    assert len(fetched_by([(size - 64 * KIB, size), *rest])) <= 6


def test_gaps_that_cost_less_than_a_request_are_no_jumps() -> None:
    small = [(start, start + 40 * KIB) for start in range(MIB, 200 * MIB, MIB)]
    assert len(fetched_by(small)) <= 10
    assert len(fetched_by([(start, start + 40 * KIB) for start in range(MIB, 100 * MIB, GAP + LEAST + MIB)])) > 30


def test_a_read_at_the_end_fetches_what_is_before_it_too() -> None:
    end = len(ZEROS)
    assert fetched_by([(end - 22, end), (end - 42, end - 22), (end - 100 * KIB, end)]) == [(end - LEAST, end)]


def test_jumps_all_over_a_small_file_end_where_the_rest_costs_less() -> None:
    size = 70 * MIB
    chance = random.Random(0)
    places = [chance.randrange(size - KIB) for _ in range(1000)]
    fetched = fetched_by([(place, place + KIB) for place in places], size)
    assert len(fetched) <= 2 * size // REQUEST
    assert total(fetched) <= 2 * size


def test_jumps_for_columns_stay_small_in_a_small_file() -> None:
    columns = [(start, start + LITTLE + 1) for start in range(0, 100 * MIB, 2 * MIB)]
    random.Random(0).shuffle(columns)
    assert total(fetched_by(columns, 100 * MIB)) <= len(columns) * LEAST


def test_jumps_all_over_a_large_file_stay_small() -> None:
    """Of which little can be kept, so that windows would be fetched again and again."""
    places = [*range(0, len(ZEROS), 3 * MIB)] * 3
    random.Random(0).shuffle(places)
    fetched = fetched_by([(place, place + KIB) for place in places], block=4 * LEAST)
    assert total(fetched) <= (len(places) + 3) * LEAST


def test_what_threads_read_in_any_order_is_kept() -> None:
    cache, fetched = recorded(Windows, ZEROS[: 100 * MIB], BLOCK)
    reads = [(start * MIB, start * MIB + 700 * KIB) for start in range(0, 100, 9)]
    for _ in range(3):
        random.Random(0).shuffle(reads)
        for start, stop in reads:
            cache._fetch(start, stop)
    assert len(fetched) <= len(reads)
