"""What tests of HTTP have at hand: a store, the server behind it, and the folder that this one gives out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.files import FileServer

from remote_store import Store
from remote_store.aio import AsyncHTTPBackend, AsyncStore
from remote_store.backends import HTTPBackend
from remote_store.certify.view import View


@dataclass
class Place:
    """A store over a folder of a web server.

    Args:
        view: the store.
        server: the server.
        folder: what it gives out.
    """

    view: View
    server: FileServer
    folder: Path

    def put(self, name: str, content: bytes) -> None:
        """What somebody else writes; another version each time, even within a tick of the clock."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_bytes(content)
        new.replace(path)

    @property
    def lines(self) -> list[str]:
        """Method and name in the folder of each request."""
        return [line.replace(f"/{self.folder.name}/", "") for line in self.server.lines]


@asynccontextmanager
async def web_view(kind: str, url: str, **options: Any) -> AsyncIterator[View]:
    """A `sync` or `async` store below a URL."""
    if kind == "sync":
        with Store(HTTPBackend(url, **options)) as store:
            yield View(store)
    else:
        async with AsyncStore(AsyncHTTPBackend(url, **options)) as async_store:
            yield View(async_store)


@asynccontextmanager
async def web_place(kind: str, server: FileServer, **options: Any) -> AsyncIterator[Place]:
    """A store over a fresh folder; requests count from here on."""
    folder = server.fresh_folder()
    async with web_view(kind, f"{server.endpoint}/{folder.name}", **options) as view:
        server.forget()
        yield Place(view, server, folder)
