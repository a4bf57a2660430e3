"""What is believed at Google Cloud Storage: a deletion, a condition, credentials that still are good."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator
from typing import Any

import google.oauth2.credentials
import pytest
from helpers.gcs import Place, gcs_place
from servers.gcs import BUCKET, GcsServer
from servers.gcs_answers import CarryOut, Request
from servers.gcs_faults import DENIED, instead, page, when
from servers.gcs_login import service_account, user

from remote_store import BackendUnavailable, Store
from remote_store.backends import GCSBackend


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def place(request: pytest.FixtureRequest, gcs_server: GcsServer) -> AsyncIterator[Place]:
    async with gcs_place(request.param, gcs_server, retries=0) as place:
        for key in ("d/0", "d/1", "src"):
            place.put(key, b"1")
        yield place


async def test_a_page_does_not_say_that_files_of_a_folder_are_gone(place: Place) -> None:
    with place.server.hooked(when(instead(page(404)), "DELETE")), pytest.raises(BackendUnavailable):
        await place.view.delete_folder("d", recursive=True)
    assert {"d/0", "d/1"} <= place.contents().keys()


async def test_a_page_does_not_say_that_a_moved_file_is_gone(place: Place) -> None:
    def hook(request: Request, carry_out: CarryOut) -> Any:
        return when(instead(DENIED), "POST", "moveTo")(request, carry_out) or when(instead(page(404)), "DELETE")(
            request, carry_out
        )

    with place.server.hooked(hook), pytest.raises(BackendUnavailable):
        await place.view.move("src", "dst")
    assert {"src", "dst"} <= place.contents().keys()


async def test_what_is_no_such_service_judges_no_condition(place: Place) -> None:
    with place.server.hooked(instead(page(404))), pytest.raises(BackendUnavailable):
        await place.view.read_range("src", 0, 1, if_match="1")


async def test_a_folder_is_deleted_in_more_time_than_one_request_may_take(gcs_server: GcsServer) -> None:
    def slow(request: Request, carry_out: CarryOut) -> None:
        if request.method == "DELETE":
            time.sleep(0.3)

    async with gcs_place("async", gcs_server, retries=0, timeout=4) as place:
        for number in range(40 * 32):
            place.put(f"d/{number}", b"")
        with place.server.hooked(slow):
            await place.view.delete_folder("d", recursive=True)
        assert place.contents() == {}


def test_credentials_that_still_are_good_outlive_an_outage_of_their_source(gcs_server: GcsServer) -> None:
    soon = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=240)
    token = google.oauth2.credentials.Credentials("good", expiry=soon, **user(gcs_server.endpoint))
    options = {**gcs_server.options, "token": token}
    gcs_server.put("kept", b"1")
    with (
        Store(GCSBackend(BUCKET, retries=0, **options)) as store,
        gcs_server.hooked(when(instead(page(503)), "", "/token")),
    ):
        for _ in range(3):
            assert store.read_bytes("kept") == b"1"


def test_signing_asks_nobody(gcs_server: GcsServer) -> None:
    options = {**gcs_server.options, "token": service_account(gcs_server.endpoint)}
    gcs_server.requests.clear()
    with Store(GCSBackend(BUCKET, **options)) as store:
        assert "X-Goog-Signature" in store.sign("f")
    assert gcs_server.requests == []


@pytest.mark.parametrize("option", ["requests_timeout", "version_aware", "consistency", "cache_timeout"])
def test_options_that_nothing_heeds_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"unknown option '{option}'"):
        GCSBackend("b", token="anon", **{option: 1})


@pytest.mark.parametrize("timeout", [None, True, 0, float("inf"), float("nan"), "5"])
def test_a_deadline_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(ValueError, match="timeout must be a number of seconds"):
        GCSBackend("b", token="anon", timeout=timeout)
