"""rclone's servers on loopback: S3, which ignores conditions, and SFTP, which renames over files and has no links."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from servers.ports import free_port
from servers.processes import connect, running, wait_until_up
from servers.sshd import SFTPPlace

KEY, SECRET, BUCKET = "rclone", "s3cret-rclone", "bucket"


@contextmanager
def rclone() -> Iterator[dict[str, Any]]:
    """Arguments of an `S3Backend` over a bucket that rclone serves from a temporary folder."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, BUCKET))
        arguments = ["--config", os.devnull, "serve", "s3", "--addr", f"127.0.0.1:{port}"]
        arguments += ["--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "off", folder]
        with running("rclone", *arguments) as process:
            wait_until_up(process, lambda: connect(port))
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


@contextmanager
def rclone_sftp(cache: str = "off") -> Iterator[SFTPPlace]:
    """A server of a temporary folder.

    Args:
        cache: mode of its cache of files, such as `"writes"`.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(served := os.path.join(folder, "served"))
        arguments = ["--config", os.devnull, "--cache-dir", folder, "serve", "sftp", "--addr", f"127.0.0.1:{port}"]
        # With no time at all rclone forgets each folder in a loop without end, until it does nothing else.
        arguments += ["--user", KEY, "--pass", SECRET, "--vfs-cache-mode", cache, "--dir-cache-time", "100ms", served]
        with running("rclone", *arguments) as process:
            wait_until_up(process, lambda: connect(port))
            login = {"username": KEY, "password": SECRET, "client_keys": None, "known_hosts": None, "ssh_config": None}
            yield SFTPPlace(port, served, "/", login, pause=0.3)
