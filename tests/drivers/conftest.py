"""Fixtures of the drivers: fresh places on S3, Google Cloud Storage and Azure, and one on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from helpers.azure import Place, azure_place
from helpers.dictwire import DictWire
from helpers.gcs import Place as GcsPlace
from helpers.gcs import gcs_place
from helpers.s3 import FAST
from helpers.web import Place as WebPlace
from helpers.web import web_place
from servers.azure import CONTAINER, HNS, AzureServer
from servers.files import FileServer
from servers.gcs import GcsServer
from servers.s3 import S3Server, view_of

from remote_store import Store
from remote_store.backends import LocalBackend
from remote_store.certify.view import View


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def store(root: Path) -> Store:
    return Store(LocalBackend(root))


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of store."""
    name: str = request.param
    return name


@pytest.fixture
def wire() -> DictWire:
    """A service that is a dict."""
    return DictWire()


@pytest.fixture
def prefix(moto_server: S3Server) -> str:
    """A prefix that no other test uses."""
    return moto_server.fresh_prefix()


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async", *FAST])
async def view(request: pytest.FixtureRequest, moto_server: S3Server, prefix: str) -> AsyncIterator[View]:
    """A store there, with parts as small as S3 takes them."""
    async with view_of(request.param, moto_server, prefix, part_size=5 << 20) as view:
        yield view


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def gcs(
    request: pytest.FixtureRequest, gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GcsPlace]:
    """A store on the double of Google Cloud Storage that waits next to nothing before it tries again."""
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)
    async with gcs_place(request.param, gcs_server) as place:
        yield place


@pytest.fixture(params=["flat", "folders"])
def container(request: pytest.FixtureRequest) -> str:
    """Of Azure: without a hierarchical namespace, and with it."""
    return HNS if request.param == "folders" else CONTAINER


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to no wait before a request is sent again, and between questions about a copy."""
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)
    monkeypatch.setattr("remote_store.drivers.azure.copies.POLL", 0.002)


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def az(
    request: pytest.FixtureRequest, container: str, azure_server: AzureServer, brief: None
) -> AsyncIterator[Place]:
    """A store on the double of Azure storage, in each of its kinds."""
    async with azure_place(request.param, azure_server, container) as place:
        yield place


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def blobs(request: pytest.FixtureRequest, azure_server: AzureServer, brief: None) -> AsyncIterator[Place]:
    """A store there without folders."""
    async with azure_place(request.param, azure_server, CONTAINER) as place:
        yield place


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def tree(request: pytest.FixtureRequest, azure_server: AzureServer, brief: None) -> AsyncIterator[Place]:
    """A store there with folders."""
    async with azure_place(request.param, azure_server, HNS) as place:
        yield place


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def web(request: pytest.FixtureRequest, web_server: FileServer, brief: None) -> AsyncIterator[WebPlace]:
    """A store over a folder of a web server."""
    async with web_place(request.param, web_server) as place:
        yield place
