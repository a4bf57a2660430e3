"""Services, filesystems and credentials that fail in ways of their own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.recording import Recording
from helpers.scripted import hooked, refusing
from servers.s3 import BUCKET, Answer, Environ, Hook, S3Server, content, set_content

from remote_store import Capability, CapabilitySet, FileInfo, FsspecBackend, PermissionDenied, Store, WriteResult
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend
from remote_store.certify import certify
from remote_store.certify.checks import CHECKS
from remote_store.certify.probes import PRESENT, PROBES
from remote_store.certify.probes.files import a_large_stream_is_written_whole, many_files_are_listed
from remote_store.certify.rules import Check, RuleBroken
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end


def drops_the_last_part(environ: Environ, carried_out: Any) -> None:
    if environ["REQUEST_METHOD"] == "POST" and "uploadId" in environ.get("QUERY_STRING", ""):
        body = content(environ)
        set_content(environ, body.replace(re.findall(rb"<Part>.*?</Part>", body, re.DOTALL)[-1], b""))


def lists_one_page(environ: Environ, carried_out: Any) -> Answer | None:
    if "list-type=2" not in environ.get("QUERY_STRING", ""):
        return None
    answer: Answer = carried_out()
    body = answer.body.replace(b"<IsTruncated>true<", b"<IsTruncated>false<")
    return answer._replace(body=re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", body))


@pytest.mark.parametrize(
    ("hook", "probe", "found"),
    [
        (
            drops_the_last_part,
            a_large_stream_is_written_whole,
            "16777216 bytes were read back that are not the 17825799 written",
        ),
        pytest.param(
            lists_one_page, many_files_are_listed, "of 1001 files in a folder 1000 were listed", marks=pytest.mark.full
        ),
    ],
)
def test_a_service_that_loses_much_of_much_is_caught(
    moto_server: S3Server, hook: Hook, probe: Check, found: str
) -> None:
    with Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)) as store:
        view = View(store, hierarchical=False, empty_folders=False)
        with moto_server.hooked(hook), pytest.raises(RuleBroken, match=found):
            run_to_end(probe(view))


def failing(error: Exception, method: str) -> MemoryBackend:
    """A backend of which a method raises."""

    def fail(*args: Any, **options: Any) -> Any:
        raise error

    return hooked(MemoryBackend(), **{method: fail})


@pytest.mark.parametrize(
    ("backend", "refuted"),
    [
        (failing(OSError("no"), "write"), Capability.WRITE),
        (failing(NotImplementedError(), "delete_folder"), Capability.DELETE),
        (failing(OSError("no"), "exists"), Capability.MOVE),
        (failing(OSError("no"), "is_folder"), None),
    ],
    ids=["write", "delete_folder", "exists", "is_folder"],
)
def test_what_always_fails_is_reported(backend: MemoryBackend, refuted: Capability | None) -> None:
    report = certify(Store(backend), workers=2)
    assert report.broken
    assert not report.ok
    assert refuted is None or refuted in [finding.capability for finding in report.refuted]


def test_credentials_that_may_not_list_get_a_report_and_leave_no_file(tmp_path: Path) -> None:
    backend = refusing(PermissionDenied, "list_files", "delete_folder", backend=LocalBackend(tmp_path))
    report = certify(Store(backend), workers=2)
    assert Capability.LIST in [finding.capability for finding in report.refuted]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list(report.litter) == [path.name for path in tmp_path.iterdir()]


def test_a_filesystem_whose_copy_is_an_empty_world_passes() -> None:
    report = certify(Store(FsspecBackend(Recording())), workers=2)
    assert report.ok, report.to_markdown()


def test_what_takes_a_capability_that_is_lacking_is_not_tried() -> None:
    class WriteOnly(MemoryBackend):
        @property
        def capabilities(self) -> CapabilitySet:
            return CapabilitySet(super().capabilities - {Capability.READ})

    report = certify(Store(WriteOnly()), workers=2)
    found = {finding.capability: finding for finding in report.capabilities}
    assert (found[Capability.LIST].verdict, found[Capability.GLOB].verdict) == ("proved", "not tried")
    assert found[Capability.GLOB].evidence == ("not tried: it takes READ to see",)


class KeepsMetadataToItself(LocalBackend):
    """Metadata that no other client sees."""

    def write(self, path: str, content: Any, *, metadata: Any = None, **options: Any) -> WriteResult:
        self.__dict__.setdefault("kept", {})[path] = metadata
        result: WriteResult = super().write(path, content, **options)
        return replace(result, metadata=metadata)

    def get_file_info(self, path: str) -> FileInfo:
        info: FileInfo = super().get_file_info(path)
        return replace(info, metadata=self.__dict__.get("kept", {}).get(path))


def test_what_another_client_does_not_see_is_not_kept(tmp_path: Path) -> None:
    report = certify(Store(KeepsMetadataToItself(tmp_path)), workers=2)
    assert [rule.name for rule in report.broken if "metadata_is_kept" in rule.name] == ["metadata_is_kept"]
    assert Capability.USER_METADATA in [finding.capability for finding in report.refuted]


@pytest.mark.parametrize("capability", Capability)
def test_every_capability_is_proved_by_rules_or_by_a_probe(capability: Capability) -> None:
    assert [check.name for check in (*CHECKS, *PROBES) if capability in check.proves]
    assert all(check.proves <= check.needs for check in (*CHECKS, *PROBES, *PRESENT))
