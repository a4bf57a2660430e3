"""Every rule of the contract over S3: moto and ministack, sync and async, direct and as a child."""

from __future__ import annotations

import pytest
from servers.s3 import BUCKET, S3Server

from remote_store import Store
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
from remote_store.certify.checks import CHECKS, Check
from remote_store.certify.checks.absent import refuses_what_it_lacks
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
placing = pytest.mark.parametrize("child", [False, pytest.param(True, marks=pytest.mark.full)], ids=["direct", "child"])


@pytest.fixture(params=["moto", pytest.param("ministack", marks=pytest.mark.full)])
def server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


def view_of(store: Store | AsyncStore, server: S3Server, child: bool) -> View:
    prefix = server.fresh_prefix()
    return View(store.child(prefix).child("in ner") if child else store, hierarchical=False, empty_folders=False)


@pytest.mark.full
@every_check
@placing
def test_store_keeps(check: Check, child: bool, server: S3Server) -> None:
    with Store(S3Backend(BUCKET, "" if child else server.fresh_prefix(), **server.options)) as store:
        view = view_of(store, server, child)
        run_to_end(check(view) if check.applies(view) else refuses_what_it_lacks(view))


@every_check
@placing
async def test_async_store_keeps(check: Check, child: bool, server: S3Server) -> None:
    async with AsyncStore(AsyncS3Backend(BUCKET, "" if child else server.fresh_prefix(), **server.options)) as store:
        view = view_of(store, server, child)
        await (check(view) if check.applies(view) else refuses_what_it_lacks(view))
