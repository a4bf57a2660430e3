"""What is tried again: connections, and questions and reads, which change nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import asyncssh

from remote_store._errors import BackendUnavailable
from remote_store.drivers.objects.tries import Tries, Try
from remote_store.drivers.sftp.channel import LOST
from remote_store.drivers.sftp.proxying import ProxyFailed

if TYPE_CHECKING:
    from remote_store.drivers.sftp.driver import SFTPDriver

P = ParamSpec("P")
T = TypeVar("T")


def _refused(error: Exception) -> Try:
    """What is to be done about a connection that was not made; only the network, or a server that is busy, may mend."""
    if isinstance(error, ProxyFailed):
        return Try(error.again)
    return Try(isinstance(error, ConnectionError | TimeoutError | socket.gaierror | asyncssh.ConnectionLost))


def _lost(error: Exception) -> Try:
    """What is to be done about a question whose connection was lost."""
    return Try(isinstance(error.__cause__, LOST))


class Attempts:
    """How often, and how long, a server is tried to be reached.

    Args:
        timeout: deadline of a call [s].
        retries: how many tries there may be after the first.
    """

    def __init__(self, timeout: float, retries: int = 0) -> None:
        self.timeout, self.retries = timeout, retries

    async def connected(self, connect: Callable[[], Awaitable[T]]) -> T:
        """What connecting gives."""
        tries = Tries(self.retries, self.timeout, _refused)
        async with asyncio.timeout(self.timeout):
            while True:
                try:
                    return await connect()
                except LOST as error:
                    await tries.again(error)


def again(
    call: Callable[Concatenate[SFTPDriver, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[SFTPDriver, P], Coroutine[Any, Any, T]]:
    """A call of the driver that changes nothing, and so is made once more where its connection was lost meanwhile."""

    async def tried(self: SFTPDriver, /, *args: P.args, **options: P.kwargs) -> T:
        attempts = self.connections.attempts
        tries = Tries(attempts.retries, attempts.timeout, _lost)
        while True:
            try:
                return await call(self, *args, **options)
            except BackendUnavailable as error:
                if not self.connections.made:
                    raise  # Connecting has been tried as often as it may be.
                await tries.again(error)

    def as_told(self: SFTPDriver, /, *args: P.args, **options: P.kwargs) -> Coroutine[Any, Any, T]:
        # Without a step in between where there is but one try, as there is unless it is asked for.
        return (tried if self.connections.attempts.retries else call)(self, *args, **options)

    return as_told
