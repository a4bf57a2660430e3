"""SMB servers that accept requests and answer none: each call ends within the deadline, and the next one connects."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.publishing import Place
from servers.proxy import Fault, proxy_to
from servers.samba import SMBServer

from remote_store import BackendUnavailable, FsspecBackend, Store

pytest.importorskip("smbclient")

from remote_store.drivers.publishing import smb, smb_connections

pytestmark = pytest.mark.timeout(DEADLINE)
CALLS: dict[str, Callable[[Store], object]] = {
    "read_bytes": lambda store: store.read_bytes("f"),
    "replace": lambda store: store.write("f", b"new", overwrite=True),
    "exists": lambda store: store.exists("f"),
    "read": lambda store: store.read("f").read(),
    "list_files": lambda store: list(store.list_files("")),
    "write": lambda store: store.write("new", b"1"),
    "copy": lambda store: store.copy("f", "copied"),
    "move": lambda store: store.move("f", "moved"),
    "delete": lambda store: store.delete("f"),
    "delete_folder": lambda store: store.delete_folder("d", recursive=True),
    "ping": lambda store: store.ping(),
}
RARE = [*CALLS][2:]
"""Left to the full run: each waits for two deadlines, and those of smbprotocol are whole seconds."""


@pytest.fixture
def hasty(smb_server: SMBServer) -> Iterator[Place]:
    """A place whose deadlines pass soon."""
    root = smb_server.fresh_root()
    with proxy_to(f"http://127.0.0.1:{smb_server.port}") as proxy:
        fs = smb_server.filesystem(int(proxy.endpoint.rpartition(":")[2]), timeout=1)
        with Store(FsspecBackend(fs, root).adopt()) as store:
            store.write("f", b"old" * 100_000)
            store.write("d/f", b"1")
            yield Place(store, smb_server.on_disk(root), proxy)


def silent(hasty: Place, call: Callable[[Store], object]) -> None:
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:\d+: it took too long"):
        call(hasty.store)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full) if name in RARE else name for name in CALLS]
)
def test_a_server_that_falls_silent_is_given_up_in_time(hasty: Place, name: str) -> None:
    hasty.proxy.arm(Fault("stall", "response"))
    before = hasty.files
    for _ in range(2):  # The second one connects anew, and that hangs.
        silent(hasty, CALLS[name])
    assert hasty.proxy.connections == 2
    hasty.proxy.heal()
    assert hasty.store.exists("d") or name == "delete_folder"
    assert hasty.files == before or name in ("delete", "delete_folder")


def test_a_stream_from_a_server_that_falls_silent_ends_in_time(hasty: Place) -> None:
    (hasty.folder / "large").write_bytes(bytes(9 << 20))
    with hasty.store.read("large") as stream:
        assert stream.read(10) == bytes(10)
        hasty.proxy.arm(Fault("stall", "response"))
        silent(hasty, lambda store: stream.read())
    hasty.proxy.heal()
    assert hasty.store.exists("large")


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.full), 6 << 20])
def test_a_write_that_a_server_stops_taking_ends_in_time(
    hasty: Place, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """More than what is on its way, here little, blocks who sends it."""
    assert hasty.proxy._server
    hasty.proxy._server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    hasty.store.unwrap(object)._remote_store_connections.hang_up()  # type: ignore[attr-defined]
    opened = smb.Calls.open

    def stopping(self: Any, path: str, mode: str) -> Any:
        file = opened(self, path, mode)
        (connection,) = self._connections.cache.values()
        connection.transport._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        hasty.proxy.arm(Fault("stall", "request"))
        return file

    monkeypatch.setattr(smb.Calls, "open", stopping)
    before = hasty.proxy.connections
    silent(hasty, lambda store: store.write("f", bytes(size), overwrite=True))
    assert hasty.proxy.connections == before + 1  # Nothing more is asked of a server that is silent.
    monkeypatch.undo()
    hasty.proxy.heal()
    assert hasty.store.read_bytes("f") == b"old" * 100_000
    assert [info.name for info in hasty.store.list_files("")] == ["f"]


def test_servers_that_never_answered_leave_no_thread_behind(hasty: Place) -> None:
    hasty.store.close()
    hasty.proxy.arm(Fault("stall", "response"))
    before = threading.active_count()
    silent(hasty, CALLS["exists"])
    assert threading.active_count() <= before


def test_an_answer_that_takes_longer_but_goes_on_is_waited_for(hasty: Place) -> None:
    (hasty.folder / "large").write_bytes(bytes(2 << 20))  # It comes in one answer, slowly.
    hasty.proxy.arm(Fault("drip", "response", pause=0.05))
    assert hasty.store.read_bytes("large") == bytes(2 << 20)


def test_a_connection_that_ends_right_before_a_request_was_lost(hasty: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = smb_connections.Connection._check_worker_running

    def ending(self: Any) -> None:
        checked(self)
        self.transport.close()  # As the worker does.

    monkeypatch.setattr(smb_connections.Connection, "_check_worker_running", ending)
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:\d+: the connection was lost"):
        hasty.store.exists("f")
    monkeypatch.undo()
    assert hasty.store.exists("f")
