"""Deleting what is below a folder of an object store, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from remote_store._errors import BackendUnavailable, NotFound, folder_missing, is_container_missing, not_empty
from remote_store._paths import below, spellable

if TYPE_CHECKING:
    from remote_store.drivers.objects.driver import ObjectDriver


async def delete_folder(driver: ObjectDriver, key: str, recursive: bool) -> None:
    """Delete the objects below a folder, its marker included; without `recursive` only if there is nothing else."""
    marker, found = driver.object(key) + "/", False
    async for page in driver.pages(key, marker, most=None if recursive else 2, detailed=False):
        names = [entry.name for entry in page.objects]
        found = found or bool(names)
        if recursive:
            await _delete_all(driver, key, names)
        elif any(name != marker for name in names):
            raise not_empty(key, driver.name)
    if not found:
        raise folder_missing(key, driver.name)
    if not recursive:
        await _delete_all(driver, key, [marker])


async def _delete_all(driver: ObjectDriver, key: str, names: Sequence[str]) -> None:
    """Delete objects below a folder, as many as can be together."""
    wire = driver.wire
    together = [name for name in names if wire.in_batch(name)]
    for name in names:
        if not wire.in_batch(name):
            await delete(driver, key, name)
    for start in range(0, len(together), wire.batch):
        failed = await driver.call(key, wire.delete_many, together[start : start + wire.batch])
        if failed:
            first = failed[0]
            own = below(driver.root, first.name.removesuffix("/"))
            path = own if own and spellable(own) else key
            message = f"{first.message} ({len(failed)} of {len(names)} objects)"
            raise first.error(message, path=path, backend=driver.name)


async def delete(driver: ObjectDriver, key: str, name: str, etag: str | None = None) -> None:
    """Delete an object; one that is gone already counts as deleted, where it is the service that says so."""
    try:
        await driver.call(key, driver.wire.delete, name, etag)
    except NotFound as error:
        if is_container_missing(error):
            raise
        if not driver.decides(error):
            message = "Whatever answered does not know the file, nor does it answer like this storage"
            raise BackendUnavailable(message, path=key, backend=driver.name) from error.__cause__
