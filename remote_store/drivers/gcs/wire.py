"""Google Cloud Storage, through gcsfs: the requests of an object store by the JSON API, and how its replies are read.

Credentials, endpoint, paying project and connections are those of a gcsfs filesystem; requests are our own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import aiohttp
import google_crc32c

from remote_store._errors import RemoteStoreError
from remote_store._models import ContentDigest
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.gcs.credentials import in_daemon
from remote_store.drivers.gcs.errors import REASONS, ZONAL, Bucket, meaning, service_errors, verdict
from remote_store.drivers.gcs.replies import FIELDS, checksum_of, described, generation_of, vouched, whole, written
from remote_store.drivers.gcs.session import Answer, Refused, Session
from remote_store.drivers.gcs.signing import signed_url
from remote_store.drivers.gcs.uploads import ENDED, Upload, send_part
from remote_store.drivers.objects.http import Stream
from remote_store.drivers.objects.wire import Body, Failed, Listed, Malformed, Meaning, Object, Sums, field

GENERATION = re.compile("[1-9][0-9]{,18}")
T = TypeVar("T")


class Step(NamedTuple):
    """Where a copy is that takes several requests.

    Args:
        etag: of the source, where only its name was given.
        token: for the next request; None begins anew.
        copied: so far [bytes].
        idle: requests in a row that copied nothing more.
    """

    etag: str | None
    token: str | None = None
    copied: int = -1
    idle: int = 0


class GCSWire:
    """A bucket.

    Args:
        session: sends the requests.
        bucket: its name.
        backend: name of the backend, for errors.
    """

    longest_name = 1024
    """Cloud Storage guide, about objects."""
    batch = 32
    """A request each, so many at a time, and a deadline for them."""
    longest_url = 7 * 24 * 3600
    """Cloud Storage guide, V4 signing process."""
    last_part_completes = True

    def __init__(self, session: Session, bucket: str, backend: str) -> None:
        self.session, self.fs, self.container = session, session.fs, bucket
        self.resumes = session.retries
        self._path = f"storage/v1/b/{quote(bucket, safe='')}/o"
        self.where = Bucket(bucket, backend, session.timeout, self.fs._location, session.login)

    async def open(self) -> None:
        await self.session.open()

    async def close(self, owned: bool) -> None:
        await self.session.close(owned)

    # --- errors

    def errors(self, key: str, ranged: bool = False) -> AbstractContextManager[None]:
        return service_errors(self.where, key)

    def meaning(self, error: RemoteStoreError) -> Meaning:
        return meaning(error.__cause__)

    def lost_reply(self, error: RemoteStoreError) -> bool:
        return isinstance(error.__cause__, Refused) and error.__cause__.unheard

    # --- worked out without a request

    def sums(self, data: bytes) -> Sums:
        return Sums(digest=ContentDigest("md5", hashlib.md5(data, usedforsecurity=False).hexdigest()))

    def sums_of_parts(self, parts: Sequence[Any]) -> Sums:
        return Sums()  # The session of an upload knows what became of it.

    def kept(self, metadata: Mapping[str, str] | None) -> Mapping[str, str]:
        return metadata or {}

    def in_batch(self, name: str) -> bool:
        return True

    # --- requests

    def _objects(self, *names: str) -> str:
        """The path of the objects of the bucket, or of one, or of one action on some."""
        return "/".join((self._path, *[quote(name, safe="") for name in names]))

    async def resource(self, name: str) -> Mapping[str, Any]:
        """All that the service tells of an object."""
        url = self.session.url(self._objects(name), fields=f"{FIELDS},metadata")
        return (await self.session.send("GET", url)).json()

    async def head(self, name: str) -> Object:
        return described(await self.resource(name))

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        headers = {"Accept-Encoding": "gzip"}  # The stored bytes, also of what is compressed.
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        url = self.session.url(self._objects(name), alt="media", ifGenerationMatch=_generation(etag))
        reply = await self.session.get(url, headers)
        try:
            return _body(reply, start)
        except BaseException:
            reply.close()
            raise

    async def page(
        self, prefix: str, token: str | None, *, one_level: bool, most: int | None, detailed: bool
    ) -> Listed:
        items = FIELDS if detailed else "name"
        url = self.session.url(
            self._objects(),
            prefix=prefix or None,
            delimiter="/" if one_level else None,
            maxResults=most or 1000,
            pageToken=token,
            fields=f"kind,prefixes,nextPageToken,items({items})",
        )
        reply = (await self.session.send("GET", url, container=True)).json()
        if reply.get("kind") != "storage#objects":
            raise Malformed("no listing")
        objects = [_listed(entry, detailed) for entry in _list_of(dict, reply, "items")]
        token = reply.get("nextPageToken") or None
        if not isinstance(token, str | None):
            raise Malformed("the token of the next page is no text")
        return Listed(_list_of(str, reply, "prefixes"), objects, token)

    async def put(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        checksum = base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
        resource = {**_properties(name, options), "crc32c": checksum}  # Which the service compares.
        boundary = secrets.token_hex(16)
        content_type = options.content_type or "application/octet-stream"
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                _packed(resource),
                f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode(),
                data,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        url = self.session.url(f"upload/{self._objects()}", uploadType="multipart", **_conditions(options))
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}
        told = (await self._upload(url, headers, lambda: io.BytesIO(body))).json()
        if not vouched(told, len(data), checksum):
            raise Malformed("it is of something else than what was sent")
        return written(told)

    async def _upload(self, url: str, headers: Mapping[str, str], data: Any) -> Answer:
        """Send a request that makes an object, or begins to; a bucket that takes none gets a reason of its own."""
        try:
            return await self.session.send("POST", url, headers, data, good=(200, 201), container=True)
        except Refused as error:
            if error.status == 400 and error.reason not in REASONS:
                place = self.session.url(f"storage/v1/b/{quote(self.container, safe='')}", fields="locationType")
                # The first refusal stands when the question fails.
                with suppress(Refused, Malformed, aiohttp.ClientError, OSError):
                    if (await self.session.send("GET", place)).json().get("locationType") == "zone":
                        error.reason = ZONAL
            raise

    async def copy(self, src: str, dst: str, options: WriteOptions, etag: str | None, step: Any) -> Any:
        own, token, copied, idle = step or Step(None)
        path = self._objects(src, "rewriteTo", "b", self.container, "o", dst)
        conditions = {**_conditions(options), "ifSourceGenerationMatch": _generation(etag or own)}
        url = self.session.url(path, rewriteToken=token, **conditions)
        try:
            reply = (await self.session.send("POST", url, {"Content-Length": "0"})).json()
        except Refused as error:
            if own and error.status == 412 and (now := (await self.head(src)).etag) != own:
                return Step(now)
            raise
        if reply.get("kind") != "storage#rewriteResponse":
            raise Malformed("no answer to a copy")
        if reply.get("done"):
            generation_of(field(reply, "resource"))
            return None
        if not (etag or own):
            # Further steps might go on with other content: begin anew, pinned to what is there now.
            return Step((await self.head(src)).etag)
        now_copied = whole(field(reply, "totalBytesRewritten"), "count of bytes")
        idle = idle + 1 if now_copied <= copied else 0
        if idle > self.resumes:
            raise Malformed("a copy that does not go on")
        return Step(own, field(reply, "rewriteToken"), now_copied, idle)

    async def move(self, src: str, dst: str, options: WriteOptions, etag: str | None) -> None:
        """Rename an object, of this etag where one is given: one step of the service, and one try, since a second one
        might take another object of the same name."""
        conditions = {**_conditions(options), "ifSourceGenerationMatch": _generation(etag)}
        url = self.session.url(self._objects(src, "moveTo", "o", dst), **conditions)
        generation_of((await self.session.send("POST", url, {"Content-Length": "0"}, once=True)).json())

    async def delete(self, name: str, etag: str | None = None) -> None:
        url = self.session.url(self._objects(name), ifGenerationMatch=_generation(etag))
        try:
            answer = await self.session.send("DELETE", url, good=(200, 204))
        except Refused as error:
            if error.status == 404 and error.unheard:
                return  # An earlier try deleted it.
            raise
        if answer.body.strip() not in (b"", b"null"):  # A page of a web server deletes nothing.
            raise Malformed("no answer to a delete")

    async def delete_many(self, names: Sequence[str]) -> Sequence[Failed]:
        failed: list[Failed] = []

        async def delete(name: str) -> None:
            try:
                await self.delete(name)
            except Refused as error:
                error.container = not error.names_object  # A page of a web server does not say what is gone.
                if error.status != 404 or error.container:
                    refusal = verdict(error, self.where, name)
                    failed.append(Failed(name, type(refusal), refusal.message))

        # No TaskGroup: where one fails before Python 3.13, the caller's task counts as being cancelled ever after.
        # Each goes on to its end, so that none is carried out after the failure is told.
        for outcome in await asyncio.gather(*map(delete, names), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        return failed

    # --- signed URLs

    async def unable_to_sign(self) -> str | None:
        await self.session.login.found()
        if self.session.login.anonymous:
            return "the store is anonymous"
        return None if self.session.login.signer else "they are not of a service account"

    async def sign(self, name: str, method: str, expires_in: int) -> str:
        signer, now = self.session.login.signer, self.session.clock.now()
        told = self.fs._location, self.container, name, method, expires_in, self.fs._get_params({}), now
        return await in_daemon(lambda: signed_url(signer, *told))

    # --- uploads in parts

    async def create(self, name: str, options: WriteOptions) -> Upload:
        url = self.session.url(f"upload/{self._objects()}", uploadType="resumable", **_conditions(options))
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Type": options.content_type or "application/octet-stream",
        }
        resource = _packed(_properties(name, options))
        answer = await self._upload(url, headers, resource)
        place = answer.headers.get("Location", "")
        if not self.session.is_own(place):
            raise Malformed("no Location of an upload at this service")
        return Upload(name, place)

    async def part(self, upload: Upload, number: int, start: int, data: io.BytesIO) -> None:
        await send_part(self.session, upload, data.getvalue())

    async def complete(
        self, upload: Upload, parts: Sequence[Any], data: io.BytesIO, options: WriteOptions
    ) -> Mapping[str, Any]:
        try:
            answer = await send_part(self.session, upload, data.getvalue(), last=True)
        except Refused as error:
            if error.status in ENDED and error.unheard and (found := await self._own(upload, options)):
                return found
            raise
        resource = answer.json() if answer else {}
        if not vouched(resource, upload.size, upload.crc32c):
            await self._take_back(upload.name, resource)
            raise Malformed("it is of something else than what was sent")
        return written(resource)

    async def _take_back(self, name: str, resource: Mapping[str, Any]) -> None:
        """Delete what should never have been stored."""
        with suppress(Refused, aiohttp.ClientError, OSError, Malformed):
            await self.delete(name, generation_of(resource))

    async def _own(self, upload: Upload, options: WriteOptions) -> Mapping[str, Any] | None:
        """What an upload became whose session ended with its reply lost."""
        try:
            found = await self.resource(upload.name)
        except Refused:
            return None
        same = vouched(found, upload.size, upload.crc32c)
        return written(found) if same and (found.get("metadata") or {}) == self.kept(options.metadata) else None

    async def discard(self, upload: Upload) -> None:
        # 499 is how a cancelled upload ends: Cloud Storage guide, resumable uploads.
        await self.session.send("DELETE", upload.url, {"Content-Length": "0"}, good=(200, 204, 499, *ENDED))


def _conditions(options: WriteOptions) -> dict[str, str | int]:
    if options.if_match is not None:
        return {"ifGenerationMatch": _generation(options.if_match) or ""}
    return {} if options.replaces else {"ifGenerationMatch": 0}


def _generation(etag: str | None) -> str | None:
    """An etag as the generation of a condition; 0, which stands for none, and what is no number no object has."""
    if etag is not None and not GENERATION.fullmatch(etag):
        raise Refused(Answer(404, {}, b""))
    return etag


def _packed(resource: Mapping[str, Any]) -> bytes:
    """A resource as JSON; ValueError for text with half a character."""
    return json.dumps(resource, ensure_ascii=False).encode()


def _properties(name: str, options: WriteOptions) -> dict[str, Any]:
    told = {"name": name, "contentType": options.content_type, "metadata": options.metadata}
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in told.items() if value}


def _list_of(kind: type[T], reply: Mapping[str, Any], name: str) -> list[T]:
    """What a reply lists, which it may leave out."""
    found = reply.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, kind) for entry in found):
        raise Malformed(f"{name} are no list, or not of what they should be")
    return found


def _listed(entry: Mapping[str, Any], detailed: bool) -> Object:
    name = field(entry, "name")
    if not isinstance(name, str):
        raise Malformed("a name is no text")
    return described(entry, metadata=False) if detailed and not name.endswith("/") else Object(name)


def _body(reply: Any, start: int) -> Body:
    """The body of a reply, which must say what it is of."""
    generation = generation_of({"generation": reply.headers.get("X-Goog-Generation")})
    if reply.status == 200:
        told = reply.headers.get("X-Goog-Stored-Content-Length") or reply.headers.get("Content-Length", "")
        return Body(Stream(reply), whole(told, "length"), generation, False, checksum_of(reply.headers))
    span = reply.headers.get("Content-Range", "")
    if not span.startswith(f"bytes {start}-"):
        raise Malformed("another range than was asked for")
    return Body(Stream(reply), whole(span.rpartition("/")[2], "length"), generation, True)
