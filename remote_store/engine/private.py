"""An event loop of one's own: how a synchronous program runs asynchronous code that is bound to no loop yet."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Generic, TypeVar, cast

from remote_store._content import Source
from remote_store.engine.run import Call, OnLoop, forget

T = TypeVar("T")
END: Any = object()
"""What a pull gives after the last item."""
_log = logging.getLogger("remote_store")


def in_running_loop() -> bool:
    """Whether this thread is running an event loop just now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class LoopClosed(RuntimeError):
    """The loop has been closed."""


class PrivateLoop(OnLoop):
    """Runs operations on a loop in a daemon thread, until it is closed for good.

    Args:
        owner: name of the class whose loop it is; errors and log records begin with it.
        last: what the loop runs when it is closed.
    """

    def __init__(self, owner: str, last: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.new_event_loop()
        super().__init__(loop)
        self._owner, self._last = owner, last
        self.closed = False
        # A finalizer may come in the middle of anything, also of what holds the gate in the same thread.
        self._gate = threading.RLock()
        self._pulls: weakref.WeakSet[Pull[Any]] = weakref.WeakSet()
        self._thread = threading.Thread(target=_run, args=(loop,), name=owner, daemon=True)
        self._thread.start()

    @property
    def forked(self) -> bool:
        """Whether this is a child process, into which the thread did not come along."""
        return self._pid != os.getpid()

    def check(self) -> None:
        """Refuse what could only wait for ever.

        Raises:
            RuntimeError: in a forked child, after close, or in a thread that runs an event loop.
        """
        if self.forked:
            raise RuntimeError(f"{self._owner} cannot be used in a forked process; make a new one there")
        if self.closed:
            raise LoopClosed(f"{self._owner} is closed")
        if in_running_loop():
            raise RuntimeError(f"{self._owner} cannot be called from a running event loop; use AsyncStore there")

    def _check(self, operation: Awaitable[Any]) -> None:
        try:
            self.check()
        except RuntimeError:
            forget(operation)
            raise

    def _begin(self, call: Call[Any]) -> None:
        with self._gate:
            if not self.closed:
                return super()._begin(call)
        call.drop()
        raise LoopClosed(f"{self._owner} is closed")

    def __call__(self, operation: Awaitable[T]) -> T:
        with self._ended():
            return super().__call__(operation)

    def with_content(self, start: Callable[[Source], Awaitable[T]], content: bytes | BinaryIO) -> T:
        with self._ended():
            return super().with_content(start, content)

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Tell a call that was cancelled by a close what happened."""
        try:
            yield
        except CancelledError as error:
            if not self.closed:
                raise
            raise LoopClosed(f"{self._owner} is closed; this call was cancelled") from error

    def begin(self, operation: Awaitable[T]) -> Call[T] | None:
        """Start what nobody need wait for, from any thread and finalizer; None where the loop is no more."""
        call = Call(self._loop, operation)
        if not self.forked and not sys.is_finalizing():
            with suppress(LoopClosed):
                self._begin(call)
                return call
        call.drop()
        return None

    def watch(self, pull: Pull[Any]) -> None:
        """Close `pull` with the loop."""
        self._pulls.add(pull)

    # --- the end

    def close(self, timeout: float | None) -> None:
        """Drain what is in flight, and end the loop and its thread.

        Args:
            timeout: how long to wait for that [s]; None for ever. What is still running then is logged and cancelled.
        """
        if self.forked:
            self.closed = True
            return
        if in_running_loop():
            self.check()
        self.begin_close()
        self._thread.join(timeout)
        if self._thread.is_alive():
            left = self._unfinished()
            _log.warning("%s close timed out after %s s; %d unfinished: %r", self._owner, timeout, len(left), left)
            self._loop.call_soon_threadsafe(self._give_up)

    def begin_close(self) -> None:
        """Let the loop drain and end, without waiting for it; safe to repeat, and in a finalizer."""
        with self._gate:
            if self.closed or self.forked or sys.is_finalizing():
                return
            self.closed = True
            asyncio.run_coroutine_threadsafe(self._drain(), self._loop)

    async def _drain(self) -> None:
        self._drainer = asyncio.current_task()
        try:
            for endings in ([self._last], [pull.aclose for pull in list(self._pulls)]):
                tasks = [asyncio.ensure_future(self._quietly(ending)) for ending in endings]
                await self._others()
                await asyncio.gather(*tasks)
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()
        finally:
            self._loop.stop()

    async def _others(self) -> None:
        while others := self._unfinished():
            await asyncio.wait(others)

    def _unfinished(self) -> list[asyncio.Task[Any]]:
        drainer = self.__dict__.get("_drainer")
        return [task for task in asyncio.all_tasks(self._loop) if task is not drainer]

    async def _quietly(self, ending: Callable[[], Awaitable[None]]) -> None:
        try:
            await ending()
        except Exception:
            _log.warning("%s: an error while closing", self._owner, exc_info=True)

    def _give_up(self) -> None:
        for task in self._unfinished():
            task.cancel()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class Pull(Generic[T]):
    """An async iterator that is consumed from another thread, one item at a time."""

    def __init__(self, loop: PrivateLoop, items: AsyncIterator[T]) -> None:
        self.loop, self._items = loop, items
        self.done = False
        self._turn = asyncio.Lock()  # A pull that was cancelled may still be on its way out.
        loop.watch(self)

    def next(self) -> T:
        """The next item, or `END`, which is also what comes of a loop that was closed before."""
        return cast("T", END) if self.done or self.loop.closed else self.loop(self._next())

    async def _next(self) -> T:
        async with self._turn:
            if self.done:
                return cast("T", END)
            try:
                return await anext(self._items)
            except StopAsyncIteration:
                await self._let_go()
                return cast("T", END)
            except BaseException:
                with suppress(Exception):
                    await self._let_go()
                raise

    async def aclose(self) -> None:
        """Let go of the iterator; safe to repeat."""
        async with self._turn:
            if not self.done:
                await self._let_go()

    async def _let_go(self) -> None:
        self.done = True
        if hasattr(self._items, "aclose"):
            await self._items.aclose()

    def close(self) -> None:
        """Let go of the iterator, and wait for that unless this thread runs an event loop."""
        closing = self.abandon()
        if closing is not None and not in_running_loop():
            closing.result()

    def abandon(self) -> Call[None] | None:
        """Let go of the iterator without waiting; safe in a finalizer, in any thread."""
        return None if self.done else self.loop.begin(self.aclose())
