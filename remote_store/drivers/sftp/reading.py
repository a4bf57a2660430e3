"""How files are read: several requests ahead, as many as the reader is fast."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from typing import TYPE_CHECKING, Any

from remote_store.drivers.sftp.channel import Channel, attributes_in, data_in
from remote_store.drivers.sftp.packets import Ask, text
from remote_store.io.streams import before_start

if TYPE_CHECKING:
    from remote_store.drivers.sftp.driver import SFTPDriver

AHEAD = 4 << 20
"""Most bytes that are asked for before they are wanted."""
AT_ONCE = 2 << 20
"""Up to here a file is read by requests that all go out together [bytes]."""


class SFTPReader:
    """An open file.

    Args:
        driver: whose file it is.
        key: of the file.
        channel: that it is open on.
        handle: of the file.
        size: as the server told it; requests go no further, but for one that may find more.
    """

    def __init__(self, driver: SFTPDriver, key: str, channel: Channel, handle: bytes, size: int) -> None:
        self._driver, self._key, self._channel, self._handle, self._size = driver, key, channel, handle, size
        self._position = self._asked = 0
        self._window = 1
        self._held = b""
        self._coming: deque[tuple[int, asyncio.Future[Any]]] = deque()

    async def read(self, size: int) -> bytes:
        if not self._held:
            async with self._driver.talking(self._key):
                self._held = await self._next(size)
        data, self._held = self._held[:size], self._held[size:]
        self._position += len(data)
        return data

    async def _next(self, wanted: int) -> bytes:
        """The bytes that the server gives next."""
        channel, most = self._channel, self._channel.read_size
        if not self._coming:
            self._asked = self._position
        ahead = self._window * most if self._window > 1 else max(1, min(wanted, AHEAD))
        while self._asked < self._position + ahead and (self._asked <= self._size or not self._coming):
            size = min(most, max(1, self._position + ahead - self._asked)) if self._window == 1 else most
            if self._asked < self._size:  # Whether more follows there is asked at the same time.
                size = min(size, self._size - self._asked)
            self._coming.append((size, channel.ask_read(self._handle, self._asked, size)))
            self._asked += size
        self._window = min(self._window * 2, max(2, AHEAD // most))
        size, waiter = self._coming.popleft()
        try:
            data = data_in(await channel.answer(waiter, content=True))
        except BaseException:
            self._drop()  # What follows is not what comes next.
            raise
        if len(data) < size:  # Servers may give less than they were asked for, at the end or anywhere.
            self._drop()
        return data

    def _drop(self) -> None:
        """Forget what was asked for ahead."""
        for _, waiter in self._coming:
            waiter.cancel()
        self._coming.clear()

    async def seek(self, offset: int, whence: int) -> int:
        base = self._position if whence == io.SEEK_CUR else 0
        if whence == io.SEEK_END:
            async with self._driver.talking(self._key):
                told = attributes_in(await self._channel.answer(self._channel.send(Ask.FSTAT, text(self._handle))))
            base = self._size = told.size or 0
        if base + offset < 0:
            raise before_start()
        if base + offset >= 1 << 63:
            raise OverflowError("no file is so long")
        if base + offset != self._position:
            self._drop()
            self._held, self._window = b"", 1
        self._position = base + offset
        return self._position

    async def close(self) -> None:
        self._drop()
        self._channel.close_handle(self._handle)


async def read_at_once(channel: Channel, handle: bytes, start: int, end: int, size: int) -> bytes | None:
    """The bytes `[start, end)` of an open file, which is closed; None where it is not of this size any more.

    One byte more than there should be is asked for: the file may have been replaced before it was opened.
    """
    most, last = channel.read_size, min(end, size + 1)
    asked = [(at, min(most, last - at)) for at in range(start, last, most)]
    waiters = [channel.ask_read(handle, at, length) for at, length in asked]
    *answers, _ = await channel.answers(*waiters, channel.send(Ask.CLOSE, text(handle)), content=True)
    pieces = [data_in(answer) for answer in answers]
    full = all(len(piece) == length for piece, (_, length) in zip(pieces[:-1], asked[:-1], strict=True))
    if not full or sum(map(len, pieces)) != min(end, size) - start:
        return None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
