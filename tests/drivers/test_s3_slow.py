"""S3 over a slow network: what makes progress outlives the deadline of one call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.s3 import FAST, MIB, PART
from servers.proxy import Fault, Proxy, proxy_to
from servers.s3 import S3Server, view_of

from remote_store.certify.view import View

pytestmark = pytest.mark.full
SHORT = 4.0
"""Of what only waits [s]; work is given as much more as this machine takes for it."""
DATA = bytes(range(256)) * (3 * MIB // 256)
DRIP = Fault("drip", "response", pause=0.1)
"""48 times 64 KiB, each well within the deadline, and all of them beyond it, on a machine of any speed."""
TRICKLE = Fault("drip", "request", pause=0.004)
"""80 times 64 KiB of a part, which together are well within the deadline."""


@pytest.fixture
def proxy(moto_server: S3Server) -> Iterator[Proxy]:
    with proxy_to(moto_server.endpoint) as proxy:
        yield proxy


@pytest.fixture(params=["sync", "async", *FAST])
def kind(request: pytest.FixtureRequest) -> str:
    way: str = request.param
    return way


@asynccontextmanager
async def within(deadline: float, kind: str, server: S3Server, proxy: Proxy) -> AsyncIterator[View]:
    """A store over the slow network, whose calls have so many seconds."""
    options = {"endpoint_url": proxy.endpoint, "timeout": deadline, "part_size": PART, "max_concurrency": 1}
    async with view_of(kind, server, server.fresh_prefix(), **options) as view:
        await view.ping()  # Connecting for the first time is not what is timed.
        yield view


@pytest.fixture
async def view(kind: str, moto_server: S3Server, proxy: Proxy) -> AsyncIterator[View]:
    async with within(SHORT, kind, moto_server, proxy) as view:
        yield view


async def streamed(view: View) -> bytes:
    return b"".join([chunk async for chunk in view.read("key")])


async def sought(view: View) -> bytes:
    async with await view.read_seekable("key") as stream:
        return await stream.read()


async def timed(read: Any) -> tuple[bytes, float]:
    begun = time.monotonic()
    return await read, time.monotonic() - begun


async def test_a_download_that_drips_outlives_the_deadline(view: View, proxy: Proxy) -> None:
    await view.write("key", DATA)
    proxy.arm(DRIP)
    reads = (
        lambda: streamed(view),
        lambda: sought(view),
        lambda: view.read_bytes("key"),
        lambda: view.read_range("key", 1, len(DATA)),
    )
    results = await view.race([lambda read=read: timed(read()) for read in reads])  # type: ignore[misc]
    for number, result in enumerate(results):
        assert not isinstance(result, BaseException), result
        data, took = result
        assert data == DATA[number == 3 :]
        assert took > SHORT


@pytest.mark.parametrize("method", ["write", "open_atomic"])
async def test_an_upload_that_drips_outlives_the_deadline(
    kind: str, moto_server: S3Server, proxy: Proxy, method: str
) -> None:
    proxy.arm(TRICKLE)
    async with within(DEADLINE, kind, moto_server, proxy) as view:
        _, took = await timed(view.write("one", view.stream([bytes(PART), b"end"])))
    deadline, parts = max(SHORT, 8 * took), 0
    begun = time.monotonic()

    def content() -> Iterator[bytes]:
        nonlocal parts
        while time.monotonic() - begun < deadline * 1.5:
            parts += 1
            yield bytes([parts]) * PART

    async with within(deadline, kind, moto_server, proxy) as view:
        begun = time.monotonic()
        if method == "open_atomic":
            async with view.open_atomic("key") as file:
                for part in content():
                    await file.write(part)
            result = file.result
        else:
            result = await getattr(view, method)("key", view.stream(content()))
        assert proxy.struck.is_set()
        assert parts > 1
        assert result.size == parts * PART
        proxy.heal()
        assert await view.read_bytes("key") == b"".join(bytes([number + 1]) * PART for number in range(parts))
