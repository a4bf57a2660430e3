"""pyarrow over a store: columns of Parquet take little more of S3 than they are long, and no file is half written."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from fsspec.parquet import open_parquet_file
from s3fs import S3FileSystem
from servers.s3 import BUCKET, S3Server

from remote_store import Store
from remote_store.backends import S3Backend

MIB = 1 << 20
COLUMNS = 10
KEY = "table.parquet"
REQUEST = 2 * MIB
"""What a request costs besides its bytes: 20 ms at 100 MB/s [bytes]."""


@dataclass
class Traffic:
    """What a reading asks of a server: a number of requests, and bytes of the file."""

    requests: int = 0
    received: int = 0

    @property
    def cost(self) -> int:
        """All of it, in bytes."""
        return self.requests * REQUEST + self.received


def parquet(mib: int, groups: int) -> bytes:
    """A file of about that size: columns of noise, which does not compress."""
    rows = mib * MIB // (8 * COLUMNS)
    noise = random.Random(7)
    buffers = [[None, pa.py_buffer(noise.randbytes(8 * rows))] for _ in range(COLUMNS)]
    columns = {f"c{number}": pa.Array.from_buffers(pa.int64(), rows, two) for number, two in enumerate(buffers)}
    file = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), file, row_group_size=-(-rows // groups), use_dictionary=False)
    return file.getvalue().to_pybytes()


@contextmanager
def counted(server: S3Server, size: int) -> Iterator[Traffic]:
    """Counts requests, and the bytes of the file that they ask for."""
    traffic = Traffic()

    def count(environ: dict[str, Any], carry_out: Callable[[], Any]) -> None:
        traffic.requests += 1
        if environ["REQUEST_METHOD"] == "GET" and KEY in environ["PATH_INFO"]:
            start, _, end = environ.get("HTTP_RANGE", "bytes=0-").removeprefix("bytes=").partition("-")
            traffic.received += min(int(end or size), size - 1) + 1 - int(start)

    with server.hooked(count):
        yield traffic


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of pyarrow."""
    before = pa.io_thread_count()
    pa.set_io_thread_count(count)
    yield
    pa.set_io_thread_count(before)


@pytest.fixture
def put(moto_server: S3Server) -> Callable[[bytes], None]:
    """Puts a file there behind moto's server, which is slow with large ones."""
    from moto.s3.models import s3_backends

    return lambda data: s3_backends["123456789012"]["aws"].put_object(BUCKET, KEY, data)


# --- readings


def one_column_of_a_file(fs: Any, path: str) -> None:
    with fs.open(path, "rb") as file:
        pq.read_table(file, columns=["c3"])


def one_column_by_path(fs: Any, path: str) -> None:
    pq.read_table(path, columns=["c3"], filesystem=fs)


def one_column_known_before(fs: Any, path: str) -> None:
    with open_parquet_file(path, fs=fs, columns=["c3"], engine="pyarrow") as file:
        pq.read_table(file, columns=["c3"])


def two_columns(fs: Any, path: str) -> None:
    with fs.open(path, "rb") as file:
        pq.read_table(file, columns=["c0", "c9"])


def one_row_group(fs: Any, path: str) -> None:
    with fs.open(path, "rb") as file:
        pq.ParquetFile(file).read_row_group(1, columns=["c3"])


def all_columns(fs: Any, path: str) -> None:
    with fs.open(path, "rb") as file:
        pq.read_table(file)


def the_schema(fs: Any, path: str) -> None:
    with fs.open(path, "rb") as file:
        pq.read_schema(file)


COLUMN = [one_column_of_a_file, one_column_by_path, one_column_known_before]
READINGS = [*COLUMN, two_columns, one_row_group, all_columns, the_schema]


def taken(server: S3Server, size: int, reading: Callable[[Any, str], None]) -> Traffic:
    """What a reading takes through a store."""
    with Store(S3Backend(BUCKET, **server.options)) as store, counted(server, size) as traffic:
        reading(store.to_fsspec(), KEY)
    return traffic


@pytest.mark.parametrize("reading", COLUMN)
def test_a_column_takes_little_more_bytes_than_it_has(
    reading: Callable[[Any, str], None], moto_server: S3Server, put: Callable[[bytes], None]
) -> None:
    put(data := parquet(40, 4))  # Of which a column has a MiB in each row group.
    traffic = taken(moto_server, len(data), reading)
    assert 4 * MIB < traffic.received < 1.6 * 4 * MIB
    assert traffic.requests <= 10  # 5 for the end and the column; by path pyarrow asks 5 times for the size.


@pytest.mark.full
@pytest.mark.parametrize("groups", [2, 16, 64])
@pytest.mark.parametrize("reading", READINGS)
def test_no_reading_costs_more_than_through_s3fs(
    reading: Callable[[Any, str], None], groups: int, moto_server: S3Server, put: Callable[[bytes], None]
) -> None:
    put(data := parquet(64, groups))
    options = moto_server.options
    client = {"region_name": options.pop("region_name")}
    with _threads(1):
        ours = taken(moto_server, len(data), reading)
        with counted(moto_server, len(data)) as theirs:
            reading(S3FileSystem(**options, client_kwargs=client, skip_instance_cache=True), f"{BUCKET}/{KEY}")
    assert ours.received <= theirs.received + MIB
    assert ours.cost <= theirs.cost + 2 * REQUEST  # s3fs remembers sizes, and so asks less often for them.


@pytest.mark.full
@pytest.mark.parametrize("reading", READINGS)
def test_threads_that_read_in_any_order_fetch_little_twice(
    reading: Callable[[Any, str], None], moto_server: S3Server, put: Callable[[bytes], None]
) -> None:
    put(data := parquet(64, 64))
    with _threads(8):
        assert taken(moto_server, len(data), reading).received <= 1.3 * len(data)


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
