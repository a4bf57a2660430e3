"""SMB, by smbclient of smbprotocol: a hard link creates a file, and a rename replaces one.

A rename that must not replace is no way to create: Samba looks first, and of many racing ones two may succeed. A link
never replaces.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import time
import weakref
from errno import EBUSY
from typing import Any, BinaryIO

import smbclient
from smbclient._io import SMBFileTransaction, SMBRawIO, set_info
from smbprotocol.exceptions import SMBOSError
from smbprotocol.file_info import FileDispositionInformation, FileLinkInformation
from smbprotocol.open import FilePipePrinterAccessMask as Access

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import (
    BackendUnavailable,
    CapabilityNotSupported,
    InvalidPath,
    RemoteStoreError,
    ResourceLocked,
    file_missing,
)
from remote_store.drivers.errors import unreachable
from remote_store.drivers.profiles import SMB
from remote_store.drivers.publishing.driver import PublishingDriver
from remote_store.drivers.publishing.smb_connections import Connections
from remote_store.drivers.publishing.smb_statuses import ACCESS_DENIED, DELETE_PENDING, LOST, NAME_INVALID, VERDICTS
from remote_store.io.content import PART

_log = logging.getLogger(__name__)
PATIENCE = 5.0
"""How long a file is waited for that others hold open [s]."""
PAUSE = 0.02
NOT_ALLOWED = re.compile(
    r'[*?:"<>|\x00-\x1f]|[. ](?:/|$)|(?:^|/)(?:con|prn|aux|nul|(?:com|lpt)\d)(?:[./]|$)', re.IGNORECASE
)
"""What names on Windows cannot be, or what it takes for another name."""


class SMBDriver(PublishingDriver):
    """Files below a folder of a share."""

    profile = SMB
    checks_ascii = True

    def __init__(self, fs: Any, root: str, name: str) -> None:
        if ".." in root.replace("\\", "/").split("/"):
            raise ValueError(f"the root {root!r} must not lead upwards")
        super().__init__(fs, root, name)
        self._verbs = Calls(fs)

    def check_key(self, key: str) -> None:
        if NOT_ALLOWED.search(key):
            raise InvalidPath(
                "Path is not valid on SMB: it has a name that Windows has not", path=key, backend=self.name
            )

    def verdict(self, error: Exception, key: str, writing: bool = False) -> RemoteStoreError:
        found = self._verdict(error, key, writing)
        if isinstance(found, BackendUnavailable):
            self._verbs.hang_up()
        return found

    def _verdict(self, error: Exception, key: str, writing: bool) -> RemoteStoreError:
        status = getattr(error, "ntstatus", None) or getattr(error, "status", None)
        if status in LOST:
            return unreachable(error, key, self.name, self.place, "the connection was lost")
        verdict = VERDICTS.get(status) if isinstance(status, int) else None
        if verdict is None:
            return super().verdict(error, key, writing)
        if not writing and (verdict is VERDICTS[NAME_INVALID] or status == DELETE_PENDING):
            return file_missing(key, self.name)
        return verdict.error(verdict.message, path=key, backend=self.name)

    async def rename(self, src: str, dst: str, overwrite: bool) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            creates = not overwrite and Capability.EXCLUSIVE_CREATE in self.capabilities
            verb = "link" if creates else "replace" if overwrite else "rename"
            try:
                await self.call(verb, dst, self.native(src), self.native(dst), writing=True)
                return
            except ResourceLocked:
                if time.monotonic() > end:
                    raise
                time.sleep(PAUSE)  # noqa: ASYNC251 (In a thread; without the lock, as own readers may hold the file.)
            except CapabilityNotSupported:
                if not creates:
                    raise
                self.capabilities = CapabilitySet(self.capabilities - {Capability.EXCLUSIVE_CREATE})
                _log.warning("%s has no hard links: no exclusive creation", self.place)

    async def close(self) -> None:
        if self.owned:
            self._verbs.hang_up()


class Calls:
    """What the server is asked, under the names that fsspec has for it; paths begin with the share.

    fsspec's own connection is one for all filesystems of a process on one host, whatever their credentials are, and no
    child may use it after a fork.
    """

    def __init__(self, fs: Any) -> None:
        self._host = fs.host
        if "_remote_store_connections" not in vars(fs):
            fs._remote_store_connections = Connections(fs.timeout)
            weakref.finalize(fs, fs._remote_store_connections.hang_up)
        self._connections: Connections = fs._remote_store_connections
        self._options: dict[str, Any] = {
            "port": fs.port or 445,
            "username": fs.username,
            "password": fs.password,
            "encrypt": fs.encrypt,
            "connection_timeout": fs.timeout,
            "connection_cache": self._connections.cache,
        }

    def hang_up(self) -> None:
        self._connections.hang_up()

    def _connected(self) -> dict[str, Any]:
        """What smbclient is told of the connection, which there is."""
        self._connections.connect(self._host, self._options["port"])
        return self._options

    def _path(self, path: str) -> str:
        return f"\\\\{self._host}\\" + path.strip("/").replace("/", "\\")

    # --- questions

    def info(self, path: str) -> dict[str, Any]:
        found = smbclient.stat(self._path(path), **self._connected())
        is_folder = stat.S_ISDIR(found.st_mode)
        return _entry(path, is_folder, found.st_size, found.st_mtime)

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        found = list(smbclient.scandir(self._path(path), **self._connected()))
        facts = [(one.name, one.is_dir(), one.smb_info) for one in found]
        return [
            _entry(f"{path}/{name}", is_folder, info.end_of_file, info.last_write_time)
            for name, is_folder, info in facts
        ]

    # --- content

    def open(self, path: str, mode: str) -> BinaryIO:
        file: BinaryIO = smbclient.open_file(self._path(path), mode, share_access="rwd", **self._connected())
        return file

    def cat_file(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        with self.open(path, "rb") as file:
            file.seek(start)
            return file.read() if end is None else file.read(end - start)

    def pipe_file(self, path: str, data: bytes) -> None:
        with self.open(path, "wb") as file:
            file.write(data)

    def put_file(self, local: str, path: str) -> None:
        with open(local, "rb") as source, self.open(path, "wb") as file:
            shutil.copyfileobj(source, file, PART)

    def cp_file(self, src: str, dst: str) -> None:
        smbclient.copyfile(self._path(src), self._path(dst), **self._connected())

    # --- names

    def makedirs(self, path: str, exist_ok: bool = True) -> None:
        smbclient.makedirs(self._path(path), exist_ok=exist_ok, **self._connected())

    def rename(self, src: str, dst: str) -> None:
        smbclient.rename(self._path(src), self._path(dst), **self._connected())

    def replace(self, src: str, dst: str) -> None:
        try:
            smbclient.replace(self._path(src), self._path(dst), **self._connected())
        except SMBOSError as error:
            if error.ntstatus != ACCESS_DENIED:
                raise
            with self._held(dst, Access.DELETE):  # Else it may not be replaced at all.
                raise OSError(EBUSY, os.strerror(EBUSY)) from error

    def link(self, src: str, dst: str) -> None:
        """Link the new name to the file, then delete the old name of just that file."""
        with self._held(src, Access.DELETE | Access.FILE_WRITE_ATTRIBUTES) as file:
            linking, dropping = FileLinkInformation(), FileDispositionInformation()
            linking["replace_if_exists"] = False
            linking["file_name"] = self._path(dst).split("\\", 4)[4]
            dropping["delete_pending"] = True
            for step in (linking, dropping):
                with SMBFileTransaction(file) as transaction:
                    set_info(transaction, step)

    def _held(self, path: str, access: int) -> Any:
        return SMBRawIO(self._path(path), mode="r", share_access="rwd", desired_access=access, **self._connected())

    def rm_file(self, path: str) -> None:
        smbclient.remove(self._path(path), **self._connected())

    def rmdir(self, path: str) -> None:
        smbclient.rmdir(self._path(path), **self._connected())


def _entry(path: str, is_folder: bool, size: int, modified: Any) -> dict[str, Any]:
    if is_folder:
        return {"name": path, "type": "directory"}
    return {"name": path, "type": "file", "size": size, "modified": modified}
