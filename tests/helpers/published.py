"""Backends that write into a folder of this machine, and read from a web server that gives it out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from remote_store import Capability, CapabilitySet
from remote_store._methods import METHODS
from remote_store.aio import AsyncHTTPBackend, AsyncLocalBackend
from remote_store.backends import HTTPBackend, LocalBackend

READING = {None, Capability.READ, Capability.LIST, Capability.GLOB, Capability.METADATA}
READ_BY = [one.name for one in METHODS.values() if one.of != "store" and one.kind != "plain" and one.gate in READING]
"""Methods that only read."""
WRITTEN_BY = {Capability.WRITE, Capability.DELETE, Capability.MOVE, Capability.COPY, Capability.ATOMIC_WRITE}
"""What the folder adds."""


def _from_server(name: str) -> Any:
    return lambda self, *args, **options: getattr(self.server, name)(*args, **options)


class _Published:
    server: Any
    name = "http"

    @property
    def capabilities(self) -> CapabilitySet:
        return CapabilitySet({*self.server.capabilities, *WRITTEN_BY})


def _reading(names: Iterable[str]) -> dict[str, Any]:
    return {name: _from_server(name) for name in names}


class PublishedBackend(type("Reading", (_Published,), _reading(READ_BY)), LocalBackend):  # type: ignore[misc]
    """Synchronous."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.server = HTTPBackend(f"{url}/{folder.name}", index=True, timeout=20)

    def close(self) -> None:
        self.server.close()
        super().close()


class AsyncPublishedBackend(type("Reading", (_Published,), _reading(READ_BY)), AsyncLocalBackend):  # type: ignore[misc]
    """Asynchronous."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.server = AsyncHTTPBackend(f"{url}/{folder.name}", index=True, timeout=20)

    async def aclose(self) -> None:
        await self.server.aclose()
        await super().aclose()
