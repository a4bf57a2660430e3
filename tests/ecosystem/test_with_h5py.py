"""HDF5 files, whose header is written last: through writers that seek, on every storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import HalfWay, half_way, library
from servers.s3 import BUCKET, S3Server

from remote_store import Store
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend

h5py = library("h5py")
numpy = library("numpy")


@pytest.fixture(params=["local", "memory", "S3", "child"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "S3":
        server: S3Server = request.getfixturevalue("moto_server")
        with Store(S3Backend(BUCKET, server.fresh_prefix(), **server.options)) as store:
            yield store
    elif request.param == "local":
        yield Store(LocalBackend(tmp_path))
    else:
        yield Store(MemoryBackend()) if request.param == "memory" else Store(MemoryBackend()).child("below")


def test_arrays_come_back(store: Store) -> None:
    numbers = numpy.arange(3_000_000, dtype="int64").reshape(1000, 3000)  # More than a part of an upload.
    with store.open_atomic("d/a.h5", seekable=True) as file, h5py.File(file, "w") as made:
        made.create_dataset("grid", data=numbers)
        made.create_dataset("packed", data=numbers, chunks=(100, 300), compression="gzip")
        made["grid"].attrs["unit"] = "m"
        assert not store.exists("d/a.h5")
    assert file.result.size == store.get_file_info("d/a.h5").size
    with store.read_seekable("d/a.h5") as opened, h5py.File(opened, "r") as found:
        assert found["grid"].attrs["unit"] == "m"
        assert (found["grid"][500] == numbers[500]).all()
        assert (found["packed"][:] == numbers).all()


def test_a_failure_half_way_publishes_nothing(store: Store) -> None:
    with half_way(), store.open_atomic("a.h5", seekable=True) as file, h5py.File(file, "w") as made:
        made["grid"] = numpy.zeros(1000)
        raise HalfWay
    assert not store.exists("a.h5")
