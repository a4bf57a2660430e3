"""A store as an fsspec filesystem: questions, listings, and what is done with keys."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filesystems import TREE, Limited, Ops
from servers.s3 import BUCKET, S3Server, view_of

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    CapabilityNotSupported,
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    RemotePath,
    Store,
)
from remote_store._either import prune_empty
from remote_store._models import UNKNOWN_TIME
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend

# --- questions


async def test_info_tells_what_the_store_knows(ops: Ops) -> None:
    kept = {"content_type": "text/csv"} if ops.store.supports(Capability.CONTENT_TYPE) else {}
    await ops.store.write("d/f", b"123", metadata={"who": "me"}, **kept)
    known = await ops.store.get_file_info("d/f")
    info = await ops.info("d/f")
    assert (info["name"], info["size"], info["type"]) == ("d/f", 3, "file")
    assert info["mtime"] == known.modified_at
    assert isinstance(info["mtime"], dt.datetime)
    assert info["metadata"] == {"who": "me"}
    for field in ("etag", "content_type"):
        assert info.get(field) == getattr(known, field)
    assert (info.get("ETag"), info.get("ContentType")) == (known.etag, known.content_type)
    assert await ops.modified("d/f") == known.modified_at
    assert await ops.info("store://d//f") == info
    assert await ops.info(RemotePath("d/f")) == info


async def test_info_of_folders_and_of_what_is_missing(ops: Ops) -> None:
    await ops.fill("d/f")
    assert await ops.info("d") == {"name": "d", "size": 0, "type": "directory"}
    for root in ("", "/", ".", "store://", "store:///"):
        assert await ops.info(root) == {"name": "", "size": 0, "type": "directory"}
    for path in ("none", "d/none", "d/f/none"):
        with pytest.raises(NotFound) as caught:
            await ops.info(path)
        assert isinstance(caught.value, FileNotFoundError)
        assert (caught.value.path, caught.value.backend) == (path, ops.fs.backend_name)
    with pytest.raises(InvalidPath, match="escapes root"):
        await ops.info("d/../f")
    with pytest.raises(IsADirectoryError, match="exists as a directory"):
        await ops.modified("d")


async def test_probes(ops: Ops) -> None:
    await ops.fill("d/f")
    told = {path: (await ops.exists(path), await ops.isfile(path), await ops.isdir(path)) for path in ("d/f", "d", "")}
    assert told == {"d/f": (True, True, False), "d": (True, False, True), "": (True, False, True)}
    assert not any([await probe(path) for probe in (ops.exists, ops.isfile, ops.isdir) for path in ("no", "d/f/no")])


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_an_outage_is_no_absence(mode: str, moto_server: S3Server) -> None:
    ops = Ops(
        Store(S3Backend(BUCKET, **moto_server.options))
        if mode == "sync"
        else AsyncStore(AsyncS3Backend(BUCKET, **moto_server.options))
    )
    await ops.exists("x")
    await (ops.store.aclose() if mode == "async" else ops.store.close())
    for verb in ("exists", "isfile", "isdir", "info", "ls", "find", "du", "cat", "rm", "touch", "expand_path"):
        with pytest.raises(BackendUnavailable):
            await getattr(ops, verb)("a*b")
    with pytest.raises(BackendUnavailable):
        await ops.glob("*")
    with pytest.raises(BackendUnavailable):
        await walked(ops, "")


async def test_wrong_types_are_the_builtins_too(ops: Ops, tmp_path: Path) -> None:
    await ops.fill("d/f")
    for call in (
        lambda: ops.cat_file("d"),
        lambda: ops.cat_file("d", 0, 1),
        lambda: ops.rm_file("d"),
        lambda: ops.rm("d"),
        lambda: ops.cp_file("d", "x"),
        lambda: ops.mv_file("d", "x"),
        lambda: ops.get_file("d", str(tmp_path / "x")),
    ):
        with pytest.raises(InvalidPath, match="exists as a directory") as caught:
            await call()
        assert isinstance(caught.value, IsADirectoryError)
        assert caught.value.path == "d"
    with pytest.raises(InvalidPath) as caught:
        await ops.rmdir("d/f")
    assert isinstance(caught.value, NotADirectoryError)
    assert await ops.keys() == {"d/f"}
    assert not (tmp_path / "x").exists()


# --- listings


async def test_ls(ops: Ops) -> None:
    await ops.fill(*TREE)
    assert await ops.ls("", detail=False) == ["a", "d", "h"]
    assert await ops.ls("d/", detail=False) == ["d/b", "d/e"]
    assert [(info["name"], info["size"], info["type"]) for info in await ops.ls("d")] == [
        ("d/b", 3, "file"),
        ("d/e", 0, "directory"),
    ]
    assert await ops.ls("a") == [await ops.info("a")] or ops.fs.backend_name == "s3"  # Where listings tell less.
    assert await ops.ls("a", detail=False) == ["a"]
    with pytest.raises(NotFound):
        await ops.ls("none")


async def test_ls_of_an_empty_root(ops: Ops) -> None:
    assert await ops.ls("") == []


@pytest.mark.parametrize("slashes", ["/", "//", "store:///"])
async def test_a_leading_slash_comes_back(slashes: str, ops: Ops) -> None:
    """Or zarr takes the members of a group for others."""
    await ops.fill(*TREE)
    start, d = slashes.removeprefix("store://"), f"{slashes}d"
    assert await ops.ls(d, detail=False) == [f"{start}d/b", f"{start}d/e"]
    assert [info["name"] for info in await ops.ls(d)] == [f"{start}d/b", f"{start}d/e"]
    assert await ops.ls(f"{slashes}a", detail=False) == [f"{start}a"]
    assert await ops.find(d) == [f"{start}d/b", f"{start}d/e/c", f"{start}d/e/f/g"]
    assert await ops.find(d, maxdepth=2, withdirs=True) == [
        f"{start}{key}" for key in ("d", "d/b", "d/e", "d/e/c", "d/e/f")
    ]
    assert await ops.find(d, prefix="e/") == [f"{start}d/e/c", f"{start}d/e/f/g"]
    assert [(await ops.info(path))["name"] for path in (d, f"{d}/b")] == [f"{start}d", f"{start}d/b"]
    assert await ops.glob(f"{slashes}?/*") == [f"{start}d/b", f"{start}d/e", f"{start}h/i"]
    assert {path: info["name"] for path, info in (await ops.glob(f"{d}/*", detail=True)).items()} == {
        path: path for path in (f"{start}d/b", f"{start}d/e")
    }
    assert await ops.cat([f"{slashes}a"]) == {f"{start}a": b"a"}
    assert await ops.expand_path(f"{d}/*") == [f"{start}d/b", f"{start}d/e"]
    assert await walked(ops, f"{d}/e") == [(f"{start}d/e", ["f"], ["c"]), (f"{start}d/e/f", [], ["g"])]
    assert await ops.ls(slashes, detail=False) == ["a", "d", "h"]
    await ops.mv(d, f"{slashes}new", recursive=True)
    await ops.rm(f"{slashes}h", recursive=True)
    assert await ops.keys() == {"a", "new/b", "new/e/c", "new/e/f/g"}


async def test_find(ops: Ops) -> None:
    await ops.fill(*TREE)
    assert await ops.find("") == sorted(TREE)
    assert await ops.find("d") == ["d/b", "d/e/c", "d/e/f/g"]
    assert await ops.find("d", maxdepth=2) == ["d/b", "d/e/c"]
    assert await ops.find("", maxdepth=1) == ["a"]
    assert await ops.find("d", withdirs=True) == ["d", "d/b", "d/e", "d/e/c", "d/e/f", "d/e/f/g"]
    assert await ops.find("", maxdepth=2, withdirs=True) == ["a", "d", "d/b", "d/e", "h", "h/i"]
    assert await ops.find("", maxdepth=1, withdirs=True) == ["a", "d", "h"]
    assert await ops.find("d", maxdepth=1, withdirs=True) == ["d", "d/b", "d/e"]
    assert await ops.find("d", maxdepth=2, withdirs=True) == ["d", "d/b", "d/e", "d/e/c", "d/e/f"]
    assert await ops.find("d", prefix="e/") == ["d/e/c", "d/e/f/g"]
    assert (await ops.find("d", detail=True))["d/e/c"]["size"] == 5
    assert await ops.find("a") == ["a"]
    assert await ops.find("none") == await ops.find("a/none") == []
    with pytest.raises(ValueError, match="maxdepth"):
        await ops.find("", maxdepth=0)
    with pytest.raises(ValueError, match="maxdepth"):
        await ops.copy("a", "z", maxdepth=0)
    assert not await ops.exists("z")


async def walked(ops: Ops, path: str, **options: Any) -> list[Any]:
    if ops.fs.asynchronous:
        return [step async for step in ops.fs._walk(path, **options)]
    return list(ops.fs.walk(path, **options))


async def test_walk(ops: Ops) -> None:
    await ops.fill(*TREE)
    assert await walked(ops, "") == [
        ("", ["d", "h"], ["a"]),
        ("d", ["e"], ["b"]),
        ("d/e", ["f"], ["c"]),
        ("d/e/f", [], ["g"]),
        ("h", [], ["i"]),
    ]
    assert await walked(ops, "d", maxdepth=1) == [("d", ["e"], ["b"])]
    with pytest.raises(NotFound):
        await walked(ops, "none", on_error="raise")


async def test_glob(ops: Ops) -> None:
    await ops.fill(*TREE)
    for pattern, found in {
        "*": ["a", "d", "h"],
        "d/*": ["d/b", "d/e"],
        "d/**": ["d", "d/b", "d/e", "d/e/c", "d/e/f", "d/e/f/g"],
        "**/c": ["d/e/c"],
        "[ah]": ["a", "h"],
        "?/?": ["d/b", "d/e", "h/i"],
        "d/e/c": ["d/e/c"],
        "none*": [],
        "none": [],
    }.items():
        assert await ops.glob(pattern) == found, pattern


async def test_du(ops: Ops) -> None:
    await ops.fill(*TREE)
    assert await ops.du("") == sum(map(len, TREE))
    assert await ops.du("d", total=False, maxdepth=2) == {"d/b": 3, "d/e/c": 5}
    assert await ops.du("d", total=False, maxdepth=1, withdirs=True) == {"d": 0, "d/b": 3, "d/e": 0}


async def test_what_others_write_is_seen_at_once(ops: Ops) -> None:
    await ops.fill("d/f")
    assert await ops.ls("d", detail=False) == ["d/f"]
    assert not await ops.exists("d/g")
    await ops.fill("d/g")
    assert await ops.ls("d", detail=False) == ["d/f", "d/g"]
    assert await ops.exists("d/g")
    await ops.store.write("d/g", b"longer", overwrite=True)
    assert (await ops.info("d/g"))["size"] == 6
    await ops.store.delete("d/g")
    assert not await ops.exists("d/g")
    ops.fs.invalidate_cache()


def test_empty_folders_of_a_hierarchical_store_are_found(tmp_path: Path) -> None:
    fs = Store(LocalBackend(tmp_path / "store")).to_fsspec()
    (tmp_path / "store/d/e/f").mkdir(parents=True)
    assert fs.find("", withdirs=True) == ["d", "d/e", "d/e/f"]
    assert fs.find("d/e/f", withdirs=True) == ["d/e/f"]
    assert fs.find("", maxdepth=2, withdirs=True) == ["d", "d/e"]
    assert fs.find("") == fs.ls("d/e/f") == []
    assert fs.glob("d/*") == ["d/e"]
    fs.get("d", str(tmp_path / "back"), recursive=True)
    assert (tmp_path / "back/e/f").is_dir()


def test_a_key_that_is_a_file_and_a_folder(s3: Store) -> None:
    fs = s3.to_fsspec()
    fs.pipe({"d": b"file", "d/f": b"1", "e": b"2"})
    assert [(info["name"], info["type"]) for info in fs.ls("")] in (
        [("d", "file"), ("d", "directory"), ("e", "file")],
        [("d", "directory"), ("d", "file"), ("e", "file")],
    )
    assert list(fs.walk("")) == [("", ["d"], ["d", "e"]), ("d", [], ["f"])]
    assert fs.find("") == ["d", "d/f", "e"]
    for depth in (None, 1, 2):
        assert fs.find("", maxdepth=depth, withdirs=True, detail=True)["d"]["type"] == "file"
    assert fs.info("d")["size"] == 4
    fs.copy("d", "copy")
    assert fs.cat("copy") == b"file"
    fs.rm("d", recursive=True)
    assert fs.find("") == ["copy", "d", "e"]
    fs.pipe_file("d/f", b"1")
    fs.rm("d")
    assert fs.find("") == ["copy", "d/f", "e"]


# --- content


async def test_cat_file_slices_as_python_does(ops: Ops) -> None:
    await ops.store.write("f", b"0123456789")
    for start in (None, 0, 3, 10, 11, -4, -11):
        for end in (None, 0, 7, 10, 12, -1, -12):
            assert await ops.cat_file("f", start=start, end=end) == b"0123456789"[start:end], (start, end)


async def test_cat_ranges(ops: Ops) -> None:
    await ops.fill("abcdef", "ghijkl")
    found = await ops.cat_ranges(["abcdef", "ghijkl", "none"], [0, -2, 0], [2, None, 1])
    assert found[:2] == [b"ab", b"kl"]
    assert isinstance(found[2], NotFound)
    with pytest.raises(NotFound):
        await ops.cat_ranges(["none"], 0, 1, on_error="raise")


async def test_cat_of_several(ops: Ops) -> None:
    await ops.fill(*TREE)
    assert await ops.cat("d/b") == b"d/b"
    assert await ops.cat(["a", "d/b"]) == {"a": b"a", "d/b": b"d/b"}
    everything = {"d/b": b"d/b", "d/e/c": b"d/e/c", "d/e/f/g": b"d/e/f/g"}
    assert await ops.cat("d", recursive=True) == everything
    assert await ops.cat("d/?") == {"d/b": b"d/b"}
    assert await ops.cat(["a", "none"], on_error="omit") == {"a": b"a"}
    with pytest.raises(NotFound):
        await ops.cat("none*")
    with pytest.raises(NotFound):
        await ops.cat("none")


@pytest.mark.parametrize("value", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
async def test_pipe_file(value: Any, ops: Ops) -> None:
    await ops.pipe_file("d/f", value, metadata={"k": "v"})
    assert await ops.store.read_bytes("d/f") == b"bytes"
    assert (await ops.info("d/f"))["metadata"] == {"k": "v"}
    with pytest.raises(AlreadyExists):
        await ops.pipe_file("d/f", b"other", mode="create")
    with pytest.raises(FileExistsError):
        await ops.pipe_file("d/f", b"other", mode="create")
    assert await ops.store.read_bytes("d/f") == b"bytes"
    await ops.pipe({"d/f": b"1", "d/g": b"2"})
    assert await ops.cat(["d/f", "d/g"]) == {"d/f": b"1", "d/g": b"2"}
    with pytest.raises(ValueError, match="mode"):
        await ops.pipe_file("d/f", b"", mode="append")
    with pytest.raises(TypeError):
        await ops.pipe_file("d/f", "text")


async def test_touch(ops: Ops) -> None:
    await ops.touch("d/f")
    assert await ops.cat_file("d/f") == b""
    await ops.fill("d/f")
    with pytest.raises(NotImplementedError):
        await ops.touch("d/f", truncate=False)
    assert await ops.cat_file("d/f") == b"d/f"
    await ops.touch("d/f")
    assert await ops.cat_file("d/f") == b""


# --- keys are literal

ODD = ("a*b", "d/a?b", "d/[ab]", "d/a[b]c/f*")
NEIGHBOURS = ("aXb", "d/aXb", "d/a", "d/abc/fX")


@pytest.mark.parametrize("verb", ["rm_file", "rm", "rm -r"])
async def test_deleting_touches_no_neighbours(verb: str, ops: Ops) -> None:
    for odd in ODD:
        await ops.fill(*ODD, *NEIGHBOURS)
        await (ops.rm(odd, recursive=True) if verb == "rm -r" else getattr(ops, verb)(odd))
        assert await ops.keys() == {*ODD, *NEIGHBOURS} - {odd}
        with pytest.raises(NotFound):
            await (ops.rm(odd, recursive=True) if verb == "rm -r" else getattr(ops, verb)(odd))
        assert await ops.keys() == {*ODD, *NEIGHBOURS} - {odd}


async def test_no_pattern_deletes_anything(ops: Ops) -> None:
    await ops.fill(*TREE)
    for pattern in ("*", "a*", "d/*", "**", "d/**", "[ad]", "?*"):
        for options in ({}, {"recursive": True}):
            with pytest.raises(NotFound):
                await ops.rm(pattern, **options)
            with pytest.raises(NotFound):
                await ops.rm([pattern], **options)
        await ops.rm(pattern, recursive=True, maxdepth=1)  # There is nothing below.
    assert await ops.keys() == set(TREE)


@pytest.mark.parametrize("verb", ["cp_file", "copy", "mv_file", "mv"])
async def test_copying_and_moving_mean_just_the_key(verb: str, ops: Ops) -> None:
    for odd in ODD:
        await ops.fill(*ODD, *NEIGHBOURS)
        await getattr(ops, verb)(odd, "na*me")
        assert await ops.keys() == {*ODD, *NEIGHBOURS, "na*me"} - ({odd} if verb.startswith("mv") else set())
        assert await ops.cat_file("na*me") == odd.encode()
        await ops.rm_file("na*me")
        if not verb.endswith("_file"):
            await ops.fill(odd)
            await getattr(ops, verb)(odd, "new/")
            await ops.fill(odd)
            await getattr(ops, verb)(odd, "new")
            assert await ops.find("new") == ["new/" + odd.rpartition("/")[2]]
            await ops.rm("new", recursive=True)


async def test_reading_and_downloading_mean_just_the_key(ops: Ops, tmp_path: Path) -> None:
    await ops.fill(*ODD, *NEIGHBOURS)
    for number, odd in enumerate(ODD):
        assert await ops.cat(odd) == await ops.cat_file(odd) == odd.encode()
        assert await ops.cat([odd]) == {odd: odd.encode()}
        assert await ops.expand_path(odd) == [odd]
        await ops.get(odd, str(tmp_path / "x*"))
        assert (tmp_path / "x*").read_text() == odd
        folder = tmp_path / f"in{number}"
        folder.mkdir()
        await ops.get(odd, str(folder))
        assert os.listdir(folder) == [odd.rpartition("/")[2]]


async def test_uploading_means_just_the_file(ops: Ops, tmp_path: Path) -> None:
    for name in ("a*b", "aXb"):
        (tmp_path / name).write_text(name)
    await ops.put(str(tmp_path / "a*b"), "d/[x]")
    assert await ops.keys() == {"d/[x]"}
    await ops.put(str(tmp_path / "a*b"), "d/")
    assert await ops.keys() == {"d/[x]", "d/a*b"}
    (tmp_path / "a*b").unlink()
    await ops.put(str(tmp_path / "a*b"), "e/")
    assert await ops.keys() == {"d/[x]", "d/a*b", "e/aXb"}


async def test_folders_with_odd_names(ops: Ops, tmp_path: Path) -> None:
    await ops.fill("d*/a", "d*/e/b", "dX/c")
    await ops.copy("d*", "new", recursive=True)
    assert await ops.keys() == {"d*/a", "d*/e/b", "dX/c", "new/a", "new/e/b"}
    await ops.get("d*", str(tmp_path / "new"), recursive=True)
    assert (tmp_path / "new/e/b").read_text() == "d*/e/b"
    await ops.rm("d*", recursive=True)
    assert await ops.keys() == {"dX/c", "new/a", "new/e/b"}


# --- deleting and moving


async def test_rm_recursive(ops: Ops) -> None:
    await ops.fill(*TREE)
    await ops.rm("d", recursive=True, maxdepth=1)
    assert await ops.keys() == {"a", "d/e/c", "d/e/f/g", "h/i"}
    await ops.rm("d", recursive=True)
    assert not await ops.exists("d")
    await ops.rm(["a", "h"], recursive=True)
    assert await ops.keys() == set()
    with pytest.raises(NotFound):
        await ops.rm("none", recursive=True)


async def test_the_root_is_emptied_but_not_deleted(ops: Ops) -> None:
    for root in ("", "/", ".", "store://", "store:///"):
        await ops.fill(*TREE)
        with pytest.raises(InvalidPath):
            await ops.rm(root)
        with pytest.raises(InvalidPath):
            await ops.rmdir(root)
        assert await ops.keys() == set(TREE)
        await ops.rm(root, recursive=True)
        assert await ops.ls("") == []
        await ops.rm(root, recursive=True)


def test_emptying_a_child_store_spares_its_neighbours(store: Store) -> None:
    for key in ("d/a", "d/e/b", "da", "c"):
        store.write(key, b"")
    store.child("d").to_fsspec().rm("", recursive=True)
    assert store.to_fsspec().find("") == ["c", "da"]


async def test_rmdir_removes_no_content(ops: Ops) -> None:
    await ops.fill("d/f")
    with pytest.raises(DirectoryNotEmpty):
        await ops.rmdir("d")
    assert await ops.keys() == {"d/f"}


async def test_mkdir_makes_nothing_and_refuses_files(ops: Ops) -> None:
    await ops.fill("f")
    await ops.mkdir("d/e")
    await ops.makedirs("d/e", exist_ok=True)
    assert not await ops.exists("d")
    with pytest.raises(FileExistsError):
        await ops.mkdir("f")
    with pytest.raises(FileExistsError):
        await ops.makedirs("f", exist_ok=True)


async def test_mv_of_a_folder_leaves_nothing_behind(ops: Ops) -> None:
    await ops.fill(*TREE)
    await ops.mv("d", "new", recursive=True)
    assert await ops.keys() == {"a", "h/i", "new/b", "new/e/c", "new/e/f/g"}
    assert await ops.cat_file("new/e/c") == b"d/e/c"
    assert not await ops.exists("d")
    with pytest.raises(NotFound):
        await ops.mv("none", "x")


@pytest.mark.parametrize("verb", ["mv", "rename", "move"])
def test_a_folder_is_moved_recursively_or_not_at_all(verb: str, fs: Any) -> None:
    fs.pipe({"d/a": b"1", "d/e/b": b"2"})
    for source in ("d", "d*"):
        with pytest.raises(IsADirectoryError, match="exists as a directory"):
            getattr(fs, verb)(source, "new")
    getattr(fs, verb)([], [])
    assert fs.find("") == ["d/a", "d/e/b"]


async def test_a_list_is_moved_in_its_order(ops: Ops) -> None:
    numbers = range(20, 0, -1)
    await ops.fill(*(str(number) for number in numbers))
    await ops.mv([str(number) for number in numbers], [str(number + 1) for number in numbers])
    assert {key: await ops.cat_file(key) for key in await ops.keys()} == {str(n + 1): b"%d" % n for n in numbers}


@pytest.mark.parametrize("verb", ["mv", "copy", "get", "put"])
async def test_each_file_has_a_target_of_its_own(verb: str, ops: Ops, tmp_path: Path) -> None:
    source, target = ["a/x", "b/x"], "t/"
    await ops.fill(*source)
    if verb == "put":
        source = [str(tmp_path / key) for key in source]
        for name in source:
            Path(name).parent.mkdir()
            Path(name).write_text(name)
    if verb == "get":
        target = f"{tmp_path}/t/"
    for targets, match in ((target, "several files"), ([f"{target}n"] * 2, "several"), ([f"{target}n"], "2 files")):
        with pytest.raises(ValueError, match=match):
            await getattr(ops, verb)(source, targets)
    assert await ops.keys() == {"a/x", "b/x"}
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("kind", [tuple, set, iter])
async def test_any_iterable_is_a_list_of_paths(kind: Any, ops: Ops, tmp_path: Path) -> None:
    await ops.fill("a", "b")
    assert await ops.cat(kind(["a", "b"])) == {"a": b"a", "b": b"b"}
    await ops.get(kind(["a", "b"]), f"{tmp_path}/down/")
    await ops.put(kind([f"{tmp_path}/down/a", Path(f"{tmp_path}/down/b")]), "up/")
    await ops.copy(kind(["a", RemotePath("b")]), kind(["c", "d"]) if kind is not set else "e/")
    await ops.mv(kind(["a", "b"]), "f/")
    await ops.rm(kind(["up/a", "f/b"]))
    assert await ops.keys() == {"up/b", "f/a"} | ({"e/a", "e/b"} if kind is set else {"c", "d"})


async def test_mv_keeps_what_others_put_there_meanwhile(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    await ops.fill(*TREE)

    async def late(*folder: Any) -> None:
        await ops.fill("d/e/late")
        await prune_empty(*folder)

    monkeypatch.setattr("remote_store.interop._bulk.prune_empty", late)
    await ops.mv("d", "new", recursive=True)
    assert await ops.keys() == {"a", "h/i", "new/b", "new/e/c", "new/e/f/g", "d/e/late"}


async def test_mv_to_itself_and_onto_a_file(ops: Ops) -> None:
    await ops.fill("f", "g")
    await ops.mv("f", "f")
    assert await ops.keys() == {"f", "g"}
    await ops.mv("f", "g")
    assert await ops.keys() == {"g"}
    assert await ops.cat_file("g") == b"f"


@pytest.mark.parametrize("spelled", ["d", "d/", "/d", "store://d/"])
async def test_mv_of_a_folder_onto_itself_does_nothing(spelled: str, ops: Ops) -> None:
    await ops.fill(*TREE)
    await ops.mv("d", spelled, recursive=True)
    await ops.mv(spelled, "d", recursive=True)
    assert await ops.keys() == set(TREE)
    with pytest.raises(NotFound):
        await ops.mv("none", "none", recursive=True)


async def test_metadata_goes_along(ops: Ops) -> None:
    await ops.pipe_file("f", b"", metadata={"k": "v"})
    await ops.cp_file("f", "g")
    await ops.mv_file("g", "h")
    assert (await ops.info("h"))["metadata"] == {"k": "v"}


# --- who may call what


async def test_an_asynchronous_filesystem_is_awaited() -> None:
    from remote_store.aio import AsyncMemoryBackend

    fs = AsyncStore(AsyncMemoryBackend()).to_fsspec()
    assert fs.asynchronous
    assert fs.async_impl
    calls: list[Callable[[], Any]] = [
        lambda: fs.info("x"),
        lambda: fs.get("x", "y"),
        lambda: fs.open("x", "wb"),
        lambda: fs.open("x"),
        lambda: list(fs.walk("")),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="asynchronous"):
            call()
    with pytest.raises(ValueError, match="AsyncStore"):
        type(fs)(Store(MemoryBackend()), asynchronous=True)


async def test_open_async(ops: Ops) -> None:
    await ops.store.write("f", b"0123456789" * 100_000)
    async with await ops.fs.open_async("f") as file:
        assert await file.read(3) == b"012"
        assert file.tell() == 3
        file.seek(999_999)
        assert await file.read() == b"9"
        assert await file.read(5) == b""
    with pytest.raises(NotImplementedError):
        await ops.fs.open_async("f", "wb")
    with pytest.raises(NotFound):
        await ops.fs.open_async("none")


async def test_operations_of_an_asynchronous_filesystem_run_side_by_side(moto_server: S3Server) -> None:
    async with AsyncStore(AsyncS3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)) as store:
        fs = store.to_fsspec()
        await asyncio.gather(*(fs._pipe_file(f"d/{n}", b"%d" % n) for n in range(20)))
        assert await fs._cat([f"d/{n}" for n in range(20)]) == {f"d/{n}": b"%d" % n for n in range(20)}


def test_a_synchronous_filesystem_has_no_thread_of_its_own() -> None:
    from helpers.processes import in_new_process

    assert in_new_process(threads_of_a_filesystem) == ["MainThread"]


def threads_of_a_filesystem() -> list[str]:
    import threading

    fs = Store(MemoryBackend()).to_fsspec()
    fs.pipe_file("f", b"")
    assert fs.find("") == ["f"]
    return [thread.name for thread in threading.enumerate()]


class OwnWords(MemoryBackend):
    """A backend whose refusals read differently."""

    def get_file_info(self, path: str) -> Any:
        if self.is_folder(path):
            raise InvalidPath("no file", path=path)
        return super().get_file_info(path)

    def delete_folder(self, path: str, **options: Any) -> Any:
        if self.is_file(path):
            raise InvalidPath("no folder", path=path)
        return super().delete_folder(path, **options)


def test_refusals_need_no_certain_words() -> None:
    fs = Store(OwnWords()).to_fsspec()
    fs.pipe({"d/f": b"1", "f": b"2"})
    assert fs.info("d") == {"name": "d", "size": 0, "type": "directory"}
    fs.rm("f", recursive=True)
    assert fs.find("") == ["d/f"]


class Timeless(MemoryBackend):
    """A backend that does not tell times."""

    def get_file_info(self, path: str) -> Any:
        return dataclasses.replace(super().get_file_info(path), modified_at=UNKNOWN_TIME)


def test_no_time_is_invented() -> None:
    fs = Store(Timeless()).to_fsspec()
    fs.pipe_file("f", b"1")
    assert "mtime" not in fs.info("f")
    with pytest.raises(NotImplementedError, match="'f'"):
        fs.modified("f")


def test_missing_capabilities_are_told(tmp_path: Path) -> None:
    fs = Store(Limited(Capability.WRITE, Capability.ATOMIC_WRITE, Capability.DELETE, Capability.COPY)).to_fsspec()
    (tmp_path / "f").write_text("")
    for call, capability in (
        (lambda: fs.pipe_file("f", b""), "write"),
        (lambda: fs.open("f", "wb"), "write"),
        (lambda: fs.open("f", "xb"), "write"),
        (lambda: fs.put(str(tmp_path / "f"), "f"), "write"),
        (lambda: fs.touch("f"), "write"),
        (lambda: fs.rm("f"), "delete"),
        (lambda: fs.rm("f", recursive=True), "delete"),
        (lambda: fs.cp_file("f", "g"), "copy"),
    ):
        with pytest.raises(CapabilityNotSupported) as caught:
            call()
        assert caught.value.capability == capability


# --- content types and signed URLs


async def test_whatever_writes_takes_a_content_type(ops: Ops, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"1")
    await ops.pipe_file("pipe", b"1", content_type="text/csv")
    await ops.pipe({"pipes": b"1"}, content_type="text/csv")
    await ops.put_file(str(tmp_path / "here"), "put", content_type="text/csv")
    await ops.touch("touch", content_type="text/csv")
    if not ops.fs.asynchronous:
        with ops.fs.open("open", "wb", content_type="text/csv") as file:
            file.write(b"1")
        with ops.fs.open("text", "x", content_type="text/csv") as file:
            file.write("1")
        with pytest.raises(TypeError, match="content_type"):
            ops.fs.open("open", "rb", content_type="text/csv")
    for path in await ops.find(""):
        assert (await ops.info(path))["ContentType"] == "text/csv", path
    await ops.cp_file("pipe", "copy")
    assert (await ops.info("copy"))["content_type"] == "text/csv"


async def test_what_is_no_content_type_is_refused(ops: Ops) -> None:
    with pytest.raises(ValueError, match="media type"):
        await ops.pipe_file("f", b"1", content_type="text")
    assert not await ops.exists("f")


@pytest.mark.parametrize("mode", [pytest.param("sync", marks=pytest.mark.full), "async"])
async def test_a_filesystem_signs_as_its_store_does(mode: str, moto_server: S3Server) -> None:
    async with view_of(mode, moto_server, moto_server.fresh_prefix()) as view:
        ops = Ops(view.store)
        await ops.pipe_file("d/f", b"content")
        url = await ops.sign("d/f", expiration=60)
        assert "X-Amz-Expires=60&" in url
        with await asyncio.to_thread(urllib.request.urlopen, url) as reply:
            assert reply.read() == b"content"
        assert "X-Amz-Expires=100&" in await ops.sign("store://d/new", method="PUT")


async def test_a_filesystem_that_cannot_sign_says_so(ops: Ops) -> None:
    if ops.store.supports(Capability.SIGNED_URL):
        pytest.skip("S3 signs, which another test tries")
    with pytest.raises(CapabilityNotSupported, match="signed_url"):
        await ops.sign("f")
