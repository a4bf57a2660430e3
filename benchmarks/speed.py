"""What work costs, as ratios: this library against s3fs, boto3, pyarrow, obstore and bare calls, in one run.

Servers on loopback, of several processes that keep nothing, answer faster than any client here asks. Everybody does
the same work in turn, in an order of chance, round after round: medians count, lowest and highest are shown. Ratios are
taken in each round. CPU is of this process, all threads together; time passes with the delay of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from itertools import groupby
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple

if __name__ == "__main__":  # Behind all packages, of which `requests.py` here would hide one.
    sys.path.append(sys.path.pop(0))

from _contenders import CONTENDERS, Bench, Way
from _machine import machine
from void import SOME, serving

COMMAND = "python benchmarks/speed.py --json --markdown docs/performance.md --svg docs/performance.svg"
COMMAND += " > docs/performance.json"
USED: tuple[str, ...] = (
    "remote-store-fsspec",
    "fsspec",
    "s3fs",
    "aiobotocore",
    "botocore",
    "boto3",
    "pyarrow",
    "obstore",
    "gcsfs",
)
USED += ("adlfs", "azure-storage-blob", "aiohttp")
AT_ONCE = 32
ORDER = Random(7)
Spread = tuple[float, float, float]
"""Median, lowest and highest."""


class Clocks(NamedTuple):
    cpu: float
    wall: float

    @classmethod
    def now(cls) -> Clocks:
        return cls(time.process_time(), time.perf_counter())


@dataclass(frozen=True)
class Row:
    """A piece of work.

    Args:
        name: shown.
        service: who does it, by `CONTENDERS`.
        verb: of each call.
        calls: in a sample.
        size: what a call is about: objects in a folder, MiB in a stream; 0 for one small object.
        unit: what figures are for.
        base: whom others are compared with.
        targets: the largest ratios.
        clock: which ratios are of.
        delay: of each answer of the server [s].
        at_once: calls in flight.
    """

    name: str
    service: str
    verb: str
    calls: int
    size: int = 0
    unit: str = "object"
    base: str = "requests"
    targets: Mapping[str, float] = field(default_factory=dict)
    clock: str = "cpu"
    delay: float = 0
    at_once: int = AT_ONCE

    @property
    def units(self) -> float:
        """How many units a sample has."""
        return self.calls * (self.size / 1024 if self.unit == "GiB" else self.size or 1)

    def arguments(self, number: int) -> tuple[Any, ...]:
        of = {
            "get": (f"some-{number}",),
            "put": (f"written-{number}", SOME),
            "list": (f"listed-{self.size}",),
            "delete": (f"listed-{self.size}",),
            "read": (f"zeros-{self.size}",),
            "write": ("written", self.size),
        }
        return of.get(self.verb, ())

    def quick(self) -> Row:
        """The same with less work, to see that it runs."""
        return replace(self, calls=min(self.calls, 32), size=min(self.size, 1500 if self.unit == "key" else 16))


def rows() -> Iterator[Row]:
    yield Row("read 16 KiB", "S3", "get", 256, targets={"AsyncStore": 0.85, "Store": 1.0})
    yield Row("write 16 KiB", "S3", "put", 256, targets={"AsyncStore": 0.95, "Store": 1.2})
    list_targets = {"AsyncStore": 0.45, "Store": 0.45}
    yield Row("list 100,000 objects", "S3", "list", 1, 100_000, "key", base="s3fs", targets=list_targets)
    for verb in ("read", "write"):
        yield Row(f"{verb} a stream of 1 GiB", "S3", verb, 1, 1024, "GiB", base="AsyncStore", targets={"Store": 1.1})
    waiting: dict[str, Any] = {"clock": "wall", "delay": 0.05}
    yield Row("read 16 KiB, one at a time", "S3", "get", 10, at_once=1, **waiting)
    yield Row("read 16 KiB, 32 at a time", "S3", "get", 256, **waiting)
    deleted = {"AsyncStore": 0.5, "Store": 0.5}
    yield Row("delete a folder of 10,000 objects", "S3", "delete", 1, 10_000, "key", targets=deleted, **waiting)
    for service in ("GCS", "Azure"):
        yield Row("read 16 KiB", service, "get", 256)
        yield Row("write 16 KiB", service, "put", 256)
    for where, limits in (("", {"missing": 1.7, "info": 1.5}), (", deeper", dict[str, float]())):
        for verb, name in (("exists", "exists"), ("missing", "exists, of none"), ("info", "get_file_info")):
            targets = {"Store": limits[verb]} if verb in limits else {}
            yield Row(f"{name}{where}", "local", f"{verb}{where}", 5000, unit="call", base="fsspec", targets=targets)


# --- measuring


def call(way: Way, row: Row, runner: asyncio.Runner) -> Callable[[], object]:
    """What does all the calls of a sample."""
    verb, calls = way.verbs[row.verb], [row.arguments(number) for number in range(row.calls)]
    if way.asynchronous:
        return lambda: runner.run(in_tasks(verb, calls, row.at_once))
    if row.at_once == 1 or row.calls == 1 or not calls[0]:
        return lambda: one_by_one(verb, calls)
    return lambda: in_threads(verb, calls, row.at_once)


def one_by_one(verb: Callable[..., Any], calls: list[tuple[Any, ...]]) -> None:
    for arguments in calls:
        verb(*arguments)


def in_threads(verb: Callable[..., Any], calls: list[tuple[Any, ...]], at_once: int) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        for done in pool.map(lambda arguments: verb(*arguments), calls):
            del done


async def in_tasks(verb: Callable[..., Any], calls: list[tuple[Any, ...]], at_once: int) -> None:
    left = iter(calls)

    async def worker() -> None:
        for arguments in left:
            await verb(*arguments)

    await asyncio.gather(*(worker() for _ in range(min(at_once, len(calls)))))


def sample(work: Callable[[], object]) -> Clocks:
    gc.collect()
    start = Clocks.now()
    work()
    end = Clocks.now()
    return Clocks(end.cpu - start.cpu, end.wall - start.wall)


def spread(values: list[float]) -> Spread:
    return median(values), min(values), max(values)


def measure(row: Row, ways: Mapping[str, Way], runner: asyncio.Runner, rounds: int) -> dict[str, Any]:
    """All figures of a row, in seconds for a unit."""
    work = {name: call(way, row, runner) for name, way in ways.items() if row.verb in way.verbs}
    for name, way in ways.items():  # Opens connections, and what is imported late.
        if name in work:
            call(way, replace(row, calls=min(row.calls, row.at_once), size=min(row.size, 64)), runner)()
    samples: dict[str, list[Clocks]] = {name: [] for name in work}
    for _ in range(rounds):
        for name in ORDER.sample(list(work), len(work)):
            samples[name].append(sample(work[name]))
    bases = [getattr(each, row.clock) for each in samples[row.base]]
    found = {}
    for name, taken in samples.items():
        own = [getattr(each, row.clock) for each in taken]
        found[name] = {
            "cpu": spread([each.cpu / row.units for each in taken]),
            "wall": spread([each.wall / row.units for each in taken]),
            "ratio": spread([one / base for one, base in zip(own, bases, strict=True)]),
            "target": row.targets.get(name),
        }
    shown = {name: getattr(row, name) for name in ("name", "service", "unit", "base", "clock", "delay")}
    return shown | {"contenders": found}


@contextmanager
def place_for(service: str, delay: float) -> Iterator[str]:
    """A server, or a folder, that is not measured itself."""
    if service == "local":
        with tempfile.TemporaryDirectory() as folder:
            yield folder
    else:
        with serving(delay, processes=max(2, (os.cpu_count() or 2) // 2)) as (endpoint, _):
            yield endpoint


def measure_all(wanted: list[Row], rounds: int) -> list[dict[str, Any]]:
    results = []
    for (service, delay), group in groupby(wanted, lambda row: (row.service, row.delay)):
        with place_for(service, delay) as place, asyncio.Runner() as runner, ExitStack() as stack:
            bench, ways = Bench(place, AT_ONCE, runner, stack), {}
            for name, start in CONTENDERS[service].items():
                try:
                    ways[name] = start(bench)
                except ImportError as error:
                    print(f"left out: {name}, {error}", file=sys.stderr)
            for row in group:
                print(f"{service}: {row.name} …", file=sys.stderr)
                results.append(measure(row, ways, runner, rounds))
    return results


# --- showing


def versions() -> dict[str, str]:
    found = {}
    for name in USED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def seconds(value: float) -> str:
    """A time in the unit that suits it, with three digits."""
    unit, shown = next(
        ((unit, value * factor) for unit, factor in (("s", 1.0), ("ms", 1e3)) if value * factor >= 1),
        ("µs", value * 1e6),
    )
    return f"{shown:.3g} {unit}" if shown < 1000 else f"{shown:.0f} {unit}"


def met(contender: Mapping[str, Any]) -> bool:
    return contender["target"] is None or contender["ratio"][0] <= contender["target"]


def print_table(data: Mapping[str, Any]) -> None:
    for row in data["rows"]:
        waits = f", {row['delay'] * 1e3:.0f} ms an answer" if row["delay"] else ""
        print(f"\n{row['service']}: {row['name']}{waits}; ratios of {row['clock']} to {row['base']}")
        for name, each in row["contenders"].items():
            cpu, wall = (f"{seconds(each[clock][0])} {clock}" for clock in ("cpu", "wall"))
            ratio, low, high = each["ratio"]
            verdict = f"  at most {each['target']:g}  {'ok' if met(each) else 'MISSED'}" if each["target"] else ""
            shown = f"{ratio:.2f} x ({low:.2f} to {high:.2f}){verdict}"
            print(f"  {name:12}{cpu:>16} {wall:>16}  per {row['unit']:8}{shown}")


def rendered(template: str, data: Mapping[str, Any], picture: str = "") -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, autoescape="svg" in template
    )
    made.trim_blocks = made.lstrip_blocks = made.keep_trailing_newline = True
    made.globals |= {"command": COMMAND, "seconds": seconds, "met": met}
    return made.get_template(template).render(data, picture=picture)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="samples of each, taken in turns (default: %(default)s)")
    parser.add_argument("--only", default="", help="rows whose service and name, as `S3: read 16 KiB`, contain this")
    parser.add_argument("--quick", action="store_true", help="one small sample of each, to see that it runs")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a page")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    parser.add_argument("--show", type=Path, metavar="FILE", help="show that JSON instead of measuring")
    options = parser.parse_args()
    if options.show:
        data = json.loads(options.show.read_text(encoding="utf-8"))
    else:
        wanted = [row for row in rows() if options.only in f"{row.service}: {row.name}"]
        rounds = 1 if options.quick else options.rounds
        wanted = [row.quick() for row in wanted] if options.quick else wanted
        data = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "versions": versions(), "rounds": rounds}
        data["rows"] = measure_all(wanted, rounds)
    if options.svg:
        options.svg.write_text(rendered("_performance.svg.j2", data), encoding="utf-8")
    if options.markdown:
        page = rendered("_performance.md.j2", data, options.svg.name if options.svg else "performance.svg")
        options.markdown.write_text(page, encoding="utf-8")
    if options.json:
        print(json.dumps(data, indent=1))
    else:
        print_table(data)
    missed = any(not met(each) for row in data["rows"] for each in row["contenders"].values())
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
