"""The driver of obstore's object stores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import InvalidPath
from remote_store._paths import below, redact
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.driver import ObjectDriver
from remote_store.drivers.objects.writing import ObjectSink
from remote_store.drivers.obstore.errors import Store
from remote_store.drivers.obstore.replies import ATTRIBUTES
from remote_store.drivers.obstore.wire import ObstoreWire
from remote_store.drivers.profiles import OBSTORE

STORES = {
    "MemoryStore": {Capability.SIGNED_URL},
    "S3Store": set[Capability](),
    "AzureStore": {Capability.SIGNED_URL},
    "GCSStore": {Capability.CONDITIONAL_WRITE, Capability.SIGNED_URL},
}
"""What each class of stores lacks, or what nothing proved of it."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class ObstoreDriver(ObjectDriver):
    """Objects below the prefix `root` of a store of obstore.

    Args:
        fs: its filesystem.
        store: what that leads to.
        bucket: the container; `""` in memory.
        root: prefix that is the root, without slashes around it.
        name: of the backend.
        options: what else `ObjectDriver` takes.
    """

    profile = OBSTORE
    checks_ascii = True

    def __init__(self, fs: Any, store: Any, bucket: str, root: str = "", *, name: str = "obstore", **options: Any):
        endpoint = redact(str(getattr(store, "config", {}).get("endpoint", ""))) if bucket else ""
        where = Store(bucket, name, options.get("timeout", 60), endpoint)
        # The parts of an upload are taken one after another; obstore sends several of them at once.
        super().__init__(ObstoreWire(fs, store, where), root, name=name, max_concurrency=1, **options)
        self._endpoint, self.private = endpoint, not bucket
        self.capabilities = CapabilitySet(OBSTORE.capabilities - STORES[type(store).__name__])

    def key(self, native: str) -> str | None:
        path = native.partition("://")[2] if "://" in native else native
        return below(super().native(""), path.strip("/"))

    def details(self) -> dict[str, Any]:
        if not self.wire.container:
            return {"root": self.root}
        return {"bucket": self.wire.container, "root": self.root, "endpoint_url": self._endpoint}

    def check_key(self, key: str) -> None:
        super().check_key(key)
        if _CONTROL.search(key):
            raise InvalidPath("obstore takes no control characters in a path", path=key, backend=self.name)

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        _check_metadata(options)
        return await super().put(key, data, options)

    async def open_write(self, key: str, options: WriteOptions) -> ObjectSink:
        _check_metadata(options)
        return await super().open_write(key, options)


def _check_metadata(options: WriteOptions) -> None:
    """Refuse metadata that obstore would take for something else.

    Raises:
        ValueError: there are some.
    """
    for key in options.metadata or ():
        if key in ATTRIBUTES:
            raise ValueError(f"metadata key {key!r} is reserved")
