"""Stores as their users configure them: a TOML file, and the variable that names it."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import ACCOUNT_KEY, BEARER, KEY, SECRET, TOKEN, Place, places
from servers import azure, gcs, s3, sftp, sshd

from remote_store.config import default_registry

_folders = itertools.count()


@pytest.fixture(scope="session")
def configuration(
    moto_server: s3.S3Server,
    gcs_server: gcs.GcsServer,
    azure_server: azure.AzureServer,
    asyncssh_server: sshd.SFTPPlace,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A file with the stores "files", on this machine; "bucket", on S3; "google", on Google Cloud Storage; "blobs" and
    "lake", on Azure, without and with folders; "drop", on an SFTP server."""
    folder = tmp_path_factory.mktemp("ecosystem")
    login = {"key": KEY, "secret": SECRET, "token": TOKEN}
    remote = {
        "bucket": ("s3", {**moto_server.options, "bucket": s3.BUCKET, **login}),
        "google": ("gcs", {**gcs_server.options, "bucket": gcs.BUCKET, "token": BEARER}),
    }
    lines = ["[stores.files]", 'url = "files"']
    for name, (backend, options) in remote.items():
        lines += [f"[stores.{name}]", f'backend = "{backend}"\nroot = "{folder.name}"', f"[stores.{name}.options]"]
        lines += [f"{option} = {json.dumps(value)}" for option, value in options.items()]
    string = azure_server.connection_string.replace(azure.KEY, ACCOUNT_KEY)
    for name, container in (("blobs", azure.CONTAINER), ("lake", azure.HNS)):
        lines += [f"[stores.{name}]", f'url = "abfs://{container}/{folder.name}"', f"[stores.{name}.options]"]
        lines += [f"connection_string = {json.dumps(string)}"]
    root, known = asyncssh_server.fresh_root(), asyncssh_server.login["known_hosts"]
    login = {"port": asyncssh_server.port, "username": sftp.USER, "password": sftp.PASSWORD, "agent": False}
    lines += ["[stores.drop]", f'url = "sftp://127.0.0.1{root}"', "[stores.drop.options]"]
    lines += [f"{option} = {json.dumps(value)}" for option, value in {**login, "known_hosts": known}.items()]
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


@pytest.fixture(params=places("files"))
def place(request: pytest.FixtureRequest, _configured: None) -> Place:
    name, folder = request.param, f"test-{next(_folders)}"
    return Place(name, f"remote-store://{name}/{folder}", default_registry().get_store(name).child(folder))


@pytest.fixture(params=["files", "bucket"])
def target(request: pytest.FixtureRequest, place: Place) -> Place:
    """Another place, of the same store or of the other one."""
    folder = f"{place.path.partition('/')[2]}-target"
    store = default_registry().get_store(request.param).child(folder)
    return Place(request.param, f"remote-store://{request.param}/{folder}", store)
