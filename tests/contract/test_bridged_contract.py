"""Every rule of the contract through the bridges between sync and async, one way, the other, and both."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from servers.s3 import BUCKET, S3Server

from remote_store import AsyncBackendSyncAdapter, Backend, Store
from remote_store.aio import AsyncBackend, AsyncMemoryBackend, AsyncS3Backend, AsyncStore, SyncBackendAdapter
from remote_store.backends import MemoryBackend
from remote_store.certify.checks import CHECKS, Check
from remote_store.certify.checks.absent import refuses_what_it_lacks
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
placing = pytest.mark.parametrize("child", [False, True], ids=["direct", "child"])

SYNC: dict[str, Callable[[], Backend]] = {
    "to sync": lambda: AsyncBackendSyncAdapter(AsyncMemoryBackend()),
    "to async and back": lambda: AsyncBackendSyncAdapter(SyncBackendAdapter(MemoryBackend())),
}
ASYNC: dict[str, Callable[[], AsyncBackend]] = {
    "to async": lambda: SyncBackendAdapter(MemoryBackend()),
    "to sync and back": lambda: SyncBackendAdapter(AsyncBackendSyncAdapter(AsyncMemoryBackend())),
}


@every_check
@placing
@pytest.mark.parametrize("bridge", SYNC)
def test_store_keeps(bridge: str, child: bool, check: Check) -> None:
    with Store(SYNC[bridge]()) as store:
        view = View(store.child("in ner/ro*t") if child else store)
        run_to_end(check(view) if check.applies(view) else refuses_what_it_lacks(view))


@every_check
@placing
@pytest.mark.parametrize("bridge", ASYNC)
async def test_async_store_keeps(bridge: str, child: bool, check: Check) -> None:
    async with AsyncStore(ASYNC[bridge]()) as store:
        view = View(store.child("in ner/ro*t") if child else store)
        await (check(view) if check.applies(view) else refuses_what_it_lacks(view))


@pytest.mark.full
@every_check
def test_store_keeps_over_bridged_s3(check: Check, moto_server: S3Server) -> None:
    backend = AsyncS3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)
    with Store(AsyncBackendSyncAdapter(backend)) as store:
        view = View(store, hierarchical=False, empty_folders=False)
        run_to_end(check(view) if check.applies(view) else refuses_what_it_lacks(view))
