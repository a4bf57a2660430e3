"""The filesystem below a store, as another program uses it: past the store, and past every cache."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from remote_store._errors import CapabilityNotSupported
from remote_store.certify.rules import Untried
from remote_store.certify.view import View
from remote_store.drivers.generic.filesystem import is_async

PATIENCE = 20.0
"""How long a call may take, where that can be bounded: filesystems try again, and some for an hour [s]."""
_CACHES = "fsspec.implementations.cached"


class Below:
    """A filesystem below a store.

    Args:
        view: of the store.
        fs: the filesystem.
    """

    def __init__(self, view: View, fs: Any) -> None:
        self._view, self._fs = view, fs

    async def put(self, name: str, data: bytes) -> None:
        """Write a file of this name, which goes to the filesystem as it is."""
        await self._call("pipe_file", self._native(name), data)

    async def get(self, name: str) -> bytes:
        """The content of a file."""
        return bytes(await self._call("cat_file", self._native(name)))

    async def remove(self, name: str) -> None:
        """Delete a file of this name."""
        await self._call("rm_file", self._native(name))

    async def names(self, folder: str) -> list[str]:
        """All files below a folder, as the filesystem spells them."""
        self._fs.invalidate_cache()
        try:
            found = await self._call("find", self._native(folder))
        except FileNotFoundError:
            return []
        return sorted(found)

    def _native(self, name: str) -> str:
        root: str = self._view.store.native_path("")
        return f"{root.rstrip('/')}/{name}" if root.strip("/") else name

    async def _call(self, method: str, *args: Any) -> Any:
        if getattr(self._fs, "asynchronous", False):
            return await asyncio.wait_for(getattr(self._fs, "_" + method)(*args), PATIENCE)
        call = partial(self._on_its_loop, method) if is_async(self._fs) else getattr(self._fs, method)
        return await asyncio.to_thread(call, *args) if self._view.is_async else call(*args)

    def _on_its_loop(self, method: str, *args: Any) -> Any:
        asked = asyncio.run_coroutine_threadsafe(getattr(self._fs, "_" + method)(*args), self._fs.loop)
        try:
            return asked.result(PATIENCE)
        except TimeoutError:
            asked.cancel()
            raise


def below(view: View) -> Below:
    """The filesystem below a store.

    Raises:
        Untried: there is none that could be asked.
    """
    from fsspec import AbstractFileSystem

    try:
        fs: Any = view.store.unwrap(AbstractFileSystem)
    except CapabilityNotSupported as error:
        raise Untried("no filesystem below the store can be asked past it") from error
    while type(fs).__module__ == _CACHES:
        fs = fs.fs
    return Below(view, fs)
