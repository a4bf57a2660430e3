"""Backends that stores of equal definition share: in a process, and in an event loop."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from remote_store._backend import Backend
from remote_store.aio._backend import AsyncBackend
from remote_store.config._recipe import Recipe, make_async


@dataclass(eq=False)
class Shared:
    """What stores of equal recipes share."""

    recipe: Recipe
    lock: threading.Lock = field(default_factory=threading.Lock)
    backend: Backend | None = None


class OnLoop:
    """The asynchronous backends of the running event loop; they are closed with it."""

    def __init__(self) -> None:
        self._backends: dict[Shared, AsyncBackend] = {}
        self._life = self._live()
        try:
            # Begun here, the generator is known to the loop, which closes it when it ends (`shutdown_asyncgens`).
            self._life.asend(None).send(None)
        except StopIteration as begun:
            self._closing: AsyncExitStack = begun.value

    async def _live(self) -> AsyncGenerator[AsyncExitStack, None]:
        async with AsyncExitStack() as closing:
            yield closing

    def get(self, shared: Shared) -> AsyncBackend:
        """The backend of a recipe, made once."""
        if shared not in self._backends:
            self._backends[shared] = make_async(shared.recipe)
            self._closing.push_async_callback(self._backends[shared].aclose)
        return self._backends[shared]

    async def aclose(self) -> None:
        """Close them all."""
        await self._life.aclose()
