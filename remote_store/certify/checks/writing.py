"""Writing: results, refusals in their order, nothing half done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, InvalidPath
from remote_store.certify.checks.paths import collect_all
from remote_store.certify.rules import check, equal, raises, refused, true
from remote_store.certify.view import View

PIECES = [b"a" * 100_000, b"", b"b" * 3_000_000, b"c"]
WHOLE = b"".join(PIECES)


class SourceFailed(Exception):
    """What the caller's own content raises in these checks."""


def failing(*pieces: bytes) -> Iterator[bytes]:
    """Pieces, then an exception."""
    yield from pieces
    raise SourceFailed


@check("BE-009", Capability.WRITE)
async def parents_are_created(s: View) -> None:
    """A write creates the folders above it."""
    await s.write("a/b/c/d.txt", b"1")
    equal(await s.is_folder("a/b/c"), True, "the folder above a new file")


@check("WR.size", Capability.WRITE)
async def the_result_tells_what_was_written(s: View) -> None:
    """Path, size in bytes, streams included, and the source of the rest."""
    native = s.supports(Capability.WRITE_RESULT_NATIVE)
    for key, content, size in (("b", b"12345", 5), ("e", b"", 0), ("s", s.stream(PIECES), 3_100_001)):
        result = await s.write(f"d/{key}", content)
        equal((str(result.path), result.size), (f"d/{key}", size), "path and size of a write result")
        equal(result.source, "native" if native else "basic", "source of a write result")
        rich = (result.etag, result.version_id, result.digest, result.last_modified)
        true(result.etag if native else rich == (None,) * 4, f"rich fields of a {result.source} result: {rich}")
        equal(len(await s.read_bytes(f"d/{key}")), size, "size of what is read back")


@check("WR.overwrite", Capability.WRITE)
async def an_existing_file_is_kept_unless_overwriting(s: View) -> None:
    """`overwrite=False` on an existing file is AlreadyExists and changes nothing; `overwrite=True` replaces it."""
    await s.write("f", b"old content")
    for content in (b"new", b"", s.stream([b"new"])):
        error = await raises(AlreadyExists, s.write("f", content), "writing over a file", "already exists")
        equal(error.path, "f", "path of the error")
        equal(await s.read_bytes("f"), b"old content", "content after a refused write")
    await s.write("f", b"new", overwrite=True)
    equal(await s.read_bytes("f"), b"new", "content after overwriting")
    await s.write("fresh", b"1", overwrite=True)
    equal(await s.read_bytes("fresh"), b"1", "content of a new file written with overwrite=True")


@check("BE-008", Capability.WRITE, hierarchical=True)
async def a_folder_is_not_written_over(s: View) -> None:
    """Writing to a folder is InvalidPath, whether or not it may overwrite."""
    await s.write("d/x", b"1")
    for overwrite in (False, True):
        for content in (b"1", s.stream([b"1"])):
            await raises(InvalidPath, s.write("d", content, overwrite=overwrite), "writing to a folder", "directory")
    equal(await s.read_bytes("d/x"), b"1", "a file in the folder afterwards")


@check("BE-008", Capability.WRITE, hierarchical=True)
async def nothing_is_written_below_a_file(s: View) -> None:
    """Writing below a file is InvalidPath, at any depth, and the file stays."""
    await s.write("f", b"1")
    for path in ("f/x", "f/x/y/z"):
        for overwrite in (False, True):
            await raises(InvalidPath, s.write(path, b"2", overwrite=overwrite), f"writing {path!r}")
    equal(await s.read_bytes("f"), b"1", "the file afterwards")
    equal(await s.exists("f/x"), False, "what would be below the file")


@check("WR.failure", Capability.WRITE, needs=[Capability.LIST])
async def failing_content_leaves_nothing(s: View) -> None:
    """What the caller's content raises passes unchanged; no part appears, and the old content stays."""
    await s.write("old", b"old")
    for pieces in ((), (b"x" * 2_000_000,)):
        for path in ("old", "new", "deep/er/new"):
            for content in (s.stream([*pieces, SourceFailed()]), failing(*pieces)):
                write = partial(s.write, path, content, overwrite=True)
                await refused(SourceFailed, write, f"a failing write of {path!r}")
    equal(await s.read_bytes("old"), b"old", "content after a failed write")
    equal(await collect_all(s), ["old"], "files after failed writes")
    equal([str(e.path) async for e in s.list_folders()], [], "folders after failed writes")


@check("WR.iterable")
async def an_iterable_of_bytes_is_content(s: View) -> None:
    """A write takes an iterator, or any iterable, of bytes-like chunks, empty ones among them, or none at all."""
    alike: list[Any] = [b"ab", bytearray(b"cd"), memoryview(b"ef")]
    for write in (s.write, s.write_atomic) if s.supports(Capability.ATOMIC_WRITE) else (s.write,):
        for content, expected in ((iter(PIECES), WHOLE), (PIECES, WHOLE), (alike, b"abcdef"), (iter(()), b"")):
            what = f"an iterable of {len(expected)} bytes, a {type(content).__name__}"
            equal((await write("f", content, overwrite=True)).size, len(expected), f"size of the result of {what}")
            equal(await s.read_bytes("f") == expected, True, f"content written from {what}")


@check("WR.iterable")
async def an_iterable_may_read_the_store(s: View) -> None:
    """An iterator that itself uses the store is read on the caller's side, and does not block the write."""
    if s.is_async:
        return
    await s.write("a", b"1")
    await s.write("b", (s.store.read_bytes("a") for _ in range(3)))
    equal(await s.read_bytes("b"), b"111", "content that was read while it was written")


@check("WR.types")
async def text_is_no_content(s: View) -> None:
    """`str`, other objects, and iterables of them are a TypeError that says so, and nothing is written."""
    for wrong, stem in (("text", "not str"), (5, ""), (None, "")):
        await refused(TypeError, partial(s.write, "f", wrong), f"writing {wrong!r}", stem)
    for chunks in (["text"], [b"x", "text"], [1, 2], [None]):
        await refused(TypeError, partial(s.write, "f", chunks), f"writing {chunks!r}", "must yield bytes")
    equal(await s.exists("f"), False, "the file afterwards")
    for alike in (bytearray(b"ab"), memoryview(b"ab")):
        await s.write("g", alike, overwrite=True)
        equal(await s.read_bytes("g"), b"ab", "bytes-like content")


@check("PATH.types")
async def a_path_is_text(s: View) -> None:
    """A path that is neither `str` nor `RemotePath` is a TypeError."""
    for wrong in (None, 5, b"a", ["a"]):
        await refused(TypeError, partial(s.write, wrong, b""), f"writing to {wrong!r}")
        await refused(TypeError, partial(s.exists, wrong), f"asking for {wrong!r}")
