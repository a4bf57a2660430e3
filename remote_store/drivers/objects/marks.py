"""Marks: a random value in the metadata of what was written under a condition, by which its writer knows it again.

A condition that is refused after a reply was lost may be the echo of the very write. Its content does not tell: two
clients that count up the same number store equal bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.values import to_header

MARK = "remotestorewrite"
"""Key of the mark in the metadata of an object; a name that all services keep, as a header or as an identifier."""
ROOM = 2048
"""How much metadata every service takes, as headers carry it [bytes]."""


def marked(options: WriteOptions) -> WriteOptions:
    """Options of a write that leaves a mark, where a condition may refuse it and its metadata have room for one.

    Raises:
        ValueError: the user's metadata have the key of the mark.
    """
    metadata = options.metadata or {}
    for key in metadata:
        if key.lower() == MARK:
            raise ValueError(f"metadata key {key!r} is reserved")
    if options.overwrite and options.if_match is None:
        return options
    mark = secrets.token_hex(8)
    size = sum(len(key) + len(to_header(value)) for key, value in metadata.items())
    if size + len(MARK) + len(mark) > ROOM:
        return options
    return options._replace(metadata={**metadata, MARK: mark})


def mark_of(metadata: Mapping[str, str] | None) -> str | None:
    """The mark in metadata, if there is one."""
    return metadata.get(MARK) if metadata else None


def unmarked(metadata: dict[str, str] | None) -> dict[str, str] | None:
    """Metadata as users see them."""
    if not metadata or MARK not in metadata:
        return metadata
    return {key: value for key, value in metadata.items() if key != MARK} or None
