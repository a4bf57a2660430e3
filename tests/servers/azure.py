"""Azure storage on loopback: a double in this process, of Blob Storage and Data Lake Storage on one address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers.azure_items import Container, Item
from servers.azure_service import Service, Settings
from servers.double import Double
from servers.double_answers import Answer, Request
from servers.double_http import listening

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The public one of azurite (Azure/Azurite: README)."""
CONTAINER = "test-container"
HNS = "test-hns"
"""A container with a hierarchical namespace, which the double alone has."""


@dataclass
class AzureServer(Settings, Double):
    """An endpoint with a container, and what it was asked.

    Attributes:
        service: what the double holds.
    """

    service: Service | None = field(default=None, repr=False)

    def carry_out(self, request: Request) -> Answer:
        """Answer a request."""
        assert self.service
        return self.service.carry_out(request)

    @property
    def connection_string(self) -> str:
        """Names the account, its key and the endpoint."""
        account = f"DefaultEndpointsProtocol={self.endpoint.partition(':')[0]};AccountName={ACCOUNT};AccountKey={KEY}"
        return f"{account};BlobEndpoint={self.endpoint};"

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of adlfs."""
        return {"connection_string": self.connection_string}

    def container(self, name: str = CONTAINER) -> Container:
        """What the double holds in a container."""
        assert self.service
        return self.service.containers[name]

    def create_container(self, name: str, hns: bool | None = None) -> Container:
        """A container of the double; None leaves it to the settings whether it has folders."""
        assert self.service
        container = self.service.containers[name] = Container(name, self.hns if hns is None else hns)
        return container

    def put(self, name: str, content: bytes, container: str = CONTAINER, **metadata: str) -> Item:
        """What another writer stores."""
        assert self.service
        with self.service.lock:
            return self.container(container).publish(name, Item(metadata, content=content).with_md5())

    def mkdir(self, name: str, container: str = HNS) -> Item:
        """A folder that another writer makes."""
        assert self.service
        with self.service.lock:
            return self.container(container).publish(name, Item(folder=True, made_by="dfs"))

    def keys(self, prefix: str = "", container: str = CONTAINER) -> list[str]:
        """Names of the blobs of the double, and of its folders, which end in "/"."""
        items = sorted(self.container(container).items.items())
        return [name + "/" * item.folder for name, item in items if name.startswith(prefix)]

    def uncommitted(self, prefix: str = "", container: str = CONTAINER) -> dict[str, int]:
        """How many blocks of each blob no block list has named."""
        held = self.container(container).uncommitted
        return {name: len(blocks) for name, blocks in held.items() if blocks and name.startswith(prefix)}

    def empty(self) -> None:
        """Forget all but two empty containers."""
        assert self.service
        with self.service.lock:
            self.service.containers.clear()
            self.service.deletes.clear()
        self.create_container(CONTAINER, hns=False)
        self.create_container(HNS, hns=True)
        self.requests.clear()


@contextmanager
def azure(certificate: Path | None = None) -> Iterator[AzureServer]:
    """The double, which answers in a thread of its own.

    Arguments:
        certificate: and its key, with which it speaks TLS; to plain http the SDK gives no tokens.
    """
    served = AzureServer()
    served.service = Service(served, ACCOUNT)
    served.empty()
    with listening(served, certificate) as address:
        served.endpoint = f"{address}/{ACCOUNT}"
        yield served
