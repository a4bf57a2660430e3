"""What a backend is called does not depend on what was imported, or by which protocol a filesystem was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.added import entry_points
from helpers.processes import run_script
from helpers.recording import Recording

from remote_store import FsspecBackend, Store
from remote_store.aio import AsyncStore
from remote_store.drivers.kind import Kind
from remote_store.drivers.profiles import GENERIC


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        (("abfs", "az", "abfss"), "azure"),
        ("az", "azure"),
        (("gs", "gcs"), "gcs"),
        (("s3", "s3a"), "s3"),
        (("http", "https"), "http"),
        ("ssh", "sftp"),
        (("webdav", "dav"), "webdav"),
        ("recording", "recording"),
    ],
)
def test_a_kind_has_one_name(protocol: Any, name: str) -> None:
    fs = type("Known", (Recording,), {"protocol": protocol})()
    backend = FsspecBackend(fs)
    assert (backend.name, backend.resolve("a").kind) == (name, name)
    assert FsspecBackend(fs, name="mine").name == "mine"


PROGRAM = """
import sys
from fsspec import AbstractFileSystem, filesystem, get_filesystem_class, register_implementation
from remote_store import FsspecBackend

class Far(AbstractFileSystem):
    cachable = False

register_implementation("far", "__main__.Far")
register_implementation("away", "__main__.Far")
for first in sys.argv[1:]:
    get_filesystem_class(first)
print(FsspecBackend(Far()).name)
"""


@pytest.mark.parametrize("first", [[], ["away"], ["far", "away"]])
def test_a_class_without_protocol_is_called_by_the_first_that_is_registered(first: list[str]) -> None:
    assert run_script(PROGRAM, *first) == ("far\n", "")


def test_a_url_names_the_backend_by_its_kind() -> None:
    pytest.importorskip("aiohttp")
    for cls in (Store, AsyncStore):
        for url in ("http://127.0.0.1:1/x", "https://127.0.0.1:1/x"):
            assert cls.from_url(url).resolve("a").backend == "http"
        assert cls.from_url("dir://x::memory://names").resolve("a").backend == "dir"


class Faraway(MemoryFileSystem):  # type: ignore[misc]
    protocol = "abstract"
    cachable = False


OTHER = Kind("other", ("other",), GENERIC, over="remote_store.drivers.generic.driver:GenericDriver")


@pytest.mark.parametrize(("cls", "name"), [("", "other"), (f"{__name__}:Faraway", "other"), ("x:Faraway", "faraway")])
def test_a_driver_is_found_by_any_protocol_of_a_filesystem(
    monkeypatch: pytest.MonkeyPatch, cls: str, name: str
) -> None:
    fsspec.register_implementation("faraway", Faraway, clobber=True)
    fsspec.register_implementation("other", Faraway, clobber=True)
    monkeypatch.setitem(globals(), "ADDED", replace(OTHER, filesystem=cls))
    with entry_points(other=f"{__name__}:ADDED"):
        assert FsspecBackend(Faraway()).name == name
