"""A private event loop, in a thread: on it a synchronous program runs asynchronous code."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, wait
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar, cast

from remote_store.engine.runners import Call, OnLoop, forget, settle

T = TypeVar("T")
END: Any = object()
"""What `RemoteIterator.next` gives after the last item."""
CLOSING = 30.0
"""How long a stream or listing that is closed waits for its producer to end [s]."""
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


class LoopThread(OnLoop):
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
        # Reentrant: a finalizer may run in a thread that holds the gate.
        self._gate = threading.RLock()
        self.pulls: set[RemoteIterator[Any]] = set()
        """The iterators that have begun; touched by the loop's thread alone."""
        self._drained = threading.Event()
        self._drainer: asyncio.Task[None] | None = None
        self._given_up = False
        self._thread = threading.Thread(target=_run, args=(loop, self._drained), name=owner, daemon=True)
        try:
            self._thread.start()
        except BaseException:
            loop.close()
            raise

    @property
    def forked(self) -> bool:
        """Whether this is a child process, into which the thread did not come along."""
        return self._pid != os.getpid()

    def check(self) -> None:
        """Refuse a call that could only wait for ever.

        Raises:
            RuntimeError: in a forked child, after close, or in a thread that runs an event loop.
        """
        if not self.forked and (self.closed or sys.is_finalizing()):
            raise LoopClosed(f"{self._owner} is closed")
        self.check_thread()

    def check_thread(self) -> None:
        """The part of `check` that is about the caller, not about the state of the loop."""
        if self.forked:
            raise RuntimeError(f"{self._owner} cannot be used in a forked process; make a new one there")
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

    def __call__(self, operation: Awaitable[T], *content: Any) -> T:
        with self.ended():
            return super().__call__(operation, *content)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Raise `LoopClosed` in a call that a close has cancelled."""
        try:
            yield
        except CancelledError as error:
            if not self.closed:
                raise
            raise LoopClosed(f"{self._owner} is closed; this call was cancelled") from error

    def begin(self, operation: Awaitable[T]) -> Call[T] | None:
        """Start an operation without waiting for it, from any thread or finalizer; None where the loop is closed."""
        call = Call(self._loop, operation)
        if not self.forked and not sys.is_finalizing():
            with suppress(LoopClosed):
                self._begin(call)
                return call
        call.drop()
        return None

    # --- the end

    def close(self, timeout: float | None) -> None:
        """Wait for the operations in flight, then end the loop and its thread.

        Args:
            timeout: how long to wait for them [s]; None for ever. Those still running then are logged and cancelled.
        """
        if self.forked:
            self.closed = True
            return
        if sys.is_finalizing() or self._given_up or (self.closed and not self._thread.is_alive()):
            return
        self.check_thread()
        self.begin_close()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._given_up = True
            left = ", ".join(tasks := [repr(task) for task in self._unfinished()])  # As they are now.
            _log.warning("%s close timed out after %s s; %d unfinished: [%s]", self._owner, timeout, len(tasks), left)
            with suppress(RuntimeError):  # It has ended meanwhile.
                self._loop.call_soon_threadsafe(self._cancel_all)

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
            # All at once, because one may wait for another to end.
            endings = [self._last, *(pull.aclose for pull in self.pulls)]
            tasks = [asyncio.ensure_future(self._quietly(ending)) for ending in endings]
            while others := self._unfinished():
                await asyncio.wait(others)
            await asyncio.gather(*tasks)
            await self._loop.shutdown_asyncgens()
            with suppress(RuntimeError):  # No thread can be begun any more when the interpreter ends.
                await self._loop.shutdown_default_executor()
        finally:
            self._drained.set()
            self._loop.stop()

    def _unfinished(self) -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks(self._loop) if task is not self._drainer]

    async def _quietly(self, ending: Callable[[], Awaitable[None]]) -> None:
        try:
            await ending()
        except GeneratorExit:
            raise
        except BaseException as error:
            if not (self._given_up and isinstance(error, asyncio.CancelledError)):
                _log.warning("%s: an error while closing", self._owner, exc_info=True)

    def _cancel_all(self) -> None:
        for task in self._unfinished():
            task.cancel()
        self._loop.call_later(1.0, self._cancel_all)  # A cancelled task may hang while it cleans up.


def _run(loop: asyncio.AbstractEventLoop, drained: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    try:
        while not drained.is_set():
            with suppress(SystemExit, KeyboardInterrupt):  # Raised by a task of the backend; the loop goes on.
                loop.run_forever()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class RemoteIterator(Generic[T]):
    """An async iterator that is consumed from another thread, one item at a time.

    It runs in one task from its first item to its end, as it would in an `async for`, so that a timeout, a task group
    or a context variable may span its yields.

    Attributes:
        done: whether it is over, in whatever way.
        ended: whether it came to its own end.
    """

    def __init__(self, loop: LoopThread, items: AsyncIterator[T]) -> None:
        self.loop, self._items = loop, items
        self.done = self.ended = False
        self._task: asyncio.Task[None] | None = None
        self._wanted: asyncio.Queue[asyncio.Future[Any] | None] = asyncio.Queue()
        self._asking: asyncio.Future[Any] | None = None
        self._error: BaseException | None = None
        self._context = contextvars.copy_context()

    def next(self) -> T:
        """The next item, or `END`, which is also what comes of a loop that was closed before."""
        return cast("T", END) if (self.done and self._error is None) or self.loop.closed else self.loop(self._next())

    async def _next(self) -> T:
        if self.done:
            error, self._error = self._error, None
            if error is not None:
                raise error
            return cast("T", END)
        loop = asyncio.get_running_loop()
        if self._task is None:
            self._task = loop.create_task(self._run(), context=self._context)
            self._task._log_destroy_pending = False  # type: ignore[attr-defined]  # An unclosed adapter warns itself.
            self.loop.pulls.add(self)
        reply: asyncio.Future[T] = loop.create_future()
        self._wanted.put_nowait(reply)
        try:
            return await reply
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        finally:
            del reply  # Break the error → traceback → frame cycle.

    async def _run(self) -> None:
        """Answer each request with an item, until there is none, or None is wanted."""
        reply: asyncio.Future[Any] | None = None
        outcome: Any = END
        try:
            await self._answer_all()
        except BaseException as error:
            outcome = error
        reply, self._asking = self._asking, None
        if reply is None and outcome is not END:
            self._error = outcome
        try:
            await self._let_go()
        except BaseException as error:
            if outcome is END:
                outcome = error
                self._error = None if reply else error
        if reply is not None:
            settle(reply, outcome)
        outcome = reply = None  # Break the error → traceback → frame cycle.
        while not self._wanted.empty():
            if (late := self._wanted.get_nowait()) is not None:
                settle(late, END)

    async def _answer_all(self) -> None:
        ahead: Any = None  # An item that came before it was asked for; no item is None.
        while True:
            try:
                self._asking = await self._wanted.get()
            except asyncio.CancelledError as error:
                ahead = await self._cancel_idle(error)
                continue
            if self._asking is None:
                return
            item, ahead = await anext(self._items, END) if ahead is None else ahead, None
            if item is END:
                self.ended = True
                return
            settle(self._asking, item)
            self._asking = None

    async def _cancel_idle(self, error: BaseException) -> Any:
        """Deliver a cancellation, such as that of its own timeout, to an idle iterator; gives what it yields then."""
        if not hasattr(self._items, "athrow"):
            raise error
        try:
            return await self._items.athrow(error)
        except StopAsyncIteration:
            return END

    async def _let_go(self) -> None:
        self.done = True
        try:
            if hasattr(self._items, "aclose"):
                await self._items.aclose()
        finally:
            self.loop.pulls.discard(self)

    async def aclose(self) -> None:
        """Close the iterator, after the item that is under way; safe to repeat."""
        if self._task is not None:
            self._wanted.put_nowait(None)
            await asyncio.shield(self._task)
            error, self._error = self._error, None
            if error is not None:
                raise error
        elif not self.done:
            await self._let_go()

    def close(self) -> None:
        """Close the iterator, and wait for its end unless this thread runs an event loop."""
        closing = self.abandon()
        if closing is not None and not in_running_loop():
            # Bounded: the collector may call this in a thread that holds a lock which the iterator's end needs.
            with self.loop.ended():
                if wait([closing.future], CLOSING).done:
                    closing.result()

    def abandon(self) -> Call[None] | None:
        """Close the iterator without waiting; safe in a finalizer, in any thread."""
        return None if self.done else self.loop.begin(self.aclose())
