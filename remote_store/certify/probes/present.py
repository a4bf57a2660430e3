"""What is tried where nothing may be written, or removed: the files that are there."""

from __future__ import annotations

from contextlib import aclosing

from remote_store._capabilities import Capability
from remote_store._models import FileInfo
from remote_store.certify.bench import MIB, Bench, Probe
from remote_store.certify.rules import Untried, collect, content, equal, true

LARGEST = 8 * MIB
"""A file to look at is no larger [bytes]."""


async def _found(b: Bench) -> FileInfo:
    """A file that is there, as a listing tells it."""
    b.needs(Capability.LIST)
    async with aclosing(b.view.list_files("", recursive=True)) as files:
        info: FileInfo
        async for info in files:
            if 0 < info.size <= LARGEST:
                return info
    raise Untried(f"no file of 1 byte to {LARGEST // MIB} MiB is there to look at")


async def _read(b: Bench) -> None:
    info = await _found(b)
    path = str(info.path)
    data = await b.view.read_bytes(path)
    equal(len(data), info.size, "size of what read_bytes gave")
    equal(await content(b.view, path) == data, True, "read gives what read_bytes does")
    middle = len(data) // 2
    equal(await b.view.read_range(path, middle, len(data)) == data[middle:], True, "read_range gives its part of it")
    b.saw(f"the {len(data)} bytes of a file that was there came from read, read_bytes and, in part, read_range")


async def _list(b: Bench) -> None:
    path = str((await _found(b)).path)
    true(path in await collect(b.view.list_files(path.rpartition("/")[0])), "its folder lists a file that is there")
    b.saw("a file that was there was listed, with all and in its folder")


async def _glob(b: Bench) -> None:
    path = str((await _found(b)).path)
    true(path in await collect(b.view.glob("**/*")), "glob('**/*') finds a file that is there")
    b.saw("glob('**/*') found a file that was there")


async def _metadata(b: Bench) -> None:
    listed = await _found(b)
    info = await b.view.get_file_info(str(listed.path))
    equal((info.path, info.size), (listed.path, listed.size), "path and size of get_file_info")
    b.saw("a file that was there was described as it was listed")


PRESENT: dict[Capability, Probe] = {
    Capability.READ: _read,
    Capability.LIST: _list,
    Capability.GLOB: _glob,
    Capability.METADATA: _metadata,
}
"""How a declared capability is tried without writing."""
