"""Concurrent small reads from a slow S3: `AsyncStore` against raw s3fs, same server, same pool, turn by turn.

The server answers each GET after 50 ms, so objects per second tell how many requests are really in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from s3fs import S3FileSystem

from remote_store.aio import AsyncS3Backend, AsyncStore

BODY = b"x" * 1024
TARGET = 0.95
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nContent-Type: binary/octet-stream\r\n"
    b'ETag: "00000000000000000000000000000000"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n'
)


class SlowServer:
    """Answers every request with 1 KiB after a delay; counts them, and the most that waited at once."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.requests = self.waiting = self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                self.waiting += 1
                self.most = max(self.most, self.waiting)
                await asyncio.sleep(self.delay)
                self.waiting -= 1
                writer.write(HEAD + BODY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def rate(read: Callable[[str], Awaitable[bytes]], objects: int, concurrency: int) -> float:
    """Objects per second with `concurrency` reads in flight."""
    keys = iter(range(objects))

    async def worker() -> None:
        for key in keys:
            if len(await read(f"key-{key}")) != len(BODY):
                raise RuntimeError("wrong content")

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return objects / (time.perf_counter() - start)


async def measure(objects: int, concurrency: int, rounds: int, delay: float) -> dict[str, Any]:
    slow = SlowServer(delay)
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0, backlog=1024)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    common: dict[str, Any] = {
        "key": "k",
        "secret": "s",
        "endpoint_url": endpoint,
        "config_kwargs": {"max_pool_connections": concurrency},
    }
    fs = S3FileSystem(asynchronous=True, skip_instance_cache=True, client_kwargs={"region_name": "us-east-1"}, **common)
    session = await fs.set_session()

    async def raw(key: str) -> bytes:
        reply = await fs._call_s3("get_object", Bucket="bucket", Key=key)
        async with reply["Body"] as body:
            data: bytes = await body.read()
            return data

    best = {"store": 0.0, "raw": 0.0}
    async with AsyncStore(AsyncS3Backend("bucket", region_name="us-east-1", **common)) as store:
        contenders = {"raw": raw, "store": store.read_bytes}
        for read in contenders.values():
            await rate(read, concurrency, concurrency)  # Opens the connections.
        before, slow.most = slow.requests, 0
        for _ in range(rounds):
            for name, read in contenders.items():
                best[name] = max(best[name], await rate(read, objects, concurrency))
    requests = (slow.requests - before) / (2 * rounds * objects)
    await session.close()
    server.close()
    return {
        "store [objects/s]": round(best["store"]),
        "raw s3fs [objects/s]": round(best["raw"]),
        "ratio": round(best["store"] / best["raw"], 3),
        "requests per object": requests,
        "most in flight": slow.most,
        "target": TARGET,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=2048, help="reads per round")
    parser.add_argument("--concurrency", type=int, default=256, help="reads in flight")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, taken in turns; the best counts")
    parser.add_argument("--delay", type=float, default=0.05, help="of each answer [s]")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit 1 when the target is missed")
    options = parser.parse_args()
    result = asyncio.run(measure(options.objects, options.concurrency, options.rounds, options.delay))
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:24} {value}")
    missed = result["ratio"] < TARGET or result["requests per object"] != 1
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
