"""SeaweedFS on loopback: a distributed store behind an S3 gateway, in one process."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botocore.exceptions import ClientError

from servers.ports import free_port
from servers.processes import connect, running, wait_until_up
from servers.s3 import BUCKET, KEY, SECRET, S3Server, client

ACTIONS = ["Admin", "Read", "Write", "List"]
START = 60
"""Seconds that it may take until a first object is stored; usually 8."""
ROLES = ("master", "volume", "filer", "s3")


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """An S3 endpoint of one master, one volume server and one filer."""
    ports = {f"{role}.port{kind}": free_port() for role in ROLES for kind in ("", ".grpc")}
    with tempfile.TemporaryDirectory(prefix="seaweedfs-", ignore_cleanup_errors=True) as folder:
        logins = [{"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ACTIONS}]
        keys = Path(folder, "keys.json")
        keys.write_text(json.dumps({"identities": logins}))
        options = {
            **ports,
            "dir": folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": keys,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.autoCreateBucket": "false",
            "filer.localSocket": f"{folder}/filer.sock",
            "s3.localSocket": f"{folder}/s3.sock",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 4096,
        }
        arguments = ["server", "-filer", "-s3", *(f"-{name}={value}" for name, value in options.items())]
        served = S3Server(f"http://127.0.0.1:{ports['s3.port']}")
        try:
            # To stop in peace takes it more than 10 s, and its content goes anyway.
            with running("weed", *arguments, patience=0, cwd=folder) as process:
                served.pid = process.pid
                wait_until_up(process, lambda: _store(served, ports["s3.port"]), (OSError, ClientError), START)
                yield served
        finally:
            client(served).close()
            for role, port in ports.items():  # Not in the folder, whatever it is told.
                with suppress(FileNotFoundError):
                    os.unlink(f"/tmp/seaweedfs-{role.removesuffix('.port.grpc')}-grpc-{port}.sock")


def _store(server: S3Server, port: int) -> None:
    """Store an object: the gateway listens before the volume server has told the master where there is space."""
    connect(port)
    with suppress(client(server).exceptions.BucketAlreadyOwnedByYou):
        client(server).create_bucket(Bucket=BUCKET)
    client(server).put_object(Bucket=BUCKET, Key="up", Body=b"1")
    client(server).delete_object(Bucket=BUCKET, Key="up")
