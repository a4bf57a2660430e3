"""User metadata, descriptions, conditional writes."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, NotFound, PreconditionFailed
from remote_store.certify.rules import check, content, equal, raises, refused, true, winner
from remote_store.certify.view import View

KEPT = {"owner": "ana", "note": "ümläut & = ;", "empty": ""}
BAD: list[tuple[Any, str]] = [
    ({"": "x"}, "empty"),
    ({"_k": "x"}, "underscore"),
    ({"ü": "x"}, "ASCII"),
    ({"k": "x" * 2048}, "2048"),
    ({"k": 1}, "str"),
    ({1: "x"}, "str"),
]


@check("WR-011")
async def malformed_metadata_is_a_value_error(s: View) -> None:
    """The shape of metadata outranks everything, capabilities and paths included."""
    for bad, stem in BAD:
        for path in ("f", ""):
            await refused(ValueError, partial(s.write, path, b"", metadata=bad), f"metadata {bad!r}", stem)
    equal(await s.exists("f"), False, "the file afterwards")


@check("WR-010")
async def empty_metadata_is_none(s: View) -> None:
    """`{}` is the same as no metadata, on every backend."""
    equal((await s.write("f", b"1", metadata={})).metadata, None, "metadata of the result")


@check("WR-010", Capability.USER_METADATA, needs=[Capability.METADATA])
async def metadata_is_kept(s: View) -> None:
    """A write's result repeats the metadata; `get_file_info` and `head` give it, until the file is replaced."""
    for data in (b"1", s.stream([b"1"])):
        result = await s.write("f", data, metadata=KEPT, overwrite=True)
        equal(result.metadata, KEPT, "metadata of the result")
        info = await s.other.get_file_info("f")
        equal(dict(info.metadata or {}), KEPT, "metadata of get_file_info")
        equal(dict((await s.other.head("f")).metadata or {}), KEPT, "metadata of head")
    await s.write("f", b"2", overwrite=True)
    true(not (await s.get_file_info("f")).metadata, "metadata goes with the content it was written with")


@check("WR-010", needs=[Capability.USER_METADATA, Capability.LIST, Capability.GLOB])
async def listings_carry_no_metadata(s: View) -> None:
    """Metadata is never part of a listing."""
    await s.write("d/f", b"1", metadata=KEPT)
    for listing in (s.list_files("d"), s.iter_children("d"), s.glob("d/f"), s.glob("d/*")):
        equal([info.metadata async for info in listing], [None], "metadata in a listing")


@check("WR-010", Capability.USER_METADATA, needs=[Capability.METADATA, Capability.COPY, Capability.MOVE])
async def metadata_goes_along(s: View) -> None:
    """Copy and move keep user metadata."""
    await s.write("a", b"1", metadata=KEPT)
    await s.copy("a", "b")
    await s.move("a", "c")
    for key in ("b", "c"):
        equal(dict((await s.other.get_file_info(key)).metadata or {}), KEPT, f"metadata of {key!r}")


@check("METADATA", Capability.METADATA)
async def a_file_is_described(s: View) -> None:
    """Path, name, size and an aware UTC time; a folder is InvalidPath, nothing is NotFound."""
    before = dt.datetime.now(dt.UTC)
    await s.write("d/f.txt", b"12345")
    info = await s.get_file_info("d/f.txt")
    equal((str(info.path), info.name, info.size), ("d/f.txt", "f.txt", 5), "description")
    equal(info.modified_at.utcoffset(), dt.timedelta(0), "offset of the time")
    known = info.modified_at != dt.datetime.min.replace(tzinfo=dt.UTC)
    true(not known or abs(info.modified_at - before) < dt.timedelta(days=1), "the time is the write's, or unknown")
    true(info.etag is None or '"' not in info.etag, "etags are unquoted")
    await raises(InvalidPath, s.get_file_info("d"), "describing a folder as a file", "exists as a directory")
    for missing in ("d/x", "d/f.txt/x", "x/y"):
        await raises(NotFound, s.get_file_info(missing), "describing what is missing", "not found")


@check("WR-008", Capability.METADATA)
async def head_is_a_sidecar_result(s: View) -> None:
    """`head` gives what `get_file_info` gives, as a write result."""
    written = await s.write("f", b"123")
    head, info = await s.head("f"), await s.get_file_info("f")
    equal((head.source, head.size, head.etag), ("sidecar", 3, info.etag), "head")
    true(written.etag in (None, info.etag), "etag of the write and of the file are one")
    equal(written.digest or info.digest, info.digest, "digest of the write and of the file are one")
    await raises(NotFound, s.head("missing"), "head of what is missing")


@check("METADATA", Capability.METADATA, needs=[Capability.LIST])
async def a_folder_is_added_up(s: View) -> None:
    """`get_folder_info` counts all files below, `max_depth` fewer; the root is empty rather than missing."""
    info = await s.get_folder_info("")
    equal((info.file_count, info.total_size, info.modified_at), (0, 0, None), "totals of an empty root")
    equal((await s.child("nowhere").get_folder_info("")).file_count, 0, "count of a child root that is not there")
    for key in ("d/a", "d/b/c", "d/b/d/e"):
        await s.write(key, b"12")
    for path, depth, expected in (("d", None, (3, 6)), ("", None, (3, 6)), ("d", 0, (1, 2)), ("d", 1, (2, 4))):
        info = await s.get_folder_info(path, max_depth=depth)
        equal((info.file_count, info.total_size), expected, f"totals of {path!r} to depth {depth}")
        equal(str(info.path), path or ".", "path of the description")
    await refused(ValueError, partial(s.get_folder_info, "d", max_depth=-1), "negative depth", "max_depth must be >= 0")
    for depth in (None, 0):
        await raises(InvalidPath, s.get_folder_info("d/a", max_depth=depth), "describing a file as a folder")
        await raises(NotFound, s.get_folder_info("x/y", max_depth=depth), "describing a missing folder", "not found")


@check("IF-MATCH", Capability.CONDITIONAL_WRITE, needs=[Capability.METADATA])
async def if_match_replaces_only_what_it_names(s: View) -> None:
    """`if_match` implies replacing; another etag or a missing file is PreconditionFailed and changes nothing."""
    first = await s.write("f", b"1")
    second = await s.write("f", b"2", if_match=first.etag)
    equal(await s.read_bytes("f"), b"2", "content after a matching write")
    true(first.etag != second.etag, "a write changes the etag")
    for data in (b"3", s.stream([b"3"])):
        await raises(PreconditionFailed, s.write("f", data, if_match=first.etag), "a stale etag", "match")
    await raises(PreconditionFailed, s.write("g", b"1", if_match=second.etag), "an etag for a missing file")
    equal((await s.read_bytes("f"), await s.exists("g")), (b"2", False), "content after refused writes")


@check("IF-MATCH", Capability.CONDITIONAL_WRITE, needs=[Capability.METADATA])
async def if_match_reads_only_what_it_names(s: View) -> None:
    """Ranges and streams with `if_match` are of the file with that etag; of another, or none, PreconditionFailed."""
    first = await s.write("f", b"0123")
    etag = (await s.get_file_info("f")).etag

    async def streamed(path: str, start: int = 0, end: int | None = None, **options: Any) -> bytes:
        return await content(s, path, start=start, end=end, **options)

    for read in (s.read_range, streamed):
        for start, end, expected in ((1, 3, b"12"), (9, 12, b""), (2, 2, b"")):
            equal(await read("f", start, end, if_match=etag), expected, f"{start} to {end} of the file that was meant")
    for start, expected in ((0, b"0123"), (9, b"")):
        equal(await streamed("f", start, if_match=etag), expected, f"the file that was meant from {start} on")
    await s.write("f", b"4567", if_match=first.etag)
    for read in (s.read_range, streamed):
        for path, start, end in (("f", 1, 3), ("f", 2, 2), ("g", 1, 3)):
            await raises(PreconditionFailed, read(path, start, end, if_match=etag), f"reading another {path!r}")
    for path, start in (("f", 0), ("g", 1)):
        await raises(PreconditionFailed, streamed(path, start, if_match=etag), f"streaming another {path!r}")


@check("IF-MATCH", Capability.CONDITIONAL_WRITE)
async def racing_updates_do_not_lose(s: View) -> None:
    """Of racing writers that saw the same etag exactly one replaces."""
    first = await s.write("f", b"0")
    results = await s.race([partial(s.write, "f", b"%d" % i, if_match=first.etag) for i in range(1, s.workers + 1)])
    won = winner(results, "racing writers with one etag")
    equal(await s.read_bytes("f"), b"%d" % (won + 1), "content after the race")
