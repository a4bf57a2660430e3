"""Files and folders: what the gates gate, small and large, few and many."""

from __future__ import annotations

import time
from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, NotFound
from remote_store.certify.bench import MIB, Bench, probe, results
from remote_store.certify.rules import broken, collect, content, equal, raises, true

MANY = 1001
"""Files in a folder: one more than most services list on a page."""


@probe(Capability.READ)
async def _read(b: Bench) -> None:
    b.needs(Capability.WRITE)
    await b.view.write("f", b"0123456789")
    equal(await b.view.read_bytes("f"), b"0123456789", "read_bytes")
    equal(await content(b.view, "f"), b"0123456789", "read")
    equal(await b.view.read_range("f", 2, 5), b"234", "read_range(2, 5)")
    async with await b.view.read_seekable("f") as stream:
        await stream.seek(-2, 2)
        equal(await stream.read(), b"89", "the end of read_seekable")
    b.saw("10 bytes written came back from read, read_bytes, read_range and read_seekable")


@probe(Capability.WRITE)
async def _write(b: Bench) -> None:
    b.needs(Capability.READ)
    for name, data in (("bytes", b"data"), ("empty", b""), ("stream", b.view.stream([b"da", b"ta"]))):
        expected = b"" if name == "empty" else b"data"
        equal((await b.view.write(f"d/{name}", data)).size, len(expected), "size in the result of write")
        equal(await b.view.read_bytes(f"d/{name}"), expected, f"content after writing {name}")
    await raises(AlreadyExists, b.view.write("d/bytes", b"new"), "write over a file")
    await b.view.write("d/bytes", b"new", overwrite=True)
    equal(await b.view.read_bytes("d/bytes"), b"new", "content after overwrite=True")
    b.saw("bytes, nothing and a stream were written below a new folder, and read back; overwrite=False refused")
    large = _large(17)  # Three parts of 8 MiB, the last one short.
    equal((await b.view.write("large", b.view.stream(large))).size, _size(large), "size in the result of a large write")
    await _holds(b, "large", large)
    b.saw(f"a stream of {_size(large)} bytes was written, and read back")


def _large(mib: int) -> list[bytes]:
    """Content of which no two MiB are alike."""
    return [*(bytes([index]) * MIB for index in range(mib)), b"the end"]


def _size(pieces: list[bytes]) -> int:
    return sum(map(len, pieces))


async def _holds(b: Bench, key: str, pieces: list[bytes]) -> None:
    found = await content(b.view, key)
    if found != b"".join(pieces):
        broken(f"of {_size(pieces)} bytes other {len(found)} were read back")


@probe(Capability.DELETE)
async def _delete(b: Bench) -> None:
    b.needs(Capability.WRITE)
    for name in ("f", "d/a", "d/e/b"):
        await b.view.write(name, b"1")
    await b.view.delete("f")
    await b.view.delete_folder("d", recursive=True)
    left = [name for name in ("f", "d/a", "d/e/b", "d") if await b.view.exists(name)]
    equal(left, [], "what is there after delete and delete_folder(recursive=True)")
    await raises(NotFound, b.view.delete("f"), "a second delete")
    b.saw("a file and a folder were deleted; the second delete said NotFound")


@probe(Capability.LIST)
async def _list(b: Bench) -> None:
    b.needs(Capability.WRITE)
    for name in ("a", "d/b", "d/e/c"):
        await b.view.write(name, b"1")
    equal(await collect(b.view.list_files("", recursive=True)), ["a", "d/b", "d/e/c"], "list_files(recursive=True)")
    equal(await collect(b.view.list_files("d")), ["d/b"], "list_files('d')")
    equal(await collect(b.view.list_folders("")), ["d"], "list_folders('')")
    b.saw("three files in three folders were listed, all and by folder")
    many = await _many(b)
    found = await collect(b.view.list_files("many"))
    if found != many:
        broken(f"of {len(many)} files in a folder {len(set(found) & set(many))} were listed")
    b.saw(f"so were {len(many)} files in a folder")


async def _many(b: Bench) -> list[str]:
    """Fill a folder; where listings may have no pages, and a write take several requests, for three seconds at most."""
    end = time.monotonic() + 3 if b.view.hierarchical else None

    async def fill(start: int) -> list[str]:
        names: list[str] = []
        for index in range(start, MANY, b.view.workers):
            if end is not None and time.monotonic() > end:
                break
            names.append(f"many/{index:04}")
            await b.view.write(names[-1], b"1")
        return names

    filled = await b.view.race([partial(fill, start) for start in range(b.view.workers)])
    return sorted(name for names in results(filled) for name in names)


@probe(Capability.GLOB)
async def _glob(b: Bench) -> None:
    b.needs(Capability.WRITE)
    for name in ("a.csv", "d/b.csv", "d/c.txt"):
        await b.view.write(name, b"1")
    equal(await collect(b.view.glob("*.csv")), ["a.csv"], "glob('*.csv')")
    equal(await collect(b.view.glob("**/*.csv")), ["a.csv", "d/b.csv"], "glob('**/*.csv')")
    b.saw("* stayed in its folder, ** did not")


@probe(Capability.METADATA)
async def _metadata(b: Bench) -> None:
    b.needs(Capability.WRITE)
    await b.view.write("d/f", b"12345")
    info = await b.view.get_file_info("d/f")
    equal((str(info.path), info.size), ("d/f", 5), "path and size of get_file_info")
    folder = await b.view.get_folder_info("d")
    equal((folder.file_count, folder.total_size), (1, 5), "get_folder_info")
    b.saw(f"5 bytes were described: etag {info.etag}, modified {info.modified_at:%Y-%m-%d %H:%M:%S}")


@probe(Capability.MOVE)
async def _move(b: Bench) -> None:
    await _transfer(b, "move", source_stays=False)


@probe(Capability.COPY)
async def _copy(b: Bench) -> None:
    await _transfer(b, "copy", source_stays=True)


async def _transfer(b: Bench, verb: str, *, source_stays: bool) -> None:
    b.needs(Capability.WRITE, Capability.READ)
    transfer = getattr(b.view, verb)
    await b.view.write("src", b"data")
    await transfer("src", "d/dst")
    equal(await b.view.exists("d/dst"), True, "the target is there")
    equal(await b.view.exists("src"), source_stays, "the source is there")
    equal(await b.view.read_bytes("d/dst"), b"data", "content of the target")
    await b.view.write("new", b"new")
    await raises(AlreadyExists, transfer("new", "d/dst"), f"{verb} over a file")
    equal(await b.view.read_bytes("d/dst"), b"data", "content of the target afterwards")
    b.saw(f"{verb} gave the target the content, and refused to replace a file")
    large = _large(9)  # Two parts.
    await b.view.write("large", b.view.stream(large))
    await transfer("large", "d/large")
    await _holds(b, "d/large", large)
    b.saw(f"so it did with {_size(large)} bytes")


@probe(Capability.USER_METADATA)
async def _user_metadata(b: Bench) -> None:
    b.needs(Capability.WRITE, Capability.METADATA)
    given = {"owner": "team a", "run": "42"}
    await b.view.write("f", b"1", metadata=given)
    equal((await b.other.get_file_info("f")).metadata, given, "metadata of get_file_info")
    for verb, capability in (("copy", Capability.COPY), ("move", Capability.MOVE)):
        if b.view.supports(capability):
            await getattr(b.view, verb)("f", verb)
            equal((await b.other.get_file_info(verb)).metadata, given, f"metadata after {verb}")
            b.saw(f"it went along with {verb}")
    await b.view.write("g", b"1")
    true(not (await b.view.get_file_info("g")).metadata, "a file without metadata has some")
    b.saw("two entries came back as they were written")
