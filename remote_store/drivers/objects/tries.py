"""The tries of one call: a few, with waits that grow, within its deadline."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

from remote_store.drivers.objects.where import last_failure

FIRST_WAIT = 0.5
"""About how long to wait before the second try; twice as long before each further one [s]."""


class Try(NamedTuple):
    """What a service's driver knows of a try that failed.

    Args:
        again: whether another one could do better.
        unheard: whether it may have been carried out all the same.
        told: what the service answered, for messages; `""` where it did not.
        wait: how long the service asks to wait [s].
    """

    again: bool
    unheard: bool = False
    told: str = ""
    wait: float = 0


class Tries:
    """Decides about further tries.

    Args:
        retries: how many there may be after the first.
        timeout: deadline of the call [s].
        judged: what is known of an error.

    Attributes:
        unheard: whether a try so far may have been carried out all the same.
    """

    __slots__ = ("_judged", "_left", "_loop", "_until", "_wait", "unheard")

    def __init__(self, retries: int, timeout: float, judged: Callable[[Exception], Try]) -> None:
        self._loop, self._judged = asyncio.get_running_loop(), judged
        self._left, self._wait, self._until = retries, FIRST_WAIT, self._loop.time() + timeout
        self.unheard = False

    async def again(self, error: Exception) -> None:
        """Wait before the next try; raise `error` where there is none, or none that could end in time.

        The error then tells in its attribute `unheard` whether a try before it may have been carried out.
        """
        found = self._judged(error)
        last_failure.set(found.told or error)
        wait = max(self._wait * random.uniform(0.5, 1.5), found.wait)  # noqa: S311 (no secret)
        if not found.again or self._left <= 0 or self._loop.time() + wait > self._until:
            error.__dict__["unheard"] = self.unheard
            raise error
        self.unheard = self.unheard or found.unheard
        self._left, self._wait = self._left - 1, self._wait * 2
        await asyncio.sleep(wait)
