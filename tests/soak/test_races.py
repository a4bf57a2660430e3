"""Ten thousand creators of which one wins each round, and counters that lose no increment."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from servers import gcs, s3

from remote_store import AlreadyExists, PreconditionFailed, Store
from remote_store.backends import GCSBackend, LocalBackend, MemoryBackend, S3Backend

pytestmark = pytest.mark.soak
Record = Callable[[str, object], None]
RACERS, ROUNDS = 16, 640
"""10,240 tries."""
PROCESSES, PROCESS_ROUNDS = 8, 1_280


def create(store: Store, key: str, racer: int) -> bool:
    """Whether this racer has won the key, by one of two methods."""
    data = b"%d" % racer * 100
    try:
        if racer % 2:
            store.write(key, data)
        else:
            with store.open_atomic(key) as file:
                file.write(data)
    except AlreadyExists:
        return False
    return True


def count(store: Store, won: list[list[bool]], told: str, record_property: Record) -> None:
    """Each round has one winner, whose content is kept."""
    rounds = len(won[0])
    winners = [[racer for racer, each in enumerate(won) if each[turn]] for turn in range(rounds)]
    wrong = {turn: found for turn, found in enumerate(winners) if len(found) != 1}
    other = [t for t, found in enumerate(winners) if store.read_bytes(f"d/{t}") not in [b"%d" % r * 100 for r in found]]
    told = f"{told}: {len(won) * rounds} creators, {rounds} rounds, {len(wrong)} without exactly one winner"
    record_property("figures", told)
    assert wrong == {}, told
    assert other == [], "what is kept is not the winner's"


SERVERS = {
    "S3": "ministack_server",
    "S3, fast": "ministack_server",
    "SeaweedFS": "seaweedfs_server",
    "GCS": "gcs_server",
}
SLOW_ROUNDS = 40
"""On SeaweedFS, where a writer that finds a key locked asks for the lock again after a second: 640 tries."""


@pytest.fixture(params=["local", "memory", *SERVERS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param in SERVERS:
        server: s3.S3Server | gcs.GcsServer = request.getfixturevalue(SERVERS[request.param])
        fast = {"engine": "fast"} if request.param == "S3, fast" else {}
        backend: Any = GCSBackend if request.param == "GCS" else S3Backend
        with Store(backend(s3.BUCKET, server.fresh_prefix(), **server.options, **fast)) as store:
            yield store
    else:
        yield Store(LocalBackend(tmp_path) if request.param == "local" else MemoryBackend())


def test_one_of_many_threads_creates_a_file(
    store: Store, request: pytest.FixtureRequest, record_property: Record
) -> None:
    gate = threading.Barrier(RACERS)
    rounds = SLOW_ROUNDS if request.node.callspec.id == "SeaweedFS" else ROUNDS

    def race(racer: int) -> list[bool]:
        return [gate.wait(DEADLINE) >= 0 and create(store, f"d/{turn}", racer) for turn in range(rounds)]

    with ThreadPoolExecutor(RACERS) as threads:
        won = list(threads.map(race, range(RACERS)))
    count(store, won, f"threads, {request.node.callspec.id}", record_property)


def race_in_process(root: Path, gate: Any, racer: int, results: Any) -> None:
    store = Store(LocalBackend(root))
    won = [gate.wait(DEADLINE) >= 0 and create(store, f"d/{turn}", racer) for turn in range(PROCESS_ROUNDS)]
    results.put((racer, won))


def test_one_of_many_processes_creates_a_file(tmp_path: Path, record_property: Record) -> None:
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(PROCESSES), context.SimpleQueue()
    racers = [context.Process(target=race_in_process, args=(tmp_path, gate, r, results)) for r in range(PROCESSES)]
    for racer in racers:
        racer.start()
    try:
        won = dict(results.get() for _ in racers)
        for racer in racers:
            racer.join(DEADLINE)
    finally:
        for racer in racers:
            racer.kill()
    count(Store(LocalBackend(tmp_path)), [won[r] for r in range(PROCESSES)], "processes, local", record_property)
    assert not [name for name in os.listdir(tmp_path / "d") if name.startswith(".")]


@pytest.mark.parametrize(
    ("store", "increments"), [("memory", 160), ("S3", 80), ("SeaweedFS", 20), ("GCS", 80)], indirect=["store"]
)
def test_a_counter_loses_no_increment(
    store: Store, increments: int, request: pytest.FixtureRequest, record_property: Record
) -> None:
    store.write("counter", b"0")

    def increment(_: int) -> int:
        again = -1
        for _ in range(increments):
            while True:
                again += 1
                etag = store.get_file_info("counter").etag
                number = int(store.read_bytes("counter"))
                try:
                    store.write("counter", b"%d" % (number + 1), if_match=etag)
                except PreconditionFailed:
                    continue
                break
        return again + 1 - increments

    with ThreadPoolExecutor(RACERS) as threads:
        retries = sum(threads.map(increment, range(RACERS)))
    lost = RACERS * increments - int(store.read_bytes("counter"))
    told = f"counter, {request.node.callspec.id}: {RACERS * increments} increments, {retries} retries, {lost} lost"
    record_property("figures", told)
    assert lost == 0, told
