"""Exclusive creation: of many racing creators one wins."""

from __future__ import annotations

from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, NotFound
from remote_store.certify.rules import check, equal
from remote_store.certify.view import View


async def _race(s: View, key: str, method: str, streamed: bool) -> None:
    contents = [b"%d" % index * 1000 for index in range(s.workers)]
    write = getattr(s, method)
    results = await s.race([partial(write, key, s.stream([data]) if streamed else data) for data in contents])
    winners = [index for index, result in enumerate(results) if not isinstance(result, BaseException)]
    equal(len(winners), 1, f"winners of a race to create {key!r}: {results}")
    losers = {type(result) for result in results if isinstance(result, BaseException)}
    equal(losers, {AlreadyExists}, "what the losers got")
    equal(await s.read_bytes(key), contents[winners[0]], "the winner's content")


@check("EXCLUSIVE", Capability.EXCLUSIVE_CREATE)
async def one_creator_wins(s: View) -> None:
    """Of racing writers with `overwrite=False` one succeeds, the rest get AlreadyExists, its bytes are read."""
    for round_ in range(2):
        await _race(s, f"new/{round_}/bytes", "write", False)
        await _race(s, f"new/{round_}/stream", "write", True)
    if s.supports(Capability.ATOMIC_WRITE):
        await _race(s, "new/atomic", "write_atomic", False)


@check("EXCLUSIVE", Capability.EXCLUSIVE_CREATE, Capability.ATOMIC_MOVE, Capability.MOVE)
async def one_mover_wins(s: View) -> None:
    """Of racing moves to one name one succeeds, and no content is lost."""
    movers = range(s.workers)
    for index in movers:
        await s.write(f"src/{index}", b"%d" % index)
    results = await s.race([partial(s.move, f"src/{i}", "target") for i in movers])
    winners = [index for index, result in enumerate(results) if result is None]
    equal(len(winners), 1, f"winners of a race to move: {results}")
    equal(await s.read_bytes("target"), b"%d" % winners[0], "content of the target")
    left = sorted([info.name async for info in s.list_files("src")])
    equal(left, sorted(str(index) for index in movers if index != winners[0]), "sources that stay")


@check("THREADS", Capability.DELETE, Capability.LIST)
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
