"""pyarrow over a store: Parquet takes no more of S3 than through s3fs, and no file is half written."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from servers.s3 import S3Server

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "parquet.py"


def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("parquet_budget", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Where dataclasses look for it.
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def _all_threads() -> Any:
    count = pa.io_thread_count()
    yield
    pa.set_io_thread_count(count)


@pytest.mark.full
@pytest.mark.usefixtures("_all_threads")
def test_no_reading_takes_more_of_s3_than_through_s3fs(moto_server: S3Server) -> None:
    rows = list(benchmark().rows(moto_server, 64, {"16 row groups": 16}, threads=1))
    assert len(rows) == 6
    for row in rows:
        assert row.ok, row
    assert max(row.store.requests for row in rows) > 3  # More than a read-ahead swallows.


@pytest.mark.full
@pytest.mark.usefixtures("_all_threads")
def test_threads_that_read_in_any_order_fetch_nothing_twice(moto_server: S3Server) -> None:
    module = benchmark()
    for row in module.rows(moto_server, 64, {"64 row groups": 64}, threads=8):
        assert row.ok is None
        assert row.store.received <= 65 * module.MIB, row


def test_tables_are_written_whole_or_not_at_all(fs: Any) -> None:
    table = pa.table({"a": list(range(1000))})
    pq.write_table(table, "d/t.parquet", filesystem=fs)
    assert pq.read_table("d/t.parquet", filesystem=fs) == table
    writer = pq.ParquetWriter("half.parquet", table.schema, filesystem=fs)
    with pytest.raises(ValueError, match="schema"):
        fail_to_write(writer, table)
    assert fs.find("") == ["d/t.parquet"]


def fail_to_write(writer: Any, table: Any) -> None:
    with writer:
        writer.write_table(table)
        writer.write_table(pa.table({"b": [1]}))


def test_a_dataset(fs: Any) -> None:
    table = pa.table({"a": list(range(100)), "part": ["x", "y"] * 50})
    ds.write_dataset(table, "set", filesystem=fs, format="parquet", partitioning=["part"], partitioning_flavor="hive")
    assert sorted(fs.ls("set", detail=False)) == ["set/part=x", "set/part=y"]
    found = ds.dataset("set", filesystem=fs, partitioning="hive").to_table(filter=ds.field("part") == "y")
    assert sorted(found["a"].to_pylist()) == list(range(1, 100, 2))
    with pytest.raises(FileNotFoundError):
        ds.dataset("none", filesystem=fs)
