"""An asynchronous backend that does what a test tells it to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from remote_store import FileInfo, RemotePath
from remote_store._models import UNKNOWN_TIME
from remote_store.aio import AsyncMemoryBackend

DEADLINE = 30.0
"""For what never takes long unless it hangs [s]."""


def entry(name: str) -> FileInfo:
    return FileInfo(RemotePath(name), name, 1, UNKNOWN_TIME)


class Scripted(AsyncMemoryBackend):
    """Memory, with reads and listings from a script, and notes of what happened.

    Args:
        items: what a read, or a listing, yields; an exception among them is raised, a callable is awaited.
    """

    def __init__(self, *items: Any) -> None:
        super().__init__()
        self.items = items
        self.events: list[str] = []
        self.ended = threading.Event()
        self.before_close: Callable[[], Awaitable[None]] | None = None

    async def _script(self) -> AsyncIterator[Any]:
        try:
            for item in self.items:
                self.events.append(f"pull {item!r}")
                if isinstance(item, BaseException):
                    raise item
                if callable(item):
                    await item()
                else:
                    yield item
        finally:
            self.events.append("end")
            self.ended.set()

    def read(self, path: str) -> AsyncIterator[bytes]:
        return self._script()

    def list_files(self, path: str, **options: Any) -> AsyncIterator[FileInfo]:
        return self._script()

    def list_folders(self, path: str) -> AsyncIterator[Any]:
        return self._script()

    def iter_children(self, path: str) -> AsyncIterator[Any]:
        return self._script()

    def glob(self, pattern: str) -> AsyncIterator[FileInfo]:
        return self._script()

    async def aclose(self) -> None:
        self.events.append("aclose")
        if self.before_close is not None:
            await self.before_close()
        await super().aclose()

    async def __aenter__(self) -> Any:
        raise AssertionError("the async context was entered")


class Gate:
    """Where a coroutine on another loop waits until a test lets it go."""

    def __init__(self) -> None:
        self.reached, self.left, self.cancelled = threading.Event(), threading.Event(), threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = asyncio.Event()
        self.reached.set()
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.left.set()

    def open(self) -> None:
        assert self.reached.wait(DEADLINE)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._open.set)

    def __repr__(self) -> str:
        return "gate"
