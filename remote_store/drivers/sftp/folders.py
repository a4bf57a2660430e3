"""How folders are listed, page by page, and removed with what is in them, entering no link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from asyncssh import SFTPError

from remote_store._models import UNKNOWN_TIME, FileInfo, FolderEntry, file_info, folder_entry
from remote_store._paths import join, spellable
from remote_store.drivers.base import Page, Want, warn_unspellable
from remote_store.drivers.profiles import SFTP
from remote_store.drivers.sftp.channel import Channel, attributes_in, handle_in, names_in
from remote_store.drivers.sftp.errors import MISSING
from remote_store.drivers.sftp.packets import Ask, Attributes, Names, is_end, text
from remote_store.drivers.sftp.places import decoded_name, follow

AHEAD = 2
"""Pages asked for before they are wanted: the end comes with the last one."""
TEMP = SFTP.temp_prefix.encode()
RACES = 20
"""Attempts at a folder into which others write."""


async def names(channel: Channel, path: bytes) -> AsyncGenerator[Names, None]:
    """The entries of a folder as servers tell them, page by page, but for `.` and `..`.

    Raises:
        SFTPError: it is not there, or no folder; a link is none.
    """
    looked, opened = await channel.answers(channel.ask_path(Ask.LSTAT, path), channel.ask_path(Ask.OPENDIR, path))
    handle = handle_in(opened)
    coming: list[asyncio.Future[Any]] = []
    try:
        if isinstance(looked, Attributes) and looked.is_link:
            return
        while True:
            while len(coming) < AHEAD:
                coming.append(channel.send(Ask.READDIR, text(handle)))
            answer = await channel.answer(coming.pop(0))
            if is_end(answer):
                return
            yield [entry for entry in names_in(answer) if entry[0] not in (b".", b"..")]
    finally:
        for waiter in coming:
            waiter.cancel()
        channel.close_handle(handle)


class Listing:
    """One listing: turns what a server tells into models, and says once what it skips."""

    def __init__(self, channel: Channel, root: str, want: Want, backend: str) -> None:
        self._channel, self._root, self._want, self._backend = channel, root, want, backend
        self._warned = False

    async def pages(self, key: str, path: bytes, max_depth: int | None) -> AsyncGenerator[Page, None]:
        """Pages of what is below a folder, given by its key and its path."""
        stack = [(key, path, 0)]
        while stack:
            key, path, depth = stack.pop()
            try:
                async with aclosing(names(self._channel, path)) as found:
                    async for entries in found:
                        page: Page = []
                        for name, entry in await self._visible(path, entries):
                            one = join(key, decoded_name(name))
                            if entry.is_folder:
                                page += [folder_entry(one)] if self._want != "files" else []
                            elif self._want != "folders":
                                page.append(described(one, entry))
                        if max_depth is None or depth < max_depth:
                            for name, entry in entries:
                                if entry.is_folder and self._spells(name):
                                    stack.append(
                                        (join(key, decoded_name(name)), path.rstrip(b"/") + b"/" + name, depth + 1)
                                    )
                        if page:
                            yield page
            except SFTPError as error:
                if not depth or error.code not in MISSING:
                    raise

    async def _visible(self, path: bytes, entries: Names) -> Names:
        """The entries that are files or folders, links by what they lead to."""
        shown, links = [], []
        for name, entry in entries:
            if name.startswith(TEMP) or not self._spells(name):
                continue
            if entry.is_link:
                links.append(name)
            elif entry.is_folder or entry.is_file:
                shown.append((name, entry))
        if links:
            found = await follow(self._channel, self._root, [path.rstrip(b"/") + b"/" + name for name in links])
            for name, place in zip(links, found, strict=True):
                target = place.target
                if target is not None and not place.outside and (target.is_folder or target.is_file):
                    shown.append((name, target))
        return shown

    def _spells(self, name: bytes) -> bool:
        spelled = decoded_name(name)
        if spelled and "/" not in spelled and spellable(spelled):
            return True
        if not self._warned:
            self._warned = True
            warn_unspellable(spelled, self._backend)
        return False


def described(key: str, found: Attributes) -> FileInfo:
    """The description of a file."""
    return file_info(key, found.size or 0, found.modified_at or UNKNOWN_TIME)


def entry_of(key: str, found: Attributes) -> FileInfo | FolderEntry:
    """The description of a file or folder."""
    return folder_entry(key) if found.is_folder else described(key, found)


async def remove_tree(channel: Channel, path: bytes) -> bool:
    """Remove a folder with all that is in it; False where others keep writing into it.

    Raises:
        SFTPError: the server does not allow it.
    """
    for _ in range(RACES):
        folders, refused = [path], None
        for folder in folders:  # Grows while it is walked.
            try:
                async with aclosing(names(channel, folder)) as found:
                    async for entries in found:
                        inside = [
                            (folder + b"/" + name, entry.is_folder) for name, entry in entries if b"/" not in name
                        ]
                        folders += [one for one, is_folder in inside if is_folder]
                        doomed = [channel.ask_path(Ask.REMOVE, one) for one, is_folder in inside if not is_folder]
                        refused = _refusal(await channel.answers(*doomed)) or refused
            except SFTPError as error:
                if error.code not in MISSING:
                    raise
        emptied = await channel.answers(*(channel.ask_path(Ask.RMDIR, folder) for folder in reversed(folders)))
        if not isinstance(emptied[-1], SFTPError) or emptied[-1].code in MISSING:
            return True
        refused = refused or next((one for one in emptied if isinstance(one, SFTPError) and one.code == 3), None)
        if refused is not None:
            raise refused
    return False


def _refusal(answers: list[Any]) -> SFTPError | None:
    """The first refusal that is not of something that others removed."""
    refusals = (answer for answer in answers if isinstance(answer, SFTPError) and answer.code not in MISSING)
    return next(refusals, None)


async def is_empty(channel: Channel, path: bytes) -> bool:
    """Whether a folder has nothing but temporaries of killed writers, which are removed."""
    async with aclosing(names(channel, path)) as found:
        async for entries in found:
            if any(not name.startswith(TEMP) or entry.is_folder for name, entry in entries):
                return False
            await channel.answers(*(channel.ask_path(Ask.REMOVE, path + b"/" + name) for name, _ in entries))
    return True


async def remove_empty(channel: Channel, path: bytes) -> bool:
    """Remove a folder that is empty, or holds only temporaries; False where more is in it."""
    answer = await channel.answer(channel.ask_path(Ask.RMDIR, path))
    if answer is None:
        return True
    if not await is_empty(channel, path):
        return False
    again = await channel.answer(channel.ask_path(Ask.RMDIR, path))
    if isinstance(again, SFTPError):
        attributes_in(again)
    return True
