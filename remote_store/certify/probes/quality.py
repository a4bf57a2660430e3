"""Qualities of a method: seeking, laziness, native results."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

from remote_store._capabilities import Capability
from remote_store.aio._store import AsyncStore
from remote_store.certify.bench import MIB, ROUNDS, Bench, probe
from remote_store.certify.rules import Untried, broken, equal, true
from remote_store.certify.traffic import Received, received

LARGE = 24 * MIB
"""What a lazy read is tried with [bytes]: well above what a connection holds on its way."""


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
    piece = os.urandom(MIB)  # A service may compress zeros.
    # Not read to the end, where some close their connection, and its count is gone.
    await b.view.write("f", b.view.stream([piece] * (LARGE // MIB + 1)))
    for _ in range(ROUNDS):  # What others receive may look like a lie, but hardly every time.
        early, late = await _fetched(b)
        if early < LARGE // 2:
            b.saw(f"{early / MIB:.1f} MiB came for the first chunk, {late / MIB:.1f} for the rest of {LARGE // MIB}")
            return
    broken(f"{early / MIB:.1f} MiB came for the first chunk of {LARGE // MIB}, {late / MIB:.1f} for the rest")


async def _fetched(b: Bench) -> tuple[int, int]:
    """Bytes fetched before and after the first chunk of a file was read, by the first count that has the whole."""
    before = await _now(b)
    async with aclosing(b.view.read("f")) as chunks:  # type: ignore[type-var]
        read = len(await anext(chunks, b""))
        first = await _now(b)
        while read < LARGE and (chunk := await anext(chunks, b"")):
            read += len(chunk)
        end = await _now(b)
    if read < LARGE:
        broken(f"the content ended after {read} bytes")
    if not (before and first and end):
        raise Untried("this system does not tell how much a process receives")
    for early, late in zip(first.since(before), end.since(first), strict=True):
        # Half of it twice is the whole and something that others received.
        if early + late >= LARGE and min(early, late) < LARGE // 2:
            return early, late
    raise Untried("no count of this system shows where the content came from")


async def _now(b: Bench) -> Received | None:
    return await asyncio.to_thread(received) if b.view.is_async else received()
