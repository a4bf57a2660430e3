"""The S3 driver: what it adds to any object store's are copies in parts, of objects too large for one request."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from s3fs import S3FileSystem

from remote_store._errors import RemoteStoreError
from remote_store._paths import redact
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.copying import copy_parts
from remote_store.drivers.objects.driver import MIB, ObjectDriver
from remote_store.drivers.objects.marks import mark_of, marked, unmarked
from remote_store.drivers.objects.wire import Object
from remote_store.drivers.profiles import S3
from remote_store.drivers.s3.errors import TOO_LARGE
from remote_store.drivers.s3.headers import copied
from remote_store.drivers.s3.replies import code_of
from remote_store.drivers.s3.wire import S3Wire

LARGEST_COPY = 5 << 30
"""CopyObject takes no larger source [bytes]: S3 API reference."""
COPY_PART = 512 * MIB
MOST_PARTS = 10_000
"""S3 takes no more for one object."""


class S3Driver(ObjectDriver):
    """Objects below the prefix `root` of a bucket.

    Args:
        fs: an s3fs filesystem.
        bucket: its name.
        root: prefix that is the root, without slashes around it.
        name: of the backend.
        timeout: deadline of one SDK call with its retries, and of each chunk of a stream [s].
        exclusive_copy: `"multipart"` makes copies that may not replace in parts; see `S3Options`.
        options: `part_size` of 5 MiB at least, and what else `ObjectDriver` takes.
    """

    profile = S3
    capabilities = S3.capabilities
    opens_at_once = True
    wire: S3Wire

    def __init__(
        self,
        fs: S3FileSystem,
        bucket: str,
        root: str = "",
        *,
        name: str = "s3",
        timeout: float = 60,
        exclusive_copy: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(S3Wire(fs, bucket, name, timeout), root, name=name, timeout=timeout, **options)
        self.exclusive_copy = exclusive_copy

    def details(self) -> dict[str, Any]:
        endpoint = redact(self.fs.endpoint_url or "")
        return {"bucket": self.wire.container, "root": self.root, "endpoint_url": endpoint}

    async def transfer(self, src: str, dst: str, options: WriteOptions, source: Object | None = None) -> None:
        if self.exclusive_copy == "multipart" and not options.replaces:
            if source is None:
                source = await self.call(src, self.wire.head, self.object(src))
            return await self._copy_parts(src, dst, options, source)
        try:
            if source is None or (source.size or 0) <= LARGEST_COPY:
                return await super().transfer(src, dst, options, source)
        except RemoteStoreError as error:
            if source or code_of(error.__cause__) not in TOO_LARGE:
                raise
            source = await self.call(src, self.wire.head, self.object(src))
            if (source.size or 0) <= LARGEST_COPY:
                raise
        await self._copy_parts(src, dst, options, source)

    async def _copy_parts(self, src: str, dst: str, options: WriteOptions, source: Object) -> None:
        wire = self.wire
        tags = await self.call(src, wire.tags, self.object(src)) if source.reply.get("TagCount") else ()
        # A mark of its own, and not that of the source, by which every copy of that would take itself for this one.
        options = marked(options._replace(metadata=unmarked(source.metadata)))
        headers = copied(source.reply, tags, mark_of(options.metadata))

        def create() -> Awaitable[Any]:
            return wire.create_with(self.object(dst), headers)

        part_size = max(COPY_PART, -(-(source.size or 0) // MOST_PARTS))
        await copy_parts(self, src, dst, options, source, part_size, create, wire.part_copy)
