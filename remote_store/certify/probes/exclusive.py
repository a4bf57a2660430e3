"""Who may write: files that another client makes or replaces while content is on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, PreconditionFailed
from remote_store.certify.rules import MIB, broken, equal, probe, raises
from remote_store.certify.view import View

SMALL = 10
LARGEST = 64 * MIB
"""No more than this is sent to see how an upload in parts ends [bytes]."""


def _sizes(s: View) -> tuple[int, int]:
    """Content of one request, and of more than one, whose last is the end of an upload in parts [bytes]."""
    part: int = getattr(getattr(s.store.backend.identity, "driver", None), "part_size", 0)
    return SMALL, max(9 * MIB, min(part + MIB, LARGEST))


@probe(Capability.EXCLUSIVE_CREATE, Capability.WRITE, Capability.READ)
async def a_file_made_meanwhile_is_kept(s: View) -> str:
    """A creator whose target appears while its content is read is refused by the service."""
    ways = ["write", "write_atomic", "open_atomic"] if s.supports(Capability.ATOMIC_WRITE) else ["write"]
    sizes = _sizes(s)
    for way in ways:
        for size in sizes:
            await _late_creator(s, way, size)
    names = ", ".join(ways)
    return f"files that another client made while {sizes[0]} or {sizes[1]} bytes were on their way were kept: {names}"


async def _late_creator(s: View, way: str, size: int) -> None:
    key = f"{way}-{size}"
    try:
        await _write_slowly(s, way, key, b"x" * size, partial(s.other.write, key, b"theirs"))
    except AlreadyExists:
        pass
    else:
        broken(f"{way} with overwrite=False, of {size} bytes, replaced a file that another client made meanwhile")
    equal(await s.other.read_bytes(key), b"theirs", "content after the refused write")


async def _write_slowly(s: View, way: str, key: str, data: bytes, meanwhile: Callable[[], Awaitable[object]]) -> None:
    if way != "open_atomic":
        await getattr(s, way)(key, s.stream([data, meanwhile, b"more"]))
        return
    async with s.open_atomic(key) as file:
        await file.write(data)
        await meanwhile()
        await file.write(b"more")


@probe(Capability.CONDITIONAL_WRITE, Capability.WRITE, Capability.READ, Capability.METADATA)
async def a_file_replaced_meanwhile_is_kept(s: View) -> str:
    """A write with `if_match` whose target is replaced while its content is read is refused by the service."""
    await s.write("f", b"0")
    sizes = _sizes(s)
    for size in sizes:
        etag = (await s.get_file_info("f")).etag
        theirs = b"theirs, beside %d bytes" % size
        slow = s.stream([b"x" * size, partial(s.other.write, "f", theirs, overwrite=True), b"more"])
        what = f"a write of {size} bytes with if_match, whose target another client replaced meanwhile"
        await raises(PreconditionFailed, s.write("f", slow, if_match=etag), what)
        equal(await s.read_bytes("f"), theirs, "content after it")
    return f"a file that another client replaced while {sizes[0]} or {sizes[1]} bytes were on their way was kept"
