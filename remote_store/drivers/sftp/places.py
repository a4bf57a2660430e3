"""Where keys lead on a server: every part of a path is looked at, together, before anything is done there.

What is opened is a regular file inside the root, unless others exchange a folder for a link in between: the protocol
has no way to hold a folder open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncssh import SFTPError

from remote_store._errors import (
    escapes_root,
    file_missing,
    found_file_above,
    found_folder,
    found_special,
)
from remote_store.drivers.sftp.channel import Channel, attributes_in, names_in
from remote_store.drivers.sftp.errors import FAILURE, is_missing
from remote_store.drivers.sftp.packets import Answer, Ask, Attributes

REMEMBERED = 4096
"""How many folders a channel remembers to have no link above."""


def encoded(path: str) -> bytes:
    """A path as servers take it; names that are not UTF-8 come back as they were (PEP 383)."""
    return path.encode("utf-8", "surrogateescape")


def decoded_name(name: bytes) -> str:
    """A name as keys have it."""
    return name.decode("utf-8", "surrogateescape")


@dataclass
class Place:
    """Where a key leads.

    Attributes:
        key: the key.
        path: its entry on the server, where its parent really is.
        entry: what is there, a link as a link; None where nothing is.
        real: where that leads, and `target` what is there; as `path` and `entry` unless it is a link.
        missing: how many of the folders above it are missing.
        below_file: whether one above it is a file.
        outside: whether it is a link out of the root.
    """

    key: str
    path: bytes
    entry: Attributes | None = None
    real: bytes = b""
    target: Attributes | None = None
    missing: int = 0
    below_file: bool = False
    outside: bool = False

    def readable(self, backend: str) -> Attributes:
        """The regular file there; raises what else is."""
        found = self.entry and self.seen(backend)
        if found is None:
            raise file_missing(self.key, backend)
        if found.is_folder:
            raise found_folder(self.key, backend)
        return found

    def seen(self, backend: str) -> Attributes:
        """The regular file or folder there, or behind the link there."""
        if self.outside:
            raise escapes_root(self.key, backend)
        if self.target is None or not (self.target.is_file or self.target.is_folder):
            raise found_special(self.key, backend)
        return self.target

    def check_writable(self, backend: str) -> None:
        """Raise `InvalidPath` where no file can be put; a link is replaced, unless it leads to a folder."""
        if self.below_file:
            raise found_file_above(self.key, backend)
        if self.entry is not None and self.target is not None and self.target.is_folder and not self.outside:
            raise found_folder(self.key, backend)
        if self.entry is not None and not (self.entry.is_file or self.entry.is_link or self.entry.is_folder):
            raise found_special(self.key, backend)


class Look:
    """A question for all parts of a key, asked as it is made; `place` waits for the answers."""

    def __init__(self, channel: Channel, root: str, key: str, backend: str) -> None:
        self._channel, self._root, self._key, self._backend = channel, root, key, backend
        parts = key.split("/") if key else []
        self.paths = [below(root, "/".join(parts[: depth + 1])) for depth in range(len(parts))]
        self.waiters = [channel.ask_path(Ask.LSTAT, path) for path in self.paths]

    async def place(self) -> Place:
        """Where the key leads.

        Raises:
            InvalidPath: a part above it is a link out of the root.
            SFTPError: what the server refuses to tell.
        """
        return await self.judged(await self._channel.answers(*self.waiters))

    async def judged(self, answers: Sequence[Answer]) -> Place:
        """The same from answers that have come."""
        if not self.paths:
            root = Attributes(None, None, 0o40755, None)
            return Place("", path := encoded(self._root or "."), root, path, root)
        place = Place(self._key, self.paths[-1], real=self.paths[-1])
        found = [self._entry(path, answer, answers) for path, answer in zip(self.paths, answers, strict=True)]
        links = [depth for depth, entry in enumerate(found) if entry is not None and entry.is_link]
        reals = dict(zip(links, await self._follow(links), strict=True)) if links else {}
        for depth, entry in enumerate(found[:-1]):
            real = reals.get(depth)
            if real and real.outside:
                raise escapes_root(self._key, self._backend)
            kind = real.target if real else entry
            if kind is None and entry is not None:
                raise found_special(self._key, self._backend)  # A link to nothing.
            if kind is None:
                place.missing = len(found) - 1 - depth
                break
            if not kind.is_folder:
                place.below_file = True
                break
            if real:
                place.path = place.real = b"/".join((real.real, *self._names(depth + 1)))
        if place.missing or place.below_file:
            return place
        if links and links[0] < len(found) - 1:
            parts = self._key.split("/")
            for depth in range(links[0] + 1, len(parts)):
                self._channel.plain_folders.pop("/".join(parts[:depth]), None)
        else:
            remember(self._channel, self._key)
        place.entry = place.target = found[-1]
        if last := reals.get(len(found) - 1):
            place.real, place.target, place.outside = last.real, last.target, last.outside
        return place

    def _entry(self, path: bytes, answer: Answer, answers: Sequence[Answer]) -> Attributes | None:
        if isinstance(answer, SFTPError):
            below_file = any(isinstance(one, Attributes) and not (one.is_folder or one.is_link) for one in answers)
            if is_missing(answer, path) or (answer.code == FAILURE and below_file):
                return None
        return attributes_in(answer)

    def _names(self, depth: int) -> list[bytes]:
        return [encoded(name) for name in self._key.split("/")[depth:]]

    async def _follow(self, links: list[int]) -> list[Place]:
        """Where links lead, and what is there."""
        return await follow(self._channel, self._root, [self.paths[depth] for depth in links])


async def follow(channel: Channel, root: str, paths: Sequence[bytes]) -> list[Place]:
    """Where links lead, and what is there: `outside` where that is not below the root, or a server does not tell."""
    waiters: list[asyncio.Future[Any]] = []
    if channel.root is None:
        waiters.append(channel.ask_path(Ask.REALPATH, encoded(root or ".")))
    for path in paths:
        waiters += (channel.ask_path(Ask.REALPATH, path), channel.ask_path(Ask.STAT, path))
    answers = await channel.answers(*waiters)
    if channel.root is None:
        channel.root = names_in(answers.pop(0))[0][0]
    inside = channel.root.rstrip(b"/") + b"/"
    spelled = encoded(root or ".").rstrip(b"/") + b"/"
    found = []
    for path, real, target in zip(paths, answers[::2], answers[1::2], strict=True):
        place = Place("", path, real=path)
        if isinstance(real, list) and real:
            place.real = real[0][0]
            # A server that gives back the name of the link itself follows none.
            same = place.real == inside + path.removeprefix(spelled)
            place.outside = same or not (place.real + b"/").startswith(inside)
            place.target = target if isinstance(target, Attributes) else None
        found.append(place)
    return found


def remember(channel: Channel, key: str) -> None:
    """Remember that no link leads to the folder of a key, nor to those above it."""
    known, folder = channel.plain_folders, key.rpartition("/")[0]
    while folder not in known:
        known[folder] = None
        folder = folder.rpartition("/")[0]
    while len(known) > REMEMBERED:
        del known[next(one for one in known if one)]


def below(root: str, key: str) -> bytes:
    """The path of a key below the root, as it is spelled."""
    return encoded(key if not root else f"{root.rstrip('/')}/{key}")


def parents(root: str, place: Place) -> list[bytes]:
    """The folders above a place that are missing, topmost first."""
    names = place.path.split(b"/")
    return [b"/".join(names[:depth]) for depth in range(len(names) - place.missing, len(names))]


def root_folders(root: str) -> list[bytes]:
    """The root, and the folders above it, topmost first."""
    names = encoded(root.rstrip("/")).split(b"/")
    return [path for depth in range(len(names)) if (path := b"/".join(names[: depth + 1]))]
