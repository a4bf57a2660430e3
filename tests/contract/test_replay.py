"""Rules of the contract over services with no server at all: replayed from what their doubles once answered.

`REMOTE_STORE_RECORD=1 pytest tests/contract/test_replay.py` records the cassettes anew.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import azure.storage.blob  # noqa: F401 (before vcr replaces what it writes its batches by)
import pytest
import vcr
from helpers.published import WRITTEN_BY, AsyncPublishedBackend
from servers.azure import ACCOUNT, CONTAINER, HNS, AzureServer
from servers.azure import KEY as ACCOUNT_KEY
from servers.s3 import BUCKET, KEY, SECRET

from remote_store import Capability
from remote_store.aio import AsyncAzureBackend, AsyncGCSBackend, AsyncS3Backend, AsyncStore
from remote_store.certify.checks import CHECKS, Check
from remote_store.certify.view import View
from remote_store.drivers.profiles import HTTP

CASSETTES = Path(__file__).parent.parent / "cassettes"
RECORDING = os.environ.get("REMOTE_STORE_RECORD") == "1"
SMALL_AND_IN_ORDER = {
    "a_child_is_a_store_below",
    "a_file_is_deleted",
    "a_folder_is_deleted",
    "a_folder_is_not_read",
    "a_missing_file_is_not_found",
    "an_existing_file_is_kept_unless_overwriting",
    "copy_refuses_in_order",
    "delete_refuses_a_folder",
    "files_are_listed",
    "folders_are_listed",
    "globs_match_by_segment",
    "head_is_a_sidecar_result",
    "if_match_replaces_only_what_it_names",
    "metadata_goes_along",
    "metadata_is_kept",
    "move_replaces_only_when_told",
    "questions_tell_files_from_folders",
    "ranges_are_half_open",
    "spellings_are_normalized",
    "text_is_encoded_as_asked",
    "what_is_no_folder_lists_empty",
}
"""Checks with little content whose requests come in one order, and that do not look at the clock."""
BEARER = "ya29.distinctive-access-token"


def s3(endpoint: str, root: str) -> AsyncS3Backend:
    login = {"key": KEY, "secret": SECRET, "region_name": "us-east-1"}
    return AsyncS3Backend(BUCKET, root, endpoint_url=endpoint, **login)


def gcs(endpoint: str, root: str) -> AsyncGCSBackend:
    return AsyncGCSBackend(BUCKET, root, endpoint_url=endpoint, token=BEARER)


def blobs(endpoint: str, root: str, container: str = CONTAINER) -> AsyncAzureBackend:
    account = endpoint.removesuffix(f"/{ACCOUNT}") + f"/{ACCOUNT}"
    return AsyncAzureBackend(container, root, **AzureServer(endpoint=account).options)


def lake(endpoint: str, root: str) -> AsyncAzureBackend:
    return blobs(endpoint, root, HNS)


def web(endpoint: str, root: str) -> AsyncPublishedBackend:
    """What it writes is read from a folder of the server while recording, and from the cassette later."""
    return AsyncPublishedBackend(Path(root), endpoint)


SERVICES: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "s3": ("moto_server", s3),
    "gcs": ("gcs_server", gcs),
    "azure": ("azure_server", blobs),
    "azure-hns": ("azure_server", lake),
    "http": ("web_server", web),
}
"""By name: the fixture of the double, and what makes a backend at an endpoint, with a root."""


def checks_of(service: str) -> list[Check]:
    """Those that it is tried by."""
    capabilities = {*HTTP.capabilities, *WRITTEN_BY} if service == "http" else set(Capability)
    return [check for check in CHECKS if check.name in SMALL_AND_IN_ORDER and {*check.needs} <= capabilities]


def scrubbed(request: Any) -> Any:
    """A request without what signs it."""
    for name in list(request.headers):
        if name.lower().startswith(("authorization", "x-amz-date", "x-amz-security", "amz-sdk", "user-agent")):
            del request.headers[name]
    if request.body and "multipart/mixed" in str(request.headers.get("Content-Type")):
        request.body = re.sub(rb"Authorization: [^\r]*\r\n", b"", request.body)  # Of the calls in a batch.
    return request


recorder = vcr.VCR(
    cassette_library_dir=str(CASSETTES),
    record_mode="all" if RECORDING else "none",
    match_on=["method", "path", "query", "range"],
    before_record_request=scrubbed,
)
recorder.register_matcher("range", lambda one, two: one.headers.get("Range") == two.headers.get("Range"))


@pytest.fixture
def endpoint(service: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The double while recording; otherwise an address at which nobody answers, with the network closed."""
    if RECORDING:
        yield request.getfixturevalue(SERVICES[service][0]).endpoint
        return

    def refuse(*args: object) -> None:
        raise AssertionError("a replayed test used the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield "http://127.0.0.1:9"


@pytest.fixture
def root(service: str, check: Check, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A name, or a folder of that name where files are written that a web server gives out."""
    name = f"replay-{check.name}"
    if service != "http":
        return name
    folder = (request.getfixturevalue("web_server").root if RECORDING else tmp_path) / name
    folder.mkdir()
    return str(folder)


CASES = [pytest.param(one, check, id=f"{one}-{check.name}") for one in SERVICES for check in checks_of(one)]


@pytest.mark.full
@pytest.mark.parametrize(("service", "check"), CASES)
async def test_a_service_keeps_without_a_server(service: str, check: Check, endpoint: str, root: str) -> None:
    folders = service in ("azure-hns", "http")
    with recorder.use_cassette(f"{service}/{check.name}.yaml"):
        async with AsyncStore(SERVICES[service][1](endpoint, root)) as store:
            await check(View(store, hierarchical=folders, empty_folders=folders))


@pytest.mark.parametrize("service", SERVICES)
def test_cassettes_are_complete_and_hold_no_secret(service: str) -> None:
    cassettes = list((CASSETTES / service).glob("*.yaml"))
    assert {path.stem for path in cassettes} == {check.name for check in checks_of(service)} != set()
    for path in cassettes:
        text = path.read_text()
        if service == "http":
            assert set(re.findall(r"https?://([^/:]*)", text)) <= {"127.0.0.1"}
        assert not [secret for secret in (KEY, SECRET, BEARER, ACCOUNT_KEY, "uthorization") if secret in text]
