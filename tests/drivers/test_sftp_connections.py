"""Connections to SFTP servers: host keys, logins, secrets, what happens when one is lost, and servers that lie."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

import asyncssh
from helpers.deadline import DEADLINE
from helpers.sftp import sftp_store
from servers.proxy import Fault, proxy_to
from servers.sftp import PASSWORD, USER, SFTPServer, serve
from servers.sshd import SFTPPlace, known_host, write_login

from remote_store import AlreadyExists, BackendUnavailable, Capability, NotFound, PermissionDenied, Store
from remote_store.aio import AsyncSFTPBackend, AsyncStore
from remote_store.backends import SFTPBackend
from remote_store.certify import certify
from remote_store.drivers.sftp.channel import Channel

NOTHING = {"client_keys": None, "agent": False, "ssh_config": None}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SFTPServer]:
    (tmp_path / "served/data").mkdir(parents=True)
    with serve(str(tmp_path / "served")) as server:
        yield server


def backend(server: SFTPServer, port: int | None = None, **options: Any) -> SFTPBackend:
    login = {"username": USER, "password": PASSWORD, "known_hosts": None, **NOTHING, **options}
    return SFTPBackend("127.0.0.1", "/data", port=port or server.port, **login)


# --- whom to trust


def test_a_host_that_is_not_known_is_refused_and_told_how_to_accept(server: SFTPServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    store = Store(backend(server, known_hosts=str(known)))
    with pytest.raises(
        BackendUnavailable, match=r"host key of 127.0.0.1:\d+ is not known: it is ssh-ed25519"
    ) as caught:
        store.write("f", b"1")
    assert server.host_key.get_fingerprint() in str(caught.value)
    assert f"ssh-keyscan -p {server.port} 127.0.0.1 >> {known}" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    known.write_text(known_host(server.port, server.host_key))
    store.write("f", b"1")
    store.close()


def test_a_host_key_that_has_changed_is_refused_in_other_words(server: SFTPServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(known_host(server.port, old := server.host_key))
    with Store(backend(server, known_hosts=str(known))) as store:
        store.write("f", b"1")
    server.drop()
    server.renew_key()
    server.listen()
    store = Store(backend(server, known_hosts=str(known)))
    with pytest.raises(BackendUnavailable, match=r"host key of 127.0.0.1:\d+ has changed") as caught:
        store.read_bytes("f")
    for said in (server.host_key.get_fingerprint(), old.get_fingerprint(), "ssh-keygen", f"[127.0.0.1]:{server.port}"):
        assert said in str(caught.value)
    assert "is not known" not in str(caught.value)


def test_hosts_are_checked_unless_told_otherwise(
    server: SFTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    options: dict[str, Any] = {"port": server.port, "username": USER, "password": PASSWORD, "agent": False}
    with pytest.raises(BackendUnavailable, match="is not known"):
        Store(SFTPBackend("127.0.0.1", "/data", **options)).exists("f")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/known_hosts").write_text(known_host(server.port, server.host_key))
    with Store(SFTPBackend("127.0.0.1", "/data", **options)) as store:
        assert not store.exists("f")
    (tmp_path / ".ssh/config").write_text(f"Host files\n  HostName 127.0.0.1\n  Port {server.port}\n  User {USER}\n")
    with Store(SFTPBackend("files", "/data", password=PASSWORD, agent=False)) as store:
        assert not store.exists("f")


# --- logging in


def test_a_key_file_opens_the_door_with_its_passphrase(server: SFTPServer, tmp_path: Path) -> None:
    server.user_key, login = write_login(str(tmp_path), server.port, server.host_key)
    with Store(SFTPBackend("127.0.0.1", "/data", port=server.port, **login)) as store:
        store.write("f", b"1")
    server.user_key.write_private_key(str(tmp_path / "locked"), "pkcs8-pem", passphrase="s3cret-phrase")
    login["client_keys"] = str(tmp_path / "locked")
    with pytest.raises(PermissionDenied, match="passphrase"):
        Store(SFTPBackend("127.0.0.1", "/data", port=server.port, **login)).exists("f")
    with Store(SFTPBackend("127.0.0.1", "/data", port=server.port, passphrase="s3cret-phrase", **login)) as store:
        assert store.exists("f")
        assert "s3cret" not in repr(store) + repr(store.resolve("f"))


def test_a_key_that_an_agent_alone_has_opens_the_door(
    openssh_server: SFTPPlace, key_in_agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # Where no other key is.
    login = {**openssh_server.options, "client_keys": (), "agent": True}
    with Store(SFTPBackend("127.0.0.1", root := openssh_server.fresh_root(), **login)) as store:
        store.write("f", b"1")
        assert pickle.loads(pickle.dumps(store)).read_bytes("f") == b"1"
    with pytest.raises(PermissionDenied, match="no credentials were accepted"):
        Store(SFTPBackend("127.0.0.1", root, **{**login, "agent": False})).exists("f")
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(PermissionDenied, match="no credentials were accepted"):
        Store(SFTPBackend("127.0.0.1", root, **login)).exists("f")


def test_options_are_checked_before_anything_is_sent() -> None:
    for options, said in (
        ({"client_keys": "/no/such/key"}, "there is no file"),
        ({"client_keys": "-----BEGIN OPENSSH PRIVATE KEY-----\nx"}, "names of files"),
        ({"port": "22"}, "port"),
        ({"timeout": 0}, "timeout"),
        ({"keepalive": -1}, "keepalive"),
        ({"user": "me"}, "did you mean 'username'"),
        ({"encryption_algs": "x"}, "connect_options"),
    ):
        with pytest.raises(ValueError, match=said) as caught:
            SFTPBackend("h", **options).name  # noqa: B018
        assert "BEGIN" not in str(caught.value)
    for host in ("", "h/folder", "me@h"):
        with pytest.raises(ValueError, match="host"):
            SFTPBackend(host).name  # noqa: B018


def test_a_host_can_be_reached_through_another(server: SFTPServer, openssh_server: SFTPPlace, tmp_path: Path) -> None:
    login = {**openssh_server.login, "username": USER, "password": PASSWORD}
    known = Path(login["known_hosts"]).read_text() + "\n" + known_host(server.port, server.host_key)
    (tmp_path / "known").write_text(known)
    jump = f"{openssh_server.login['username']}@127.0.0.1:{openssh_server.port}"
    options = {**login, "known_hosts": str(tmp_path / "known"), "port": server.port, "jump": jump}
    with Store(SFTPBackend("127.0.0.1", "/data", **options)) as store:
        store.write("f", b"1")
        assert store.read_bytes("f") == b"1"
    (tmp_path / "known").write_text(known_host(server.port, server.host_key))
    with pytest.raises(BackendUnavailable, match="is not known"):
        Store(SFTPBackend("127.0.0.1", "/data", **options)).exists("f")


def test_no_secret_is_told(server: SFTPServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = Store(backend(server))
    store.write("f", b"1")
    told = repr(store) + str(store.resolve("f")) + repr(store.backend) + caplog.text  # type: ignore[attr-defined]
    assert PASSWORD not in told
    assert pickle.loads(pickle.dumps(store)).read_bytes("f") == b"1"
    store.close()


# --- connections that are lost


@pytest.mark.parametrize("call", ["read_bytes", "write", "list", "copy", "delete"])
@pytest.mark.parametrize("after", [0, 200, 100_000])
async def test_a_connection_that_is_lost_is_an_outage_and_the_next_call_connects(
    server: SFTPServer, tmp_path: Path, call: str, after: int
) -> None:
    folder = tmp_path / "served/data"
    big = b"1" * 3_000_000
    (folder / "f").write_bytes(big)
    calls: dict[str, Any] = {
        "read_bytes": lambda store: store.read_bytes("f"),
        "write": lambda store: store.write("new", big),
        "list": lambda store: _all(store.list_files("")),
        "copy": lambda store: store.copy("f", "copied"),
        "delete": lambda store: store.delete("f"),
    }
    with proxy_to(f"http://127.0.0.1:{server.port}") as proxy:
        port = int(proxy.endpoint.rpartition(":")[2])
        login = {"username": USER, "password": PASSWORD, "known_hosts": None, **NOTHING}
        async with AsyncStore(AsyncSFTPBackend("127.0.0.1", "/data", port=port, **login)) as store:
            await store.exists("f")
            proxy.arm(Fault("reset", "request" if call == "write" else "response", after))
            try:
                async with asyncio.timeout(DEADLINE):
                    await calls[call](store)
            except BackendUnavailable as error:
                assert f"127.0.0.1:{port}" in str(error)  # noqa: PT017
                assert "lost" in str(error)  # noqa: PT017
            else:
                assert not proxy.struck.is_set()
            proxy.heal()
            assert await store.exists("x") is False
            await store.write("after", b"1", overwrite=True)
            assert await store.read_bytes("after") == b"1"
    assert {path.name for path in folder.iterdir()} <= {"f", "new", "copied", "after"}
    assert not (folder / "new").exists() or (folder / "new").read_bytes() == big


async def _all(items: Any) -> list[Any]:
    return [item async for item in items]


async def test_a_server_that_falls_silent_is_given_up_in_time(server: SFTPServer) -> None:
    with proxy_to(f"http://127.0.0.1:{server.port}") as proxy:
        port = int(proxy.endpoint.rpartition(":")[2])
        login = {"username": USER, "password": PASSWORD, "known_hosts": None, **NOTHING, "timeout": 1}
        async with AsyncStore(AsyncSFTPBackend("127.0.0.1", "/data", port=port, **login)) as store:
            await store.write("f", b"1")
            proxy.arm(Fault("stall", "response"))
            async with asyncio.timeout(DEADLINE):
                with pytest.raises(BackendUnavailable, match="took too long"):
                    await store.read_bytes("f")
                with pytest.raises(BackendUnavailable, match="took too long"):  # It connects anew, and that hangs.
                    await store.read_bytes("f")
            proxy.heal()
            assert await store.read_bytes("f") == b"1"


def test_a_connection_that_broke_while_idle_is_not_noticed(server: SFTPServer) -> None:
    with Store(backend(server)) as store:
        store.write("f", b"1")
        channel = store.unwrap(object).connections._open  # type: ignore[attr-defined]
        server.break_connections()
        while any(one.alive for one in channel.values()):
            os.sched_yield()
        assert store.read_bytes("f") == b"1"


async def test_a_cancelled_request_leaves_the_channel_usable(server: SFTPServer, tmp_path: Path) -> None:
    (tmp_path / "served/data/f").write_bytes(b"1" * 5_000_000)
    login = {"username": USER, "password": PASSWORD, "known_hosts": None, **NOTHING}
    async with AsyncStore(AsyncSFTPBackend("127.0.0.1", "/data", port=server.port, **login)) as store:
        await store.exists("f")
        for _ in range(20):
            work = asyncio.ensure_future(store.read_bytes("f"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
        assert len(await store.read_bytes("f")) == 5_000_000
        assert server_connections(server) == 1


async def test_a_read_that_is_cancelled_leaves_no_gap_in_its_stream(server: SFTPServer, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (tmp_path / "served/data/f").write_bytes(content)
    login = {"username": USER, "password": PASSWORD, "known_hosts": None, **NOTHING}
    backend = AsyncSFTPBackend("127.0.0.1", "/data", port=server.port, **login)
    async with AsyncStore(backend) as store, await store.read_seekable("f") as stream:
        found = await stream.read(300_000)
        work = asyncio.ensure_future(stream.read(2_000_000))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert found + await stream.read() == content


def test_a_store_that_is_forgotten_lets_go_of_its_connection(server: SFTPServer) -> None:
    store = Store(backend(server))
    store.write("f", b"1")
    (connection,) = server._connections
    del store
    deadline = time.monotonic() + DEADLINE
    while not connection.is_closed() and time.monotonic() < deadline:
        gc.collect()
    assert connection.is_closed()


def server_connections(server: SFTPServer) -> int:
    return len(server._connections)


def test_32_threads_share_a_connection(server: SFTPServer) -> None:
    with Store(backend(server)) as store, ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: store.write(f"d/{number}", str(number).encode() * 1000), range(64)))
        found = list(pool.map(lambda number: store.read_bytes(f"d/{number}"), range(64)))
        assert found == [str(number).encode() * 1000 for number in range(64)]
        assert server_connections(server) == 1


def test_each_event_loop_has_a_connection_of_its_own(server: SFTPServer) -> None:
    login = {"username": USER, "password": PASSWORD, "known_hosts": None, **NOTHING}
    store = AsyncStore(AsyncSFTPBackend("127.0.0.1", "/data", port=server.port, **login))

    async def use() -> bytes:
        await store.write("f", b"1", overwrite=True)
        data = await store.read_bytes("f")
        await store.aclose()
        return data

    assert [asyncio.run(use()) for _ in range(2)] == [b"1", b"1"]


# --- servers that lie, or can do less


async def test_links_that_replace_are_found_out_and_the_capability_dropped(
    asyncssh_server: SFTPPlace, caplog: pytest.LogCaptureFixture
) -> None:
    class Liar(asyncssh.SFTPServer):
        def link(self, oldpath: bytes, newpath: bytes) -> None:
            target = self.map_path(newpath)
            if os.path.lexists(target):
                os.unlink(target)
            super().link(oldpath, newpath)

    with serve(asyncssh_server.folder, lambda channel, folder: Liar(channel, chroot=folder.encode())) as server:
        login = {"username": USER, "password": PASSWORD, "known_hosts": None, **NOTHING}
        async with AsyncStore(
            AsyncSFTPBackend("127.0.0.1", asyncssh_server.fresh_root(), port=server.port, **login)
        ) as store:
            assert store.supports(Capability.EXCLUSIVE_CREATE)
            await store.write("f", b"1")
            assert not store.supports(Capability.EXCLUSIVE_CREATE)
            assert "no exclusive creation" in caplog.text
            with pytest.raises(AlreadyExists):
                await store.write("f", b"2")
            with pytest.raises(AlreadyExists):
                await store.copy("f", "f2") or await store.move("f2", "f")
            assert await store.read_bytes("f") == b"1"


@pytest.mark.full
async def test_rclone_advertises_links_that_it_has_not(rclone_sftp_server: SFTPPlace) -> None:
    async with sftp_store(rclone_sftp_server, rclone_sftp_server.fresh_root()) as store:
        content = bytes(range(256)) * 5000
        await store.write("d/f", content)
        assert not store.supports(Capability.EXCLUSIVE_CREATE)
        with pytest.raises(AlreadyExists):
            await store.write("d/f", b"2")
        assert await store.read_bytes("d/f") == content
        await store.copy("d/f", "g")
        await store.move("g", "d/h")
        assert await store.read_bytes("d/h") == content
        assert sorted([str(file.path) async for file in store.list_files("", recursive=True)]) == ["d/f", "d/h"]
        await store.delete_folder("d", recursive=True)
        assert not await store.exists("d")


@pytest.mark.full
@pytest.mark.timeout(DEADLINE)
def test_the_certification_of_such_a_server_ends(rclone_sftp_server: SFTPPlace) -> None:
    root = rclone_sftp_server.fresh_root()
    with Store(SFTPBackend("127.0.0.1", root, **rclone_sftp_server.options, timeout=10)) as store:
        report = certify(store)
    assert {rule.name for rule in report.rules} >= {"keys_are_literal", "control_characters_are_carried_or_refused"}


def test_the_channel_finds_what_it_needs_of_asyncssh() -> None:
    from asyncssh.sftp import SFTPClientHandler

    handler = SFTPClientHandler.__init__.__code__.co_names
    assert {"_supports_hardlink", "_supports_posix_rename", "_supports_fsync", "_supports_copy_data"} <= {*handler}
    assert hasattr(SFTPClientHandler, "_send_request")
    assert Channel


async def test_a_folder_that_vanishes_while_a_file_is_written_is_told(asyncssh_server: SFTPPlace) -> None:
    root = asyncssh_server.fresh_root()
    folder = Path(asyncssh_server.on_disk(root))
    (folder / "d").mkdir()
    async with sftp_store(asyncssh_server, root) as store:

        async def content() -> AsyncIterator[bytes]:
            yield b"1"
            (folder / "d").rename(folder / "e")
            yield b"2"

        with pytest.raises(NotFound, match="deleted or moved"):
            await store.write("d/f", content())
    assert all(path.name.startswith(".~rs-") for path in (folder / "e").iterdir())
