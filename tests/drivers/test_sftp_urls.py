"""SFTP by URL, configuration and command line, and with filesystems that users made."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from helpers.processes import run_script
from servers.sftp import GUEST, PASSWORD, USER, SFTPServer, serve
from servers.sshd import known_host
from sshfs import SSHFileSystem

from remote_store import BackendUnavailable, NotFound, PermissionDenied, Store
from remote_store._location import Location
from remote_store.aio import AsyncFsspecBackend, AsyncStore
from remote_store.backends import SFTPBackend
from remote_store.drivers.sftp.options import SFTPOptions


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

    options = server.options
    by_name = {"backend": "sftp", "options": {"host": "127.0.0.1", "root": "/data", **options}}
    stores = {"away": {"url": "sftp://127.0.0.1/data", "options": options, "timeout": 30}, "named": by_name}
    with Registry({"stores": stores}) as registry:
        registry.get_store("away").write("d/f", b"123")
        assert registry.get_store("named").read_bytes("d/f") == b"123"
    assert (tmp_path / "data/d/f").read_bytes() == b"123"
    monkeypatch.delenv("REMOTE_STORE_CONFIG", raising=False)
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    place = f"sftp://{GUEST}@127.0.0.1:{server.port}/data/d"
    refused = CliRunner().invoke(app, ["ls", place])
    assert refused.exit_code != 0
    assert "is not known" in refused.output
    (tmp_path / "home/.ssh/known_hosts").write_text(known_host(server.port, server.host_key))
    done = CliRunner().invoke(app, ["ls", place])
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
        with pytest.raises(BackendUnavailable, match=f"at 127.0.0.1:{server.port}: the connection was (lost|refused)"):
            call()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["f"]
    server.listen()
    assert store.read_bytes("f") == b"1"
    store.close()
    assert store.exists("f")
    store.close()


@pytest.mark.parametrize("cls", [Store, AsyncStore])
async def test_a_wrong_password_is_permission_denied(server: SFTPServer, cls: Any) -> None:
    store = cls.from_url("sftp://127.0.0.1/data", **{**server.options, "password": "wr0ng"})
    with pytest.raises(PermissionDenied, match=f"at 127.0.0.1:{server.port}: no credentials were accepted") as caught:
        await asked if inspect.isawaitable(asked := store.exists("f")) else asked
    assert "wr0ng" not in str(caught.value) + repr(caught.value) + repr(store)


def test_what_is_wrong_with_the_options_is_told(server: SFTPServer) -> None:
    with pytest.raises(ValueError, match="unknown option 'nope' for SFTP") as caught:
        Store.from_url("sftp://127.0.0.1/data", **server.options, nope=PASSWORD)
    assert PASSWORD not in str(caught.value)
    with pytest.raises(ValueError, match="takes no password") as caught:
        Store.from_url(f"sftp://{USER}:{PASSWORD}@127.0.0.1/data")
    assert PASSWORD not in str(caught.value)
    with pytest.raises(NotFound, match="Root folder '/none' not found"):
        Store.from_url("sftp://127.0.0.1/none", **server.options).ping()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sftp://h/data/x", ("h", "/data/x", None, None)),
        ("ssh://me@h:2222/data", ("h", "/data", 2222, "me")),
        ("sftp://u%40d@h/", ("h", "/", None, "u@d")),
        ("sftp://h", ("h", "", None, None)),
        ("sftp://h/~/x", ("h", "x", None, None)),
    ],
)
def test_a_url_tells_host_folder_port_and_user(url: str, expected: tuple[Any, ...]) -> None:
    told = SFTPOptions.of_url(Location.parse(url)) or {}
    assert tuple(told.get(name) for name in ("host", "root", "port", "username")) == expected


def test_nothing_is_sent_before_the_first_use() -> None:
    with Store(SFTPBackend("no-such-host.invalid", "/data", username="me")) as store:
        assert store.resolve("a/b").native_path == "/data/a/b"
        assert store.unwrap(SSHFileSystem).async_impl


PROGRAM = """
import sys
from sshfs import SSHFileSystem
from remote_store import FsspecBackend, Store
fs = SSHFileSystem("127.0.0.1", port=int(sys.argv[1]), username=sys.argv[2], known_hosts=None, client_keys=None)
with Store(FsspecBackend(fs, "/data")) as store:
    store.write("d/f", b"123")
    print(store.resolve("").backend, store.read_bytes("d/f"), store.supports("exclusive_create"))
print(fs.cat_file("/data/d/f"))
"""


def test_a_filesystem_of_a_user_stays_on_its_own_loop_and_open(server: SFTPServer) -> None:
    assert run_script(PROGRAM, str(server.port), GUEST)[0] == "sftp b'123' True\nb'123'\n"


async def test_a_filesystem_of_a_user_serves_an_async_store(server: SFTPServer) -> None:
    fs = SSHFileSystem("127.0.0.1", skip_instance_cache=True, **server.options)
    async with AsyncStore(AsyncFsspecBackend(fs, "/data")) as store:
        await store.write("d/f", b"123")
        assert await store.read_bytes("d/f") == b"123"
        assert store.unwrap(SSHFileSystem) is fs


def test_the_filesystem_underneath_works_as_one_of_fsspec(server: SFTPServer) -> None:
    with Store(SFTPBackend("127.0.0.1", "/data", **server.options)) as store:
        fs = store.unwrap(SSHFileSystem)
        fs.pipe_file("/data/f", b"123")
        assert store.read_bytes("f") == fs.cat_file("/data/f") == b"123"
        assert fs.ls("/data", detail=False) == ["/data/f"]
        assert PASSWORD not in repr(fs) + fs.to_json()
        again = pickle.loads(pickle.dumps(store))
        assert again.read_bytes("f") == b"123"
        again.close()
