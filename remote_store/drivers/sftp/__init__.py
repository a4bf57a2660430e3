"""SFTP, by asyncssh through sshfs."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver
    from remote_store.drivers.sftp.options import SFTPOptions

TIMEOUT = 60.0


def make(options: SFTPOptions, asynchronous: bool) -> Driver:
    """A driver over a filesystem of its own, which connects when it is used."""
    from remote_store.drivers.sftp.driver import SFTPDriver
    from remote_store.drivers.sftp.filesystem import SFTPFileSystem

    given = {one.name: getattr(options, one.name) for one in fields(options)}
    fs = SFTPFileSystem(**given, asynchronous=asynchronous, skip_instance_cache=True)
    driver = SFTPDriver(fs, fs.connections, options.root, durable=options.durable)
    driver.owned = True
    return driver


def over(fs: Any, root: str, name: str) -> Driver:
    """A driver over a filesystem of sshfs, on the connection and the event loop that it has."""
    from remote_store.drivers.sftp.again import Attempts
    from remote_store.drivers.sftp.connecting import BorrowedConnector, Connections
    from remote_store.drivers.sftp.driver import SFTPDriver

    connections = getattr(fs, "connections", None) or Connections(BorrowedConnector(fs, TIMEOUT), Attempts(TIMEOUT))
    return SFTPDriver(fs, connections, root, name=name)
