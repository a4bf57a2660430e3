"""Servers in processes of their own, which end with the test run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def running(program: str, *arguments: str, patience: float = 10, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program of this environment; asked to end with the block, and killed if that takes longer than `patience` [s].

    Raises:
        OSError: it is not installed.
    """
    command = [os.path.join(os.path.dirname(sys.executable), program), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_up(
    process: subprocess.Popen[bytes],
    attempt: Callable[[], object],
    failures: tuple[type[Exception], ...] = (OSError,),
    seconds: float = 30,
) -> None:
    """Wait until an attempt to use a server succeeds.

    Raises:
        RuntimeError: the server has ended.
        TimeoutError: it did not start in that time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except failures:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}") from None
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not start") from None
            time.sleep(0.05)
        else:
            return


def connect(port: int) -> None:
    """Connect to a port of this machine once."""
    socket.create_connection(("127.0.0.1", port), 1).close()
