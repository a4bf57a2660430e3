"""Seekable streams of any object store: the right bytes, for few requests and little memory."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from helpers.dictwire import DictWire, dict_view
from hypothesis import given
from hypothesis import strategies as st

from remote_store.certify.view import View
from remote_store.drivers.objects import seeking
from remote_store.drivers.objects.seeking import KEPT, READ_ON, Seeker
from remote_store.engine.runners import run_to_end

KIB, MIB = 1 << 10, 1 << 20
DATA = random.Random(0).randbytes(4 * MIB)


@pytest.fixture
def wire() -> DictWire:
    return DictWire()


@pytest.fixture(params=["sync", "async"])
async def view(request: pytest.FixtureRequest, wire: DictWire) -> AsyncIterator[View]:
    async with dict_view(request.param, wire) as view:
        await view.write("key", DATA)
        wire.requests.clear()
        yield view


# --- requests


async def test_reading_through_is_one_request(view: View, wire: DictWire) -> None:
    async with await view.read_seekable("key") as stream:
        assert await stream.read() == DATA
        assert await stream.read() == b""
    assert len(wire.requests) == 1


async def test_short_ways_ahead_are_read_through(view: View, wire: DictWire) -> None:
    async with await view.read_seekable("key") as stream:
        for start in range(0, len(DATA), 100 * KIB):
            await stream.seek(start)
            assert await stream.read(10) == DATA[start : start + 10]
    assert len(wire.requests) == 1


async def test_short_ways_back_are_served_from_memory(view: View, wire: DictWire) -> None:
    async with await view.read_seekable("key") as stream:
        assert await stream.read(2 * MIB) == DATA[: 2 * MIB]
        for back in (10, 100 * KIB, 500 * KIB, KEPT - 70 * KIB):
            assert await stream.seek(-back, io.SEEK_CUR) == 2 * MIB - back
            assert await stream.read(back) == DATA[2 * MIB - back : 2 * MIB]
        await stream.seek(-10, io.SEEK_CUR)
        assert await stream.read(MIB) == DATA[2 * MIB - 10 : 3 * MIB - 10]
    assert len(wire.requests) == 1


async def test_each_far_seek_is_one_request_more(view: View, wire: DictWire) -> None:
    async with await view.read_seekable("key") as stream:
        for seeks in range(1, 9):
            start = 3 * MIB if seeks % 2 else seeks * KIB
            await stream.seek(start)
            assert await stream.read(100) == DATA[start : start + 100]
            assert len(wire.requests) == seeks + 1


async def test_a_seek_that_nobody_reads_after_is_free(view: View, wire: DictWire) -> None:
    async with await view.read_seekable("key") as stream:
        assert await stream.seek(0, io.SEEK_END) == len(DATA)
        assert await stream.read() == b""
        assert await stream.seek(MIB, io.SEEK_CUR) == len(DATA) + MIB
        assert await stream.read(1) == b""
        assert await stream.seek(0) == 0
        with pytest.raises(ValueError, match="negative"):
            await stream.seek(-1 - len(DATA), io.SEEK_END)
        assert stream.tell() == 0
        assert await stream.read(10) == DATA[:10]
    assert len(wire.requests) <= 2


async def test_a_plain_read_asks_anew_after_each_seek(wire: DictWire) -> None:
    async with dict_view("sync", wire) as view:
        await view.write("key", DATA)
        wire.requests.clear()
        with view.store.read("key") as stream:
            for seeks in range(1, 5):
                stream.seek(seeks * 200 * KIB)
                assert stream.read(10) == DATA[seeks * 200 * KIB :][:10]
                assert len(wire.requests) == seeks + 1


# --- content


@pytest.mark.parametrize("seed", range(6))
async def test_seeks_and_reads_are_those_of_a_file(view: View, wire: DictWire, seed: int) -> None:
    dice, model, seeks = random.Random(seed), io.BytesIO(DATA), 0
    async with await view.read_seekable("key") as stream:
        for _ in range(150):
            if dice.random() < 0.5:
                whence = dice.choice((0, 1, 2))
                reach = dice.choice((KIB, 80 * KIB, 2 * MIB))
                base = (dice.randrange(len(DATA)), model.tell(), len(DATA))[whence]
                place = max(0, base + dice.randint(-reach, reach))
                offset = place - (0, model.tell(), len(DATA))[whence]
                assert await stream.seek(offset, whence) == model.seek(offset, whence)
                seeks += 1
            else:
                size = dice.choice((0, 1, 100, 64 * KIB, 300 * KIB, 2 * MIB))
                assert await stream.read(size) == model.read(size)
            assert stream.tell() == model.tell()
        assert await stream.read() == model.read()
    assert len(wire.requests) <= seeks + 1


class Source:
    """A reader of bytes that gives a few at a time, and counts how often it had to ask for them."""

    def __init__(self, size: int, piece: int) -> None:
        self.at, self.is_open, self.asked = 0, True, 1
        self._size, self._piece = size, piece

    async def read(self, size: int) -> bytes:
        if self.at >= self._size:
            return b""
        if not self.is_open:
            self.is_open, self.asked = True, self.asked + 1
        start, self.at = self.at, min(self.at + size, self.at + self._piece, self._size)
        return bytes(place % 251 for place in range(start, self.at))

    async def seek(self, offset: int, whence: int) -> int:
        if offset != self.at:
            self.at, self.is_open = offset, False
        return self.at

    async def target(self, at: int, offset: int, whence: int) -> int:
        return offset + (0, at, self._size)[whence]

    async def close(self) -> None:
        self.is_open = False


STEPS = st.lists(
    st.one_of(st.tuples(st.just("seek"), st.integers(0, 330)), st.tuples(st.just("read"), st.integers(1, 90)))
)


@given(STEPS, st.integers(1, 100))
def test_any_steps_give_the_bytes_of_a_file_within_the_bounds(steps: list[tuple[str, int]], piece: int) -> None:
    source = Source(300, piece)
    seeker: Any = Seeker(source)  # type: ignore[arg-type]
    model, seeks = io.BytesIO(bytes(place % 251 for place in range(300))), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeking, "READ_ON", 20)
        patch.setattr(seeking, "KEPT", 30)
        for verb, number in steps:
            if verb == "seek":
                assert run_to_end(seeker.seek(number, 0)) == model.seek(number)
                seeks += 1
            else:
                data = run_to_end(seeker.read(number))
                assert data == model.read(len(data))
                assert data or model.read(1) == b""
            assert len(seeker._kept) <= 30
            assert source.asked <= seeks + 1


@pytest.mark.parametrize(("ahead", "asked"), [(READ_ON, 1), (READ_ON + 1, 2), (-KEPT, 1), (-KEPT - 1, 2)])
def test_the_bounds_are_those_that_are_named(ahead: int, asked: int) -> None:
    source = Source(4 * MIB, 256 * KIB)
    seeker = Seeker(source)  # type: ignore[arg-type]
    while source.at < 2 * MIB:
        run_to_end(seeker.read(256 * KIB))
    run_to_end(seeker.seek(ahead, io.SEEK_CUR))
    assert run_to_end(seeker.read(1)) == bytes([(2 * MIB + ahead) % 251])
    assert source.asked == asked


def test_memory_is_bounded_however_much_is_read() -> None:
    class Endless(Source):
        async def read(self, size: int) -> bytes:
            self.at += 64 * KIB
            return bytes(64 * KIB)

    seeker = Seeker(Endless(1 << 40, 0))  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        for _ in range(1000):
            run_to_end(seeker.read(64 * KIB))
        assert tracemalloc.get_traced_memory()[1] < 3 * KEPT
    finally:
        tracemalloc.stop()
