"""Marks: a random value in the metadata of what was written under a condition, by which its writer knows it again.

A condition that is refused after a reply was lost may be the echo of the very write. Its content does not tell: two
clients that count up the same number store equal bytes. A mark names the content that it replaced, too: of two writes
that replace the same one, the service takes one, so whoever finds the other's knows that its own was refused.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from functools import lru_cache

from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.values import to_header

MARK = "remotestorewrite"
"""Key of the mark in the metadata of an object; a name that all services keep, as a header or as an identifier."""
ROOM = 2048
"""How much metadata every service takes, as headers carry it [bytes]."""


def check_metadata(metadata: Mapping[str, str] | None) -> None:
    """Refuse user metadata that have the key of the mark, in any case: services may fold it.

    Raises:
        ValueError: they have.
    """
    for key in metadata or ():
        if key.lower() == MARK:
            raise ValueError(f"metadata key {key!r} is reserved")


def marked(options: WriteOptions) -> WriteOptions:
    """Options of a write that leaves a mark, where a condition may refuse it and its metadata have room for one.

    Raises:
        ValueError: the user's metadata have the key of the mark.
    """
    metadata = options.metadata or {}
    check_metadata(metadata)
    if options.overwrite and options.if_match is None:
        return options
    mark = secrets.token_hex(8) + _replacing(options.if_match or "")
    size = sum(len(key) + len(to_header(value)) for key, value in metadata.items())
    if size + len(MARK) + len(mark) > ROOM:
        return options
    return options._replace(metadata={**metadata, MARK: mark})


@lru_cache(maxsize=16)
def _replacing(etag: str) -> str:
    """What names the content that is to be replaced."""
    return hashlib.sha256(etag.encode()).hexdigest()[:8]


def mark_of(metadata: Mapping[str, str] | None) -> str | None:
    """The mark in metadata, if there is one."""
    return next((value for key, value in (metadata or {}).items() if key.lower() == MARK), None)


def replace_the_same(one: str, other: str) -> bool:
    """Whether two marks are of writes that were to replace the same content."""
    return one[16:] == other[16:]


def unmarked(metadata: dict[str, str] | None) -> dict[str, str] | None:
    """Metadata as users see them."""
    if mark_of(metadata) is None:
        return metadata
    return {key: value for key, value in (metadata or {}).items() if key.lower() != MARK} or None
