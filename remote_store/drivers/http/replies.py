"""What the headers of a web server tell of a file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp

from remote_store._models import UNKNOWN_TIME, FileInfo, file_info
from remote_store.drivers.objects.wire import Malformed

_RANGE = re.compile(r"bytes (?:(?P<first>\d{1,18})-(?P<last>\d{1,18})|\*)/(?P<size>\d{1,18}|\*)")


class Version(NamedTuple):
    """Which content of a file a reply has, as far as the server tells (RFC 9110, 8.8).

    Args:
        etag: as it was sent.
        modified: `Last-Modified`, as it was sent.
    """

    etag: str
    modified: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Version:
        return cls(headers.get("ETag", "").strip(), headers.get("Last-Modified", "").strip())

    @property
    def condition(self) -> str:
        """What `If-Range` takes: a strong etag, or else the time; `""` where there is neither."""
        return self.etag if self.etag.startswith('"') else self.modified

    def admits(self, other: Version) -> bool:
        """Whether a later reply with the other may be of the same content; where there is a condition, it must show it.

        Servers that forget `If-Range` would else mix two contents.
        """
        if any(one and two and one != two for one, two in zip(self, other, strict=True)):
            return False
        return not self.condition or self.condition in other


class Part(NamedTuple):
    """The range of a reply.

    Args:
        first: place of its first byte; None where the server could give none of the range.
        last: place of its last byte.
        size: of the whole file [bytes]; None where the server does not tell.
    """

    first: int | None
    last: int
    size: int | None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Part | None:
        """What `Content-Range` says; None where it says nothing of use."""
        found = _RANGE.fullmatch(headers.get("Content-Range", "").strip().lower())
        if found is None:
            return None
        size = None if found["size"] == "*" else int(found["size"])
        return cls(None, -1, size) if found["first"] is None else cls(int(found["first"]), int(found["last"]), size)

    def check(self, start: int, end: int | None) -> None:
        """Raise `Malformed` unless this is just what was asked for, `[start, end)`, as far as the file reaches."""
        asked = [one - 1 for one in (end, self.size) if one is not None]
        if self.first != start or self.last < start or (asked and self.last != min(asked)):
            raise Malformed("another range than was asked for")

    def tells_end(self, end: int | None) -> bool:
        """Whether what follows after this is known, where `end` was asked for: else it may be a piece of the rest."""
        return end is not None or self.size is not None


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body is not as it is stored, though nobody asked for that."""
    return headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


def length_of(headers: Mapping[str, str]) -> int | None:
    """The length of a body as it is stored; None where the server does not tell."""
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and not is_encoded(headers) else None


def bytes_range(start: int, end: int | None) -> str:
    """The value of `Range` for `[start, end)`."""
    return f"bytes={start}-{'' if end is None else end - 1}"


class Facts(NamedTuple):
    """What a server tells of a file.

    Args:
        size: [bytes]; None where it does not tell.
        headers: of the reply.
    """

    size: int | None
    headers: Mapping[str, str]

    @classmethod
    def of(cls, reply: aiohttp.ClientResponse) -> Facts:
        """The facts in a reply to a HEAD, or to a GET of the first byte."""
        part = Part.of(reply.headers) if reply.status in (206, 416) else None
        if reply.status == 206 and part is None:
            raise Malformed("a part without Content-Range")
        size = part.size if part else length_of(reply.headers) if reply.status == 200 else None
        return cls(None if is_encoded(reply.headers) else size, reply.headers)

    def info(self, key: str, size: int) -> FileInfo:
        """The same as a `FileInfo`."""
        etag, modified = Version.of(self.headers)
        time = UNKNOWN_TIME
        with suppress(ValueError, TypeError, OverflowError):
            time = parsedate_to_datetime(modified).astimezone(dt.UTC)
        return file_info(key, size, time, etag.replace('"', "") or None, self.headers.get("Content-Type") or None)
