"""The matrix is measured: what it finds is what certify finds, and what the contract says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE

from remote_store import Capability, Store
from remote_store.backends import AzureBackend, GCSBackend, LocalBackend, MemoryBackend, S3Backend
from remote_store.certify import certify

pytestmark = [pytest.mark.full, pytest.mark.timeout(12 * DEADLINE)]
ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "matrix.py"
BUDGET = {
    "write 1 KiB": 1,
    "read_bytes 1 KiB": 1,
    "exists": 1,
    "get_file_info": 1,
    "list 100": 1,
    "copy 1 KiB": 1,
    "move 1 KiB": 3,
    "delete": 2,
    "open_atomic 1 KiB": 1,
    "read 1 MiB": 1,
}
"""Requests of a call on S3, as the contract has them."""
ON_GCS = BUDGET | {"move 1 KiB": 1, "delete": 1}
ON_AZURE_HNS = BUDGET | {"copy 1 KiB": 3}
PACKAGES = {
    "remote_store": "remote_store",
    "s3fs": "s3fs",
    "obstore": "obstore",
    "smart_open": "smart_open",
    "cloudpathlib": "cloudpathlib",
    "pyarrow.fs": "pyarrow",
}


def run(*options: str) -> str:
    # A quick matrix takes half a minute, and many times that on a machine that is busy.
    patience = 10 * DEADLINE
    done = subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True, timeout=patience)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the matrix was written to, in all its forms."""
    pytest.importorskip("s3fs")
    folder = tmp_path_factory.mktemp("matrix")
    written = ("--markdown", str(folder / "matrix.md"), "--svg", str(folder / "matrix.svg"))
    found = run("--quick", "--places", "local,memory,moto,gcs,azure-hns", "--json", *written)
    (folder / "matrix.json").write_text(found, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> Any:
    return json.loads((folder / "matrix.json").read_text(encoding="utf-8"))


def test_every_capability_and_call_of_every_place_is_there(data: Any) -> None:
    assert [place["name"] for place in data["places"]] == ["local", "memory", "moto", "gcs", "azure-hns"]
    assert data["skipped"] == {}
    for place in data["places"]:
        assert set(place["capabilities"]) == {capability.name for capability in Capability}
        assert set(place["operations"]) == set(BUDGET)
        for found in place["operations"].values():
            assert found["ratio"] == pytest.approx(found["seconds"] / found["bare_seconds"])
        assert place["driver"] == "own"
        assert set(place["memory_mib"]) == {"write", "read"}


def test_what_is_declared_and_observed_is_what_certify_finds(data: Any, tmp_path: Path) -> None:
    stores = {"local": Store(LocalBackend(tmp_path)), "memory": Store(MemoryBackend())}
    for place in data["places"]:
        if place["name"] in stores:
            report = certify(stores[place["name"]], workers=4)
            expected = {found.capability.name: (found.declared, found.observed) for found in report.capabilities}
            assert not place["rules_broken"]
            assert not report.broken
        else:
            kind, _, folders = place["kind"].partition(", ")
            declared = {"s3": S3Backend, "gcs": GCSBackend, "azure": AzureBackend}[kind].CAPABILITIES
            expected = {c.name: (c in declared or bool(folders),) * 2 for c in Capability}
            if place["kind"] == "gcs":  # A role may lack the right to rename.
                expected["ATOMIC_MOVE"] = False, True
        found = {name: (each["declared"], each["observed"]) for name, each in place["capabilities"].items()}
        assert found == expected


def test_requests_are_those_of_the_contract(data: Any) -> None:
    for place, budget in zip(data["places"][2:], (BUDGET, ON_GCS, ON_AZURE_HNS), strict=True):
        assert {name: found["requests"] for name, found in place["operations"].items()} == budget
    peers = {row: values["remote_store"] for row, values in data["peers"]["requests"].items()}
    assert peers.pop("delete") == 2
    assert set(peers.values()) == {1}


def test_libraries_that_are_installed_are_compared(data: Any) -> None:
    installed = {name for name, package in PACKAGES.items() if find_spec(package)}
    assert {name for name, found in data["peers"]["versions"].items() if found} == installed
    for table in ("seconds", "requests", "behaviour"):
        for values in data["peers"][table].values():
            assert set(values) == installed


def test_our_behaviour_is_what_one_would_want(data: Any) -> None:
    assert all(values["remote_store"]["good"] for values in data["peers"]["behaviour"].values())


def test_page_and_picture_show_what_was_found(folder: Path) -> None:
    page = (folder / "matrix.md").read_text(encoding="utf-8")
    for name in (*(f"`{capability.name}`" for capability in Capability), *BUDGET):
        assert f"| {name} |" in page
    assert "(matrix.svg)" in page
    for name in ("The double of Google Cloud Storage", "The double of Azure", "the doubles and FTP"):
        assert name in page
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    texts = ["".join(node.itertext()) for node in ET.parse(folder / "matrix.svg").iter()]
    assert {capability.name for capability in Capability} <= set(texts)


def test_a_library_that_is_missing_has_an_empty_column(folder: Path, tmp_path: Path, data: Any) -> None:
    for table in ("seconds", "requests", "behaviour"):
        for values in data["peers"][table].values():
            values.pop("obstore", None)
    (tmp_path / "less.json").write_text(json.dumps(data), encoding="utf-8")
    run("--show", str(tmp_path / "less.json"), "--json", "--markdown", str(tmp_path / "less.md"))
    page = (tmp_path / "less.md").read_text(encoding="utf-8")
    missing = [name for name, package in PACKAGES.items() if name == "obstore" or find_spec(package) is None]
    rows = sum(len(data["peers"][table]) for table in ("seconds", "requests", "behaviour"))
    assert page.count("not installed") == rows * len(missing)


def test_the_terminal_shows_tables(folder: Path) -> None:
    pytest.importorskip("rich")
    shown = run("--show", str(folder / "matrix.json"))
    assert "EXCLUSIVE" in shown
    assert "─────" in shown


def test_the_page_of_the_docs_is_of_these_measurements(tmp_path: Path) -> None:
    docs = ROOT / "docs"
    written = ("--markdown", str(tmp_path / "matrix.md"), "--svg", str(tmp_path / "matrix.svg"))
    run("--show", str(docs / "matrix.json"), "--json", *written)
    for name in ("matrix.md", "matrix.svg"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (docs / name).read_text(encoding="utf-8")
