"""How much this process has received, from files and over TCP."""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass

_TCP_INFO, _BYTES_RECEIVED = 11, 128
"""Option and offset of `tcpi_bytes_received` (linux/tcp.h, since 4.1)."""


@dataclass(frozen=True)
class Received:
    """Totals at a moment.

    Args:
        files: bytes read from files.
        connections: bytes received, by socket.
    """

    files: int
    connections: dict[int, int]

    def since(self, before: Received) -> int | None:
        """Bytes received since then: over the network where there was traffic, else from files; None if unknown."""
        if self.files < 0:
            return None
        network = sum(count - before.connections.get(inode, 0) for inode, count in self.connections.items())
        return network or self.files - before.files


def received() -> Received:
    """Totals of this process now, as Linux tells them."""
    if not sys.platform.startswith("linux"):
        return Received(-1, {})
    with open("/proc/self/io", encoding="ascii") as file:
        files = int(file.readline().partition(":")[2])
    connections = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError, ValueError, struct.error):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:["):
                with socket.socket(fileno=os.dup(int(name))) as duplicate:
                    info = duplicate.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 256)
                connections[int(target[8:-1])] = int(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0])
    return Received(files, connections)
