"""Content that shows whether it is whole, and instants at which to kill its writer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from helpers.processes import Fork, Signals

SEED = 20261127


def payload(number: int, size: int) -> bytes:
    """`size` bytes, all of which say the same number."""
    return number.to_bytes(8, "big") * (size // 8)


def is_whole(data: bytes, size: int) -> bool:
    return len(data) == size and data == data[:8] * (size // 8)


class Killer:
    """Kills processes in the middle of their work, at random instants that a seed repeats as far as time does.

    Args:
        seed: what the instants depend on, beside `SEED`.
        within: the last of them, after work has begun [s]; less where work turns out to be over before.

    Attributes:
        kills: how many were killed before their work was over.
    """

    def __init__(self, seed: str, within: float) -> None:
        self._random = random.Random(f"{SEED} {seed}")
        self._within, self._longest, self.kills = within, within, 0

    def kill(self, work: Callable[[Callable[[], None]], Any]) -> None:
        """Start `work` in a process, and kill that some time after it has called its argument."""
        with Signals() as begun, Signals() as over, Fork(lambda: (work(begun.send), over.send())) as child:
            begun.wait()
            ended = over.within(self._random.uniform(0, self._within))
            child.kill()
        self.kills += not ended
        self._within = min(self._within * (0.7 if ended else 1.1), self._longest)
