"""Credentials of Google's, as gcsfs knows them: found and refreshed in threads, never on an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import google.auth.credentials
import google.oauth2.credentials
from gcsfs.core import GCSFileSystem
from gcsfs.credentials import GoogleCredentials

from remote_store.drivers.gcs.options import METHODS

EARLY = 300
"""How long before they run out credentials are refreshed [s], as gcsfs does."""


def known(token: Any) -> Any:
    """What gcsfs takes for `token` without asking anybody: it would send an access token to Google, in a URL."""
    if isinstance(token, str) and token not in METHODS and not os.path.exists(token):
        return google.oauth2.credentials.Credentials(token)
    if isinstance(token, Mapping):
        return dict(token)
    return token


class Login:
    """The credentials of a filesystem.

    Args:
        fs: the filesystem.
        method: how to find its credentials, once they are needed; None leaves those that it has.
    """

    def __init__(self, fs: GCSFileSystem, method: tuple[Any] | None = None) -> None:
        self._fs, self._method = fs, method
        self._lock = asyncio.Lock()

    @property
    def anonymous(self) -> bool:
        """Whether requests carry no credentials."""
        return self._fs.credentials.credentials is None

    @property
    def found_none(self) -> bool:
        """Whether they do so because none were found."""
        return self.anonymous and self._method is None and self._fs.credentials.token is None

    async def ready(self) -> None:
        """Find credentials, and refresh them before they run out."""
        if self._method is None and self._valid():
            return
        async with self._lock:
            if self._method is not None:
                own, token = self._fs.credentials, self._method[0]
                found = await asyncio.to_thread(GoogleCredentials, own.project, own.access, token, None, own.on_google)
                self._fs.credentials, self._method = found, None
            if not self._valid():
                await asyncio.to_thread(self._fs.credentials.maybe_refresh, EARLY)

    def _valid(self) -> bool:
        credentials: GoogleCredentials = self._fs.credentials
        return credentials.credentials is None or credentials._credentials_valid(EARLY)

    async def renew(self, used: str) -> bool:
        """Get another access token than the one that was refused; whether there is one."""
        async with self._lock:
            if self.anonymous:
                return False
            if self._bearer() == used:
                # Whatever time they have left; those that cannot be refreshed have no end.
                await asyncio.to_thread(self._fs.credentials.maybe_refresh, float("inf"))
            return self._bearer() != used

    def _bearer(self) -> str:
        headers: dict[str, str] = {}
        self._fs.credentials.credentials.apply(headers)
        return headers.get("authorization", "")

    def headers(self, more: Mapping[str, str]) -> dict[str, str]:
        """The headers of a request."""
        headers: dict[str, str] = self._fs._get_headers(more)
        return headers

    @property
    def signer(self) -> Any:
        """Credentials that sign by themselves; None where there are none."""
        found = self._fs.credentials.credentials
        signs = isinstance(found, google.auth.credentials.Signing) and getattr(found, "signer_email", None)
        return found if signs else None
