"""Deleting what is below a folder of an object store, a few batches at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from remote_store._errors import BackendUnavailable, NotFound, folder_missing, is_container_missing, not_empty
from remote_store._paths import below, spellable

if TYPE_CHECKING:
    from remote_store.drivers.objects.driver import ObjectDriver
    from remote_store.drivers.objects.wire import Failed

IN_FLIGHT = 4
"""Requests that delete at once, while the next page is listed."""


async def delete_folder(driver: ObjectDriver, key: str, recursive: bool) -> None:
    """Delete the objects below a folder, its marker included; without `recursive` only if there is nothing else."""
    marker, found = driver.object(key) + "/", False
    async with Deletes(driver, key) as deletes:
        async for page in driver.pages(key, marker, most=None if recursive else 2, detailed=False):
            names = [entry.name for entry in page.objects]
            found = found or bool(names)
            if recursive:
                await deletes.begin(names)
            elif any(name != marker for name in names):
                raise not_empty(key, driver.name)
        if not found:
            raise folder_missing(key, driver.name)
        if not recursive:
            await deletes.begin([marker])


class Deletes:
    """Objects below a folder, as many in a request as can be, a few requests in flight; a block waits for all of them.

    Once one has failed no more begin. Those in flight go on to their end, so that none is carried out after the failure
    is told.

    Args:
        driver: sends the requests.
        key: of the folder.
    """

    def __init__(self, driver: ObjectDriver, key: str) -> None:
        self._driver, self._key = driver, key
        self._running: set[asyncio.Task[None]] = set()
        self._failed: list[Failed] = []
        self._begun = 0

    async def __aenter__(self) -> Deletes:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            for task in self._running:
                task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if kind is None:
            self._check()

    async def begin(self, names: Sequence[str]) -> None:
        """Delete objects, once there is room for their requests.

        Raises:
            RemoteStoreError: one that was begun before could not be deleted.
        """
        wire = self._driver.wire
        together = [name for name in names if wire.in_batch(name)]
        self._begun += len(names)
        for name in names:
            if not wire.in_batch(name):
                await self._start(delete(self._driver, self._key, name))
        for start in range(0, len(together), wire.batch):
            await self._start(self._delete_batch(together[start : start + wire.batch]))

    async def _start(self, deleting: Coroutine[Any, Any, None]) -> None:
        try:
            if len(self._running) >= IN_FLIGHT:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            self._check()
        except BaseException:
            deleting.close()
            raise
        self._running.add(asyncio.ensure_future(deleting))

    async def _delete_batch(self, names: Sequence[str]) -> None:
        self._failed += await self._driver.call(self._key, self._driver.wire.delete_many, names)

    def _check(self) -> None:
        for task in [task for task in self._running if task.done()]:
            task.result()
            self._running.remove(task)
        if self._failed:
            first = self._failed[0]
            own = below(self._driver.root, first.name.removesuffix("/"))
            path = own if own and spellable(own) else self._key
            message = f"{first.message} ({len(self._failed)} of {self._begun} objects)"
            raise first.error(message, path=path, backend=self._driver.name)


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
