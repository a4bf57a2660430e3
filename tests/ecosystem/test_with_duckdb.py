"""DuckDB reads and writes stores that are registered with a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from libraries import Place, library

duckdb = library("duckdb")

HALF_WAY = 2_500_000
FAILING = (
    f"SELECT CASE WHEN range = {HALF_WAY} THEN error('half way') ELSE range END AS sold FROM range({HALF_WAY + 1})"
)


@pytest.fixture
def connection(place: Place) -> Iterator[Any]:
    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("remote-store"))
        yield connection


def write(connection: Any, url: str, options: str = "") -> None:
    connection.execute(f"COPY (SELECT range AS sold, range % 2 AS shop FROM range(100)) TO '{url}' ({options})")


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_files(connection: Any, place: Place, kind: str) -> None:
    write(connection, f"{place.url}/sales.{kind}", f"FORMAT {kind}")
    assert place.keys == [f"sales.{kind}"]
    found = connection.execute(f"SELECT sum(sold), count(*) FROM '{place.url}/sales.{kind}' WHERE shop = 1").fetchall()
    assert found == [(2500, 50)]


def test_patterns_and_partitions(connection: Any, place: Place) -> None:
    write(connection, f"{place.url}/sales", "FORMAT parquet, PARTITION_BY (shop), OVERWRITE_OR_IGNORE")
    assert place.keys == ["sales/shop=0/data_0.parquet", "sales/shop=1/data_0.parquet"]
    for pattern in ("sales/*/*.parquet", "sales/**/*.parquet"):
        source = f"read_parquet('{place.url}/{pattern}', hive_partitioning = true)"
        found = connection.execute(f"SELECT shop, sum(sold) FROM {source} GROUP BY shop ORDER BY shop").fetchall()
        assert found == [(0, 2450), (1, 2500)]
    write(connection, f"{place.url}/sales", "FORMAT parquet, PARTITION_BY (shop), OVERWRITE")
    assert place.keys == ["sales/shop=0/data_0.parquet", "sales/shop=1/data_0.parquet"]


def test_partitions_in_a_new_folder_need_leave(connection: Any, place: Place) -> None:
    for option in ("PARTITION_BY (shop)", "PER_THREAD_OUTPUT"):
        with pytest.raises(duckdb.Error, match="File not found"):  # It lists the folder that it made, which is none.
            write(connection, f"{place.url}/sales", f"FORMAT parquet, {option}")
        assert place.keys == []


def test_files_that_are_replaced(connection: Any, place: Place) -> None:
    url = f"{place.url}/sales.parquet"
    for rows in (3, 5):
        connection.execute(f"COPY (SELECT 1 FROM range({rows})) TO '{url}'")
        assert connection.execute(f"SELECT count(*) FROM '{url}'").fetchall() == [(rows,)]
    assert place.keys == ["sales.parquet"]


def fail(connection: Any, url: str, options: str = "FORMAT csv") -> None:
    connection.execute("SET threads = 1")  # So that rows are written before the one that fails.
    with pytest.raises(duckdb.Error, match="half way"):
        connection.execute(f"COPY ({FAILING}) TO '{url}' ({options})")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_failed_queries_leave_the_old_file_and_no_new_one(connection: Any, place: Place, kind: str) -> None:
    place.store.write(f"old.{kind}", b"as it was")
    for name in ("new", "old"):
        fail(connection, f"{place.url}/{name}.{kind}", f"FORMAT {kind}")
    assert place.keys == [f"old.{kind}"]
    assert place.store.read_bytes(f"old.{kind}") == b"as it was"


def test_without_a_temporary_file_failed_queries_leave_half_a_file(connection: Any, place: Place) -> None:
    place.store.write("old.csv", b"as it was")
    connection.execute("SET threads = 1")  # Of several, the one that fails may be the first to write.
    fail(connection, f"{place.url}/old.csv", "FORMAT csv, USE_TMP_FILE false")  # It closes what it wrote in peace.
    assert 0 < place.store.read_bytes("old.csv").count(b"\n") < HALF_WAY


def test_results_are_written_whole_by_pyarrow(connection: Any, place: Place) -> None:
    pa, pq = library("pyarrow"), library("pyarrow.parquet")

    def write(query: str, key: str) -> None:
        batches = pa.RecordBatchReader.from_stream(connection.sql(query))
        with pq.ParquetWriter(key, batches.schema, filesystem=place.fs) as writer:
            for batch in batches:
                writer.write_batch(batch)

    write("SELECT range AS sold FROM range(300_000)", "whole.parquet")
    with pytest.raises((OSError, duckdb.Error), match="half way"):
        write(FAILING, "half.parquet")
    assert place.keys == ["whole.parquet"]
    assert pq.read_table("whole.parquet", filesystem=place.fs).num_rows == 300_000


def test_missing_files_are_told(connection: Any, place: Place) -> None:
    with pytest.raises(duckdb.IOException, match="No files found"):
        connection.execute(f"SELECT * FROM '{place.url}/none.parquet'")


def test_relations_and_frames(connection: Any, place: Place) -> None:
    pd = library("pandas")
    frame = pd.DataFrame({"sold": [1, 2, 3]})
    connection.from_df(frame).write_parquet(f"{place.url}/sales.parquet")
    pd.testing.assert_frame_equal(connection.read_parquet(f"{place.url}/sales.parquet").df(), frame)


def test_a_store_without_a_name(place: Place) -> None:
    with duckdb.connect() as connection:
        connection.register_filesystem(place.fs)
        write(connection, "store://sales.parquet", "FORMAT parquet")
        assert connection.execute("SELECT count(*) FROM 'store://sales.parquet'").fetchall() == [(100,)]
    assert place.keys == ["sales.parquet"]


def test_a_connection_takes_all_named_stores_and_one_other(connection: Any, place: Place) -> None:
    urls = [place.url.replace(place.name, name, 1) + "/sales.parquet" for name in ("files", "bucket")]
    for rows, url in enumerate(urls, 1):
        connection.execute(f"COPY (SELECT 1 FROM range({rows})) TO '{url}'")
    assert connection.execute(f"SELECT count(*) FROM read_parquet({urls})").fetchall() == [(3,)]
    connection.register_filesystem(place.fs)
    with pytest.raises(duckdb.InvalidInputException, match="already been registered"):
        connection.register_filesystem(place.fs)
