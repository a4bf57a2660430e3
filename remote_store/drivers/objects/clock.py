"""What time it is at a service, as its replies tell: what is signed by another clock is refused, or ends too early."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FAR = dt.timedelta(minutes=1)
"""How much clocks may differ before it matters: replies tell whole seconds, and are on their way for a while."""


def time_told(date: object) -> dt.datetime | None:
    """A time as headers tell it (RFC 9110, 5.6.7); None where it is none."""
    try:
        return parsedate_to_datetime(str(date)).astimezone(dt.UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def in_words(difference: dt.timedelta) -> str:
    """By how much clocks differ."""
    return f"{abs(round(difference.total_seconds() / 60))} minutes"


class Clock:
    """The clock of a service."""

    def __init__(self) -> None:
        self._heard: tuple[str, float, float] | None = None

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take note of a reply; one that a cache kept (it has an `Age`) is of another time."""
        if (date := headers.get("Date")) and "Age" not in headers:
            self._heard = date, time.time(), time.monotonic()

    @property
    def told(self) -> dt.datetime | None:
        """What the last reply told."""
        return time_told(self._heard[0]) if self._heard else None

    @property
    def ahead(self) -> dt.timedelta:
        """How far it is ahead of the clock of this machine; 0 where that is not known, or does not matter."""
        if self._heard is None or (told := self.told) is None:
            return dt.timedelta()
        _, wall, ticks = self._heard
        moved = (time.time() - wall) - (time.monotonic() - ticks)  # By who sets this machine's clock, or lets it sleep.
        found = told - dt.datetime.fromtimestamp(wall, dt.UTC)
        return found if abs(moved) < FAR.total_seconds() < abs(found.total_seconds()) else dt.timedelta()

    def now(self) -> dt.datetime:
        """What time it is there; by the clock of this machine where nothing else is known."""
        return dt.datetime.now(dt.UTC) + self.ahead
