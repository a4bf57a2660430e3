"""SFTP on two honest servers: processes that race, writers that are killed, and a file larger than memory should be."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from content import SEED, Killer, is_whole, payload
from helpers.processes import run_script
from servers.sshd import SFTPPlace

from remote_store import AlreadyExists, Store
from remote_store.backends import SFTPBackend

pytestmark = pytest.mark.soak
Record = Callable[[str, object], None]
RACERS, ROUNDS = 16, 50
KILLS, SIZE = 100, 4 << 20


@pytest.fixture(params=["openssh", "asyncssh"])
def place(request: pytest.FixtureRequest) -> SFTPPlace:
    place: SFTPPlace = request.getfixturevalue(f"{request.param}_server")
    return place


def race(racer: int, root: str, options: dict[str, Any], start: Any, wins: Any) -> None:
    with Store(SFTPBackend("127.0.0.1", root, **options)) as store:
        for turn in range(ROUNDS):
            start.wait()
            try:
                store.write(f"d/{turn}", b"%04d" % racer * 50_000)
            except AlreadyExists:
                continue
            wins.put((turn, racer))


def test_each_round_of_racing_processes_has_one_winner(place: SFTPPlace, record_property: Record) -> None:
    root, spawn = place.fresh_root(), multiprocessing.get_context("spawn")
    start, wins = spawn.Barrier(RACERS), spawn.Queue()
    racers = [spawn.Process(target=race, args=(one, root, place.options, start, wins)) for one in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    won = sorted(wins.get() for _ in range(ROUNDS))
    assert wins.empty()
    assert [turn for turn, _ in won] == list(range(ROUNDS))
    folder = Path(place.on_disk(root)) / "d"
    assert all((folder / str(turn)).read_bytes() == b"%04d" % racer * 50_000 for turn, racer in won)
    assert len(list(folder.iterdir())) == ROUNDS
    record_property("figures", f"SFTP: {RACERS} processes, {ROUNDS} rounds, one winner each, no temporary file left")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(place: SFTPPlace, record_property: Record) -> None:
    root = place.fresh_root()
    folder = Path(place.on_disk(root)) / "d"
    killer, torn, left = Killer("sftp", 0.2), 0, 0

    def work(begun: Callable[[], None]) -> None:
        with Store(SFTPBackend("127.0.0.1", root, **place.options)) as store:
            for number in itertools.count(1):
                store.write("d/key", payload(number, SIZE), overwrite=True)
                if number == 1:
                    begun()

    with Store(SFTPBackend("127.0.0.1", root, **place.options)) as store:
        for _ in range(KILLS):
            store.write("d/key", payload(0, SIZE), overwrite=True)
            killer.kill(work)
            torn += not is_whole((folder / "key").read_bytes(), SIZE)
            left += len(list(folder.iterdir())) - 1
            store.delete_folder("d", recursive=True)
            assert not folder.exists()
    told = f"SFTP: {killer.kills} kills, {torn} torn, {left} temporary files left, all swept"
    record_property("figures", told)
    assert torn == 0, f"{told} (seed {SEED})"


LARGE = """
import json, re, sys
from pathlib import Path
from remote_store import Store
from remote_store.backends import SFTPBackend

class Zeros:
    left = 1 << 30
    def read(self, size=-1):
        size = min(size if size > 0 else 1 << 20, self.left)
        self.left -= size
        return bytes(size)

def most():
    # That of getrusage is inherited from the process that started this one.
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10

with Store(SFTPBackend("127.0.0.1", sys.argv[1], **json.loads(sys.argv[2]))) as store:
    store.write("small", b"1")
    before = most()
    print(store.write("large", Zeros()).size)
    total = 0
    with store.read("large") as stream:
        while piece := stream.read(1 << 20):
            total += len(piece)
    print(total, most() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's record of memory")
def test_a_gibibyte_takes_little_memory(place: SFTPPlace, record_property: Record) -> None:
    import json

    told = run_script(LARGE, place.fresh_root(), json.dumps(place.options))[0].split()
    assert told[:2] == [str(1 << 30)] * 2
    record_property("figures", f"SFTP: 1 GiB both ways within {told[2]} MiB")
    assert int(told[2]) < 64
