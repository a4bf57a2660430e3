"""Google Cloud Storage on loopback: a double in this process, which counts requests and honours every condition."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from servers.gcs_answers import Hook
from servers.gcs_http import listening
from servers.gcs_objects import Bucket, Stored, writable
from servers.gcs_service import Service, Settings

BUCKET = "test-bucket"
_serial = itertools.count()


@dataclass
class GcsServer(Settings):
    """An endpoint with a bucket, and what it was asked.

    Attributes:
        endpoint: URL.
        requests: method, and path and query as they were sent, of each request, where the server counts.
        hook: sees each request first, where the server counts.
        pid: its process, where it has one of its own.
        service: what the double holds.
    """

    endpoint: str = ""
    requests: list[str] = field(default_factory=list, repr=False)
    hook: Hook | None = None
    pid: int | None = None
    service: Service | None = field(default=None, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of gcsfs."""
        return {"token": "anon", "endpoint_url": self.endpoint}

    def fresh_prefix(self) -> str:
        """A prefix that no other test uses."""
        return f"prefix-{next(_serial)}-{os.getpid()}"

    @contextmanager
    def hooked(self, hook: Hook) -> Iterator[None]:
        """Let `hook` see each request first."""
        self.hook = hook
        try:
            yield
        finally:
            self.hook = None

    @contextmanager
    def having(self, **settings: Any) -> Iterator[None]:
        """Let the double behave otherwise (see `Settings`)."""
        before = {name: getattr(self, name) for name in settings}
        vars(self).update(settings)
        try:
            yield
        finally:
            vars(self).update(before)

    def bucket(self, name: str = BUCKET) -> Bucket:
        """What the double holds in a bucket."""
        assert self.service
        return self.service.buckets[name]

    def create_bucket(self, name: str, **properties: Any) -> Bucket:
        """A bucket of the double; `properties` are of its resource, such as `versioning={"enabled": True}`."""
        assert self.service
        bucket = self.service.buckets[name] = Bucket(name, properties)
        return bucket

    def put(self, name: str, content: bytes, **properties: Any) -> Stored:
        """What another writer stores; `properties` are of its resource, such as `contentEncoding`."""
        assert self.service
        with self.service.lock:
            return self.bucket().publish(name, content, writable(properties), {})

    def keys(self, prefix: str = "") -> list[str]:
        """Names of the objects of the double."""
        return [name for name in self.bucket().names if name.startswith(prefix)]

    def uploads(self) -> list[str]:
        """Names of the objects of resumable uploads that nobody has finished or cancelled."""
        assert self.service
        return [session.name for session in self.service.sessions.values() if not session.answer]

    def empty(self) -> None:
        """Forget all but the bucket."""
        assert self.service
        with self.service.lock:
            for held in (self.service.buckets, self.service.sessions, self.service.parts, self.service.issued):
                held.clear()
        self.create_bucket(BUCKET)
        self.requests.clear()


@contextmanager
def gcs() -> Iterator[GcsServer]:
    """The double, which answers in a thread of its own."""
    served = GcsServer()
    served.service = Service(served)
    served.create_bucket(BUCKET)
    with listening(served) as served.endpoint:
        yield served
