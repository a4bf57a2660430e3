"""Files of the generic driver, being read and being written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from remote_store.drivers.base import Sink
from remote_store.io.content import SPOOL_LIMIT, spooling

if TYPE_CHECKING:
    from remote_store.drivers.generic.driver import GenericDriver


class GenericReader:
    """An open fsspec file, read one call at a time."""

    def __init__(self, driver: GenericDriver, key: str, file: Any) -> None:
        self._driver, self._key, self._file = driver, key, file
        self._async = driver.runs == "native"

    async def _call(self, verb: str, *args: Any) -> Any:
        try:
            if self._async:
                return await getattr(self._file, verb)(*args)
            with self._driver.lock:
                return getattr(self._file, verb)(*args)
        except Exception as error:
            raise self._driver.verdict(error, self._key) from error

    async def read(self, size: int) -> bytes:
        return bytes(await self._call("read", size))

    async def seek(self, offset: int, whence: int) -> int:
        return int(await self._call("seek", offset, whence))

    async def close(self) -> None:
        await self._call("close")


class GenericSink(Sink):
    """Content of unknown length, collected here before the filesystem is given any of it."""

    def __init__(self, driver: GenericDriver, key: str) -> None:
        self._driver, self._key = driver, key
        self._head = bytearray()
        self._file: IO[bytes] | None = None

    async def write(self, data: bytes) -> None:
        if self._file is None and len(self._head) + len(data) <= SPOOL_LIMIT:
            self._head += data
            return
        with spooling(self._key, self._driver.name):
            if self._file is None:
                fd, self._path = tempfile.mkstemp(prefix="remote-store-")
                self._file = os.fdopen(fd, "wb")
                self._file.write(self._head)
                self._head.clear()
            self._file.write(data)

    async def commit(self) -> Mapping[str, Any]:
        try:
            await self.send(self._key)
        finally:
            await self.abort()
        return {}

    async def send(self, key: str) -> None:
        """Give the filesystem the content, under a key."""
        driver = self._driver
        if self._file is None:
            await driver.store(key, "pipe_file", driver.native(key), bytes(self._head))
            return
        with spooling(self._key, driver.name):
            self._file.flush()
        await driver.store(key, "put_file", self._path, driver.native(key))

    async def abort(self) -> None:
        if self._file is not None:
            self._file.close()
            os.unlink(self._path)
            self._file = None
