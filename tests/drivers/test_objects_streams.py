"""Streams of any object store, over a dict: reading that breaks off, writing in parts that leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.dictwire import Act, Blob, Content, DictError, DictWire, dict_view

from remote_store import AlreadyExists, BackendUnavailable, NotFound, PreconditionFailed, RemoteStoreError
from remote_store.certify.view import View
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.wire import Meaning

PART = 100
DATA = bytes(range(256)) * 4096


@pytest.fixture(params=[False, True], ids=["parts, then completed", "the last part completes"])
def wire(request: pytest.FixtureRequest) -> DictWire:
    return DictWire(last_part_completes=request.param)


@pytest.fixture
async def view(kind: str, wire: DictWire) -> AsyncIterator[View]:
    async with dict_view(kind, wire, part_size=PART) as view:
        yield view


@pytest.fixture
async def asynchronous(wire: DictWire) -> AsyncIterator[View]:
    async with dict_view("async", wire, part_size=PART) as view:
        yield view


def parts(count: int) -> list[bytes]:
    return [bytes([number]) * PART for number in range(count)]


def verbs(wire: DictWire) -> list[str]:
    return [request.partition(" ")[0] for request in wire.requests]


# --- reading


@pytest.mark.parametrize("end", [7, len(DATA) - 1])
async def test_more_than_was_asked_for_is_not_taken(view: View, wire: DictWire, end: int) -> None:
    async def all_of_it(verb: str, name: str, act: Act) -> Any:
        reply = act()
        return reply._replace(stream=Content(wire.blobs[name].data[5:])) if verb == "get" else reply

    await view.write("f", DATA)
    wire.hook = all_of_it
    assert await view.read_range("f", 5, end) == DATA[5:end]


@dataclass
class Breaking(Content):
    """A body that breaks off: with an error, or with an end that comes too early."""

    after: int = 0
    error: Exception | None = None

    async def read(self, size: int) -> bytes:
        if self.after <= 0:
            if self.error is not None:
                raise self.error
            return b""
        data = await super().read(min(size, self.after))
        self.after -= len(data)
        return data


def breaking(wire: DictWire, after: int, error: Exception | None, times: int = 1) -> list[Breaking]:
    """Let the first bodies break off; gives them."""
    bodies: list[Breaking] = []

    async def hook(verb: str, name: str, act: Act) -> Any:
        reply = act()
        if verb != "get" or len(bodies) >= times:
            return reply
        bodies.append(Breaking(reply.stream.data, after=after, error=error))
        return reply._replace(stream=bodies[-1])

    wire.hook = hook
    return bodies


async def stalled(act: Act) -> None:
    await asyncio.Event().wait()


BREAKS = [TimeoutError(), DictError(Meaning.OTHER, BackendUnavailable), None]


@pytest.mark.parametrize("error", BREAKS, ids=["slow", "error", "early end"])
async def test_a_body_that_breaks_off_is_an_error_never_a_short_file(
    view: View, wire: DictWire, error: Exception | None
) -> None:
    await view.write("key", DATA)
    bodies = breaking(wire, 1000, error, times=3)
    with pytest.raises(BackendUnavailable):
        await view.read_bytes("key")
    with pytest.raises(BackendUnavailable):
        await view.read_range("key", 1, 5000)
    got = bytearray()
    with pytest.raises(BackendUnavailable):  # noqa: PT012 (what came before it is looked at)
        async for chunk in view.read("key"):
            got += chunk
    assert got == DATA[: len(got)]
    assert [body.closed for body in bodies] == [True, True, True]
    assert await view.read_bytes("key") == DATA


@pytest.mark.parametrize("error", BREAKS[1:], ids=["error", "early end"])
async def test_a_body_that_breaks_off_is_asked_for_again_from_there(kind: str, error: Exception | None) -> None:
    wire = DictWire(resumes=2)
    async with dict_view(kind, wire) as view:
        await view.write("key", DATA)
        breaking(wire, 1000, error, times=2)
        assert await view.read_bytes("key") == DATA
        breaking(wire, 1000, error, times=2)
        assert await view.read_range("key", 5, 5000) == DATA[5:5000]
        breaking(wire, 1000, error, times=3)
        with pytest.raises(BackendUnavailable):
            await view.read_bytes("key")


async def test_what_is_asked_for_again_is_the_same_content(kind: str) -> None:
    wire = DictWire(resumes=2)
    async with dict_view(kind, wire) as view:
        await view.write("key", DATA)

        async def hook(verb: str, name: str, act: Act) -> Any:
            if verb != "get":
                return act()
            body = act()
            wire.hook = None
            wire.blobs[name] = Blob(DATA[::-1], None)
            return body._replace(stream=Breaking(DATA, after=1000, error=BREAKS[1]))

        wire.hook = hook
        with pytest.raises(PreconditionFailed, match="replaced while it was being read"):
            await view.read_bytes("key")


@pytest.mark.parametrize("again", [False, True], ids=["at once", "asked for again"])
async def test_content_that_is_not_what_its_checksum_says_is_an_error(kind: str, again: bool) -> None:
    wire = DictWire(resumes=2)
    async with dict_view(kind, wire) as view:
        await view.write("key", DATA)

        async def hook(verb: str, name: str, act: Act) -> Any:
            body = act()
            if verb != "get" or body.ranged:
                return body
            wrong = b"?" + DATA[1:]
            return body._replace(stream=Breaking(wrong, after=1000, error=BREAKS[1]) if again else Content(wrong))

        wire.hook = hook
        with pytest.raises(BackendUnavailable, match="not what its checksum says"):
            await view.read_bytes("key")
        assert await view.read_range("key", 5, len(DATA)) == DATA[5:]


async def test_a_body_that_never_comes_ends_with_the_deadline(kind: str, wire: DictWire) -> None:
    class Silent(Content):
        async def read(self, size: int) -> bytes:
            await asyncio.Event().wait()
            return b""

    async def hook(verb: str, name: str, act: Act) -> Any:
        return act() if verb != "get" else act()._replace(stream=Silent(b""))

    async with dict_view(kind, wire, timeout=0.05) as view:
        await view.write("key", b"content")
        wire.hook = hook
        with pytest.raises(BackendUnavailable):
            await view.read_bytes("key")


@pytest.mark.parametrize("read", ["read", "read_seekable"])
async def test_after_a_read_that_failed_nothing_is_skipped(wire: DictWire, read: str) -> None:
    async with dict_view("sync", wire) as view:
        await view.write("key", DATA)
        breaking(wire, 200_000, BREAKS[1])
        with getattr(view.store, read)("key") as stream:
            with pytest.raises(BackendUnavailable):
                stream.read(300_000)
            with pytest.raises(BackendUnavailable, match="earlier read"):
                stream.read(10)
            stream.seek(100_000)
            assert stream.read() == DATA[100_000:]


async def test_reading_goes_on_where_it_broke_off(asynchronous: View, wire: DictWire) -> None:
    view = asynchronous
    await view.write("key", DATA)
    breaking(wire, 200_000, BREAKS[1])
    async with await view.read_seekable("key") as stream:
        with pytest.raises(BackendUnavailable):
            await stream.read()
        assert stream.tell() == 0
        head = await stream.read(1000)
        assert (await stream.seek(0, 1), head) == (1000, DATA[:1000])
        assert await stream.read() == DATA[1000:]


@pytest.mark.parametrize("event", ["replaced", "deleted"])
async def test_a_file_replaced_between_two_reads_is_an_error_not_mixed_bytes(
    view: View, wire: DictWire, event: str
) -> None:
    await view.write("key", DATA)
    async with await view.read_seekable("key") as stream:
        assert await stream.read(10) == DATA[:10]
        if event == "replaced":
            wire.store("key", DATA[::-1], WriteOptions(True))
        else:
            del wire.blobs["key"]
        await stream.seek(900_000)
        with pytest.raises(PreconditionFailed, match="replaced while it was being read") as caught:
            await stream.read(10)
    assert caught.value.path == "key"


async def test_a_seek_before_the_start_fails_as_that_of_a_file_does(view: View) -> None:
    await view.write("key", b"123")
    async with await view.read_seekable("key") as stream:
        with pytest.raises(OSError, match="negative seek position"):
            await stream.seek(-4, io.SEEK_END)
        assert await stream.seek(-3, io.SEEK_END) == 0
        assert await stream.read() == b"123"


async def test_a_service_that_ignores_ranges_is_told(view: View, wire: DictWire) -> None:
    bodies = []

    async def hook(verb: str, name: str, act: Act) -> Any:
        reply = act()
        if verb == "get":
            bodies.append(reply.stream)
            return reply._replace(ranged=False)
        return reply

    await view.write("key", b"0123456789")
    wire.hook = hook
    with pytest.raises(RemoteStoreError, match="ignores ranges"):
        await view.read_range("key", 5, 8)
    assert [body.closed for body in bodies] == [True]
    assert await view.read_bytes("key") == b"0123456789"


async def test_a_range_refused_that_nobody_asked_for_is_an_error(view: View, wire: DictWire) -> None:
    async def hook(verb: str, name: str, act: Act) -> Any:
        if verb == "get":
            raise DictError(Meaning.BAD_RANGE)
        return act()

    await view.write("key", b"1234")
    wire.hook = hook
    with pytest.raises(RemoteStoreError, match="BAD_RANGE"):
        await view.read_bytes("key")
    assert await view.read_range("key", 1, 3) == b""


async def test_a_range_of_another_version_is_refused(view: View, wire: DictWire) -> None:
    first = (await view.write("key", b"1234")).etag
    assert await view.read_range("key", 2, 2, if_match=first) == b""
    await view.write("key", b"5678", overwrite=True)
    for etag, key in ((first, "key"), ("e0", "none")):
        with pytest.raises(PreconditionFailed):
            await view.read_range(key, 1, 3, if_match=etag)
    wire.exists = False
    with pytest.raises(NotFound, match="box"):
        await view.read_range("key", 1, 3, if_match=first)


# --- writing


async def test_parts_become_one_file_a_few_at_a_time(kind: str, wire: DictWire) -> None:
    running, most = 0, 0

    async def hook(verb: str, name: str, act: Act) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        return act()

    wire.hook = hook
    async with dict_view(kind, wire, part_size=PART, max_concurrency=3) as view:
        result = await view.write("key", view.stream([*parts(9), b"end"]))
    assert result.size == 9 * PART + 3
    assert wire.blobs["key"].data == b"".join(parts(9)) + b"end"
    assert most == 3
    assert verbs(wire) == ["head", "create", *["part"] * (9 if wire.last_part_completes else 10), "complete"]


async def test_a_part_in_flight_is_in_memory_once() -> None:
    class Client(DictWire):
        """Takes a view of a part, as HTTP clients do; of a file whose bytes somebody else holds, that is a copy."""

        async def part(self, upload: Any, number: int, start: int, data: io.BytesIO) -> bytes:
            await asyncio.sleep(0)
            with data.getbuffer():
                await asyncio.sleep(0)
            return b""

    async with dict_view("async", Client(), part_size=1 << 20) as view:
        pieces = view.stream(bytes(1 << 18) for _ in range(200))
        tracemalloc.start()
        try:
            await view.write("key", pieces, overwrite=True)
            assert tracemalloc.get_traced_memory()[1] < 9 << 20  # 4 in flight, one to follow, and one that fills.
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("verb", ["create", "part", "complete"])
@pytest.mark.parametrize("how", ["refused", "too slow"])
async def test_an_upload_that_fails_leaves_the_old_content_and_nothing_else(
    kind: str, wire: DictWire, verb: str, how: str
) -> None:
    async def hook(asked: str, name: str, act: Act) -> Any:
        if asked != verb:
            return act()
        if how == "refused":
            raise DictError(Meaning.OTHER, BackendUnavailable)
        return await stalled(act)

    wire.store("key", b"old", WriteOptions())
    async with dict_view(kind, wire, part_size=PART, timeout=60 if how == "refused" else 0.05) as view:

        async def upload() -> None:
            async with view.open_atomic("key", overwrite=True) as file:
                for part in parts(5):
                    await file.write(part)

        wire.hook = hook
        for write in (lambda: view.write("key", view.stream(parts(5)), overwrite=True), upload):
            with pytest.raises(BackendUnavailable) as caught:
                await write()
            assert (caught.value.path, caught.value.backend) == ("key", "dict")
    assert wire.uploads == {}
    assert wire.blobs["key"].data == b"old"


@pytest.mark.parametrize("again", [False, True], ids=["gives up", "tries again"])
async def test_a_file_whose_part_failed_is_not_published(view: View, wire: DictWire, again: bool) -> None:
    async def hook(verb: str, name: str, act: Act) -> Any:
        if verb == "create":
            raise DictError(Meaning.OTHER, BackendUnavailable)
        return act()

    async def write() -> None:
        async with view.open_atomic("key") as file:
            wire.hook = hook
            with suppress(BackendUnavailable):
                await file.write(bytes(PART + 1))
                await file.write(b"the part must go before more is taken" * 30_000)
                pytest.fail("nothing was refused")
            wire.hook = None
            if again:
                await file.write(b"end")

    with pytest.raises(BackendUnavailable, match="not published"):
        await write()
    assert wire.blobs == wire.uploads == {}


async def test_writes_side_by_side_go_one_after_the_other(asynchronous: View, wire: DictWire) -> None:
    async with asynchronous.open_atomic("key") as file:
        await asyncio.gather(*(file.write(part) for part in parts(4)))
    data = wire.blobs["key"].data
    assert {data[start : start + PART] for start in range(0, 4 * PART, PART)} == set(parts(4))
    assert wire.uploads == {}


async def test_a_creator_of_a_long_file_looks_before_it_sends(view: View, wire: DictWire) -> None:
    wire.store("key", b"theirs", WriteOptions())
    with pytest.raises(AlreadyExists):
        await view.write("key", view.stream(parts(3)))
    assert verbs(wire) == ["head"]


async def test_a_file_that_appears_during_an_upload_is_kept(view: View, wire: DictWire) -> None:
    async def hook(verb: str, name: str, act: Act) -> Any:
        if verb == "complete":
            wire.store("key", b"theirs", WriteOptions())
        return act()

    wire.hook = hook
    with pytest.raises(AlreadyExists):
        await view.write("key", view.stream(parts(3)))
    assert wire.blobs["key"].data == b"theirs"
    assert wire.uploads == {}


class Mine(Exception):
    pass


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_failing_content_passes_unchanged_and_leaves_nothing(view: View, wire: DictWire, count: int) -> None:
    error = Mine("the caller's")

    async def work() -> None:
        async with view.open_atomic("key") as file:
            for part in parts(count):
                await file.write(part)
            await file.write(b"more")
            raise error

    for write in (lambda: view.write("key", view.stream([*parts(count), b"more", error])), work):
        with pytest.raises(Mine) as caught:
            await write()
        assert caught.value is error
    assert wire.blobs == wire.uploads == {}


# --- cancellation


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(PART)


class Stall:
    """Lets the first request of a verb wait until it is let go, after or before it is carried out."""

    def __init__(self, wire: DictWire, verb: str, *, done: bool = False) -> None:
        self._verb, self._done = verb, done
        self.struck, self.free = asyncio.Event(), asyncio.Event()
        wire.hook = self

    async def __call__(self, verb: str, name: str, act: Act) -> Any:
        if verb != self._verb or self.struck.is_set():
            return act()
        reply = act() if self._done else None
        self.struck.set()
        await self.free.wait()
        return reply if self._done else act()


@pytest.mark.parametrize("cancels", [1, 2, 5])
@pytest.mark.parametrize("verb", ["part", "complete"])
async def test_cancelling_a_write_leaves_nothing(asynchronous: View, wire: DictWire, verb: str, cancels: int) -> None:
    stall = Stall(wire, verb)
    content = endless() if verb == "part" else asynchronous.stream(parts(3))
    task = asyncio.ensure_future(asynchronous.write("key", content, overwrite=True))
    await stall.struck.wait()
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wire.blobs == wire.uploads == {}
    await asynchronous.write("key", b"fine")


async def test_cancelling_a_write_while_it_begins_leaves_nothing(asynchronous: View, wire: DictWire) -> None:
    stall = Stall(wire, "create", done=True)
    task = asyncio.ensure_future(asynchronous.write("key", endless(), overwrite=True))
    await stall.struck.wait()
    assert len(wire.uploads) == 1
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    stall.free.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wire.blobs == wire.uploads == {}


async def test_a_file_with_a_cancelled_write_is_not_published(asynchronous: View, wire: DictWire) -> None:
    stall = Stall(wire, "create")

    async def write() -> None:
        async with asynchronous.open_atomic("key") as file:
            await file.write(bytes(PART))
            writing = asyncio.ensure_future(file.write(bytes(3 * PART)))
            await stall.struck.wait()
            writing.cancel()
            stall.free.set()
            with suppress(asyncio.CancelledError):
                await writing

    with pytest.raises(RemoteStoreError, match="cancelled"):
        await write()
    assert wire.blobs == wire.uploads == {}


async def test_a_deadline_of_the_caller_leaves_no_upload(asynchronous: View, wire: DictWire) -> None:
    Stall(wire, "part")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asynchronous.write("key", endless())
    assert wire.blobs == wire.uploads == {}


async def test_an_abort_that_the_service_refuses_does_not_hide_what_went_wrong(view: View, wire: DictWire) -> None:
    async def hook(verb: str, name: str, act: Act) -> Any:
        if verb in ("complete", "discard"):
            raise DictError(Meaning.OTHER, NotFound if verb == "discard" else BackendUnavailable)
        return act()

    wire.hook = hook
    with pytest.raises(BackendUnavailable):
        await view.write("key", view.stream(parts(3)), overwrite=True)
    assert verbs(wire)[-1] == "discard"
