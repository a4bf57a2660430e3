"""How a file is written: a temporary beside its name, published in one step once every answer has been seen."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asyncssh import SFTPError

from remote_store._errors import RemoteStoreError, folder_deleted, found_folder, target_exists
from remote_store._paths import join
from remote_store.drivers.base import Sink, WriteOptions
from remote_store.drivers.profiles import SFTP
from remote_store.drivers.sftp.channel import Channel, ConnectionGone, attributes_in, done, handle_in
from remote_store.drivers.sftp.errors import DENIED, FAILURE, MISSING, UNSUPPORTED
from remote_store.drivers.sftp.packets import (
    COPY_DATA,
    FSYNC,
    HARDLINK,
    NO_ATTRIBUTES,
    POSIX_RENAME,
    READ,
    WRITE_NEW,
    Ask,
    Attributes,
    copying,
    mode_of,
    owner_of,
    text,
)
from remote_store.drivers.sftp.places import Look, Place, below, parents, remember, root_folders

if TYPE_CHECKING:
    from remote_store.drivers.sftp.driver import SFTPDriver

IN_FLIGHT = 4 << 20
"""Most bytes that are sent before their answers are there."""
COPIED_AT_ONCE = 64 << 20
"""Bytes that a server copies by one request: the channel waits for it."""
RACES = 5
"""Attempts at a folder that others delete meanwhile."""


def new_temp(path: bytes) -> bytes:
    """A hidden name in the folder of a path."""
    folder, slash, _ = path.rpartition(b"/")
    return folder + slash + f"{SFTP.temp_prefix}{secrets.token_hex(8)}".encode()


class SFTPSink(Sink):
    """A file being written; `begin` opens it, and raises what is wrong with its place."""

    def __init__(self, driver: SFTPDriver, key: str, options: WriteOptions, mode: int | None = None) -> None:
        self._driver, self._key, self._options, self._mode = driver, key, options, mode
        self._channel: Channel
        self._place: Place
        self._temp = self._handle = b""
        self._creates = False
        self._at = self._in_flight = 0
        self._sent: deque[tuple[asyncio.Future[Any], int]] = deque()
        self._made: list[bytes] = []
        self._making: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._unused: list[bytes] = []
        self._sizes: list[asyncio.Future[Any]] = []

    async def begin(self, channel: Channel, place: Place | None = None) -> None:
        """Look at the place of the file, unless that is known, make missing folders, and open a temporary."""
        self._channel = channel
        try:
            async with self._driver.talking(self._key, self._judge):
                await self._begin(place)
        except BaseException:
            await self.abort()
            raise

    async def _begin(self, place: Place | None) -> None:
        above = None
        if place is None:
            place, above = await self._look()
        self._place = place
        place.check_writable(self._driver.name)
        if place.entry is not None and not self._options.overwrite:
            raise target_exists(self._key, self._driver.name)
        if above is not None and not self._serves(above):
            self._forget_temp()
        if self._handle:
            self._make(parents(self._driver.root, place))
        else:
            await self._open(parents(self._driver.root, place))
        self._set_mode()

    async def _look(self) -> tuple[Place, str]:
        """Look at the place, and open a temporary meanwhile in the nearest folder above to which no link is known."""
        channel, driver, above = self._channel, self._driver, self._key
        while (above := above.rpartition("/")[0]) not in channel.plain_folders:
            pass
        look = Look(channel, driver.root, self._key, driver.name)
        self._temp = new_temp(below(driver.root, join(above, "f")))
        *answers, opened = await channel.answers(
            *look.waiters, channel.ask_path(Ask.OPEN, self._temp, WRITE_NEW, NO_ATTRIBUTES)
        )
        self._handle = opened if isinstance(opened, bytes) else b""
        return await look.judged(answers), above

    def _serves(self, above: str) -> bool:
        """Whether a file that was opened in this folder may get the name.

        It may if it is the folder of the file, or if all folders between are missing: what they will take over from it,
        such as the group of their files, its files have already.
        """
        folder = self._key.rpartition("/")[0]
        between = folder.removeprefix(above).strip("/")
        missing = between.count("/") + 1 if between else 0
        return self._is_plain() and self._place.missing == missing

    def _is_plain(self) -> bool:
        """Whether no link leads to the folder of the file."""
        return self._place.path == below(self._driver.root, self._key)

    def _forget_temp(self) -> None:
        """Let the temporary be removed together with what is done next."""
        if self._handle:
            self._channel.close_handle(self._handle)
            self._unused.append(self._temp)
        self._temp = self._handle = b""

    def _make(self, folders: list[bytes]) -> None:
        """Make folders that are missing; whether they could be made is seen before anything depends on them."""
        self._making = [(folder, self._channel.ask_path(Ask.MKDIR, folder, NO_ATTRIBUTES)) for folder in folders]

    async def _settle_folders(self) -> None:
        """See whether the folders were made; where others were faster, look again at what they made."""
        for attempt in range(RACES):
            if not self._making:
                return
            refused = await self._made_folders()
            if not refused:
                if self._is_plain():
                    remember(self._channel, self._key)
                return
            if refused[0].code == DENIED or attempt == RACES - 1:
                raise refused[0]
            self._place = await Look(self._channel, self._driver.root, self._key, self._driver.name).place()
            self._place.check_writable(self._driver.name)
            self._make(parents(self._driver.root, self._place))

    async def _made_folders(self) -> list[SFTPError]:
        """Note which folders were made; what the others were refused for."""
        # Shielded, because who is cancelled still removes what was made.
        answers = await self._channel.answers(*(asyncio.shield(waiter) for _, waiter in self._making))
        self._made += [folder for (folder, _), answer in zip(self._making, answers, strict=True) if answer is None]
        self._making = []
        return [answer for answer in answers if isinstance(answer, SFTPError)]

    async def _open(self, folders: list[bytes]) -> None:
        """Make folders that are missing, and open the temporary beside the name."""
        channel = self._channel
        self._temp = new_temp(self._place.path)
        for attempt in range(RACES):
            removing = [channel.ask_path(Ask.REMOVE, temp) for temp in self._unused]
            self._make(folders)
            opening = channel.ask_path(Ask.OPEN, self._temp, WRITE_NEW, NO_ATTRIBUTES)
            *_, opened = await channel.answers(*removing, opening)
            self._handle = opened if isinstance(opened, bytes) else b""
            self._unused.clear()
            refusals = await self._made_folders()
            if self._handle:
                if self._is_plain():
                    remember(channel, self._key)
                return
            if not (isinstance(opened, SFTPError) and opened.code in MISSING):
                handle_in(opened)
            # What folders are refused for may be that they are there.
            refused = [one for one in refusals if one.code not in MISSING]
            if attempt == RACES - 1 or any(one.code == DENIED for one in refused):
                handle_in(refused[-1] if refused else opened)
            # The root is missing, or others deleted a folder.
            names = self._place.path.split(b"/")
            depth = len(names) - len(self._key.split("/"))
            folders = root_folders(self._driver.root) if depth >= 0 else []
            folders += [b"/".join(names[:end]) for end in range(max(depth, 0) + 1, len(names))]
            folders = [folder for folder in dict.fromkeys(folders) if folder]

    def _set_mode(self) -> None:
        """Give the file the mode of the one it replaces, and its owner where permitted, before it has content."""
        old = self._place.entry
        mode = self._mode
        if old is not None and old.is_file and old.mode is not None:
            mode = old.mode
            if old.owner is not None:
                self._channel.post(Ask.FSETSTAT, text(self._handle), owner_of(old.owner))
        if mode is not None:
            waiter = self._channel.send(Ask.FSETSTAT, text(self._handle), mode_of(mode & 0o777))
            self._sent.append((waiter, 0))

    async def write(self, data: bytes) -> None:
        channel = self._channel
        async with self._driver.talking(self._key, self._judge):
            for start in range(0, len(data), channel.write_size):
                piece = data[start : start + channel.write_size]
                while self._in_flight > IN_FLIGHT:
                    await self._settle_folders()
                    await self._hear(1)
                self._sent.append((channel.ask_write(self._handle, self._at, piece), len(piece)))
                self._at += len(piece)
                self._in_flight += len(piece)

    async def _hear(self, count: int) -> None:
        """See the answers to the requests that were sent first."""
        for _ in range(count):
            waiter, size = self._sent.popleft()
            self._in_flight -= size
            done(await self._channel.answer(waiter, content=True))

    async def copy_from(self, source: bytes, size: int) -> None:
        """Let the server copy the content of an open file; whether it did is seen when it is committed."""
        channel = self._channel
        async with self._driver.talking(self._key, self._judge):
            for start in range(0, size, COPIED_AT_ONCE):
                if start:
                    await self._hear(len(self._sent))
                length = min(COPIED_AT_ONCE, size - start)
                self._sent.append((channel.send(COPY_DATA, copying(source, start, length, self._handle)), 0))
            self._sizes = [channel.send(Ask.FSTAT, text(handle)) for handle in (source, self._handle)]
        self._at = size

    async def commit(self) -> Mapping[str, Any]:
        channel, durable = self._channel, self._driver.durable
        async with self._driver.talking(self._key, self._judge):
            last = [channel.ask_extended(FSYNC, self._handle)] if durable and channel.can("fsync") else []
            last.append(channel.send(Ask.CLOSE, text(self._handle)))
            self._handle = b""
            trying = None if self._options.overwrite else self._driver.try_links(channel, self._temp)
            for answer in await channel.answers(*(waiter for waiter, _ in self._sent), *last, content=True):
                done(answer)
            self._sent.clear()
            if {attributes_in(told).size for told in await channel.answers(*self._sizes)} - {self._at}:
                message = "The file changed while it was being copied"
                raise RemoteStoreError(message, path=self._key, backend=self._driver.name)
            await self._settle_folders()
            await self._publish(trying)
            if durable:
                await sync_folder(channel, self._place.path)
        return {}

    async def _publish(self, trying: LinkTrial | None) -> None:
        channel, target = self._channel, self._place.path
        if not self._options.overwrite and await self._driver.links(channel, trying):
            linking = channel.ask_extended(HARDLINK, self._temp, target)
            removing = channel.ask_path(Ask.REMOVE, self._temp)
            linked = await channel.answer(linking)
            temp, self._temp, self._creates = self._temp, b"", True
            try:
                await channel.answer(removing)
            except ConnectionGone:  # The file is there, or not: that has been answered.
                self._driver.connections.litter.append(temp)
            done(linked)
            return
        if not self._options.overwrite:
            await self._check_nothing_there()
        done(await channel.answer(channel.ask_extended(POSIX_RENAME, self._temp, target)))
        self._temp = b""

    async def _check_nothing_there(self) -> None:
        there = await self._channel.answer(self._channel.ask_path(Ask.LSTAT, self._place.path))
        if isinstance(there, Attributes):
            raise (found_folder if there.is_folder else target_exists)(self._key, self._driver.name)

    async def _judge(self, error: SFTPError) -> RemoteStoreError | None:
        """What is wrong with the place of the file, if that is why a server refused something."""
        if not hasattr(self, "_place"):
            return None
        try:
            place = await Look(self._channel, self._driver.root, self._key, self._driver.name).place()
            place.check_writable(self._driver.name)
        except (RemoteStoreError, SFTPError) as wrong:
            return wrong if isinstance(wrong, RemoteStoreError) else None
        if place.entry is not None and not self._options.overwrite:
            return target_exists(self._key, self._driver.name)
        if error.code in MISSING:
            return folder_deleted(self._key, self._driver.name)
        if self._creates and error.code == FAILURE:  # What was at the name when it was linked is gone by now.
            return await self._driver.why(error, self._key) or target_exists(self._key, self._driver.name)
        return None

    async def abort(self) -> None:
        cleaning = asyncio.ensure_future(self._clean_up())
        while not cleaning.done():
            with suppress(asyncio.CancelledError):  # What was begun is cleaned up; whoever cancels waits for that.
                await asyncio.shield(cleaning)

    async def _clean_up(self) -> None:
        with suppress(ConnectionGone):
            await self._drop_temp()
            await self._made_folders()
            removing = [self._channel.ask_path(Ask.REMOVE, temp) for temp in self._unused]
            removing += [self._channel.ask_path(Ask.RMDIR, folder) for folder in reversed(self._made)]
            await self._channel.answers(*removing)
            self._made, self._unused = [], []
        self._driver.connections.litter += [temp for temp in (self._temp, *self._unused) if temp]

    async def _drop_temp(self) -> None:
        for waiter, _ in self._sent:
            waiter.cancel()
        self._sent.clear()
        if self._handle:
            self._channel.close_handle(self._handle)
            self._handle = b""
        if self._temp:
            await self._channel.answer(self._channel.ask_path(Ask.REMOVE, self._temp))
            self._temp = b""


async def sync_folder(channel: Channel, path: bytes) -> None:
    """Wait until the server's disk has the entries of the folder of a path, where the server can do that."""
    if channel.can("fsync"):
        folder = path.rpartition(b"/")[0] or (b"/" if path.startswith(b"/") else b".")
        opened = await channel.answer(channel.ask_path(Ask.OPEN, folder, READ, NO_ATTRIBUTES))
        if isinstance(opened, bytes):
            await channel.answers(channel.ask_extended(FSYNC, opened), channel.send(Ask.CLOSE, text(opened)))


class LinkTrial:
    """The question whether a server makes hard links and refuses to replace by one, asked as it is made.

    Args:
        channel: to the server.
        path: of a file, beside which that is tried.
        litter: gets the name that is tried where the connection is lost.
    """

    def __init__(self, channel: Channel, path: bytes, litter: list[bytes]) -> None:
        self._channel, self._litter, self._name = channel, litter, new_temp(path)
        self._waiters = [
            channel.ask_extended(HARDLINK, path, self._name),
            channel.ask_extended(HARDLINK, path, self._name),
            channel.ask_path(Ask.REMOVE, self._name),
        ]

    async def holds(self) -> bool:
        """The answer.

        Raises:
            SFTPError: that could not be tried.
        """
        try:
            first, second, _ = await self._channel.answers(*self._waiters)
        except ConnectionGone:
            self._litter.append(self._name)
            raise
        if isinstance(first, SFTPError) and first.code not in (FAILURE, UNSUPPORTED):
            raise first
        return first is None and isinstance(second, SFTPError)
