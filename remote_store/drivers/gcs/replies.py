"""How replies of Google Cloud Storage are read: resources, and the headers of content."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import google_crc32c

from remote_store._models import ContentDigest
from remote_store.drivers.objects.http import ToldSum
from remote_store.drivers.objects.wire import Malformed, Object, field

NUMBER = re.compile("[0-9]{1,19}")
FIELDS = "name,size,updated,generation,contentType,md5Hash,crc32c"
"""What an entry of a listing tells, and a question for one object beside its user metadata."""


def described(resource: Mapping[str, Any], metadata: bool = True) -> Object:
    """An object by its resource; its etag is the generation, since only that can be a condition of writes, too."""
    generation = generation_of(resource)
    told = resource.get("metadata") or {}
    if not isinstance(told, Mapping):
        raise Malformed("the metadata are no object")
    return Object(
        field(resource, "name"),
        whole(field(resource, "size"), "size"),
        _moment(resource),
        generation,
        resource.get("contentType"),
        dict(told) if metadata else None,
        {"version_id": generation},
        digest(resource),
    )


def written(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What the reply to a write says of the object."""
    generation = generation_of(resource)
    return {"etag": generation, "version_id": generation, "digest": digest(resource)}


def vouched(resource: Mapping[str, Any], size: int, crc32c: str) -> bool:
    """Whether a reply to a write is of just the content that was sent."""
    return (str(resource.get("size")), resource.get("crc32c")) == (str(size), crc32c)


def generation_of(resource: Mapping[str, Any]) -> str:
    """The generation that a resource must tell."""
    if not isinstance(resource, Mapping):
        raise Malformed("what describes an object is none")
    return str(whole(field(resource, "generation"), "generation"))


def digest(resource: Mapping[str, Any]) -> ContentDigest | None:
    """The checksum of an object: MD5, or CRC32C of those that were composed."""
    for name, algorithm in (("md5Hash", "md5"), ("crc32c", "crc32c")):
        with suppress(ValueError, TypeError):  # What is no checksum vouches for nothing.
            if told := resource.get(name):
                return ContentDigest(algorithm, base64.b64decode(told, validate=True).hex())
    return None


def whole(told: object, what: str) -> int:
    """A number of 64 bits, which JSON has as text."""
    if not NUMBER.fullmatch(str(told)):
        raise Malformed(f"the {what} is no number")
    return int(str(told))


def _moment(resource: Mapping[str, Any]) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(str(field(resource, "updated"))).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Malformed("the time of the last change is no time") from None


def checksum_of(headers: Mapping[str, str]) -> ToldSum | None:
    """The checksum in the header `X-Goog-Hash`, if there is one; of the stored bytes, as they are read here."""
    for entry in headers.getall("X-Goog-Hash", ()) if hasattr(headers, "getall") else ():
        for part in entry.split(","):
            name, _, value = part.strip().partition("=")
            if name == "crc32c" and value:
                return ToldSum(value, google_crc32c.Checksum())
    return None
