"""The table of certified filesystems shows what was measured, of all that can be."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE

from remote_store import Capability, Store
from remote_store.backends import MemoryBackend
from remote_store.certify import certify

ROOT = Path(__file__).parent.parent
DATA = ROOT / "docs" / "filesystems.json"


def table() -> Any:
    """The module that writes the page."""
    spec = importlib.util.spec_from_file_location("_tables", ROOT / "docs" / "_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def test_the_page_shows_what_was_measured(rows: list[dict[str, Any]]) -> None:
    page = table().page(rows)
    assert DATA.with_suffix(".md").read_text(encoding="utf-8") == page
    for row in rows:
        assert f"{row['kind']}, {row['server']}" in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + sum("skipped" not in row for row in rows)


def test_every_capability_of_every_filesystem_has_a_verdict(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if "skipped" not in row:
            assert list(row["capabilities"]) == [capability.name for capability in Capability]
    verdicts = {found["verdict"] for row in rows for found in row.get("capabilities", {}).values()}
    assert verdicts == {"proved", "refuted", "works undeclared", "absent", "not tried"}


def test_the_row_of_memory_is_what_certify_finds(rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row["name"] == "memory")
    report = certify(Store(MemoryBackend()), workers=4)
    found = {f.capability.name: {"declared": f.declared, "verdict": f.verdict} for f in report.capabilities}
    assert row["capabilities"] == found


@pytest.mark.full
def test_all_that_can_be_served_is_in_it(rows: list[dict[str, Any]]) -> None:
    pytest.importorskip("s3fs")
    script = str(ROOT / "benchmarks" / "filesystems.py")
    command = [sys.executable, script, "no-such-filesystem"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert refused.returncode == 2
    assert "no such filesystems: no-such-filesystem" in refused.stderr
    listed = subprocess.run([sys.executable, script, "--list"], capture_output=True, text=True, timeout=DEADLINE)
    assert [row["name"] for row in rows] == listed.stdout.split()
