"""FTP: what is written is renamed where the server lets it, and sent to its name where not.

fsspec has one connection, and makes a lost one not again.
"""

from __future__ import annotations

from contextlib import suppress
from ftplib import error_perm
from typing import Any

from remote_store._errors import BackendUnavailable, RemoteStoreError
from remote_store.drivers.generic.driver import GenericDriver
from remote_store.drivers.profiles import FTP
from remote_store.drivers.publishing.driver import PublishingDriver, Send


class FTPDriver(PublishingDriver):
    """Files below a folder of a server."""

    profile = FTP

    def __init__(self, fs: Any, root: str, name: str) -> None:
        super().__init__(fs, root, name)
        self._renames = True

    async def call(self, verb: str, key: str, *args: Any, writing: bool = False, **options: Any) -> Any:
        try:
            with self.lock:
                if self._fs.ftp.sock is None:  # Closed, or lost.
                    self._fs._connect()
        except Exception as error:
            raise self.verdict(error, key, writing) from error
        try:
            return await super().call(verb, key, *args, writing=writing, **options)
        except BackendUnavailable:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        """Close the connection; the next call makes it again."""
        with suppress(Exception), self.lock:
            self._fs.ftp.close()

    async def close(self) -> None:
        if self.owned:
            self._hang_up()

    async def rename(self, src: str, dst: str, overwrite: bool) -> None:
        await self.call("mv", dst, self.native(src), self.native(dst), writing=True)

    def takes(self, key: str) -> bool:
        return self._renames

    async def publish(self, key: str, overwrite: bool, send: Send) -> None:
        try:
            await super().publish(key, overwrite, send)
        except RemoteStoreError as error:
            if not self._renames or not isinstance(error.__cause__, error_perm):
                raise
            # Some servers replace nothing by a rename, and some accounts may do nothing but send.
            await send(key)
            self._renames = False

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        try:
            await super().move(src, dst, overwrite)
        except RemoteStoreError as error:
            if not self._renames or not isinstance(error.__cause__, error_perm):
                raise
            await GenericDriver.move(self, src, dst, overwrite)
