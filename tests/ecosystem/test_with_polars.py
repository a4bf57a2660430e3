"""Polars reads and writes files of stores; by URL it knows only those that its own Rust libraries know."""

from __future__ import annotations

from typing import Any

import pytest
from libraries import HalfWay, Place, half_way, library

pl = library("polars")
ds = library("pyarrow.dataset")

FRAME = pl.DataFrame({"sold": range(100), "shop": ["a", "b"] * 50})


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc", "json", "avro"])
def test_files_that_are_open(place: Place, kind: str) -> None:
    with place.fs.open(f"sales.{kind}", "wb") as file:
        getattr(FRAME, f"write_{kind}")(file)
    with place.fs.open(f"sales.{kind}") as file:
        assert getattr(pl, f"read_{kind}")(file).equals(FRAME)


def test_lazy_frames(place: Place) -> None:
    with place.fs.open("sales.parquet", "wb") as file:
        FRAME.lazy().filter(pl.col("sold") < 10).sink_parquet(file)
    with place.fs.open("sales.parquet") as file:
        found = pl.scan_parquet(file).filter(pl.col("shop") == "b").select("sold").collect()
    assert found["sold"].to_list() == [1, 3, 5, 7, 9]


def write_partitioned(place: Place) -> None:
    options = {"filesystem": place.fs, "partition_cols": ["shop"]}
    FRAME.write_parquet("sales", use_pyarrow=True, pyarrow_options=options)


def test_partitions_are_written_by_pyarrow(place: Place) -> None:
    write_partitioned(place)
    assert {key.rpartition("/")[0] for key in place.keys} == {"sales/shop=a", "sales/shop=b"}


def test_datasets_are_scanned_through_pyarrow(place: Place) -> None:
    write_partitioned(place)
    sales = pl.scan_pyarrow_dataset(ds.dataset("sales", filesystem=place.fs, partitioning="hive"))
    found = sales.filter(pl.col("shop") == "b").select("sold").collect()
    assert sorted(found["sold"]) == list(range(1, 100, 2))


def test_many_files_are_scanned_as_one(place: Place) -> None:
    write_partitioned(place)
    files = [place.fs.open(key) for key in place.fs.glob("sales/**/*.parquet")]
    assert sorted(pl.scan_parquet(files).collect()["sold"]) == list(range(100))
    for file in files:
        file.close()


def test_urls_are_not_known(place: Place) -> None:
    FRAME.write_parquet(file := place.fs.open("sales.parquet", "wb"))
    file.close()
    calls: list[Any] = [pl.read_parquet, lambda url: pl.scan_parquet(url).collect(), FRAME.write_parquet]
    for call in calls:
        with pytest.raises((FileNotFoundError, pl.exceptions.ComputeError)):
            call(f"{place.url}/sales.parquet")


def test_missing_files_are_file_not_found(place: Place) -> None:
    with pytest.raises(FileNotFoundError), place.fs.open("none.parquet") as file:
        pl.read_parquet(file)


def test_a_block_that_raises_publishes_nothing(place: Place) -> None:
    for write in (FRAME.write_parquet, FRAME.write_csv, FRAME.lazy().sink_parquet):
        with half_way(), place.fs.open("sales", "wb") as file:
            write(file)
            raise HalfWay
    assert place.keys == []


def test_a_query_that_fails_publishes_nothing(place: Place) -> None:
    failing = FRAME.lazy().with_columns(pl.col("shop").cast(pl.Int64))
    for name in ("parquet", "csv", "ipc"):
        with pytest.raises(pl.exceptions.InvalidOperationError), place.fs.open("sales", "wb") as file:
            getattr(failing, f"sink_{name}")(file)
    assert place.keys == []
