"""The driver of Google Cloud Storage: what it adds to any object store's are moves in one step."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import aiohttp

from remote_store._errors import (
    AlreadyExists,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    file_missing,
)
from remote_store._models import UNKNOWN_TIME
from remote_store._paths import redact
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.gcs.session import Refused, Session
from remote_store.drivers.gcs.wire import GCSWire
from remote_store.drivers.objects.driver import ObjectDriver
from remote_store.drivers.objects.wire import Meaning
from remote_store.drivers.profiles import GCS

MOST_REMEMBERED = 1000
"""Pairs of folders between which renames were refused."""


class GCSDriver(ObjectDriver):
    """Objects below the prefix `root` of a bucket.

    Args:
        session: sends the requests.
        bucket: its name.
        root: prefix that is the root, without slashes around it.
        name: of the backend.
        options: what else `ObjectDriver` takes.
    """

    profile = GCS
    capabilities = GCS.capabilities
    opens_at_once = True
    wire: GCSWire

    def __init__(self, session: Session, bucket: str, root: str = "", *, name: str = "gcs", **options: Any) -> None:
        # The parts of a resumable upload go one after another.
        wire = GCSWire(session, bucket, name)
        super().__init__(wire, root, name=name, timeout=session.timeout, max_concurrency=1, **options)
        self._unmoved: set[tuple[str, str]] = set()

    def details(self) -> dict[str, Any]:
        endpoint = redact(self.fs._endpoint or "")
        return {"bucket": self.wire.container, "root": self.root, "endpoint_url": endpoint}

    def decides(self, miss: RemoteStoreError) -> bool:
        return not isinstance(miss.__cause__, Refused) or miss.__cause__.names_object

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        """Rename an object; copy and delete it where the role, or the service, does not let it be renamed."""
        folders = src.rpartition("/")[0], dst.rpartition("/")[0]
        if folders not in self._unmoved and await self._renamed(src, dst, WriteOptions(overwrite)):
            return
        await super().move(src, dst, overwrite)
        # It would be refused again, though only there: a role may hold for some folders.
        if len(self._unmoved) >= MOST_REMEMBERED:
            self._unmoved.clear()
        self._unmoved.add(folders)

    async def _renamed(self, src: str, dst: str, options: WriteOptions) -> bool:
        """Whether an object was renamed; raises what is wrong with either end."""
        tries, begun, etag = self.wire.session.tries(), time.monotonic(), None
        while True:
            request = self.object(src), self.object(dst), options, etag
            try:
                await self.conditional(dst, options, self.wire.move, *request)
                return True
            except PermissionDenied:
                return False
            except (NotFound, AlreadyExists, PreconditionFailed) as refusal:
                if isinstance(refusal, NotFound):
                    refusal.path = src
                raise
            except RemoteStoreError as error:
                if self.wire.meaning(error) is Meaning.UNABLE:
                    return False
                lost, cause = error, error.__cause__
                if not isinstance(cause, (Refused, aiohttp.ClientError)):
                    raise
                with self.wire.errors(dst):
                    await tries.again(cause)  # Raises what no further try can mend.
            if tries.unheard:
                etag = await self._left(src, dst, begun, lost)
                if etag is None:
                    return True

    async def _left(self, src: str, dst: str, begun: float, lost: RemoteStoreError) -> str | None:
        """The etag of a file that a try whose reply was lost has not moved; None if it has.

        Raises:
            NotFound: neither is the file there, nor a new one at its target.
            BackendUnavailable: nobody can tell: `lost`.
        """
        try:
            source, target = await self.info(src), await self.info(dst)
        except PermissionDenied:
            raise lost from lost.__cause__
        now = self.wire.session.clock.told
        # By the service's own clock, which tells whole seconds.
        since = now - dt.timedelta(seconds=time.monotonic() - begun) if now else UNKNOWN_TIME
        if target is None or target.modified_at < since:
            if source is None:
                raise file_missing(src, self.name) from lost.__cause__
            return source.etag
        if source is None or source.modified_at >= since + dt.timedelta(seconds=1):
            return None  # It is at its target; what may be at its source came later.
        if source.modified_at < since:
            return source.etag  # Somebody else made the target.
        raise lost from lost.__cause__
