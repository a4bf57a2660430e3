"""What `benchmarks/speed.py` measures has targets, and the page of the docs shows what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "speed.py"
DOCS = ROOT / "docs"
TARGETS = {
    "S3: read 16 KiB": {"AsyncStore": 0.85, "Store": 1.0},
    "S3: write 16 KiB": {"AsyncStore": 0.95, "Store": 1.2},
    "S3: list 100,000 objects": {"AsyncStore": 0.45, "Store": 0.45},
    "S3: read a stream of 1 GiB": {"Store": 1.1},
    "S3: write a stream of 1 GiB": {"Store": 1.1},
    "S3: delete a folder of 10,000 objects": {"AsyncStore": 0.5, "Store": 0.5},
    "local: exists, of none": {"Store": 1.7},
    "local: get_file_info": {"Store": 1.5},
}
"""The largest ratios, by row and contender; other rows have none."""


def run(*options: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), *options], capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def targets(data: dict[str, Any]) -> dict[str, dict[str, float]]:
    found = {
        f"{row['service']}: {row['name']}": {
            name: each["target"] for name, each in row["contenders"].items() if each["target"] is not None
        }
        for row in data["rows"]
    }
    return {name: limits for name, limits in found.items() if limits}


def measured() -> Any:
    return json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))


def test_the_page_of_the_docs_is_of_these_measurements(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    written = ("--markdown", str(tmp_path / "performance.md"), "--svg", str(tmp_path / "performance.svg"))
    run("--show", str(DOCS / "performance.json"), "--json", *written)
    for name in ("performance.md", "performance.svg"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (DOCS / name).read_text(encoding="utf-8")


def test_the_picture_is_small_and_shows_every_row() -> None:
    picture = (DOCS / "performance.svg").read_text(encoding="utf-8")
    assert len(picture) < 60_000
    texts = {"".join(node.itertext()) for node in ET.fromstring(picture).iter()}
    assert {f"{row['service']}: {row['name']}" for row in measured()["rows"]} <= texts


def test_all_that_has_a_target_was_measured() -> None:
    assert targets(measured()) == TARGETS


def test_a_missed_target_fails_a_check(tmp_path: Path) -> None:
    data = measured()
    for row in data["rows"]:
        for each in row["contenders"].values():
            each["ratio"] = [each["target"] or 9.0] * 3
    path = tmp_path / "p.json"
    for ratio, code in ((1.7, 0), (1.71, 1)):
        row = next(row for row in data["rows"] if row["name"] == "exists, of none")
        row["contenders"]["Store"]["ratio"][0] = ratio
        path.write_text(json.dumps(data), encoding="utf-8")
        assert ("MISSED" in run("--show", str(path), "--check", code=code)) is bool(code)


@pytest.mark.full
@pytest.mark.parametrize("only", ["S3: delete", "GCS", "local"])
def test_everybody_does_the_work(only: str) -> None:
    pytest.importorskip("s3fs")
    pytest.importorskip("gcsfs")
    data = json.loads(run("--quick", "--json", "--only", only))
    assert data["rows"]
    for row in data["rows"]:
        assert {row["base"], "Store"} <= set(row["contenders"])
        for each in row["contenders"].values():
            assert 0 < each["ratio"][1] <= each["ratio"][0] <= each["ratio"][2]
