"""Google Cloud Storage over a network that fails: tried again in time, told by type, and nothing half done."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.gcs import PART, Place, gcs_place, on_part, pieces, unreachable
from helpers.works import every
from servers.gcs import GcsServer
from servers.gcs_answers import CarryOut, Hook, Request
from servers.gcs_faults import (
    BAD_GATEWAY,
    BROKEN,
    GATEWAY_TIMEOUT,
    RATE_LIMITED,
    TIMEOUT,
    UNAVAILABLE,
    done_then,
    first,
    half_body,
    hang,
    instead,
    once,
    reset_after,
    reset_before,
    throttled,
    when,
)
from servers.proxy import Fault, proxy_to

from remote_store import BackendUnavailable, PreconditionFailed

CONTENT = bytes(range(256)) * 40
SHORT, LONG = 0.3, 60.0
"""Deadlines of calls: to a service that does not answer, and to one that works [s]."""
IN_TIME = 50.0
"""In what time a call has failed and cleaned up [s]."""


@dataclass(frozen=True)
class Verb:
    """A call of which one request fails.

    Args:
        work: the call.
        on: gives a hook that request.
        after: what is stored once it succeeded, beside what it leaves alone.
        result: what it gives.
    """

    work: Callable[[Place], Coroutine[Any, Any, Any]]
    on: Callable[[Hook], Hook]
    after: dict[str, bytes]
    result: Any = None


def written(result: Any) -> int:
    return int(result.size)


KEPT = {"key": CONTENT, "folder/a": b"a", "folder/b": b"b"}
UPLOADED = {**KEPT, "new": b"".join(pieces(2))}


async def long_write(place: Place) -> Any:
    return (await place.view.write("new", place.view.stream(pieces(2)))).size


async def short_write(place: Place) -> Any:
    return (await place.view.write("new", b"mine", metadata={"who": "me"})).size


async def keys(place: Place) -> list[str]:
    return sorted([str(entry.path) async for entry in place.view.list_files("", recursive=True)])


async def told(place: Place) -> Any:
    return (await place.view.get_file_info("key")).size


FOLDER = {"folder/a": b"a", "folder/b": b"b"}


def media(hook: Hook) -> Hook:
    return when(hook, "GET", "alt=media")


VERBS = {
    "read": Verb(lambda at: at.view.read_bytes("key"), media, KEPT, CONTENT),
    "a range": Verb(lambda at: at.view.read_range("key", 5, 9000), media, KEPT, CONTENT[5:9000]),
    "info": Verb(told, lambda hook: when(hook, "GET", "metadata"), KEPT, len(CONTENT)),
    "list": Verb(keys, lambda hook: when(hook, "GET", "prefix="), KEPT, sorted(KEPT)),
    "write": Verb(short_write, lambda hook: when(hook, "POST", "multipart"), {**KEPT, "new": b"mine"}, 4),
    "part": Verb(long_write, lambda hook: on_part(hook, last=False), UPLOADED, 2 * PART + 1),
    "last part": Verb(long_write, lambda hook: on_part(hook, last=True), UPLOADED, 2 * PART + 1),
    "begin": Verb(long_write, lambda hook: when(hook, "POST", "resumable"), UPLOADED, 2 * PART + 1),
    "delete": Verb(lambda at: at.view.delete("key"), lambda hook: when(hook, "DELETE"), FOLDER),
    "folder": Verb(
        lambda at: at.view.delete_folder("folder", recursive=True),
        lambda hook: when(hook, "DELETE"),
        {"key": CONTENT},
    ),
    "copy": Verb(
        lambda at: at.view.copy("key", "new"), lambda hook: when(hook, "POST", "rewriteTo"), {**KEPT, "new": CONTENT}
    ),
    "move": Verb(
        lambda at: at.view.move("key", "new"),
        lambda hook: when(hook, "POST", "moveTo"),
        {**FOLDER, "new": CONTENT},
    ),
}
FAULTS: dict[str, Hook] = {
    "reset before": reset_before,
    "reset after": reset_after,
    "half an answer": half_body,
    "408": instead(TIMEOUT),
    "429": instead(throttled()),
    "429 at once": instead(throttled(0)),
    "500": instead(BROKEN),
    "502, a page": instead(BAD_GATEWAY),
    "503": instead(UNAVAILABLE),
    "504": instead(GATEWAY_TIMEOUT),
    "done, then 503": done_then(UNAVAILABLE),
    "done, then 500": done_then(BROKEN),
}


@pytest.fixture
def filled(gcs: Place) -> Place:
    for key, content in KEPT.items():
        gcs.put(key, content)
    return gcs


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", VERBS)
async def test_one_fault_is_mended_and_nobody_notices(filled: Place, verb: str, fault: str) -> None:
    call, struck = VERBS[verb], []

    def hook(request: Request, carry_out: CarryOut) -> Any:
        struck.append(request.method)
        return FAULTS[fault](request, carry_out)

    with filled.server.hooked(call.on(once(hook))):
        assert await call.work(filled) == call.result
    assert struck
    if verb == "begin" and fault in ("reset after", "done, then 503", "done, then 500"):
        forget_uploads(filled)  # Nobody knows the address of the first one.
    assert filled.contents() == call.after
    await filled.works()


def forget_uploads(place: Place) -> None:
    service = place.server.service
    assert service
    lost = [one for one, session in service.sessions.items() if not session.answer]
    assert len(lost) == 1
    del service.sessions[lost[0]]


@pytest.mark.parametrize("fault", [reset_before, instead(UNAVAILABLE)], ids=["reset", "503"])
@pytest.mark.parametrize("verb", VERBS)
async def test_a_fault_that_stays_is_an_error_after_a_few_tries(filled: Place, verb: str, fault: Hook) -> None:
    call, tries = VERBS[verb], []

    def hook(request: Request, carry_out: CarryOut) -> Any:
        tries.append(request.headers.get("Content-Range") or request.path)
        return fault(request, carry_out)

    with filled.server.hooked(call.on(hook)), pytest.raises(BackendUnavailable) as caught:
        await call.work(filled)
    unreachable(caught.value, ("key", "new", ".", "", "folder", "folder/a", "folder/b"))
    assert max(tries.count(one) for one in tries) == 4
    assert (task := asyncio.current_task())
    assert task.cancelling() == 0
    assert filled.contents() == KEPT
    await filled.works()


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_a_request_is_tried_as_often_as_it_may_be(
    gcs_server: GcsServer, retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_store.drivers.objects.tries.FIRST_WAIT", 0.002)
    async with gcs_place("async", gcs_server, retries=retries) as place:
        place.put("key", CONTENT)
        with gcs_server.hooked(instead(UNAVAILABLE)):
            view = place.view
            for work in (lambda: view.read_bytes("key"), lambda: view.write("n", b"1"), lambda: view.exists("key")):
                gcs_server.requests.clear()
                with pytest.raises(BackendUnavailable, match="it answered backendError"):
                    await work()
                assert len(gcs_server.requests) == 1 + retries
        with gcs_server.hooked(when(half_body, "GET", "alt=media")):
            gcs_server.requests.clear()
            with pytest.raises(BackendUnavailable):
                await place.view.read_bytes("key")
            assert len(gcs_server.requests) == 1 + retries
        await place.works()


# --- bodies that break off


async def test_reading_goes_on_where_a_body_broke_off(filled: Place) -> None:
    """By its generation, from there on: what others write meanwhile is never mixed in."""
    with filled.server.hooked(when(first(3, half_body), "GET", "alt=media")):
        assert b"".join(await every(filled.view.read("key"))) == CONTENT
    assert filled.asked("alt=media") == 4
    generation = str(filled.server.bucket().live[filled.name("key")].generation)
    assert filled.asked("alt=media", f"ifGenerationMatch={generation}") == 3


async def test_a_file_that_is_replaced_while_its_body_breaks_off_is_an_error(filled: Place) -> None:
    def hook(request: Request, carry_out: CarryOut) -> Any:
        answer = half_body(request, carry_out)
        filled.put("key", b"other" * 2048)
        return answer

    replaced = pytest.raises(PreconditionFailed, match="replaced while it was being read")
    with filled.server.hooked(when(once(hook), "GET", "alt=media")), replaced:
        await every(filled.view.read("key"))
    await filled.works()


async def taken(stream: AsyncIterator[bytes], into: bytearray) -> None:
    async for chunk in stream:
        into += chunk


async def test_a_short_file_is_never_the_outcome(filled: Place) -> None:
    got = bytearray()
    with filled.server.hooked(when(half_body, "GET", "alt=media")), pytest.raises(BackendUnavailable) as caught:
        await taken(filled.view.read("key"), got)
    unreachable(caught.value)
    assert CONTENT.startswith(got)
    assert filled.asked("alt=media") == 4
    await filled.works()


# --- silence


@contextmanager
def silence(place: Place, on: Callable[[Hook], Hook]) -> Iterator[None]:
    """Requests are neither carried out nor answered."""
    released = threading.Event()

    def hook(request: Request, carry_out: CarryOut) -> Any:
        hang(released)(request, lambda: UNAVAILABLE)
        raise ConnectionResetError

    driver = place.view.store._backend._driver
    timed = driver, driver.wire.session, driver.wire.where
    try:
        for one in timed:
            one.timeout = SHORT
        with place.server.hooked(on(hook)):
            yield
    finally:
        released.set()
        for one in timed:
            one.timeout = LONG


@pytest.mark.parametrize("verb", [name for name in VERBS if name not in ("a range", "last part", "folder")])
async def test_a_service_that_is_silent_is_told_in_time(filled: Place, verb: str) -> None:
    call = VERBS[verb]
    await filled.view.ping()
    with silence(filled, call.on):
        begun = time.monotonic()
        with pytest.raises(BackendUnavailable, match=r"did not answer within 0.3 s") as caught:
            await call.work(filled)
        assert time.monotonic() - begun < IN_TIME
        unreachable(caught.value, ("key", "new", ".", ""))
        assert filled.contents() == KEPT
    await filled.works()


@pytest.mark.full
async def test_a_body_that_stops_is_told_in_time(gcs_server: GcsServer) -> None:
    data = bytes(4 << 20)
    with proxy_to(gcs_server.endpoint) as proxy:
        async with gcs_place("async", gcs_server, endpoint_url=proxy.endpoint) as place:
            place.put("key", data)
            proxy.arm(Fault("stall", "response", after=1 << 20, times=1))
            place.view.store._backend._driver.timeout = 2
            got = bytearray()
            with pytest.raises(BackendUnavailable, match="did not answer within") as caught:
                await taken(place.view.read("key"), got)
            unreachable(caught.value)
            assert 0 < len(got) < len(data)
            proxy.heal()
            await place.works()


# --- being asked to wait


async def test_a_service_that_says_how_long_to_wait_is_listened_to(filled: Place) -> None:
    with filled.server.hooked(once(instead(throttled(1)))):
        begun = time.monotonic()
        assert await filled.view.read_bytes("key") == CONTENT
        assert time.monotonic() - begun >= 1


@pytest.mark.parametrize("seconds", ["3600", "9" * 400, "Fri, 27 Nov 2026 21:00:00 GMT", "-1", "²"])
async def test_a_wait_beyond_the_deadline_is_not_waited_for(filled: Place, seconds: str) -> None:
    throttling = throttled()
    answer = throttling._replace(headers={**throttling.headers, "Retry-After": seconds})
    with filled.server.hooked(instead(answer)):
        begun = time.monotonic()
        with pytest.raises(BackendUnavailable, match=r"fewer requests \(rateLimitExceeded\)") as caught:
            await filled.view.read_bytes("key")
        assert time.monotonic() - begun < IN_TIME
    unreachable(caught.value)
    assert len(filled.server.requests) == (1 if seconds.isdecimal() else 4)


async def test_a_rate_that_is_limited_by_403_is_no_matter_of_rights(filled: Place) -> None:
    with filled.server.hooked(instead(RATE_LIMITED)), pytest.raises(BackendUnavailable, match="fewer requests"):
        await filled.view.read_bytes("key")
