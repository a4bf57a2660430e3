"""The driver of Azure Blob Storage, for accounts without hierarchical namespace."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from remote_store._errors import InvalidPath
from remote_store._paths import redact
from remote_store.drivers.azure.clients import Clients
from remote_store.drivers.azure.wire import AzureWire
from remote_store.drivers.objects.driver import ObjectDriver
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

    def details(self) -> dict[str, Any]:
        endpoint = redact(self.fs.service_client.primary_endpoint.partition("?")[0])
        return {"container": self.wire.container, "root": self.root, "endpoint_url": endpoint}
