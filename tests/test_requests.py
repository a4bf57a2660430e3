"""No call sends a request more to a service than its budget allows."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.counting import Counter, Row, counting, on_azure, on_azure_hns, on_gcs, on_s3
from helpers.deadline import DEADLINE

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "requests.py"


def benchmark() -> Any:
    """The benchmark, whose file has the name of a package."""
    spec = importlib.util.spec_from_file_location("request_budget", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ROWS: tuple[Row, ...] = benchmark().ROWS
SERVICES = {
    "s3": ("moto_server", on_s3),
    "gcs": ("gcs_server", on_gcs),
    "azure": ("azure_server", on_azure),
    "azure-hns": ("azure_server", on_azure_hns),
}


@pytest.fixture(scope="module", params=SERVICES)
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    server, on = SERVICES[request.param]
    with counting(on(request.getfixturevalue(server))) as counter:
        yield counter


@pytest.mark.parametrize("asynchronous", [pytest.param(False, marks=pytest.mark.full), True], ids=["sync", "async"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_call_stays_within_its_budget(row: Row, asynchronous: bool, counter: Counter) -> None:
    sent = counter.requests(row, asynchronous)
    assert len(sent) <= row.budget_on(counter.service.name), sent


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.full
def test_the_benchmark_prints_what_it_counted() -> None:
    command = [sys.executable, "-W", "error", str(SCRIPT), "--json", "--only", "get_folder_info, 2,500", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    expected: dict[str, Any] = {"name": "get_folder_info, 2,500 in 300 folders", "ok": True}
    pages = {"s3": 3, "gcs": 3, "azure": 1, "azure-hns": 1}
    told = [
        {"service": service, "store": kind, "target": pages[service], "requests": pages[service]}
        for service in SERVICES
        for kind in ("sync", "async")
    ]
    assert json.loads(done.stdout) == [expected | entry for entry in told]
