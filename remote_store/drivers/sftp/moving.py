"""How a file gets another name on a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncssh import SFTPError

from remote_store._errors import RemoteStoreError, file_missing, source_changed, target_exists
from remote_store.drivers.sftp.channel import Channel, done
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
from remote_store.drivers.sftp.places import Place, decoded_name, parents
from remote_store.drivers.sftp.writing import new_temp, sync_folder

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
        links = not overwrite and await driver.links(channel, driver.try_links(channel, source.path))
        above = parents(driver.root, target)
        making = [channel.ask_path(Ask.MKDIR, folder, NO_ATTRIBUTES) for folder in above]
        twin = new_temp(target.path)
        steps = [(HARDLINK, source.path, twin), (HARDLINK, twin, target.path)] if links else []
        steps = steps or [(POSIX_RENAME, source.path, target.path)]
        renaming = [channel.ask_extended(*step) for step in steps]
        answers = await channel.answers(*making, *renaming, channel.ask_path(Ask.LSTAT, target.path))
        placed = answers.pop()
        refused = next((one for one in answers[len(above) :] if isinstance(one, SFTPError)), None)
        emptied = [folder for folder, answer in zip(above, answers, strict=False) if answer is None]
        if refused is not None:
            elsewhere = refused.code == FAILURE and await _is_elsewhere(channel, source.path, target.path)
            await _undo(channel, [twin] if links else [], emptied)
            if elsewhere:
                return False
            raise refused
        if links:
            try:
                await _drop_old_name(driver, channel, source, target, twin, placed)
            except (RemoteStoreError, SFTPError):
                await _undo(channel, [], emptied)
                raise
        # A rename between two names of one file does nothing (POSIX), and what is at the old name may be a new file.
        if driver.durable:
            await sync_folder(channel, target.path)
            await sync_folder(channel, source.path)
    return True


async def _drop_old_name(
    driver: SFTPDriver, channel: Channel, source: Place, target: Place, twin: bytes, placed: Answer
) -> None:
    """Delete the old name of a file whose new one, where it was `placed`, is also called `twin`.

    Of two that move a file at once, one finds the old name gone. What is there is taken aside before it is deleted: a
    new file of others is moved in place of the one that they have taken, or put back. A rename between two names of one
    file does nothing (POSIX), which tells them apart.
    """
    aside = new_temp(source.path)
    taken, _, same, now = await channel.answers(
        channel.ask_extended(POSIX_RENAME, source.path, aside),
        channel.ask_extended(POSIX_RENAME, aside, twin),
        channel.ask_path(Ask.LSTAT, aside),
        channel.ask_path(Ask.LSTAT, target.path),
    )
    if isinstance(taken, SFTPError):
        await _undo(channel, [twin, target.path] if placed == now else [twin])
        raise file_missing(source.key, driver.name) if taken.code in MISSING else taken
    if isinstance(same, Attributes):
        await _undo(channel, [aside, twin])
    elif placed == now:
        done(await channel.answer(channel.ask_extended(POSIX_RENAME, twin, target.path)))
    else:
        wrong = source_changed(source.key, target.key, driver.name)
        if await channel.answer(channel.ask_extended(HARDLINK, twin, source.path)) is None:
            await _undo(channel, [twin])
        else:
            wrong.add_note(f"What was at the old name is in {decoded_name(twin)}: there is another file by now")
        raise wrong


async def _undo(channel: Channel, files: list[bytes], folders: Sequence[bytes] = ()) -> None:
    """Delete names of a file that has others, and the folders that were made for them."""
    removing = [channel.ask_path(Ask.REMOVE, path) for path in files]
    await channel.answers(*removing, *(channel.ask_path(Ask.RMDIR, folder) for folder in reversed(folders)))


async def _is_elsewhere(channel: Channel, *paths: bytes) -> bool:
    """Whether the folders of two paths are on different file systems, as far as the server tells."""
    if not channel.can("statvfs"):
        return False
    folders = [path.rpartition(b"/")[0] or (b"/" if path.startswith(b"/") else b".") for path in paths]
    replies = await channel.answers(*(channel.ask_extended(STATVFS, folder) for folder in folders))
    return len({space_in(reply).identity for reply in replies if isinstance(reply, bytes)}) > 1
