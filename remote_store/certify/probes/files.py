"""Large files and long listings."""

from __future__ import annotations

import time
from functools import partial

from remote_store._capabilities import Capability
from remote_store.certify.rules import MIB, broken, collect, content, equal, probe
from remote_store.certify.view import View

MANY = 1001
"""Files in a folder: one more than most services list on a page."""


def _large(mib: int) -> list[bytes]:
    """Content of which no two MiB are alike."""
    return [*(bytes([index]) * MIB for index in range(mib)), b"the end"]


def _size(pieces: list[bytes]) -> int:
    return sum(map(len, pieces))


async def _holds(s: View, key: str, pieces: list[bytes]) -> None:
    found = await content(s, key)
    if found != b"".join(pieces):
        broken(f"{len(found)} bytes were read back that are not the {_size(pieces)} written")


@probe(Capability.WRITE, Capability.READ)
async def a_large_stream_is_written_whole(s: View) -> str:
    """A stream of several parts is written, and read back."""
    pieces = _large(17)  # Three parts of 8 MiB, the last one short.
    equal((await s.write("large", s.stream(pieces))).size, _size(pieces), "size in the result of a large write")
    await _holds(s, "large", pieces)
    return f"a stream of {_size(pieces)} bytes was written, and read back"


async def _arrives_whole(s: View, verb: str) -> str:
    """A file of two parts arrives whole."""
    pieces = _large(9)
    await s.write("large", s.stream(pieces))
    await getattr(s, verb)("large", "d/large")
    await _holds(s, "d/large", pieces)
    return f"{verb} gave the target all {_size(pieces)} bytes of a file"


@probe(Capability.MOVE, Capability.WRITE, Capability.READ)
async def a_large_file_is_moved_whole(s: View) -> str:
    """A file of two parts arrives whole."""
    return await _arrives_whole(s, "move")


@probe(Capability.COPY, Capability.WRITE, Capability.READ)
async def a_large_file_is_copied_whole(s: View) -> str:
    """A file of two parts arrives whole."""
    return await _arrives_whole(s, "copy")


@probe(Capability.LIST, Capability.WRITE)
async def many_files_are_listed(s: View) -> str:
    """A folder with more files than fit on a page is listed whole."""
    many = await _many(s)
    found = await collect(s.list_files("many"))
    if found != many:
        broken(f"of {len(many)} files in a folder {len(set(found) & set(many))} were listed")
    return f"{len(many)} files in a folder were listed"


async def _many(s: View) -> list[str]:
    """Fill a folder; in a hierarchy, where a write may take several requests, for three seconds at most."""
    end = time.monotonic() + 3 if s.hierarchical else None

    async def fill(start: int) -> list[str]:
        names: list[str] = []
        for index in range(start, MANY, s.workers):
            if end is not None and time.monotonic() > end:
                break
            names.append(f"many/{index:04}")
            await s.write(names[-1], b"1")
        return names

    filled = await s.together([partial(fill, start) for start in range(s.workers)])
    return sorted(name for names in filled for name in names)
