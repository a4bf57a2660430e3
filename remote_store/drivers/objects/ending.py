"""Work that is done to its end, whoever is cancelled while waiting for it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(work: asyncio.Future[T]) -> T:
    """What comes of work that goes on however often the caller is cancelled, who is so once it has ended."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not work.cancelled():
            work.exception()  # Nobody else asks for it.
        raise cancelled
    return work.result()
