"""What tests of SFTP share: stores on a server, and a count of round trips."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from servers.sshd import SFTPPlace

from remote_store.aio import AsyncSFTPBackend, AsyncStore
from remote_store.drivers.sftp.channel import Channel


def sftp_store(place: SFTPPlace, root: str, **options: Any) -> AsyncStore:
    """A store of a folder of a server."""
    return AsyncStore(AsyncSFTPBackend("127.0.0.1", root, **{**place.options, **options}))


class Trips:
    """Counts round trips: a wait counts if it is for something that was sent after the last one.

    Attributes:
        count: round trips so far.
        requests: all that were sent, by number or by name.
    """

    def __init__(self) -> None:
        self.count = 0
        self.requests: list[Any] = []
        self._sent: dict[Any, int] = {}

    def sent(self, ask: Any, waiter: Any) -> None:
        self.requests.append(ask)
        self._sent[waiter] = self.count

    def awaited(self, waiters: tuple[Any, ...]) -> None:
        self.count += any(self._sent.get(waiter) == self.count for waiter in waiters)


@contextmanager
def counted() -> Iterator[Trips]:
    """Count the round trips of all channels."""
    trips = Trips()
    send, answers = Channel.send, Channel.answers

    def counting(self: Channel, ask: Any, *arguments: bytes) -> asyncio.Future[Any]:
        waiter = send(self, ask, *arguments)
        trips.sent(ask, waiter)
        return waiter

    async def waiting(self: Channel, *waiters: asyncio.Future[Any], **options: bool) -> list[Any]:
        found = await answers(self, *waiters, **options)
        trips.awaited(waiters)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Channel, "send", counting)
        patch.setattr(Channel, "answers", waiting)
        yield trips
