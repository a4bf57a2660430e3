"""Certification: honest storage passes, what is declared and does not hold is refuted, nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.zip import ZipFileSystem
from helpers.deadline import DEADLINE
from helpers.kinds import ASYNC_KINDS, KINDS, unknown_filesystem
from helpers.liars import LIARS, SUBTLE_LIARS, Liar, interrupted
from helpers.s3 import uploads as s3_uploads
from helpers.scripted import hooked, refusing
from servers.azure import KEY, AzureServer
from servers.ftp import ftp_store
from servers.gcs import GcsServer
from servers.gcs_login import service_account
from servers.s3 import BUCKET, S3Server

from remote_store import Capability, FsspecBackend, PermissionDenied, RemoteStoreError, Store
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncStore, SyncBackendAdapter
from remote_store.backends import AzureBackend, GCSBackend, LocalBackend, MemoryBackend, S3Backend
from remote_store.certify import CertificationReport, certify, certify_async
from remote_store.certify.checks import CHECKS
from remote_store.certify.view import View

FEW = 4
UNSEEN = Capability.SEEKABLE_READ, Capability.LAZY_READ
"""What cannot be tried on memory from a loop: it has no stream, and fetches nothing."""


def verdicts(report: CertificationReport) -> dict[str, str]:
    return {finding.capability.name: finding.verdict for finding in report.capabilities}


def passes(report: CertificationReport, *missing: Capability) -> None:
    assert report.ok, report.to_markdown()
    found = verdicts(report)
    assert {name for name, verdict in found.items() if verdict == "proved"} == {
        capability.name for capability in Capability if capability not in missing
    }
    assert sum(rule.outcome == "kept" for rule in report.rules) > 60


# --- honest storage


def test_memory_passes() -> None:
    store = Store(MemoryBackend())
    store.write("mine", b"1")
    missing = Capability.SIGNED_URL, Capability.LAZY_READ  # Where nothing is fetched, nothing can be seen.
    passes(certify(store, workers=FEW), *missing)
    assert [str(info.path) for info in store.list_files("", recursive=True)] == ["mine"]


def test_local_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"1")
    report = certify(Store(LocalBackend(tmp_path)), workers=FEW)
    passes(report, Capability.CONDITIONAL_WRITE, Capability.WRITE_RESULT_NATIVE, Capability.SIGNED_URL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


async def test_async_stores_pass(tmp_path: Path) -> None:
    passes(await certify_async(AsyncStore(AsyncMemoryBackend()), workers=FEW), *UNSEEN, Capability.SIGNED_URL)
    report = await certify_async(AsyncStore(AsyncLocalBackend(tmp_path)), workers=FEW)
    missing = Capability.CONDITIONAL_WRITE, Capability.WRITE_RESULT_NATIVE, Capability.SEEKABLE_READ
    passes(report, *missing, Capability.SIGNED_URL)
    assert list(tmp_path.iterdir()) == []


BY_NAME, ASYNC_BY_NAME = ({kind.name: kind for kind in kinds} for kinds in (KINDS, ASYNC_KINDS))


BACKENDS = {S3Server: S3Backend, GcsServer: GCSBackend, AzureServer: AzureBackend}
Server = S3Server | GcsServer | AzureServer


def nowhere(server: Server) -> Store:
    """A store in a bucket that there is not."""
    return Store(BACKENDS[type(server)]("no-such-bucket", **server.options))


def uploads(server: Server, store: Store) -> list[str]:
    """Objects in a store of uploads that nobody has finished."""
    details = store.resolve("f").details
    prefix = details["root"]
    assert prefix
    if isinstance(server, AzureServer):
        return list(server.uncommitted(f"{prefix}/", details["container"])) if server.service else []
    if isinstance(server, GcsServer):
        return [name for name in server.uploads() if name.startswith(f"{prefix}/")]
    return s3_uploads(server, prefix)


@pytest.mark.full
@pytest.mark.parametrize("name", ["s3-moto", "s3-ministack", "gcs", "azure", "azure-hns", "azurite"])
def test_a_service_passes_and_is_left_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    kind = BY_NAME[name]
    server = request.getfixturevalue(kind.needs)
    with kind.make(server) as store, nowhere(server) as missing:
        report = certify(store, missing=missing)
        passes(report, *([] if name == "azure-hns" else [Capability.ATOMIC_MOVE]))
        assert list(store.iter_children("")) == []
        assert report.rules[-1].name == "a_missing_container_reads_as_a_missing_path"
        assert uploads(server, store) == []
    secrets = {"gcs": lambda: service_account(server.endpoint)["private_key"], "s3": lambda: server.options["secret"]}
    secret = secrets.get(store.backend.name, lambda: KEY)()
    for text in (report.to_json(), report.to_markdown(), report.to_html(), repr(report)):
        assert secret not in text


@pytest.mark.full
@pytest.mark.parametrize("name", ["s3-moto", "gcs", "azure", "azure-hns"])
async def test_a_service_passes_from_a_loop(name: str, request: pytest.FixtureRequest) -> None:
    kind = ASYNC_BY_NAME[name]
    async with kind.make(request.getfixturevalue(kind.needs)) as store:
        flat = [] if name == "azure-hns" else [Capability.ATOMIC_MOVE]
        passes(await certify_async(store), *flat, Capability.SEEKABLE_READ)


@pytest.mark.full
def test_ftp_passes(ftp_server: tuple[str, int]) -> None:
    with ftp_store(*ftp_server) as store:
        report = certify(store, workers=FEW)
    assert report.ok, report.to_markdown()
    assert verdicts(report)["EXCLUSIVE_CREATE"] == "absent"


@pytest.mark.parametrize("mode", ["r", "a"])
def test_a_zip_archive_passes_by_what_is_there(tmp_path: Path, mode: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/mine", "0123456789")
    before = (tmp_path / "a.zip").read_bytes()
    fs = ZipFileSystem(str(tmp_path / "a.zip"), mode=mode, skip_instance_cache=True)
    report = certify(Store(FsspecBackend(fs)), workers=FEW)
    assert report.ok, report.to_markdown()
    proved = {name for name, verdict in verdicts(report).items() if verdict == "proved"}
    assert proved == {"LIST", "GLOB", "METADATA"} | ({"READ"} if mode == "r" else set())
    assert set(verdicts(report).values()) == {"proved", "not tried"}
    assert [rule.name for rule in report.rules if rule.outcome == "kept"] == ["refuses_what_it_lacks"]
    fs.close()
    assert (tmp_path / "a.zip").read_bytes() == before


def test_an_archive_on_which_nothing_can_be_tried_is_not_certified(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    fs = ZipFileSystem(str(tmp_path / "a.zip"), skip_instance_cache=True)
    report = certify(Store(FsspecBackend(fs)), workers=FEW)
    assert not report.ok
    assert not report.refuted
    assert not report.broken
    for text in (report.to_markdown(), report.to_html()):
        assert text.count("Not certified") > 0
        assert "nothing could be tried" in text
    assert set(verdicts(report).values()) == {"not tried"}
    fs.close()


def test_an_archive_that_reads_short_is_caught(tmp_path: Path) -> None:
    class Short(ZipFileSystem):  # type: ignore[misc]
        def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
            return bytes(super().cat_file(path, start, end, **options))[:-1]

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/mine", "0123456789")
    fs = Short(str(tmp_path / "a.zip"), skip_instance_cache=True)
    report = certify(Store(FsspecBackend(fs)), workers=FEW)
    assert not report.ok
    assert verdicts(report)["READ"] == "refuted"
    fs.close()


# --- what has no driver


def test_an_unknown_filesystem_gets_a_driver_proposed(tmp_path: Path) -> None:
    fs = unknown_filesystem(str(tmp_path))
    report = certify(Store(FsspecBackend(fs)), workers=FEW)
    assert report.ok, report.to_markdown()
    found = verdicts(report)
    assert found["SEEKABLE_READ"] == found["LAZY_READ"] == "works undeclared"
    assert found["EXCLUSIVE_CREATE"] == found["USER_METADATA"] == "absent"
    assert found["ATOMIC_MOVE"] in ("absent", "works undeclared")  # On a busy machine nobody may get to look.
    assert report.proposal is not None
    made: dict[str, Any] = {}
    exec(compile(report.proposal, "proposal", "exec"), made)
    driver = made["driver"](fs, "", "dir")
    assert {Capability.SEEKABLE_READ, Capability.LAZY_READ, Capability.WRITE} <= driver.capabilities
    assert not {Capability.EXCLUSIVE_CREATE, Capability.ATOMIC_MOVE, Capability.ATOMIC_WRITE} & driver.capabilities


def test_a_known_filesystem_gets_none(tmp_path: Path) -> None:
    assert certify(Store(LocalBackend(tmp_path)), workers=2).proposal is None


# --- what does not hold


@pytest.mark.parametrize("capability", Capability)
def test_a_capability_that_does_not_hold_is_refuted(capability: Capability, tmp_path: Path) -> None:
    liar = LIARS[capability]
    backend = liar(tmp_path) if issubclass(liar, LocalBackend) else liar()  # type: ignore[arg-type]
    report = certify(Store(backend))
    assert not report.ok
    assert verdicts(report)[capability.name] == "refuted", report.to_markdown()
    assert next(f for f in report.refuted if f.capability is capability).evidence


@pytest.mark.full
def test_a_service_that_ignores_conditions_is_caught(rclone_server: dict[str, Any]) -> None:
    with Store(S3Backend(**rclone_server)) as store:
        report = certify(store, workers=FEW)
    assert not report.ok
    assert {"EXCLUSIVE_CREATE", "CONDITIONAL_WRITE"} <= {finding.capability.name for finding in report.refuted}
    assert "EXCLUSIVE_CREATE" in report.to_markdown().split("\n")[2]


@pytest.mark.full
def test_what_a_server_of_google_cloud_storage_ignores_is_found(fake_gcs_server: GcsServer) -> None:
    kind = BY_NAME["gcs-fake"]
    with kind.make(fake_gcs_server) as store:
        report = certify(store, workers=FEW)
        assert list(store.list_files("", recursive=True)) == []
    assert {rule.name for rule in report.broken} == set(kind.breaks)
    found = {finding.capability.name: "\n".join(finding.evidence) for finding in report.refuted}
    assert set(found) == {"CONDITIONAL_WRITE", "EXCLUSIVE_CREATE", "SIGNED_URL"}
    assert "reading another 'f': expected PreconditionFailed" in found["CONDITIONAL_WRITE"]
    # It judges puts, of which one wins, and neither uploads in parts nor copies.
    assert "rules kept: one_creator_wins" in found["EXCLUSIVE_CREATE"]
    assert "of 9437184 bytes, replaced a file that another client made meanwhile" in found["EXCLUSIVE_CREATE"]


@pytest.mark.full
@pytest.mark.parametrize(("liar", "capability"), SUBTLE_LIARS)
def test_what_seldom_shows_is_refuted_too(liar: type[Liar], capability: Capability) -> None:
    report = certify(Store(liar()))
    assert capability in [finding.capability for finding in report.refuted], report.to_markdown()


def test_a_broken_rule_fails_the_certificate() -> None:
    def invented(is_folder: Any, path: str) -> bool:
        return is_folder(path) or path.endswith("/d/f/x/y")  # What would be far below a file is a folder.

    report = certify(Store(hooked(MemoryBackend(), is_folder=invented)), workers=2)
    assert [rule.name for rule in report.broken] == ["questions_tell_files_from_folders"]
    assert report.refuted == report.litter == ()
    assert not report.ok


def test_a_refusal_told_as_absence_is_caught() -> None:
    report = certify(Store(MemoryBackend()), workers=2, denied=Store(MemoryBackend()))
    assert [rule.name for rule in report.broken] == ["a_refusal_is_no_absence"]


def test_a_refusal_told_as_such_is_kept() -> None:
    asked = ("read_bytes", "exists", "is_file", "get_file_info", "list_files", "write")
    denied = Store(refusing(PermissionDenied, *asked))
    report = certify(Store(MemoryBackend()), workers=2, missing=denied, denied=denied)
    assert report.ok, report.to_markdown()
    elsewhere, refused = report.rules[-2:]
    assert (refused.name, refused.outcome) == ("a_refusal_is_no_absence", "kept")
    # Credentials for one container are refused in others, whether they exist or not.
    assert (elsewhere.name, elsewhere.outcome) == ("a_missing_container_reads_as_a_missing_path", "not applicable")
    assert "these credentials" in elsewhere.evidence[-1]


# --- interrupts, litter, arguments


@pytest.mark.full
@pytest.mark.parametrize("after", [30, 60])
def test_an_interrupt_leaves_nothing_on_s3(moto_server: S3Server, after: int) -> None:
    prefix = moto_server.fresh_prefix()
    with Store(S3Backend(BUCKET, prefix, **moto_server.options)) as store:
        interrupt = interrupted(store._backend, "read_bytes", after, KeyboardInterrupt)
        with interrupt, pytest.raises(KeyboardInterrupt):
            certify(store, workers=2)
        assert list(store.list_files("", recursive=True)) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(("method", "after"), [("write", 1), ("write", 9), ("read_bytes", 3), ("delete", 4)])
def test_an_interrupt_leaves_nothing(tmp_path: Path, method: str, after: int, error: type[BaseException]) -> None:
    backend = LocalBackend(tmp_path)
    with interrupted(backend, method, after, error), pytest.raises(error):
        certify(Store(backend), workers=FEW)
    assert list(tmp_path.iterdir()) == []


async def test_a_cancellation_leaves_nothing(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(write: Any, *args: Any, **options: Any) -> Any:
        begun.set()
        assert go_on.wait(DEADLINE)
        return write(*args, **options)

    backend = SyncBackendAdapter(hooked(LocalBackend(tmp_path), write=wait))
    task = asyncio.ensure_future(certify_async(AsyncStore(backend), workers=FEW))
    await asyncio.to_thread(begun.wait, DEADLINE)
    task.cancel()
    await asyncio.wait([task], timeout=0.2)  # Time to give up while a thread still writes, for one that would.
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await backend.aclose()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_named() -> None:
    def cling(delete: Any, path: str, **options: bool) -> None:
        if path.endswith("files_are_listed/a.txt"):
            raise RemoteStoreError("no", path=path, backend="memory")
        delete(path, **options)

    backend = hooked(refusing(RemoteStoreError, "delete_folder"), delete=cling)
    report = certify(Store(backend), workers=2)
    assert [path.partition("/")[2] for path in report.litter] == ["files_are_listed/a.txt"]
    assert not report.ok


def test_progress_is_told_and_as_many_race_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told, race, contenders = list[tuple[str, int, int]](), View.race, set[int]()

    async def counted(self: View, starts: Any) -> Any:
        contenders.add(len(starts))
        return await race(self, starts)

    monkeypatch.setattr(View, "race", counted)
    certify(Store(MemoryBackend()), workers=2, progress=lambda *step: told.append(step))
    assert {check.name for check in CHECKS} | {capability.name for capability in Capability} <= {
        step[0] for step in told
    }
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert all(done < total for _, done, total in told)
    assert contenders == {2, 3, 4}  # Two racers; a writer with two readers, and a mover with three watchers.
    with pytest.raises(ValueError, match="workers"):
        certify(Store(MemoryBackend()), workers=1)


def test_a_store_that_does_not_answer_gets_no_report(tmp_path: Path) -> None:
    with pytest.raises(RemoteStoreError):
        certify(Store(LocalBackend(tmp_path / "gone", create=False)))
