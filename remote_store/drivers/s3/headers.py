"""What travels between a store and S3: conditions, metadata, checksums."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from remote_store._models import ContentDigest
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.marks import MARK, unmarked
from remote_store.drivers.objects.values import from_header, to_header
from remote_store.drivers.objects.wire import Malformed
from remote_store.drivers.s3.replies import etag_of


def folded(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """User metadata without the case of its keys, which S3 does not keep."""
    return {key.lower(): value for key, value in (metadata or {}).items()}


def beyond_xml(name: str) -> bool:
    """Whether a request in XML cannot carry a key as it is: XML 1.0, sections 2.2 and 2.11."""
    return any((char < " " and char not in "\t\n") or char in "\ufffe\uffff" for char in name)


CHECKSUMS = {
    "ChecksumCRC32": "crc32",
    "ChecksumCRC32C": "crc32c",
    "ChecksumCRC64NVME": "crc64nvme",
    "ChecksumSHA1": "sha1",
    "ChecksumSHA256": "sha256",
}


def digest(reply: Mapping[str, Any]) -> ContentDigest | None:
    """The whole-object checksum in a reply; a composite one is of parts."""
    if reply.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    for field, algorithm in CHECKSUMS.items():
        if (value := reply.get(field)) and "-" not in value:
            with suppress(ValueError):  # What is no checksum vouches for nothing.
                return ContentDigest(algorithm, base64.b64decode(value).hex())
    return None


def version(reply: Mapping[str, Any]) -> dict[str, str]:
    """The version of an object, where its bucket keeps versions."""
    version = reply.get("VersionId")
    return {"version_id": version} if version and version != "null" else {}


def written(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the reply to a write says of the object, which is stored even if the reply lacks its ETag."""
    tag = None
    with suppress(Malformed):
        tag = etag_of(reply)
    return {"etag": tag, **vouched(reply)}


def vouched(reply: Mapping[str, Any]) -> dict[str, Any]:
    """The same without the ETag."""
    return {"digest": digest(reply), **version(reply)}


def combined(etags: Iterable[str]) -> str | None:
    """The ETag of what parts with these ETags become, None where they are no MD5 sums."""
    parts = [etag.strip('"') for etag in etags]
    try:
        sums = [bytes.fromhex(part) for part in parts]
    except ValueError:
        return None
    if any(len(part) != 16 for part in sums):
        return None
    return f"{hashlib.md5(b''.join(sums), usedforsecurity=False).hexdigest()}-{len(sums)}"


SYSTEM_METADATA = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires",
)  # fmt: skip
"""What CopyObject keeps of an object beside user metadata and tags; the storage class is not (S3 API reference)."""


def copied(head: Mapping[str, Any], tags: Iterable[Mapping[str, str]], mark: str | None = None) -> dict[str, Any]:
    """What a copy keeps, as arguments of create_multipart_upload, with a mark of its own."""
    system = {name: head[name] for name in SYSTEM_METADATA if head.get(name)}
    # What is encoded already, in whichever way, stays as it is.
    kept = unmarked(head.get("Metadata")) or {}
    user = {key: value if value.isascii() else to_header(value) for key, value in kept.items()}
    user |= {MARK: mark} if mark else {}
    tagging = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
    return {**system, "Metadata": user, **({"Tagging": tagging} if tagging else {})}


def quoted(etag: str) -> str:
    """An ETag as headers have it."""
    return f'"{etag}"'


def conditions(options: WriteOptions) -> dict[str, str]:
    """The condition under which a write may happen."""
    if options.if_match is not None:
        return {"IfMatch": quoted(options.if_match)}
    return {} if options.overwrite else {"IfNoneMatch": "*"}


def described(options: WriteOptions) -> dict[str, Any]:
    """Content type and user metadata, as arguments of the SDK."""
    content_type = {} if options.content_type is None else {"ContentType": options.content_type}
    return {**content_type, **encoded(options.metadata)}


def encoded(metadata: Mapping[str, str] | None) -> dict[str, dict[str, str]]:
    """User metadata as headers can carry it: by RFC 2047 where they cannot carry it as it is, as S3 itself does.

    Raises:
        ValueError: a key that is no name of a header, or that differs from another in case alone.
    """
    if not metadata:
        return {}
    if bad := [key for key in metadata if not _TOKEN.fullmatch(key)]:
        raise ValueError(f"metadata key {bad[0]!r} cannot be kept by S3: letters, digits and !#$%&'*+-.^_`|~ alone can")
    if len({key.lower() for key in metadata}) < len(metadata):
        raise ValueError("metadata keys differ in case alone, which S3 does not keep")
    return {"Metadata": {key: to_header(value) for key, value in metadata.items()}}


def decoded(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    """User metadata as it was before `encoded`."""
    return {key: from_header(value) for key, value in metadata.items()} if metadata else None


_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""RFC 9110, section 5.6.2."""
