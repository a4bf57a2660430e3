"""A real bucket, named by environment variables: docs/live.md. Without them these tests are not collected."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from s3fs import S3FileSystem

from remote_store import Store
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend

URL = os.environ.get("REMOTE_STORE_LIVE_S3_URL", "")
"""Bucket, and a prefix below which each run has a folder of its own."""
ENDPOINT = os.environ.get("REMOTE_STORE_LIVE_S3_ENDPOINT_URL")
"""Of a service other than Amazon's."""

collect_ignore_glob = [] if URL else ["test_*.py"]


@dataclass(frozen=True)
class Place:
    """Where a run may write.

    Args:
        bucket: its name.
        prefix: given by the user.
        folder: of this run, below the prefix.
    """

    bucket: str
    prefix: str
    folder: str

    @property
    def root(self) -> str:
        return f"{self.prefix}/{self.folder}" if self.prefix else self.folder

    @property
    def options(self) -> dict[str, Any]:
        return {"endpoint_url": ENDPOINT} if ENDPOINT else {}


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """A new folder, which is removed afterwards, with uploads that were not completed."""
    scheme, _, path = URL.partition("://")
    bucket, _, prefix = path.partition("/")
    assert scheme == "s3", "REMOTE_STORE_LIVE_S3_URL must be s3://bucket/prefix"
    assert bucket, "REMOTE_STORE_LIVE_S3_URL must be s3://bucket/prefix"
    place = Place(bucket, prefix.strip("/"), f"remote-store-live-{uuid.uuid4().hex[:12]}")
    with Store(S3Backend(bucket, place.prefix, **place.options)) as store:
        store.ping()
        yield place
        store.delete_folder(place.folder, recursive=True, missing_ok=True)
        assert list(store.list_files(place.folder, recursive=True)) == []
        uploads = store.unwrap(S3FileSystem).list_multipart_uploads(bucket)
        assert [upload["Key"] for upload in uploads if upload["Key"].startswith(place.root)] == []


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(S3Backend(place.bucket, f"{place.root}/{uuid.uuid4().hex[:8]}", **place.options)) as store:
        yield store


@pytest.fixture
async def async_store(place: Place) -> AsyncIterator[AsyncStore]:
    backend = AsyncS3Backend(place.bucket, f"{place.root}/{uuid.uuid4().hex[:8]}", **place.options)
    async with AsyncStore(backend) as store:
        yield store
