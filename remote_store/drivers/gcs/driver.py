"""The driver of Google Cloud Storage: what it adds to any object store's are moves in one step."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import suppress
from typing import Any

from remote_store._errors import AlreadyExists, NotFound, PermissionDenied, PreconditionFailed, RemoteStoreError
from remote_store._paths import redact
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.gcs.session import Refused, Session
from remote_store.drivers.gcs.wire import GCSWire
from remote_store.drivers.objects.driver import ObjectDriver
from remote_store.drivers.objects.wire import Meaning
from remote_store.drivers.profiles import GCS


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
    wire: GCSWire

    def __init__(self, session: Session, bucket: str, root: str = "", *, name: str = "gcs", **options: Any) -> None:
        # The parts of a resumable upload go one after another.
        wire = GCSWire(session, bucket, name)
        super().__init__(wire, root, name=name, timeout=session.timeout, max_concurrency=1, **options)
        self._moves = True

    def details(self) -> dict[str, Any]:
        endpoint = redact(self.fs._endpoint or "")
        return {"bucket": self.wire.container, "root": self.root, "endpoint_url": endpoint}

    def decides(self, miss: RemoteStoreError) -> bool:
        return not isinstance(miss.__cause__, Refused) or miss.__cause__.names_object

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        """Rename an object; copy and delete it where the role, or the service, does not let it be renamed."""
        options, begun = WriteOptions(overwrite), time.monotonic()
        if self._moves:
            try:
                return await self.conditional(dst, options, self.wire.move, self.object(src), self.object(dst), options)
            except PermissionDenied:
                pass
            except (NotFound, AlreadyExists, PreconditionFailed) as refusal:
                if not (self.wire.lost_reply(refusal) and await self._arrived(src, dst, begun)):
                    if isinstance(refusal, NotFound):
                        refusal.path = src
                    raise
                return
            except RemoteStoreError as refusal:
                if self.wire.meaning(refusal) is not Meaning.UNABLE:
                    raise
        await super().move(src, dst, overwrite)
        self._moves = False  # It would be refused again.

    async def _arrived(self, src: str, dst: str, begun: float) -> bool:
        """Whether an earlier try, whose reply was lost, moved the file: it is where it should be, and new there."""
        with suppress(RemoteStoreError):
            if await self.info(src) is not None:
                return False
            target, now = await self.info(dst), self.wire.session.told_time
            # By the service's own clock, which tells whole seconds.
            since = now - dt.timedelta(seconds=time.monotonic() - begun) if now else None
            return since is not None and target is not None and target.modified_at >= since
        return False
