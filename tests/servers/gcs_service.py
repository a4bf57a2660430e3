"""What the double of Google Cloud Storage does with a request: who may ask, and what answers."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import responses
from urllib.parse import parse_qsl, unquote, urlsplit

from multidict import CIMultiDict

from servers import gcs_json, gcs_login, gcs_uploads, gcs_xml
from servers.gcs_answers import Answer, Refusal, Request, invalid, json_answer, no_bucket
from servers.gcs_objects import Bucket
from servers.gcs_uploads import Session

MOST_BATCHED = 100


@dataclass
class Settings:
    """How the double behaves.

    Attributes:
        token: the bearer token that is demanded; those that `/token` gave out are taken too until they expire. None
            lets everybody in.
        token_lifetime: of those that `/token` gives out [s].
        token_delay: of each answer of `/token` [s].
        requester_pays: whether each request must name a project that pays.
        bare_newlines: whether multipart uploads may come without carriage returns, as gcsfs sends them; the double
            refuses them otherwise, because what they hold is cut at each `\\n--boundary` in the content.
        sessions_judged: when the conditions of a resumable upload are judged besides its end: "start", "part".
        rewrite_step: bytes that each call of rewriteTo copies at most; None copies all.
        clock_ahead: how far its clock is ahead of this machine's [s].
    """

    token: str | None = None
    token_lifetime: float = 3600
    token_delay: float = 0
    requester_pays: bool = False
    bare_newlines: bool = False
    sessions_judged: frozenset[str] = frozenset()
    rewrite_step: int | None = None
    clock_ahead: float = 0


@dataclass
class Service:
    """The state of the double; requests are carried out one after another."""

    settings: Settings
    buckets: dict[str, Bucket] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    parts: dict[str, gcs_xml.Upload] = field(default_factory=dict)
    issued: dict[str, float] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def carry_out(self, request: Request) -> Answer:
        """Answer a request."""
        with self.lock:
            answer = self._answer(request)
            return answer._replace(headers={"Date": formatdate(self.now, usegmt=True), **answer.headers})

    @property
    def now(self) -> float:
        """What its clock tells [s since 1970]."""
        return time.time() + self.settings.clock_ahead

    def _answer(self, request: Request) -> Answer:
        if request.path == "/token":
            return gcs_login.grant(self, request)
        try:
            steps = [unquote(step, errors="strict") for step in request.path.split("/")[1:]]
        except UnicodeDecodeError:
            return invalid("The name is not valid UTF-8.").as_json()
        match steps:
            case ["batch", "storage", "v1"]:
                return self._batch(request)
            case ["storage", "v1", *rest] | [("upload" | "download"), "storage", "v1", *rest]:
                return self._json(request, steps[0] == "upload", rest)
        try:
            self._admit(request)
            bucket = self.bucket(steps[0])
            return gcs_xml.on_object(self, bucket, "/".join(steps[1:]), request)
        except Refusal as refusal:
            return refusal.as_xml()

    def bucket(self, name: str) -> Bucket:
        """A bucket.

        Raises:
            Refusal: there is none of this name.
        """
        if name not in self.buckets:
            raise no_bucket()
        return self.buckets[name]

    def _json(self, request: Request, uploading: bool, steps: list[str]) -> Answer:
        try:
            if uploading and "upload_id" in request.query:
                answer = gcs_uploads.on_session(self, request)
            else:
                self._admit(request)
                answer = self._routed(request, uploading, steps)
        except Refusal as refusal:
            # firebase/firebase-tools#3647: errors of media calls are bare text.
            return refusal.as_text() if request.query.get("alt") == "media" else refusal.as_json()
        fields = request.query.get("fields")
        if fields and answer.body and answer.status == 200 and request.query.get("alt") != "media":
            return json_answer(gcs_json.masked(json.loads(answer.body), fields))
        return answer

    def _routed(self, request: Request, uploading: bool, steps: list[str]) -> Answer:
        match request.method, steps:
            case (("GET" | "POST"), ["b"]):
                return gcs_json.on_buckets(self, request)
            case (("GET" | "PATCH" | "DELETE"), ["b", bucket]):
                return gcs_json.on_bucket(self, self.bucket(bucket), request)
            case "GET", ["b", bucket, "storageLayout"]:
                return gcs_json.storage_layout(self.bucket(bucket))
            case "GET", ["b", bucket, "o"]:
                return json_answer(self.bucket(bucket).listed(request.query))
            case "POST", ["b", bucket, "o"] if uploading:
                return gcs_uploads.on_uploads(self, self.bucket(bucket), request)
            case (("GET" | "HEAD" | "PATCH" | "PUT" | "DELETE"), ["b", bucket, "o", name]):
                return gcs_json.on_object(self.bucket(bucket), name, request)
            case "POST", ["b", bucket, "o", name, "rewriteTo", "b", target, "o", new]:
                return gcs_json.rewrite(self, self.bucket(bucket), name, self.bucket(target), new, request)
            case "POST", ["b", bucket, "o", name, "copyTo", "b", target, "o", new]:
                return gcs_json.copy(self.bucket(bucket), name, self.bucket(target), new, request)
            case "POST", ["b", bucket, "o", name, "moveTo", "o", new]:
                return gcs_json.move(self.bucket(bucket), name, new, request)
            case "POST", ["b", bucket, "o", name, "compose"]:
                return gcs_json.compose(self.bucket(bucket), name, request)
        raise Refusal(404, "notFound", "Not Found")

    def _admit(self, request: Request) -> None:
        """Look at who asks, and who pays (docs/json_api/v1/status-codes, docs/requester-pays)."""
        gcs_login.check_times(request, self.now)
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.settings.token is not None and given != self.settings.token:
            if not given:
                message = "Anonymous caller does not have access to the Google Cloud Storage bucket."
                raise Refusal(401, "required", message, "Authorization")
            if self.issued.get(given, 0) < time.monotonic():
                raise Refusal(401, "authError", "Invalid Credentials", "Authorization")
        payer = request.query.get("userProject") or request.headers.get("x-goog-user-project")
        if self.settings.requester_pays and not payer:
            raise Refusal(400, "required", "Bucket is a requester pays bucket but no user project provided.")

    def _batch(self, request: Request) -> Answer:
        """Several calls in one (docs/batch); each has its own status."""
        try:
            self._admit_batch(request)
            parts = gcs_uploads.pieces(request)
            if len(parts) > MOST_BATCHED:
                raise Refusal(400, "invalid", f"The batch request has more than {MOST_BATCHED} calls.")
        except Refusal as refusal:
            return refusal.as_json()
        boundary = f"batch_{uuid.uuid4().hex}"
        joined = b""
        for headers, inner in parts:
            answer = self.carry_out(_inner(inner, request))
            told = {"Content-Length": str(len(answer.body)), **answer.headers}
            lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
            lines += [f"{name}: {value}" for name, value in told.items()]
            content_id = headers.get("content-id", "").strip("<>")
            joined += f"--{boundary}\r\nContent-Type: application/http\r\n".encode()
            joined += f"Content-ID: <response-{content_id}>\r\n\r\n".encode() if content_id else b"\r\n"
            joined += "\r\n".join([*lines, "", ""]).encode() + answer.body + b"\r\n"
        content_type = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        return Answer(200, joined + f"--{boundary}--\r\n".encode(), content_type)

    def _admit_batch(self, request: Request) -> None:
        """A payer is named in each call; authority may be given to all of them."""
        if self.settings.token is not None and "Authorization" in request.headers:
            self._admit(Request(request.method, "", {"userProject": "-"}, request.headers, b"", request.over))


def _inner(content: bytes, outer: Request) -> Request:
    """A call in a batch; it has the headers of the whole unless it gives its own (docs/batch)."""
    head, _, body = content.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    method, target, *_ = line.split(" ")
    own = CIMultiDict(outer.headers)
    own.update({name: value.strip() for name, _, value in (line.partition(":") for line in lines)})
    address = urlsplit(target)
    return Request(method, address.path, dict(parse_qsl(address.query, True)), own, body, outer.over)
