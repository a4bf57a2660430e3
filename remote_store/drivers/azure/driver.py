"""The driver of Azure Blob Storage, for accounts without hierarchical namespace."""

from __future__ import annotations

from typing import Any

from remote_store._paths import redact
from remote_store.drivers.azure.clients import Clients
from remote_store.drivers.azure.wire import AzureWire
from remote_store.drivers.objects.driver import ObjectDriver
from remote_store.drivers.profiles import AZURE


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

    def __init__(self, clients: Clients, root: str = "", *, name: str = "azure", **options: Any) -> None:
        super().__init__(AzureWire(clients, name), root, name=name, timeout=clients.timeout, **options)

    def details(self) -> dict[str, Any]:
        endpoint = redact(self.fs.service_client.primary_endpoint.partition("?")[0])
        return {"container": self.wire.container, "root": self.root, "endpoint_url": endpoint}
