"""Zonal buckets of Google Cloud Storage, which take no writes by the JSON API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.gcs import PART
from servers.gcs import GcsServer
from servers.gcs_faults import DENIED, in_turn, instead, refusal, when

from remote_store import RemoteStoreError, Store
from remote_store.backends import GCSBackend

UNTAKEN = instead(refusal(400, "invalid", "Not for this bucket."))


@pytest.fixture(params=["zone", "region"])
def store(request: pytest.FixtureRequest, gcs_server: GcsServer) -> Iterator[Store]:
    gcs_server.create_bucket("placed", locationType=request.param)
    with Store(GCSBackend("placed", part_size=PART, **gcs_server.options)) as store:
        yield store


@pytest.mark.parametrize("size", [1, PART + 1], ids=["put", "upload"])
def test_a_bucket_that_takes_no_writes_says_why(store: Store, gcs_server: GcsServer, size: int) -> None:
    zonal = "zone" in str(gcs_server.bucket("placed").properties)
    with gcs_server.hooked(when(UNTAKEN, "POST", "/upload/")), pytest.raises(RemoteStoreError) as caught:
        store.write("f", b"1" * size)
    assert ("gRPC" in str(caught.value)) == zonal
    store.write("f", b"2")
    assert store.read_bytes("f") == b"2"


def test_the_first_refusal_stands_where_nobody_may_ask(store: Store, gcs_server: GcsServer) -> None:
    with (
        gcs_server.hooked(in_turn(UNTAKEN, instead(DENIED))),
        pytest.raises(RemoteStoreError, match="malformed") as caught,
    ):
        store.write("f", b"1")
    assert type(caught.value) is RemoteStoreError
