"""Operations that begin in the caller's thread, and go on on an event loop once they come to need it."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Generator
from typing import Any


class _Thread(threading.local):
    begins = False


_thread = _Thread()


def in_callers_thread() -> bool:
    """Whether the operation under way was begun in this thread, without a loop, and may block it."""
    return _thread.begins


class _Move:
    def __await__(self) -> Generator[None, None, None]:
        yield


async def to_loop() -> None:
    """Go on on the loop; where the operation is there already, do nothing."""
    if _thread.begins:
        await _Move()


def begin(operation: Any) -> tuple[bool, Any]:
    """Run an operation in this thread: whether it came to its end, and its result, or else what is left of it."""
    before, _thread.begins = _thread.begins, True
    try:
        asked = operation.send(None)
    except StopIteration as stop:
        return True, stop.value
    finally:
        _thread.begins = before
    if asked is not None:
        operation.close()
        raise RuntimeError("an operation waited for something in its caller's thread")
    return False, Rest(operation)


class Rest(Awaitable[Any]):
    """What is left of an operation that has begun, to be awaited elsewhere."""

    def __init__(self, operation: Any) -> None:
        self._operation = operation
        self.send, self.throw, self.close = operation.send, operation.throw, operation.close

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._operation.send(None)
