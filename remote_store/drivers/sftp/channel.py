"""One channel to an SFTP server: many requests in flight, answers in any order, silence bounded."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import asyncssh
from asyncssh import SFTPClient, SFTPError, SSHClientConnection
from asyncssh.packet import PacketDecodeError, String, UInt32, UInt64
from asyncssh.sftp import SFTPClientHandler

from remote_store.drivers.sftp.packets import Answer, Ask, Attributes, Names, decoded, is_end

T = TypeVar("T")
LARGEST = 255 << 10
"""Most bytes of a file in a request, whatever more a server allows: OpenSSH's own limit."""
UNTOLD_READ, UNTOLD_WRITE = 32 << 10, 128 << 10
"""The same where a server does not tell its limits."""
LOST = (asyncssh.Error, OSError, EOFError, PacketDecodeError)
"""What the end of a connection raises; refusals are answers here, and raise nothing."""


class ConnectionGone(Exception):
    """The server is not there, or does not answer like one; its cause says why."""


class _Opening(asyncio.Future[Any]):
    """An answer that is a handle, and so must not be lost."""


class Channel:
    """A channel, and the connection that it takes with it when it ends.

    Requests go out at once, in order; OpenSSH, asyncssh and rclone begin with each in that order, too.

    Args:
        connection: that it is on.
        client: of asyncssh, that opened it.
        timeout: how long the answer may take that is due first, and all those to a question together [s].
        owned: whether the connection was made for it.

    Attributes:
        connection, client: as given.
        plain_folders: keys of folders to which no link leads, as far as was seen.
        links: whether hard links refuse to replace, None before that was tried.
    """

    def __init__(self, connection: SSHClientConnection, client: SFTPClient, timeout: float, owned: bool = True) -> None:
        self.connection, self.client, self._timeout, self._owned = connection, client, timeout, owned
        self._handler: SFTPClientHandler = client._handler
        self._loop = asyncio.get_running_loop()
        self._due: dict[asyncio.Future[Any], None] = {}  # In the order in which they were sent.
        self._since = 0.0  # When the first of these became the first.
        self._asking: dict[tuple[asyncio.Future[Any], ...], float] = {}  # Since when all their answers are waited for.
        self._timer: asyncio.TimerHandle | None = None
        self._failure: BaseException | None = None
        self.plain_folders: dict[str, None] = {"": None}
        self.links: bool | None = None
        self.root: bytes | None = None
        limits, told = self._handler.limits, self._handler._supports_limits
        self.read_size = min(limits.max_read_len, LARGEST) if told else UNTOLD_READ
        self.write_size = min(limits.max_write_len, LARGEST) if told else UNTOLD_WRITE

    @property
    def alive(self) -> bool:
        """Whether requests can be sent, as far as is known."""
        writer = self._handler._writer
        return self._failure is None and writer is not None and not writer.channel.is_closing()

    def can(self, extension: str) -> bool:
        """Whether the server says that it has an extension, as asyncssh names it, such as `"fsync"`."""
        return bool(getattr(self._handler, f"_supports_{extension}"))

    # --- requests

    def send(self, ask: Ask | bytes, *arguments: bytes) -> asyncio.Future[Any]:
        """Send a request; `answers` waits for what comes back.

        Raises:
            ConnectionGone: the connection has been lost.
        """
        opens = ask in (Ask.OPEN, Ask.OPENDIR)
        waiter = _Opening(loop=self._loop) if opens else self._loop.create_future()
        if not self._due:
            self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._look_at_silence)
        try:
            self._handler._send_request(ask if isinstance(ask, bytes) else int(ask), arguments, waiter)
        except LOST as error:
            raise ConnectionGone from self._failure or error
        self._due[waiter] = None
        waiter.add_done_callback(self._hear)
        return waiter

    def _hear(self, waiter: asyncio.Future[Any]) -> None:
        if waiter is next(iter(self._due)):
            self._since = self._loop.time()
        del self._due[waiter]
        if not waiter.cancelled():
            waiter.exception()  # Lest asyncio reports it where nobody waits.

    def ask_path(self, ask: Ask, path: bytes, *more: bytes) -> asyncio.Future[Any]:
        """Send a request about a path."""
        return self.send(ask, String(path), *more)

    def ask_read(self, handle: bytes, start: int, size: int) -> asyncio.Future[Any]:
        """Ask for bytes of an open file."""
        return self.send(Ask.READ, String(handle), UInt64(start), UInt32(size))

    def ask_write(self, handle: bytes, start: int, data: bytes) -> asyncio.Future[Any]:
        """Send bytes for an open file."""
        return self.send(Ask.WRITE, String(handle), UInt64(start), String(data))

    def ask_extended(self, extension: bytes, *paths: bytes) -> asyncio.Future[Any]:
        """Send a request of an extension about paths, or a handle."""
        return self.send(extension, *map(String, paths))

    def post(self, ask: Ask | bytes, *arguments: bytes) -> None:
        """Send a request whose answer nobody waits for."""
        if self.alive:
            self.send(ask, *arguments)

    def close_handle(self, handle: bytes) -> None:
        """Close a file that was read, or a listing, without waiting."""
        self.post(Ask.CLOSE, String(handle))

    async def answers(self, *waiters: asyncio.Future[Any], content: bool = False) -> list[Answer]:
        """The answers to requests; refusals are among them.

        Args:
            waiters: of the requests.
            content: whether content goes along, which may take as long as it moves on; otherwise all have one deadline.

        Raises:
            ConnectionGone: the connection was lost before, what came is no answer, or they take too long.
        """
        found: list[Answer] = []
        if not content:
            self._asking[waiters] = self._loop.time()
        try:
            for waiter in waiters:
                kept = asyncio.shield(waiter) if isinstance(waiter, _Opening) and not waiter.done() else waiter
                found.append(decoded(*await kept))
        except LOST as error:
            if isinstance(error, PacketDecodeError):
                self.abort(error)
            raise ConnectionGone from self._failure or error
        finally:
            self._asking.pop(waiters, None)
            for waiter in waiters[len(found) :]:
                if isinstance(waiter, _Opening):
                    self.discard(waiter)
        return found

    async def answer(self, waiter: asyncio.Future[Any], *, content: bool = False) -> Answer:
        """The answer to one request."""
        return (await self.answers(waiter, content=content))[0]

    def discard(self, opening: asyncio.Future[Any]) -> None:
        """Close what a request opens, once it is open."""
        opening.add_done_callback(self._dispose)

    def _dispose(self, waiter: asyncio.Future[Any]) -> None:
        """Close what was opened for somebody who no longer waits."""
        if not waiter.cancelled() and waiter.exception() is None:
            kind, packet = waiter.result()
            handle = decoded(kind, packet)
            if isinstance(handle, bytes):
                self.close_handle(handle)

    # --- the end

    def _look_at_silence(self) -> None:
        self._timer = None
        if not self._due:
            return
        now = self._loop.time()
        silent = now - min(self._since, next(iter(self._asking.values()), now))
        if silent >= self._timeout:
            self.abort(TimeoutError("no answer"))
        else:
            self._timer = self._loop.call_later(self._timeout - silent, self._look_at_silence)

    def abort(self, why: BaseException | None = None) -> None:
        """End the channel at once; whoever waits for an answer gets `ConnectionGone`."""
        self._failure = self._failure or why or ConnectionAbortedError("closed")
        if self._timer is not None:
            self._timer.cancel()
        if self._owned:
            self.connection.abort()
        else:
            self.client.exit()

    async def close(self) -> None:
        """End the channel, and wait until it has ended."""
        self._failure = self._failure or ConnectionAbortedError("closed")
        if self._timer is not None:
            self._timer.cancel()
        self.client.exit()
        if self._owned:
            self.connection.close()
            try:
                async with asyncio.timeout(min(self._timeout, 5)):
                    await self.connection.wait_closed()
            except TimeoutError:
                self.connection.abort()


def _expected(kind: type[T], answer: Answer, why: str) -> T:
    if isinstance(answer, SFTPError):
        raise answer
    if not isinstance(answer, kind):
        raise ConnectionGone from PacketDecodeError(why)
    return answer


def handle_in(answer: Answer) -> bytes:
    """The handle, data or reply in an answer; raises what it refuses."""
    return _expected(bytes, answer, "neither a handle nor data")


def data_in(answer: Answer) -> bytes:
    """The bytes of a file in an answer, none at its end; raises what it refuses."""
    return b"" if is_end(answer) else handle_in(answer)


def attributes_in(answer: Answer) -> Attributes:
    """The attributes in an answer; raises what it refuses."""
    return _expected(Attributes, answer, "no attributes")


def names_in(answer: Answer) -> Names:
    """The names in an answer; raises what it refuses, the end of a listing included."""
    return _expected(list, answer, "no names")


def done(answer: Answer) -> None:
    """Raise what an answer refuses."""
    if isinstance(answer, SFTPError):
        raise answer
