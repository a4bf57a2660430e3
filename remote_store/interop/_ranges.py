"""Many ranges of files at once: neighbours in one request, some requests in flight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

GAP = 64 << 10
"""Ranges of a file with no more between them are one request: as much as fsspec's reader of Parquet takes [bytes]."""
LONGEST = 8 << 20
"""Of joined ranges: longer ones are quicker side by side [bytes]."""
IN_FLIGHT = 16


@dataclass
class Request:
    """Bytes `[start, end)` of a file, and which of the wanted ranges they hold."""

    path: Any
    start: Any
    end: Any
    holds: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Ranges:
    """The ranges that somebody wants.

    Args:
        paths: of the files.
        starts: of each range; one for all files where it is a number.
        ends: likewise; counted from the end of the file where negative, all of it where None.

    Raises:
        TypeError: `paths` is no list.
        ValueError: there are not as many of one as of the others.
    """

    paths: list[Any]
    starts: Sequence[int | None]
    ends: Sequence[int | None]

    @classmethod
    def of(cls, paths: Any, starts: Any, ends: Any) -> Ranges:
        """The ranges as fsspec's callers tell them."""
        if not isinstance(paths, list):
            raise TypeError("paths must be a list")
        bounds = [[*one] if isinstance(one, Iterable) else [one] * len(paths) for one in (starts, ends)]
        if any(len(one) != len(paths) for one in bounds):
            raise ValueError("paths, starts and ends must be of one length")
        return cls(paths, *bounds)

    def requests(self, gap: int) -> list[Request]:
        """What to ask for; ranges with up to `gap` bytes between them together."""
        found: list[Request] = []
        plain: list[int] = []
        for number, (path, start, end) in enumerate(zip(self.paths, self.starts, self.ends, strict=True)):
            if end is not None and 0 <= (start or 0) <= end:
                plain.append(number)
            else:  # Only the size of the file tells where these are.
                found.append(Request(path, start, end, [number]))
        last: dict[Any, Request] = {}
        for number in sorted(plain, key=lambda number: self.starts[number] or 0):
            path, start, end = self.paths[number], self.starts[number] or 0, self.ends[number] or 0
            open_one = last.get(path)
            joins = open_one and start - open_one.end <= gap and max(end, open_one.end) - open_one.start <= LONGEST
            if open_one is None or not joins:
                open_one = last[path] = Request(path, start, end)
                found.append(open_one)
            open_one.end = max(end, open_one.end)
            open_one.holds.append(number)
        return found

    def shared_out(self, answers: Iterable[tuple[Request, bytes | Exception]]) -> list[bytes | Exception]:
        """The content of each range, or why there is none, from the answers to all requests."""
        found: list[bytes | Exception] = [b""] * len(self.paths)
        for request, answer in answers:
            for number in request.holds:
                if isinstance(answer, Exception) or len(request.holds) == 1:
                    found[number] = answer
                else:
                    found[number] = answer[(self.starts[number] or 0) - request.start :][: self._length(number)]
        return found

    def _length(self, number: int) -> int:
        return (self.ends[number] or 0) - (self.starts[number] or 0)


def first_raised(found: list[bytes | Exception]) -> list[bytes | Exception]:
    """The same, where nothing failed."""
    for one in found:
        if isinstance(one, Exception):
            raise one
    return found
