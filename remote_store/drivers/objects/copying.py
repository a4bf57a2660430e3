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
    part_size: int,
    create: Callable[[], Awaitable[Any]],
    part: Callable[[Any, int, int, int, Object], Awaitable[Any]],
) -> None:
    """Copy an object.

    Args:
        driver: sends the requests.
        src: key of the object.
        dst: key of the copy.
        options: how that is written, with the metadata that it will have.
        source: describes the object, which must not change meanwhile.
        part_size: [bytes].
        create: begins the upload of the copy.
        part: copies, given `(upload, number, start, end, source)`, bytes `[start, end)` of it.
    """
    total = source.size or 0
    upload = PartedUpload(driver, dst, options, create)
    try:
        if not total:  # Of nothing no part can be copied, and an upload needs one.
            await upload.send(b"")
        for start in range(0, total, part_size):
            end = min(start + part_size, total)
            await upload.start(end - start, part, end, source)
        await upload.complete()
    except BaseException as error:
        await upload.abort()
        gone = isinstance(error, RemoteStoreError) and driver.wire.meaning(error) is Meaning.MISSING
        if gone or isinstance(error, PreconditionFailed):
            raise replaced("copied", src, driver.name) from error.__cause__
        raise
