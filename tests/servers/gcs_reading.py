"""How the double of Google Cloud Storage sends the content of an object, in both of its APIs."""

from __future__ import annotations

import gzip
import re
import zlib

from servers.gcs_answers import Answer, Refusal, Request, unmet
from servers.gcs_objects import Stored


def media(stored: Stored, request: Request, etag: str) -> Answer:
    """The content, a range of it (206), or it decompressed (docs/transcoding).

    Raises:
        Refusal: If-Match does not hold (412), If-None-Match does not (304), or the range begins past the end (416).
    """
    _judge_etags(request, etag)
    headers = {
        "Content-Type": stored.properties.get("contentType", "application/octet-stream"),
        "ETag": etag,
        "X-Goog-Generation": str(stored.generation),
        "X-Goog-Metageneration": str(stored.metageneration),
        "X-Goog-Hash": ",".join(f"{name}={value}" for name, value in stored.hashes.items()),
        "X-Goog-Storage-Class": "STANDARD",
        "X-Goog-Stored-Content-Encoding": stored.properties.get("contentEncoding", "identity"),
        "X-Goog-Stored-Content-Length": str(len(stored.content)),
        "Accept-Ranges": "bytes",
    }
    for name in ("Cache-Control", "Content-Disposition", "Content-Language", "Content-Encoding"):
        if value := stored.properties.get(name[0].lower() + name[1:].replace("-", "")):
            headers[name] = value
    if headers.get("Content-Encoding") == "gzip" and not _keeps_gzip(stored, request):
        # Without its length and its encoding; a Range is silently ignored.
        del headers["Content-Encoding"], headers["Accept-Ranges"]
        headers["Warning"] = "214 UploadServer gunzipped"
        try:
            return Answer(200, gzip.decompress(stored.content), headers, sized=False)
        except (OSError, EOFError, zlib.error):
            raise Refusal(503, "backendError", "The content is not what its Content-Encoding says.") from None
    if (found := _range(request.headers.get("Range", ""), len(stored.content))) is None:
        return Answer(200, stored.content, headers)
    headers["Content-Range"] = f"bytes {found.start}-{found.stop - 1}/{len(stored.content)}"
    return Answer(206, stored.content[found.start : found.stop], headers)


def _judge_etags(request: Request, etag: str) -> None:
    """Headers that only readers may give (docs/request-preconditions)."""
    wanted, unwanted = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if wanted and wanted not in ("*", etag):
        raise unmet()
    if unwanted and unwanted in ("*", etag):
        raise Refusal(304, "notModified", "Not Modified")


def _keeps_gzip(stored: Stored, request: Request) -> bool:
    """Whether compressed content goes out as it is stored."""
    accepted = "gzip" in request.headers.get("Accept-Encoding", "")
    return accepted or "no-transform" in stored.properties.get("cacheControl", "")


def _range(text: str, size: int) -> range | None:
    """The bytes that a Range header names; None where it is none that can be read, which is ignored (RFC 9110 14.2)."""
    if not (found := re.fullmatch(r"bytes=(\d*)-(\d*)", text)) or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        named = range(max(size - int(last), 0), size)
    else:
        named = range(int(first), min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return None
    if not named or named.start >= size:
        raise Refusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable", "Range")
    return named
