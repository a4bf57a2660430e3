"""FTP: what is written is renamed where the server lets it, and sent to its name where not.

fsspec has one connection, which it does not make again, asks for each block of a file anew, and hides errors.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import closing, suppress
from errno import EACCES, ENOENT
from ftplib import Error, error_perm
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from remote_store._errors import BackendUnavailable, RemoteStoreError, StorageFull
from remote_store.drivers.generic.driver import GenericDriver
from remote_store.drivers.generic.files import GenericReader
from remote_store.drivers.profiles import FTP
from remote_store.drivers.publishing.driver import PublishingDriver, Send
from remote_store.io.content import PART, SPOOL_LIMIT


class FTPDriver(PublishingDriver):
    """Files below a folder of a server."""

    profile = FTP

    def __init__(self, fs: Any, root: str, name: str) -> None:
        super().__init__(fs, root, name)
        self._verbs = Calls(fs)
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

    async def open_part(self, key: str, start: int, end: int | None, etag: str | None = None) -> GenericReader:
        return GenericReader(self, key, await self.call("open", key, self.native(key), "rb", start, end))

    async def rename(self, src: str, dst: str, overwrite: bool) -> None:
        await self.call("mv", dst, self.native(src), self.native(dst), writing=True)

    def takes(self, key: str) -> bool:
        return self._renames

    async def publish(self, key: str, overwrite: bool, send: Send) -> None:
        try:
            await super().publish(key, overwrite, send)
        except RemoteStoreError as error:
            # A full server would cut short what is sent to the very name.
            if isinstance(error, StorageFull) or not self._renames or not isinstance(error.__cause__, error_perm):
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


class Calls:
    """The filesystem of fsspec, with content sent and received by one command each."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def info(self, path: str) -> dict[str, Any]:
        path = _absolute(path)
        if path == "/":
            return {"name": path, "type": "directory"}
        found = next((one for one in self.ls(path.rpartition("/")[0]) if one["name"] == path), None)
        if found is None:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        return found

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        """What is in a folder; fsspec takes any error of the server for a root without files."""
        try:
            found = list(self._fs.ftp.mlsd(_absolute(path)))
        except error_perm:  # No such folder, or no such command.
            listed: list[dict[str, Any]] = self._fs.ls(path)
            return listed
        return [
            {
                **facts,
                "name": _absolute(f"{path}/{name}"),
                "type": "directory" if facts["type"] == "dir" else "file",
            }
            for name, facts in found
            if facts["type"] not in ("cdir", "pdir")
        ]

    def cat_file(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        pieces: list[bytes] = []
        self._receive(path, start, end, pieces.append)
        return b"".join(pieces)

    def open(self, path: str, mode: str, start: int = 0, end: int | None = None) -> IO[bytes]:
        """The bytes `[start, end)`, held by this machine: while they come, the server answers nothing else."""
        file = SpooledTemporaryFile(SPOOL_LIMIT)  # noqa: SIM115 (The caller closes it.)
        try:
            self._receive(path, start, end, file.write)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def pipe_file(self, path: str, data: bytes) -> None:
        self._fs.ftp.storbinary(f"STOR {_absolute(path)}", io.BytesIO(data), PART)

    def put_file(self, local: str, path: str) -> None:
        with open(local, "rb") as file:
            self._fs.ftp.storbinary(f"STOR {_absolute(path)}", file, PART)

    def _receive(self, path: str, start: int, end: int | None, take: Callable[[bytes], Any]) -> None:
        ftp, left = self._fs.ftp, 1 << 62 if end is None else end - start
        ftp.voidcmd("TYPE I")
        try:
            connection = ftp.transfercmd(f"RETR {_absolute(path)}", start or None)
        except error_perm as error:
            size = int(self.info(path)["size"])  # Raises for what is gone: 550 means that, or that it may not be read.
            if start and start >= size:
                return
            raise PermissionError(EACCES, str(error)[:3]) from error
        with closing(connection):
            while left and (data := connection.recv(min(left, PART))):
                take(data)
                left -= len(data)
        try:
            ftp.voidresp()  # Says whether all of it came.
        except Error:
            if left:
                raise


def _absolute(path: str) -> str:
    """A path from the root of the server, as fsspec takes it, wherever a login begins."""
    return "/" + path.strip("/")
