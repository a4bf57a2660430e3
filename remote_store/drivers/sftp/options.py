"""Options of SFTP."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import unquote

from remote_store.drivers.options import PATH, SECRET, Options, check_http, check_seconds, check_whole

if TYPE_CHECKING:
    from remote_store._location import Location

KNOWN_HOSTS, SSH_CONFIG = "~/.ssh/known_hosts", "~/.ssh/config"
LAST_PORT = 65535
NO_PASSWORD = "a URL of SFTP takes no password: pass password=, or client_keys="  # noqa: S105 (a message)

OWN = {
    "client_factory": "known_hosts",
    "config": "ssh_config",
    "keepalive_interval": "keepalive",
    "login_timeout": "timeout",
    "tunnel": "jump",
}
"""Argument of `asyncssh.connect` → the option that it is made of."""
JUMPING = frozenset({
    "agent_identities", "agent_path", "compression_algs", "connect_timeout", "encryption_algs", "family", "kex_algs",
    "keepalive_count_max", "kbdint_auth", "mac_algs", "password_auth", "preferred_auth", "public_key_auth",
    "rekey_bytes", "rekey_seconds", "server_host_key_algs", "signature_algs", "tcp_keepalive",
})  # fmt: skip
"""Arguments of `connect_options` that hold for the hosts to go through, too: none gives access."""


class Hop(NamedTuple):
    """A host to go through."""

    user: str
    host: str
    port: int | None


@dataclass(frozen=True)
class SFTPOptions(Options):
    """What SFTP takes.

    Args:
        host: name or address of the server, or what `ssh_config` calls it.
        root: folder that is the root, which the first write makes; relative ones begin at the home folder of the user.
        port: of the server; 22 unless `ssh_config` says another.
        username: who logs in; as in `ssh_config`, else the name of the local user.
        password: of the user.
        client_keys: files of private keys; those that `ssh` takes unless given, none if None.
        passphrase: of encrypted private keys.
        agent: whether the keys of a running SSH agent are tried.
        known_hosts: file of the keys of trusted servers; None trusts whoever answers.
        ssh_config: file of `ssh`'s settings, which may not exist; None reads none.
        jump: hosts to go through, as `ssh -J` takes them: `user@host:port`, separated by commas; they never get the
            password.
        proxy: URL of the proxy of HTTP through which the first connection goes, with a login where it wants one.
        retries: how often connecting is tried again, and a question or a read whose connection was lost.
        timeout: how long a connection may take, the answers to what is asked together, and each piece of content [s].
        keepalive: how often a silent server is asked whether it is there; it is given up after three times [s].
        durable: on every write, move and delete wait until the server's disk has it, where the server can do that.
        connect_options: further arguments of `asyncssh.connect`; hosts to go through get those that give no access.
    """

    PLACE: ClassVar = ("host", "root")
    PUBLIC: ClassVar = Options.PUBLIC | {"compression_algs", "encryption_algs", "kex_algs", "mac_algs"}
    ALIASES: ClassVar = {
        "base_path": "root",
        "ca_bundle": "known_hosts",
        "proxy_command": "proxy",
        "key_filename": "client_keys",
        "hostname": "host",
        "login": "username",
        "path": "root",
        "pkey": "client_keys",
        "tunnel": "jump",
        "user": "username",
    }
    TABLES: ClassVar = dict.fromkeys(
        ("compression_algs", "encryption_algs", "family", "gss_auth", "kex_algs", "mac_algs", "preferred_auth"),
        "connect_options",
    )
    host: str
    root: str = ""
    _: KW_ONLY
    port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, metadata=SECRET)
    client_keys: str | Sequence[str] | None = ()
    passphrase: str | None = field(default=None, metadata=SECRET)
    agent: bool = True
    known_hosts: str | None = field(default=KNOWN_HOSTS, metadata=PATH)
    ssh_config: str | None = field(default=SSH_CONFIG, metadata=PATH)
    jump: str | None = None
    proxy: str | None = None
    retries: int = 0
    timeout: float = 60
    keepalive: float = 15
    durable: bool = False
    connect_options: Mapping[str, Any] | None = field(default=None, metadata=SECRET)

    def __post_init__(self) -> None:
        if not isinstance(self.host, str) or not self.host:
            raise ValueError("SFTP needs a host: SFTPBackend('files.example.com'), or sftp://files.example.com/folder")
        if "/" in self.host or "@" in self.host:
            raise ValueError("host is a name or an address alone: folder and user are the arguments root and username")
        if ".." in self.host or not _is_printed(self.host):
            raise ValueError(f"host is no name of a server: {self.host!r}")
        if not _is_printed(self.username or ""):
            raise ValueError("username has a character in it that is not printed")
        if self.port is not None:
            check_whole("port", self.port, 1, f", not {self.port!r}")
            if self.port > LAST_PORT:
                raise ValueError(f"port must be at most {LAST_PORT}, not {self.port}")
        self.hops  # noqa: B018 (raises what is wrong)
        if self.proxy is not None:
            check_http("proxy", self.proxy)
        check_whole("retries", self.retries, 0)
        check_seconds("timeout", self.timeout)
        if self.keepalive != 0:
            check_seconds("keepalive", self.keepalive)
        self._check_keys()
        self._check_connect_options()

    def _check_keys(self) -> None:
        for key in self.key_files or ():
            if not isinstance(key, str | os.PathLike) or "\n" in os.fspath(key):
                raise ValueError("client_keys are names of files of private keys")
            if not os.path.isfile(key):
                raise ValueError(f"client_keys: there is no file {os.fspath(key)!r}")

    def _check_connect_options(self) -> None:
        for name in self.connect_options or ():
            if name in OWN or name in self.names():
                raise ValueError(f"connect_options: {name!r} is told by the option {OWN.get(name, name)}")

    @property
    def key_files(self) -> list[str] | None:
        """The files of private keys; None for those that `ssh` takes."""
        if self.client_keys is None:
            return []
        keys = [self.client_keys] if isinstance(self.client_keys, str | os.PathLike) else self.client_keys
        return [os.path.expanduser(key) if isinstance(key, str) else key for key in keys] or None

    @property
    def hops(self) -> list[Hop]:
        """The hosts to go through.

        Raises:
            ValueError: `jump` is not written as it must be.
        """
        return [_hop(one.strip()) for one in self.jump.split(",")] if self.jump else []

    @classmethod
    def of_url(cls, url: Location) -> dict[str, Any] | None:
        """An absolute path is one; `~` before it is the home folder, as is a URL without any path."""
        user, at, place = url.host.rpartition("@")
        if ":" in user:
            raise ValueError(NO_PASSWORD)
        host, port = _host_and_port(place)
        bare = "/" not in url.chain[0].partition("://")[2]
        path = "" if bare or url.path == "~" else url.path[2:] if url.path.startswith("~/") else "/" + url.path
        told: dict[str, Any] = {"host": unquote(host), "root": path}
        return told | ({"port": port} if port is not None else {}) | ({"username": unquote(user)} if at else {})


def _is_printed(name: str) -> bool:
    return name.isprintable() and name == name.strip()


def _hop(told: str) -> Hop:
    user, at, place = told.rpartition("@")
    if place.count(":") > 1 and not place.startswith("["):
        host, colon, port = place, "", ""
    else:
        host, colon, port = place.rpartition(":") if not place.endswith("]") and ":" in place else (place, "", "")
    numbered = not colon or (port.isascii() and port.isdecimal() and 0 < int(port) <= LAST_PORT)
    if not host.strip("[]") or (at and not user) or ":" in user or not numbered or not _is_printed(told):
        raise ValueError("jump must be hosts as `ssh -J` takes them, user@host:port, separated by commas")
    return Hop(user, host.strip("[]"), int(port) if port else None)


def _host_and_port(place: str) -> tuple[str, int | None]:
    host, _, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not host and not place.startswith(":"):
        return place, None
    if not port.isdecimal() and port:
        raise ValueError(f"the port of an SFTP URL must be a number, not {port!r}")
    return host.strip("[]"), int(port) if port else None
