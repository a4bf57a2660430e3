"""The contract, certification and races on real buckets."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers.deadline import DEADLINE

from remote_store import AlreadyExists, Capability, Store
from remote_store.aio import AsyncStore
from remote_store.certify import certify
from remote_store.certify.checks import CHECKS, Check
from remote_store.certify.checks.absent import refuses_what_it_lacks
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

WORKERS, ROUNDS, INCREMENTS = 8, 20, 5
PART = 5 << 20
"""More than fits into one request of any service, with part sizes as small as they take [bytes]."""
every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)


def view_of(store: Store | AsyncStore, folders: bool) -> View:
    return View(store, hierarchical=folders, empty_folders=folders, workers=WORKERS)


@every_check
def test_store_keeps(check: Check, store: Store, place: Any) -> None:
    view = view_of(store, place.service.folders)
    run_to_end(check(view) if check.applies(view) else refuses_what_it_lacks(view))


@every_check
async def test_async_store_keeps(check: Check, async_store: AsyncStore, place: Any) -> None:
    view = view_of(async_store, place.service.folders)
    await (check(view) if check.applies(view) else refuses_what_it_lacks(view))


def test_it_is_certified(store: Store) -> None:
    report = certify(store, workers=WORKERS)
    assert report.ok, report.to_markdown()


def upload(store: Store, path: str, racer: int) -> None:
    with store.open_atomic(path) as file:
        file.write(b"%d" % racer * PART)
        file.write(b"the end")


# Each racer copies or moves what it has written before.
WAYS: dict[str, Callable[[Store, str, int], object]] = {
    "write": lambda store, path, racer: store.write(path, b"%d" % racer),
    "upload": upload,
    "copy": lambda store, path, racer: store.copy(f"of/{racer}/{path}", path),
    "move": lambda store, path, racer: store.move(f"of/{racer}/{path}", path),
}
LARGE_ROUNDS = 2
LATER = {"-Ex": "-Expires=601", "se=": "se=2099-01-01T00%3A00%3A00Z"}
"""Until when a URL is good, as Amazon and Google say it, and as Azure does."""


@pytest.mark.parametrize("way", WAYS)
def test_one_of_many_creates_a_file(way: str, place: Any) -> None:
    if way not in place.service.judges:
        pytest.skip(f"no promise of {place.service.name}: a {way} has one winner only where the service judges it")
    gate, rounds = threading.Barrier(WORKERS), LARGE_ROUNDS if way == "upload" else ROUNDS

    def race(racer: int) -> list[bool]:
        won = []
        for turn in range(rounds):
            if way in ("copy", "move"):
                store.write(f"of/{racer}/{turn}", b"%d" % racer)
            gate.wait(DEADLINE)
            try:
                WAYS[way](store, f"{turn}", racer)
                won.append(True)
            except AlreadyExists:
                won.append(False)
        return won

    with place.store(part_size=place.service.smallest_part) as store, ThreadPoolExecutor(WORKERS) as threads:
        won = list(threads.map(race, range(WORKERS)))
        winners = [[racer for racer in range(WORKERS) if won[racer][turn]] for turn in range(rounds)]
        assert [len(found) for found in winners] == [1] * rounds
        assert [store.read_range(f"{turn}", 0, 1) for turn in range(rounds)] == [b"%d" % found[0] for found in winners]
        kept = [store.exists(f"of/{racer}/{turn}") for racer in range(WORKERS) for turn in range(rounds)]
        lost = [not (way == "move" and won[racer][turn]) for racer in range(WORKERS) for turn in range(rounds)]
        assert way in ("write", "upload") or kept == lost


def test_a_counter_loses_no_increment(store: Store) -> None:
    def increment(_: int) -> None:
        for _ in range(INCREMENTS):
            store.update("counter", lambda content: b"%d" % (int(content or b"0") + 1), attempts=100)

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(increment, range(WORKERS)))
    assert store.read_bytes("counter") == b"%d" % (WORKERS * INCREMENTS)


def test_a_signed_url_is_good_for_what_it_says_alone(store: Store) -> None:
    if not store.supports(Capability.SIGNED_URL):
        pytest.skip("this store signs nothing")
    store.write("f", b"content")
    url = store.sign("f", expires_in=600)
    with urllib.request.urlopen(url, timeout=DEADLINE) as reply:
        assert reply.read() == b"content"
    headers = {"Content-Type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"}  # Which Azure asks for.
    put = urllib.request.Request(url, b"changed", headers, method="PUT")
    later = re.sub("-Expires=600|(?<=[?&])se=[^&]+", lambda found: LATER[found[0][:3]], url)
    assert later != url
    for refused in (put, later):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(refused, timeout=DEADLINE)
        raised.value.close()
        assert raised.value.code == 403
    assert store.read_bytes("f") == b"content"
