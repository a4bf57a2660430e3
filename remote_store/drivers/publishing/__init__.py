"""Filesystems of fsspec whose servers rename: what is written gets its name when it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver


def over_ftp(fs: Any, root: str, name: str) -> Driver:
    """A driver over fsspec's filesystem of FTP."""
    from remote_store.drivers.publishing.ftp import FTPDriver

    return FTPDriver(fs, root, name)


def over_smb(fs: Any, root: str, name: str) -> Driver:
    """A driver over fsspec's filesystem of SMB, with connections of its own by the credentials of that."""
    from remote_store.drivers.publishing.smb import SMBDriver

    return SMBDriver(fs, root, name)


def over_webdav(fs: Any, root: str, name: str) -> Driver:
    """A driver over the filesystem of webdav4, by the HTTP client that it has."""
    from remote_store.drivers.publishing.webdav import WebDAVDriver

    return WebDAVDriver(fs, root, name)
