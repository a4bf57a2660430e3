"""How well a method does what it does: seeking, laziness, native results."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

from remote_store._capabilities import Capability
from remote_store.aio._store import AsyncStore
from remote_store.certify.rules import MIB, Untried, broken, equal, probe, true
from remote_store.certify.traffic import Received, received
from remote_store.certify.view import View

ATTEMPTS = 3
LARGE = 24 * MIB
"""What a lazy read is tried with [bytes]: well above what the buffers of a connection hold."""


@probe(Capability.WRITE_RESULT_NATIVE, Capability.WRITE, Capability.METADATA)
async def a_write_result_is_what_is_described_then(s: View) -> str:
    """Etag, time and digest of a write's own result are those that `get_file_info` gives."""
    for name, data in (("bytes", b"1"), ("stream", s.stream([b"1" * 1000]))):
        result = await s.write(name, data)
        info = await s.get_file_info(name)
        equal(result.source, "native", f"source of the result of writing {name}")
        true(result.etag, f"the result of writing {name} has no etag")
        equal(result.etag, info.etag, f"etag of the result of writing {name}, against get_file_info")
        if result.last_modified is not None:
            equal(result.last_modified, info.modified_at, "its time, against get_file_info")
        if result.digest is not None:
            equal(result.digest, info.digest, "its digest, against get_file_info")
    return "the results of writing bytes and a stream had the etag that get_file_info then gave"


@probe(Capability.SEEKABLE_READ, Capability.WRITE, Capability.READ)
async def the_stream_of_read_seeks(s: View) -> str:
    """The stream of `read` goes to any position."""
    if isinstance(s.store, AsyncStore):
        raise Untried("an async read is an iterator; read_seekable seeks")
    await s.write("f", b"0123456789")
    with s.store.read("f") as stream:
        true(stream.seekable(), "the stream of read() says that it does not seek")
        equal(stream.read(3), b"012", "its first bytes")
        stream.seek(-2, 2)
        equal(stream.read(), b"89", "its end")
        stream.seek(1)
        equal((stream.read(2), stream.tell()), (b"12", 3), "bytes 1 to 3, and the position")
    return "the stream of read() went to its end and back"


@probe(Capability.LAZY_READ, Capability.WRITE, Capability.READ)
async def a_read_fetches_as_it_goes(s: View) -> str:
    """The first chunk of a large file comes without most of the rest."""
    piece = os.urandom(MIB)  # A service may compress zeros.
    # Not read to the end, where some close their connection, and its count is gone.
    await s.write("f", s.stream([piece] * (LARGE // MIB + 1)))
    seen = ""
    for _ in range(ATTEMPTS):  # Other processes' traffic may be counted too, but hardly every time.
        if (fetched := await _fetched(s)) is None:
            continue
        early, late = fetched
        seen = f"{early / MIB:.1f} MiB came for the first chunk, {late / MIB:.1f} for the rest of {LARGE // MIB}"
        if early < LARGE // 2:
            return seen
    if not seen:
        raise Untried("no count of this system shows where the content came from")
    broken(seen)


async def _fetched(s: View) -> tuple[int, int] | None:
    """Bytes fetched before and after the first chunk of a file was read, by the first count that has just the file."""
    before = await _now(s)
    async with aclosing(s.read("f")) as chunks:  # type: ignore[type-var]
        read = len(await anext(chunks, b""))
        first = await _now(s)
        while read < LARGE and (chunk := await anext(chunks, b"")):
            read += len(chunk)
        end = await _now(s)
    if read < LARGE:
        broken(f"the content ended after {read} bytes")
    if not (before and first and end):
        raise Untried("this system does not tell how much a process receives")
    for early, late in zip(first.since(before), end.since(first), strict=True):
        # What has much more, or two large halves, has other processes' traffic in it.
        if LARGE <= early + late < LARGE * 5 // 4 and min(early, late) < LARGE // 2:
            return early, late
    return None


async def _now(s: View) -> Received | None:
    return await asyncio.to_thread(received) if s.is_async else received()
