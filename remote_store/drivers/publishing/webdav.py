"""WebDAV: one request a call, and every character of a key quoted."""

from __future__ import annotations

from contextlib import nullcontext
from http import HTTPStatus
from typing import Any

from webdav4.client import HTTPError

from remote_store._errors import RemoteStoreError, file_missing, target_exists
from remote_store.drivers.errors import by_status
from remote_store.drivers.generic.files import GenericReader
from remote_store.drivers.profiles import WEBDAV
from remote_store.drivers.publishing.driver import PublishingDriver
from remote_store.drivers.publishing.webdav_requests import MISTAKEN, Requests
from remote_store.io.ranges import RangeReader
from remote_store.io.streams import BytesReader, Reader

STRANGER = "What answers at {host} is no WebDAV server"
MISSING = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT})
"""The last where the folder above is missing."""


class WebDAVDriver(PublishingDriver):
    """Files below a folder of a server; requests of several threads run side by side."""

    profile = WEBDAV

    def __init__(self, fs: Any, root: str, name: str) -> None:
        super().__init__(fs, root, name)
        self._verbs = Requests(fs)
        self.lock = nullcontext()  # Of httpx several threads may ask at once.

    def verdict(self, error: Exception, key: str, writing: bool = False) -> RemoteStoreError:
        if not isinstance(error, HTTPError):
            return super().verdict(error, key, writing)
        if error.status_code in MISSING:
            return file_missing(key, self.name)
        if error.status_code == HTTPStatus.PRECONDITION_FAILED:
            return target_exists(key, self.name)
        kind, message = by_status(error.status_code, STRANGER)
        return kind(message.format(host=self.place, code=error.status_code), path=key, backend=self.name)

    async def open_part(self, key: str, start: int, end: int | None, etag: str | None = None) -> Reader:
        file = await self.call("open", key, self.native(key), "rb", start, end)
        return BytesReader(b"") if file is None else RangeReader(GenericReader(self, key, file), start, end)

    def takes(self, key: str) -> bool:
        return not MISTAKEN.search(self.native(key))

    async def rename(self, src: str, dst: str, overwrite: bool) -> None:
        await self.call("move", dst, self.native(src), self.native(dst), overwrite, writing=True)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        if recursive:  # One request, which takes all that is below.
            await self.call("rm_tree", key, self.native(key), writing=True)
        else:
            await super().remove_folder(key, recursive)

    async def close(self) -> None:
        if self.owned:
            self._fs.client.http.close()
