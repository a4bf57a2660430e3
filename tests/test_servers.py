"""The servers of the tests: who reaches them, and that they leave nothing behind."""

from __future__ import annotations

import gc
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.deadline import DEADLINE
from servers.azure import AzureServer
from servers.gcs import GcsServer
from servers.proxy import proxy_to
from servers.s3 import S3Server
from servers.samba import SMBServer
from servers.webdav import DavServer

LISTENS = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


def listening(pid: int, port: int | None = None) -> set[str]:
    """The addresses on which a process listens, as the kernel spells them; of one port, or of all."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # Closed meanwhile, as what lists them is.
            links.append(os.readlink(link))
    own = {found[1] for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    found = [row[1].split(":") for row in map(str.split, lines) if row[3] == LISTENS and row[9] in own]
    return {address for address, number in found if port in (None, int(number, 16))}


@pytest.mark.skipif(not os.path.exists("/proc/self/net/tcp"), reason="needs Linux's list of open ports")
@pytest.mark.parametrize(
    "name", ["ministack", "fake_gcs", "azurite", "smb", pytest.param("seaweedfs", marks=pytest.mark.soak)]
)
def test_a_server_is_reached_on_loopback_only(name: str, request: pytest.FixtureRequest) -> None:
    server: S3Server | GcsServer | AzureServer | SMBServer = request.getfixturevalue(f"{name}_server")
    assert server.pid
    found = listening(server.pid)
    assert found
    assert found <= LOOPBACK


@pytest.mark.skipif(not os.path.exists("/proc/self/net/tcp"), reason="needs Linux's list of open ports")
@pytest.mark.parametrize("name", ["moto", "gcs", "azure", "dav"])
def test_a_server_in_this_process_is_reached_on_loopback_only(name: str, request: pytest.FixtureRequest) -> None:
    server: S3Server | GcsServer | AzureServer | DavServer = request.getfixturevalue(f"{name}_server")
    found = listening(os.getpid(), urlsplit(server.endpoint).port)
    assert found
    assert found <= LOOPBACK


BRIEF_SAMBA = """
import os, signal
from servers.samba import samba
with samba() as server:
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.full
def test_samba_ends_with_a_process_that_is_killed(smb_server: SMBServer, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    starting = [sys.executable, "-c", BRIEF_SAMBA]
    killed = subprocess.run(starting, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    pid, end = int(killed.stdout), time.monotonic() + DEADLINE
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)


class Brief(socketserver.BaseRequestHandler):
    """Answers with a byte and ends the connection, as HTTP/1.0 does."""

    def handle(self) -> None:
        with suppress(OSError):
            self.request.sendall(self.request.recv(1))


class BriefServer(socketserver.ThreadingTCPServer):
    request_queue_size = 100


@pytest.fixture
def brief_server() -> Iterator[str]:
    with BriefServer(("127.0.0.1", 0), Brief) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield "http://{}:{}".format(*server.server_address)
        server.shutdown()
        thread.join()


def test_a_proxy_that_refuses_while_connections_end_closes_them(brief_server: str) -> None:
    """A StreamWriter that nobody closed warns when it is collected, and warnings are errors here."""
    with proxy_to(brief_server) as proxy, ExitStack() as stack:
        for _ in range(20):
            address = urlsplit(proxy.endpoint)
            connections = [
                stack.enter_context(socket.create_connection((address.hostname, address.port))) for _ in range(20)
            ]
            for connection in connections:
                connection.sendall(b".")
            assert connections[0].recv(1) == b"."
            proxy.refuse()
            proxy.heal()
    gc.collect()


class Lock:
    """A lock that counts who takes it."""

    taken = 0

    def __enter__(self) -> None:
        self.taken += 1

    def __exit__(self, *exc_info: object) -> None:
        return None


@pytest.mark.usefixtures("moto_server")
def test_moto_moves_the_place_in_a_content_under_the_lock_of_its_readers() -> None:
    from moto.s3.models import FakeKey

    key, lock = FakeKey("key", b"content", "123456789012", "us-east-1"), Lock()
    key.lock = lock
    try:
        assert key.etag == '"9a0364b9e99bb480dd25e1f0284c8555"'
        assert lock.taken == 1
        assert key.value == b"content"
        assert lock.taken == 2
    finally:
        key.dispose()


@pytest.mark.parametrize("name", ["openssh", "asyncssh", "rclone_sftp"])
async def test_an_sftp_server_serves_its_folder_to_who_has_the_key(name: str, request: pytest.FixtureRequest) -> None:
    asyncssh = pytest.importorskip("asyncssh")
    place = request.getfixturevalue(f"{name}_server")
    root = place.fresh_root()
    Path(place.on_disk(root), "f").write_bytes(b"123")
    login = {name: value for name, value in place.options.items() if name not in ("agent", "ssh_config")}
    connecting = asyncssh.connect("127.0.0.1", config=None, **login)
    async with connecting as connection, connection.start_sftp_client() as client:
        assert "f" in await client.listdir(root)
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect("127.0.0.1", **{**login, "config": None, "client_keys": None, "password": "wrong"})


@pytest.mark.usefixtures("moto_server")
def test_moto_lists_what_was_there_when_some_of_it_is_deleted_meanwhile() -> None:
    keys = pytest.importorskip("moto.s3.utils")._VersionedKeyStore()
    for number in range(3):
        keys[f"k{number}"] = number
    pairs, values = iter(keys.items()), iter(keys.values())
    assert (next(pairs), next(values)) == (("k0", 0), 0)
    dict.pop(keys, "k1")
    assert [*pairs] == [("k1", 1), ("k2", 2)]
    assert [*values] == [1, 2]
