"""Atomic writes and moves, looked at by another client while they run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import NotFound
from remote_store.certify.rules import MIB, broken, collect, equal, probe
from remote_store.certify.view import View

NEW = 20
"""Files of a MiB that are made while others look for them."""


async def _for_a_while() -> AsyncIterator[int]:
    """Count for half a second, and to 20 at least: what is rare may show in the next attempt."""
    end, count = time.monotonic() + 0.5, 0
    while count < 20 or time.monotonic() < end:
        yield count
        count += 1


@probe(Capability.ATOMIC_WRITE, Capability.WRITE, Capability.READ)
async def readers_see_no_part_of_a_write(s: View) -> str:
    """In the middle of a write, and while writes make files and replace them, readers see whole content."""
    old, new = b"o" * MIB, b"n" * MIB
    await s.write("f", old)
    await s.write_atomic("f", s.stream([new, partial(_shows, s, old), new]), overwrite=True)
    equal(await s.read_bytes("f"), new + new, "content after write_atomic")
    async with s.open_atomic("f", overwrite=True) as file:
        await file.write(old)
        await _shows(s, new + new)
    reads = await _watched_writes(s, "f", "new", [old, new])
    return (
        "in the middle of a write_atomic and of a block of open_atomic another client read the whole old file; "
        f"in {reads} reads during writes, of files that were replaced or made, it read whole content"
    )


async def _shows(s: View, expected: bytes) -> None:
    found = await s.other.read_bytes("f")
    if found != expected:
        broken(f"in the middle of a write a reader got {len(found)} bytes that are not the {len(expected)} old ones")


async def _watched_writes(s: View, key: str, folder: str, contents: list[bytes]) -> int:
    """Replace a file, and make others, again and again while others read; every content they see must be whole."""
    made, done = 0, False

    async def write() -> int:
        nonlocal made, done
        try:
            async for made in _for_a_while():
                if made < NEW:
                    await s.write_atomic(f"{folder}/{made}", contents[0])
                await s.write_atomic(key, contents[made % 2], overwrite=True)
                await s.pause()
        finally:
            done = True
        return 0

    async def read() -> int:
        count = 0
        while not done:
            data = await s.other.read_bytes(key)
            count += 1
            if data not in contents:
                broken(f"during writes a reader got {len(data)} bytes that are the content of none of them")
            await s.pause()
        return count

    async def read_new() -> int:
        count = 0
        while not done:
            with suppress(NotFound):  # Not yet.
                data = await s.other.read_bytes(f"{folder}/{made}")
                count += 1
                if data != contents[0]:
                    broken(f"a reader got {len(data)} bytes of a new file that has {len(contents[0])}")
            await s.pause()
        return count

    return sum(await s.together([write, read, read_new]))


@probe(Capability.ATOMIC_MOVE, Capability.WRITE, Capability.READ, Capability.MOVE)
async def a_move_shows_one_name_at_every_moment(s: View) -> str:
    """While a file is moved on and on, others never see both names, or neither."""
    await s.write("0", bytes(100_000))
    moves = await _watched_moves(s)
    equal(len(await s.read_bytes(str(moves))), 100_000, "size of the file that was moved")
    return f"in {moves} moves no moment was seen that showed both names, or neither"


async def _watched_moves(s: View) -> int:
    """Move a file from 0 to 1 to 2 and so on, while others look at the two names of the current move."""
    current, done, other = 0, False, s.other
    # One listing of a flat namespace is one moment; reading a folder of a hierarchy is not.
    flat = not s.hierarchical and other.supports(Capability.LIST)

    async def move() -> None:
        nonlocal current, done
        try:
            async for current in _for_a_while():
                await s.move(str(current), str(current + 1))
                await s.pause()
        finally:
            done = True

    async def watch() -> None:
        while not done:
            now = current
            src, dst = str(now), str(now + 1)
            if flat and len(await collect(other.list_files(""))) == 2:
                broken("a listing showed both names: the move is a copy, then a delete")
            # The file never comes back to a name that it has left.
            if await other.is_file(dst):
                if await other.is_file(src):
                    broken("a moment showed both names: the move is a copy, then a delete")
            # Asked for again, because it may have arrived after the first look; later moves are told by `current`.
            elif not await other.is_file(src) and not await other.is_file(dst) and current == now:
                broken("a moment showed neither name: the move is a delete, then a write")
            await s.pause()

    await s.together([watch, watch, watch, move])
    return current + 1
