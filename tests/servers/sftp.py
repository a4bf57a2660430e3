"""An SFTP server on loopback (asyncssh), which knows what real servers do: passwords, keys, renames, hard links."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from servers.sshd import SFTPPlace, write_login

USER, PASSWORD = "user", "sftp-s3cret"
LOGIN: dict[str, Any] = {
    "username": USER,
    "password": PASSWORD,
    "known_hosts": None,
    "client_keys": None,
    "agent": False,
    "ssh_config": None,
}
"""Options by which a store logs in with the password, and with nothing of who runs the tests."""
GUEST = "guest"
"""Who needs no password."""


def served(channel: Any, folder: str) -> Any:
    """What serves a folder to one client, who sees nothing else."""
    import asyncssh

    return asyncssh.SFTPServer(channel, chroot=folder.encode())


class SFTPServer:
    """A server in a thread of its own.

    Args:
        folder: what it serves.
        serve: makes what serves that to one client.

    Attributes:
        port: on 127.0.0.1.
        user_key: that opens the door, as `PASSWORD` does.
    """

    def __init__(self, folder: str, serve: Callable[[Any, str], Any] = served) -> None:
        import asyncssh

        self._folder, self._serve = folder, serve
        self._loop = asyncio.new_event_loop()
        self._connections: list[Any] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port, self.user_key = 0, asyncssh.generate_private_key("ssh-ed25519")
        self.renew_key()
        self.listen()

    @property
    def options(self) -> dict[str, Any]:
        """What `Store.from_url("sftp://127.0.0.1/…")` takes to get in."""
        return {"port": self.port, "username": USER, "password": PASSWORD, "known_hosts": None, "client_keys": None}

    def renew_key(self) -> None:
        """Identify itself by another key from the next start on."""
        import asyncssh

        self.host_key = asyncssh.generate_private_key("ssh-ed25519")

    def listen(self) -> None:
        """Take connections, at the same port as before."""
        self.port = self._on_loop(self._listen())

    def drop(self) -> None:
        """Break all connections, and take no more."""
        self._on_loop(self._drop())

    def break_connections(self) -> None:
        """Break all connections; new ones are taken."""
        self._on_loop(self._break())

    def close(self) -> None:
        """End the server and its thread."""
        self.drop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _on_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> int:
        import asyncssh

        class Login(asyncssh.SSHServer):
            def connection_made(login, connection: Any) -> None:
                self._connections.append(connection)

            def begin_auth(login, username: str) -> bool:
                return username != GUEST

            def password_auth_supported(login) -> bool:
                return True

            def validate_password(login, username: str, password: str) -> bool:
                return (username, password) == (USER, PASSWORD)

            def public_key_auth_supported(login) -> bool:
                return True

            def validate_public_key(login, username: str, key: Any) -> bool:
                return bool(key == self.user_key.convert_to_public())

        self._server = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            reuse_address=True,  # What was dropped may still be on its way.
            server_factory=Login,
            server_host_keys=[self.host_key],
            sftp_factory=lambda channel: self._serve(channel, self._folder),
        )
        return int(self._server.get_port())

    async def _drop(self) -> None:
        self._server.close()
        await self._break()
        await self._server.wait_closed()

    async def _break(self) -> None:
        while self._connections:
            connection = self._connections.pop()
            connection.abort()
            await connection.wait_closed()


@contextmanager
def serve(folder: str, served: Callable[[Any, str], Any] = served) -> Iterator[SFTPServer]:
    """Serve `folder`."""
    server = SFTPServer(folder, served)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def asyncssh_place() -> Iterator[SFTPPlace]:
    """A server of a temporary folder, which its clients take for all there is."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(inside := os.path.join(folder, "served"))
        with serve(inside) as server:
            server.user_key, login = write_login(folder, server.port, server.host_key)
            yield SFTPPlace(server.port, inside, "/", login)
