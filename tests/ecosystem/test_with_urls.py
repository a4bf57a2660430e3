"""What works on URLs of any protocol: fsspec's generic filesystem, its references, and who makes URLs of paths."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import fsspec.generic
import pytest
from fsspec.asyn import get_loop
from libraries import Place

from remote_store import NotFound
from remote_store.config import default_registry

PROTOCOLS = ("remote-store", "remotestore")


@pytest.fixture(autouse=True)
def _close(_configured: None) -> Iterator[None]:
    yield
    asyncio.run_coroutine_threadsafe(default_registry().aclose(), get_loop()).result()


# --- fsspec.generic

copies_by_url = pytest.mark.skipif(
    tuple(map(int, fsspec.__version__.split(".")[:2])) < (2025, 5),
    reason="GenericFileSystem of this fsspec takes the URLs that cp is given for local paths",
)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"default_method": "current"},
    {"default_method": "options"},
    {"default_method": "options", "storage_options": {"remote-store": {"asynchronous": True}}},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_rsync(options: dict[str, Any], place: Place, target: Place) -> None:
    place.fill("a", "d/b", "d/e/c")
    target.fill("gone", "a")
    for _ in range(2):
        fsspec.generic.rsync(place.url, target.url, delete_missing=True, inst_kwargs=options)
        assert target.keys == ["a", "d/b", "d/e/c"]
    assert target.store.read_text("d/e/c") == "of d/e/c"
    place.store.write_text("a", "longer than before", overwrite=True)
    fsspec.generic.rsync(place.url, target.url, inst_kwargs=options)
    assert target.store.read_text("a") == "longer than before"


@copies_by_url
@pytest.mark.parametrize("options", OPTIONS)
def test_the_generic_filesystem(options: dict[str, Any], place: Place, target: Place) -> None:
    fs = fsspec.generic.GenericFileSystem(**options)
    fs.pipe_file(f"{place.url}/d/a", b"123")
    assert fs.cat(f"{place.url}/d/a") == b"123"
    assert fs.info(f"{place.url}/d/a")["name"] == f"{place.url}/d/a"
    assert [info["name"] for info in fs.ls(place.url)] == [f"{place.url}/d"]
    assert fs.find(place.url) == [f"{place.url}/d/a"]
    fs.cp(f"{place.url}/d/a", f"{target.url}/one", on_error="raise")
    fs.cp_file(f"{place.url}/d/a", f"{target.url}/two")
    assert target.store.read_bytes("one") == target.store.read_bytes("two") == b"123"
    fs.rm([f"{target.url}/one"])
    assert target.keys == ["two"]


@copies_by_url
def test_a_copy_that_fails_is_no_success(place: Place, target: Place) -> None:
    with pytest.raises(NotFound, match=f"'{place.path}/none'"):
        fsspec.generic.GenericFileSystem().cp(f"{place.url}/none", f"{target.url}/one")
    assert target.keys == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_between_this_machine_and_a_store(protocol: str, place: Place, tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up/a").write_text("1")
    url = place.url.replace("remote-store", protocol)
    fsspec.generic.rsync(f"file://{tmp_path}/up", url)
    assert place.store.read_text("a") == "1"
    fsspec.generic.rsync(url, f"file://{tmp_path}/down")
    assert (tmp_path / "down/a").read_text() == "1"


# --- references


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_references_with_whole_urls(protocol: str, place: Place, target: Place) -> None:
    place.store.write("d/a.bin", b"0123456789")
    target.store.write("b.bin", b"abc")
    urls = [url.replace("remote-store", protocol) for url in (f"{place.url}/d/a.bin", f"{target.url}/b.bin")]
    references = {"x/0": [urls[0], 2, 3], "x/1": [urls[0]], "y": [urls[1]], "z": "inline"}
    for options in ({}, {"remote_protocol": protocol}):
        fs = fsspec.filesystem("reference", fo=dict(references), skip_instance_cache=True, **options)
        assert fs.cat("x/0") == b"234"
        assert fs.cat(["x/0", "x/1", "y"]) == {"x/0": b"234", "x/1": b"0123456789", "y": b"abc"}
        assert sorted(fs.find("")) == ["x/0", "x/1", "y", "z"]


def test_a_file_of_references_in_a_store(place: Place) -> None:
    place.store.write("a.bin", b"0123456789")
    place.store.write_text("refs.json", json.dumps({"version": 1, "refs": {"a": [f"{place.url}/a.bin", 1, 2]}}))
    fs = fsspec.filesystem("reference", fo=f"{place.url}/refs.json", skip_instance_cache=True)
    assert fs.cat("a") == b"12"


# --- what makes a URL of a protocol and a path


def test_urls_made_of_protocol_and_path(place: Place, target: Place) -> None:
    """As the `datasets` of Hugging Face do, and others."""
    place.fill("d/x.csv", "d/y.csv")
    target.fill("x.csv")
    for url in (f"{place.url}/d/*.csv", f"{place.url}/d/**"):
        fs, *_ = fsspec.get_fs_token_paths(url)
        protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
        found = [f"{protocol}://{path}" for path, info in fs.glob(url, detail=True).items() if info["type"] == "file"]
        assert found == [f"{place.url}/d/x.csv", f"{place.url}/d/y.csv"]
        with fsspec.open_files(found, "r") as files:
            assert [file.read() for file in files] == ["of d/x.csv", "of d/y.csv"]
