"""What goes over a channel of SFTP, version 3: requests and what servers answer (draft-ietf-secsh-filexfer-02)."""

from __future__ import annotations

import datetime as dt
import stat
from enum import IntEnum
from typing import NamedTuple

from asyncssh import SFTPError
from asyncssh.packet import PacketDecodeError, SSHPacket, String, UInt32, UInt64

POSIX_RENAME, HARDLINK, FSYNC = b"posix-rename@openssh.com", b"hardlink@openssh.com", b"fsync@openssh.com"
STATVFS, COPY_DATA = b"statvfs@openssh.com", b"copy-data"
READ, WRITE_NEW = UInt32(0x01), UInt32(0x02 | 0x08 | 0x20)
"""How a file is opened: to be read, or to be written where nothing is."""
NO_ATTRIBUTES = UInt32(0)
READ_ONLY = 0x01
"""In the flags of a file system."""


class Ask(IntEnum):
    """The requests, by their numbers."""

    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17


class Attributes(NamedTuple):
    """What a server tells of a file; `mode` and others are None where it does not."""

    size: int | None
    owner: tuple[int, int] | None
    mode: int | None
    mtime: int | None

    @property
    def is_folder(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return self.mode is not None and stat.S_ISLNK(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, for which one is taken whose type is not told."""
        return self.mode is None or not stat.S_IFMT(self.mode) or stat.S_ISREG(self.mode)

    @property
    def modified_at(self) -> dt.datetime | None:
        return None if self.mtime is None else dt.datetime.fromtimestamp(self.mtime, dt.UTC)


class Space(NamedTuple):
    """What a server tells of a file system."""

    available: int
    files_available: int
    files: int
    identity: int
    flags: int

    @property
    def is_full(self) -> bool:
        return self.available == 0 or (self.files > 0 and self.files_available == 0)


Names = list[tuple[bytes, Attributes]]
Answer = SFTPError | bytes | Attributes | Names | None
"""What a server answers: a refusal, a handle or data, attributes, names; None where it has done what was asked."""


def _attributes(packet: SSHPacket) -> Attributes:
    flags = packet.get_uint32()
    size = packet.get_uint64() if flags & 0x01 else None
    owner = (packet.get_uint32(), packet.get_uint32()) if flags & 0x02 else None
    mode = packet.get_uint32() & 0xFFFF if flags & 0x04 else None
    mtime = None
    if flags & 0x08:
        packet.get_uint32()  # Of the last access.
        mtime = packet.get_uint32()
    if flags & 0x80000000:
        for _ in range(packet.get_uint32()):
            packet.get_string()
            packet.get_string()
    return Attributes(size, owner, mode, mtime)


def _names(packet: SSHPacket) -> Names:
    found: Names = []
    for _ in range(packet.get_uint32()):
        name = packet.get_string()
        packet.get_string()  # As `ls -l` shows it.
        found.append((name, _attributes(packet)))
    return found


def decoded(kind: int, packet: SSHPacket) -> Answer:
    """What an answer says.

    Raises:
        PacketDecodeError: it is none of SFTP.
    """
    if kind == 101:
        code = packet.get_uint32()
        reason = packet.get_string().decode("utf-8", "backslashreplace") if packet else ""  # Some servers tell none.
        return SFTPError(code, reason) if code else None
    if kind in (102, 103):
        return packet.get_string()
    if kind == 104:
        return _names(packet)
    if kind == 105:
        return _attributes(packet)
    if kind == 201:
        return packet.get_remaining_payload()
    raise PacketDecodeError(f"an answer of type {kind}")


def is_end(answer: Answer) -> bool:
    """Whether a file or a listing has no more."""
    return isinstance(answer, SFTPError) and answer.code == 1


def space_in(reply: bytes) -> Space:
    """The reply to `STATVFS`."""
    packet = SSHPacket(reply)
    values = [packet.get_uint64() for _ in range(10)]
    return Space(values[4], values[7], values[5], values[8], values[9])


def mode_of(mode: int) -> bytes:
    """The attributes that set a mode."""
    return UInt32(0x04) + UInt32(mode)


def owner_of(owner: tuple[int, int]) -> bytes:
    """The attributes that set an owner."""
    return UInt32(0x02) + UInt32(owner[0]) + UInt32(owner[1])


def text(path: bytes) -> bytes:
    """A path in a request."""
    return String(path)


def copying(source: bytes, start: int, length: int, target: bytes) -> bytes:
    """The arguments of `COPY_DATA`, of some bytes to the same place in another file."""
    return String(source) + UInt64(start) + UInt64(length) + String(target) + UInt64(start)
