"""Filesystems of both kinds, to be called in one way."""

from __future__ import annotations

from typing import Any

from remote_store import Capability, CapabilitySet, Store
from remote_store._either import EitherStore
from remote_store.aio import AsyncStore
from remote_store.backends import MemoryBackend

TREE = ("a", "d/b", "d/e/c", "d/e/f/g", "h/i")


class Ops:
    """The operations of a filesystem of either kind, to be awaited; `store` is the store underneath, likewise."""

    def __init__(self, store: Store | AsyncStore) -> None:
        self.fs: Any = store.to_fsspec()
        self.store: Any = EitherStore(store)

    def __getattr__(self, name: str) -> Any:
        if self.fs.asynchronous:
            return getattr(self.fs, f"_{name}")
        method = getattr(self.fs, name)

        async def call(*args: Any, **options: Any) -> Any:
            return method(*args, **options)

        return call

    async def fill(self, *keys: str) -> None:
        """Write files that contain their names."""
        for key in keys:
            await self.store.write(key, key.encode(), overwrite=True)

    async def keys(self) -> set[str]:
        """All that the store holds."""
        return {str(file.path) async for file in self.store.list_files(recursive=True)}


class Limited(MemoryBackend):
    """A backend that can do less than it could."""

    def __init__(self, *lacks: Capability) -> None:
        super().__init__()
        self.lacks = set(lacks)

    @property
    def capabilities(self) -> CapabilitySet:
        return CapabilitySet(set(super().capabilities) - self.__dict__.get("lacks", set()))
