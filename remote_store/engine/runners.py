"""The ways to run an operation: here and now, on a filesystem's own loop, or awaited."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, BinaryIO, Generic, TypeVar

from remote_store._errors import BackendUnavailable
from remote_store.io.content import FileSource, IteratorSource, Source
from remote_store.io.near import Rest
from remote_store.io.streams import Here
from remote_store.io.streams import run_to_end as run_to_end

T = TypeVar("T")
_Requests = queue.SimpleQueue[tuple[int, asyncio.Future[bytes]] | None]
CLEAN_UP = 10.0
"""How long an interrupt waits for the operation to abort its upload; a second interrupt ends the wait [s]."""
BEGIN = 10.0
"""How long a call waits for a loop that does not run yet [s]."""


def forget(operation: Awaitable[Any]) -> None:
    """Close an operation that does not go on here, so that Python does not warn of it."""
    if asyncio.iscoroutine(operation) or isinstance(operation, Rest):
        operation.close()


class Inline(Here):
    """Runs operations of a synchronous filesystem in the caller's thread."""

    @property
    def throughout(self) -> Inline:
        """Runs those of writers, which stay in one place."""
        return self

    def with_content(self, start: Callable[[Source], Awaitable[T]], content: bytes | BinaryIO) -> T:
        """Run an operation that reads the caller's content."""
        return self(start(FileSource(content)))

    def items(self, pages: AsyncGenerator[Any, None]) -> Iterator[Any]:
        """The items of pages, one page at a time."""
        # A loop that happens to run in this thread must not register the generator, and close it when it ends.
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            page = self(anext(pages, None))
        finally:
            sys.set_asyncgen_hooks(*hooks)
        try:
            while page is not None:
                yield from page
                page = self(anext(pages, None))
        finally:
            self.let_go(pages.aclose())


class Call(Generic[T]):
    """An operation on its way on a loop in another thread; its result and errors arrive as they are.

    (`asyncio.run_coroutine_threadsafe` hands on a copy of a TimeoutError, and has begun before it can be cancelled.)
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, operation: Awaitable[T]) -> None:
        self._loop, self._operation = loop, operation
        self._task: asyncio.Task[None] | None = None
        self.future: Future[T] = Future()

    def begin(self) -> None:
        """Hand the operation to the loop."""
        self._loop.call_soon_threadsafe(self._work_soon)

    def drop(self) -> None:
        """Forget an operation that is not to begin."""
        forget(self._operation)

    def _work_soon(self) -> None:
        if self.future.cancelled():
            self.drop()
        else:
            name = getattr(self._operation, "__qualname__", type(self._operation).__name__)
            self._task = self._loop.create_task(self._work(), name=name)

    async def _work(self) -> None:
        try:
            result = await self._operation
        except (asyncio.CancelledError, GeneratorExit):
            self.future.cancel()
            raise
        except BaseException as error:
            self._settle(self.future.set_exception, error)
        else:
            self._settle(self.future.set_result, result)
        finally:
            del self

    def _settle(self, settle: Callable[[Any], None], outcome: object) -> None:
        with suppress(InvalidStateError):  # Cancelled meanwhile.
            settle(outcome)

    def result(self) -> T:
        """Wait for the end; raises what the operation raised."""
        try:
            return self.future.result()
        finally:
            del self

    def cancel(self, ended: Callable[[], None] = lambda: None) -> bool:
        """Stop the operation, unless it has ended; safe in every state. Whether `ended` will be called after that."""
        if not self.future.done() and self.future.cancel():
            with suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._cancel_task, ended)
                return True
        return False

    def stop(self, timeout: float) -> None:
        """Cancel the operation, and wait until it has cleaned up, but no longer than `timeout` [s]."""
        over = threading.Event()
        if self.cancel(over.set):
            over.wait(timeout)

    def _cancel_task(self, ended: Callable[[], None]) -> None:
        if self._task is None:
            ended()
        else:
            self._task.add_done_callback(lambda _: ended())
            self._task.cancel()


class _BoundToLoop:
    """Knows whether the event loop of a filesystem is run, in another thread of this process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pid = os.getpid()

    def _runs(self) -> bool:
        """Whether the loop runs; in a forked child it only seems to."""
        return self._loop.is_running() and self._pid == os.getpid() and not sys.is_finalizing()

    def _await_loop(self) -> None:
        """Wait for a loop that does not run yet: the thread that is to run it may not have come that far.

        Raises:
            BackendUnavailable: nobody runs it.
        """
        if self._runs():
            return
        if self._is_gone():
            raise BackendUnavailable("The event loop of this filesystem is gone", path="")
        begun = threading.Event()
        with suppress(RuntimeError):  # It was closed just now.
            self._loop.call_soon_threadsafe(begun.set)
        if not begun.wait(BEGIN):
            raise BackendUnavailable(f"Nobody runs the event loop of this filesystem: waited {BEGIN:g} s", path="")

    def _is_gone(self) -> bool:
        return self._pid != os.getpid() or sys.is_finalizing() or self._loop.is_closed() or self._lost_its_thread()

    def _lost_its_thread(self) -> bool:
        from fsspec import asyn

        thread = asyn.iothread[0]  # None while it is being started.
        return self._loop is asyn.loop[0] and thread is not None and not thread.is_alive()


class OnLoop(_BoundToLoop, Inline):
    """Runs operations of an asynchronous filesystem on its own loop, one hop each.

    The caller's content is read in the caller's thread, so a slow source, or one that itself needs the loop, holds
    up nobody.
    """

    def let_go(self, operation: Awaitable[Any]) -> None:
        """Run the operation that closes something; any thread may call this, in a finalizer too, even that of the loop.

        Where the loop does not run, nothing is left to close.
        """
        if self._is_here():
            self._loop.create_task(_await(operation))
        elif self._runs():
            self(operation)
        else:
            forget(operation)

    def __call__(
        self, operation: Awaitable[T], local: FileSource | None = None, requests: _Requests | None = None
    ) -> T:
        """Run an operation, and answer meanwhile its `requests` for content from a `local` source."""
        self._check(operation)
        call = Call(self._loop, operation)
        try:  # From before it begins, because an interrupt may come between any two steps.
            if requests is not None:
                call.future.add_done_callback(lambda _: requests.put(None))
            self._begin(call)
            while local is not None and requests is not None and (request := requests.get()) is not None:
                self._answer(local, *request)
            return call.result()
        except BaseException:
            call.stop(CLEAN_UP)
            raise
        finally:
            del call  # Break the error → traceback → frame cycle.

    def _begin(self, call: Call[Any]) -> None:
        call.begin()

    def with_content(self, start: Callable[[Source], Awaitable[T]], content: bytes | BinaryIO) -> T:
        """Run an operation that reads the caller's content."""
        local = FileSource(content)
        if local.data is not None:
            return self(start(local))
        requests: _Requests = queue.SimpleQueue()
        return self(start(_FromCaller(requests)), local, requests)

    def _answer(self, local: FileSource, size: int, reply: asyncio.Future[bytes]) -> None:
        outcome: bytes | Exception
        try:
            outcome = run_to_end(local.read(size))
        except Exception as error:
            outcome = error
        with suppress(RuntimeError):  # The loop is closed, and the call cancelled.
            self._loop.call_soon_threadsafe(settle, reply, outcome)
        del outcome, reply  # Break the error → traceback → frame cycle.

    def _check(self, operation: Awaitable[Any]) -> None:
        """Refuse a call that would wait for ever: on a loop that is gone, or on that of this very thread."""
        self._refuse_here(operation)
        try:
            self._await_loop()
        except BaseException:
            forget(operation)
            raise

    def _refuse_here(self, operation: Awaitable[Any]) -> None:
        if self._is_here():
            forget(operation)
            raise RuntimeError("a Store cannot be used on its filesystem's own event loop; use AsyncStore there")

    def _is_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False


async def _await(operation: Awaitable[T]) -> T:
    return await operation


def settle(reply: asyncio.Future[Any], outcome: Any) -> None:
    """Give a future, unless it is done, its result, or the exception that it is to raise."""
    if reply.done():
        return
    if isinstance(outcome, StopIteration):  # No future takes one.
        outcome = RuntimeError("an async iterator raised StopIteration")
    if isinstance(outcome, BaseException):
        reply.set_exception(outcome)
    else:
        reply.set_result(outcome)


class _FromCaller:
    """Content that another thread reads on request."""

    data: bytes | None = None

    def __init__(self, requests: _Requests) -> None:
        self._requests = requests

    async def read(self, size: int) -> bytes:
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._requests.put((size, reply))
        try:
            return await reply
        finally:
            del reply  # Break the error → traceback → frame cycle.


class Awaited:
    """Runs operations on the caller's loop; every call gives an awaitable."""

    def __call__(self, operation: Awaitable[T]) -> Awaitable[T]:
        return operation

    def with_content(self, start: Callable[[Source], Awaitable[T]], content: bytes | AsyncIterator[bytes]) -> Any:
        """Run an operation that reads the caller's content."""
        return self(start(IteratorSource(content)))

    def items(self, pages: AsyncGenerator[Any, None]) -> _Pages:
        """The items of pages, one page at a time."""
        return _Pages(pages, self)


class _Pages:
    """Items of pages; no generator, because a loop that ends closes all generators at once, whatever their order."""

    def __init__(self, pages: AsyncGenerator[Any, None], run: Awaited) -> None:
        self._pages, self._run = pages, run
        self._page: Iterator[Any] = iter(())

    def __aiter__(self) -> _Pages:
        return self

    async def __anext__(self) -> Any:
        while True:
            for item in self._page:
                return item
            page = await self._run(anext(self._pages, None))
            if page is None:
                raise StopAsyncIteration
            self._page = iter(page)

    async def aclose(self) -> None:
        await self._run(self._pages.aclose())


class Pinned(_BoundToLoop, Awaited):
    """Runs operations on the one loop a filesystem is bound to, awaited from another.

    The caller's content is read on the caller's loop.
    """

    def __call__(self, operation: Awaitable[T]) -> Awaitable[T]:
        return self._begin(operation) if self._runs() else self._begin_later(operation)

    def _begin(self, operation: Awaitable[T]) -> Awaitable[T]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_await(operation), self._loop))

    async def _begin_later(self, operation: Awaitable[T]) -> T:
        try:
            await asyncio.to_thread(self._await_loop)
        except BaseException:
            forget(operation)
            raise
        return await self._begin(operation)

    def with_content(self, start: Callable[[Source], Awaitable[T]], content: bytes | AsyncIterator[bytes]) -> Any:
        return self(start(_FromLoop(IteratorSource(content), asyncio.get_running_loop())))


class _FromLoop:
    """Content that is read on another loop."""

    def __init__(self, source: IteratorSource, loop: asyncio.AbstractEventLoop) -> None:
        self.data = source.data
        self._source, self._loop = source, loop

    async def read(self, size: int) -> bytes:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._source.read(size), self._loop))
