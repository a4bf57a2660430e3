"""Concurrent small reads from a slow service: `AsyncStore` against raw requests, same server, same pool, turn by turn.

The server answers each GET after 50 ms, so objects per second tell how many requests are really in flight. Raw requests
go through s3fs, and through the HTTP session or the clients that a store on Google Cloud Storage or Azure uses itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

if __name__ == "__main__":  # Behind all packages, of which `requests.py` here would hide one.
    sys.path.append(sys.path.pop(0))

from void import SMALL, azure_options, serving

from remote_store.aio import AsyncAzureBackend, AsyncGCSBackend, AsyncS3Backend, AsyncStore

Read = Callable[[str], Awaitable[bytes]]
TARGETS = {"s3": 0.95, "gcs": 0.9, "azure": 0.9}


@asynccontextmanager
async def s3(endpoint: str, concurrency: int) -> AsyncIterator[tuple[AsyncStore, Read]]:
    """A store, and a way to read without it."""
    from s3fs import S3FileSystem

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

    async with AsyncStore(AsyncS3Backend("bucket", region_name="us-east-1", **common)) as store:
        yield store, raw
    await session.close()


@asynccontextmanager
async def gcs(endpoint: str, concurrency: int) -> AsyncIterator[tuple[AsyncStore, Read]]:
    """Likewise; the store keeps up to 256 connections by itself."""
    backend: Any = AsyncGCSBackend("bucket", token="anon", endpoint_url=endpoint)
    async with AsyncStore(backend) as store:
        await store.read_bytes("small-0")  # Makes the session.
        session = backend._driver.wire.session._session

        async def raw(key: str) -> bytes:
            url = f"{endpoint}/storage/v1/b/bucket/o/{key}?alt=media"
            async with session.get(url, headers={"Accept-Encoding": "gzip"}) as reply:
                data: bytes = await reply.read()
                return data

        yield store, raw


@asynccontextmanager
async def azure(endpoint: str, concurrency: int) -> AsyncIterator[tuple[AsyncStore, Read]]:
    """Likewise, by the SDK's client of the container."""
    backend: Any = AsyncAzureBackend("container", **azure_options(endpoint))
    async with AsyncStore(backend) as store:
        await store.read_bytes("small-0")  # Makes the clients.
        container = backend._driver.wire.clients.container

        async def raw(key: str) -> bytes:
            stream = await container.get_blob_client(key).download_blob()
            data: bytes = await stream.readall()
            return data

        yield store, raw


Service = Callable[[str, int], AbstractAsyncContextManager[tuple[AsyncStore, Read]]]
SERVICES: dict[str, Service] = {"s3": s3, "gcs": gcs, "azure": azure}


async def rate(read: Read, objects: int, concurrency: int) -> float:
    """Objects per second with `concurrency` reads in flight."""
    keys = iter(range(objects))

    async def worker() -> None:
        for key in keys:
            if len(await read(f"small-{key}")) != len(SMALL):
                raise RuntimeError("wrong content")

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return objects / (time.perf_counter() - start)


async def measure(service: str, endpoint: str, objects: int, concurrency: int, rounds: int) -> dict[str, Any]:
    best = {"store": 0.0, "raw": 0.0}
    async with SERVICES[service](endpoint, concurrency) as (store, raw):
        contenders: dict[str, Read] = {"raw": raw, "store": store.read_bytes}
        for read in contenders.values():
            await rate(read, concurrency, concurrency)  # Opens the connections.
        for _ in range(rounds):
            for name, read in contenders.items():
                best[name] = max(best[name], await rate(read, objects, concurrency))
    return {
        "service": service,
        "store [objects/s]": round(best["store"]),
        "raw [objects/s]": round(best["raw"]),
        "ratio": round(best["store"] / best["raw"], 3),
        "target": TARGETS[service],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=2048, help="reads per round")
    parser.add_argument("--concurrency", type=int, default=256, help="reads in flight")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, taken in turns; the best counts")
    parser.add_argument("--delay", type=float, default=0.05, help="of each answer [s]")
    parser.add_argument("--service", choices=SERVICES, help="one alone")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args()
    results = []
    for service in [options.service] if options.service else SERVICES:
        with serving(options.delay) as (endpoint, counted):
            work = measure(service, endpoint, options.objects, options.concurrency, options.rounds)
            result = asyncio.run(work)
        asked = 2 * (options.concurrency + options.rounds * options.objects) + (service != "s3")
        results.append(result | {"requests per object": counted["requests"] / asked, "most in flight": counted["most"]})
    if options.json:
        print(json.dumps(results))
    else:
        for result in results:
            print("\n".join(f"{name:24} {value}" for name, value in result.items()), end="\n\n")
    missed = any(result["ratio"] < result["target"] or result["requests per object"] != 1 for result in results)
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
