"""How replies of Azure Blob Storage are read: what describes a blob, and content."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

from azure.storage.blob import BlobProperties

from remote_store._models import ContentDigest
from remote_store.drivers.objects.http import Stream, ToldSum
from remote_store.drivers.objects.values import from_header
from remote_store.drivers.objects.wire import Body, Malformed, Object

FOLDER = "hdi_isfolder"
RESERVED = frozenset({FOLDER, "is_directory"})
"""Names of metadata that mark folders: Data Lake Storage guide, known issues; adlfs."""
LEASED = "locked"
"""What the status of a lease is of a file that somebody has leased: Blob Storage REST API, x-ms-lease-status."""


def unquoted(etag: Any) -> str:
    """An etag that a reply must tell."""
    if not etag:
        raise Malformed("no ETag")
    return str(etag).removeprefix("W/").strip('"')


def md5_of(content: bytes) -> bytes:
    """The checksum that the service keeps of content that came in one request."""
    return hashlib.md5(content, usedforsecurity=False).digest()


def described(found: BlobProperties, name: str, metadata: bool = True) -> Object:
    """An object by the SDK's words; what marks a folder has a slash at its end."""
    told = found.metadata or {}
    if told.get(FOLDER, told.get(FOLDER.capitalize(), "")) == "true" and not name.endswith("/"):
        name += "/"
    settings, moment = found.content_settings, found.last_modified
    if moment is None or found.size is None:
        raise Malformed("no size, or no time of the last change")
    version = getattr(found, "version_id", None)
    return Object(
        name,
        found.size,
        moment.astimezone(dt.UTC),
        unquoted(found.etag),
        settings.content_type,
        {key: from_header(value) for key, value in told.items() if key.lower() not in RESERVED} if metadata else None,
        {"version_id": version} if version else {},
        ContentDigest("md5", bytes(settings.content_md5).hex()) if settings.content_md5 else None,
        found,
    )


def listed(entry: BlobProperties, detailed: bool) -> Object:
    """An entry of a listing; its name alone unless more is asked for."""
    if not detailed or entry.name.endswith("/"):
        return Object(entry.name)
    return described(entry, entry.name, metadata=False)


def written(reply: Mapping[str, Any], whole: bool = True) -> dict[str, Any]:
    """What the reply to a write says of the blob; its checksum is the content's only where that came `whole`."""
    told = {str(name).lower(): value for name, value in reply.items()}
    tag, md5 = unquoted(told.get("etag")), told.get("content-md5")
    version = told.get("x-ms-version-id") or told.get("version_id")
    digest = ContentDigest("md5", bytes(md5).hex()) if whole and isinstance(md5, bytes | bytearray) else None
    return {"etag": tag, "digest": digest, **({"version_id": version} if version else {})}


def body_of(response: Any, start: int) -> Body:
    """The body of a reply, which must say what it is of."""
    reply = response.internal_response
    tag, length = unquoted(reply.headers.get("ETag")), reply.headers.get("Content-Length", "")
    if not length.isdecimal() or not reply.headers.get("x-ms-blob-type"):
        raise Malformed("no length or type of the blob")
    span = reply.headers.get("Content-Range", "")
    if span and not span.startswith(f"bytes {start}-"):
        raise Malformed("another range than was asked for")
    total, told = span.rpartition("/")[2], reply.headers.get("Content-MD5")
    checksum = ToldSum(told, hashlib.md5(usedforsecurity=False)) if told and not span else None
    return Body(Stream(reply), int(total) if total.isdecimal() else int(length), tag, bool(span), checksum)
