"""Plain requests to a server of Google Cloud Storage, past any client library, to prepare and to look."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from helpers.deadline import DEADLINE

from servers.gcs import BUCKET, GcsServer

LIST = f"/storage/v1/b/{BUCKET}/o"
MIB = 1 << 20
PART = 256 << 10
"""The smallest part of a resumable upload [bytes]."""


@dataclass
class Reply:
    """What a server answered; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """Of a refusal."""
        return str(self.json["error"]["errors"][0]["reason"])


def ask(
    server: GcsServer,
    method: str,
    path: str,
    query: Mapping[str, object] | None = None,
    body: bytes | Mapping[str, Any] = b"",
    **headers: str,
) -> Reply:
    """Send a request as it is; an underscore in the name of a header is a hyphen.

    Arguments:
        path: percent-encoded.
        body: content, or what becomes JSON.
    """
    address = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=DEADLINE)
    told = {"Content-Type": "application/json"} if isinstance(body, Mapping) else {}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    content = json.dumps(body).encode() if isinstance(body, Mapping) else body
    target = path + ("?" + urlencode(query, quote_via=quote) if query else "")
    try:
        connection.request(method, target, content, told)
        with connection.getresponse() as reply:
            found = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, found, reply.read())
    finally:
        connection.close()


def address(name: str, bucket: str = BUCKET) -> str:
    """Path of an object."""
    return f"/storage/v1/b/{bucket}/o/{quote(name, safe='').replace('.', '%2E')}"


def uploads_to(bucket: str = BUCKET) -> str:
    """Path of uploads."""
    return f"/upload/storage/v1/b/{bucket}/o"


def put_media(server: GcsServer, name: str, content: bytes, **query: object) -> Reply:
    """Upload content alone."""
    return ask(server, "POST", uploads_to(), {"uploadType": "media", "name": name, **query}, content)


def put_multipart(
    server: GcsServer, name: str, content: bytes, query: Mapping[str, object] | None = None, **resource: Any
) -> Reply:
    """Upload content and metadata in one request."""
    body = multipart({"name": name, **resource}, content)
    headers = {"Content_Type": "multipart/related; boundary=limit"}
    return ask(server, "POST", uploads_to(), {"uploadType": "multipart", **(query or {})}, body, **headers)


def multipart(resource: Mapping[str, Any], content: bytes, newline: bytes = b"\r\n") -> bytes:
    """Body of an upload of content and metadata."""
    told, kind = json.dumps(resource).encode(), b"Content-Type: "
    lines = [b"--limit", kind + b"application/json", b"", told, b"--limit", kind + b"text/plain", b"", content]
    return newline.join([*lines, b"--limit--", b""])


def start(server: GcsServer, name: str, query: Mapping[str, object] | None = None, **resource: Any) -> Reply:
    """Begin a resumable upload."""
    return ask(server, "POST", uploads_to(), {"uploadType": "resumable", **(query or {})}, {"name": name, **resource})


def send(server: GcsServer, begun: Reply, told: str, content: bytes = b"", method: str = "PUT") -> Reply:
    """Send a part of a resumable upload, with this Content-Range."""
    target = urlsplit(begun.headers["location"])
    return ask(server, method, f"{target.path}?{target.query}", None, content, Content_Range=told)


def rewrite(server: GcsServer, name: str, new: str, **query: object) -> Reply:
    """Copy; one call."""
    return ask(server, "POST", f"{address(name)}/rewriteTo/b/{BUCKET}/o/{quote(new, safe='')}", query)


def move(server: GcsServer, name: str, new: str, **query: object) -> Reply:
    """Move."""
    return ask(server, "POST", f"{address(name)}/moveTo/o/{quote(new, safe='')}", query)


def content_of(server: GcsServer, name: str) -> bytes:
    """What is stored under a name."""
    reply = ask(server, "GET", address(name), {"alt": "media"})
    assert reply.status == 200, reply
    return reply.body


def generation(reply: Reply) -> str:
    """Of an object that was stored."""
    assert reply.status == 200, reply
    return str(reply.json["generation"])


def listed(server: GcsServer, prefix: str, **query: object) -> tuple[list[str], list[str], str | None]:
    """Names and prefixes below a prefix, without it, and the token of the next page."""
    page = ask(server, "GET", LIST, {"prefix": prefix + "/", **query}).json
    cut = len(prefix) + 1
    items = [item["name"][cut:] for item in page.get("items", ())]
    return items, [name[cut:] for name in page.get("prefixes", ())], page.get("nextPageToken")


def race(work: Callable[[int], Reply], count: int = 16) -> list[int]:
    """Statuses of what is asked at the same time."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> int:
        barrier.wait(DEADLINE)
        return work(number).status

    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(begin, range(count)))
