"""Listings of the double of Azure storage, in each of its APIs."""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from servers.azure_answers import Refusal, element, http_date, xml_answer
from servers.azure_copying import described as copy_words
from servers.azure_items import Container, Item
from servers.double_answers import JSON, Answer

if TYPE_CHECKING:
    from servers.azure_service import Service, Settings

PAGE = 5000
NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def list_blobs(container: Container, query: Mapping[str, str], settings: Settings) -> Answer:
    """List Blobs (blob/list-blobs): names in the order of their bytes, `maxresults` of blobs and prefixes."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    if container.hns and delimiter not in ("", "/"):  # data-lake-storage-known-issues
        raise Refusal("InvalidQueryParameterValue", "delimiter")
    include = set(query.get("include", "").split(","))
    limit = _limit(query.get("maxresults"), "maxresults", settings)
    start = _read_marker(query.get("marker", ""), "OutOfRangeInput")
    text, following = "", ""
    for counted, (name, item) in enumerate(
        _entries(container, prefix, delimiter, start, "uncommittedblobs" in include)
    ):
        if counted >= limit or (settings.empty_page and not start):
            following = _marker(name)
            break
        text += _blob(name, item, container.hns, include) if item else _prefix(name, container)
    told = "".join(element(tag, query[key]) for tag, key in _TOLD.items() if query.get(key))
    blobs = f"<Blobs>{text}</Blobs>" if text else "<Blobs />"
    head = f'<EnumerationResults ContainerName="{quote(container.name)}">'
    return xml_answer(f"{head}{told}{blobs}{element('NextMarker', following)}</EnumerationResults>")


_TOLD = {"Prefix": "prefix", "Marker": "marker", "MaxResults": "maxresults", "Delimiter": "delimiter"}


def _limit(text: str | None, name: str, settings: Settings) -> int:
    try:
        limit = int(text or PAGE)
    except ValueError:
        limit = 0
    if limit < 1:
        raise Refusal("OutOfRangeQueryParameterValue", name)
    # "The service may return fewer results than specified by maxresults, or none" (blob/list-blobs: remarks).
    return min(limit, PAGE, settings.page or PAGE)


def _entries(
    container: Container, prefix: str, delimiter: str, start: str, uncommitted: bool
) -> Iterator[tuple[str, Item | None]]:
    """Blobs and prefixes in one order. In a hierarchical namespace each folder is a prefix (or, without a delimiter, a
    blob), never both (borink-org/object-storage, measured)."""
    hidden = container.uncommitted.keys() - container.items.keys() if uncommitted else ()
    names = sorted([*container.items, *hidden])
    found: dict[str, Item | None] = {}
    for name in names[bisect_left(names, prefix) :]:
        if not name.startswith(prefix):
            break
        item = container.items.get(name, Item())
        head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        as_prefix = bool(cut) or bool(delimiter and item.folder)
        found.setdefault(prefix + head + delimiter if as_prefix else name, None if as_prefix else item)
    # [unproved]: that a folder is sorted as if its name ended in "/".
    return iter(sorted((entry for entry in found.items() if entry[0] >= start), key=lambda entry: entry[0]))


def _blob(name: str, item: Item, hns: bool, include: set[str]) -> str:
    words = item.lease_words()
    told = {
        "Creation-Time": http_date(item.created),
        "Last-Modified": http_date(item.modified),
        "Etag": item.etag,
        "ResourceType": ("directory" if item.folder else "file") if hns else None,
        "Content-Length": len(item.content),
        "Content-Type": item.settings.get("Content-Type", "application/octet-stream"),
        **{name: item.settings.get(name, "") for name in ("Content-Encoding", "Content-Language", "Content-MD5")},
        **{name: item.settings.get(name, "") for name in ("Cache-Control", "Content-Disposition")},
        "BlobType": "BlockBlob",
        "AccessTier": "Hot",
        "AccessTierInferred": "true",
        "LeaseStatus": words["x-ms-lease-status"],
        "LeaseState": words["x-ms-lease-state"],
        "ServerEncrypted": "true",
    }
    if item.copy and "copy" in include:
        names = {"CopyId": "id", "CopyStatus": "status", "CopySource": "source", "CopyProgress": "progress"}
        told |= {tag: copy_words(item)[f"x-ms-copy-{name}"] for tag, name in names.items()}
    text = "".join(element(tag, value) for tag, value in told.items() if value is not None)
    metadata = ""
    if "metadata" in include:
        held = item.metadata | ({"hdi_isfolder": "true"} if item.folder else {})
        metadata = f"<Metadata>{''.join(element(key, value) for key, value in held.items())}</Metadata>"
    return f"<Blob>{_name(name)}<Properties>{text}</Properties>{metadata}</Blob>"


def _prefix(name: str, container: Container) -> str:
    folder = container.items.get(name.removesuffix("/")) if container.hns else None
    told = {"Last-Modified": http_date(folder.modified), "Etag": folder.etag} if folder else {}
    if folder:
        told = {"Creation-Time": http_date(folder.created), **told, "ResourceType": "directory"}
    text = "".join(element(tag, value) for tag, value in told.items())
    return f"<BlobPrefix>{_name(name)}{f'<Properties>{text}</Properties>' if text else ''}</BlobPrefix>"


def _name(name: str) -> str:
    """A name that XML cannot hold is percent-encoded (blob/list-blobs: Name Encoded)."""
    if NOT_XML.search(name):
        return f'<Name Encoded="true">{quote(name)}</Name>'
    return element("Name", name).replace("\r", "&#13;")


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _read_marker(marker: str, code: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker).decode()
    except (binascii.Error, ValueError):
        raise Refusal(code) from None


def list_paths(container: Container, query: Mapping[str, str], settings: Settings) -> Answer:
    """Path List (datalake/path/list).

    Raises:
        Refusal: there is no such folder.
    """
    folder = query.get("directory", "").strip("/")
    if folder and not ((held := container.items.get(container.path(folder))) and held.folder):
        raise Refusal("PathNotFound", "The specified path does not exist.")  # [unproved]: of a file
    limit = _limit(query.get("maxResults"), "maxResults", settings)
    start = _read_marker(query.get("continuation", ""), "InvalidInput").split("/")
    below = len(folder) + 1 if folder else 0
    paths: list[dict[str, str]] = []
    following = {}
    # A folder comes before what it holds, and that before its neighbours. [unproved]
    for name in sorted(container.within(folder), key=lambda each: each.split("/")):
        if name.split("/") < start or (query.get("recursive") != "true" and "/" in name[below:]):
            continue
        if len(paths) >= limit or (settings.empty_page and start == [""]):
            following = {"x-ms-continuation": _marker(name)}
            break
        paths.append(_path(name, container.items[name]))
    body = json.dumps({"paths": paths}, ensure_ascii=False).encode()
    return Answer(200, body, {**JSON, **container.described(), **following})


def _path(name: str, item: Item) -> dict[str, str]:
    told = {
        "name": name,
        "contentLength": str(len(item.content)),
        "creationTime": str(int((item.created + 11644473600) * 10**7)),
        "etag": item.etag,
        "group": "$superuser",
        "lastModified": http_date(item.modified),
        "owner": "$superuser",
        "permissions": "rwxr-x---" if item.folder else "rw-r-----",
    }
    return told | ({"isDirectory": "true"} if item.folder else {})


def list_containers(service: Service, query: Mapping[str, str]) -> Answer:
    """List Containers (blob/list-containers2)."""
    limit, start = _limit(query.get("maxresults"), "maxresults", service.settings), query.get("marker", "")
    names = sorted(name for name in service.containers if name.startswith(query.get("prefix", "")) and name >= start)
    text = ""
    for name in names[:limit]:
        held = service.containers[name]
        words = held.lease_words()
        told = element("Last-Modified", http_date(held.modified)) + element("Etag", f'"{held.etag}"')
        told += element("LeaseStatus", words["x-ms-lease-status"]) + element("LeaseState", words["x-ms-lease-state"])
        metadata = "".join(element(key, value) for key, value in held.metadata.items())
        metadata = f"<Metadata>{metadata}</Metadata>" if "metadata" in query.get("include", "") else ""
        text += f"<Container>{element('Name', name)}<Properties>{told}</Properties>{metadata}</Container>"
    following = names[limit] if len(names) > limit else ""
    head = f'<EnumerationResults ServiceEndpoint="{service.account}">'
    containers = f"<Containers>{text}</Containers>{element('NextMarker', following)}"
    return xml_answer(f"{head}{containers}</EnumerationResults>")
