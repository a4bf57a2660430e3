"""What obstore is asked, and what it answers: the same for its own filesystems and for the fast lane."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.wire import Object, field
from remote_store.io.near import in_callers_thread

PIECE = 1 << 20
"""The least that one step of a body brings, but for its end [bytes]."""
ATTRIBUTES = frozenset({
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Storage-Class",
})  # fmt: skip
"""Attributes of obstore that are no metadata of users."""


class _Use:
    """What is known of the use of obstore by this process, and by the one that it was forked from."""

    begun = cut_off = False


def works_here() -> bool:
    """Whether obstore would ever answer: its threads do not come along into a forked process."""
    return not _Use.cut_off


def note_use() -> None:
    """Remember that this process uses obstore."""
    _Use.begun = True


def _in_child() -> None:
    _Use.cut_off = _Use.begun


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class Content:
    """The content of a reply.

    Args:
        pieces: obstore's stream of it; None where it has come whole.
        data: what has come already.
    """

    def __init__(self, pieces: Any, data: Any = b"") -> None:
        self._pieces, self._left = pieces, memoryview(data)

    async def read(self, size: int) -> bytes:
        if not self._left and self._pieces is not None:
            piece = next(self._pieces, b"") if in_callers_thread() else await anext(self._pieces, b"")
            self._left = memoryview(piece)
        return self.at_hand(size)

    @property
    def whole(self) -> memoryview | None:
        """All that is left, where it has come whole."""
        return self._left if self._pieces is None else None

    def at_hand(self, size: int) -> bytes:
        """What has come already."""
        data, self._left = bytes(self._left[:size]), self._left[size:]
        return data

    def close(self) -> None:
        self._pieces, self._left = None, memoryview(b"")


def reading(start: int, end: int | None, etag: str | None) -> dict[str, Any]:
    """How bytes [start, end) are asked for, of the content that has this etag where one is given."""
    options: dict[str, Any] = {} if etag is None else {"if_match": quoted(etag)}
    if end is not None:
        options["range"] = start, end
    elif start:
        options["range"] = {"offset": start}
    return options


def mode(options: WriteOptions) -> Any:
    """The condition under which a write may happen."""
    if options.if_match is not None:
        return {"e_tag": quoted(options.if_match)}
    return "overwrite" if options.overwrite else "create"


def told_object(name: str, meta: Mapping[str, Any]) -> Object:
    """What obstore tells of an object."""
    version = meta.get("version")
    extra = {"version_id": version} if version and version != "null" else None
    return Object(name, field(meta, "size"), field(meta, "last_modified"), bare(field(meta, "e_tag")), extra=extra)


def written(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """What obstore tells of a write."""
    version = reply.get("version")
    return {"etag": bare(field(reply, "e_tag")), "version_id": version if version != "null" else None}


def quoted(etag: str) -> str:
    """An etag as conditions have it."""
    return f'"{etag}"'


def bare(etag: str) -> str:
    """An etag without its quotes, and without the mark of a gateway that compresses."""
    return etag.removeprefix("W/").strip('"')
