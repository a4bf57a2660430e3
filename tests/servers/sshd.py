"""OpenSSH's server on loopback, as the current user, with keys of its own."""

from __future__ import annotations

import getpass
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from servers.ports import free_port
from servers.processes import connect, running, wait_until_up

SSHD = "/usr/sbin/sshd"
_serial = itertools.count()


@dataclass(frozen=True)
class SFTPPlace:
    """Where an SFTP server is, and how to get in.

    Args:
        port: on 127.0.0.1.
        folder: of this machine, which the server serves.
        root: what the server calls that folder.
        login: options of `SFTPBackend` that open the door.
        pause: how long the server may not see what is done in the folder past it [s].
    """

    port: int
    folder: str
    root: str
    login: dict[str, Any]
    pause: float = 0

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of `SFTPBackend("127.0.0.1", root, …)`."""
        return {"port": self.port, **self.login}

    def fresh_root(self) -> str:
        """A new, empty folder, as the server calls it."""
        name = f"root-{next(_serial)}-{os.getpid()}"
        os.mkdir(os.path.join(self.folder, name))
        time.sleep(self.pause)
        return f"{self.root.rstrip('/')}/{name}"

    def on_disk(self, root: str) -> str:
        """The same folder on this machine."""
        return os.path.join(self.folder, root.removeprefix(self.root).strip("/"))


def known_host(port: int, key: Any) -> str:
    """A line of `known_hosts`."""
    return f"[127.0.0.1]:{port} {key.export_public_key().decode()}"


def write_login(folder: str, port: int, host_key: Any) -> tuple[Any, dict[str, Any]]:
    """A key of a user, and options of a backend with it, whose files are in `folder`."""
    import asyncssh

    user_key = asyncssh.generate_private_key("ssh-ed25519")
    user_file, known = os.path.join(folder, "user_key"), os.path.join(folder, "known_hosts")
    user_key.write_private_key(user_file)
    with open(known, "w", encoding="utf-8") as file:
        file.write(known_host(port, host_key))
    return user_key, {
        "username": getpass.getuser(),
        "client_keys": [user_file],
        "known_hosts": known,
        "agent": False,
        "ssh_config": None,
    }


@contextmanager
def openssh(*lines: str, **options: Any) -> Iterator[SFTPPlace]:
    """A server of a temporary folder.

    Args:
        lines: further ones of its configuration.
        options: of its process.

    Raises:
        OSError: it is not installed.
    """
    import asyncssh

    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # Of privilege separation; Debian makes it for its service alone.
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        host_key.write_private_key(os.path.join(folder, "host_key"))
        os.chmod(os.path.join(folder, "host_key"), 0o600)
        user_key, login = write_login(folder, port, host_key)
        user_key.write_public_key(os.path.join(folder, "authorized_keys"))
        config = [
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {folder}/host_key",
            f"AuthorizedKeysFile {folder}/authorized_keys",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "MaxStartups 200:30:300",
            "Subsystem sftp internal-sftp",
            *lines,
        ]
        with open(os.path.join(folder, "config"), "w", encoding="utf-8") as file:
            file.write("\n".join(config) + "\n")
        os.mkdir(served := os.path.join(folder, "served"))
        with running(SSHD, "-D", "-f", f"{folder}/config", **options) as process:
            wait_until_up(process, lambda: connect(port))
            yield SFTPPlace(port, served, served, login)
