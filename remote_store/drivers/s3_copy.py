"""Copying and moving objects within a bucket of S3, in one request or in parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from remote_store._errors import (
    AlreadyExists,
    NotFound,
    PreconditionFailed,
    RemoteStoreError,
    is_container_missing,
)
from remote_store._models import FileInfo
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.s3_errors import MISSING_KEY, TOO_LARGE, replaced
from remote_store.drivers.s3_io import MultipartUpload
from remote_store.drivers.s3_replies import code_of, etag, field, size
from remote_store.drivers.s3_wire import conditions, kept

if TYPE_CHECKING:
    from remote_store.drivers.s3 import S3Driver

MIB, GIB = 1 << 20, 1 << 30
LARGEST_COPY = 5 * GIB
"""CopyObject takes no larger source [bytes]: S3 API reference."""
COPY_PART = 512 * MIB
MOST_PARTS = 10_000
"""S3 takes no more for one object."""


async def copy(driver: S3Driver, src: str, dst: str, overwrite: bool) -> None:
    """Copy an object, believing nothing but the service's word that it is done."""
    options = WriteOptions(overwrite)
    source = {"Bucket": driver.bucket, "Key": driver.object(src)}
    request = {"Key": driver.object(dst), "CopySource": source, **conditions(options)}
    try:
        reply = await driver.conditional("copy_object", dst, options, **request)
        with driver.errors(dst):
            etag(field(reply, "CopyObjectResult"))
    except NotFound as error:
        if not is_container_missing(error):
            error.path = src
        raise
    except AlreadyExists as conflict:
        source_info = await driver.info(src)
        if not isinstance(source_info, FileInfo):
            raise
        await driver.own_echo(dst, source_info.etag, source_info.size, source_info.metadata, conflict)
    except RemoteStoreError as error:
        if code_of(error.__cause__) not in TOO_LARGE:
            raise
        head = await driver.call("head_object", src, Key=driver.object(src))
        with driver.errors(src):
            total = size(head, "ContentLength")
        if total <= LARGEST_COPY:
            raise
        await _copy_parts(driver, src, dst, head, options)


async def _copy_parts(driver: S3Driver, src: str, dst: str, head: Mapping[str, Any], options: WriteOptions) -> None:
    tags = await driver.call("get_object_tagging", src, Key=driver.object(src)) if head.get("TagCount") else {}
    upload = MultipartUpload(driver, dst, options, kept(head, tags.get("TagSet", ())))
    with driver.errors(src):
        total, tag = size(head, "ContentLength"), etag(head)
    source = {"CopySource": {"Bucket": driver.bucket, "Key": driver.object(src)}, "CopySourceIfMatch": f'"{tag}"'}
    step = max(COPY_PART, -(-total // MOST_PARTS))
    try:
        for start in range(0, total, step):
            await upload.copy(start, min(start + step, total), **source)
        await upload.complete()
    except BaseException as error:
        await upload.abort()
        if code_of(error.__cause__) in MISSING_KEY or isinstance(error, PreconditionFailed):
            raise replaced("copied", src, driver.name) from error.__cause__
        raise


async def move(driver: S3Driver, src: str, dst: str, overwrite: bool) -> None:
    """Copy an object, then delete it."""
    await copy(driver, src, dst, overwrite)
    await driver.remove(src)
