"""What a call costs over the same done in bare Python, in one process.

Measured and bare samples alternate, so that noise hits both, and the best of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from remote_store import AsyncBackendSyncAdapter, Store
from remote_store.aio import AsyncMemoryBackend
from remote_store.backends import LocalBackend, MemoryBackend

Call = Callable[[], object]
DATA = b"x" * 1024
FILES = 1000
PLACES = {"in the root": "", "nested": "a/b/"}


@dataclass(frozen=True)
class Case:
    """A call, the same in bare Python where there is such a thing, and how much it may take.

    Args:
        name: shown.
        measured: the call.
        bare: the same without the library; None where the target is a time.
        target: the most it may take: times the bare call, or microseconds; None where nothing is asked.
    """

    name: str
    measured: Call
    bare: Call | None
    target: float | None


@dataclass(frozen=True)
class Row:
    """What was found: `value` in `unit`, at most `target`."""

    name: str
    value: float
    unit: str
    target: float | None
    measured_us: float
    bare_us: float | None

    @property
    def ok(self) -> bool:
        return self.target is None or self.value <= self.target


# --- the bare calls


def read_bare(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write_bare(path: str) -> None:
    with open(path + ".temp", "wb") as file:
        file.write(DATA)
    os.replace(path + ".temp", path)


def list_bare(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            entry.stat()


def list_all(store: Store, folder: str) -> None:
    deque(store.list_files(folder), maxlen=0)


def read_through(store: Store, key: str) -> None:
    with store.read(key) as stream:
        while stream.read(64 << 10):
            pass


# --- the cases


def local_cases(root: str) -> list[Case]:
    store = Store(LocalBackend(root))
    cases = []
    for place, prefix in PLACES.items():
        key, folder = f"{prefix}f", f"{prefix}list"
        store.write(key, DATA)
        for number in range(FILES):
            store.write(f"{folder}/{number:04}.bin", b"")
        path = os.path.join(root, key)
        calls: list[tuple[str, Call, Call, float]] = [
            ("read_bytes, 1 KiB", partial(store.read_bytes, key), partial(read_bare, path), 1.8),
            ("write, 1 KiB", partial(store.write, key, DATA, overwrite=True), partial(write_bare, path), 2.0),
            ("exists", partial(store.exists, key), partial(os.path.exists, path), 3.0),
            ("get_file_info", partial(store.get_file_info, key), partial(os.stat, path), 4.0),
            (
                f"list_files, {FILES}",
                partial(list_all, store, folder),
                partial(list_bare, os.path.join(root, folder)),
                2.5,
            ),
        ]
        for name, measured, bare, target in calls:
            cases.append(Case(f"local {name}, {place}", measured, bare, target if not prefix else None))
    return cases


def memory_cases() -> list[Case]:
    store = Store(MemoryBackend())
    store.write("f", DATA)
    for number in range(FILES):
        store.write(f"list/{number:04}.bin", b"")
    return [
        Case("memory read_bytes, 1 KiB", partial(store.read_bytes, "f"), None, 2.0),
        Case("memory exists", partial(store.exists, "f"), None, 1.5),
        Case("memory get_file_info", partial(store.get_file_info, "f"), None, 5.0),
        Case("memory write, 1 KiB", partial(store.write, "f", DATA, overwrite=True), None, 6.0),
        Case(f"memory list_files, {FILES}", partial(list_all, store, "list"), None, 4000.0),
    ]


def bridged_cases(store: Store) -> list[Case]:
    """An async backend behind a sync store; 320 ms for 64 MiB are 200 MiB/s."""
    store.write("f", DATA)
    store.write("large", bytes(64 << 20))
    return [
        Case("bridged memory read_bytes, 1 KiB", partial(store.read_bytes, "f"), None, 120.0),
        Case("bridged memory read, 64 MiB by 64 KiB", partial(read_through, store, "large"), None, 320_000.0),
    ]


# --- measuring


def seconds(call: Call, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def measure(case: Case, repeats: int, sample: float) -> Row:
    """Take `repeats` samples of about `sample` seconds of both calls in turn."""
    calls = [case.measured] if case.bare is None else [case.measured, case.bare]
    counts = [max(1, int(sample / max(seconds(call, 3), 1e-7))) for call in calls]
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for index, call in enumerate(calls):
            best[index] = min(best[index], seconds(call, counts[index]))
    if case.bare is None:
        return Row(case.name, best[0] * 1e6, "µs", case.target, best[0] * 1e6, None)
    return Row(case.name, best[0] / best[1], "x", case.target, best[0] * 1e6, best[1] * 1e6)


def measure_imports(repeats: int) -> list[Row]:
    """What importing adds to the start of an interpreter."""
    targets = {"import remote_store": 30.0, "from remote_store import Store": None}
    best = dict.fromkeys(("pass", *targets), float("inf"))
    for _ in range(repeats):
        for code in best:
            took = seconds(partial(subprocess.run, [sys.executable, "-c", code], check=True), 1)
            best[code] = min(best[code], took)
    bare = best.pop("pass")
    return [Row(n, (t - bare) * 1e3, "ms", targets[n], t * 1e6, bare * 1e6) for n, t in best.items()]


def print_table(rows: list[Row]) -> None:
    print(f"{'':44}{'measured':>13}{'bare':>13}{'':>11}{'target':>11}")
    for row in rows:
        bare = "" if row.bare_us is None else f"{row.bare_us:.2f} µs"
        target = "" if row.target is None else f"{row.target:g} {row.unit}"
        verdict = "" if row.target is None else "  pass" if row.ok else "  FAIL"
        value = f"{row.value:.2f} {row.unit}"
        print(f"{row.name:44}{f'{row.measured_us:.2f} µs':>13}{bare:>13}{value:>11}{target:>11}{verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--quick", action="store_true", help="few and short samples, to see that it runs")
    parser.add_argument("--dir", help="folder for the local files, to measure another file system")
    options = parser.parse_args()
    repeats, sample = (2, 0.0005) if options.quick else (40, 0.01)
    with tempfile.TemporaryDirectory(dir=options.dir) as root:
        rows = [measure(case, repeats, sample) for case in (*local_cases(root), *memory_cases())]
    with Store(AsyncBackendSyncAdapter(AsyncMemoryBackend())) as store:
        rows += [measure(case, repeats, sample) for case in bridged_cases(store)]
    rows += measure_imports(2 if options.quick else 20)
    if options.json:
        print(json.dumps([asdict(row) | {"ok": row.ok} for row in rows], indent=2))
    else:
        print_table(rows)
    return 1 if options.check and not all(row.ok for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
