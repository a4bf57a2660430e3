"""What tests of Google Cloud Storage have at hand: a store, the double behind it, and looks past the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from servers.gcs import BUCKET, GcsServer
from servers.gcs_answers import Hook, Request
from servers.gcs_faults import matching

from remote_store import BackendUnavailable, Store
from remote_store.aio import AsyncGCSBackend, AsyncStore
from remote_store.backends import GCSBackend
from remote_store.certify.view import View

PART = 256 << 10
"""The smallest part of a resumable upload [bytes]."""


@dataclass
class Place:
    """A store on the double of Google Cloud Storage.

    Args:
        view: the store.
        server: the double.
        prefix: that is the root of the store.
    """

    view: View
    server: GcsServer
    prefix: str

    def name(self, key: str) -> str:
        """Of the object of a key."""
        return f"{self.prefix}/{key}"

    def put(self, key: str, content: bytes, **properties: Any) -> str:
        """What another writer stores; gives its generation."""
        return str(self.server.put(self.name(key), content, **properties).generation)

    def remove(self, key: str) -> None:
        """What another deletes."""
        assert self.server.service
        with self.server.service.lock:
            self.server.bucket().remove(self.name(key), {})

    def contents(self) -> dict[str, bytes]:
        """What is stored; an upload that nobody finished or cancelled is an error."""
        assert [name for name in self.server.uploads() if name.startswith(self.prefix + "/")] == []
        start = len(self.prefix) + 1
        live = self.server.bucket().live
        return {name[start:]: live[name].content for name in self.server.keys(self.prefix + "/")}

    def asked(self, *parts: str) -> int:
        """How many requests had all of these in their method, path or query."""
        return sum(all(part in request for part in parts) for request in self.server.requests)

    async def works(self) -> None:
        """The store goes on, and nothing was left behind."""
        before = self.contents()
        await self.view.write("after", b"fine", overwrite=True)
        assert await self.view.read_bytes("after") == b"fine"
        await self.view.delete("after")
        assert self.contents() == before


@asynccontextmanager
async def gcs_view(kind: str, server: GcsServer, prefix: str, **options: Any) -> AsyncIterator[View]:
    """A `sync` or `async` store below a prefix of the bucket, with the smallest parts unless told otherwise."""
    options = {**server.options, "part_size": PART, **options}
    if kind == "sync":
        with Store(GCSBackend(BUCKET, prefix, **options)) as store:
            yield View(store)
    else:
        async with AsyncStore(AsyncGCSBackend(BUCKET, prefix, **options)) as async_store:
            yield View(async_store)


@asynccontextmanager
async def gcs_place(kind: str, server: GcsServer, **options: Any) -> AsyncIterator[Place]:
    """A store below a fresh prefix; requests count from here on."""
    prefix = server.fresh_prefix()
    async with gcs_view(kind, server, prefix, **options) as view:
        server.requests.clear()
        yield Place(view, server, prefix)


def span(*, last: bool | None = None) -> Callable[[Request], bool]:
    """Whether a request brings a part of a resumable upload: the last one, another one, or (None) any."""

    def brings(request: Request) -> bool:
        told = request.headers.get("Content-Range", "")
        if request.method != "PUT" or not told or told.startswith("bytes */*"):
            return False
        return last is None or last is not told.endswith("/*")

    return brings


def on_part(hook: Hook, *, last: bool | None = None) -> Hook:
    """The hook has parts of resumable uploads."""
    return matching(span(last=last), hook)


def on_question(hook: Hook) -> Hook:
    """The hook has questions for how much of an upload is there, and the ends without content."""
    return matching(lambda request: request.headers.get("Content-Range", "").startswith("bytes */"), hook)


def pieces(count: int) -> list[bytes]:
    """So many parts, and a byte."""
    return [bytes([number + 1]) * PART for number in range(count)] + [b"."]


def unreachable(error: BaseException, path: str | Iterable[str] = "key") -> None:
    """The error is one of a service that gave no usable answer."""
    assert type(error) is BackendUnavailable, error
    assert error.path in ([path] if isinstance(path, str) else list(path)), error.path
    assert error.backend == "gcs"
