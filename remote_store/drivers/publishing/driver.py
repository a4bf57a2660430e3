"""A write on a server that renames: a hidden temporary beside the file, then a rename once all of it is there."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from remote_store._errors import NotFound, RemoteStoreError, file_missing, folder_deleted, not_empty
from remote_store._models import FileInfo, FolderEntry
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.generic.driver import GenericDriver, facts
from remote_store.drivers.generic.files import GenericSink
from remote_store.drivers.profiles import TEMPORARY
from remote_store.drivers.reasons import is_silence

Send = Callable[[str], Awaitable[None]]
"""Writes content to a key."""


def beside(key: str) -> str:
    """A hidden name in the folder of a key."""
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}{TEMPORARY}{secrets.token_hex(8)}"


def is_hidden(name: str) -> bool:
    """Whether a name is that of a temporary."""
    return name.startswith(TEMPORARY)


class PublishingDriver(GenericDriver):
    """A filesystem on whose server a file takes another name in one request; each kind says how in `rename`."""

    def __init__(self, fs: Any, root: str, name: str) -> None:
        super().__init__(fs, root, name, self.profile.capabilities)

    async def rename(self, src: str, dst: str, overwrite: bool) -> None:
        """Give a file another name.

        Raises:
            AlreadyExists: that name is taken, and it must not be replaced.
        """
        raise NotImplementedError

    def takes(self, key: str) -> bool:
        """Whether a file may be renamed to a key; what is written to others goes there at once."""
        return True

    async def publish(self, key: str, overwrite: bool, send: Send) -> None:
        """Let `send` write to a hidden key, which then is the file; it is gone where anything fails."""
        if not self.takes(key):
            return await send(key)
        temp = beside(key)
        try:
            try:
                await send(temp)
            except RemoteStoreError as error:
                if error.path == temp:
                    error.path = key
                raise
            try:
                await self.rename(temp, key, overwrite)
            except NotFound as error:
                raise folder_deleted(key, self.name) from error.__cause__
        except BaseException as error:
            if not is_silence(error):
                with suppress(RemoteStoreError):
                    await self.remove(temp)
            raise

    # --- writing

    async def open_write(self, key: str, options: WriteOptions) -> PublishingSink:
        return PublishingSink(self, key, options.replaces)

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        await self.publish(key, options.replaces, lambda temp: self.store(temp, "pipe_file", self.native(temp), data))
        return {}

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        copying = super().copy
        await self.publish(dst, overwrite, lambda temp: copying(src, temp, True))

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        there = await self.info(dst) if overwrite else None
        if not self.takes(dst) or (isinstance(there, FileInfo) and facts(there) == facts(await self.info(src))):
            # Those of equal facts may be one file by two names, which a rename would leave as it is, or destroy.
            return await super().move(src, dst, overwrite)
        parent = dst.rpartition("/")[0]
        if there is None and parent and await self.info(parent) is None:
            await self.call("makedirs", dst, self.native(parent), exist_ok=True, writing=True)
        try:
            await self.rename(src, dst, overwrite)
        except NotFound as error:
            raise file_missing(src, self.name) from error.__cause__

    # --- hidden names

    async def remove_folder(self, key: str, recursive: bool) -> None:
        if recursive:
            return await super().remove_folder(key, True)
        names = [native.rpartition("/")[2] for native, _ in await self._children(key)]
        if not all(map(is_hidden, names)):
            raise not_empty(key, self.name)
        for name in names:
            with suppress(NotFound):
                await self.remove(f"{key}/{name}")
        try:
            await self.call("rmdir", key, self.native(key), writing=True)
        except RemoteStoreError:
            if await self._children(key):
                raise not_empty(key, self.name) from None
            raise

    async def _entries(self, folder: str) -> Iterable[tuple[str, FileInfo | FolderEntry]]:
        return ((name, entry) for name, entry in await super()._entries(folder) if not is_hidden(name))


class PublishingSink(GenericSink):
    """Content of unknown length, published when all of it has been sent."""

    def __init__(self, driver: PublishingDriver, key: str, overwrite: bool) -> None:
        super().__init__(driver, key)
        self._publisher, self._overwrite = driver, overwrite

    async def commit(self) -> Mapping[str, Any]:
        try:
            await self._publisher.publish(self._key, self._overwrite, self.send)
        finally:
            await self.abort()
        return {}
