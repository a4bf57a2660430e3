"""Containers, blobs and folders of the double of Azure storage: etags, conditions, leases."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from multidict import CIMultiDict

from servers.azure_answers import Refusal, http_date

KEPT = ("Content-Type", "Content-Encoding", "Content-Language", "Content-MD5", "Cache-Control", "Content-Disposition")
MOST_SEGMENTS = 61
"""Of a path in a hierarchical namespace (borink-org/object-storage, measured)."""
LARGEST_METADATA = 8 << 10
"""Of all names and values (blob/setting-and-retrieving-properties-and-metadata) [bytes]."""
TICKS_OF_1970 = 621355968 * 10**9
"""Of 100 ns since the year 1, which etags of the service look like."""
_last_tag = 0


def _next_tag() -> str:
    global _last_tag
    _last_tag = max(_last_tag + 1, time.time_ns() // 100 + TICKS_OF_1970)
    return f"0x{_last_tag:X}"


@dataclass
class Lease:
    """A lease, and what became of it (blob/lease-blob).

    Attributes:
        duration: -1 has no end [s].
        ends: when it expires, or breaks, on the monotonic clock [s].
    """

    id: str
    duration: int
    ends: float
    breaking: bool = False

    @property
    def state(self) -> str:
        """leased, expired, breaking or broken."""
        over = time.monotonic() >= self.ends
        return ("broken" if over else "breaking") if self.breaking else ("expired" if over else "leased")

    @property
    def held(self) -> bool:
        """Whether writers must name it."""
        return self.state in ("leased", "breaking")


@dataclass
class Leased:
    """What has an etag and may be leased."""

    metadata: dict[str, str] = field(default_factory=dict)
    lease: Lease | None = None
    etag: str = field(default_factory=_next_tag)
    modified: float = field(default_factory=time.time)

    def touch(self) -> None:
        """It has changed."""
        self.etag, self.modified = _next_tag(), time.time()

    def described(self) -> dict[str, str]:
        """Headers of every answer about it."""
        return {"ETag": f'"{self.etag}"', "Last-Modified": http_date(self.modified)}

    def lease_words(self) -> dict[str, str]:
        """What a lease is said to be (blob/get-blob-properties)."""
        state = self.lease.state if self.lease else "available"
        told = {"x-ms-lease-status": "locked" if self.lease and self.lease.held else "unlocked"}
        told["x-ms-lease-state"] = state
        if state == "leased" and self.lease:
            told["x-ms-lease-duration"] = "infinite" if self.lease.duration < 0 else "fixed"
        return told


@dataclass
class Copy:
    """A copy into a blob; `polls` answers still say "pending", None for ever."""

    source: str
    content: bytes
    polls: int | None
    fails: bool = False
    status: str = "pending"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Item(Leased):
    """A blob or a folder.

    Attributes:
        settings: headers that the writer chose (`KEPT`).
        made_by: "blob", "blocks" or "dfs", which refuse each other's way to write.
        blocks: of the last block list, with their sizes.
        appended: what the Data Lake API has taken and not flushed, by position.
    """

    content: bytes = b""
    settings: dict[str, str] = field(default_factory=dict)
    folder: bool = False
    made_by: str = "blob"
    blocks: list[tuple[str, int]] = field(default_factory=list)
    copy: Copy | None = None
    appended: dict[int, bytes] = field(default_factory=dict)
    created: float = field(default_factory=time.time)

    def with_md5(self) -> Item:
        """Put Blob keeps the MD5 of what it got (blob/put-blob)."""
        self.settings.setdefault("Content-MD5", base64.b64encode(hashlib.md5(self.content).digest()).decode())
        return self


class Container(Leased):
    """A container; with `hns` it has folders."""

    def __init__(self, name: str, hns: bool = False, metadata: dict[str, str] | None = None) -> None:
        super().__init__(metadata or {})
        self.name, self.hns = name, hns
        self.items: dict[str, Item] = {}
        self.uncommitted: dict[str, dict[str, bytes]] = {}

    def path(self, name: str) -> str:
        """What a name becomes (borink-org/object-storage, measured on a hierarchical account).

        Raises:
            Refusal: it is none.
        """
        if not name or len(name) > 1024:  # blob/naming-and-referencing-containers--blobs--and-metadata
            raise Refusal("InvalidResourceName" if name else "InvalidUri")
        if not self.hns:
            return name
        segments = [segment.rstrip(".") for segment in name.split("/") if segment]
        if name.endswith("/"):  # rclone/rclone#7047
            raise Refusal("InvalidUri", "The request URI is invalid.")
        if len(segments) > MOST_SEGMENTS or not all(segments) or re.search(r"[\x00-\x1f\x7f]", name):
            raise Refusal("InvalidResourceName")
        return "/".join(segments)

    def find(self, name: str) -> Item:
        """A blob or folder.

        Raises:
            Refusal: there is none.
        """
        if name not in self.items:
            raise Refusal("BlobNotFound", "The specified blob does not exist.")
        return self.items[name]

    def publish(self, name: str, item: Item) -> Item:
        """Store, at once for every reader; parents are made in a hierarchical namespace."""
        if old := self.items.get(name):
            item.lease, item.created = old.lease, old.created
        for parent in self.parents(name):
            self.items.setdefault(parent, Item(folder=True, made_by="dfs"))
        self.items[name] = item
        self.uncommitted.pop(name, None)  # blob/put-block: of what no block list names
        return item

    def parents(self, name: str) -> list[str]:
        """Folders that a path has."""
        steps = name.split("/")
        return ["/".join(steps[:end]) for end in range(1, len(steps))] if self.hns else []

    def within(self, name: str) -> Iterator[str]:
        """Paths below a folder; the empty name is the root."""
        return (each for each in sorted(self.items) if not name or each.startswith(name + "/"))


def judge(headers: Mapping[str, str], item: Item | None, whose: str = "", reading: bool = False) -> None:
    """Conditions of a request (blob/specifying-conditional-headers-for-blob-service-operations).

    Arguments:
        whose: "x-ms-source-" for the source of a copy or rename.

    Raises:
        Refusal: one does not hold.
    """
    refusal = Refusal("SourceConditionNotMet" if whose else "ConditionNotMet")
    wanted, unwanted = headers.get(f"{whose}If-Match"), headers.get(f"{whose}If-None-Match")
    tags = ("*", f'"{item.etag}"') if item else ()
    if wanted and wanted not in tags:
        raise refusal
    if unwanted and unwanted in tags:
        if reading:
            raise Refusal("NotModified")
        raise Refusal("BlobAlreadyExists", "The specified blob already exists.") if unwanted == "*" else refusal
    if not item:
        return
    seen = http_date(item.modified)
    modified, unmodified = headers.get(f"{whose}If-Modified-Since"), headers.get(f"{whose}If-Unmodified-Since")
    if unmodified and _seconds(unmodified) < _seconds(seen):
        raise refusal
    if modified and _seconds(modified) >= _seconds(seen) and not unwanted:
        raise Refusal("NotModified") if reading else refusal


def _seconds(text: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        raise Refusal("InvalidHeaderValue") from None


def judge_lease(headers: Mapping[str, str], item: Leased | None, name: str = "x-ms-lease-id") -> None:
    """Whether a writer names the lease, if there is one (blob/lease-blob: outcomes of use attempts).

    Raises:
        Refusal: it does not, or names another.
    """
    given, held = headers.get(name), item.lease if item and item.lease and item.lease.held else None
    if held and not given:
        raise Refusal("LeaseIdMissing", "There is currently a lease on the blob and no lease ID was specified.")
    if held and given != held.id:
        raise Refusal("LeaseIdMismatchWithBlobOperation")
    if given and not held and item is not None:
        raise Refusal("LeaseLost" if item.lease else "LeaseNotPresentWithBlobOperation")


def metadata_of(headers: CIMultiDict[str]) -> dict[str, str]:
    """What `x-ms-meta-` headers say; of names that differ in case alone the last one stays (measured on azurite).

    Raises:
        Refusal: a name that is no C# identifier, or too much of it.
    """
    found: dict[str, tuple[str, str]] = {}
    for header, value in headers.items():
        if header.lower().startswith("x-ms-meta-"):
            name = header[len("x-ms-meta-") :]
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise Refusal("InvalidMetadata", "The metadata specified is invalid.")
            found[name.lower()] = name, value.strip()
    if sum(len(name) + len(value) for name, value in found.values()) > LARGEST_METADATA:
        raise Refusal("MetadataTooLarge")
    return dict(found.values())


def settings_of(headers: Mapping[str, str], prefix: str = "x-ms-blob-") -> dict[str, str]:
    """What the writer says of the content (blob/put-blob)."""
    found = {name: headers.get(prefix + name.lower(), "") for name in KEPT}
    return {name: value for name, value in found.items() if value}


def check_md5(headers: Mapping[str, str], body: bytes) -> None:
    """Whether a body arrived as it was sent (blob/put-blob, blob/put-block: Content-MD5)."""
    told = headers.get("Content-MD5")
    if told and told != base64.b64encode(hashlib.md5(body).digest()).decode():
        raise Refusal("Md5Mismatch")
