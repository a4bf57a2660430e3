"""A WebDAV server on loopback: wsgidav, in threads of this process."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remote_store import FsspecBackend

USER, PASSWORD = "user", "dav-s3cret"
_serial = itertools.count()


@dataclass(frozen=True)
class DavServer:
    """Where the server is.

    Args:
        endpoint: its URL.
        folder: of this machine, which it serves.
    """

    endpoint: str
    folder: Path

    def filesystem(self, endpoint: str = "") -> Any:
        """A filesystem of its own, at the server unless told otherwise."""
        from webdav4.fsspec import WebdavFileSystem

        return WebdavFileSystem(endpoint or self.endpoint, auth=(USER, PASSWORD), skip_instance_cache=True)

    def backend(self) -> FsspecBackend:
        """A backend over a fresh folder, with a filesystem of its own."""
        return FsspecBackend(self.filesystem(), self.fresh_root()).adopt()

    def fresh_root(self) -> str:
        """A new, empty folder, as the server calls it."""
        name = f"root {next(_serial)}-{os.getpid()}"
        (self.folder / name).mkdir()
        return name


@contextmanager
def wsgidav(folder: Path) -> Iterator[DavServer]:
    """Serve a folder, and end the server."""
    from cheroot.wsgi import Server
    from wsgidav.wsgidav_app import WsgiDAVApp

    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    server = Server(("127.0.0.1", 0), app, numthreads=20)
    server.keep_alive_conn_limit = 100  # Of more it hangs up, which a client may notice too late.
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield DavServer(f"http://127.0.0.1:{server.bind_addr[1]}", folder)
    finally:
        server.stop()
        thread.join(10)
