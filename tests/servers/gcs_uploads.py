"""Uploads to the double of Google Cloud Storage: of content alone, with metadata, and resumable ones."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import TYPE_CHECKING, Any

import google_crc32c

from servers.gcs_answers import Answer, Refusal, Request, invalid, json_answer, json_of
from servers.gcs_objects import Bucket, judge, writable

if TYPE_CHECKING:
    from servers.gcs_service import Service

QUANTUM = 256 << 10
"""Parts of a resumable upload are multiples of this, but the last [bytes]."""
RESUME = 308
CANCELLED = 499


@dataclass
class Session:
    """A resumable upload; nobody sees it before it ends.

    Attributes:
        asked: the resource that was asked for, with its conditions in `query`.
        answer: what it ended with.
    """

    bucket: Bucket
    name: str
    asked: dict[str, Any]
    query: Mapping[str, str]
    kept: bytearray = field(default_factory=bytearray)
    answer: Answer | None = None


def on_uploads(service: Service, bucket: Bucket, request: Request) -> Answer:
    """Calls of `/upload/…/b/B/o` that begin an upload, or are one."""
    match request.query.get("uploadType"):
        case "media":
            asked = {"contentType": request.headers.get("Content-Type"), "name": request.query.get("name")}
            return _store(bucket, asked, request.body, request.query)
        case "multipart":
            return _multipart(service, bucket, request)
        case "resumable":
            return _start(service, bucket, request)
    raise invalid("Upload requests must have a supported uploadType.")


def _store(bucket: Bucket, asked: Mapping[str, Any], content: bytes, query: Mapping[str, str]) -> Answer:
    name = asked.get("name") or query.get("name")
    if not name:
        raise Refusal(400, "required", "Required parameter: name", "name")
    _check_hashes(asked, content)
    return json_answer(bucket.publish(name, content, writable(asked), query).resource())


def _check_hashes(asked: Mapping[str, Any], content: bytes) -> None:
    """What the writer says of his content must be true (docs/data-validation)."""
    found = {"md5Hash": md5(content).digest(), "crc32c": google_crc32c.value(content).to_bytes(4, "big")}
    for name, digest in found.items():
        told = base64.b64encode(digest).decode()
        if name in asked and asked[name] != told:
            raise invalid(f"Provided {name} '{asked[name]}' doesn't match calculated '{told}'.")


def _multipart(service: Service, bucket: Bucket, request: Request) -> Answer:
    """Metadata, then content (docs/uploading-objects: multipart)."""
    found = pieces(request, service.settings.bare_newlines)
    if len(found) != 2:
        raise _malformed()
    (_, told), (headers, content) = found
    query = request.query
    asked = json_of(Request("", "", {}, request.headers, told, request.over))
    if "contentType" not in asked and (of_part := headers.get("content-type")):
        asked["contentType"] = of_part
    return _store(bucket, {**asked, "name": asked.get("name")}, content, query)


def pieces(request: Request, bare_newlines: bool = False) -> list[tuple[dict[str, str], bytes]]:
    """Headers, with names in lower case, and bodies of what is joined with a boundary (RFC 2046 5.1).

    Arguments:
        bare_newlines: whether lines may end without a carriage return.

    Raises:
        Refusal: it is malformed.
    """
    if not (found := re.search(r'boundary="?([^";]+)"?', request.headers.get("Content-Type", ""))):
        raise _malformed()
    boundary = b"--" + found[1].encode()
    bare = bare_newlines and request.body.startswith(boundary + b"\n")
    newline = b"\n" if bare else b"\r\n"
    before, *parts = (newline + request.body).split(newline + boundary)
    if before or not parts or parts.pop().rstrip(b"\r\n") != b"--":
        raise _malformed()
    split = []
    for part in parts:
        head, blank, body = part.partition(newline * 2)
        if not blank or not part.startswith(newline):
            raise _malformed()
        lines = [line.partition(":") for line in head.decode("latin-1").split(newline.decode()) if line]
        split.append(({name.lower(): value.strip() for name, _, value in lines}, body))
    return split


def _malformed() -> Refusal:
    return Refusal(400, "badRequest", "Malformed multipart body.")


def _start(service: Service, bucket: Bucket, request: Request) -> Answer:
    """Begin a resumable upload (docs/performing-resumable-uploads)."""
    asked = json_of(request)
    name = asked.get("name") or request.query.get("name")
    if not name:
        raise Refusal(400, "required", "Required parameter: name", "name")
    writable(asked)
    asked.setdefault("contentType", request.headers.get("X-Upload-Content-Type"))
    if "start" in service.settings.sessions_judged:
        judge(request.query, bucket.live.get(name))
    upload_id = uuid.uuid4().hex
    service.sessions[upload_id] = Session(bucket, name, asked, request.query)
    here = f"http://{request.headers['Host']}{request.path}"
    return Answer(200, headers={"Location": f"{here}?uploadType=resumable&upload_id={upload_id}"})


def on_session(service: Service, request: Request) -> Answer:
    """Calls of the address of a resumable upload; who knows it needs no other authority."""
    upload_id = request.query["upload_id"]
    if (session := service.sessions.get(upload_id)) is None:
        raise Refusal(404, "notFound", "No such upload session.")
    if request.method == "DELETE":
        if not session.answer:
            del service.sessions[upload_id]
        return Answer(CANCELLED, headers={})
    if session.answer:  # The end was heard before; a question gets the resource again.
        return session.answer
    first, total = _keep(service, session, request)
    if total is None or len(session.kept) < total:
        if first is not None and "part" in service.settings.sessions_judged:
            judge(session.query, session.bucket.live.get(session.name))
        kept = len(session.kept)
        return Answer(RESUME, headers={"Range": f"bytes=0-{kept - 1}"} if kept else {})
    if len(session.kept) > total:
        raise invalid("More bytes were sent than the upload has.")
    content = bytes(session.kept)
    try:
        session.answer = _store(session.bucket, {**session.asked, "name": session.name}, content, session.query)
    except Refusal:
        del service.sessions[upload_id]
        raise
    session.kept.clear()
    return session.answer


def _keep(service: Service, session: Session, request: Request) -> tuple[int | None, int | None]:
    """Keep what a request brings; where that begins (if it brings any), and the size of the whole (if it is told)."""
    told = request.headers.get("Content-Range")
    if told is None:  # All of it in one request.
        session.kept[:] = request.body
        return 0, len(request.body)
    if not (found := re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", told)):
        raise invalid(f"Failed to parse Content-Range: {told}")
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        if request.body:
            raise invalid("A question for the status has no content.")
        # Without a size it is a question only; fake-gcs-server takes it for the end.
        return None, total
    first, last = int(found[1]), int(found[2])
    if len(request.body) != last + 1 - first:
        raise invalid("Content-Range and the length of the content differ.")
    if len(request.body) % QUANTUM and last + 1 != total:
        raise invalid("Parts must be multiples of 256 KiB, but the last.")
    kept = len(session.kept)
    if first <= kept:  # What is there already is not looked at again.
        session.kept += request.body[kept - first :]
    return first, total
