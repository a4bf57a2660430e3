"""What reading part of a Parquet file on S3 takes, through a store and through bare s3fs, counted at a server here."""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Instead of this folder, whose `requests.py` would hide the package.
    sys.path[0] = str(Path(__file__).parent.parent / "tests")

import pyarrow as pa
import pyarrow.parquet as pq
from s3fs import S3FileSystem
from servers.s3 import BUCKET, S3Server, moto

from remote_store import Store
from remote_store.backends import S3Backend

MIB = 1 << 20
COLUMNS = 10
KEY = "table.parquet"
LAYOUTS = {"2 row groups": 2, "20 row groups": 20, "200 row groups": 200}


@dataclass
class Traffic:
    """What a reading asks of the server.

    Attributes:
        requests: their number.
        received: content in the replies [bytes].
    """

    requests: int = 0
    received: int = 0


@dataclass(frozen=True)
class Row:
    """A reading of a file, both ways.

    Args:
        name: shown.
        store, s3fs: through which it goes.
        by_chance: whether it is up to threads in which order the file is read, so that each time differs.
    """

    name: str
    store: Traffic
    s3fs: Traffic
    by_chance: bool

    @property
    def ok(self) -> bool | None:
        """Whether a store asks for no more than s3fs does; None where that is up to chance."""
        more = self.store.requests > self.s3fs.requests or self.store.received > self.s3fs.received
        return None if self.by_chance else not more


def parquet(mib: int, groups: int) -> bytes:
    """A file of about that size: columns of noise, which does not compress."""
    rows = mib * MIB // (8 * COLUMNS)
    noise = random.Random(7)
    buffers = [[None, pa.py_buffer(noise.randbytes(8 * rows))] for _ in range(COLUMNS)]
    columns = {f"c{number}": pa.Array.from_buffers(pa.int64(), rows, two) for number, two in enumerate(buffers)}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=-(-rows // groups), use_dictionary=False)
    return file.getvalue()


def one_column_of_a_file(fs: Any, path: str) -> int:
    with fs.open(path, "rb") as file:
        return int(pq.read_table(file, columns=["c3"]).num_rows)


def one_column_by_path(fs: Any, path: str) -> int:
    return int(pq.read_table(path, columns=["c3"], filesystem=fs).num_rows)


def two_columns(fs: Any, path: str) -> int:
    with fs.open(path, "rb") as file:
        return int(pq.read_table(file, columns=["c0", "c9"]).num_rows)


def one_row_group(fs: Any, path: str) -> int:
    with fs.open(path, "rb") as file:
        return int(pq.ParquetFile(file).read_row_group(1, columns=["c3"]).num_rows)


def all_columns(fs: Any, path: str) -> int:
    with fs.open(path, "rb") as file:
        return int(pq.read_table(file).num_rows)


def the_schema(fs: Any, path: str) -> int:
    with fs.open(path, "rb") as file:
        return len(pq.read_schema(file).names)


READINGS = (one_column_of_a_file, one_column_by_path, two_columns, one_row_group, all_columns, the_schema)


@contextmanager
def counted(server: S3Server, size: int) -> Iterator[Traffic]:
    """Counts requests, and the bytes of the object that they ask for."""
    traffic = Traffic()

    def count(environ: dict[str, Any], carry_out: Callable[[], Any]) -> None:
        traffic.requests += 1
        if environ["REQUEST_METHOD"] == "GET" and KEY in environ["PATH_INFO"]:
            start, _, end = environ.get("HTTP_RANGE", "bytes=0-").removeprefix("bytes=").partition("-")
            traffic.received += min(int(end or size), size - 1) + 1 - int(start)

    with server.hooked(count):
        yield traffic


def rows(server: S3Server, mib: int, layouts: dict[str, int], threads: int) -> Iterator[Row]:
    """Each reading of a file of each layout, with that many threads of pyarrow."""
    from moto.s3.models import s3_backends

    pa.set_io_thread_count(threads)
    options = server.options
    region = {"region_name": options.pop("region_name")}
    with Store(S3Backend(BUCKET, **server.options)) as store:
        for layout, groups in layouts.items():
            data = parquet(mib, groups)
            s3_backends["123456789012"]["aws"].put_object(BUCKET, KEY, data)
            for reading in READINGS:
                with counted(server, len(data)) as ours:
                    reading(store.to_fsspec(), KEY)
                # Anew each time, because it remembers what it has listed.
                bare = S3FileSystem(**options, client_kwargs=region, skip_instance_cache=True)
                with counted(server, len(data)) as theirs:
                    reading(bare, f"{BUCKET}/{KEY}")
                name = f"{reading.__name__.replace('_', ' ')}, {layout}, {threads} thread{'s' * (threads > 1)}"
                yield Row(name, ours, theirs, threads > 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a store asks for more than s3fs")
    parser.add_argument("--mib", type=int, default=100, help="size of the file [MiB]")
    options = parser.parse_args()
    with moto() as server:
        found = [row for threads in (1, 8) for row in rows(server, options.mib, LAYOUTS, threads)]
    if options.json:
        shown = [{"name": row.name, "store": vars(row.store), "s3fs": vars(row.s3fs), "ok": row.ok} for row in found]
        print(json.dumps(shown, indent=2))
    else:
        print(f"{'':52}{'store':>9}{'s3fs':>9} requests{'store':>10}{'s3fs':>9} MiB")
        for row in found:
            counts = f"{row.store.requests:>9}{row.s3fs.requests:>9}"
            sizes = f"{row.store.received / MIB:>19.2f}{row.s3fs.received / MIB:>9.2f}"
            verdict = {None: "", True: "pass", False: "FAIL"}[row.ok]
            print(f"{row.name:52}{counts}{sizes}  {verdict}")
    return 1 if options.check and any(row.ok is False for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
