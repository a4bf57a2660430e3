"""sshfs's filesystem, without a connection before its first use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sshfs import SSHFileSystem
from sshfs.utils import wrap_exceptions

from remote_store._paths import redact
from remote_store.drivers.sftp.again import Attempts
from remote_store.drivers.sftp.connecting import Connections, OwnConnector
from remote_store.drivers.sftp.options import SFTPOptions


class _Pool:
    """The one channel, as sshfs takes channels."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @asynccontextmanager
    async def get(self) -> AsyncIterator[Any]:
        channel = await self._connections.channel()
        yield channel.client

    async def close(self) -> None:
        await self._connections.close()


class SFTPFileSystem(SSHFileSystem):  # type: ignore[misc]  # It is not typed.
    """`sshfs.SSHFileSystem` that checks host keys, connects when it is used, and again when the connection was lost.

    Args:
        host: name or address of the server.
        options: of `SFTPBackend`, and those of `fsspec.asyn.AsyncFileSystem`.
    """

    cachable = False

    def __init__(self, host: str, *, asynchronous: bool = False, loop: Any = None, **options: Any) -> None:
        own = {name: value for name, value in options.items() if name in SFTPOptions.names()}
        told = SFTPOptions(host, **own)
        self.connections = Connections(OwnConnector(told), Attempts(told.timeout, told.retries))
        super().__init__(host, asynchronous=asynchronous, loop=loop, **options)

    def connect(self, *args: Any, **options: Any) -> tuple[None, _Pool]:
        """What its constructor takes for a connection."""
        return None, _Pool(self.connections)

    @staticmethod
    def _finalize(loop: Any, pool: _Pool, stack: Any) -> None:
        pool._connections.let_go()

    @wrap_exceptions  # type: ignore[untyped-decorator]
    async def _execute(self, *args: Any, **options: Any) -> Any:
        options.setdefault("check", True)
        return await (await self.connections.channel()).connection.run(*args, **options)

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """As in fsspec, but without any secret: what is made of JSON asks for none, or for other options."""
        secrets = SFTPOptions.marked("secret")
        told = {
            name: redact(value) if isinstance(value, str) else value
            for name, value in self.storage_options.items()
            if name not in secrets
        }
        cls = f"{type(self).__module__}:{type(self).__name__}"
        return {"cls": cls, "protocol": self.protocol[0], "args": list(self.storage_args), **told}
