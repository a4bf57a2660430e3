"""The double of Google Cloud Storage as gcsfs sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from servers.gcs import BUCKET, GcsServer
from servers.gcs_client import MIB

pytest.importorskip("gcsfs")


@pytest.fixture
def prefix(gcs_server: GcsServer) -> str:
    return gcs_server.fresh_prefix()


@pytest.fixture
def filesystem(gcs_server: GcsServer) -> Iterator[Any]:
    """gcsfs, whose multipart uploads have bare newlines."""
    from fsspec.asyn import sync
    from gcsfs.core import GCSFileSystem

    with gcs_server.having(bare_newlines=True):
        filesystem = GCSFileSystem(**gcs_server.options, skip_instance_cache=True)
        yield filesystem
        sync(filesystem.loop, filesystem._session.close)


def test_gcsfs_stores_and_reads(filesystem: Any, prefix: str) -> None:
    path = f"{BUCKET}/{prefix}/a b/ä"
    filesystem.pipe_file(path, b"hello", metadata={"k": "v"})
    assert filesystem.cat_file(path) == b"hello"
    assert filesystem.cat_file(path, 1, 3) == b"el"
    info = filesystem.info(path)
    assert (info["size"], info["type"], info["metadata"]) == (5, "file", {"k": "v"})
    with pytest.raises(FileExistsError):
        filesystem.pipe_file(path, b"2", mode="create")
    with pytest.raises(FileNotFoundError):
        filesystem.info(f"{path}/missing")
    assert filesystem.cat_file(path) == b"hello"


def test_gcsfs_lists_copies_moves_and_deletes(filesystem: Any, gcs_server: GcsServer, prefix: str) -> None:
    here = f"{BUCKET}/{prefix}"
    for name in ("a", "b/1", "b/2"):
        filesystem.pipe_file(f"{here}/{name}", b"1")
    assert sorted(filesystem.ls(here, detail=False)) == [f"{here}/a", f"{here}/b"]
    assert filesystem.find(here) == [f"{here}/{name}" for name in ("a", "b/1", "b/2")]
    filesystem.cp_file(f"{here}/a", f"{here}/c")
    filesystem.mv(f"{here}/c", f"{here}/d")
    assert gcs_server.keys(prefix) == [f"{prefix}/{name}" for name in ("a", "b/1", "b/2", "d")]
    filesystem.rm(f"{here}/b", recursive=True)
    filesystem.rm_file(f"{here}/a")
    assert gcs_server.keys(prefix) == [f"{prefix}/d"]


def test_gcsfs_stores_in_parts(filesystem: Any, gcs_server: GcsServer, prefix: str) -> None:
    content = bytes(range(256)) * (MIB // 256)
    with filesystem.open(f"{BUCKET}/{prefix}/a", "wb", block_size=MIB // 2) as file:
        file.write(content[: MIB - 10])
        assert gcs_server.keys(prefix) == []
        file.write(content[MIB - 10 :])
    assert filesystem.cat_file(f"{BUCKET}/{prefix}/a") == content
    assert gcs_server.uploads() == []
