"""What tests of Azure storage have at hand: a store, flat or with folders, the double behind it, and looks past it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from servers.azure import CONTAINER, HNS, AzureServer
from servers.double_answers import HTML, Answer, CarryOut, Hook, Request

from remote_store import BackendUnavailable, Store
from remote_store.aio import AsyncAzureBackend, AsyncStore
from remote_store.backends import AzureBackend
from remote_store.certify.view import View

PART = 1 << 10
"""Of the stores that the tests make [bytes]."""


@dataclass
class Place:
    """A store on the double of Azure storage.

    Args:
        view: the store.
        server: the double.
        prefix: that is the root of the store.
        container: that holds it.
    """

    view: View
    server: AzureServer
    prefix: str
    container: str

    @property
    def hns(self) -> bool:
        """Whether it has folders."""
        return self.container == HNS

    def name(self, key: str) -> str:
        """Of the blob of a key."""
        return f"{self.prefix}/{key}"

    def put(self, key: str, content: bytes, **metadata: str) -> str:
        """What another writer stores; gives its etag."""
        return self.server.put(self.name(key), content, self.container, **metadata).etag

    def item(self, key: str) -> Any:
        """What the double holds."""
        return self.server.container(self.container).items[self.name(key)]

    def remove(self, key: str) -> None:
        """What another deletes."""
        assert self.server.service
        with self.server.service.lock:
            del self.server.container(self.container).items[self.name(key)]

    def contents(self) -> dict[str, bytes]:
        """The files that are stored, hidden ones too."""
        start = len(self.prefix) + 1
        items = dict(self.server.container(self.container).items)
        names = self.server.keys(self.prefix + "/", self.container)
        return {name[start:]: items[name].content for name in names if not name.endswith("/")}

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
async def azure_view(
    kind: str, server: AzureServer, prefix: str, container: str = CONTAINER, **options: Any
) -> AsyncIterator[View]:
    """A `sync` or `async` store below a prefix of a container, with small parts unless told otherwise."""
    hns = container == HNS
    options = {**server.options, "part_size": PART, "hns": hns, **options}
    shape: dict[str, Any] = {"hierarchical": hns, "empty_folders": hns}
    if kind == "sync":
        with Store(AzureBackend(container, prefix, **options)) as store:
            yield View(store, **shape)
    else:
        async with AsyncStore(AsyncAzureBackend(container, prefix, **options)) as async_store:
            yield View(async_store, **shape)


@asynccontextmanager
async def azure_place(
    kind: str, server: AzureServer, container: str = CONTAINER, **options: Any
) -> AsyncIterator[Place]:
    """A store below a fresh prefix; requests count from here on."""
    prefix = server.fresh_prefix()
    async with azure_view(kind, server, prefix, container, **options) as view:
        server.requests.clear()
        yield Place(view, server, prefix, container)


def pieces(count: int) -> list[bytes]:
    """So many parts, and a byte."""
    return [bytes([number + 1]) * PART for number in range(count)] + [b"."]


async def every(items: Any) -> list[Any]:
    """All that an asynchronous iterator gives."""
    return [item async for item in items]


def page(status: int = 200, **headers: str) -> Answer:
    """What a proxy or a login page answers."""
    return Answer(status, b"<html><body>Welcome</body></html>", {**HTML, **headers})


def meanwhile(act: Callable[[], object], answer: Answer | None = None) -> Hook:
    """Somebody else acts; then the request is carried out, or answered otherwise."""

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        act()
        return answer or carry_out()

    return hook


def renaming(hook: Hook) -> Hook:
    """The hook has renames."""
    return lambda request, carry_out: hook(request, carry_out) if "x-ms-rename-source" in request.headers else None


def copying(hook: Hook) -> Hook:
    """The hook has copies."""
    return lambda request, carry_out: hook(request, carry_out) if "x-ms-copy-source" in request.headers else None


def unreachable(error: BaseException, path: str | Iterable[str] = "key") -> None:
    """The error is one of a service that gave no usable answer."""
    assert type(error) is BackendUnavailable, error
    assert error.path in ([path] if isinstance(path, str) else list(path)), error.path
    assert error.backend == "azure"
