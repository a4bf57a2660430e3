"""What tests of FTP, WebDAV and SMB share: places of each, seen through a store and on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers.ftp import PASSWORD, USER, serve
from servers.proxy import Proxy, proxy_to

from remote_store import FsspecBackend, Store

NAMES = ("ftp", "webdav", "smb")


@dataclass
class Place:
    """A folder of a server.

    Args:
        store: over it, by way of the proxy.
        folder: the same on this machine.
        proxy: between them; over FTP it sees commands and replies alone, no content.
    """

    store: Store
    folder: Path
    proxy: Proxy

    @property
    def files(self) -> dict[str, bytes]:
        """All that is on disk, hidden files too."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}


@contextmanager
def place_of(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A fresh, empty place."""
    if name == "ftp":
        with serve(str(tmp_path)) as (host, port), proxy_to(f"http://{host}:{port}") as proxy:
            yield from _place(_ftp(proxy), "/", tmp_path, proxy)
        return
    server = request.getfixturevalue("dav_server" if name == "webdav" else "smb_server")
    root = server.fresh_root()
    upstream = server.endpoint if name == "webdav" else f"http://127.0.0.1:{server.port}"
    with proxy_to(upstream) as proxy:
        through = proxy.endpoint if name == "webdav" else int(proxy.endpoint.rpartition(":")[2])
        yield from _place(server.filesystem(through), root, server.folder / os.path.basename(root), proxy)


def _place(fs: Any, root: str, folder: Path, proxy: Proxy) -> Iterator[Place]:
    with Store(FsspecBackend(fs, root).adopt()) as store:
        yield Place(store, folder, proxy)


def _ftp(proxy: Proxy) -> Any:
    from fsspec.implementations.ftp import FTPFileSystem

    port = int(proxy.endpoint.rpartition(":")[2])
    return FTPFileSystem("127.0.0.1", port, username=USER, password=PASSWORD, skip_instance_cache=True)
