"""Counting what calls of a store ask of SFTP, in round trips, and of a web server, in requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from servers.files import FileServer
from servers.sshd import SFTPPlace
from servers.trips import TripCounter

from helpers.counting import Service
from remote_store.aio import AsyncHTTPBackend, AsyncSFTPBackend
from remote_store.backends import HTTPBackend, SFTPBackend


def _in(folder: Path) -> tuple[Callable[[], str], Callable[[str, bytes], None]]:
    """What makes a folder that no other row uses, and what puts files into it."""
    numbers = itertools.count()

    def fresh_prefix() -> str:
        (folder / (name := str(next(numbers)))).mkdir()
        return name

    def put(key: str, data: bytes) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if key.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(data)

    return fresh_prefix, put


def on_sftp(place: SFTPPlace) -> Service:
    """A server behind a proxy that counts round trips."""
    root, proxy = place.fresh_root(), TripCounter(f"http://127.0.0.1:{place.port}")
    # By its key the server is known at its own port.
    login = {**place.options, "port": proxy.port, "known_hosts": None, "keepalive": 0}
    fresh_prefix, put = _in(Path(place.on_disk(root)))
    return Service(
        "sftp",
        proxy.trips,
        fresh_prefix,
        put,
        lambda _: SFTPBackend("127.0.0.1", root, **login),
        lambda _: AsyncSFTPBackend("127.0.0.1", root, **login),
        flat=False,
        settle=proxy.settle,
        attempts=5,
        close=proxy.close,
    )


def on_http(server: FileServer) -> Service:
    """A server whose folders have pages."""
    folder = server.fresh_folder()
    url, (fresh_prefix, put) = f"{server.endpoint}/{folder.name}", _in(folder)
    return Service(
        "http",
        server.requests,
        fresh_prefix,
        put,
        lambda _: HTTPBackend(url, index=True),
        lambda _: AsyncHTTPBackend(url, index=True),
        flat=False,
    )
