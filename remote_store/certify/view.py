"""The handle that checks are written against."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Self, TypeVar

from remote_store._either import EitherStore
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.engine.runners import run_to_end

T = TypeVar("T")


class View(EitherStore):
    """An `AsyncStore`-shaped handle on a store of either kind, and what a check needs to know of it.

    Args:
        store: the store under test.
        other: the same place as another client sees it; this view itself unless given.
        hierarchical: whether a name is a file or a folder, never both.
        empty_folders: whether a folder outlives the last file in it.
        workers: how many callers race.
    """

    def __init__(
        self,
        store: Store | AsyncStore,
        other: View | None = None,
        *,
        hierarchical: bool = True,
        empty_folders: bool = True,
        workers: int = 16,
    ) -> None:
        super().__init__(store)
        self.hierarchical, self.empty_folders, self.workers = hierarchical, empty_folders, workers
        self._other = other

    @property
    def other(self) -> View:
        """The same place as another client sees it."""
        return self._other or self

    def child(self, path: str) -> Self:
        """The same view of a child store."""
        below = object.__new__(type(self))
        other = self._other and self._other.child(path)
        below.__dict__.update(self.__dict__, store=self.store.child(path), _other=other)
        return below

    async def pause(self) -> None:
        """Let other tasks run: one that polls a store in memory never waits."""
        if self.is_async:
            await asyncio.sleep(0)

    async def race(self, contenders: Sequence[Callable[[], Awaitable[T]]]) -> list[T | BaseException]:
        """Results of many operations started together: tasks over an `AsyncStore`, threads over a `Store`."""
        if self.is_async:
            return list(await asyncio.gather(*(start() for start in contenders), return_exceptions=True))
        results: list[T | BaseException] = [RuntimeError("did not run")] * len(contenders)
        gate = threading.Barrier(len(contenders))

        def contend(index: int) -> None:
            gate.wait(30)
            try:
                results[index] = run_to_end(contenders[index]())
            except BaseException as error:
                results[index] = error

        threads = [threading.Thread(target=contend, args=(index,)) for index in range(len(contenders))]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            for thread in threads:  # Files of writers that outlive an interrupt would never be removed.
                thread.join()
            raise
        return results

    async def together(self, contenders: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Results of operations started together; raises what one of them raised."""
        results: list[T] = []
        for outcome in await self.race(contenders):
            if isinstance(outcome, BaseException):
                raise outcome
            results.append(outcome)
        return results
