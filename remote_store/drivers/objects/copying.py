"""Copying objects a part at a time, by the service itself: whole or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from remote_store._errors import PreconditionFailed, RemoteStoreError
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.wire import Meaning, Object, replaced
from remote_store.drivers.objects.writing import PartedUpload

if TYPE_CHECKING:
    from remote_store.drivers.objects.driver import ObjectDriver


async def copy_parts(
    driver: ObjectDriver,
    src: str,
    dst: str,
    options: WriteOptions,
    source: Object,
    create: Callable[[], Awaitable[Any]],
    part: Callable[..., Awaitable[Any]],
    part_size: int,
) -> None:
    """Copy an object.

    Args:
        driver: sends the requests.
        src: key of the object.
        dst: key of the copy.
        options: how that is written.
        source: describes the object, which must not change meanwhile.
        create: begins the upload of the copy.
        part: copies `(upload, number, start, name, end, etag)`: bytes `[start, end)` of an object with this etag.
        part_size: [bytes].
    """
    name, total = driver.object(src), source.size or 0
    upload = PartedUpload(driver, dst, options._replace(metadata=source.metadata), create)
    try:
        for start in range(0, total, part_size):
            end = min(start + part_size, total)
            await upload.start(end - start, part, name, end, source.etag)
        await upload.complete()
    except BaseException as error:
        await upload.abort()
        gone = isinstance(error, RemoteStoreError) and driver.wire.meaning(error) is Meaning.MISSING
        if gone or isinstance(error, PreconditionFailed):
            raise replaced("copied", src, driver.name) from error.__cause__
        raise
