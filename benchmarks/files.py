"""Small reads over SFTP and HTTP: `AsyncStore` against what is below it, on one server of loopback, turn by turn."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Instead of this folder, where `requests.py` would hide a package.
    sys.path[0] = str(Path(__file__).parent.parent / "tests")

from servers.files import file_server
from servers.sftp import asyncssh_place
from servers.sshd import openssh

from remote_store.aio import AsyncHTTPBackend, AsyncSFTPBackend, AsyncStore

Read = Callable[[], Awaitable[object]]
CONTENT = b"1" * 1024
TOGETHER = 256


@asynccontextmanager
async def over_sftp(server: str) -> AsyncIterator[dict[str, Read]]:
    """Ways to read a file: a store, sshfs, and asyncssh itself."""
    with {"openssh": openssh, "asyncssh": asyncssh_place}[server]() as place:
        root = place.fresh_root()
        Path(place.on_disk(root), "f").write_bytes(CONTENT)
        async with AsyncStore(AsyncSFTPBackend("127.0.0.1", root, **place.options)) as store:
            await store.read_bytes("f")  # Connects.
            fs: Any = store.unwrap(object)
            client = next(iter(fs.connections._open.values())).client

            async def bare() -> bytes:
                async with client.open(f"{root}/f", "rb") as file:
                    data: bytes = await file.read()
                    return data

            yield {"store": lambda: store.read_bytes("f"), "fsspec": lambda: fs._cat_file(f"{root}/f"), "bare": bare}


@asynccontextmanager
async def over_http() -> AsyncIterator[dict[str, Read]]:
    """Ways to read a file: a store, and fsspec's own filesystem."""
    from fsspec.implementations.http import HTTPFileSystem

    with tempfile.TemporaryDirectory() as folder, file_server(Path(folder)) as server:
        Path(folder, "f").write_bytes(CONTENT)
        fs = HTTPFileSystem(asynchronous=True, skip_instance_cache=True)
        session = await fs.set_session()
        async with AsyncStore(AsyncHTTPBackend(server.endpoint)) as store:
            yield {"store": lambda: store.read_bytes("f"), "fsspec": lambda: fs._cat_file(f"{server.endpoint}/f")}
        await session.close()


async def one_by_one(read: Read) -> float:
    """Seconds for each of some reads."""
    start = time.perf_counter()
    for _ in range(64):
        await read()
    return (time.perf_counter() - start) / 64


async def at_once(read: Read) -> float:
    """Seconds for many reads that begin together."""
    start = time.perf_counter()
    await asyncio.gather(*(read() for _ in range(TOGETHER)))
    return time.perf_counter() - start


MANY = f"{TOGETHER} small reads at once"
ROWS: list[tuple[str, str, Callable[[Read], Awaitable[float]], str, float]] = [
    ("sftp", "a small read", one_by_one, "fsspec", 1.3),
    ("sftp", MANY, at_once, "bare", 1.2),
    ("http", "a small read", one_by_one, "fsspec", 1.5),
    ("http", MANY, at_once, "fsspec", 1.5),
]
"""Kind, what is measured, how, against what, and the most that it may be of that."""


async def measured(kind: str, server: str, rounds: int) -> list[dict[str, Any]]:
    """The rows of a kind; the least of some rounds counts, taken in turns."""
    found = []
    async with over_sftp(server) if kind == "sftp" else over_http() as ways:
        for _, name, measure, peer, target in (row for row in ROWS if row[0] == kind):
            best = dict.fromkeys(("store", peer), float("inf"))
            for _ in range(rounds):
                for way in best:
                    gc.collect()
                    gc.disable()  # As timeit does: it is paid by whoever comes when it is due.
                    best[way] = min(best[way], await measure(ways[way]))
                    gc.enable()
            ratio = round(best["store"] / best[peer], 2)
            row = {"name": f"{kind}, {name}", "against": peer, "ratio": ratio, "target": target}
            found.append(
                row | {f"{way} [ms]": round(1000 * took, 3) for way, took in best.items()} | {"ok": ratio <= target}
            )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each way, taken in turns; the best counts")
    parser.add_argument("--server", choices=("openssh", "asyncssh"), default="openssh", help="of SFTP")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    rows = [row for kind in ("sftp", "http") for row in asyncio.run(measured(kind, options.server, options.rounds))]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(", ".join(f"{name} {value}" for name, value in row.items()))
    return int(options.check and not all(row["ok"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
