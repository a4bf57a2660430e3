"""SeaweedFS on loopback: a distributed store behind an S3 gateway, in one process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botocore.exceptions import ClientError

from servers.ports import free_port
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
        command = [os.path.join(os.path.dirname(sys.executable), "weed"), "server", "-filer", "-s3"]
        command += [f"-{name}={value}" for name, value in options.items()]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        served = S3Server(f"http://127.0.0.1:{ports['s3.port']}", pid=process.pid)
        try:
            _wait_until_up(process, served, ports["s3.port"])
            yield served
        finally:
            client(served).close()
            process.kill()  # Its content goes anyway, and to stop in peace takes it more than 10 s.
            process.wait()
            for role, port in ports.items():  # Not in the folder, whatever it is told.
                with suppress(FileNotFoundError):
                    os.unlink(f"/tmp/seaweedfs-{role.removesuffix('.port.grpc')}-grpc-{port}.sock")


def _wait_until_up(process: subprocess.Popen[bytes], server: S3Server, port: int) -> None:
    """The gateway listens before the volume server has told the master where there is space."""
    deadline = time.monotonic() + START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            with suppress(client(server).exceptions.BucketAlreadyOwnedByYou):
                client(server).create_bucket(Bucket=BUCKET)
            client(server).put_object(Bucket=BUCKET, Key="up", Body=b"1")
            client(server).delete_object(Bucket=BUCKET, Key="up")
            return
        except (OSError, ClientError):
            if process.poll() is not None:
                raise RuntimeError(f"SeaweedFS ended with {process.returncode}") from None
            if time.monotonic() > deadline:
                raise TimeoutError("SeaweedFS did not start") from None
            time.sleep(0.1)
