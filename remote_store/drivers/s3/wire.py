"""Amazon S3 and its likes, through s3fs: the requests of an object store, and how its replies are read.

Requests go to the SDK client that an s3fs filesystem holds, so credentials, endpoint and pool are s3fs's; its own
retries, which would multiply the SDK's, and its listing cache stay out of the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

from botocore import UNSIGNED
from s3fs import S3FileSystem

from remote_store._errors import RemoteStoreError
from remote_store._paths import redact
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.wire import Body, Failed, Listed, Malformed, Meaning, Object, Sums, field
from remote_store.drivers.s3.errors import Bucket, meaning, sdk_errors, verdict_on
from remote_store.drivers.s3.headers import (
    CHECKSUMS,
    beyond_xml,
    combined,
    conditions,
    decoded,
    described,
    digest,
    folded,
    quoted,
    version,
    vouched,
    written,
)
from remote_store.drivers.s3.replies import etag_of, last_modified, lost_reply, size, watch
from remote_store.drivers.s3.session import Stream, quick_session


class S3Wire:
    """A bucket.

    Args:
        fs: an s3fs filesystem.
        bucket: its name.
        backend: name of the backend, for errors.
        timeout: deadline of a request, for errors [s].
    """

    made_here = False
    """Whether the filesystem is none that a user made and may have settled otherwise."""
    longest_name = 1024
    """S3 takes no longer one, and says so without a reason to HEAD: S3 user guide, object keys."""
    batch = 1000
    longest_url = 7 * 24 * 3600
    """S3 API reference, authenticating requests by query parameters."""
    last_part_completes = False
    resumes = 0
    """The SDK compares the checksum of a whole reply, which one that goes on elsewhere would not have."""

    def __init__(self, fs: S3FileSystem, bucket: str, backend: str, timeout: float) -> None:
        self.fs, self.container = fs, bucket
        self.where = Bucket(bucket, backend, timeout, fs.endpoint_url or "")
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The SDK's client, once the wire is open."""
        return self._client

    async def open(self) -> None:
        try:
            if self.made_here and self.fs.session is None:
                self.fs.session = quick_session(self.fs)
            await self.fs.set_session()
        except (AttributeError, TypeError, ValueError) as error:
            hint = "; it must begin with http:// or https://" if "endpoint" in str(error) else ""
            message = f"the S3 client cannot be made with these options: {redact(str(error))}{hint}"
            raise ValueError(message) from error
        client = await self.fs.get_s3(self.container)
        if client is not self._client:
            watch(client.meta.events)
            client.meta.events.register_first("choose-signer.s3", _version_4)
            self._client = client
            self.where.endpoint, self.where.region = client.meta.endpoint_url, client.meta.region_name or ""

    async def close(self, owned: bool) -> None:
        if owned and self.fs._s3 is not None:
            await self.fs._s3creator.__aexit__(None, None, None)

    async def ask(self, verb: str, **request: Any) -> Any:
        """One SDK call, with the SDK's retries."""
        method = getattr(self._client, verb)
        request["Bucket"] = self.container
        if self.fs.s3_additional_kwargs or self.fs.req_kw:
            request = self.fs._get_s3_method_kwargs(method, **request)
        return await method(**request)

    # --- errors

    def errors(self, key: str, ranged: bool = False) -> AbstractContextManager[None]:
        return sdk_errors(self.where, key, ranged)

    def meaning(self, error: RemoteStoreError) -> Meaning:
        return meaning(error.__cause__)

    def lost_reply(self, error: RemoteStoreError) -> bool:
        return lost_reply(error)

    # --- worked out without a request

    def sums(self, data: bytes) -> Sums:
        return Sums(hashlib.md5(data, usedforsecurity=False).hexdigest())

    def sums_of_parts(self, parts: Sequence[Mapping[str, Any]]) -> Sums:
        return Sums(combined(part["ETag"] for part in parts))

    def kept(self, metadata: Mapping[str, str] | None) -> Mapping[str, str]:
        return folded(metadata)

    def in_batch(self, name: str) -> bool:
        return not beyond_xml(name)

    # --- requests

    async def head(self, name: str) -> Object:
        reply = await self.ask("head_object", Key=name, ChecksumMode="ENABLED")
        return Object(
            name,
            size(reply, "ContentLength"),
            last_modified(reply),
            etag_of(reply),
            reply.get("ContentType"),
            decoded(reply.get("Metadata")),
            version(reply),
            digest(reply),
            reply,
        )

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        request = {"Key": name, **({"IfMatch": quoted(etag)} if etag else {})}
        if start or end is not None:
            request["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        reply = await self.ask("get_object", **request)
        try:
            return _body(reply, start)
        except BaseException:
            reply["Body"].close()
            raise

    async def page(
        self, prefix: str, token: str | None, *, one_level: bool, most: int | None, detailed: bool
    ) -> Listed:
        wanted = {"ContinuationToken": token, "Delimiter": "/" if one_level else None, "MaxKeys": most}
        request = {name: value for name, value in wanted.items() if value is not None}
        reply = await self.ask("list_objects_v2", Prefix=prefix, **request)
        folders = [field(entry, "Prefix") for entry in reply.get("CommonPrefixes", ())]
        objects = [_listed(entry, detailed) for entry in reply.get("Contents", ())]
        if not reply.get("IsTruncated"):
            return Listed(folders, objects)
        if not reply.get("NextContinuationToken"):
            raise Malformed("it ends in the middle of a listing")
        return Listed(folders, objects, reply["NextContinuationToken"])

    async def put(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        reply = await self.ask("put_object", Key=name, Body=data, **conditions(options), **described(options))
        # Nothing but the ETag tells a reply of S3 from that of any web server which takes a PUT.
        return {"etag": etag_of(reply), **vouched(reply)}

    async def copy(self, src: str, dst: str, options: WriteOptions, etag: str | None, step: Any) -> None:
        reply = await self.ask("copy_object", Key=dst, **self._source(src, etag), **conditions(options))
        if not etag_of(field(reply, "CopyObjectResult")):
            raise Malformed("no ETag")

    def _source(self, name: str, etag: str | None) -> dict[str, Any]:
        source = {"CopySource": {"Bucket": self.container, "Key": name}}
        return {**source, **({"CopySourceIfMatch": quoted(etag)} if etag else {})}

    async def delete(self, name: str, etag: str | None = None) -> None:
        await self.ask("delete_object", Key=name, **({"IfMatch": quoted(etag)} if etag else {}))

    async def delete_many(self, names: Sequence[str]) -> list[Failed]:
        asked = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        reply = await self.ask("delete_objects", Delete=asked)
        return [
            Failed(entry.get("Key", ""), *verdict_on(field(entry, "Code"), 0, self.where))
            for entry in reply.get("Errors", ())
        ]

    # --- signed URLs

    async def unable_to_sign(self) -> str | None:
        if self._client.meta.config.signature_version is UNSIGNED:
            return "the store is anonymous"
        return "there are none" if self._client._request_signer._credentials is None else None

    async def sign(self, name: str, method: str, expires_in: int) -> str:
        request = {"Bucket": self.container, "Key": name}
        verb = {"GET": "get_object", "PUT": "put_object"}[method]
        url: str = await self._client.generate_presigned_url(verb, Params=request, ExpiresIn=expires_in)
        return url

    # --- uploads in parts

    async def create(self, name: str, options: WriteOptions) -> dict[str, str]:
        return await self.create_with(name, described(options))

    async def create_with(self, name: str, headers: Mapping[str, Any]) -> dict[str, str]:
        """Begin an upload of an object with these headers."""
        reply = await self.ask("create_multipart_upload", Key=name, **headers)
        return {"Key": name, "UploadId": field(reply, "UploadId")}

    async def part(self, upload: Mapping[str, str], number: int, start: int, data: BytesIO) -> dict[str, Any]:
        return _part(number, await self.ask("upload_part", **upload, PartNumber=number, Body=data))

    async def part_copy(
        self, upload: Mapping[str, str], number: int, start: int, end: int, source: Object
    ) -> dict[str, Any]:
        """Copy bytes [start, end) of another object, which must not have changed, as a part."""
        asked = self._source(source.name, source.etag)
        if end - start != source.size:  # S3 copies ranges of objects above 5 MB alone: API reference, UploadPartCopy.
            asked["CopySourceRange"] = f"bytes={start}-{end - 1}"
        reply = await self.ask("upload_part_copy", **upload, PartNumber=number, **asked)
        return _part(number, reply.get("CopyPartResult", {}))

    async def complete(
        self, upload: Mapping[str, str], parts: Sequence[Mapping[str, Any]], data: BytesIO, options: WriteOptions
    ) -> Mapping[str, Any]:
        request = {**upload, "MultipartUpload": {"Parts": parts}, **conditions(options)}
        return written(await self.ask("complete_multipart_upload", **request))

    async def discard(self, upload: Mapping[str, str]) -> None:
        await self.ask("abort_multipart_upload", **upload)

    async def tags(self, name: str) -> Sequence[Mapping[str, str]]:
        """The tags of an object."""
        found: Sequence[Mapping[str, str]] = (await self.ask("get_object_tagging", Key=name)).get("TagSet", ())
        return found


def _version_4(signature_version: Any, **event: Any) -> str | None:
    """Let the SDK sign URLs by version 4: it would take version 2 in old regions, which newer buckets refuse."""
    return "s3v4-query" if signature_version in ("v4-query", "s3v4-query") else None


def _body(reply: Mapping[str, Any], start: int) -> Body:
    """The body of a reply, which must say what it is of."""
    told = reply.get("ContentRange", "")
    tag, length = etag_of(reply), size(reply, "ContentLength")
    if told and not told.startswith(f"bytes {start}-"):
        raise Malformed("another range than was asked for")
    total = told.rpartition("/")[2]
    stream = Stream(reply["Body"], length)
    return Body(stream, int(total) if total.isdecimal() else start + length, tag, bool(told))


def _listed(entry: Mapping[str, Any], detailed: bool) -> Object:
    name = field(entry, "Key")
    if not detailed or name.endswith("/"):
        return Object(name)
    return Object(name, size(entry, "Size"), last_modified(entry), etag_of(entry))


def _part(number: int, reply: Mapping[str, Any]) -> dict[str, Any]:
    """What completing an upload needs of the reply to a part."""
    checksums = {name: value for name, value in reply.items() if name in CHECKSUMS}
    return {"PartNumber": number, "ETag": field(reply, "ETag"), **checksums}
