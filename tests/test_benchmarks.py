"""The benchmarks run, and measure all that has a target."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE

pytestmark = pytest.mark.full
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def rows_of(script: str, *options: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-W", "error", str(BENCHMARKS / script), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_overheads_are_measured_against_their_targets() -> None:
    rows = rows_of("overhead.py", "--quick")
    targets: dict[str, tuple[float | None, str]] = {
        "local read_bytes, 1 KiB": (1.8, "x"),
        "local write, 1 KiB": (2.0, "x"),
        "local exists": (3.0, "x"),
        "local get_file_info": (4.0, "x"),
        "local list_files, 1000": (2.5, "x"),
    }
    expected = {f"{name}, in the root": target for name, target in targets.items()}
    expected |= {f"{name}, nested": (None, "x") for name in targets}
    expected |= {
        "memory read_bytes, 1 KiB": (2.0, "µs"),
        "memory exists": (1.5, "µs"),
        "memory get_file_info": (5.0, "µs"),
        "memory write, 1 KiB": (6.0, "µs"),
        "memory list_files, 1000": (4000.0, "µs"),
        "bridged memory read_bytes, 1 KiB": (120.0, "µs"),
        "bridged memory read, 64 MiB by 64 KiB": (320_000.0, "µs"),
        "import remote_store": (30.0, "ms"),
        "from remote_store import Store": (None, "ms"),
    }
    assert {name: (row["target"], row["unit"]) for name, row in rows.items()} == expected
    for row in rows.values():
        assert row["measured_us"] > 0
        assert row["ok"] is (row["target"] is None or row["value"] <= row["target"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self")
def test_growth_and_laziness_are_measured_against_their_targets() -> None:
    rows = rows_of("memory.py", "--mib", "4", "--files", "300")
    assert {name: row["target"] for name, row in rows.items()} == {
        "read, 4 MiB": 64,
        "write, 4 MiB": 64,
        "open_atomic, 4 MiB": 64,
        "async write of an iterator, 4 MiB": 64,
        "async read, 4 MiB": 64,
        **{
            f"{way} {service}, 4 MiB": 80
            for service in ("S3", "GCS", "Azure", "Azure, folders")
            for way in ("async write of an iterator to", "async read from", "write of a file to", "read from")
        },
        "listing, 300 files": 1000,
        "async listing, 300 files": 1000,
    }
    assert all(row["ok"] is (row["value"] <= row["target"]) for row in rows.values())


def test_small_reads_are_measured_against_their_targets() -> None:
    rows = rows_of("files.py", "--rounds", "1", "--server", "asyncssh")
    assert {name: (row["against"], row["target"]) for name, row in rows.items()} == {
        "sftp, a small read": ("fsspec", 1.3),
        "sftp, 256 small reads at once": ("bare", 1.2),
        "http, a small read": ("fsspec", 1.5),
        "http, 256 small reads at once": ("fsspec", 1.5),
    }
    assert all(row["ok"] is (row["ratio"] <= row["target"]) for row in rows.values())


def test_columns_of_parquet_are_measured_against_their_targets() -> None:
    rows = rows_of("parquet.py", "--mib", "30", "--groups", "3", "--rounds", "1", "--delay", "20")
    ways = ("store, by path", "s3fs, by path", "obstore, by path", "pyarrow.fs, by path")
    assert rows.keys() == {f"{way}, 20 ms" for way in (*ways, "store, open_parquet_file", "s3fs, open_parquet_file")}
    ours = rows["store, by path, 20 ms"]
    assert [words for words, _, _ in ours["ratios"]] == [
        "seconds / obstore, by path <= 1.0",
        "seconds / s3fs, by path <= 1.0",
        "megabytes / needed <= 1.6",
    ]
    assert 10 <= ours["requests"] <= 15  # 9 for the columns, 1 for what describes the table, 5 for the size.
    assert ours["needed"] <= ours["megabytes"] <= 1.6 * ours["needed"]
    opened = rows["store, open_parquet_file, 20 ms"]
    assert opened["in_flight"] > 1
    assert opened["megabytes"] <= opened["needed"] + 2.1  # It reads the last megabyte first, and then again.


@pytest.mark.parametrize("script", ["overhead.py", "memory.py", "latency.py", "requests.py", "files.py", "parquet.py"])
def test_a_benchmark_explains_its_options(script: str) -> None:
    done = subprocess.run([sys.executable, str(BENCHMARKS / script), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert {"--json", "--check"} <= set(done.stdout.replace("]", " ").split())
