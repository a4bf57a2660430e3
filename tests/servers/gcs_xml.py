"""The part of the XML API of the double of Google Cloud Storage that object_store uses."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from servers.gcs_answers import XML, Answer, Refusal, Request, invalid, number
from servers.gcs_objects import Bucket, Stored, judge, stamp, writable
from servers.gcs_reading import media

if TYPE_CHECKING:
    from servers.gcs_service import Service

CONDITIONS = {  # docs/xml-api/reference-headers
    "x-goog-if-generation-match": "ifGenerationMatch",
    "x-goog-if-metageneration-match": "ifMetagenerationMatch",
    "x-goog-copy-source-if-generation-match": "ifSourceGenerationMatch",
    "x-goog-copy-source-if-metageneration-match": "ifSourceMetagenerationMatch",
    "x-goog-copy-source-generation": "sourceGeneration",
}
PROPERTIES = ("Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control")


@dataclass
class Upload:
    """A multipart upload (docs/multipart-uploads)."""

    name: str
    properties: dict[str, Any]
    parts: dict[int, bytes] = field(default_factory=dict)


def on_object(service: Service, bucket: Bucket, name: str, request: Request) -> Answer:
    """Calls of `/B/K`, and the listing of `/B`."""
    query = request.query | {
        CONDITIONS[key.lower()]: value for key, value in request.headers.items() if key.lower() in CONDITIONS
    }
    if not name:
        if request.method == "GET":
            return _listing(bucket, query)
    elif {"uploads", "uploadId"} & query.keys():
        return _on_upload(service, bucket, name, request)
    elif request.method in ("GET", "HEAD"):
        return _read(bucket, name, request, query)
    elif request.method == "PUT":
        if source := request.headers.get("x-goog-copy-source"):
            return _copy(service, source, bucket, name, query)
        return _written(bucket.publish(name, request.body, _properties(request), query))
    elif request.method == "DELETE":
        bucket.remove(name, query)
        return Answer(204, headers={})
    raise Refusal(405, "methodNotAllowed", "The double does not know this call.")


def _properties(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {
        name[0].lower() + name[1:].replace("-", ""): request.headers[name]
        for name in PROPERTIES
        if name in request.headers
    }
    mark = "x-goog-meta-"
    metadata = {
        key.lower().removeprefix(mark): value for key, value in request.headers.items() if key.lower().startswith(mark)
    }
    return writable({**found, "metadata": metadata})


def _read(bucket: Bucket, name: str, request: Request, query: Mapping[str, str]) -> Answer:
    found = bucket.find(name, query)
    judge(query, found, reading=True)
    answer = media(found, request, found.xml_etag)
    metadata = {f"x-goog-meta-{key}": value for key, value in found.properties.get("metadata", {}).items()}
    headers = {**answer.headers, "Last-Modified": format_datetime(found.updated, usegmt=True), **metadata}
    return answer._replace(headers=headers)


def _written(stored: Stored) -> Answer:
    hashes = ",".join(f"{name}={value}" for name, value in stored.hashes.items())
    states = {"x-goog-generation": str(stored.generation), "x-goog-metageneration": str(stored.metageneration)}
    return Answer(200, headers={"ETag": stored.xml_etag, "x-goog-hash": hashes, **states})


def _copy(service: Service, source: str, bucket: Bucket, name: str, query: Mapping[str, str]) -> Answer:
    """Copy (docs/xml-api/put-object-copy)."""
    of, _, key = unquote(source.removeprefix("/")).partition("/")
    found = service.bucket(of).find(key, query, "sourceGeneration")
    judge(query, found, "ifSource")
    stored = bucket.publish(name, found.content, found.properties, query, found.components)
    body = (
        f"<CopyObjectResult><LastModified>{stamp(stored.updated)}</LastModified><ETag>{escape(stored.xml_etag)}</ETag>"
    )
    return _written(stored)._replace(body=f"{body}</CopyObjectResult>".encode())


def _listing(bucket: Bucket, query: Mapping[str, str]) -> Answer:
    """Second version of the listing (docs/xml-api/get-bucket-list)."""
    names = {"prefix": "prefix", "delimiter": "delimiter", "max-keys": "maxResults", "continuation-token": "pageToken"}
    asked = {names[name]: value for name, value in query.items() if name in names}
    if after := query.get("start-after"):
        asked["startOffset"] = after + "\0"
    page = bucket.listed(asked)
    items, prefixes, more = page.get("items", ()), page.get("prefixes", ()), page.get("nextPageToken")
    text = f"<Name>{bucket.name}</Name><Prefix>{escape(query.get('prefix', ''))}</Prefix>"
    text += f"<KeyCount>{len(items) + len(prefixes)}</KeyCount><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
    text += f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    for item in items:
        stored = bucket.live[item["name"]]
        text += f"<Contents><Key>{escape(stored.name)}</Key><Generation>{stored.generation}</Generation>"
        text += f"<LastModified>{stamp(stored.updated)}</LastModified><ETag>{escape(stored.xml_etag)}</ETag>"
        text += f"<Size>{len(stored.content)}</Size></Contents>"
    text += "".join(f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes)
    return _xml(f"<ListBucketResult>{text}</ListBucketResult>")


def _xml(text: str) -> Answer:
    return Answer(200, f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode(), XML)


def _on_upload(service: Service, bucket: Bucket, name: str, request: Request) -> Answer:
    """A multipart upload (docs/multipart-uploads); it takes no conditions."""
    if request.method == "POST" and "uploads" in request.query:
        upload_id = uuid.uuid4().hex
        service.parts[upload_id] = Upload(name, _properties(request))
        where = f"<Bucket>{bucket.name}</Bucket><Key>{escape(name)}</Key><UploadId>{upload_id}</UploadId>"
        return _xml(f"<InitiateMultipartUploadResult>{where}</InitiateMultipartUploadResult>")
    upload_id = request.query.get("uploadId", "")
    if (upload := service.parts.get(upload_id)) is None or upload.name != name:
        raise Refusal(404, "noSuchUpload", "The requested upload was not found.")
    if request.method == "PUT":
        place = number(request.query, "partNumber") or 0
        upload.parts[place] = request.body
        return Answer(200, headers={"ETag": f'"part-{place}"'})
    del service.parts[upload_id]
    if request.method == "DELETE":
        return Answer(204, headers={})
    places = [int(place) for place in re.findall(rb"<PartNumber>\s*(\d+)\s*</PartNumber>", request.body)]
    if not places or not upload.parts.keys() >= set(places):
        raise invalid("One or more of the specified parts could not be found.")
    content = b"".join(upload.parts[place] for place in places)
    stored = bucket.publish(name, content, upload.properties, {}, components=len(places))
    text = f"<Bucket>{bucket.name}</Bucket><Key>{escape(name)}</Key><ETag>{escape(stored.xml_etag)}</ETag>"
    return _xml(f"<CompleteMultipartUploadResult>{text}</CompleteMultipartUploadResult>")
