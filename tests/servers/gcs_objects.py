"""Buckets and objects of the double of Google Cloud Storage: generations, conditions, listings."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import time
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import google_crc32c

from servers.gcs_answers import Refusal, invalid, no_object, number, unmet, utf8

KEPT = ("contentType", "contentEncoding", "contentDisposition", "contentLanguage", "cacheControl", "customTime")
HOLDS = ("temporaryHold", "eventBasedHold")
LONGEST_NAME = 1024
"""Bytes of UTF-8 (docs/objects)."""
LARGEST_METADATA = 8 << 10
"""Bytes of all names and values (docs/quotas)."""
PAGE = 1000
_last_generation = 0


def _next_generation() -> int:
    global _last_generation
    _last_generation = max(_last_generation + 1, time.time_ns() // 1000)
    return _last_generation


def now() -> dt.datetime:
    """Of the service, in milliseconds."""
    moment = dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def stamp(moment: dt.datetime) -> str:
    """A time as both APIs write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


@dataclass
class Stored:
    """A generation of an object.

    Attributes:
        properties: what the writer may set: contentType, metadata, contentEncoding, …
        components: how many objects it was composed of; such an object has no MD5 (docs/composite-objects).
    """

    bucket: str
    name: str
    content: bytes
    properties: dict[str, Any]
    components: int | None = None
    generation: int = field(default_factory=_next_generation)
    metageneration: int = 1
    created: dt.datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        self.updated = self.created
        self.md5 = None if self.components else hashlib.md5(self.content).digest()
        # Of four bytes in big-endian order, as base64 (discovery: Object.crc32c).
        self.crc32c = base64.b64encode(google_crc32c.value(self.content).to_bytes(4, "big")).decode()

    @property
    def hashes(self) -> dict[str, str]:
        """`crc32c`, and `md5` where there is one, as base64."""
        return {"crc32c": self.crc32c} | ({"md5": base64.b64encode(self.md5).decode()} if self.md5 else {})

    @property
    def etag(self) -> str:
        """Of the JSON API: it changes with the metageneration too."""
        packed = b"\x08" + _varint(self.generation) + b"\x10" + _varint(self.metageneration)
        return base64.b64encode(packed).decode()

    @property
    def xml_etag(self) -> str:
        """Of the XML API, quoted (docs/hashes-etags)."""
        return f'"{self.md5.hex() if self.md5 else self.etag}"'

    def resource(self) -> dict[str, Any]:
        """Whole numbers of 64 bits are text (discovery: Object)."""
        here = f"/storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        whole: dict[str, Any] = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": here,
            "mediaLink": f"/download{here}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "storageClass": "STANDARD",
            "size": str(len(self.content)),
            "crc32c": self.crc32c,
            "etag": self.etag,
            "timeCreated": stamp(self.created),
            "updated": stamp(self.updated),
            "timeStorageClassUpdated": stamp(self.created),
        }
        if self.md5:
            whole["md5Hash"] = self.hashes["md5"]
        if self.components:
            whole["componentCount"] = self.components
        return whole | self.properties


def _varint(value: int) -> bytes:
    packed = bytearray()
    while value > 127:
        packed.append(value & 127 | 128)
        value >>= 7
    return bytes([*packed, value])


def writable(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What a writer may set of an object.

    Raises:
        Refusal: there is too much of it.
    """
    properties = {name: resource[name] for name in (*KEPT, *HOLDS) if resource.get(name)}
    if metadata := resource.get("metadata"):
        properties["metadata"] = {name: str(value) for name, value in metadata.items() if value is not None}
        if sum(len(utf8(name + value)) for name, value in properties["metadata"].items()) > LARGEST_METADATA:
            raise invalid("The total size of custom metadata exceeds 8192 bytes.")
    return properties


def judge(query: Mapping[str, str], live: Stored | None, whose: str = "if", reading: bool = False) -> None:
    """Conditions on an object (docs/request-preconditions); generation 0 is that of no live object.

    Arguments:
        whose: `if`, or `ifSource` for the source of a copy.

    Raises:
        Refusal: one does not hold; 304 where a reader has what he does not want (ifGenerationNotMatch).
    """
    states = {"Generation": live.generation if live else 0, "Metageneration": live.metageneration if live else 0}
    for what, state in states.items():
        wanted, unwanted = number(query, f"{whose}{what}Match"), number(query, f"{whose}{what}NotMatch")
        if wanted is not None and wanted != state:
            raise unmet()
        if unwanted is not None and unwanted == state:
            raise Refusal(304, "notModified", "Not Modified") if reading else unmet("If-None-Match")


class Bucket:
    """A bucket.

    Arguments:
        properties: of its resource, such as `versioning={"enabled": True}`.
    """

    def __init__(self, name: str, properties: Mapping[str, Any]) -> None:
        self.name, self.properties, self.created = name, dict(properties), now()
        self.live: dict[str, Stored] = {}
        self.old: dict[str, list[Stored]] = {}
        self.names: list[str] = []  # In the order of code points, which is that of their UTF-8.

    def resource(self) -> dict[str, Any]:
        """Of a GET (discovery: Bucket)."""
        times = {"timeCreated": stamp(self.created), "updated": stamp(self.created)}
        place = {"location": "US", "locationType": "multi-region", "storageClass": "STANDARD", "metageneration": "1"}
        return {"kind": "storage#bucket", "id": self.name, "name": self.name, **place, **times, **self.properties}

    def find(self, name: str, query: Mapping[str, str], wanted: str = "generation") -> Stored:
        """The live object, or the generation that the parameter `wanted` names.

        Raises:
            Refusal: there is none.
        """
        generation = number(query, wanted)
        for each in self._versions(name):
            if each.generation == generation or (generation is None and each is self.live.get(name)):
                return each
        raise no_object(self.name, name)

    def check(self, name: str, query: Mapping[str, str]) -> None:
        """Whether an object may be written.

        Raises:
            Refusal: a name that is no good, a condition that does not hold, or an object that is held.
        """
        # docs/objects: names.
        if not 0 < len(utf8(name)) <= LONGEST_NAME or name in (".", "..") or "\r" in name or "\n" in name:
            raise invalid(f"Invalid object name: {name!r}")
        live = self.live.get(name)
        judge(query, live)
        self._check_held(live)

    def publish(
        self,
        name: str,
        content: bytes,
        properties: dict[str, Any],
        query: Mapping[str, str],
        components: int | None = None,
    ) -> Stored:
        """Store a new generation, at once for every reader.

        Raises:
            Refusal: see `check`.
        """
        self.check(name, query)
        stored = Stored(self.name, name, content, properties, components)
        if name in self.live:
            self._keep_old(self.live[name])
        else:
            insort(self.names, name)
        self.live[name] = stored
        return stored

    def remove(self, name: str, query: Mapping[str, str], source: bool = False) -> None:
        """Delete the live object, or a generation of it.

        Arguments:
            source: whether the conditions are those of a source.

        Raises:
            Refusal: there is none, a condition does not hold, or it is held.
        """
        found = self.find(name, query)
        judge(query, found, "ifSource" if source else "if")
        self._check_held(found)
        if found is not self.live.get(name):
            self.old[name].remove(found)
            return
        del self.live[name]
        del self.names[bisect_left(self.names, name)]
        if number(query, "generation") is None:
            self._keep_old(found)

    def _check_held(self, live: Stored | None) -> None:
        if live is None:
            return
        where = f"Object '{self.name}/{live.name}'"
        if any(live.properties.get(hold) for hold in HOLDS):  # docs/object-holds
            raise Refusal(403, "objectUnderActiveHold", f"{where} is under active hold and cannot be changed.")
        period = int(self.properties.get("retentionPolicy", {}).get("retentionPeriod", 0))  # docs/bucket-lock
        if period and now() < (until := live.created + dt.timedelta(seconds=period)):
            message = f"{where} is subject to bucket's retention policy and cannot be changed until {stamp(until)}"
            raise Refusal(403, "retentionPolicyNotMet", message)

    def _versions(self, name: str) -> list[Stored]:
        """All generations, the newest last."""
        return [*self.old.get(name, ()), *([self.live[name]] if name in self.live else ())]

    def _keep_old(self, stored: Stored) -> None:
        if self.properties.get("versioning", {}).get("enabled"):
            self.old.setdefault(stored.name, []).append(stored)

    def listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of a listing (discovery: objects.list)."""
        if unknown := {"matchGlob", "softDeleted", "includeFoldersAsPrefixes", "filter"} & query.keys():
            raise Refusal(501, "notImplemented", f"The double does not know {unknown}.")
        # "Maximum number of items plus prefixes", 1000 at most.
        limit = min(number(query, "maxResults") or PAGE, PAGE)
        page: dict[str, Any] = {"kind": "storage#objects"}
        last, counted = "", 0
        for kind, name, found in self._entries(query):
            if counted >= limit:
                page["nextPageToken"] = base64.urlsafe_b64encode(last.encode()).decode()
                break
            if kind == "prefixes":
                page.setdefault(kind, []).append(name)
            if found:
                page.setdefault("items", []).extend(each.resource() for each in found)
            last, counted = kind[0] + name, counted + max(len(found), 1)
        return page

    def _entries(self, query: Mapping[str, str]) -> Iterator[tuple[str, str, list[Stored]]]:
        """Items and prefixes in one order, from where the token says."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        versions, trailing = (query.get(name) == "true" for name in ("versions", "includeTrailingDelimiter"))
        names = sorted({*self.names, *(name for name in self.old if self.old[name])}) if versions else self.names
        index = bisect_left(names, max(prefix, query.get("startOffset", "")))
        if token := query.get("pageToken"):
            index = max(index, bisect_left(names, _follows(token)))
        end = query.get("endOffset")
        while index < len(names) and (name := names[index]).startswith(prefix) and (not end or name < end):
            found = self._versions(name) if versions else [self.live[name]]
            head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if cut:
                group = prefix + head + delimiter
                yield "prefixes", group, found if trailing and name == group else []
                index = bisect_left(names, _past(group), index)
            else:
                yield "items", name, found
                index += 1


def _follows(token: str) -> str:
    """Where the page of a token begins."""
    try:
        kind, last = (text := base64.urlsafe_b64decode(token).decode())[:1], text[1:]
    except ValueError:
        kind, last = "", ""
    if kind not in ("i", "p") or not last:
        raise invalid("Invalid page token")
    return _past(last) if kind == "p" else last + "\0"


def _past(prefix: str) -> str:
    """What follows all names with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
