"""A synchronous backend in an asynchronous program: each operation whole, in a thread (ASYNC-030…037)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import islice
from typing import Any, TypeVar

from remote_store._backend import Backend, Wrapping
from remote_store._methods import Method
from remote_store._models import WriteResult
from remote_store.aio._backend import AsyncMadeBackend, AsyncWritableContent
from remote_store.io.blocking import ThreadFile, in_thread
from remote_store.io.content import PART, SPOOL_LIMIT, IteratorSource, spool, spooling
from remote_store.io.files import AsyncAtomicWriter
from remote_store.io.streams import CHUNK, AsyncReadStream

T = TypeVar("T")
LISTING_BATCH = 256
"""Entries that one hop to a thread brings from a listing."""


async def open_in_thread(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """Run work that opens something; `undo` lets go of it if the caller is cancelled meanwhile."""
    handed_over = threading.Lock()  # By whoever comes first: the thread with its result, or a cancellation.
    opened: list[T] = []

    def open_unless_cancelled() -> T:
        result = work()
        opened.append(result)
        if not handed_over.acquire(blocking=False):
            undo(result)
        return result

    try:
        return await in_thread(open_unless_cancelled)
    except asyncio.CancelledError:
        if not handed_over.acquire(blocking=False):
            asyncio.get_running_loop().run_in_executor(None, undo, opened[0])
        raise


def _method(method: Method) -> Any:
    """A method that runs its sync twin in a thread."""

    def batched(self: SyncBackendAdapter, *args: Any, **options: Any) -> Any:
        return _batches(lambda: getattr(self.inner, method.name)(*args, **options))

    async def threaded(self: SyncBackendAdapter, *args: Any, **options: Any) -> Any:
        return await in_thread(getattr(self.inner, method.name), *args, **options)

    async def writing(self: SyncBackendAdapter, path: str, content: AsyncWritableContent, **options: Any) -> Any:
        write = getattr(self.inner, method.name)
        source = IteratorSource(content)
        with ExitStack() as stack:
            collected = await _collect(source, stack, path, self.name)
            # The thread closes the spool, so that it outlives a cancelled caller.
            kept = stack.pop_all()

        def work() -> WriteResult:
            with kept:
                written: WriteResult = write(path, collected, **options)
                return written

        return await in_thread(work)

    return batched if method.kind == "items" else writing if "content" in method.arguments else threaded


class SyncBackendAdapter(Wrapping[Backend], AsyncMadeBackend, make=_method):
    """Serves a synchronous `Backend` to an `AsyncStore`.

    Listings come in batches and stay lazy; content from an async iterator reaches the backend as bytes up to 8 MiB
    and as a file over a spool on disk beyond. A write that is running cannot be cancelled: it finishes whole or not
    at all, and may still commit.

    Args:
        backend: any synchronous backend that may be used from several threads.
    """

    unwrap_sync_safe = Wrapping.unwrap  # No loop binds the handles of a synchronous backend.

    async def read(self, path: str, **options: Any) -> AsyncIterator[bytes]:
        stream = await open_in_thread(lambda: self.inner.read(path, **options), lambda opened: opened.close())
        reader = ThreadFile(stream)
        try:
            while chunk := await reader.read(CHUNK):
                yield chunk
        finally:
            await reader.close()

    async def read_seekable(self, path: str) -> AsyncReadStream:
        stream = await open_in_thread(lambda: self.inner.read_seekable(path), lambda opened: opened.close())
        return AsyncReadStream(ThreadFile(stream))

    @asynccontextmanager
    async def open_atomic(self, path: str, **options: Any) -> AsyncIterator[AsyncAtomicWriter]:
        stack = ExitStack()

        def enter() -> Any:
            return stack.enter_context(self.inner.open_atomic(path, **options))

        def leave(error: BaseException | None) -> None:
            if error is None:
                stack.close()
            else:
                stack.__exit__(type(error), error, error.__traceback__)

        target = await open_in_thread(enter, lambda _: leave(asyncio.CancelledError()))
        blocking = ThreadFile(target)
        file = AsyncAtomicWriter(blocking.write, blocking if options.get("seekable") else None)
        try:
            yield file
        except BaseException as error:
            file.close()
            await blocking.call(leave, error)  # A write whose caller was cancelled may still be on its way.
            raise
        file.close()
        await blocking.call(leave, None)
        result: Any = getattr(target, "result", None)
        file.result = result

    async def aclose(self) -> None:
        await in_thread(self.inner.close)


async def _collect(source: IteratorSource, stack: ExitStack, path: str, backend: str) -> Any:
    """Content as bytes while it is small, as a file over a spool beyond; `stack` closes the spool."""
    if source.data is not None:
        return source.data
    head = bytearray()
    while chunk := await source.read(PART):
        head += chunk
        if len(head) > SPOOL_LIMIT:
            break
    else:
        return bytes(head)
    file = stack.enter_context(spool())
    while head:
        with spooling(path, backend):
            await in_thread(file.write, bytes(head))
        head[:] = await source.read(PART)
    await in_thread(file.seek, 0)
    return file


async def _batches(start: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    items = iter(await in_thread(start))
    # A batch that is on its way in a thread when the caller is cancelled must end before the iterator is closed.
    lock = threading.Lock()

    def batch(failed: list[BaseException]) -> list[T]:
        """The next entries; those before an error come first."""
        page: list[T] = []
        with lock:
            try:
                page.extend(islice(items, 0 if failed else LISTING_BATCH))
            except Exception as error:
                failed.append(error)
        return page

    def close() -> None:
        with lock:
            items.close()  # type: ignore[attr-defined]

    try:
        failed: list[BaseException] = []
        while page := await in_thread(batch, failed):
            for item in page:
                yield item
        if failed:
            raise failed.pop()
    finally:
        if hasattr(items, "close"):
            await in_thread(close)
