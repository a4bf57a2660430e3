"""What an open file remembers of its content, and how much of it to fetch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass

from fsspec.caching import BaseCache, register_cache

LEAST = 256 << 10
"""What a jump fetches at least [bytes]."""
GAP = 1 << 20
"""What may be left out without a jump: to fetch it takes no longer than a request [bytes]."""
LITTLE = 64 << 10
"""Jumps that ask for no more look for something, as in archives and HDF5; columns of tables are longer [bytes]."""
REQUEST = 4 << 20
"""What a service sends in the time of a request: 20 ms at 200 MB/s [bytes]."""
GROWTH = 8
MOST_BLOCKS = 4


@dataclass(frozen=True)
class Piece:
    """Content of a file from `start` on, and the window when it was fetched [bytes]."""

    start: int
    data: bytes
    ahead: int

    @property
    def stop(self) -> int:
        return self.start + len(self.data)


class Windows(BaseCache):  # type: ignore[misc]
    """Reads ahead as far as it pays, and remembers: pyarrow's threads read a file in any order.

    A file that is read from its front on is fetched a block ahead. A jump fetches what is asked and little more: it may
    be one column of a table, or one file of an archive. While reading goes on from there, the window grows up to a
    block again. After many jumps for little a small file is fetched a block ahead, too: its rest takes less time.

    One block is kept while a file is read from front to back, else four.

    Args:
        blocksize: the largest window [bytes].
        fetcher: gives the content from one place to another.
        size: of the file [bytes].
    """

    name = "windows"

    def __init__(self, blocksize: int, fetcher: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(blocksize, fetcher, size)
        self._least = min(LEAST, blocksize)
        self._pieces: dict[int, Piece] = {}  # By start, without overlaps; what was used last comes last.
        self._starts: list[int] = []
        self._jumps = self._fetched = self._held = self._at = 0
        self._scattered = False

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        start, stop = start or 0, self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        self._scattered, self._at = self._scattered or start != self._at, stop
        begin, end = self._lacking(start, stop)
        if begin < end:
            self._add(begin, end)
        return self._take(start, stop)

    def _add(self, begin: int, end: int) -> None:
        """Fetch a range and what lies around it, in one piece and without what is here already at either end."""
        ahead, first, last = self._window(begin, end)
        begin, last = self._lacking(first, min(last, self.size))
        data = self.fetcher(begin, last)
        self._fetched += len(data)
        self._held += len(data)
        for start in self._starts[bisect_left(self._starts, begin) : bisect_left(self._starts, last)]:
            self._drop(start)
        self._pieces[begin] = Piece(begin, data, ahead)
        insort(self._starts, begin)

    def _window(self, begin: int, end: int) -> tuple[int, int, int]:
        """The window for a range that is lacking, and from where to where to fetch."""
        before = self._before(begin)
        if before and begin - before.stop <= min(GAP, self.blocksize):
            ahead = min(GROWTH * before.ahead, self.blocksize)
        elif self._at_front(begin) or self._rest_is_cheap():
            ahead = self.blocksize
        else:
            self._jumps += end - begin <= LITTLE
            ahead = min(max(self._least, (end - begin) // GROWTH), self.blocksize)
            # At the end of a file is its directory, which is longer than what is read of it first.
            return ahead, max(0, min(begin, self.size - self._least)), max(end, begin + self._least)
        return ahead, begin, end + ahead

    def _at_front(self, begin: int) -> bool:
        return not self._fetched and begin <= self._least

    def _rest_is_cheap(self) -> bool:
        """Whether jumps for little took longer than the rest of the file would, all of which can be kept."""
        can_be_kept = self.size <= MOST_BLOCKS * self.blocksize
        return bool(can_be_kept and self._jumps * REQUEST >= self.size - self._fetched)

    def _lacking(self, start: int, stop: int) -> tuple[int, int]:
        """A range without what is here already at its ends."""
        while start < stop and (piece := self._before(start)) and start < piece.stop:
            start = piece.stop
        while start < stop and (piece := self._before(stop - 1)) and stop <= piece.stop:
            stop = piece.start
        return start, stop

    def _before(self, position: int) -> Piece | None:
        """The last piece that starts at `position` or before."""
        index = bisect_right(self._starts, position)
        return self._pieces[self._starts[index - 1]] if index else None

    def _take(self, start: int, stop: int) -> bytes:
        first = max(0, bisect_right(self._starts, start) - 1)
        taken = []
        for key in self._starts[first : bisect_left(self._starts, stop)]:
            piece = self._pieces[key] = self._pieces.pop(key)
            taken.append(piece.data[max(0, start - key) : stop - key])
        self._forget(len(taken))
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _forget(self, used: int) -> None:
        """Drop what was used least recently, but nothing of the last `used` pieces."""
        room = self.blocksize * (MOST_BLOCKS if self._scattered else 1)
        while self._held > room and len(self._pieces) > used:
            self._drop(next(iter(self._pieces)))

    def _drop(self, start: int) -> None:
        self._held -= len(self._pieces.pop(start).data)
        del self._starts[bisect_left(self._starts, start)]


register_cache(Windows, clobber=True)
