"""An FTP server on loopback: a filesystem for which there is no driver, over a real protocol."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fsspec.implementations.ftp import FTPFileSystem

from remote_store import FsspecBackend, Store

USER, PASSWORD = "user", "ftp-s3cret"
_serial = itertools.count()


@contextmanager
def serve(folder: str) -> Iterator[tuple[str, int]]:
    """Serve `folder`; gives host and port, and ends its thread."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

    class Handler(FTPHandler):  # type: ignore[misc]
        authorizer = DummyAuthorizer()

    Handler.authorizer.add_user(USER, PASSWORD, folder, perm="elradfmwMT")
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


@contextmanager
def ftp_store(host: str, port: int) -> Iterator[Store]:
    """A store over a fresh folder on the server."""
    fs = FTPFileSystem(host, port, username=USER, password=PASSWORD, skip_instance_cache=True)
    root = f"/store-{next(_serial)}"
    fs.mkdir(root)
    try:
        yield Store(FsspecBackend(fs, root))
    finally:  # Left to the garbage collector, its socket may be found first.
        fs.ftp.close()
