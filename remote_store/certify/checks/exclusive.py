"""Exclusive creation: of many racing creators one wins."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, NotFound
from remote_store.certify.rules import check, equal, winner
from remote_store.certify.view import View

ROUNDS = 3


async def _race(s: View, key: str, method: str, kind: str) -> None:
    contents = [b"" if kind == "empty" else b"%d" % index * 1000 for index in range(s.workers)]

    def start(index: int) -> Awaitable[object]:
        view, data = (s, s.other)[index % 2], contents[index]
        written: Awaitable[object] = getattr(view, method)(key, view.stream([data]) if kind == "stream" else data)
        return written

    results = await s.race([partial(start, index) for index in range(s.workers)])
    won = winner(results, f"racing creators of {key!r}")
    losers = {type(result) for result in results if isinstance(result, BaseException)}
    equal(losers, {AlreadyExists}, "what the losers got")
    equal(await s.other.read_bytes(key), contents[won], "the winner's content")


@check("EXCLUSIVE", Capability.EXCLUSIVE_CREATE)
async def one_creator_wins(s: View) -> None:
    """Of racing writers with `overwrite=False` one succeeds, the rest get AlreadyExists, its bytes are read."""
    for round_ in range(ROUNDS):
        for kind in ("bytes", "empty", "stream"):
            await _race(s, f"new/{round_}/{kind}", "write", kind)
    if s.supports(Capability.ATOMIC_WRITE):
        await _race(s, "new/atomic", "write_atomic", "bytes")


@check("EXCLUSIVE", needs=[Capability.EXCLUSIVE_CREATE, Capability.ATOMIC_MOVE, Capability.MOVE])
async def one_mover_wins(s: View) -> None:
    """Of racing moves to one name one succeeds, and no content is lost."""
    movers = range(s.workers)
    for index in movers:
        await s.write(f"src/{index}", b"%d" % index)
    results = await s.race([partial(s.move, f"src/{i}", "target") for i in movers])
    won = winner(results, "racing moves to one name")
    equal(await s.read_bytes("target"), b"%d" % won, "content of the target")
    left = sorted([info.name async for info in s.list_files("src")])
    equal(left, sorted(str(index) for index in movers if index != won), "sources that stay")


@check("THREADS", needs=[Capability.DELETE, Capability.LIST])
async def many_callers_share_a_store(s: View) -> None:
    """Many callers on one store each get their own answers."""

    async def work(index: int) -> bool:
        key, data = f"t/{index}/f", b"%d" % index * 100
        for _ in range(4):
            await s.write(key, data, overwrite=True)
            if await s.read_bytes(key) != data or [i.size async for i in s.list_files(f"t/{index}")] != [len(data)]:
                return False
            await s.delete(key)
            try:
                await s.read_bytes(key)
            except NotFound as error:
                if error.path != key:
                    return False
        return True

    results = await s.race([partial(work, i) for i in range(s.workers)])
    equal(results, [True] * s.workers, "answers")
