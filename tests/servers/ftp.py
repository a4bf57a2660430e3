"""An FTP server on loopback."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.implementations.ftp import FTPFileSystem

from remote_store import FsspecBackend, Store

USER, PASSWORD = "user", "ftp-s3cret"
_serial = itertools.count()


@contextmanager
def serve(folder: str, rights: str = "elradfmwMT", replaces: bool = True) -> Iterator[tuple[str, int]]:
    """Serve `folder`; gives host and port, and ends its thread.

    Args:
        folder: of this machine.
        rights: of the user, in the letters of pyftpdlib; without `f` it may not rename.
        replaces: whether a rename replaces a file, as it does on most servers.
    """
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

    class Handler(FTPHandler):  # type: ignore[misc]
        authorizer = DummyAuthorizer()

        def ftp_RNTO(self, path: str) -> Any:
            if not replaces and self.fs.lexists(path):
                return self.respond("550 File exists.")
            return super().ftp_RNTO(path)

    Handler.authorizer.add_user(USER, PASSWORD, folder, perm=rights)
    server = FTPServer(("127.0.0.1", 0), Handler, ioloop=IOLoop())
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            server.serve_forever(timeout=0.05, blocking=False)
        server.close_all()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        stop.set()
        thread.join(10)


def ftp_backend(host: str, port: int) -> FsspecBackend:
    """A backend over a fresh folder on the server, with a connection of its own."""
    fs = FTPFileSystem(host, port, username=USER, password=PASSWORD, skip_instance_cache=True)
    root = f"/store-{next(_serial)}"
    fs.mkdir(root)
    return FsspecBackend(fs, root).adopt()


def ftp_store(host: str, port: int) -> Store:
    """A store over a fresh folder on the server; closed, because the garbage collector may find its socket first."""
    return Store(ftp_backend(host, port))
