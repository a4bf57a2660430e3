"""PyArrow reads and writes stores, by the filesystem and by its own wrapper around it."""

from __future__ import annotations

from typing import Any

import fsspec
import pytest
from libraries import HalfWay, Place, half_way, library, on_services_too

pa = library("pyarrow")
csv = library("pyarrow.csv")
ds = library("pyarrow.dataset")
pafs = library("pyarrow.fs")
pq = library("pyarrow.parquet")

# Its datasets forget files when something fails; then there is a warning, and no file.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <StoreWriter:ResourceWarning")

TABLE = pa.table({"sold": list(range(100)), "shop": ["a", "b"] * 50})
HIVE: dict[str, Any] = {"partitioning": ["shop"], "partitioning_flavor": "hive", "format": "parquet"}


@pytest.fixture(params=["fsspec", "arrow"])
def fs(request: pytest.FixtureRequest, place: Place) -> Any:
    return place.fs if request.param == "fsspec" else pafs.PyFileSystem(pafs.FSSpecHandler(place.fs))


def rows(table: Any) -> list[tuple[int, str]]:
    return sorted(zip(table["sold"].to_pylist(), table["shop"].to_pylist(), strict=True))


@on_services_too
def test_tables(fs: Any) -> None:
    pq.write_table(TABLE, "d/sales.parquet", filesystem=fs)
    assert pq.read_table("d/sales.parquet", filesystem=fs) == TABLE
    assert pq.read_table("d/sales.parquet", filesystem=fs, columns=["sold"]) == TABLE.select(["sold"])
    assert pq.read_metadata("d/sales.parquet", filesystem=fs).num_rows == 100
    assert pq.read_schema("d/sales.parquet", filesystem=fs) == TABLE.schema


@pytest.mark.parametrize("kind", ["parquet", "feather", "csv"])
def test_datasets(fs: Any, place: Place, kind: str) -> None:
    ds.write_dataset(TABLE, "sales", filesystem=fs, format=kind, max_rows_per_file=50, max_rows_per_group=50)
    assert place.keys == [f"sales/part-{number}.{kind}" for number in range(2)]
    assert rows(ds.dataset("sales", filesystem=fs, format=kind).to_table()) == rows(TABLE)


def test_partitioned_datasets(fs: Any, place: Place) -> None:
    ds.write_dataset(TABLE, "sales", filesystem=fs, **HIVE)
    assert place.keys == ["sales/shop=a/part-0.parquet", "sales/shop=b/part-0.parquet"]
    sales = ds.dataset("sales", filesystem=fs, partitioning="hive")
    assert rows(sales.to_table()) == rows(TABLE)
    found = sales.to_table(columns=["sold"], filter=ds.field("shop") == "b")
    assert sorted(found["sold"].to_pylist()) == list(range(1, 100, 2))
    assert pq.read_table("sales", filesystem=fs, filters=[("shop", "=", "a")]).num_rows == 50


def test_datasets_that_are_there_already(fs: Any, place: Place) -> None:
    ds.write_dataset(TABLE, "sales", filesystem=fs, **HIVE)
    place.store.write("sales/shop=a/old.parquet", b"")
    with pytest.raises(pa.ArrowInvalid, match="not empty"):
        ds.write_dataset(TABLE, "sales", filesystem=fs, **HIVE)
    ds.write_dataset(TABLE, "sales", filesystem=fs, existing_data_behavior="delete_matching", **HIVE)
    assert place.keys == ["sales/shop=a/part-0.parquet", "sales/shop=b/part-0.parquet"]
    ds.write_dataset(TABLE.slice(0, 2), "sales", filesystem=fs, existing_data_behavior="overwrite_or_ignore", **HIVE)
    assert ds.dataset("sales", filesystem=fs).count_rows() == 2


def test_missing_files_are_file_not_found(fs: Any) -> None:
    for read in (pq.read_table, ds.dataset):
        with pytest.raises(FileNotFoundError):
            read("none", filesystem=fs)


def test_a_writer_that_raises_publishes_nothing(fs: Any, place: Place) -> None:
    place.store.write("old.parquet", b"as it was")
    for name in ("new.parquet", "old.parquet"):
        with half_way(), pq.ParquetWriter(name, TABLE.schema, filesystem=fs) as writer:
            writer.write_table(TABLE)
            raise HalfWay
    assert place.keys == ["old.parquet"]
    assert place.store.read_bytes("old.parquet") == b"as it was"


@pytest.mark.parametrize("kind", ["parquet", "feather", "csv"])
def test_a_dataset_whose_rows_fail_keeps_only_whole_files(fs: Any, place: Place, kind: str) -> None:
    def batches() -> Any:
        for _ in range(25):
            yield TABLE.to_batches()[0]
        raise HalfWay

    source, rows = pa.RecordBatchReader.from_batches(TABLE.schema, batches()), {"max_rows_per_file": 1000}
    with half_way():
        ds.write_dataset(source, "sales", filesystem=fs, format=kind, max_rows_per_group=100, **rows)
    assert [ds.dataset(key, filesystem=fs, format=kind).count_rows() for key in place.keys] == [1000] * len(place.keys)


def test_a_stream_that_raises_publishes_nothing(place: Place) -> None:
    arrow = pafs.PyFileSystem(pafs.FSSpecHandler(place.fs))
    for name in ("sales.csv", "sales.csv.gz"):
        with half_way(), arrow.open_output_stream(name) as stream:
            csv.write_csv(TABLE, stream)
            raise HalfWay
    with half_way(), arrow.open_output_stream("sales") as stream, pa.ipc.new_file(stream, TABLE.schema) as writer:
        writer.write_table(TABLE)
        raise HalfWay
    assert place.keys == []


def test_streams(place: Place) -> None:
    arrow = pafs.PyFileSystem(pafs.FSSpecHandler(place.fs))
    with arrow.open_output_stream("sales.csv") as stream:
        csv.write_csv(TABLE, stream)
    with arrow.open_input_stream("sales.csv") as stream:
        assert rows(csv.read_csv(stream)) == rows(TABLE)
    with arrow.open_input_file("sales.csv") as file:
        file.seek(1)
        assert file.read(4) == b"sold"


def test_what_arrow_asks_about_files(place: Place) -> None:
    arrow = pafs.PyFileSystem(pafs.FSSpecHandler(place.fs))
    place.store.write("d/a", b"123")
    file, folder, none = arrow.get_file_info(["d/a", "d", "none"])
    assert (file.type, file.size) == (pafs.FileType.File, 3)
    assert file.mtime == place.store.get_file_info("d/a").modified_at
    assert (folder.type, none.type) == (pafs.FileType.Directory, pafs.FileType.NotFound)
    pafs.copy_files("d", "e", source_filesystem=arrow, destination_filesystem=arrow)
    arrow.move("e/a", "e/b")
    arrow.delete_dir("d")
    assert place.keys == ["e/b"]


def test_urls_need_a_prefix(place: Place) -> None:
    pq.write_table(TABLE, "sales.parquet", filesystem=place.fs)
    arrow, path = pafs.FileSystem.from_uri(f"fsspec+{place.url}/sales.parquet")
    assert pq.read_table(path, filesystem=arrow) == TABLE
    fs, path = fsspec.url_to_fs(f"{place.url}/sales.parquet")
    assert pq.read_table(path, filesystem=fs) == TABLE
    with pytest.raises(pa.ArrowInvalid, match="Unrecognized filesystem type"):
        pq.read_table(f"{place.url}/sales.parquet")
