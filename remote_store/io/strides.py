"""What one hop to another thread brings of a file, kept in pieces so that each byte is copied once."""

from __future__ import annotations

from collections.abc import Sequence


class Stride:
    """What a hop has brought of a file, in the pieces in which it came, and how far they were taken.

    Args:
        start: place of the first byte.
        pieces: none of them empty.
        before: pieces of the hop before, which were taken, and to which a seek may lead back.
    """

    def __init__(self, start: int = 0, pieces: Sequence[bytes] = (), before: Sequence[bytes] = ()) -> None:
        self._start, self._pieces = start - sum(map(len, before)), (*before, *pieces)
        self._brought = len(pieces)
        self._index, self._taken = len(before), 0  # Of the piece that is taken next, and what was taken of it.

    @property
    def pieces(self) -> Sequence[bytes]:
        """What this hop has brought."""
        return self._pieces[len(self._pieces) - self._brought :]

    @property
    def is_over(self) -> bool:
        return self._index == len(self._pieces)

    def into(self, buffer: memoryview) -> int:
        """Copy as much as fits; gives how much it was."""
        count, room = 0, len(buffer)
        while count < room and self._index < len(self._pieces):
            left = memoryview(self._pieces[self._index])[self._taken : self._taken + room - count]
            buffer[count : count + len(left)] = left
            count += len(left)
            self._taken += len(left)
            if self._taken == len(self._pieces[self._index]):
                self._index, self._taken = self._index + 1, 0
        return count

    def rest(self) -> list[memoryview]:
        """All that was not taken."""
        first, self._taken = self._taken, 0
        left, self._index = self._pieces[self._index :], len(self._pieces)
        return [memoryview(piece)[0 if number else first :] for number, piece in enumerate(left)]

    def seek(self, place: int) -> bool:
        """Go on at a place of the file; False where it lies elsewhere."""
        ahead = place - self._start
        if ahead < 0:
            return False
        for index, piece in enumerate(self._pieces):
            if ahead < len(piece):
                self._index, self._taken = index, ahead
                return True
            ahead -= len(piece)
        return False
