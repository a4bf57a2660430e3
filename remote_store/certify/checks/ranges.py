"""Streams of a range of a file."""

from __future__ import annotations

from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, NotFound
from remote_store._store import Store
from remote_store.certify.rules import check, content, equal, refused
from remote_store.certify.view import View

DATA = bytes(range(256)) * 4096


@check("OPS.read", Capability.READ)
async def a_read_of_a_range_gives_it(s: View) -> None:
    """`read` streams `[start, end)`, all from `start` on without an end, and less, or nothing, where the file ends."""
    for path, data, ranges in (
        ("large", DATA, ((0, 10), (1000, 200_000), (5, 5), (0, 0), (1_000_000, None), (0, None), (0, len(DATA)))),
        ("small", b"0123456789", ((8, 100), (10, 20), (50, 60), (50, None))),
        ("empty", b"", ((0, 5), (3, None))),
    ):
        await s.write(path, data)
        for start, end in ranges:
            found = await content(s, path, start=start, end=end)
            equal(found == data[start:end], True, f"the range [{start}, {end}) of {path!r}")


@check("OPS.read", Capability.READ)
async def what_is_no_range_is_a_value_error(s: View) -> None:
    """A range that starts below 0 or ends before it starts is a ValueError, of a missing file as well."""
    await s.write("f", b"0123456789")
    for start, end in ((-1, 3), (-1, None), (3, 2)):
        for path in ("f", "missing"):
            await refused(
                ValueError, partial(s.read, path, start=start, end=end), f"reading [{start}, {end}) of {path!r}"
            )


@check("OPS.read", Capability.READ)
async def a_range_of_no_file_is_refused(s: View) -> None:
    """A range of what is missing is NotFound, of a folder InvalidPath, however few bytes it has."""
    await s.write("d/f", b"1")
    ranges: list[dict[str, Any]] = [{"start": 0, "end": 1}, {"start": 2, "end": 2}, {"start": 5}]
    for options in ranges:
        for missing in ("missing", "no/such/x"):
            await refused(NotFound, partial(s.read, missing, **options), f"{options} of what is missing", "not found")
        await refused(InvalidPath, partial(s.read, "d", **options), f"{options} of a folder", "exists as a directory")


@check("OPS.read", needs=[Capability.SEEKABLE_READ])
async def a_range_seeks_within_itself(s: View) -> None:
    """The stream of a range is at 0 first, and seeks from its own start and end, where that of `read` seeks."""
    if not isinstance(s.store, Store):
        return
    await s.write("f", DATA)
    for end, size in ((5000, 4000), (None, len(DATA) - 1000)):
        with s.store.read("f", start=1000, end=end) as stream:
            part = DATA[1000:end]
            equal((stream.tell(), stream.read(10)), (0, part[:10]), "the first bytes of a range")
            equal((stream.seek(-5, 2), stream.read(100)), (size - 5, part[-5:]), "the last bytes of a range")
            equal((stream.seek(100), stream.read(10), stream.tell()), (100, part[100:110], 110), "bytes after a seek")
            equal((stream.seek(0, 1), stream.seek(size + 10), stream.read()), (110, size + 10, b""), "what is beyond")
