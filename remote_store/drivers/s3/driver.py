"""Amazon S3 and its likes, through s3fs: one request where one will do, conditions judged by the service.

Requests go to the SDK client that an s3fs filesystem holds, so credentials, endpoint and pool are s3fs's; its own
retries, which would multiply the SDK's, and its listing cache stay out of the way.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from s3fs import S3FileSystem

from remote_store._errors import (
    AlreadyExists,
    InvalidPath,
    NotFound,
    PreconditionFailed,
    RemoteStoreError,
    closed,
    etag_differs,
    target_exists,
)
from remote_store._models import FileInfo, FolderEntry, file_info
from remote_store._paths import join, redact
from remote_store.drivers.base import FILE, Driver, EntryKind, Page, Want, WriteOptions
from remote_store.drivers.objects.seeking import S3Seeker
from remote_store.drivers.profiles import S3
from remote_store.drivers.s3 import copying, listing
from remote_store.drivers.s3.errors import CONFLICT, FAILED_CONDITION, MISSING_KEY, Where, sdk_errors
from remote_store.drivers.s3.headers import Stored, conditions, decoded, digest, encoded, version, written
from remote_store.drivers.s3.replies import code_of, etag, last_modified, lost_reply, size, watch
from remote_store.drivers.s3.streams import S3Reader, S3Sink

MIB = 1 << 20
LONGEST_KEY = 1024
"""S3 takes no longer one [bytes of UTF-8], and says so without a reason to HEAD: S3 user guide, object keys."""


class S3Driver(Driver):
    """Objects below the prefix `root` of a bucket.

    Args:
        fs: an s3fs filesystem.
        bucket: its name.
        root: prefix that is the root, without slashes around it.
        name: of the backend.
        timeout: deadline of one SDK call with its retries, and of each chunk of a stream [s].
        part_size: content up to here is one put; longer streams go in parts of it, 5 MiB at least [bytes].
        max_concurrency: parts in flight.
        reject_write_under_file_ancestor: look for objects above before a write.
    """

    profile = S3
    capabilities = S3.capabilities
    runs = "native"

    def __init__(
        self,
        fs: S3FileSystem,
        bucket: str,
        root: str = "",
        *,
        name: str = "s3",
        timeout: float = 60,
        part_size: int = 8 * MIB,
        max_concurrency: int = 4,
        reject_write_under_file_ancestor: bool = False,
    ) -> None:
        super().__init__(name, root)
        self._fs, self.bucket, self.timeout = fs, bucket, timeout
        self.part_size, self.max_concurrency = part_size, max_concurrency
        self.reject_write_under_file_ancestor = reject_write_under_file_ancestor
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._watched: Any = None
        self.where = Where(bucket, name, timeout, fs.endpoint_url or "")

    @property
    def fs(self) -> S3FileSystem:
        return self._fs

    def native(self, key: str) -> str:
        return join(self.bucket, join(self.root, key))

    def key(self, native: str) -> str | None:
        path = native.partition("://")[2] if "://" in native else native
        own = join(self.bucket, self.root)
        if path.rstrip("/") == own:
            return ""
        return path[len(own) + 1 :] if path.startswith(own + "/") else None

    def details(self) -> dict[str, Any]:
        return {"bucket": self.bucket, "root": self.root, "endpoint_url": redact(self._fs.endpoint_url or "")}

    def object(self, key: str) -> str:
        """The object key of a store key."""
        return join(self.root, key)

    # --- calls

    def errors(self, key: str, ranged: bool = False) -> AbstractContextManager[None]:
        """Map what the SDK raises, and what reading its replies, of a range of the file or the whole, does."""
        return sdk_errors(self.where, key, ranged)

    def check_open(self, key: str) -> None:
        """Raise `BackendUnavailable` once the backend is closed."""
        if self._closed:
            raise closed(key, self.name)

    def check_key(self, key: str) -> None:
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise InvalidPath("A path with half a character is not valid on S3", path=key, backend=self.name) from error

    async def _client(self, key: str) -> Any:
        self.check_open(key)
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("an AsyncStore belongs to the event loop that used it first; make one for each loop")
        try:
            await self._fs.set_session()
        except (AttributeError, TypeError, ValueError) as error:
            hint = "; it must begin with http:// or https://" if "endpoint" in str(error) else ""
            message = f"the S3 client cannot be made with these options: {redact(str(error))}{hint}"
            raise ValueError(message) from error
        client = await self._fs.get_s3(self.bucket)
        if client is not self._watched:
            watch(client.meta.events)
            meta, self._watched = client.meta, client
            self.where = self.where._replace(endpoint=meta.endpoint_url, region=meta.region_name or "")
        return client

    async def call(self, verb: str, key: str, **request: Any) -> Any:
        """One SDK call with the SDK's retries, within the deadline."""
        with self.errors(key):
            # Making the client, once, reads the SDK's service model and takes its time; no request waits for that.
            client = await self._client(key)
        with self.errors(key):  # Anew: making the client has told the address.
            method = getattr(client, verb)
            request["Bucket"] = self.bucket
            async with asyncio.timeout(self.timeout):
                return await method(**self._fs._get_s3_method_kwargs(method, **request))

    # --- questions

    async def kind(self, key: str) -> EntryKind | None:
        return None if await self.info(key) is None else FILE

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        if len(self.object(key).encode()) > LONGEST_KEY:
            return None
        try:
            head = await self.call("head_object", key, Key=self.object(key), ChecksumMode="ENABLED")
        except NotFound:
            return None
        with self.errors(key):
            return file_info(
                key,
                size(head, "ContentLength"),
                last_modified(head),
                etag(head),
                head.get("ContentType"),
                decoded(head.get("Metadata")),
                version(head),
                digest(head),
            )

    async def has_children(self, key: str) -> bool:
        return await listing.any_below(self, key)

    # --- reading

    async def read_bytes(self, key: str) -> bytes:
        return await self._read(S3Reader(self, key))

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        return await self._read(S3Reader(self, key, start, end))

    async def read_matching(self, key: str, start: int, end: int, etag: str) -> bytes:
        # A range of no bytes cannot be asked for.
        return (await self._read(S3Reader(self, key, start, max(end, start + 1), f'"{etag}"')))[: end - start]

    async def _read(self, reader: S3Reader) -> bytes:
        try:
            pieces = []
            while piece := await reader.read(MIB):
                pieces.append(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            await reader.close()

    async def open_read(self, key: str) -> S3Reader:
        reader = S3Reader(self, key)
        await reader.open()
        return reader

    async def open_seekable(self, key: str) -> S3Seeker:
        return S3Seeker(await self.open_read(key))

    # --- writing

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        if len(data) > self.part_size:
            return await super().put(key, data, options)
        request = {"Key": self.object(key), "Body": data, **conditions(options), **encoded(options.metadata)}
        lost = False
        try:
            try:
                return await self._put(key, options, request)
            except RemoteStoreError as met:
                if code_of(met.__cause__) not in CONFLICT:
                    raise
                lost = lost_reply(met)
            # Another writer was half-way, or an earlier try of this one.
            return await self._put(key, options, request)
        except (AlreadyExists, PreconditionFailed) as conflict:
            if not (lost or lost_reply(conflict)):
                raise
            own = hashlib.md5(data, usedforsecurity=False).hexdigest()
            return await self.own_write(key, Stored(own, len(data), options.metadata), conflict)

    async def _put(self, key: str, options: WriteOptions, request: Mapping[str, Any]) -> Mapping[str, Any]:
        reply = await self.conditional("put_object", key, options, **request)
        with self.errors(key):
            # Nothing else tells a reply of S3 from that of any web server which takes a PUT.
            return {**written(reply), "etag": etag(reply)}

    async def conditional(self, verb: str, key: str, options: WriteOptions, **request: Any) -> Any:
        """A conditional call, judged."""
        try:
            return await self.call(verb, key, **request)
        except RemoteStoreError as error:
            code = code_of(error.__cause__)
            if options.if_match is not None and (code in FAILED_CONDITION | MISSING_KEY | CONFLICT):
                raise etag_differs(key, self.name) from error.__cause__
            if not options.replaces and code in FAILED_CONDITION | CONFLICT:
                raise target_exists(key, self.name) from error.__cause__
            raise

    async def own_write(self, key: str, own: Stored, conflict: RemoteStoreError) -> Mapping[str, Any]:
        """What our write stored, if an earlier try of it succeeded; raises `conflict` if another writer was first."""
        info = None
        with suppress(RemoteStoreError):
            info = await self.info(key)
        if not isinstance(info, FileInfo) or not own.is_stored_as(info):
            raise conflict
        return {"etag": info.etag, "version_id": info.extra.get("version_id"), "digest": info.digest}

    async def open_write(self, key: str, options: WriteOptions) -> S3Sink:
        return S3Sink(self, key, options)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        await copying.copy(self, src, dst, overwrite)

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        await copying.move(self, src, dst, overwrite)

    # --- deleting

    async def remove(self, key: str) -> None:
        await self.call("delete_object", key, Key=self.object(key))

    async def remove_folder(self, key: str, recursive: bool) -> None:
        await listing.remove_folder(self, key, recursive)

    # --- listing

    def list_pages(self, key: str, max_depth: int | None, want: Want, starts: str = "") -> AsyncGenerator[Page, None]:
        return listing.list_pages(self, key, max_depth, want, starts)

    # --- life

    async def check(self) -> None:
        await listing.any_below(self, ".", "")  # Whose reply, unlike HeadBucket's, has a body that tells more.

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self.owned and self._fs._s3 is not None:
                await self._fs._s3creator.__aexit__(None, None, None)
