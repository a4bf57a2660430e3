"""Stores as their users configure them: a TOML file, and the variable that names it."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import KEY, SECRET, TOKEN, Place
from servers.s3 import BUCKET, S3Server

from remote_store.config import default_registry

_folders = itertools.count()


@pytest.fixture(scope="session")
def configuration(moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with the stores "files", on this machine, and "bucket", on S3 with credentials of its own."""
    folder = tmp_path_factory.mktemp("ecosystem")
    options = {**moto_server.options, "bucket": BUCKET, "key": KEY, "secret": SECRET, "token": TOKEN}
    lines = ["[stores.files]", 'url = "files"', "[stores.bucket]", f'backend = "s3"\nroot = "{folder.name}"']
    lines += ["[stores.bucket.options]", *(f"{name} = {json.dumps(value)}" for name, value in options.items())]
    file = folder / "stores.toml"
    file.write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REMOTE_STORE_CONFIG", str(file))
        registry = default_registry()
    yield file
    if "zarr.core.sync" in sys.modules:  # What its event loop opened.
        sys.modules["zarr.core.sync"].sync(registry.aclose())
    registry.close()


@pytest.fixture(autouse=True)
def _configured(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_STORE_CONFIG", str(configuration))


@pytest.fixture(params=["files", pytest.param("bucket", marks=pytest.mark.full)])
def place(request: pytest.FixtureRequest, _configured: None) -> Place:
    name, folder = request.param, f"test-{next(_folders)}"
    return Place(name, f"remote-store://{name}/{folder}", default_registry().get_store(name).child(folder))


@pytest.fixture(params=["files", "bucket"])
def target(request: pytest.FixtureRequest, place: Place) -> Place:
    """Another place, of the same store or of the other one."""
    folder = f"{place.path.partition('/')[2]}-target"
    store = default_registry().get_store(request.param).child(folder)
    return Place(request.param, f"remote-store://{request.param}/{folder}", store)
