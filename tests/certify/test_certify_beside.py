"""What shows beside the store alone: to other clients, programs and processes, or under odd names."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from helpers.deadline import DEADLINE
from helpers.kinds import ASYNC_KINDS, KINDS, Kind
from helpers.liars_beside import (
    CopiesAnother,
    CopiesForNobody,
    CopiesWithoutCondition,
    DiesInAChild,
    FailsOnOddNames,
    HangsInAChild,
    KeepsOddNames,
    LacksWhatItPromised,
    RaisesInAChild,
    ReadsNothingInAChild,
    SharesACacheFolder,
    SharesACacheOfItsProcess,
    SpellsOddNames,
    WritesNothingInAChild,
    ends_over_late_files,
)
from servers.s3 import BUCKET, S3Server

from remote_store import FsspecBackend, Store
from remote_store.aio import AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend, SFTPBackend
from remote_store.certify import certify
from remote_store.certify._scratch import another_client
from remote_store.certify.live import clients, forks, races
from remote_store.certify.probes.atomic import readers_see_no_part_of_a_write
from remote_store.certify.probes.exclusive import a_file_made_meanwhile_is_kept, a_file_replaced_meanwhile_is_kept
from remote_store.certify.rules import Check, Noted, RuleBroken, Untried
from remote_store.certify.view import View
from remote_store.drivers import registry
from remote_store.engine.runners import run_to_end

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
TWINS = clients.changes_of_another_client_show_at_once
PAST = clients.changes_past_the_store_show_at_once
ODD = clients.names_that_no_path_spells_are_skipped
FORKED = forks.a_forked_child_goes_on
COPIES, MOVES = races.one_racing_copy_wins, races.one_racing_move_wins


def seen(store: Store | AsyncStore, workers: int = 4) -> View:
    """A view beside another client."""
    other = another_client(store)
    return View(store, other and View(other), workers=workers)


# --- honest storage keeps the rules, and is told where it cannot be tried


def told(check: Check, view: View) -> str:
    """What a check says: what it saw, or why it could not be tried."""
    try:
        return str(run_to_end(check(view)))
    except Untried as reason:
        return f"not tried: {reason}"
    except Noted as note:
        return f"noted: {note}"


KEPT = {
    PAST: "what was written to the filesystem below was read at once",
    ODD: "were skipped, and went with their folder",
    FORKED: "a forked child read and wrote, its parent saw that, and went on",
    COPIES: "one of 4 racing copies won, 2 times",
    MOVES: "one of 4 racing moves won, 2 times",
}
ONE_STEP = {MOVES: "not tried: one_mover_wins tries moves that are one step"}
WITHOUT = {
    "local": ONE_STEP,
    "memory": ONE_STEP | {FORKED: "not tried: no other process sees these files"},
    "memory-shared": ONE_STEP | {FORKED: "not tried: what another process writes does not get here"},
    "bridge": ONE_STEP
    | dict.fromkeys((PAST, ODD), "not tried: no filesystem below the store can be asked past it")
    | {FORKED: "not tried: a bridge to an async backend refuses to go on in a child, and says so"},
    "s3-moto": {COPIES: "noted: 4 of 4 racing copies", MOVES: "noted: 4 of 4 racing moves"},
    "s3-fast": {COPIES: "noted: 4 of 4 racing copies", MOVES: "noted: 4 of 4 racing moves"},
    "azure": {},
    "azure-hns": ONE_STEP,
    "sftp-openssh": {},
    "gcs": {},
}


HONEST = [
    pytest.param(kind, marks=[] if kind.often else pytest.mark.full, id=kind.name)
    for kind in KINDS
    if kind.name in WITHOUT
]


@FORKS
@pytest.mark.parametrize("check", KEPT, ids=lambda check: check.name)
@pytest.mark.parametrize("kind", HONEST)
def test_honest_storage_keeps_it(kind: Kind[Any], check: Check, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(kind.needs)
    with kind.make(server) as store:
        store.ping()  # Which finds out what there is.
        with ExitStack() as stack:
            if kind.name == "gcs":
                stack.enter_context(server.having(bare_newlines=True))  # Of the bare filesystem.
            elif isinstance(server, S3Server) and check in (COPIES, MOVES):
                stack.enter_context(copying_together(server, 4))
            assert WITHOUT[kind.name].get(check, KEPT[check]) in told(check, seen(store))


@contextmanager
def copying_together(server: S3Server, count: int) -> Iterator[None]:
    """Let so many copies begin before any of them is done, however busy the machine is."""
    begun = threading.Barrier(count)

    def wait(environ: dict[str, Any], carry_out: Callable[[], Any]) -> None:
        if "HTTP_X_AMZ_COPY_SOURCE" in environ:
            begun.wait(DEADLINE)

    with server.hooked(wait):
        yield


async def test_an_async_store_does_not_go_on_in_a_child(tmp_path: Path) -> None:
    kind = next(kind for kind in ASYNC_KINDS if kind.name == "local")
    async with kind.make(tmp_path) as store:
        view = seen(store)
        with pytest.raises(Untried, match="belongs to its event loop"):
            await FORKED(view)
        for check in (PAST, ODD, COPIES):
            assert KEPT[check] in str(await check(view))


# --- caches


@pytest.mark.parametrize("cls", [SharesACacheFolder, SharesACacheOfItsProcess])
def test_a_cache_that_all_clients_share_is_caught(tmp_path: Path, cls: type[LocalBackend]) -> None:
    store = Store(cls(str(tmp_path / "files")))
    assert another_client(store) is not None
    run_to_end(TWINS(seen(store)))  # Another client of the same kind shares the cache, and sees nothing.
    with pytest.raises(RuleBroken, match="after another program wrote the file: expected b'one', found b'once'"):
        run_to_end(PAST(seen(store)))


@FORKS
def test_a_cache_of_a_process_is_caught_by_its_child(tmp_path: Path) -> None:
    with pytest.raises(RuleBroken, match="read b'parent' after its child wrote b'child', and b'child' is"):
        run_to_end(FORKED(seen(Store(SharesACacheOfItsProcess(str(tmp_path / "files"))))))


def test_a_caching_filesystem_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_refuse_cache", lambda fs: None)  # Which lets none become a store.
    (tmp_path / "files").mkdir()
    options = {"target_protocol": "file", "cache_storage": str(tmp_path / "cache"), "skip_instance_cache": True}
    store = Store(FsspecBackend(fsspec.filesystem("simplecache", **options), str(tmp_path / "files")))
    with pytest.raises(RuleBroken, match="after another program wrote the file"):
        run_to_end(PAST(seen(store)))


# --- forks


@FORKS
@pytest.mark.parametrize(
    ("cls", "says"),
    [
        (HangsInAChild, "in a forked child: it hung in read_bytes"),
        (ReadsNothingInAChild, "in a forked child: read_bytes gave b'', not what its parent wrote"),
        (RaisesInAChild, "in a forked child: RuntimeError: no event loop"),
        (WritesNothingInAChild, "the parent read b'nothing' after its child wrote"),
        (DiesInAChild, "in a forked child: it hung in read_bytes, or died there"),
    ],
)
def test_who_does_not_survive_a_fork_is_caught(
    cls: type[LocalBackend], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cls is HangsInAChild:
        monkeypatch.setattr(forks, "PATIENCE", 1.0)
    with pytest.raises(RuleBroken, match=says):
        run_to_end(FORKED(seen(Store(cls(str(tmp_path))))))


# --- odd names


@pytest.mark.parametrize(
    ("cls", "says"),
    [
        (SpellsOddNames, "NotFound"),
        (KeepsOddNames, "of the folder after it was deleted: expected"),
        (FailsOnOddNames, "not a path"),
    ],
)
def test_who_does_not_skip_odd_names_is_caught(cls: type[MemoryBackend], says: str) -> None:
    report = certify(Store(cls()), workers=2)
    found = next(rule for rule in report.rules if rule.name == ODD.name)
    assert found.outcome == "broken"
    assert says in found.evidence[-1]
    assert report.litter == ()


# --- the end of an upload in parts


@pytest.mark.parametrize("probe", [a_file_made_meanwhile_is_kept, a_file_replaced_meanwhile_is_kept])
def test_an_upload_whose_end_has_no_condition_is_caught(moto_server: S3Server, probe: Check) -> None:
    options = {**moto_server.options, "part_size": 12 << 20}  # More than what is large elsewhere.
    with Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **options)) as store:
        with moto_server.hooked(ends_over_late_files), pytest.raises(RuleBroken, match="13631488 bytes"):
            run_to_end(probe(View(store, hierarchical=False, empty_folders=False)))
        assert "13631488 bytes" in str(run_to_end(probe(View(store.child("right")))))


# --- servers that lie about links


def _linking(link: Any) -> Any:
    """A server of SFTP whose hard links are something else."""
    import asyncssh

    class Server(asyncssh.SFTPServer):
        async def link(self, oldpath: bytes, newpath: bytes) -> None:
            await link(self.map_path(oldpath), self.map_path(newpath))

    return lambda channel, folder: Server(channel, chroot=folder.encode())


async def _copied(old: bytes, new: bytes) -> None:
    data = Path(os.fsdecode(old)).read_bytes()
    with open(new, "xb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        await asyncio.sleep(0.005)
        file.write(data[len(data) // 2 :])


async def _replaced(old: bytes, new: bytes) -> None:
    Path(os.fsdecode(new)).unlink(missing_ok=True)
    os.link(old, new)


@pytest.fixture
def lying(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    pytest.importorskip("sshfs")
    from servers.sftp import serve

    with (
        serve(str(tmp_path), _linking(request.param)) as server,
        Store(SFTPBackend("127.0.0.1", "/", **server.options)) as store,
    ):
        yield store


@pytest.mark.full
@pytest.mark.parametrize("lying", [_copied], indirect=True)
def test_a_link_that_is_a_copy_is_caught(lying: Store) -> None:
    with pytest.raises(RuleBroken, match=r"a reader got \d+ bytes of a new file that has 1048576"):
        run_to_end(readers_see_no_part_of_a_write(seen(lying)))


@pytest.mark.full
@pytest.mark.parametrize("lying", [_replaced], indirect=True)
def test_a_link_that_replaces_is_noted(lying: Store) -> None:
    report = certify(lying, workers=2)
    assert report.notes == ("EXCLUSIVE_CREATE: declared, until the storage was looked at",)


def test_what_is_promised_until_it_is_tried_is_noted(tmp_path: Path) -> None:
    report = certify(Store(LacksWhatItPromised(tmp_path)), workers=2)
    assert report.ok
    assert report.notes == ("EXCLUSIVE_CREATE: declared, until the storage was looked at",)


# --- racing copies and moves


def test_a_service_that_does_not_judge_copies_is_noted_and_certified() -> None:
    report = certify(Store(CopiesWithoutCondition()), workers=4)
    assert report.ok, report.to_markdown()
    assert "exclusive_create" in [finding.capability for finding in report.proved]
    (note,) = report.notes
    assert note.startswith("one_racing_copy_wins: 4 of 4 racing copies to one name with overwrite=False succeeded: the")
    assert json.loads(report.to_json())["notes"] == [note]
    assert f"## Notes\n\n- {note}\n" in report.to_markdown()
    assert f"<li>{note}</li>" in report.to_html()


@pytest.mark.parametrize(
    ("cls", "says"), [(CopiesForNobody, "none of 4 racing copies"), (CopiesAnother, "the target has b'another'")]
)
def test_copies_that_go_wrong_are_caught(cls: type[MemoryBackend], says: str) -> None:
    with pytest.raises(RuleBroken, match=says):
        run_to_end(COPIES(seen(Store(cls()))))


@pytest.mark.full
def test_an_upload_in_parts_lets_one_copy_win(moto_server: S3Server) -> None:
    options = {**moto_server.options, "exclusive_copy": "multipart"}
    with Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **options)) as store:
        for check in (COPIES, MOVES):
            assert KEPT[check] in told(check, seen(store.child(check.name)))
