"""Iterables of bytes as content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store.certify.checks.paths import collect_all
from remote_store.certify.checks.writing import PIECES, SourceFailed
from remote_store.certify.rules import check, equal, refused
from remote_store.certify.view import View

WHOLE = b"".join(PIECES)


def failing(*pieces: bytes) -> Iterator[bytes]:
    """Pieces, then an exception."""
    yield from pieces
    raise SourceFailed


@check("WR.iterable")
async def an_iterable_of_bytes_is_content(s: View) -> None:
    """`write` takes an iterator, or any iterable, of bytes-like chunks, empty ones among them, or none at all."""
    alike: list[Any] = [b"ab", bytearray(b"cd"), memoryview(b"ef")]
    contents: tuple[tuple[str, Iterable[Any], bytes], ...] = (
        ("generator", (piece for piece in PIECES), WHOLE),
        ("list", PIECES, WHOLE),
        ("alike", alike, b"abcdef"),
        ("none", iter(()), b""),
    )
    for path, content, expected in contents:
        result = await s.write(path, content)
        equal(result.size, len(expected), f"size of the result of {path!r}")
        equal(await s.read_bytes(path) == expected, True, f"content of {path!r}")


@check("WR.iterable", needs=[Capability.ATOMIC_WRITE])
async def an_iterable_is_content_of_atomic_writes(s: View) -> None:
    """So does `write_atomic`."""
    equal((await s.write_atomic("f", iter(PIECES))).size, len(WHOLE), "size of the result")
    equal(await s.read_bytes("f") == WHOLE, True, "content")


@check("WR.iterable", needs=[Capability.LIST])
async def a_failing_iterable_leaves_nothing(s: View) -> None:
    """What the iterator raises passes unchanged; no part appears, and the old content stays."""
    await s.write("old", b"old")
    for pieces in ((), (b"x" * 2_000_000,)):
        for path in ("old", "new"):
            write = partial(s.write, path, failing(*pieces), overwrite=True)
            await refused(SourceFailed, write, f"an iterator that fails, to {path!r}")
    equal(await s.read_bytes("old"), b"old", "content after a failed write")
    equal(await collect_all(s), ["old"], "files after failed writes")


@check("WR.iterable")
async def chunks_must_be_bytes(s: View) -> None:
    """Text, and chunks that are no bytes, are refused with a TypeError that says so, and nothing is written."""
    for wrong in (["text"], [b"x", "text"], [1, 2], [None]):
        await refused(TypeError, partial(s.write, "f", wrong), f"writing {wrong!r}", "must yield bytes")
    await refused(TypeError, partial(s.write, "f", "text"), "writing text", "not str")
    equal(await s.exists("f"), False, "the file afterwards")


@check("WR.iterable")
async def content_of_another_store_is_read_while_writing(s: View) -> None:
    """An iterator that itself uses the store is read on the caller's side, and does not block the write."""
    if s.is_async:
        return
    await s.write("a", b"1")
    await s.write("b", (s.store.read_bytes("a") for _ in range(3)))
    equal(await s.read_bytes("b"), b"111", "content that was read while it was written")
