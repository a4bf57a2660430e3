"""Atomic writes and moves: no moment shows a part."""

from __future__ import annotations

from functools import partial

from remote_store._capabilities import Capability
from remote_store.certify.bench import MIB, Bench, for_a_while, probe, results
from remote_store.certify.rules import broken, collect, equal, raises
from remote_store.certify.view import View


@probe(Capability.ATOMIC_WRITE)
async def _atomic_write(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ)
    old, new = b"o" * MIB, b"n" * MIB
    await b.view.write("f", old)
    await b.view.write_atomic("f", b.view.stream([new, partial(_shows, b, old), new]), overwrite=True)
    equal(await b.view.read_bytes("f"), new + new, "content after write_atomic")
    b.saw("in the middle of a write_atomic of 2 MiB another client read the whole old file")
    async with b.view.open_atomic("f", overwrite=True) as file:
        await file.write(old)
        await _shows(b, new + new)
    b.saw("so it did within a block of open_atomic")
    stopped = RuntimeError("the content stops here")
    await raises(
        RuntimeError, b.view.write_atomic("f", b.view.stream([new, stopped]), overwrite=True), "a failing write"
    )
    await _shows(b, old)
    b.saw("content that failed half-way left the old file")
    states = await _watch(b, "f", [old, new])
    b.saw(f"readers saw {states} states while writes replaced the file, each whole")


async def _shows(b: Bench, expected: bytes) -> None:
    found = await b.other.read_bytes("f")
    if found != expected:
        broken(f"a reader saw {len(found)} bytes of another state, expected the {len(expected)} bytes of the old one")


async def _watch(b: Bench, key: str, contents: list[bytes]) -> int:
    """Replace a file again and again while others read it; every content they see must be whole."""
    done = False

    async def replace() -> int:
        nonlocal done
        try:
            async for turn in for_a_while():
                await b.view.write_atomic(key, contents[turn % 2], overwrite=True)
                await b.view.pause()
        finally:
            done = True
        return 0

    async def read() -> int:
        count = 0
        while not done:
            data = await b.other.read_bytes(key)
            count += 1
            if data not in contents:
                broken(f"a reader saw {len(data)} bytes that are no whole state")
            await b.view.pause()
        return count

    return sum(results(await b.view.race([replace, read, read])))


@probe(Capability.ATOMIC_MOVE)
async def _atomic_move(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ, Capability.MOVE)
    await b.view.write("0", bytes(100_000))
    moves = await _watched_moves(b.view, b.other)
    equal(len(await b.view.read_bytes(str(moves))), 100_000, "size of the file that was moved")
    b.saw(f"in {moves} moves no moment was seen that showed both names, or neither")


async def _watched_moves(view: View, other: View) -> int:
    """Move a file from 0 to 1 to 2 and so on, while others look at the two names of the current move."""
    turn, done = 0, False
    # One listing of a flat namespace is one moment; reading a folder of nodes is not.
    flat = not view.hierarchical and other.supports(Capability.LIST)

    async def move() -> None:
        nonlocal turn, done
        try:
            async for turn in for_a_while():
                await view.move(str(turn), str(turn + 1))
                await view.pause()
        finally:
            done = True

    async def watch() -> None:
        while not done:
            now = turn
            src, dst = str(now), str(now + 1)
            if flat and len(await collect(other.list_files(""))) == 2:
                broken("a listing showed both names: the move is a copy, then a delete")
            # A name that it left it never has again.
            if await other.is_file(dst):
                if await other.is_file(src):
                    broken("a moment showed both names: the move is a copy, then a delete")
            # It came after the first look, if it did; and it has not gone on, if the turn is the same.
            elif not await other.is_file(src) and not await other.is_file(dst) and turn == now:
                broken("a moment showed neither name: the move is a delete, then a write")
            await view.pause()

    results(await view.race([watch, watch, watch, move]))
    return turn + 1
