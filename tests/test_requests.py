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
from helpers.counting import Counter, Row, counting, on_azure, on_azure_hns, on_fast_s3, on_gcs, on_s3
from helpers.counting_files import on_http, on_sftp
from helpers.deadline import DEADLINE
from servers.files import FileServer

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "requests.py"


def benchmark() -> Any:
    """The benchmark, whose file has the name of a package."""
    spec = importlib.util.spec_from_file_location("request_budget", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = benchmark()
ROWS: tuple[Row, ...] = BENCHMARK.ROWS
of_both_kinds = pytest.mark.parametrize(
    "asynchronous", [pytest.param(False, marks=pytest.mark.full), True], ids=["sync", "async"]
)
SERVICES = {
    "s3": ("moto_server", on_s3),
    "s3-fast": ("moto_server", on_fast_s3),
    "gcs": ("gcs_server", on_gcs),
    "azure": ("azure_server", on_azure),
    "azure-hns": ("azure_server", on_azure_hns),
}


@pytest.fixture(scope="module", params=SERVICES)
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    server, on = SERVICES[request.param]
    with counting(on(request.getfixturevalue(server))) as counter:
        yield counter


@of_both_kinds
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_call_stays_within_its_budget(row: Row, asynchronous: bool, counter: Counter) -> None:
    sent = counter.requests(row, asynchronous)
    assert len(sent) <= row.budget_on(counter.service.name), sent


@pytest.fixture(scope="module", params=["asyncssh", pytest.param("openssh", marks=pytest.mark.full)])
def trips(request: pytest.FixtureRequest) -> Iterator[Counter]:
    with counting(on_sftp(request.getfixturevalue(f"{request.param}_server"))) as counter:
        yield counter


@of_both_kinds
@pytest.mark.parametrize("row", BENCHMARK.OVER_SFTP, ids=lambda row: row.name)
def test_a_call_over_sftp_stays_within_its_round_trips(row: Row, asynchronous: bool, trips: Counter) -> None:
    assert len(trips.requests(row, asynchronous)) <= row.budget


@pytest.fixture(scope="module")
def web(web_server: FileServer) -> Iterator[Counter]:
    with counting(on_http(web_server)) as counter:
        yield counter


@of_both_kinds
@pytest.mark.parametrize("row", BENCHMARK.OVER_HTTP, ids=lambda row: row.name)
def test_a_call_over_http_stays_within_its_budget(row: Row, asynchronous: bool, web: Counter) -> None:
    sent = web.requests(row, asynchronous)
    assert len(sent) <= row.budget, sent


@pytest.mark.parametrize("rows", [ROWS, BENCHMARK.OVER_SFTP, BENCHMARK.OVER_HTTP])
def test_rows_have_names_of_their_own(rows: tuple[Row, ...]) -> None:
    assert len({row.name for row in rows}) == len(rows)


@pytest.mark.full
def test_the_benchmark_prints_what_it_counted() -> None:
    command = [sys.executable, "-W", "error", str(SCRIPT), "--json", "--only", "get_folder_info, 2,500", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    expected: dict[str, Any] = {"name": "get_folder_info, 2,500 in 300 folders", "ok": True}
    pages = {"s3": 3, "gcs": 3, "azure": 1, "azure-hns": 1}  # The others have no such row.
    told = [
        {"service": service, "store": kind, "target": pages[service], "requests": pages[service]}
        for service in pages
        for kind in ("sync", "async")
    ]
    assert json.loads(done.stdout) == [expected | entry for entry in told]
