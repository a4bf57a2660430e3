"""Samba's server on loopback, with a configuration, a user and state of its own in a temporary folder."""

from __future__ import annotations

import getpass
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remote_store import FsspecBackend
from servers.ports import free_port
from servers.processes import connect, running, wait_until_up

SMBD, SMBPASSWD = "/usr/sbin/smbd", "/usr/bin/smbpasswd"
PASSWORD = "smb-s3cret"
_STATE = ("private dir", "lock directory", "state directory", "cache directory", "pid directory", "ncalrpc dir")
_serial = itertools.count()


@dataclass(frozen=True)
class SMBServer:
    """Where the server is.

    Args:
        port: on 127.0.0.1.
        folder: of this machine, which it serves as `share`.
        pid: of its process.
    """

    port: int
    folder: Path
    pid: int

    def filesystem(self, port: int | None = None, password: str = PASSWORD, **options: Any) -> Any:
        """A filesystem of its own, at the server unless told otherwise; it connects when it is used."""
        from fsspec.implementations.smb import SMBFileSystem

        return SMBFileSystem(
            "127.0.0.1",
            port or self.port,
            username=getpass.getuser(),
            password=password,
            register_session_retries=-1,
            skip_instance_cache=True,
            **options,
        )

    def backend(self) -> FsspecBackend:
        """A backend over a fresh folder, with a filesystem of its own."""
        return FsspecBackend(self.filesystem(), self.fresh_root()).adopt()

    def fresh_root(self) -> str:
        """A new, empty folder, as the server calls it."""
        name = f"root {next(_serial)}-{os.getpid()}"
        (self.folder / name).mkdir()
        return f"/share/{name}"

    def on_disk(self, root: str) -> Path:
        """The same folder on this machine."""
        return self.folder / root.removeprefix("/share/")


@contextmanager
def samba() -> Iterator[SMBServer]:
    """A server of a temporary folder, as the current user.

    Raises:
        OSError: it is not installed.
        RuntimeError: it does not run.
    """
    port, user = free_port(), getpass.getuser()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name in ("share", "state"):
            os.mkdir(f"{folder}/{name}")
        lines = [
            "[global]",
            "server role = standalone server",
            "interfaces = 127.0.0.1/8",
            "bind interfaces only = yes",
            f"smb ports = {port}",
            "disable netbios = yes",
            *(f"{name} = {folder}/state" for name in _STATE),
            f"log file = {folder}/state/log",
            f"passdb backend = tdbsam:{folder}/state/users.tdb",
            "load printers = no",
            "disable spoolss = yes",
            "printcap name = /dev/null",
            "[share]",
            f"path = {folder}/share",
            "read only = no",
        ]
        config = Path(folder, "smb.conf")
        config.write_text("\n".join(lines) + "\n")
        adding = [SMBPASSWD, "-c", str(config), "-s", "-a", user]
        done = subprocess.run(adding, input=f"{PASSWORD}\n{PASSWORD}\n", capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"smbpasswd failed: {done.stderr.strip()}")
        # At the end of its input it ends by itself, so also where this process is killed.
        with running(SMBD, "--foreground", "-s", str(config), stdin=subprocess.PIPE) as process:
            assert process.stdin
            stack.callback(_wait_for_all_of, process.pid)
            stack.callback(process.stdin.close)
            wait_until_up(process, lambda: connect(port))
            yield SMBServer(port, Path(folder, "share"), process.pid)


def _wait_for_all_of(group: int, seconds: float = 30) -> None:
    """Wait until the helpers of a server have ended, too, which write to its folder till then."""
    end = time.monotonic() + seconds
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.02)
