"""S3 over a network that fails: typed errors in time, nothing half done, and a store that goes on afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.s3 import FAST, MIB, PART, content_of, keys, uploads
from servers.proxy import Fault, Proxy, proxy_to
from servers.s3 import BUCKET, S3Server

from remote_store import AlreadyExists, BackendUnavailable, Store
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
from remote_store.certify.view import View

SHORT, MIDWAY, LONG = 0.5, 3.0, 60.0
"""Deadlines of calls: to a service that does not answer; to one that fails after a MiB; and to one that works [s]."""
IN_TIME = 50.0
"""In what time a call has failed and cleaned up; without a deadline the SDK tries for five minutes [s]."""


Work = Callable[[], Coroutine[Any, Any, Any]]


@dataclass
class Place:
    """A store behind a proxy, and the server behind that."""

    view: View
    proxy: Proxy
    server: S3Server
    prefix: str

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Calls that begin meanwhile have this deadline."""
        driver = self.view.store._backend._driver
        before, driver.timeout = driver.timeout, seconds
        try:
            yield
        finally:
            driver.timeout = before

    def keys(self) -> list[str]:
        return keys(self.server, self.prefix)

    def content(self, key: str) -> bytes:
        return content_of(self.server, self.prefix, key)

    async def fails(self, *work: Work, deadline: float = SHORT) -> None:
        """Each of these, side by side, ends in time and says that the storage cannot be reached."""
        with self.deadline(deadline):
            begun = time.monotonic()
            errors = await self.view.race(work)
            assert time.monotonic() - begun < IN_TIME
        for error in errors:
            assert isinstance(error, BackendUnavailable), error
            assert error.path == "key"
            assert error.backend == "s3"
            assert error.__cause__ is not None
            assert "s3cret" not in str(error)

    async def works(self) -> None:
        """The same store goes on through a healed network, and left nothing behind."""
        self.proxy.heal()
        assert uploads(self.server, self.prefix) == []
        for chance in range(10):
            # A pooled connection may still be a dead one, and the SDK waits up to a second before it takes another.
            with suppress(BackendUnavailable) if chance < 9 else nullcontext():
                await self.view.write("after", b"fine", overwrite=True)
                break
        assert await self.view.read_bytes("after") == b"fine"


@pytest.fixture
def proxy(moto_server: S3Server) -> Iterator[Proxy]:
    with proxy_to(moto_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def options(moto_server: S3Server, proxy: Proxy) -> dict[str, Any]:
    return {
        **moto_server.options,
        "root": moto_server.fresh_prefix(),
        "endpoint_url": proxy.endpoint,
        "timeout": LONG,
        "part_size": PART,
    }


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async", *FAST])
async def place(
    request: pytest.FixtureRequest, moto_server: S3Server, proxy: Proxy, options: dict[str, Any]
) -> AsyncIterator[Place]:
    way, _, engine = request.param.partition("-")
    options["engine"] = engine or None
    if way == "sync":
        with Store(S3Backend(BUCKET, **options)) as store:
            store.ping()  # Connecting for the first time has no deadline to keep.
            yield Place(View(store), proxy, moto_server, options["root"])
    else:
        async with AsyncStore(AsyncS3Backend(BUCKET, **options)) as store:
            await store.ping()
            yield Place(View(store), proxy, moto_server, options["root"])


@pytest.fixture
async def asynchronous(moto_server: S3Server, proxy: Proxy, options: dict[str, Any]) -> AsyncIterator[Place]:
    async with AsyncStore(AsyncS3Backend(BUCKET, **options)) as store:
        yield Place(View(store), proxy, moto_server, options["root"])


async def read(view: View) -> bytes:
    return b"".join([chunk async for chunk in view.read("key")])


async def listed(view: View) -> list[Any]:
    return [entry async for entry in view.list_files("key")]


def parts(count: int) -> list[bytes]:
    return [bytes([number]) * PART for number in range(count)]


# --- reading


def reads(view: View) -> list[Work]:
    return [
        lambda: read(view),
        lambda: view.read_bytes("key"),
        lambda: view.read_range("key", 1, 4 * MIB),
    ]


@pytest.mark.parametrize("act", ["reset", "stall"])
async def test_a_body_that_breaks_off_is_an_error_never_a_short_file(place: Place, act: Any) -> None:
    data = bytes(range(256)) * (4 * MIB // 256)
    await place.view.write("key", data)
    place.proxy.arm(Fault(act, "response", after=MIB))
    await place.fails(*reads(place.view), deadline=MIDWAY)
    assert place.proxy.struck.is_set()
    await place.works()
    assert await place.view.read_bytes("key") == data


async def test_a_stream_gives_what_came_before_the_break_then_the_error(place: Place) -> None:
    data = bytes(range(256)) * (4 * MIB // 256)
    await place.view.write("key", data)
    place.proxy.arm(Fault("stall", "response", after=MIB))
    got = bytearray()

    async def take() -> None:
        async for chunk in place.view.read("key"):
            got.extend(chunk)

    await place.fails(take, deadline=MIDWAY)
    assert len(got) >= MIB // 2
    assert data.startswith(got)
    await place.works()


# --- a network, or a service, that is not there


FAULTS: dict[str, Callable[[Proxy], None]] = {
    "black hole": lambda proxy: proxy.arm(Fault("stall", "request")),
    "silence after the request": lambda proxy: proxy.arm(Fault("stall", "response")),
    "refused": lambda proxy: proxy.refuse(),
    "reset": lambda proxy: proxy.arm(Fault("reset", "request")),
    "503 storm": lambda proxy: proxy.arm(Fault("busy", "request")),
}


@pytest.fixture(params=FAULTS.values(), ids=FAULTS)
def fault(request: pytest.FixtureRequest) -> Callable[[Proxy], None]:
    break_it: Callable[[Proxy], None] = request.param
    return break_it


async def test_an_unreachable_service_fails_reads_in_time(place: Place, fault: Callable[[Proxy], None]) -> None:
    await place.view.write("key", b"content")
    fault(place.proxy)
    await place.fails(*reads(place.view))
    await place.works()
    assert await place.view.read_bytes("key") == b"content"


async def test_an_unreachable_service_is_never_a_missing_file(place: Place, fault: Callable[[Proxy], None]) -> None:
    await place.view.write("key", b"content")
    fault(place.proxy)
    view = place.view
    await place.fails(
        lambda: view.exists("key"),
        lambda: view.is_folder("key"),
        lambda: view.get_file_info("key"),
        lambda: view.delete("key", missing_ok=True),
        lambda: listed(view),
    )
    await place.works()
    assert await view.read_bytes("key") == b"content"


async def test_an_unreachable_service_fails_writes_in_time(place: Place, fault: Callable[[Proxy], None]) -> None:
    await place.view.write("other", b"opens a connection")
    silent = fault is FAULTS["silence after the request"]
    fault(place.proxy)
    await place.fails(lambda: place.view.write("key", b"content", overwrite=True))
    place.proxy.heal()
    assert place.keys() in (["other"], ["key", "other"] if silent else ["other"])
    await place.works()


@pytest.mark.parametrize("break_it", [FAULTS["black hole"], FAULTS["refused"], FAULTS["503 storm"]])
async def test_an_unreachable_service_fails_long_writes_in_time(
    place: Place, break_it: Callable[[Proxy], None]
) -> None:
    break_it(place.proxy)
    await place.fails(lambda: place.view.write("key", place.view.stream(parts(2)), overwrite=True))
    await place.works()
    assert place.keys() == ["after"]


# --- writing


async def test_an_upload_that_is_reset_leaves_the_old_content(place: Place) -> None:
    await place.view.write("key", b"old")
    place.proxy.arm(Fault("reset", "request", after=MIB))
    await place.fails(lambda: place.view.write("key", bytes(4 * MIB), overwrite=True), deadline=MIDWAY)
    assert place.proxy.struck.is_set()
    assert place.content("key") == b"old"
    await place.works()
    assert place.keys() == ["after", "key"]


@pytest.mark.parametrize("act", ["reset", "stall"])
@pytest.mark.parametrize("method", ["write", "write_atomic", "open_atomic"])
async def test_a_part_that_cannot_be_sent_ends_the_upload_without_a_trace(place: Place, act: Any, method: str) -> None:
    await place.view.write("key", b"old")
    place.proxy.arm(Fault(act, "request", after=MIB))

    async def upload() -> None:
        if method != "open_atomic":
            await getattr(place.view, method)("key", place.view.stream(parts(3)), overwrite=True)
            return
        async with place.view.open_atomic("key", overwrite=True) as file:
            for part in parts(3):
                await file.write(part)

    await place.fails(upload, deadline=MIDWAY)
    assert place.proxy.struck.is_set()
    assert place.content("key") == b"old"
    await place.works()
    assert place.keys() == ["after", "key"]


async def test_one_broken_connection_is_tried_again(place: Place) -> None:
    place.proxy.arm(Fault("reset", "request", after=MIB, times=1))
    result = await place.view.write("key", bytes(2 * MIB))
    assert place.proxy.struck.is_set()
    assert result.size == 2 * MIB
    assert place.content("key") == bytes(2 * MIB)
    await place.works()


# --- a write that succeeded and whose reply was lost


LOST = Fault("reset", "response", after=2 * len(b"HTTP/1.1 100 Continue\r\n\r\n"), times=1)
"""The reply to a put is lost, not the leave to send its content, which this server gives twice."""


def times_executed(server: S3Server, place: Place, method: str) -> int:
    return sum(request.startswith(f"{method} /{BUCKET}/{place.prefix}/key") for request in server.requests)


async def test_the_echo_of_an_own_create_is_no_conflict(place: Place, moto_server: S3Server) -> None:
    place.proxy.arm(LOST)
    result = await place.view.write("key", b"mine")
    assert times_executed(moto_server, place, "PUT") == 2
    assert place.content("key") == b"mine"
    assert result.etag == (await place.view.get_file_info("key")).etag


async def test_a_file_that_was_there_stays_a_conflict_when_a_reply_is_lost(place: Place, moto_server: S3Server) -> None:
    await place.view.write("key", b"mine")  # Equal bytes of another writer.
    place.proxy.arm(LOST)
    with pytest.raises(AlreadyExists):
        await place.view.write("key", b"mine")
    assert times_executed(moto_server, place, "PUT") == 3
    assert place.content("key") == b"mine"


async def test_the_echo_of_an_own_replacement_is_no_failed_precondition(place: Place, moto_server: S3Server) -> None:
    old = await place.view.write("key", b"old")
    place.proxy.arm(LOST)
    result = await place.view.write("key", b"mine", if_match=old.etag)
    assert times_executed(moto_server, place, "PUT") == 3
    assert place.content("key") == b"mine"
    assert result.etag == (await place.view.get_file_info("key")).etag


# --- cancellation


async def struck(proxy: Proxy) -> None:
    assert await asyncio.to_thread(proxy.struck.wait, LONG)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(MIB)


async def test_cancelling_a_long_write_leaves_nothing(asynchronous: Place) -> None:
    asynchronous.proxy.arm(Fault("stall", "request", after=MIB, times=1))
    task = asyncio.ensure_future(asynchronous.view.write("key", endless()))
    await struck(asynchronous.proxy)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    asynchronous.proxy.heal()
    await asynchronous.works()
    assert asynchronous.keys() == ["after"]


async def test_cancelling_a_short_write_or_a_read_leaves_the_store_usable(asynchronous: Place) -> None:
    await asynchronous.view.write("key", bytes(4 * MIB))
    for fault, work in (
        (Fault("stall", "request", after=MIB), asynchronous.view.write("new", bytes(2 * MIB))),
        (Fault("stall", "response", after=MIB), asynchronous.view.read_bytes("key")),
    ):
        asynchronous.proxy.arm(fault)
        task = asyncio.ensure_future(work)
        await struck(asynchronous.proxy)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asynchronous.works()
    assert asynchronous.keys() == ["after", "key"]
