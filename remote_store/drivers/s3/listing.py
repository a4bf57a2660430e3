"""Pages of listings, read by a quick parser of the standard library: by the SDK each key costs 20 microseconds."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

from remote_store.drivers.objects.wire import Object

OBJECTS = "RemoteStoreObjects"
"""Field of a reply that has the objects of the page, which its XML then lacks."""
_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_ODD = re.compile(rb"<!|<\?(?!xml )")
"""What may hide something from the pattern above: comments, CDATA, entities, instructions."""


def read_objects(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Take the objects out of a page before the SDK parses it; from one that is not plain, none."""
    body = response_dict["body"]
    if response_dict["status_code"] != 200 or _ODD.search(body):
        return
    try:
        root = fromstring(body)  # noqa: S314 (entities are ruled out)
        objects = _objects(root)
    except (ParseError, KeyError, ValueError, TypeError, OverflowError):
        return  # Of which the SDK, or what reads its result, tells what is wrong.
    rest, count = _CONTENTS.subn(b"", body)
    if count == len(objects):
        response_dict["body"] = rest
        customized_response_dict[OBJECTS] = objects


def _objects(root: Element) -> list[Object]:
    namespace = root.tag.removesuffix("ListBucketResult")
    key, size, time, etag = (f"{namespace}{name}" for name in ("Key", "Size", "LastModified", "ETag"))
    quoted = root.findtext(f"{namespace}EncodingType") == "url"
    found = []
    for entry in root.iter(f"{namespace}Contents"):
        told = {child.tag: child.text for child in entry}
        name = told[key]
        if not name:
            raise ValueError
        name = unquote_plus(name) if quoted and ("%" in name or "+" in name) else name
        if name.endswith("/"):
            found.append(Object(name))
        else:
            found.append(Object(name, _size(told[size]), _moment(told[time]), _tag(told[etag])))
    return found


def _size(told: str | None) -> int:
    if not told or not (told.isascii() and told.isdecimal()):
        raise ValueError
    return int(told)


def _moment(told: str | None) -> dt.datetime:
    moment = dt.datetime.fromisoformat(told or "")
    if moment.tzinfo is None:
        raise ValueError
    return moment if moment.tzinfo is dt.UTC else moment.astimezone(dt.UTC)


def _tag(told: str | None) -> str:
    tag = (told or "").removeprefix("W/").strip('"')
    if not tag:
        raise ValueError
    return tag
