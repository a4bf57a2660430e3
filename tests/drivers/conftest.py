"""Fixtures of the drivers: fresh places on S3 and Google Cloud Storage, and one on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from helpers.gcs import Place, gcs_place
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


@pytest.fixture
def prefix(moto_server: S3Server) -> str:
    """A prefix that no other test uses."""
    return moto_server.fresh_prefix()


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def view(request: pytest.FixtureRequest, moto_server: S3Server, prefix: str) -> AsyncIterator[View]:
    """A store there, with parts as small as S3 takes them."""
    async with view_of(request.param, moto_server, prefix, part_size=5 << 20) as view:
        yield view


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def gcs(
    request: pytest.FixtureRequest, gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """A store on the double of Google Cloud Storage that waits next to nothing before it tries again."""
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)
    async with gcs_place(request.param, gcs_server) as place:
        yield place
