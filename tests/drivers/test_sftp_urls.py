"""SFTP by URL: the generic driver over sshfs, and a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from helpers.processes import run_script
from servers.sftp import GUEST, PASSWORD, USER, SFTPServer, serve

from remote_store import BackendUnavailable, NotFound, PermissionDenied, Store
from remote_store.aio import AsyncStore


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SFTPServer]:
    (tmp_path / "data").mkdir()
    with serve(str(tmp_path)) as server:
        yield server


@pytest.mark.parametrize("url", ["sftp://127.0.0.1/data", "ssh://127.0.0.1/data"])
def test_a_url_reaches_the_server(server: SFTPServer, tmp_path: Path, url: str) -> None:
    with Store.from_url(url, **server.options) as store:
        store.ping()
        store.write("d/f", b"123")
        assert (tmp_path / "data/d/f").read_bytes() == b"123"
        assert store.read_bytes("d/f") == b"123"
        assert [str(file.path) for file in store.list_files(recursive=True)] == ["d/f"]
        (tmp_path / "data/d/g").write_bytes(b"1")
        assert {file.name for file in store.list_files("d")} == {"f", "g"}
        assert repr(store) == f"Store(backend='sftp', host='127.0.0.1:{server.port}', root='/data', root_path='')"
        assert store.resolve("d").backend == "sftp"


def test_a_server_that_runs_no_commands_copies_and_moves(server: SFTPServer, tmp_path: Path) -> None:
    with Store.from_url("sftp://127.0.0.1/data", **server.options) as store:
        store.write("f", b"123")
        store.copy("f", "d/copied")
        store.move("f", "d/moved")
        assert {str(file.path) for file in store.list_files(recursive=True)} == {"d/copied", "d/moved"}
        assert store.read_bytes("d/copied") == store.read_bytes("d/moved") == b"123"
        server.drop()
        with pytest.raises(BackendUnavailable):
            store.move("d/moved", "back")
    assert (tmp_path / "data/d/moved").read_bytes() == b"123"
    assert not (tmp_path / "data/back").exists()


async def test_an_async_store_reaches_the_server(server: SFTPServer, tmp_path: Path) -> None:
    async with AsyncStore.from_url("sftp://127.0.0.1/data", **server.options) as store:
        await store.write("d/f", b"123")
        assert await store.read_bytes("d/f") == b"123"
        assert [str(file.path) async for file in store.list_files("d")] == ["d/f"]
        assert store.resolve("d").backend == "sftp"
    assert (tmp_path / "data/d/f").read_bytes() == b"123"


def test_configured_stores_and_the_command_line_reach_the_server(
    server: SFTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typer")
    from typer.testing import CliRunner

    from remote_store.cli._app import app
    from remote_store.config import Registry

    options = {name: value for name, value in server.options.items() if value is not None}
    fields = {"url": "sftp://127.0.0.1/data", "storage_options": {**options, "client_keys": None}}
    with Registry({"stores": {"away": fields}}) as registry:
        registry.get_store("away").write("d/f", b"123")
    assert (tmp_path / "data/d/f").read_bytes() == b"123"
    monkeypatch.delenv("REMOTE_STORE_CONFIG", raising=False)
    done = CliRunner().invoke(app, ["ls", f"sftp://{GUEST}@127.0.0.1:{server.port}/data/d"])
    assert (done.exit_code, done.stdout) == (0, "f\n"), done.output


def test_a_lost_connection_is_an_outage_and_not_absence(server: SFTPServer, tmp_path: Path) -> None:
    store = Store.from_url("sftp://127.0.0.1/data", **server.options)
    store.write("f", b"1")
    server.drop()
    calls: list[Any] = [
        lambda: store.exists("f"),
        lambda: store.read_bytes("f"),
        lambda: list(store.list_files()),
        lambda: store.write("new", b"1"),
        lambda: store.delete("f"),
        store.ping,
    ]
    for call in calls:
        with pytest.raises(BackendUnavailable, match="connection was lost") as caught:
            call()
        assert f"127.0.0.1:{server.port}" in str(caught.value)
    with pytest.raises(BackendUnavailable, match=f"at 127.0.0.1:{server.port}: the connection was refused"):
        Store.from_url("sftp://127.0.0.1/data", **server.options)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["f"]


@pytest.mark.parametrize("cls", [Store, AsyncStore])
async def test_a_wrong_password_is_permission_denied(server: SFTPServer, cls: Any) -> None:
    with pytest.raises(PermissionDenied, match=f"at 127.0.0.1:{server.port}: no credentials were accepted") as caught:
        cls.from_url(f"sftp://{USER}@127.0.0.1/data", **{**server.options, "password": "wr0ng", "username": USER})
    assert "wr0ng" not in str(caught.value) + repr(caught.value)


def test_what_is_wrong_with_the_options_is_told(server: SFTPServer) -> None:
    with pytest.raises(ValueError, match="unexpected keyword argument 'nope'") as caught:
        Store.from_url("sftp://127.0.0.1/data", **server.options, nope=PASSWORD)
    assert PASSWORD not in str(caught.value)
    with pytest.raises(NotFound, match="Folder '/none' not found"):
        Store.from_url("sftp://127.0.0.1/none", **server.options).ping()


PROGRAM = """
import sys
from sshfs import SSHFileSystem
from remote_store import FsspecBackend
fs = SSHFileSystem("127.0.0.1", port=int(sys.argv[1]), username=sys.argv[2], known_hosts=None, client_keys=None)
print(FsspecBackend(fs, "/data").name)
"""


def test_a_filesystem_is_called_sftp_whatever_was_imported(server: SFTPServer) -> None:
    assert run_script(PROGRAM, str(server.port), GUEST)[0] == "sftp\n"
