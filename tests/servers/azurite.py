"""azurite on loopback: a second opinion on the flat half of the double of Azure. It knows no hierarchical namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.azure import ACCOUNT, CONTAINER, AzureServer
from servers.ports import free_port
from servers.processes import connect, running, wait_until_up

PROGRAM = Path(__file__).parent / "node_modules" / ".bin" / "azurite-blob"


@contextmanager
def azurite() -> Iterator[AzureServer]:
    """The program in a process of its own, with nothing on disk.

    Raises:
        OSError: it is not installed.
        RuntimeError: there is no node to run it.
    """
    from azure.storage.blob import ContainerClient

    port = free_port()
    place = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence"]
    # Without the last flag it refuses the versions of the API that today's SDKs speak.
    flags = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with running(os.fspath(PROGRAM), *place, *flags) as process:
        wait_until_up(process, lambda: connect(port), seconds=60)
        server = AzureServer(endpoint=f"http://127.0.0.1:{port}/{ACCOUNT}", pid=process.pid)
        with ContainerClient.from_connection_string(server.connection_string, CONTAINER) as container:
            container.create_container()
        yield server
