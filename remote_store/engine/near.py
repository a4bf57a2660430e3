"""Running operations in the caller's thread as far as they go there, and on a filesystem's own loop from there on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, TypeVar

from remote_store.engine.runners import OnLoop
from remote_store.io.content import FileSource, Source
from remote_store.io.near import begin

T = TypeVar("T")


class Near(OnLoop):
    """Begins operations here; those that ask for the loop take one hop to it.

    What several threads may do to one writer, and content that is read on request, stay on the loop from the start.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._on_loop = OnLoop(loop)

    @property
    def throughout(self) -> OnLoop:
        return self._on_loop

    def __call__(self, operation: Awaitable[T], *content: Any) -> T:
        if content:
            return self._on_loop(operation, *content)
        self._refuse_here(operation)
        ended, outcome = begin(operation)
        try:
            result: T = outcome if ended else self._on_loop(outcome)
            return result
        finally:
            del outcome  # Break the error → traceback → frame cycle.

    def with_content(self, start: Callable[[Source], Awaitable[T]], content: bytes | BinaryIO) -> T:
        local = FileSource(content)
        return self(start(local)) if local.data is not None else self._on_loop.with_content(start, content)

    def let_go(self, operation: Awaitable[Any]) -> None:
        ended, rest = begin(operation)
        if not ended:
            self._on_loop.let_go(rest)
