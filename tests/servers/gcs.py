"""Google Cloud Storage on loopback: a double in this process, which counts requests and honours every condition."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from servers.double import Double
from servers.double_answers import Answer, Request
from servers.double_http import listening
from servers.gcs_objects import Bucket, Stored, writable
from servers.gcs_service import Service, Settings

BUCKET = "test-bucket"


@dataclass
class GcsServer(Settings, Double):
    """An endpoint with a bucket, and what it was asked.

    Attributes:
        service: what the double holds.
    """

    service: Service | None = field(default=None, repr=False)

    def carry_out(self, request: Request) -> Answer:
        """Answer a request."""
        assert self.service
        return self.service.carry_out(request)

    def delay(self, request: Request) -> float:
        """That of `/token`."""
        return self.token_delay if request.path == "/token" else 0

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of gcsfs."""
        return {"token": "anon", "endpoint_url": self.endpoint}

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
