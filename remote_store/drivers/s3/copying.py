"""Copying and moving objects within a bucket of S3, in one request or in parts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from remote_store._errors import (
    AlreadyExists,
    NotFound,
    PreconditionFailed,
    RemoteStoreError,
    is_container_missing,
    source_changed,
)
from remote_store._models import FileInfo, FolderEntry
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.s3.errors import CONFLICT, FAILED_CONDITION, MISSING_KEY, TOO_LARGE, UNABLE, replaced
from remote_store.drivers.s3.headers import Stored, conditions, kept
from remote_store.drivers.s3.replies import Malformed, code_of, etag, field, lost_reply, size
from remote_store.drivers.s3.streams import MultipartUpload

if TYPE_CHECKING:
    from remote_store.drivers.s3.driver import S3Driver

MIB, GIB = 1 << 20, 1 << 30
LARGEST_COPY = 5 * GIB
"""CopyObject takes no larger source [bytes]: S3 API reference."""
COPY_PART = 512 * MIB
MOST_PARTS = 10_000
"""S3 takes no more for one object."""


async def copy(driver: S3Driver, src: str, dst: str, overwrite: bool) -> None:
    """Copy an object."""
    await _copy(driver, src, dst, WriteOptions(overwrite))


async def move(driver: S3Driver, src: str, dst: str, overwrite: bool) -> None:
    """Copy an object, then delete it if it still is what was copied.

    The copy's own ETag is no measure: that of a source which came in parts is another.
    """
    head = await driver.call("head_object", src, Key=driver.object(src))
    with driver.errors(src):
        tag, large = etag(head), size(head, "ContentLength") > LARGEST_COPY
    try:
        await (_copy_parts if large else _copy)(driver, src, dst, WriteOptions(overwrite), head)
        await _remove_copied(driver, src, tag)
    except PreconditionFailed as changed:
        raise source_changed(src, dst, driver.name) from changed.__cause__


async def _copy(
    driver: S3Driver, src: str, dst: str, options: WriteOptions, pinned: Mapping[str, Any] | None = None
) -> None:
    """Copy an object, only as the HEAD reply `pinned` describes it where given; the reply must confirm the copy."""
    source = {"CopySource": {"Bucket": driver.bucket, "Key": driver.object(src)}}
    request = {"Key": driver.object(dst), **source, **conditions(options)}
    if pinned:
        request["CopySourceIfMatch"] = f'"{etag(pinned)}"'
    try:
        reply = await driver.conditional("copy_object", dst, options, **request)
        with driver.errors(dst):
            if not etag(field(reply, "CopyObjectResult")):
                raise Malformed("no ETag")
    except NotFound as error:
        if not is_container_missing(error):
            error.path = src
        raise
    except (AlreadyExists, PreconditionFailed) as conflict:
        await _judge(driver, src, dst, pinned, conflict)
    except RemoteStoreError as error:
        if pinned or code_of(error.__cause__) not in TOO_LARGE:
            raise
        head = await driver.call("head_object", src, Key=driver.object(src))
        with driver.errors(src):
            total = size(head, "ContentLength")
        if total <= LARGEST_COPY:
            raise
        await _copy_parts(driver, src, dst, options, head)


async def _judge(
    driver: S3Driver, src: str, dst: str, pinned: Mapping[str, Any] | None, conflict: RemoteStoreError
) -> None:
    """Find why a copy was refused: a changed source, a target that exists, or an earlier try that succeeded."""
    now = None
    with suppress(RemoteStoreError):
        now = await driver.info(src)
    if pinned and (isinstance(conflict, PreconditionFailed) or not _is(now, etag(pinned))):
        raise replaced("moved", src, driver.name) from conflict.__cause__
    if not isinstance(now, FileInfo) or not lost_reply(conflict):
        raise conflict
    await driver.own_write(dst, Stored(now.etag, now.size, now.metadata, now.digest), conflict)


def _is(found: FileInfo | FolderEntry | None, tag: str) -> bool:
    return isinstance(found, FileInfo) and found.etag == tag


async def _remove_copied(driver: S3Driver, src: str, tag: str) -> None:
    """Delete the source of a move, unless it changed; one that is gone already counts as deleted."""
    try:
        await driver.call("delete_object", src, Key=driver.object(src), IfMatch=f'"{tag}"')
    except NotFound as error:
        if is_container_missing(error):
            raise
    except RemoteStoreError as refusal:
        code = code_of(refusal.__cause__)
        if code not in FAILED_CONDITION | CONFLICT | UNABLE:
            raise
        now = await driver.info(src)
        if now is None:
            return
        if not _is(now, tag):
            raise replaced("moved", src, driver.name) from refusal.__cause__
        if code not in UNABLE:
            raise
        await driver.remove(src)


async def _copy_parts(driver: S3Driver, src: str, dst: str, options: WriteOptions, head: Mapping[str, Any]) -> None:
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
