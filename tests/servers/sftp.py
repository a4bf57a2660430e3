"""An SFTP server on loopback (asyncssh), which knows what real servers do: passwords, renames, hard links."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

USER, PASSWORD = "user", "sftp-s3cret"
GUEST = "guest"
"""Who needs no password."""


class SFTPServer:
    """A server in a thread of its own.

    Attributes:
        port: on 127.0.0.1.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._connections: list[Any] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port: int = self._on_loop(self._listen())

    @property
    def options(self) -> dict[str, Any]:
        """What `Store.from_url("sftp://127.0.0.1/…")` takes to get in."""
        return {"port": self.port, "username": USER, "password": PASSWORD, "known_hosts": None, "client_keys": None}

    def drop(self) -> None:
        """Break all connections, and take no more."""
        self._on_loop(self._drop())

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

        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Login,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=self._folder.encode()),
        )
        return int(self._server.get_port())

    async def _drop(self) -> None:
        self._server.close()
        while self._connections:
            connection = self._connections.pop()
            connection.abort()
            await connection.wait_closed()
        await self._server.wait_closed()


@contextmanager
def serve(folder: str) -> Iterator[SFTPServer]:
    """Serve `folder`."""
    server = SFTPServer(folder)
    try:
        yield server
    finally:
        server.close()
