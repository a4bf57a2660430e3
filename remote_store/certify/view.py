"""One way to talk to both kinds of store, so that each check is written once.

A check is a coroutine over a `View`. Over an `AsyncStore` the view awaits the store; over a `Store` it never waits, so
the check runs to its end in the caller's thread.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from remote_store._store import Store
from remote_store._streams import AsyncAtomicFile, AsyncReadStream
from remote_store.aio._store import AsyncStore
from remote_store.engine.run import finish

T = TypeVar("T")
_ITERATING = frozenset({"list_files", "list_folders", "iter_children", "glob"})
_IMMEDIATE = frozenset({"supports", "to_key", "native_path", "resolve", "unwrap"})


class View:
    """An `AsyncStore`-shaped handle on a store of either kind.

    Args:
        store: the store under test.
        hierarchical: whether a name is a file or a folder, never both.
        empty_folders: whether a folder outlives the last file in it.
    """

    def __init__(self, store: Store | AsyncStore, *, hierarchical: bool = True, empty_folders: bool = True) -> None:
        self.store = store
        self.hierarchical, self.empty_folders = hierarchical, empty_folders
        self.is_async = isinstance(store, AsyncStore)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if self.is_async or name in _IMMEDIATE or not callable(method):
            return method
        if name in _ITERATING:
            return lambda *args, **options: _iterate(method(*args, **options))
        return _awaitable(method)

    def child(self, path: str) -> View:
        """A view of a child store."""
        return View(self.store.child(path), hierarchical=self.hierarchical, empty_folders=self.empty_folders)

    def read(self, path: str) -> AsyncIterator[bytes]:
        """The content, chunk by chunk."""
        return self.store.read(path) if isinstance(self.store, AsyncStore) else _chunks(self.store.read(path))

    async def read_seekable(self, path: str) -> AsyncReadStream:
        """A seekable stream."""
        if isinstance(self.store, AsyncStore):
            return await self.store.read_seekable(path)
        return AsyncReadStream(_Blocking(self.store.read_seekable(path)))

    def open_atomic(self, path: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        """A writer that publishes when its block ends."""
        if isinstance(self.store, AsyncStore):
            return self.store.open_atomic(path, **options)
        return _enter(self.store.open_atomic(path, **options))

    def stream(self, pieces: Iterable[bytes | BaseException]) -> Any:
        """Content of unknown length in the shape this kind of store takes; an exception among the pieces is raised."""
        return _pieces(pieces) if self.is_async else io.BufferedReader(_Pieces(pieces))

    async def race(self, contenders: list[Callable[[], Awaitable[T]]]) -> list[T | BaseException]:
        """Results of many operations started together: tasks over an `AsyncStore`, threads over a `Store`."""
        if self.is_async:
            return list(await asyncio.gather(*(start() for start in contenders), return_exceptions=True))
        results: list[T | BaseException] = [RuntimeError("did not run")] * len(contenders)
        gate = threading.Barrier(len(contenders))

        def contend(index: int) -> None:
            gate.wait(30)
            try:
                results[index] = finish(contenders[index]())
            except BaseException as error:
                results[index] = error

        threads = [threading.Thread(target=contend, args=(index,)) for index in range(len(contenders))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


def _awaitable(method: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    async def call(*args: Any, **options: Any) -> T:
        return method(*args, **options)

    return call


async def _iterate(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


async def _chunks(stream: Any) -> AsyncIterator[bytes]:
    with stream:
        while chunk := stream.read(64 * 1024):
            yield chunk


async def _pieces(pieces: Iterable[bytes | BaseException]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterable[bytes | BaseException]) -> None:
        self._pieces = (piece for piece in pieces if piece)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._rest or next(self._pieces, b"")
        if isinstance(piece, BaseException):
            raise piece
        count = min(len(buffer), len(piece))
        buffer[:count], self._rest = piece[:count], piece[count:]
        return count


class _Blocking:
    def __init__(self, file: Any) -> None:
        self._file = file

    async def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        return data

    async def seek(self, offset: int, whence: int) -> int:
        position: int = self._file.seek(offset, whence)
        return position

    async def close(self) -> None:
        self._file.close()


@asynccontextmanager
async def _enter(opened: Any) -> AsyncIterator[AsyncAtomicFile]:
    with opened as target:

        async def put(data: bytes) -> None:
            target.write(data)

        file = AsyncAtomicFile(put)
        yield file
    file.result = target.result
