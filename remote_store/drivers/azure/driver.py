"""The driver of Azure Blob Storage, for accounts without hierarchical namespace."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Any, ClassVar

from azure.core.exceptions import HttpResponseError

from remote_store._errors import InvalidPath, RemoteStoreError
from remote_store._paths import redact
from remote_store.drivers.azure import copies
from remote_store.drivers.azure.clients import Clients
from remote_store.drivers.azure.errors import NOT_AT_ONCE, code_of, is_final
from remote_store.drivers.azure.wire import AzureWire
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.copying import copy_parts
from remote_store.drivers.objects.driver import ObjectDriver
from remote_store.drivers.objects.wire import Object
from remote_store.drivers.profiles import AZURE

RENAMED = re.compile(r"[\x00-\x1f\x7f\\]|\.(?:/|$)")
"""What Azure replaces (backslashes), drops (dots at the end of a part), or cannot list (control characters):
Blob Storage REST API, naming and referencing containers, blobs, and metadata."""
MOST_SEGMENTS = 254
"""Parts of a name, ibid."""


class AzureDriver(ObjectDriver):
    """Blobs below the prefix `root` of a container.

    Args:
        clients: make the requests.
        root: prefix that is the root, without slashes around it.
        name: of the backend.
        options: what else `ObjectDriver` takes.
    """

    profile = AZURE
    capabilities = AZURE.capabilities
    wire: AzureWire
    checks_ascii = True

    WIRE: ClassVar[type[AzureWire]] = AzureWire

    def __init__(self, clients: Clients, root: str = "", *, name: str = "azure", **options: Any) -> None:
        super().__init__(self.WIRE(clients, name), root, name=name, timeout=clients.timeout, **options)

    def check_key(self, key: str) -> None:
        super().check_key(key)
        if (odd := RENAMED.search(key)) or key.count("/") >= MOST_SEGMENTS:
            what = "has too many parts" if odd is None else "would be stored under another name, or in no listing"
            raise InvalidPath(f"Path is not valid on Azure: it {what}", path=key, backend=self.name)

    async def transfer(self, src: str, dst: str, options: WriteOptions, source: Object | None = None) -> None:
        """Copy a blob. What it replaces is replaced whole where the service may read the blob: at once, or by blocks.

        Any other copy may go on after it was answered, and fail when it has emptied what it replaces.
        """
        if not options.replaces or source is None or (source.size or 0) <= copies.AT_ONCE:
            try:
                return await super().transfer(src, dst, options, source)
            except RemoteStoreError as error:
                if code_of(error.__cause__) != NOT_AT_ONCE:
                    raise
        found = await self.call(src, self.wire.head, self.object(src)) if source is None else source
        if (found.size or 0) <= copies.AT_ONCE or not await self._by_blocks(src, dst, options, found):
            await self.in_steps(src, dst, options, source, copies.GoingOn())

    async def _by_blocks(self, src: str, dst: str, options: WriteOptions, source: Object) -> bool:
        """Copy a blob a block at a time; whether the service does so."""
        part_size = max(copies.BLOCK, -(-(source.size or 0) // copies.MOST_BLOCKS))
        kept = options._replace(metadata=source.metadata)

        def create() -> Awaitable[Any]:
            return self.wire.create_like(self.object(dst), options, source.reply)

        try:
            await copy_parts(self, src, dst, kept, source, part_size, create, self.wire.part_copy)
        except RemoteStoreError as error:
            cause = error.__cause__
            if isinstance(cause, HttpResponseError) and not is_final(cause):
                return False
            raise
        return True

    def details(self) -> dict[str, Any]:
        endpoint = redact(self.fs.service_client.primary_endpoint.partition("?")[0])
        return {"container": self.wire.container, "root": self.root, "endpoint_url": endpoint}
