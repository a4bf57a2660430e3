"""How a file gets another name on a server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncssh import SFTPError

from remote_store._errors import RemoteStoreError, file_missing, source_changed, target_exists
from remote_store.drivers.sftp.channel import Channel
from remote_store.drivers.sftp.errors import FAILURE, MISSING
from remote_store.drivers.sftp.packets import (
    HARDLINK,
    NO_ATTRIBUTES,
    POSIX_RENAME,
    STATVFS,
    Answer,
    Ask,
    Attributes,
    space_in,
)
from remote_store.drivers.sftp.places import Place, parents
from remote_store.drivers.sftp.writing import sync_folder

if TYPE_CHECKING:
    from remote_store.drivers.sftp.driver import SFTPDriver


async def rename(driver: SFTPDriver, channel: Channel, source: Place, target: Place, overwrite: bool) -> bool:
    """Rename in one step where that may replace, by a hard link and a delete where not; False to another device.

    Who cancels it waits for its end: it leaves no file with two names.
    """
    work = asyncio.ensure_future(_rename(driver, channel, source, target, overwrite))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # Lest asyncio reports it.
        raise


async def _rename(driver: SFTPDriver, channel: Channel, source: Place, target: Place, overwrite: bool) -> bool:
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
        looking = [channel.ask_path(Ask.LSTAT, place.path) for place in (source, target)] if links else []
        answers = await channel.answers(*making, renaming, *looking)
        renamed = answers[len(above)]
        emptied = [folder for folder, answer in zip(above, answers, strict=False) if answer is None]
        if isinstance(renamed, SFTPError):
            elsewhere = renamed.code == FAILURE and await _is_elsewhere(channel, source.path, target.path)
            await _undo(channel, emptied)
            if elsewhere:
                return False
            raise renamed
        if links:
            still, placed = answers[-2:]
            wrong = await _drop_old_name(driver, channel, source, target, still, placed)
            if wrong is not None:
                await _undo(channel, emptied, target if placed in (still, source.entry) else None)
                raise wrong
        # A rename between two names of one file does nothing (POSIX), and what is at the old name may be a new file.
        if driver.durable:
            await sync_folder(channel, target.path)
            await sync_folder(channel, source.path)
    return True


async def _drop_old_name(
    driver: SFTPDriver, channel: Channel, source: Place, target: Place, still: Answer, placed: Answer
) -> Exception | None:
    """Delete the old name of a file that has got a new one; what is wrong where it cannot be deleted.

    Of two that move a file at once, one finds the old name gone. A new file of others at that name is kept, as far as
    size, time, mode and owner tell it from the old one.
    """
    if isinstance(still, Attributes):
        if still != placed:
            return source_changed(source.key, target.key, driver.name)
        still = await channel.answer(channel.ask_path(Ask.REMOVE, source.path))
    if isinstance(still, SFTPError):
        return file_missing(source.key, driver.name) if still.code in MISSING else still
    return None


async def _undo(channel: Channel, folders: list[bytes], target: Place | None = None) -> None:
    """Delete the new name of a file that still has, or had, another one, and the folders that were made for it."""
    undoing = [channel.ask_path(Ask.REMOVE, target.path)] if target else []
    await channel.answers(*undoing, *(channel.ask_path(Ask.RMDIR, folder) for folder in reversed(folders)))


async def _is_elsewhere(channel: Channel, *paths: bytes) -> bool:
    """Whether the folders of two paths are on different file systems, as far as the server tells."""
    if not channel.can("statvfs"):
        return False
    folders = [path.rpartition(b"/")[0] or (b"/" if path.startswith(b"/") else b".") for path in paths]
    replies = await channel.answers(*(channel.ask_extended(STATVFS, folder) for folder in folders))
    return len({space_in(reply).identity for reply in replies if isinstance(reply, bytes)}) > 1
