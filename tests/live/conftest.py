"""Real buckets, named by environment variables: docs/live.md. Without them these tests are not collected."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from remote_store import Capability, Store
from remote_store.aio import AsyncStore


@dataclass(frozen=True)
class Service:
    """A kind of service.

    Args:
        name: in the names of variables.
        schemes: of its URLs.
        smallest_part: of an upload in parts [bytes].
        judges: ways to create a file of which it lets one of many racers win.
        folders: whether they are real.
    """

    name: str
    schemes: tuple[str, ...]
    smallest_part: int
    judges: tuple[str, ...]
    folders: bool = False

    def told(self, what: str) -> str:
        """What an environment variable says."""
        return os.environ.get(self.variable(what), "")

    def variable(self, what: str) -> str:
        """The name of an environment variable."""
        return f"REMOTE_STORE_LIVE_{self.name.upper().replace('-', '_')}_{what}"

    @property
    def options(self) -> dict[str, Any]:
        """What its URL does not say; other credentials are where its SDK finds them."""
        told = {"endpoint_url": self.told("ENDPOINT_URL"), "connection_string": self.told("CONNECTION_STRING")}
        return {name: value for name, value in told.items() if value}


AZURE: dict[str, Any] = {
    "schemes": ("abfss", "abfs", "az"),
    "smallest_part": 256 << 10,
    "judges": ("write", "upload", "copy", "move"),
}
SERVICES = (
    Service("s3", ("s3",), 5 << 20, ("write", "upload")),
    Service("gcs", ("gs", "gcs"), 256 << 10, ("write", "upload", "copy", "move")),
    Service("azure", **AZURE),
    Service("azure-hns", **AZURE, folders=True),
)
NAMED = [service for service in SERVICES if service.told("URL")]

collect_ignore_glob = [] if NAMED else ["test_*.py"]


@dataclass(frozen=True)
class Place:
    """Where a run may write.

    Args:
        service: that stores it.
        url: of the folder of this run, below what the user gave.
    """

    service: Service
    url: str

    def store(self, url: str = "", **options: Any) -> Store:
        """A store in a new folder of this run, unless a URL is given."""
        return Store.from_url(url or self._new(), **self.service.options, **options)

    def async_store(self) -> AsyncStore:
        """An asynchronous one in a new folder of this run."""
        return AsyncStore.from_url(self._new(), **self.service.options)

    def _new(self) -> str:
        return f"{self.url}/{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session", params=NAMED, ids=lambda service: service.name)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A new folder, which is removed afterwards, with uploads that were not completed where a service tells of them."""
    service: Service = request.param
    url, variable = service.told("URL").rstrip("/"), service.variable("URL")
    assert url.partition("://")[0] in service.schemes, f"{variable} must be {service.schemes[0]}://container/prefix"
    place = Place(service, f"{url}/remote-store-live-{uuid.uuid4().hex[:12]}")
    with place.store(place.url) as store:
        store.ping()
        if "azure" in service.name:
            folders = store.supports(Capability.ATOMIC_MOVE)
            assert folders == service.folders, f"the account of {variable} has {'folders' if folders else 'no folders'}"
        yield place
        for folder in list(store.list_folders()):
            store.delete_folder(folder.path, recursive=True)
        assert list(store.iter_children("")) == []
        assert list(unfinished(store, service)) == []
        if service.folders:
            remove_root(store, place)


def unfinished(store: Store, service: Service) -> Iterator[str]:
    """Keys of uploads that were not completed; only S3 lists them."""
    if service.name == "s3":
        from s3fs import S3FileSystem

        place = store.resolve("f").details
        for upload in store.unwrap(S3FileSystem).list_multipart_uploads(place["bucket"]):
            if upload["Key"].startswith(str(place["root"])):
                yield upload["Key"]


def remove_root(store: Store, place: Place) -> None:
    """Remove the folder of a run, which a store above it alone can do."""
    above, _, name = place.url.rpartition("/")
    with place.store(above) as parent:
        parent.delete_folder(name)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with place.store() as store:
        yield store


@pytest.fixture
async def async_store(place: Place) -> AsyncIterator[AsyncStore]:
    async with place.async_store() as store:
        yield store
