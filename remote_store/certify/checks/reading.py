"""Reading: whole, streamed, ranged, seeking."""

from __future__ import annotations

from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, NotFound
from remote_store.certify.rules import check, content, equal, raises, refused, true
from remote_store.certify.view import View

BIG = bytes(range(256)) * 4096 * 3


@check("SIO", Capability.READ)
async def content_comes_back_byte_for_byte(s: View) -> None:
    """Empty, small and large content comes back whole from every way of reading."""
    for key, data in (("empty", b""), ("small", b"\0\r\n\xff"), ("big", BIG)):
        await s.write(key, data)
        equal(await s.read_bytes(key) == data, True, f"read_bytes({key!r})")
        equal(await content(s, key) == data, True, f"read({key!r})")
        async with await s.read_seekable(key) as stream:
            equal(await stream.read() == data, True, f"read_seekable({key!r})")


@check("SIO", Capability.READ)
async def text_is_encoded_as_asked(s: View) -> None:
    """`write_text` and `read_text` use the encoding and error handling given."""
    equal((await s.write_text("t", "grüße")).size, 7, "size of UTF-8 text [bytes]")
    equal(await s.read_text("t"), "grüße", "UTF-8 text")
    await s.write_text("l", "grüße", encoding="latin-1")
    equal(await s.read_text("l", encoding="latin-1"), "grüße", "Latin-1 text")
    equal(await s.read_text("l", errors="replace"), "gr\ufffd\ufffde", "text with errors replaced")


@check("OPS.read_range", Capability.READ)
async def ranges_are_half_open(s: View) -> None:
    """`read_range` gives `[start, end)`, less where the file ends, and refuses what is no range."""
    await s.write("f", b"0123456789")
    for start, end in ((0, 10), (2, 5), (5, 5), (8, 100), (10, 20), (50, 60)):
        equal(await s.read_range("f", start, end), b"0123456789"[start:end], f"range [{start}, {end})")
    for start, end in ((-1, 3), (3, 2)):
        await refused(ValueError, partial(s.read_range, "f", start, end), f"range [{start}, {end})")
    for start, end in ((0, 1), (0, 0)):
        await raises(NotFound, s.read_range("missing", start, end), "range of a missing file", "not found")


@check("SIO.read_seekable", Capability.READ)
async def seekable_reads_seek(s: View) -> None:
    """`read_seekable` seeks from the start, from here and from the end, on every backend."""
    await s.write("f", BIG)
    async with await s.read_seekable("f") as stream:
        equal(await stream.seek(1000), 1000, "seek from the start")
        equal(await stream.read(10) == BIG[1000:1010], True, "content after a seek")
        equal(await stream.seek(-5, 2), len(BIG) - 5, "seek from the end")
        equal(await stream.read(100) == BIG[-5:], True, "content at the end")
        await stream.seek(10)
        equal(await stream.seek(5, 1), 15, "seek from here")
        equal(await stream.read(2) == BIG[15:17], True, "content after a relative seek")


@check("ERR.read", Capability.READ)
async def a_missing_file_is_not_found(s: View) -> None:
    """Reading what is not there, or what would be below a file, is NotFound."""
    await s.write("file", b"1")
    for path in ("missing", "no/such/folder/x", "file/below"):
        for call in (s.read, s.read_bytes, s.read_text, s.read_seekable):
            error = await refused(NotFound, partial(call, path), f"reading {path!r}", "not found")
            equal(error.path, path, "path of the error")


@check("ERR.read", Capability.READ)
async def a_folder_is_not_read(s: View) -> None:
    """Reading a folder is InvalidPath."""
    await s.write("folder/x", b"1")
    for call in (s.read, s.read_bytes, s.read_text, s.read_seekable):
        await refused(InvalidPath, partial(call, "folder"), "reading a folder", "exists as a directory")
    await refused(InvalidPath, partial(s.read_range, "folder", 0, 1), "a range of a folder", "exists as a directory")


@check("ERR.builtin")
async def errors_are_builtins_too(s: View) -> None:
    """NotFound is a FileNotFoundError and AlreadyExists a FileExistsError, with their errno."""
    error = await raises(NotFound, s.read_bytes("missing"), "reading what is missing")
    true(isinstance(error, FileNotFoundError) and error.errno, "NotFound is a FileNotFoundError with errno")


@check("RULE-9", Capability.READ)
async def what_was_written_last_is_read(s: View) -> None:
    """A read sees the last write, never an older one."""
    for round_ in range(5):
        await s.write("f", str(round_).encode(), overwrite=True)
        equal(await s.read_bytes("f"), str(round_).encode(), "content after overwriting")
        equal(await content(s, "f"), str(round_).encode(), "streamed content after overwriting")
