"""S3 servers on loopback: moto in this process, which counts requests, and ministack as a second opinion."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEY, SECRET = "AKIATESTKEY", "s3cret-access-key"
BUCKET = "test-bucket"
_serial = itertools.count()


@dataclass
class S3Server:
    """An endpoint with a bucket, and what it was asked.

    Attributes:
        endpoint: URL.
        requests: method and path with query of each request, where the server counts.
    """

    endpoint: str
    requests: list[str] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of an `S3Backend`."""
        return {"key": KEY, "secret": SECRET, "endpoint_url": self.endpoint, "region_name": "us-east-1"}

    def fresh_prefix(self) -> str:
        """A prefix that no other test uses."""
        return f"prefix-{next(_serial)}-{os.getpid()}"


@contextmanager
def moto() -> Iterator[S3Server]:
    """moto behind a counter of requests."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    served = S3Server("")
    app: Callable[..., Any] = DomainDispatcherApplication(create_backend_app)

    def counting(environ: dict[str, Any], start_response: Any) -> Any:
        query = environ.get("QUERY_STRING", "")
        served.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}" + (f"?{query}" if query else ""))
        return app(environ, start_response)

    server = make_server("127.0.0.1", 0, counting, threaded=True)
    served.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        _create_bucket(served)
        yield served
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextmanager
def ministack() -> Iterator[S3Server]:
    """ministack in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "s3"}
    command = [os.path.join(os.path.dirname(sys.executable), "ministack")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        served = S3Server(f"http://127.0.0.1:{port}")
        _wait_until_up(process, served.endpoint)
        _create_bucket(served)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], endpoint: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(endpoint, timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}") from None
            time.sleep(0.05)
    raise TimeoutError("the server did not start")


def client(server: S3Server) -> Any:
    """A plain SDK client, to prepare and to look."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )


def _create_bucket(server: S3Server) -> None:
    client(server).create_bucket(Bucket=BUCKET)
