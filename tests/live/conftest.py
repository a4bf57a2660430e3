"""Real buckets, named by environment variables: docs/live.md. Without them these tests are not collected."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from remote_store import Store
from remote_store.aio import AsyncStore


@dataclass(frozen=True)
class Service:
    """A kind of service.

    Args:
        name: of its backends, and in the names of variables.
        schemes: of its URLs.
        backend: name of its class.
        smallest_part: of an upload in parts [bytes].
        judges: ways to create a file of which it lets one of many racers win.
    """

    name: str
    schemes: tuple[str, ...]
    backend: str
    smallest_part: int
    judges: tuple[str, ...]

    def told(self, what: str) -> str:
        """What an environment variable says."""
        return os.environ.get(f"REMOTE_STORE_LIVE_{self.name.upper()}_{what}", "")

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of its backends; credentials are where its SDK finds them."""
        return {"endpoint_url": endpoint} if (endpoint := self.told("ENDPOINT_URL")) else {}


SERVICES = (
    Service("s3", ("s3",), "S3Backend", 5 << 20, ("write", "upload")),
    Service("gcs", ("gs", "gcs"), "GCSBackend", 256 << 10, ("write", "upload", "copy", "move")),
)
NAMED = [service for service in SERVICES if service.told("URL")]

collect_ignore_glob = [] if NAMED else ["test_*.py"]


@dataclass(frozen=True)
class Place:
    """Where a run may write.

    Args:
        service: of the bucket.
        bucket: its name.
        prefix: given by the user.
        folder: of this run, below the prefix.
    """

    service: Service
    bucket: str
    prefix: str
    folder: str

    @property
    def root(self) -> str:
        return f"{self.prefix}/{self.folder}" if self.prefix else self.folder

    def store(self, root: str = "", **options: Any) -> Store:
        """A store in a new folder of this run, unless a root is given."""
        import remote_store.backends as backends

        backend = getattr(backends, self.service.backend)
        return Store(backend(self.bucket, root or self._new(), **self.service.options, **options))

    def async_store(self) -> AsyncStore:
        """An asynchronous one in a new folder of this run."""
        import remote_store.aio as aio

        backend = getattr(aio, f"Async{self.service.backend}")
        return AsyncStore(backend(self.bucket, self._new(), **self.service.options))

    def _new(self) -> str:
        return f"{self.root}/{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session", params=NAMED, ids=lambda service: service.name)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A new folder, which is removed afterwards, with uploads that were not completed where a service tells of them."""
    service: Service = request.param
    scheme, _, path = service.told("URL").partition("://")
    bucket, _, prefix = path.partition("/")
    told = f"REMOTE_STORE_LIVE_{service.name.upper()}_URL must be {service.schemes[0]}://bucket/prefix"
    assert scheme in service.schemes, told
    assert bucket, told
    place = Place(service, bucket, prefix.strip("/"), f"remote-store-live-{uuid.uuid4().hex[:12]}")
    with place.store(place.root) as store:
        store.ping()
        yield place
        for folder in list(store.list_folders()):
            store.delete_folder(folder.path, recursive=True)
        assert list(store.list_files(recursive=True)) == []
        assert list(unfinished(store, place)) == []


def unfinished(store: Store, place: Place) -> Iterator[str]:
    """Keys of uploads that were not completed; only S3 lists them."""
    if place.service.name == "s3":
        from s3fs import S3FileSystem

        for upload in store.unwrap(S3FileSystem).list_multipart_uploads(place.bucket):
            if upload["Key"].startswith(place.root):
                yield upload["Key"]


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with place.store() as store:
        yield store


@pytest.fixture
async def async_store(place: Place) -> AsyncIterator[AsyncStore]:
    async with place.async_store() as store:
        yield store
