"""rclone's S3 server on loopback, which ignores If-None-Match and If-Match."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from servers.ports import free_port

KEY, SECRET, BUCKET = "rclone", "s3cret-rclone", "bucket"


@contextmanager
def rclone() -> Iterator[dict[str, Any]]:
    """Arguments of an `S3Backend` over a bucket that rclone serves from a temporary folder."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, BUCKET))
        command = [os.path.join(os.path.dirname(sys.executable), "rclone"), "--config", os.devnull, "serve", "s3"]
        command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "off", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield {
                "bucket": BUCKET,
                "key": KEY,
                "secret": SECRET,
                "endpoint_url": f"http://127.0.0.1:{port}",
                "region_name": "us-east-1",
                "timeout": 5,
                "config_kwargs": {
                    "retries": {"total_max_attempts": 1},  # A key below a file is a 500 here, every time.
                    "response_checksum_validation": "when_required",
                    "request_checksum_calculation": "when_required",
                },
            }
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"rclone ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
