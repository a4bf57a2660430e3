"""The double of Google Cloud Storage as obstore sees it, by the XML API."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from servers.gcs import BUCKET, GcsServer
from servers.gcs_client import MIB

obstore = pytest.importorskip("obstore")


@pytest.fixture
def prefix(gcs_server: GcsServer) -> str:
    return gcs_server.fresh_prefix()


@pytest.fixture
def store(gcs_server: GcsServer, prefix: str) -> Any:
    from obstore.store import GCSStore

    login = {"gcs_base_url": gcs_server.endpoint, "disable_oauth": True, "client_email": ""}
    key = json.dumps({**login, "private_key": "", "private_key_id": ""})
    options = {"config": {"service_account_key": key}, "client_options": {"allow_http": True}}
    return GCSStore(BUCKET, prefix=prefix, **options)  # type: ignore[arg-type]


def test_obstore_stores_and_reads(store: Any) -> None:
    put = obstore.put(store, "a b/ä", b"hello", attributes={"Content-Type": "text/x", "k": "v"})
    got = obstore.get(store, "a b/ä")
    assert bytes(got.bytes()) == b"hello"
    assert got.attributes == {"Content-Type": "text/x", "k": "v"}
    head = obstore.head(store, "a b/ä")
    assert (head["size"], head["e_tag"], head["version"]) == (5, put["e_tag"], put["version"])
    assert bytes(obstore.get_range(store, "a b/ä", start=1, end=3)) == b"el"
    assert bytes(obstore.get(store, "a b/ä", options={"range": {"suffix": 2}}).bytes()) == b"lo"
    with pytest.raises(FileNotFoundError):
        obstore.head(store, "missing")


def test_obstore_stores_on_conditions(store: Any) -> None:
    first = obstore.put(store, "a", b"1", mode="create")
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "a", b"2", mode="create")
    obstore.put(store, "a", b"2", mode=first)
    with pytest.raises(obstore.exceptions.PreconditionError):
        obstore.put(store, "a", b"3", mode=first)
    with pytest.raises(obstore.exceptions.NotModifiedError):
        obstore.get(store, "a", options={"if_none_match": obstore.head(store, "a")["e_tag"]})
    assert bytes(obstore.get(store, "a").bytes()) == b"2"


def test_obstore_lists_copies_and_deletes(store: Any) -> None:
    for name in ("a", "b/1", "b/2", "c/d/1"):
        obstore.put(store, name, b"1")
    assert [entry["path"] for entry in obstore.list(store).collect()] == ["a", "b/1", "b/2", "c/d/1"]
    assert [entry["path"] for entry in obstore.list(store, offset="b/1").collect()] == ["b/2", "c/d/1"]
    found = obstore.list_with_delimiter(store)
    assert (found["common_prefixes"], [entry["path"] for entry in found["objects"]]) == (["b", "c"], ["a"])
    obstore.copy(store, "a", "copy", overwrite=False)
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.copy(store, "a", "copy", overwrite=False)
    obstore.rename(store, "copy", "renamed")
    obstore.delete(store, ["a", "b/1", "b/2"])
    assert [entry["path"] for entry in obstore.list(store).collect()] == ["c/d/1", "renamed"]


def test_obstore_stores_in_parts(store: Any) -> None:
    content = bytes(range(256)) * (11 * MIB // 256)
    obstore.put(store, "a", content, use_multipart=True, chunk_size=5 * MIB)
    assert bytes(obstore.get(store, "a").bytes()) == content


def test_obstore_has_one_winner(store: Any) -> None:
    barrier = threading.Barrier(16)

    def create(number: int) -> bool:
        barrier.wait(DEADLINE)
        try:
            obstore.put(store, "a", b"%d" % number, mode="create")
        except obstore.exceptions.AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(create, range(16))) == 1
