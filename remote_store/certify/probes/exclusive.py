"""Who may write: files that another client makes or replaces while content is on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, PreconditionFailed
from remote_store.certify.rules import MIB, broken, equal, probe, raises
from remote_store.certify.view import View

Meanwhile = Callable[[], Awaitable[object]]


@probe(Capability.EXCLUSIVE_CREATE, Capability.WRITE, Capability.READ)
async def a_file_made_meanwhile_is_kept(s: View) -> str:
    """A creator whose target appears while its content is read is refused by the service."""
    ways = [_write, _write_atomic, _open_atomic] if s.supports(Capability.ATOMIC_WRITE) else [_write]
    sizes = (10, 9 * MIB)
    for way in ways:
        for size in sizes:
            await _late_creator(s, way, size)
    names = ", ".join(_name(way) for way in ways)
    return f"files that another client made while {sizes[0]} or {sizes[1]} bytes were on their way were kept: {names}"


async def _write(s: View, key: str, data: bytes, meanwhile: Meanwhile) -> None:
    await s.write(key, s.stream([data, meanwhile, b"more"]))


async def _write_atomic(s: View, key: str, data: bytes, meanwhile: Meanwhile) -> None:
    await s.write_atomic(key, s.stream([data, meanwhile, b"more"]))


async def _open_atomic(s: View, key: str, data: bytes, meanwhile: Meanwhile) -> None:
    async with s.open_atomic(key) as file:
        await file.write(data)
        await meanwhile()
        await file.write(b"more")


def _name(way: Callable[..., Awaitable[None]]) -> str:
    return way.__name__.strip("_")


async def _late_creator(s: View, way: Callable[..., Awaitable[None]], size: int) -> None:
    key = f"{_name(way)}-{size}"
    try:
        await way(s, key, b"x" * size, partial(s.other.write, key, b"theirs"))
    except AlreadyExists:
        pass
    else:
        broken(
            f"{_name(way)} with overwrite=False, of {size} bytes, replaced a file that another client made meanwhile"
        )
    equal(await s.other.read_bytes(key), b"theirs", "content after the refused write")


@probe(Capability.CONDITIONAL_WRITE, Capability.WRITE, Capability.READ, Capability.METADATA)
async def a_file_replaced_meanwhile_is_kept(s: View) -> str:
    """A write with `if_match` whose target is replaced while its content is read is refused by the service."""
    await s.write("f", b"0")
    etag = (await s.get_file_info("f")).etag
    slow = s.stream([b"1", partial(s.other.write, "f", b"theirs", overwrite=True), b"1"])
    await raises(PreconditionFailed, s.write("f", slow, if_match=etag), "a write whose target was replaced meanwhile")
    equal(await s.read_bytes("f"), b"theirs", "content after it")
    return "a file that another client replaced while the content was on its way was kept"
