"""What files that are there show, where nothing may be written or removed."""

from __future__ import annotations

from contextlib import aclosing

from remote_store._capabilities import Capability
from remote_store._models import FileInfo
from remote_store.certify.rules import MIB, Untried, collect, content, equal, present, true
from remote_store.certify.view import View

LARGEST = 8 * MIB
"""A file to look at is no larger [bytes]."""


async def _found(s: View) -> FileInfo:
    """A file that is there, as a listing describes it."""
    async with aclosing(s.list_files("", recursive=True)) as files:
        info: FileInfo
        async for info in files:
            if 0 < info.size <= LARGEST:
                return info
    raise Untried(f"no file of 1 byte to {LARGEST // MIB} MiB is there to look at")


@present(Capability.READ, Capability.LIST)
async def a_file_that_is_there_is_read(s: View) -> str:
    """Every way of reading gives the content of its size."""
    info = await _found(s)
    path = str(info.path)
    data = await s.read_bytes(path)
    equal(len(data), info.size, "size of what read_bytes gave")
    equal(await content(s, path) == data, True, "read gives what read_bytes does")
    middle = len(data) // 2
    equal(await s.read_range(path, middle, len(data)) == data[middle:], True, "read_range gives its part of it")
    return f"the {len(data)} bytes of a file that was there came from read and read_bytes, half of them from read_range"


@present(Capability.LIST)
async def a_file_that_is_there_is_listed(s: View) -> str:
    """The folder of a file lists it."""
    path = str((await _found(s)).path)
    true(path in await collect(s.list_files(path.rpartition("/")[0])), "its folder lists a file that is there")
    return "a file that was there was listed, with all files and with those of its folder"


@present(Capability.GLOB, Capability.LIST)
async def a_file_that_is_there_is_globbed(s: View) -> str:
    """`glob` finds a file that a listing found."""
    path = str((await _found(s)).path)
    true(path in await collect(s.glob("**/*")), "glob('**/*') finds a file that is there")
    return "glob('**/*') found a file that was there"


@present(Capability.METADATA, Capability.LIST)
async def a_file_that_is_there_is_described(s: View) -> str:
    """`get_file_info` says what a listing said."""
    listed = await _found(s)
    info = await s.get_file_info(str(listed.path))
    equal((info.path, info.size), (listed.path, listed.size), "path and size of get_file_info")
    return "get_file_info described a file that was there as the listing did"
