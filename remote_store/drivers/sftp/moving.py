"""How a file gets another name on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncssh import SFTPError

from remote_store._errors import RemoteStoreError, file_missing, target_exists
from remote_store.drivers.sftp.channel import Channel, done
from remote_store.drivers.sftp.errors import FAILURE
from remote_store.drivers.sftp.packets import HARDLINK, NO_ATTRIBUTES, POSIX_RENAME, STATVFS, Ask, Attributes, space_in
from remote_store.drivers.sftp.places import Place, parents
from remote_store.drivers.sftp.writing import sync_folder

if TYPE_CHECKING:
    from remote_store.drivers.sftp.driver import SFTPDriver


async def rename(driver: SFTPDriver, channel: Channel, source: Place, target: Place, overwrite: bool) -> bool:
    """Rename in one step where that may replace, by a hard link and a delete where not; False to another device."""

    async def judge(error: SFTPError) -> RemoteStoreError | None:
        now, there = await driver.look(source.key), await driver.look(target.key)
        if now.entry is None:
            return file_missing(source.key, driver.name)
        there.check_writable(driver.name)
        return target_exists(target.key, driver.name) if there.entry is not None and not overwrite else None

    async with driver.talking(target.key, judge):
        links = not overwrite and await driver.links(channel, source.path)
        above = parents(driver.root, target)
        making = [channel.ask_path(Ask.MKDIR, folder, NO_ATTRIBUTES) for folder in above]
        renaming = channel.ask_extended(HARDLINK if links else POSIX_RENAME, source.path, target.path)
        looking = channel.ask_path(Ask.LSTAT, source.path)
        *made, renamed, still = await channel.answers(*making, renaming, looking)
        if isinstance(renamed, SFTPError):
            elsewhere = renamed.code == FAILURE and await _is_elsewhere(channel, source.path, target.path)
            emptied = [folder for folder, answer in zip(above, made, strict=True) if answer is None]
            await channel.answers(*(channel.ask_path(Ask.RMDIR, folder) for folder in reversed(emptied)))
            if elsewhere:
                return False
            raise renamed
        # A rename between two names of one file does nothing (POSIX).
        if links or isinstance(still, Attributes):
            done(await channel.answer(channel.ask_path(Ask.REMOVE, source.path)))
        if driver.durable:
            await sync_folder(channel, target.path)
            await sync_folder(channel, source.path)
    return True


async def _is_elsewhere(channel: Channel, *paths: bytes) -> bool:
    """Whether the folders of two paths are on different file systems, as far as the server tells."""
    if not channel.can("statvfs"):
        return False
    folders = [path.rpartition(b"/")[0] or (b"/" if path.startswith(b"/") else b".") for path in paths]
    replies = await channel.answers(*(channel.ask_extended(STATVFS, folder) for folder in folders))
    return len({space_in(reply).identity for reply in replies if isinstance(reply, bytes)}) > 1
