"""One way to talk to both kinds of store, so that what is built on them is written once.

A coroutine over an `EitherStore` awaits an `AsyncStore`; over a `Store` it never waits, so `run_to_end` runs it in
the caller's thread.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar

from remote_store._errors import DirectoryNotEmpty, InvalidPath
from remote_store._methods import METHODS
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.io.blocking import BlockingFile
from remote_store.io.content import check_content
from remote_store.io.files import AsyncAtomicWriter
from remote_store.io.streams import AsyncReadStream, run_to_end

T = TypeVar("T")
Piece = bytes | BaseException | Callable[[], Awaitable[object]]


class EitherStore:
    """An `AsyncStore`-shaped handle on a store of either kind.

    Args:
        store: a `Store` or an `AsyncStore`.
    """

    def __init__(self, store: Store | AsyncStore) -> None:
        self.store = store
        self.is_async = isinstance(store, AsyncStore)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        kind = METHODS[name].kind if name in METHODS else "value"
        if self.is_async or kind == "plain" or not callable(method):
            return method
        return _iterating(method) if kind == "items" else _awaitable(method)

    def read(self, path: str, **options: Any) -> AsyncIterator[bytes]:
        """The content, chunk by chunk."""
        if isinstance(self.store, AsyncStore):
            return self.store.read(path, **options)
        return _chunks(self.store.read(path, **options))

    async def read_seekable(self, path: str) -> AsyncReadStream:
        """A seekable stream."""
        if isinstance(self.store, AsyncStore):
            return await self.store.read_seekable(path)
        return AsyncReadStream(BlockingFile(self.store.read_seekable(path)))

    def open_atomic(self, path: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        """A writer that publishes when its block ends."""
        if isinstance(self.store, AsyncStore):
            return self.store.open_atomic(path, **options)
        return _enter(self.store.open_atomic(path, **options), seekable=bool(options.get("seekable")))

    async def sleep(self, seconds: float) -> None:
        """Wait; over a `Store` in this thread."""
        if self.is_async:
            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251 (no loop runs this)

    def stream(self, pieces: Iterable[Piece]) -> Any:
        """Content of unknown length in the shape this kind of store takes.

        An exception among the pieces is raised; a function is awaited, for what happens while the content is read.
        """
        return _pieces(pieces) if self.is_async else check_content(_sync_pieces(pieces))


async def prune_empty(store: EitherStore, folder: str) -> None:
    """Remove a folder, and those in it, as far as they are empty; what others put there meanwhile stays."""
    below = [str(entry.path) async for entry in store.list_folders(folder, max_depth=sys.maxsize)]
    for path in (*sorted(below, reverse=True), folder):
        with suppress(DirectoryNotEmpty, InvalidPath):
            await store.delete_folder(path, missing_ok=True)


def _awaitable(method: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    async def call(*args: Any, **options: Any) -> T:
        return method(*args, **options)

    return call


def _iterating(method: Callable[..., Iterable[T]]) -> Callable[..., AsyncIterator[T]]:
    def call(*args: Any, **options: Any) -> AsyncIterator[T]:
        return _each(method(*args, **options))  # Called now, as an `AsyncStore` checks its arguments at once.

    return call


async def _each(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


async def _chunks(stream: Any) -> AsyncIterator[bytes]:
    with stream:
        while chunk := stream.read(64 * 1024):
            yield chunk


async def _pieces(pieces: Iterable[Piece]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, BaseException):
            raise piece
        if isinstance(piece, bytes):
            yield piece
        else:
            await piece()


def _sync_pieces(pieces: Iterable[Piece]) -> Iterator[bytes]:
    given = _pieces(pieces)
    with suppress(StopAsyncIteration):
        while True:
            yield run_to_end(anext(given))


@asynccontextmanager
async def _enter(opened: Any, seekable: bool) -> AsyncIterator[AsyncAtomicWriter]:
    with opened as target:
        blocking = BlockingFile(target)
        file = AsyncAtomicWriter(blocking.write, blocking if seekable else None)
        yield file
    file.result = target.result
