"""Writers that seek: `open_atomic(seekable=True)`."""

from __future__ import annotations

import io

from remote_store._capabilities import Capability
from remote_store.certify.rules import check, equal
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
