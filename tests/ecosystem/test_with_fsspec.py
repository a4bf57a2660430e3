"""fsspec's own functions on stores: open files, caches, chains, patterns."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from libraries import HalfWay, Place, half_way

from remote_store.interop import NamedFileSystem


def test_open(place: Place) -> None:
    for name in ("a.txt", "a.txt.gz"):
        with fsspec.open(f"{place.url}/{name}", "w", compression="infer") as file:
            file.write("hello")
        with fsspec.open(f"{place.url}/{name}", "r", compression="infer") as file:
            assert file.read() == "hello"
    assert place.store.read_bytes("a.txt") == b"hello"
    assert place.store.read_bytes("a.txt.gz")[:2] == b"\x1f\x8b"


def test_open_files(place: Place) -> None:
    with fsspec.open_files(f"{place.url}/part-*.txt", "w", num=3) as files:
        for number, file in enumerate(files):
            file.write(str(number))
    assert place.keys == [f"part-{number}.txt" for number in range(3)]
    with fsspec.open_files(f"{place.url}/part-*.txt", "r") as files:
        assert [file.read() for file in files] == ["0", "1", "2"]
    with fsspec.open_files([f"{place.url}/part-0.txt", f"{place.url}/part-2.txt"]) as files:
        assert [file.read() for file in files] == [b"0", b"2"]


def test_url_to_fs(place: Place) -> None:
    fs, path = fsspec.url_to_fs(f"{place.url}/d/a.txt")
    assert isinstance(fs, NamedFileSystem)
    fs.pipe_file(path, b"1")
    assert place.keys == ["d/a.txt"]
    assert fs.unstrip_protocol(path) == f"{place.url}/d/a.txt"
    _, token, paths = fsspec.get_fs_token_paths(f"{place.url}/d/*")
    assert (token, paths) == (fs._fs_token, [path])
    assert fsspec.get_filesystem_class("remote-store") is NamedFileSystem
    assert dict(fsspec.get_mapper(f"{place.url}/d")) == {"a.txt": b"1"}


def test_missing_files_are_file_not_found(place: Place) -> None:
    with pytest.raises(FileNotFoundError), fsspec.open(f"{place.url}/none"):
        pass
    assert fsspec.open_files(f"{place.url}/*.none") == []


@pytest.mark.parametrize("kind", ["simplecache", "filecache"])
def test_caches_of_files_that_are_read(place: Place, tmp_path: Path, kind: str) -> None:
    cache: dict[str, Any] = {kind: {"cache_storage": str(tmp_path / "cache")}}
    place.store.write_text("a.txt", "hello")
    for _ in range(2):
        with fsspec.open(f"{kind}::{place.url}/a.txt", "r", **cache) as file:
            assert file.read() == "hello"
        place.store.delete("a.txt", missing_ok=True)  # Neither asks again: filecache not for a week.


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # Of fsspec 2025.3, about its copy.
def test_files_for_what_needs_a_local_path(place: Place, tmp_path: Path) -> None:
    place.store.write_text("a.txt", "hello")
    cache = {"cache_storage": str(tmp_path / "cache")}
    assert Path(fsspec.open_local(f"simplecache::{place.url}/a.txt", simplecache=cache)).read_text() == "hello"


def test_archives_in_a_store(place: Place) -> None:
    with fsspec.open(f"{place.url}/a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.txt", "hello")
    with fsspec.open(f"zip://inner.txt::{place.url}/a.zip", "r") as file:
        assert file.read() == "hello"


def test_folders_are_copied_to_and_fro(place: Place, tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "a.txt").write_text("hello")
    place.fs.put(str(tmp_path / "d"), "d", recursive=True)
    assert place.keys == ["d/e/a.txt"]
    place.fs.get("d", str(tmp_path / "back"), recursive=True)
    assert LocalFileSystem().find(str(tmp_path / "back")) == [str(tmp_path / "back" / "e" / "a.txt")]


# --- blocks that raise


def half_write(file: Any, content: str | bytes = b"half") -> None:
    with half_way(), file as opened:
        opened.write(content)
        raise HalfWay


def test_a_block_that_raises_publishes_nothing(place: Place) -> None:
    half_write(fsspec.open(f"{place.url}/a", "wb"))
    half_write(fsspec.open(f"{place.url}/a", "w"), "half")
    half_write(fsspec.open(f"{place.url}/a.gz", "wb", compression="infer"))
    half_write(place.fs.open("a", "wb"))
    half_write(io.TextIOWrapper(place.fs.open("a", "wb")), "half")
    half_write(io.BufferedWriter(place.fs.open("a", "wb")))
    with half_way(), fsspec.open_files(f"{place.url}/part-*", "wb", num=2) as files:
        files[0].write(b"half")
        raise HalfWay
    assert place.keys == []


def test_files_that_wrap_themselves_are_whole(place: Place) -> None:
    with io.TextIOWrapper(place.fs.open("a", "wb")) as file:
        file.write("whole")
    try:
        raise RuntimeError("earlier")
    except RuntimeError:
        with io.TextIOWrapper(place.fs.open("b", "wb")) as file:
            file.write("whole")
    assert [place.store.read_text(key) for key in place.keys] == ["whole", "whole"]


def test_a_simplecache_writes_what_a_block_left(place: Place) -> None:
    half_write(fsspec.open(f"simplecache::{place.url}/a", "wb"))  # fsspec's own file: so caches are for reading.
    assert place.keys == ["a"]
