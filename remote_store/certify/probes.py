"""How each capability is tried: not by asking, but by doing what would go wrong without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, NotFound, PreconditionFailed
from remote_store.aio._store import AsyncStore
from remote_store.certify.rules import broken, collect, content, equal, raises, true
from remote_store.certify.traffic import received
from remote_store.certify.view import View

MIB = 1 << 20
ROUNDS = 3
LARGE = 24 * MIB
"""What a lazy read is tried with [bytes]: well above what a connection holds on its way."""


class Untried(Exception):
    """A capability cannot be tried on this store."""


@dataclass
class Bench:
    """A place to try one capability.

    Args:
        view: an empty folder of the store, behind every gate.
        other: the same folder as another client sees it.
        workers: how many callers race.
        evidence: what was done, and what came back.
    """

    view: View
    other: View
    workers: int
    evidence: list[str] = field(default_factory=list)

    def saw(self, what: str) -> None:
        """Note what was done, and what came back."""
        self.evidence.append(what)

    def needs(self, *capabilities: Capability) -> None:
        """Give up where the store lacks what is needed to look at the outcome."""
        for capability in capabilities:
            if not self.view.supports(capability):
                raise Untried(f"it takes {capability.name} to see")


Probe = Callable[[Bench], Awaitable[None]]
PROBES: dict[Capability, Probe] = {}
"""How each capability is tried; a probe raises RuleBroken where it does not hold."""


def probe(capability: Capability) -> Callable[[Probe], Probe]:
    """Register the probe of a capability."""

    def register(body: Probe) -> Probe:
        PROBES[capability] = body
        return body

    return register


@probe(Capability.READ)
async def _read(b: Bench) -> None:
    b.needs(Capability.WRITE)
    await b.view.write("f", b"0123456789")
    equal(await b.view.read_bytes("f"), b"0123456789", "read_bytes")
    equal(await content(b.view, "f"), b"0123456789", "read")
    equal(await b.view.read_range("f", 2, 5), b"234", "read_range(2, 5)")
    async with await b.view.read_seekable("f") as stream:
        await stream.seek(-2, 2)
        equal(await stream.read(), b"89", "the end of read_seekable")
    b.saw("10 bytes written came back from read, read_bytes, read_range and read_seekable")


@probe(Capability.WRITE)
async def _write(b: Bench) -> None:
    b.needs(Capability.READ)
    for name, data in (("bytes", b"data"), ("empty", b""), ("stream", b.view.stream([b"da", b"ta"]))):
        expected = b"" if name == "empty" else b"data"
        equal((await b.view.write(f"d/{name}", data)).size, len(expected), "size in the result of write")
        equal(await b.view.read_bytes(f"d/{name}"), expected, f"content after writing {name}")
    await raises(AlreadyExists, b.view.write("d/bytes", b"new"), "write over a file")
    await b.view.write("d/bytes", b"new", overwrite=True)
    equal(await b.view.read_bytes("d/bytes"), b"new", "content after overwrite=True")
    b.saw("bytes, nothing and a stream were written below a new folder, and read back; overwrite=False refused")


@probe(Capability.DELETE)
async def _delete(b: Bench) -> None:
    b.needs(Capability.WRITE)
    for name in ("f", "d/a", "d/e/b"):
        await b.view.write(name, b"1")
    await b.view.delete("f")
    await b.view.delete_folder("d", recursive=True)
    left = [name for name in ("f", "d/a", "d/e/b", "d") if await b.view.exists(name)]
    equal(left, [], "what is there after delete and delete_folder(recursive=True)")
    await raises(NotFound, b.view.delete("f"), "a second delete")
    b.saw("a file and a folder were deleted; the second delete said NotFound")


@probe(Capability.LIST)
async def _list(b: Bench) -> None:
    b.needs(Capability.WRITE)
    for name in ("a", "d/b", "d/e/c"):
        await b.view.write(name, b"1")
    equal(await collect(b.view.list_files("", recursive=True)), ["a", "d/b", "d/e/c"], "list_files(recursive=True)")
    equal(await collect(b.view.list_files("d")), ["d/b"], "list_files('d')")
    equal(await collect(b.view.list_folders("")), ["d"], "list_folders('')")
    b.saw("three files in three folders were listed, all and by folder")


@probe(Capability.GLOB)
async def _glob(b: Bench) -> None:
    b.needs(Capability.WRITE)
    for name in ("a.csv", "d/b.csv", "d/c.txt"):
        await b.view.write(name, b"1")
    equal(await collect(b.view.glob("*.csv")), ["a.csv"], "glob('*.csv')")
    equal(await collect(b.view.glob("**/*.csv")), ["a.csv", "d/b.csv"], "glob('**/*.csv')")
    b.saw("* stayed in its folder, ** did not")


@probe(Capability.METADATA)
async def _metadata(b: Bench) -> None:
    b.needs(Capability.WRITE)
    await b.view.write("d/f", b"12345")
    info = await b.view.get_file_info("d/f")
    equal((str(info.path), info.size), ("d/f", 5), "path and size of get_file_info")
    folder = await b.view.get_folder_info("d")
    equal((folder.file_count, folder.total_size), (1, 5), "get_folder_info")
    b.saw(f"5 bytes were described: etag {info.etag}, modified {info.modified_at:%Y-%m-%d %H:%M:%S}")


@probe(Capability.MOVE)
async def _move(b: Bench) -> None:
    await _transfer(b, "move", [False, True])


@probe(Capability.COPY)
async def _copy(b: Bench) -> None:
    await _transfer(b, "copy", [True, True])


async def _transfer(b: Bench, verb: str, there: list[bool]) -> None:
    b.needs(Capability.WRITE, Capability.READ)
    await b.view.write("src", b"data")
    await getattr(b.view, verb)("src", "d/dst")
    equal([await b.view.exists("src"), await b.view.exists("d/dst")][1], True, "the target is there")
    equal(await b.view.exists("src"), there[0], "the source is there")
    equal(await b.view.read_bytes("d/dst"), b"data", "content of the target")
    await b.view.write("new", b"new")
    await raises(AlreadyExists, getattr(b.view, verb)("new", "d/dst"), f"{verb} over a file")
    equal(await b.view.read_bytes("d/dst"), b"data", "content of the target afterwards")
    b.saw(f"{verb} gave the target the content, and refused to replace a file")


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
            async for turn in _for_a_while():
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

    return sum(_results(await b.view.race([replace, read, read])))


async def _for_a_while() -> AsyncIterator[int]:
    """Count for half a second, and to 20 at least: what is rare may show in the next attempt."""
    end, count = time.monotonic() + 0.5, 0
    while count < 20 or time.monotonic() < end:
        yield count
        count += 1


def _results(outcomes: list[Any]) -> list[Any]:
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


@probe(Capability.EXCLUSIVE_CREATE)
async def _exclusive_create(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ)
    for size in (10, 9 * MIB):
        await _late_creator(b, f"late/{size}", b"x" * size)
    for round_ in range(ROUNDS):
        for kind in ("bytes", "empty", "stream"):
            await _race(b, f"race/{round_}/{kind}", kind)
    b.saw(
        f"{b.workers} racing creators had one winner and {b.workers - 1} AlreadyExists, in each of {3 * ROUNDS} races"
    )


async def _late_creator(b: Bench, key: str, data: bytes) -> None:
    """A creator whose target appears while its content is read must be told by the service."""
    meanwhile = b.view.stream([data, partial(b.other.write, key, b"theirs"), b"more"])
    try:
        await b.view.write(key, meanwhile)
    except AlreadyExists:
        pass
    else:
        broken(f"a write with overwrite=False of {len(data)} bytes replaced a file that another client made meanwhile")
    equal(await b.other.read_bytes(key), b"theirs", "content after the refused write")
    b.saw(f"a file made while {len(data)} bytes were on their way was kept: the service refused the write")


async def _race(b: Bench, key: str, kind: str) -> None:
    contents = [b"" if kind == "empty" else b"%d" % index * 1000 for index in range(b.workers)]
    views = [b.view, b.other]

    def start(index: int) -> Awaitable[Any]:
        view, data = views[index % 2], contents[index]
        written: Awaitable[Any] = view.write(key, view.stream([data]) if kind == "stream" else data)
        return written

    outcomes = await b.view.race([partial(start, index) for index in range(b.workers)])
    winners = [index for index, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    if len(winners) != 1:
        broken(f"{len(winners)} of {b.workers} racing creators of one key were told that they won ({kind})")
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
    race = [partial(b.view.write, "f", b"w%d" % index, if_match=current) for index in range(b.workers)]
    winners = [outcome for outcome in await b.view.race(race) if not isinstance(outcome, BaseException)]
    equal(len(winners), 1, f"winners of {b.workers} racing writers with one etag")
    b.saw(f"of {b.workers} racing writers with one etag one won")


@probe(Capability.USER_METADATA)
async def _user_metadata(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.METADATA)
    given = {"owner": "team a", "run": "42"}
    await b.view.write("f", b"1", metadata=given)
    equal((await b.other.get_file_info("f")).metadata, given, "metadata of get_file_info")
    for verb, capability in (("copy", Capability.COPY), ("move", Capability.MOVE)):
        if b.view.supports(capability):
            await getattr(b.view, verb)("f", verb)
            equal((await b.other.get_file_info(verb)).metadata, given, f"metadata after {verb}")
            b.saw(f"it went along with {verb}")
    await b.view.write("g", b"1")
    true(not (await b.view.get_file_info("g")).metadata, "a file without metadata has some")
    b.saw("two entries came back as they were written")


@probe(Capability.WRITE_RESULT_NATIVE)
async def _native_result(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.METADATA)
    for name, data in (("bytes", b"1"), ("stream", b.view.stream([b"1" * 1000]))):
        result = await b.view.write(name, data)
        info = await b.view.get_file_info(name)
        equal(result.source, "native", f"source of the result of writing {name}")
        true(result.etag, f"the result of writing {name} has no etag")
        equal(result.etag, info.etag, f"etag of the result of writing {name}, against get_file_info")
        if result.last_modified is not None:
            equal(result.last_modified, info.modified_at, "its time, against get_file_info")
        if result.digest is not None:
            equal(result.digest, info.digest, "its digest, against get_file_info")
    b.saw("the results of a put and of a stream had the etag that get_file_info then told")


@probe(Capability.ATOMIC_MOVE)
async def _atomic_move(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ, Capability.MOVE)
    await b.view.write("0", bytes(100_000))
    moves = await _watched_moves(b.view, b.other)
    equal(len(await b.view.read_bytes(str(moves))), 100_000, "size of the file that was moved")
    b.saw(f"in {moves} moves no moment was seen that showed both names")


async def _watched_moves(view: View, other: View) -> int:
    """Move a file from 0 to 1 to 2 and so on, while others look at the two names of the current move."""
    turn, done = 0, False
    # One listing of a flat namespace is one moment; reading a folder of nodes is not.
    flat = not view.hierarchical and other.supports(Capability.LIST)

    async def move() -> None:
        nonlocal turn, done
        try:
            async for turn in _for_a_while():
                await view.move(str(turn), str(turn + 1))
                await view.pause()
        finally:
            done = True

    async def watch() -> None:
        while not done:
            src, dst = str(turn), str(turn + 1)
            if flat and len(await collect(other.list_files(""))) == 2:
                broken("a listing showed both names: the move is a copy, then a delete")
            # A name that it left it never has again.
            if await other.is_file(dst) and await other.is_file(src):
                broken("a moment showed both names: the move is a copy, then a delete")
            await view.pause()

    _results(await view.race([watch, watch, watch, move]))
    return turn + 1


@probe(Capability.SEEKABLE_READ)
async def _seekable_read(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ)
    if isinstance(b.view.store, AsyncStore):
        raise Untried("an async read is an iterator; read_seekable seeks")
    await b.view.write("f", b"0123456789")
    with b.view.store.read("f") as stream:
        true(stream.seekable(), "the stream of read() says that it does not seek")
        equal(stream.read(3), b"012", "its first bytes")
        stream.seek(-2, 2)
        equal(stream.read(), b"89", "its end")
        stream.seek(1)
        equal((stream.read(2), stream.tell()), (b"12", 3), "bytes 1 to 3, and the position")
    b.saw("the stream of read() went to its end and back")


@probe(Capability.LAZY_READ)
async def _lazy_read(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.READ)
    await b.view.write("f", b.view.stream([bytes(MIB)] * (LARGE // MIB)))
    before = await asyncio.to_thread(received) if b.view.is_async else received()
    async with aclosing(b.view.read("f")) as chunks:  # type: ignore[type-var]
        first = await anext(chunks)
        after = await asyncio.to_thread(received) if b.view.is_async else received()
    taken = after.since(before)
    if taken is None:
        raise Untried("this system does not tell how much a process receives")
    if taken > LARGE // 2:
        broken(f"{taken / MIB:.1f} MiB were fetched for the first {len(first)} bytes of {LARGE // MIB} MiB")
    b.saw(f"{taken / MIB:.1f} MiB of {LARGE // MIB} were on their way when the first {len(first)} bytes were read")
