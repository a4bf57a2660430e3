"""Who may write: exclusive creation and conditional writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, PreconditionFailed
from remote_store.certify.bench import MIB, ROUNDS, Bench, probe
from remote_store.certify.rules import broken, equal, raises, true
from remote_store.certify.view import View

Meanwhile = Callable[[], Awaitable[object]]


@probe(Capability.EXCLUSIVE_CREATE)
async def _exclusive_create(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ)
    ways = [_write, _write_atomic, _open_atomic] if b.view.supports(Capability.ATOMIC_WRITE) else [_write]
    for way in ways:
        for size in (10, 9 * MIB):
            await _late_creator(b, way, size)
    for round_ in range(ROUNDS):
        for kind in ("bytes", "empty", "stream"):
            await _race(b, f"race/{round_}/{kind}", kind)
    rivals = b.view.workers - 1
    b.saw(f"{rivals + 1} racing creators had one winner and {rivals} AlreadyExists, in each of {3 * ROUNDS} races")


async def _write(view: View, key: str, data: bytes, meanwhile: Meanwhile) -> None:
    await view.write(key, view.stream([data, meanwhile, b"more"]))


async def _write_atomic(view: View, key: str, data: bytes, meanwhile: Meanwhile) -> None:
    await view.write_atomic(key, view.stream([data, meanwhile, b"more"]))


async def _open_atomic(view: View, key: str, data: bytes, meanwhile: Meanwhile) -> None:
    async with view.open_atomic(key) as file:
        await file.write(data)
        await meanwhile()
        await file.write(b"more")


async def _late_creator(b: Bench, way: Callable[..., Awaitable[None]], size: int) -> None:
    """A creator whose target appears while its content is read must be told by the service."""
    name = way.__name__.strip("_")
    key = f"late/{name}-{size}"
    try:
        await way(b.view, key, b"x" * size, partial(b.other.write, key, b"theirs"))
    except AlreadyExists:
        pass
    else:
        broken(f"{name} with overwrite=False, of {size} bytes, replaced a file that another client made meanwhile")
    equal(await b.other.read_bytes(key), b"theirs", "content after the refused write")
    b.saw(f"{name}: a file made while {size} bytes were on their way was kept: the service refused the write")


async def _race(b: Bench, key: str, kind: str) -> None:
    contents = [b"" if kind == "empty" else b"%d" % index * 1000 for index in range(b.view.workers)]
    views = [b.view, b.other]

    def start(index: int) -> Awaitable[Any]:
        view, data = views[index % 2], contents[index]
        written: Awaitable[Any] = view.write(key, view.stream([data]) if kind == "stream" else data)
        return written

    outcomes = await b.view.race([partial(start, index) for index in range(b.view.workers)])
    winners = [index for index, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    if len(winners) != 1:
        broken(f"{len(winners)} of {b.view.workers} racing creators of one key were told that they won ({kind})")
    losers = {type(outcome).__name__ for outcome in outcomes if isinstance(outcome, BaseException)}
    equal(losers, {"AlreadyExists"}, "what the losers of a race were told")
    equal(await b.other.read_bytes(key), contents[winners[0]], "the winner's content")


@probe(Capability.CONDITIONAL_WRITE)
async def _conditional_write(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ, Capability.METADATA)
    await b.view.write("f", b"0")
    first = (await b.view.get_file_info("f")).etag
    true(first, "get_file_info gives no etag to compare with")
    await b.view.write("f", b"1", if_match=first)
    await raises(PreconditionFailed, b.view.write("f", b"2", if_match=first), "a write with a stale etag")
    equal(await b.view.read_bytes("f"), b"1", "content after it")
    await raises(PreconditionFailed, b.view.write("none", b"2", if_match=first), "a write to what is not there")
    b.saw("a current etag replaced, a stale one and one of a missing file did not")
    current = (await b.view.get_file_info("f")).etag
    slow = b.view.stream([b"3", partial(b.other.write, "f", b"theirs", overwrite=True), b"3"])
    await raises(PreconditionFailed, b.view.write("f", slow, if_match=current), "a write overtaken on its way")
    equal(await b.view.read_bytes("f"), b"theirs", "content after it")
    b.saw("so did an etag that was overtaken while the content was on its way")
    current = (await b.view.get_file_info("f")).etag
    race = [partial(b.view.write, "f", b"w%d" % index, if_match=current) for index in range(b.view.workers)]
    winners = [outcome for outcome in await b.view.race(race) if not isinstance(outcome, BaseException)]
    equal(len(winners), 1, f"winners of {b.view.workers} racing writers with one etag")
    b.saw(f"of {b.view.workers} racing writers with one etag one won")
