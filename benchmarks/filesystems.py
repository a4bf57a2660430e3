"""Certifies every filesystem that can be started here, for the table of the docs.

`python benchmarks/filesystems.py` measures all, or those that are named, and writes docs/filesystems.json and .md; what
is not named stays as it was measured. Each is certified in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # This folder comes last, because requests.py would hide the package of that name.
    sys.path[0] = str(Path(__file__).parent.parent / "tests")
    sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "docs")]

from _filesystems import FILESYSTEMS
from _tables import DATA, page

from remote_store.certify import certify

WORKERS = 8
PATIENCE = 600
"""How long one may take [s]."""


def certified(name: str) -> dict[str, Any]:
    kind, server, start = FILESYSTEMS[name]
    with start() as place:
        report = certify(place.store, workers=WORKERS)
        driver = type(place.store.backend.driver).__module__.split(".")[2]
    return {
        "name": name,
        "kind": kind,
        "server": server,
        "driver": driver,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "capabilities": {
            f.capability.name: {"declared": f.declared, "verdict": f.verdict} for f in report.capabilities
        },
        "rules_kept": sum(rule.outcome == "kept" for rule in report.rules),
        "rules_broken": [rule.name for rule in report.broken],
        "notes": list(report.notes),
    }


def in_a_process(name: str) -> dict[str, Any]:
    """What is found of one, or why nothing is."""
    kind, server, _ = FILESYSTEMS[name]
    command = [sys.executable, "-W", "ignore", __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        if not done.returncode:
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return found
        why = (done.stderr.strip().splitlines() or ["no word"])[-1][:200]
    except subprocess.TimeoutExpired:
        why = f"it took over {PATIENCE} s"
    return {"name": name, "kind": kind, "server": server, "skipped": why}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which, of {', '.join(FILESYSTEMS)}; all unless given")
    parser.add_argument("--list", action="store_true", help="print the names of all")
    parser.add_argument("--one", help="print what is found of one, as JSON")
    options = parser.parse_args()
    if options.list:
        print("\n".join(FILESYSTEMS))
        return 0
    if options.one:
        print(json.dumps(certified(options.one)))
        return 0
    if unknown := set(options.names) - set(FILESYSTEMS):
        parser.error(f"no such filesystems: {', '.join(sorted(unknown))}")
    known = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else []
    found = {one["name"]: one for one in known}
    for name in options.names or FILESYSTEMS:
        print(f"{name} …", file=sys.stderr, flush=True)
        found[name] = in_a_process(name)
        rows = [found[name] for name in FILESYSTEMS if name in found]
        DATA.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        DATA.with_suffix(".md").write_text(page(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
