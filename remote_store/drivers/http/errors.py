"""What web servers refuse, as the contract's errors that say where and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError

from remote_store._errors import InvalidPath, PermissionDenied, RemoteStoreError, file_missing
from remote_store.drivers.errors import DENIED, by_status, from_any_error
from remote_store.drivers.objects.http import AGAIN, wait_told
from remote_store.drivers.objects.tries import Try
from remote_store.drivers.objects.where import Where
from remote_store.drivers.objects.wire import Malformed

NO_FILE = "{host} answers a request for a file with something else"
MISSING = frozenset({404, 410})
STATUSES: dict[int, tuple[type[RemoteStoreError], str]] = {
    401: (PermissionDenied, f"{DENIED}: {{host}} does not accept the credentials, or wants some"),
    403: (PermissionDenied, f"{DENIED}: {{host}} does not allow it"),
    407: (PermissionDenied, f"{DENIED}: a proxy does not accept the credentials, or wants some"),
    414: (InvalidPath, "Path is not valid on this storage: it is too long"),
    451: (PermissionDenied, f"{DENIED}: {{host}} may not give it out, for legal reasons"),
}
"""Status → error, where it means more here than to any service (RFC 9110, RFC 7725)."""


class Refused(Exception):
    """An answer of no use.

    Args:
        status: of it.
        wait: how long the server asks to wait [s].
    """

    def __init__(self, status: int, wait: float = 0) -> None:
        super().__init__(f"status {status}")
        self.status, self.wait = status, wait

    def __reduce__(self) -> tuple[Any, ...]:
        return Refused, (self.status, self.wait)


class Folder(Exception):
    """The server leads from a name to the same with a slash behind it: that is a folder."""


class Site(Where):
    """A web server."""

    OWN = ()

    @property
    def is_own(self) -> bool:
        return False

    def __str__(self) -> str:
        return self.host


class Judge:
    """Decides about further tries of one call; a server may ask once to wait."""

    __slots__ = ("_waited",)

    def __init__(self) -> None:
        self._waited = False

    def __call__(self, error: Exception) -> Try:
        if not isinstance(error, Refused):
            lost = isinstance(error, (aiohttp.ClientError, OSError)) and not isinstance(error, aiohttp.ClientSSLError)
            return Try(again=lost)
        again = error.status in AGAIN and not (error.wait and self._waited)
        self._waited = self._waited or error.wait > 0
        return Try(again, told=f"answered {error.status}", wait=error.wait)


def refused(status: int, headers: Mapping[str, str]) -> Refused:
    """The error for an answer."""
    return Refused(status, wait_told(headers))


def mapped(error: Exception, where: Site, key: str) -> Exception:
    """What is to be raised in place of what requests raise, and what reading their replies does."""
    if isinstance(error, (RemoteStoreError, Folder)):
        return error
    if isinstance(error, Refused):
        return verdict(error, where, key)
    if isinstance(error, (Malformed, HttpProcessingError)):
        return where.malformed(error, key)
    if isinstance(error, (aiohttp.ClientError, TimeoutError)):
        return where.no_answer(error, key)
    if isinstance(error, OSError):
        return from_any_error(error, key, where.backend, place=str(where))
    return error


def verdict(error: Refused, where: Site, key: str) -> RemoteStoreError:
    """The contract's error for a status."""
    if error.status in MISSING:
        return file_missing(key, where.backend)
    kind, message = STATUSES.get(error.status) or by_status(error.status, NO_FILE)
    return kind(message.format(host=where.host, code=error.status), path=key, backend=where.backend)
