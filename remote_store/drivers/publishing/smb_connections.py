"""Connections to SMB servers, on which no answer is waited for without end, as smbprotocol would."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from errno import EBADF
from typing import Any

from smbclient import ClientConfig
from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException

from remote_store import _fork


class _Socket:
    """A socket that knows when it heard something last: an answer may be long, and come slowly.

    Args:
        sock: of the operating system.
    """

    def __init__(self, sock: Any) -> None:
        self._sock, self.heard = sock, -math.inf

    def recv(self, size: int) -> bytes:
        data: bytes = self._sock.recv(size)
        self.heard = time.monotonic()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Bounded(Connection):  # type: ignore[misc]  # It is not typed.
    """A connection whose requests each have a deadline; one that passes ends the connection.

    Attributes:
        deadline: how long an answer may be silent, and how long a piece of a request is sent [s]; None is without end.
        give_up: ends it.
    """

    deadline: float | None = None
    give_up: Callable[[], None]

    def bind(self, deadline: float | None, give_up: Callable[[], None]) -> None:
        """Set the deadline, of what is sent, too, where there is a connection already."""
        self.deadline, self.give_up = deadline, give_up
        if self.transport is not None and self.transport.connected:
            self.transport._sock.settimeout(deadline)
            self.transport._sock = _Socket(self.transport._sock)

    def receive(self, request: Any, wait: bool = True, timeout: float | None = None, *more: Any, **options: Any) -> Any:
        left = self.deadline if timeout is None else timeout
        while True:
            try:
                return super().receive(request, wait, left, *more, **options)
            except SMBException as error:
                if request.response_event.is_set():  # By an answer, or the end of the connection.
                    raise
                if (left := self._left()) > 0:
                    continue
                self.give_up()
                raise TimeoutError("no answer") from error

    def _left(self) -> float:
        """How much longer the answer may be silent of which a part has come [s]; none is left without one."""
        heard = getattr(self.transport._sock, "heard", -math.inf)
        return (self.deadline or 0) - (time.monotonic() - heard)

    def _send(self, *args: Any, **options: Any) -> Any:
        try:
            return super()._send(*args, **options)
        except TimeoutError:
            if threading.current_thread() is not self._t_worker:  # That ends by itself.
                self.give_up()
            raise
        except OSError as error:
            if error.errno != EBADF:
                raise
            raise ConnectionAbortedError("closed") from error  # By the worker, as the server hung up just now.


class _Cache(dict[str, Any]):
    """Connections by host and port, as smbclient keeps them; those to where others lead have deadlines, too."""

    def __init__(self, bind: Callable[[Bounded], None]) -> None:
        super().__init__()
        self._bind = bind

    def __setitem__(self, place: str, connection: Any) -> None:
        connection.__class__ = Bounded
        self._bind(connection)
        super().__setitem__(place, connection)


class Connections:
    """Those of one filesystem; a forked child leaves them alone, as to close one waits for a thread of the parent.

    Args:
        timeout: deadline of connecting, and of each request [s]; None is without end.

    Attributes:
        cache: for smbclient.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self.cache = _Cache(lambda connection: connection.bind(timeout, self.hang_up))
        _fork.watch(self)

    def connect(self, host: str, port: int) -> None:
        """Have a connection, as smbclient would make it; where it fails, nothing of it is left."""
        place = f"{host.lower()}:{port}"
        known = self.cache.get(place)
        if known is not None and known.transport.connected:
            return
        connection = Bounded(ClientConfig().client_guid, host, port)
        connection.bind(self._timeout, lambda: None)
        try:
            connection.connect(timeout=self._timeout)
        except BaseException:
            if connection.transport is not None:
                connection.disconnect(False)
            raise
        self.cache[place] = connection

    def after_fork(self) -> None:
        for connection in self._drop():
            _fork.abandon(connection)

    def hang_up(self) -> None:
        for connection in self._drop():
            connection.disconnect(False)

    def _drop(self) -> Iterator[Any]:
        for host in list(self.cache):
            connection = self.cache.pop(host)
            for session in connection.session_table.values():
                for handle in session.open_table.values():
                    handle._connected = False  # Lest what holds it tries to close it, or is reported as left open.
            yield connection
