"""How much this process has received, from files and over the network."""

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
    """Totals at a moment [bytes].

    Args:
        connections: by socket that is open.
        network: by every process that shares this one's network, over connections that are closed, too.
        files: read from files.
    """

    connections: dict[int, int]
    network: int
    files: int

    def since(self, before: Received) -> tuple[int, int, int]:
        """Bytes received since then: over open connections, over the network by any process, and from files.

        Files are last because what comes over the network may go through one.
        """
        counts = self.connections.items()
        connections = sum(count - before.connections.get(inode, 0) for inode, count in counts)
        return connections, self.network - before.network, self.files - before.files


def received() -> Received | None:
    """Totals of this process now, from Linux's counters; None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    with open("/proc/self/io", encoding="ascii") as file:
        files = int(file.readline().partition(":")[2])
    return Received(_connections(), _network(), files)


def _connections() -> dict[int, int]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError, ValueError, struct.error):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:["):
                with socket.socket(fileno=os.dup(int(name))) as duplicate:
                    info = duplicate.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 256)
                found[int(target[8:-1])] = int(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0])
    return found


def _network() -> int:
    """What the network namespace has received, loopback included; 0 where Linux does not say."""
    with suppress(OSError, ValueError), open("/proc/self/net/netstat", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("IpExt:")]
        return int(values[names.index("InOctets")])
    return 0
