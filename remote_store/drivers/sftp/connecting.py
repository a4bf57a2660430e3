"""Connections to SFTP servers whose host keys are checked, one for each event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import asyncssh
from asyncssh import SSHClient, SSHClientConnection, SSHKey

from remote_store.drivers.reasons import host_and_port
from remote_store.drivers.sftp.again import Attempts
from remote_store.drivers.sftp.channel import Channel
from remote_store.drivers.sftp.options import JUMPING, SFTPOptions
from remote_store.drivers.sftp.packets import Ask, text
from remote_store.drivers.sftp.proxying import Proxy

FAST = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""Ciphers to prefer: twice as fast as what asyncssh prefers."""
NOBODY = "# No host is known.\n"
PORT = 22


class UntrustedHost(Exception):
    """The host key of a server is not one that it is known by; the text is for users."""


class Unusable(Exception):
    """A file of settings cannot be read, or asyncssh refuses a setting; the text is for users."""


class _Judge(SSHClient):
    """Keeps what is wrong with a host key that no file vouches for."""

    def __init__(self, known_hosts: str | None, hosts: Any) -> None:
        self.known_hosts, self._hosts = known_hosts, hosts
        self.refusal: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: SSHKey) -> bool:
        file = self.known_hosts or ""
        place = host_and_port(host, port if port != PORT else None)
        shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
        name = host if port == PORT else f"[{host}]:{port}"
        known = asyncssh.match_known_hosts(self._hosts, host, addr, port if port != PORT else None)[0]
        if known:
            others = ", ".join(f"{one.get_algorithm()} {one.get_fingerprint()}" for one in known)
            self.refusal = (
                f"the host key of {place} has changed: it is {shown}, and {file} knows {others}. Somebody may be"
                f" listening in. If the server really has a new key, accept it: ssh-keygen -f {file} -R '{name}', then"
                f" ssh-keyscan -p {port} {host} >> {file}"
            )
        else:
            self.refusal = (
                f"the host key of {place} is not known: it is {shown}. If that is the server's own, accept it:"
                f" ssh-keyscan -p {port} {host} >> {file}. (known_hosts=None trusts whoever answers.)"
            )
        return False


def _hosts(file: str | None) -> Any:
    """Known hosts as asyncssh takes them; a file that is missing knows nobody."""
    if file is None:
        return None
    try:
        return asyncssh.read_known_hosts(file) if os.path.isfile(file) else asyncssh.import_known_hosts(NOBODY)
    except UnicodeDecodeError as error:
        raise Unusable(f"the file of known hosts {file} is not UTF-8") from error
    except (ValueError, OSError) as error:
        raise Unusable(f"the file of known hosts {file} cannot be read: {error}") from error


class Connector(Protocol):
    """Opens channels to a server."""

    place: str

    async def open(self) -> Channel:
        """A new channel."""
        ...


class OwnConnector:
    """Connects as options tell."""

    def __init__(self, options: SFTPOptions) -> None:
        self._options = options
        self.place = host_and_port(options.host, options.port)

    async def open(self) -> Channel:
        options = self._options
        async with asyncio.timeout(options.timeout):
            tunnel: SSHClientConnection | None = None
            way = Proxy(options.proxy) if options.proxy else None
            further = dict(options.connect_options or {})
            for hop in options.hops:
                told = {name: value for name, value in further.items() if name in JUMPING}
                if hop.user:
                    told["username"] = hop.user
                tunnel = await self._connect(hop.host, hop.port, told, tunnel, way)
            login = {
                **({} if options.username is None else {"username": options.username}),
                **({} if options.password is None else {"password": options.password}),
                **further,
            }
            connection = await self._connect(options.host, options.port, login, tunnel, way)
            try:
                client = await connection.start_sftp_client()
            except BaseException:
                connection.abort()
                raise
        return Channel(connection, client, options.timeout)

    async def _connect(
        self,
        host: str,
        port: int | None,
        login: Mapping[str, Any],
        tunnel: SSHClientConnection | None,
        proxy: Proxy | None,
    ) -> SSHClientConnection:
        options = self._options
        known_hosts = options.known_hosts and os.path.expanduser(options.known_hosts)
        config = options.ssh_config and os.path.expanduser(options.ssh_config)
        keys = options.key_files
        try:
            hosts = _hosts(known_hosts)
        except Unusable:
            if tunnel is not None:
                tunnel.abort()
            raise
        judge = _Judge(known_hosts, hosts)
        arguments: dict[str, Any] = {
            "encryption_algs": FAST,
            "keepalive_interval": options.keepalive,
            "login_timeout": options.timeout,
            "known_hosts": hosts,
            "config": [config] if config and os.path.isfile(config) else None,
            "client_factory": lambda: judge,
            **({} if port is None else {"port": port}),
            **({} if keys is None else {"client_keys": keys or None}),
            **({} if options.passphrase is None else {"passphrase": options.passphrase}),
            **({} if options.agent else {"agent_path": None}),
            **({"tunnel": tunnel or proxy} if tunnel or proxy else {}),
            **login,
        }
        try:
            connection = await asyncssh.connect(host, **arguments)
            if tunnel is not None:
                connection.set_tunnel(tunnel)
            return connection
        except BaseException as error:
            if tunnel is not None:
                tunnel.abort()
            if judge.refusal and isinstance(error, asyncssh.HostKeyNotVerifiable):
                raise UntrustedHost(judge.refusal) from error
            if isinstance(error, asyncssh.ConfigParseError) or (config and isinstance(error, UnicodeDecodeError)):
                raise Unusable(f"the file of settings {config} cannot be read: {error}") from error
            if isinstance(error, (TypeError, ValueError)) and not isinstance(error, asyncssh.KeyImportError):
                raise Unusable(f"asyncssh refuses a setting: {error}") from error
            raise


class BorrowedConnector:
    """Opens channels on the connection of a filesystem that a user made."""

    def __init__(self, fs: Any, timeout: float) -> None:
        self._fs, self._timeout = fs, timeout
        options = fs.storage_options
        host = next(iter(fs.storage_args), options.get("host", ""))
        self.place = host_and_port(str(host), options.get("port"))

    async def open(self) -> Channel:
        async with asyncio.timeout(self._timeout):
            connection = self._fs.client
            return Channel(connection, await connection.start_sftp_client(), self._timeout, owned=False)


class _Opening:
    """Who opens a channel, one at a time; those who have waited for one that failed fail likewise, and try no more."""

    def __init__(self) -> None:
        self._lock, self._waiting = asyncio.Lock(), 0
        self._failure: Exception | None = None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait for one's turn.

        Raises:
            Exception: what others raised meanwhile.
        """
        self._waiting += 1
        try:
            async with self._lock:
                if self._failure is not None:
                    raise self._failure
                try:
                    yield
                except Exception as error:
                    self._failure = error if self._waiting > 1 else None
                    raise
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._failure = None


class Connections:
    """The channels to one server: one for each event loop, opened anew when it was lost.

    Args:
        connector: opens them.
        attempts: how often and how long that is tried.

    Attributes:
        connector, attempts: as given.
        litter: temporary files that a lost connection left behind.
    """

    def __init__(self, connector: Connector, attempts: Attempts) -> None:
        self.connector, self.attempts = connector, attempts
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, Channel] = WeakKeyDictionary()
        self._opening: WeakKeyDictionary[asyncio.AbstractEventLoop, _Opening] = WeakKeyDictionary()
        self.litter: list[bytes] = []

    @property
    def made(self) -> bool:
        """Whether the last channel of this event loop could be opened; it may have been lost since."""
        return asyncio.get_running_loop() in self._open

    async def channel(self) -> Channel:
        """The channel of this event loop.

        Raises:
            OSError, asyncssh.Error, UntrustedHost: there is none to be had.
        """
        loop = asyncio.get_running_loop()
        channel = self._open.get(loop)
        if channel is not None and channel.alive:
            return channel
        async with self._opening.setdefault(loop, _Opening()).alone():
            channel = self._open.get(loop)
            if channel is not None and channel.alive:
                return channel
            if channel is not None:
                self._open.pop(loop).abort()
            self._open[loop] = channel = await self.attempts.connected(self.connector.open)
            while self.litter:
                channel.post(Ask.REMOVE, text(self.litter.pop()))
            return channel

    async def close(self) -> None:
        """End the channel of this event loop."""
        if (channel := self._open.pop(asyncio.get_running_loop(), None)) is not None:
            await channel.close()

    def let_go(self) -> None:
        """End all channels, from wherever, without waiting."""
        for loop, channel in [*self._open.items()]:
            with suppress(RuntimeError):  # It has been closed.
                loop.call_soon_threadsafe(channel.abort)
