"""What some columns of a Parquet file on S3 take by the ways of several libraries: seconds, requests, bytes.

A server in a process of its own answers after a delay. All ways are taken in turns, in another order each time.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

if __name__ == "__main__":  # Behind all packages, of which `requests.py` here would hide one.
    sys.path.append(sys.path.pop(0))

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.parquet import open_parquet_file
from void import counted_at, serving

from remote_store import Store
from remote_store.backends import S3Backend

MIB = 1 << 20
COLUMNS = 30
WANTED = ["c3", "c11", "c20"]
BUCKET, KEY = "bucket", "table.parquet"
LOGIN: dict[str, Any] = {"key": "k", "secret": "s"}
REGION = "us-east-1"

PATH, OPENED, WHOLE = "by path", "open_parquet_file", "all of it"
TARGETS: list[tuple[float, str, str, float, str]] = [
    (0, f"store, {PATH}", "seconds", 1.5, f"pyarrow.fs, {PATH}"),
    (20, f"store, {PATH}", "seconds", 1.0, f"obstore, {PATH}"),
    (0, f"store, {PATH}", "seconds", 1.0, f"s3fs, {PATH}"),
    (20, f"store, {PATH}", "seconds", 1.0, f"s3fs, {PATH}"),
    (20, f"store, {OPENED}", "seconds", 1.5, f"pyarrow.fs, {PATH}"),
    (20, f"store, {OPENED}", "seconds", 1.2, f"s3fs, {OPENED}"),
    (0, f"store, {PATH}", "megabytes", 1.6, "needed"),
    (20, f"store, {PATH}", "megabytes", 1.6, "needed"),
]
"""At a delay [ms], what a way takes, how many times as much that may be, and of what."""


@dataclass
class Row:
    """What a way takes, the middle of some turns.

    Args:
        name: of the way.
        delay: of each answer [ms].
        times: of each turn [s].
        requests: to the server.
        megabytes: of the file that it sent [MB].
        in_flight: the most requests at once.
        ratios: of what has a target, in words; and whether it is met.
    """

    name: str
    delay: float
    times: list[float]
    requests: float
    megabytes: float
    in_flight: float
    ratios: list[tuple[str, float, bool]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return median(self.times)


def parquet(mib: int, groups: int) -> bytes:
    """A file of about that size: columns of noise, which does not compress."""
    rows = mib * MIB // (8 * COLUMNS)
    noise = random.Random(7)
    buffers = [[None, pa.py_buffer(noise.randbytes(8 * rows))] for _ in range(COLUMNS)]
    columns = {f"c{number}": pa.Array.from_buffers(pa.int64(), rows, two) for number, two in enumerate(buffers)}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=-(-rows // groups), use_dictionary=False)
    return file.getvalue()


def needed(path: str) -> float:
    """The size of the wanted columns and of what describes the table [MB]."""
    found = pq.read_metadata(path)
    groups = [found.row_group(number) for number in range(found.num_row_groups)]
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    wanted = sum(column.total_compressed_size for column in columns if column.path_in_schema in WANTED)
    return float(wanted + found.serialized_size + 8) / 1e6


# --- ways


def by_path(fs: Any, path: str) -> Any:
    return pq.read_table(path, columns=WANTED, filesystem=fs)


def opened(fs: Any, path: str) -> Any:
    with open_parquet_file(path, fs=fs, columns=WANTED, engine="pyarrow") as file:
        return pq.read_table(file, columns=WANTED)


def whole(fs: Any, path: str) -> Any:
    return pq.read_table(path, filesystem=fs)


def over_store(endpoint: str) -> tuple[Any, str]:
    return Store(S3Backend(BUCKET, endpoint_url=endpoint, region_name=REGION, **LOGIN)).to_fsspec(), KEY


def over_s3fs(endpoint: str) -> tuple[Any, str]:
    from s3fs import S3FileSystem

    # Without listings, as it would not ask again for the size of a file in one that it remembers.
    options = {"client_kwargs": {"region_name": REGION}, "use_listings_cache": False, "skip_instance_cache": True}
    return S3FileSystem(endpoint_url=endpoint, **LOGIN, **options), f"{BUCKET}/{KEY}"


def over_obstore(endpoint: str) -> tuple[Any, str]:
    from obstore.fsspec import FsspecStore

    login: dict[str, Any] = {"access_key_id": "k", "secret_access_key": "s", "region": REGION}
    login |= {"client_options": {"allow_http": True}, "virtual_hosted_style_request": False}
    login |= {"skip_instance_cache": True}
    return FsspecStore("s3", endpoint=endpoint, **login), f"{BUCKET}/{KEY}"


def over_pyarrow(endpoint: str) -> tuple[Any, str]:
    from pyarrow.fs import S3FileSystem

    login = {"access_key": "k", "secret_key": "s", "region": REGION, "scheme": "http"}
    return S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), **login), f"{BUCKET}/{KEY}"


OVER = {"store": over_store, "s3fs": over_s3fs, "obstore": over_obstore, "pyarrow.fs": over_pyarrow}
READ = {PATH: by_path, OPENED: opened, WHOLE: whole}
WAYS = [(PATH, over) for over in OVER] + [(OPENED, "store"), (OPENED, "s3fs")]
WHOLES = [(WHOLE, over) for over in OVER]


# --- measuring


def measure(endpoint: str, delay: float, rounds: int, ways: list[tuple[str, str]]) -> Iterator[Row]:
    """A row for each way, after one turn to connect."""
    calls: dict[str, Callable[[], Any]] = {}
    for read, over in ways:
        fs, path = OVER[over](endpoint)
        calls[f"{over}, {read}"] = partial(READ[read], fs, path)
    first = next(iter(calls.values()))()
    taken: dict[str, list[tuple[float, dict[str, int]]]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name in random.sample(list(calls), len(calls)):
            counted_at(endpoint)
            start = time.perf_counter()
            table = calls[name]()
            seconds = time.perf_counter() - start
            if table.num_rows != first.num_rows:
                raise RuntimeError("wrong content")
            if turn:
                taken[name].append((seconds, counted_at(endpoint)))
    for name, turns in taken.items():
        requests, sent, most = (median(one[key] for _, one in turns) for key in ("requests", "sent", "most"))
        yield Row(name, delay, [seconds for seconds, _ in turns], requests, sent / 1e6, most)


def judge(rows: list[Row], needed: float) -> None:
    """Add ratios to rows of one delay."""
    found = {row.name: row for row in rows}
    for delay, name, what, most, of in TARGETS:
        if name in found and found[name].delay == delay and (of == "needed" or of in found):
            ratio = getattr(found[name], what) / (needed if of == "needed" else getattr(found[of], what))
            found[name].ratios.append((f"{what} / {of} <= {most}", ratio, ratio <= most))


def show(rows: list[Row]) -> None:
    print(f"{'':28}{'seconds':>8} {'(least - most)':16}{'requests':>9}{'at once':>9}{'MB':>9}")
    for row in rows:
        spread = f"({min(row.times):.3f} - {max(row.times):.3f})"
        counts = f"{row.requests:>9.0f}{row.in_flight:>9.0f}{row.megabytes:>9.1f}"
        print(f"{row.name:28}{row.seconds:>8.3f} {spread:16}{counts}")
    for row in rows:
        for words, ratio, ok in row.ratios:
            print(f"  {row.name}: {words}: {ratio:.2f} {'pass' if ok else 'FAIL'}")
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--mib", type=int, default=200, help="size of the file [MiB]")
    parser.add_argument("--groups", type=int, default=10, help="row groups")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each way")
    parser.add_argument("--delay", type=float, nargs="*", default=[0, 20], help="of each answer [ms]")
    parser.add_argument("--whole", action="store_true", help="read all columns too")
    options = parser.parse_args()
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, KEY)
        path.write_bytes(parquet(options.mib, options.groups))
        least = needed(str(path))
        if not options.json:
            sizes = f"{len(WANTED)} of {COLUMNS} columns of {options.mib} MiB in {options.groups} row groups"
            print(f"{sizes}; {least:.1f} MB are needed")
        for delay in options.delay:
            with serving(delay / 1000, file=str(path)) as (endpoint, _):
                rows = list(measure(endpoint, delay, options.rounds, WAYS + WHOLES * options.whole))
            judge(rows, least)
            found += rows
            if not options.json:
                print(f"\n{delay:g} ms")
                show(rows)
    if options.json:
        shown = [asdict(row) | {"name": f"{row.name}, {row.delay:g} ms", "needed": least} for row in found]
        print(json.dumps(shown, indent=2))
    missed = any(not ok for row in found for _, _, ok in row.ratios)
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
