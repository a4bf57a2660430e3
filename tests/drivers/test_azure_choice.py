"""Which kind a container of Azure storage is: found out by the first call, believed where it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from helpers.azure import azure_place, azure_view, page
from servers.azure import CONTAINER, HNS, AzureServer
from servers.azure_faults import (
    BUSY,
    CONTAINER_MISSING,
    DENIED,
    DISABLED,
    HIDDEN,
    UNAUTHENTICATED,
    first,
    instead,
    once,
    refusal,
    reset_after,
    when,
)
from servers.double_answers import CarryOut, Hook, Request

from remote_store import BackendUnavailable, InvalidPath, NotFound, PermissionDenied, RemoteStoreError
from remote_store._capabilities import Capability
from remote_store.certify.view import View


async def used(view: View) -> None:
    await view.write("key", b"1", overwrite=True)
    assert await view.read_bytes("key") == b"1"


def account(hook: Hook) -> Hook:
    return when(hook, "", "restype=account")


def root_access(hook: Hook) -> Hook:
    return when(hook, "HEAD", "action=getAccessControl")


@pytest.mark.parametrize("hns", [None, True, False])
@pytest.mark.parametrize("mode", [pytest.param("sync", marks=pytest.mark.full), "async"])
async def test_the_kind_is_found_out_once_or_believed(
    azure_server: AzureServer, container: str, hns: bool | None, mode: str
) -> None:
    async with azure_place(mode, azure_server, container, hns=hns) as place:
        backend = place.view.store._backend
        believed = container == HNS if hns is None else hns
        assert backend.capabilities.supports(Capability.ATOMIC_MOVE) is (hns is True)
        assert azure_server.requests == []
        for _ in range(3):
            await used(place.view)
        assert place.asked("restype=account") == (hns is None)
        assert backend.capabilities.supports(Capability.ATOMIC_MOVE) is believed
        assert place.asked("action=getAccessControl") == 0


@pytest.mark.parametrize("mode", [pytest.param("sync", marks=pytest.mark.full), "async"])
async def test_a_ping_settles_what_the_store_can_do(azure_server: AzureServer, container: str, mode: str) -> None:
    async with azure_place(mode, azure_server, container, hns=None) as place:
        assert not place.view.store.supports(Capability.ATOMIC_MOVE)
        await place.view.ping()
        assert place.view.store.supports(Capability.ATOMIC_MOVE) is (container == HNS)


async def test_first_calls_that_come_together_ask_once(azure_server: AzureServer, container: str) -> None:
    async with azure_place("async", azure_server, container, hns=None) as place:
        assert await asyncio.gather(*(place.view.exists(f"{n}") for n in range(32))) == [False] * 32
        assert place.asked("restype=account") == 1


async def test_the_first_call_stores_nothing_under_a_hidden_name(azure_server: AzureServer) -> None:
    hidden = "run/.~rs-data"
    for verb, arguments in (("write", (hidden, b"1")), ("copy", ("key", hidden)), ("exists", (hidden,))):
        async with azure_place("async", azure_server, HNS, hns=None) as place:
            with pytest.raises(InvalidPath, match="reserved"):
                await getattr(place.view, verb)(*arguments)


@pytest.mark.parametrize("answer", [DENIED, HIDDEN, page(404), UNAUTHENTICATED, refusal("AuthenticationFailed")])
async def test_who_may_not_ask_about_the_account_asks_its_root(
    azure_server: AzureServer, container: str, answer: Any
) -> None:
    async with azure_place("async", azure_server, container, hns=None) as place:
        with azure_server.hooked(account(instead(answer))):
            for _ in range(2):
                await used(place.view)
        assert place.asked("restype=account") == place.asked("action=getAccessControl") == 1
        supports = place.view.store._backend.capabilities.supports(Capability.ATOMIC_MOVE)
        assert supports is (container == HNS)


async def test_who_may_ask_neither_is_told_once(azure_server: AzureServer, caplog: pytest.LogCaptureFixture) -> None:
    def hook(request: Request, carry_out: CarryOut) -> Any:
        return account(instead(DENIED))(request, carry_out) or root_access(instead(DENIED))(request, carry_out)

    async with azure_place("async", azure_server, hns=None) as place:
        with azure_server.hooked(hook):
            await used(place.view)
            await used(place.view)
    assert [record.message for record in caplog.records if "hns=" in record.message] == [
        "Azure does not tell whether the account has a hierarchical namespace; pass hns="
    ]


UNDECIDED: dict[str, Callable[[], Hook]] = {
    "busy": lambda: account(first(4, instead(BUSY))),
    "disabled": lambda: account(once(instead(DISABLED))),
    "a page": lambda: account(once(instead(page(200)))),
    "lost": lambda: account(first(4, reset_after)),
    "no container": lambda: first(40, instead(CONTAINER_MISSING)),
}


@pytest.mark.parametrize("name", UNDECIDED)
async def test_what_is_undecided_is_asked_again(azure_server: AzureServer, brief: None, name: str) -> None:
    async with azure_place("async", azure_server, HNS, hns=None) as place:
        with azure_server.hooked(UNDECIDED[name]()), pytest.raises((BackendUnavailable, PermissionDenied, NotFound)):
            await place.view.write("key", b"1")
        await used(place.view)
        assert place.view.store._backend.capabilities.supports(Capability.ATOMIC_MOVE)


async def test_a_page_at_the_root_decides_nothing(azure_server: AzureServer) -> None:
    def hook(request: Request, carry_out: CarryOut) -> Any:
        return account(instead(DENIED))(request, carry_out) or root_access(instead(page(200)))(request, carry_out)

    async with azure_place("async", azure_server, CONTAINER, hns=None) as place:
        with azure_server.hooked(hook), pytest.raises(BackendUnavailable):
            await place.view.write("key", b"1")
        await used(place.view)
        assert not place.view.store._backend.capabilities.supports(Capability.ATOMIC_MOVE)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_after_close_there_is_nothing(azure_server: AzureServer, container: str, mode: str) -> None:
    async with azure_view(mode, azure_server, "p", container, hns=None) as view:
        await used(view)
        await view.aclose() if view.is_async else view.store.close()
        with pytest.raises((BackendUnavailable, ValueError, RemoteStoreError), match="closed"):
            await view.read_bytes("key")


@pytest.mark.parametrize("hns", [None, True])
async def test_a_stream_of_a_store_that_is_closed_says_so(azure_server: AzureServer, hns: bool | None) -> None:
    """Whichever of the drivers opened it."""
    async with azure_place("async", azure_server, HNS, hns=hns) as place:
        place.put("key", bytes(16 << 20))
        stream = place.view.store.read("key")
        assert await anext(stream)
        await place.view.store.aclose()
        with pytest.raises(BackendUnavailable, match="closed for good"):
            assert [chunk async for chunk in stream] == []
