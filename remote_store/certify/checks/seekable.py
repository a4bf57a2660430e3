"""Writers that seek: `open_atomic(seekable=True)`."""

from __future__ import annotations

import io
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, InvalidPath
from remote_store.certify.checks.paths import collect_all
from remote_store.certify.checks.writing import SourceFailed
from remote_store.certify.rules import check, equal, raises, true
from remote_store.certify.view import View

LARGE = b"0123456789abcdef" * (5 << 16)


@check("AW.seekable", Capability.ATOMIC_WRITE)
async def a_seekable_writer_goes_back(s: View) -> None:
    """A writer with `seekable=True` seeks, tells its place, and writes over what it wrote."""
    async with s.open_atomic("a/f", seekable=True) as file:
        await file.write(b".....56789")
        equal((file.tell(), await file.seek(0), file.tell()), (10, 0, 0), "positions")
        await file.write(b"01234")
        equal(
            (await file.seek(-2, io.SEEK_END), await file.seek(1, io.SEEK_CUR)), (8, 9), "seeks from the end, from here"
        )
        equal(await s.exists("a/f"), False, "the file within the block")
    equal((str(file.result.path), file.result.size), ("a/f", 10), "result after the block")
    equal(await s.read_bytes("a/f"), b"0123456789", "content after the block")


@check("AW.seekable", Capability.ATOMIC_WRITE)
async def a_seekable_writer_reads_what_it_wrote(s: View) -> None:
    """It reads back from any place, also what was written long ago."""
    async with s.open_atomic("f", seekable=True) as file:
        await file.write(LARGE)
        await file.seek(16)
        equal(await file.read(4), b"0123", "bytes from the start")
        await file.seek(-3, io.SEEK_END)
        equal((await file.read(), await file.read()), (b"def", b""), "the last bytes")
    equal(await s.read_bytes("f") == LARGE, True, "content after the block")


@check("AW.seekable", Capability.ATOMIC_WRITE)
async def a_seekable_writer_truncates(s: View) -> None:
    """`truncate` cuts the file, or extends it with zeros; so does a write beyond its end."""
    async with s.open_atomic("f", seekable=True) as file:
        await file.write(b"0123456789")
        equal(await file.truncate(4), 4, "size after truncating")
        equal(file.tell(), 10, "position after truncating")
        await file.seek(6)
        await file.write(b"6")
        await file.truncate(9)
    equal(file.result.size, 9, "size in the result")
    equal(await s.read_bytes("f"), b"0123\0\0" + b"6\0\0", "content after the block")


@check("AW.seekable", Capability.ATOMIC_WRITE)
async def a_seekable_block_that_raises_publishes_nothing(s: View) -> None:
    """The block's exception passes unchanged, the old content stays, nothing is left behind."""
    await s.write("old", b"old")
    for path in ("old", "new"):
        try:
            async with s.open_atomic(path, overwrite=True, seekable=True) as file:
                await file.write(LARGE)
                await file.seek(0)
                raise SourceFailed
        except SourceFailed:
            true(file.result is None, "a discarded writer has no result")
    equal(await s.read_bytes("old"), b"old", "content after a block that raised")
    equal(await s.exists("new"), False, "the new file")
    if s.supports(Capability.LIST):
        equal(await collect_all(s), ["old"], "files after blocks that raised")


@check("AW.seekable", Capability.ATOMIC_WRITE)
async def a_seekable_writer_refuses_as_write_does(s: View) -> None:
    """An existing file, the root, and where names are one thing a folder, are refused; `overwrite=True` replaces."""
    await s.write("d/f", b"1")

    async def attempt(path: str, **options: Any) -> None:
        async with s.open_atomic(path, seekable=True, **options) as file:
            await file.write(b"2")

    await raises(AlreadyExists, attempt("d/f"), "a seekable writer over a file", "already exists")
    await raises(InvalidPath, attempt(""), "a seekable writer on the root", "must not be empty")
    if s.hierarchical:
        await raises(InvalidPath, attempt("d", overwrite=True), "a seekable writer on a folder")
    equal(await s.read_bytes("d/f"), b"1", "the file afterwards")
    await attempt("d/f", overwrite=True)
    equal(await s.read_bytes("d/f"), b"2", "the file once it was replaced")


@check("AW.seekable", Capability.ATOMIC_WRITE)
async def an_empty_seekable_block_makes_an_empty_file(s: View) -> None:
    """A block that writes nothing makes an empty file."""
    async with s.open_atomic("f", seekable=True):
        pass
    equal(await s.read_bytes("f"), b"", "content of a file that nothing was written to")
