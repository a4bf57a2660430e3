"""Azure storage over a network that fails: tried again in time, told by type, and nothing half done."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.azure import Place, azure_place, copying, every, page, pieces, renaming, unreachable
from servers.azure import CONTAINER, HNS, AzureServer
from servers.azure_faults import (
    BROKEN,
    BUSY,
    TIMED_OUT,
    done_then,
    first,
    half_body,
    hang,
    instead,
    once,
    refusal,
    reset_after,
    reset_before,
    when,
)
from servers.double_answers import CarryOut, Hook, Request
from servers.proxy import Fault, proxy_to

from remote_store import BackendUnavailable, PreconditionFailed

CONTENT = bytes(range(256)) * 4
SHORT = 0.3
"""Deadline of calls to a service that does not answer [s]."""
IN_TIME = 50.0
"""In what time a call has failed and cleaned up [s]."""
THROTTLED = refusal("ServerBusy", status=429)


@dataclass(frozen=True)
class Verb:
    """A call of which one request fails.

    Args:
        work: the call.
        on: gives a hook that request.
        after: what is stored once it succeeded, beside what it leaves alone.
        result: what it gives.
        only: the container that has this request; "" for both.
    """

    work: Callable[[Place], Coroutine[Any, Any, Any]]
    on: Callable[[Hook], Hook]
    after: dict[str, bytes]
    result: Any = None
    only: str = ""


FOLDER = {"folder/a": b"a", "folder/b": b"b"}
KEPT = {"key": CONTENT, **FOLDER}
UPLOADED = {**KEPT, "new": b"".join(pieces(2))}
SIZE = len(UPLOADED["new"])


async def long_write(place: Place) -> Any:
    return (await place.view.write("new", place.view.stream(pieces(2)))).size


async def short_write(place: Place) -> Any:
    return (await place.view.write("new", b"mine", metadata={"who": "me"})).size


async def keys(place: Place) -> list[str]:
    return sorted([str(entry.path) async for entry in place.view.list_files("", recursive=True)])


async def told(place: Place) -> Any:
    return (await place.view.get_file_info("key")).size


def part(method: str, text: str) -> Callable[[Hook], Hook]:
    return lambda hook: when(hook, method, text)


def plain(method: str) -> Callable[[Hook], Hook]:
    """A request for a blob itself."""
    return lambda hook: (
        lambda request, carry_out: hook(request, carry_out) if request.method == method and not request.query else None
    )


VERBS = {
    "read": Verb(lambda at: at.view.read_bytes("key"), plain("GET"), KEPT, CONTENT),
    "a range": Verb(lambda at: at.view.read_range("key", 5, 900), plain("GET"), KEPT, CONTENT[5:900]),
    "info": Verb(told, plain("HEAD"), KEPT, len(CONTENT)),
    "list": Verb(keys, part("GET", "comp=list"), KEPT, sorted(KEPT), CONTAINER),
    "list paths": Verb(keys, part("GET", "resource=filesystem"), KEPT, sorted(KEPT), HNS),
    "write": Verb(short_write, plain("PUT"), {**KEPT, "new": b"mine"}, 4),
    "part": Verb(long_write, part("PUT", "comp=block&"), UPLOADED, SIZE),
    "commit": Verb(long_write, part("PUT", "comp=blocklist"), UPLOADED, SIZE),
    "publish": Verb(long_write, renaming, UPLOADED, SIZE, HNS),
    "delete": Verb(lambda at: at.view.delete("key"), part("DELETE", ""), FOLDER),
    "folder": Verb(
        lambda at: at.view.delete_folder("folder", recursive=True), part("POST", "batch"), {"key": CONTENT}, None,
        CONTAINER,
    ),
    "folder at once": Verb(
        lambda at: at.view.delete_folder("folder", recursive=True), part("DELETE", ""), {"key": CONTENT}, None, HNS
    ),
    "copy": Verb(lambda at: at.view.copy("key", "new"), copying, {**KEPT, "new": CONTENT}),
    "move": Verb(lambda at: at.view.move("key", "new"), copying, {**FOLDER, "new": CONTENT}, None, CONTAINER),
    "moved away": Verb(
        lambda at: at.view.move("key", "new"), part("DELETE", ""), {**FOLDER, "new": CONTENT}, None, CONTAINER
    ),
    "rename": Verb(lambda at: at.view.move("key", "new"), renaming, {**FOLDER, "new": CONTENT}, None, HNS),
}  # fmt: skip
FAULTS: dict[str, Hook] = {
    "reset before": reset_before,
    "reset after": reset_after,
    "half an answer": half_body,
    "408": instead(page(408)),
    "429": instead(THROTTLED),
    "500": instead(BROKEN),
    "500, timed out": instead(TIMED_OUT),
    "502, a page": instead(page(502)),
    "503": instead(BUSY),
    "504, a page": instead(page(504)),
    "done, then 503": done_then(BUSY),
    "done, then 500": done_then(BROKEN),
}


@pytest.fixture
def filled(az: Place) -> Place:
    for key, content in KEPT.items():
        az.put(key, content)
    return az


CASES = [(c, verb) for verb, call in VERBS.items() for c in (CONTAINER, HNS) if call.only in ("", c)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("container", "verb"), CASES)
async def test_one_fault_is_mended_and_nobody_notices(filled: Place, verb: str, fault: str) -> None:
    call, struck = VERBS[verb], []

    def hook(request: Request, carry_out: CarryOut) -> Any:
        struck.append(request.method)
        return FAULTS[fault](request, carry_out)

    with filled.server.hooked(call.on(once(hook))):
        assert await call.work(filled) == call.result
    assert struck
    assert filled.contents() == call.after
    await filled.works()


@pytest.mark.parametrize("fault", [reset_before, instead(BUSY)], ids=["reset", "503"])
@pytest.mark.parametrize(("container", "verb"), CASES)
async def test_a_fault_that_stays_is_an_error_after_a_few_tries(filled: Place, verb: str, fault: Hook) -> None:
    call, tries = VERBS[verb], []

    def hook(request: Request, carry_out: CarryOut) -> Any:
        tries.append(request.path + str(request.query.get("blockid")))
        return fault(request, carry_out)

    with filled.server.hooked(call.on(hook)), pytest.raises(BackendUnavailable) as caught:
        await call.work(filled)
    unreachable(caught.value, ("key", "new", ".", "", "folder", "folder/a", "folder/b"))
    assert max(tries.count(one) for one in tries) == 4
    kept = filled.contents()
    assert kept.pop("new", CONTENT) == CONTENT  # A copy whose source could not be deleted.
    assert kept == KEPT
    assert sorted(await keys(filled)) == sorted(filled.contents())
    await filled.works()


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_a_request_is_tried_as_often_as_it_may_be(
    azure_server: AzureServer, container: str, brief: None, retries: int
) -> None:
    async with azure_place("async", azure_server, container, retries=retries) as place:
        place.put("key", CONTENT)
        with azure_server.hooked(instead(BUSY)):
            view = place.view
            for work in (lambda: view.read_bytes("key"), lambda: view.write("n", b"1"), lambda: view.exists("key")):
                azure_server.requests.clear()
                with pytest.raises(BackendUnavailable, match=r"slower|fewer|ServerBusy"):
                    await work()
                assert len(azure_server.requests) == 1 + retries
        await place.works()


# --- bodies that break off


async def test_reading_goes_on_where_a_body_broke_off(filled: Place) -> None:
    """By its etag, from there on: what others write meanwhile is never mixed in."""
    asked: list[tuple[str | None, str | None]] = []

    def hook(request: Request, carry_out: CarryOut) -> Any:
        asked.append((request.headers.get("x-ms-range", request.headers.get("Range")), request.headers.get("If-Match")))
        return half_body(request, carry_out) if len(asked) < 4 else None

    with filled.server.hooked(plain("GET")(hook)):
        assert b"".join(await every(filled.view.read("key"))) == CONTENT
    etag = f'"{filled.item("key").etag}"'
    assert asked[0] == (None, None)
    assert [pinned for _, pinned in asked[1:]] == [etag] * 3
    starts = [int((span or "bytes=0-")[len("bytes=") : -1]) for span, _ in asked]
    assert starts == sorted(starts)  # A reset may take with it what was not read yet.


async def test_a_file_that_is_replaced_while_its_body_breaks_off_is_an_error(filled: Place) -> None:
    def hook(request: Request, carry_out: CarryOut) -> Any:
        answer = half_body(request, carry_out)
        filled.put("key", b"other" * 2048)
        return answer

    replaced = pytest.raises(PreconditionFailed, match="replaced while it was being read")
    with filled.server.hooked(plain("GET")(once(hook))), replaced:
        await every(filled.view.read("key"))
    await filled.works()


async def taken(stream: AsyncIterator[bytes], into: bytearray) -> None:
    async for chunk in stream:
        into += chunk


async def test_a_short_file_is_never_the_outcome(filled: Place) -> None:
    got = bytearray()
    with filled.server.hooked(plain("GET")(half_body)), pytest.raises(BackendUnavailable) as caught:
        await taken(filled.view.read("key"), got)
    unreachable(caught.value)
    assert CONTENT.startswith(got)
    await filled.works()


# --- silence


@pytest.mark.parametrize(("container", "verb"), [case for case in CASES if case[1] not in ("a range", "moved away")])
async def test_a_service_that_is_silent_is_told_in_time(filled: Place, verb: str) -> None:
    call, released = VERBS[verb], threading.Event()

    def hook(request: Request, carry_out: CarryOut) -> Any:
        hang(released)(request, lambda: BUSY)
        raise ConnectionResetError

    await filled.view.ping()
    driver = filled.view.store._backend._driver
    timed = driver, driver.wire.clients, driver.wire.where
    before = driver.timeout
    try:
        for one in timed:
            one.timeout = SHORT
        with filled.server.hooked(call.on(hook)):
            begun = time.monotonic()
            with pytest.raises(BackendUnavailable, match=r"did not answer within 0.3 s") as caught:
                await call.work(filled)
            assert time.monotonic() - begun < IN_TIME
            released.set()
    finally:
        released.set()
        for one in timed:
            one.timeout = before
    unreachable(caught.value, ("key", "new", ".", "", "folder"))
    assert filled.contents() == KEPT
    await filled.works()


async def test_a_body_that_stops_is_told_in_time(azure_server: AzureServer, container: str) -> None:
    data = bytes(4 << 20)
    with proxy_to(azure_server.endpoint) as proxy:
        there = azure_server.connection_string.replace(azure_server.endpoint.rpartition("/")[0], proxy.endpoint)
        async with azure_place("async", azure_server, container, connection_string=there) as place:
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


@pytest.mark.parametrize("seconds", ["3600", "9" * 400, "Fri, 27 Nov 2026 21:00:00 GMT", "-1", "²"])
async def test_a_wait_beyond_the_deadline_is_not_waited_for(filled: Place, seconds: str) -> None:
    answer = BUSY._replace(headers={**BUSY.headers, "Retry-After": seconds})
    with filled.server.hooked(first(4, instead(answer))):
        begun = time.monotonic()
        with pytest.raises(BackendUnavailable, match="ServerBusy") as caught:
            await filled.view.read_bytes("key")
        assert time.monotonic() - begun < IN_TIME
    unreachable(caught.value)
    assert len(filled.server.requests) == (1 if seconds.isdecimal() else 4)
