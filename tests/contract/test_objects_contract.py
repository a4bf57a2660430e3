"""Every rule of the contract over the floor of all object stores, without a server."""

from __future__ import annotations

import pytest
from helpers.dictwire import DictWire, dict_view

from remote_store.certify.checks import CHECKS, Check
from remote_store.certify.checks.absent import refuses_what_it_lacks


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("child", [False, True], ids=["direct", "child"])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_object_driver_keeps(kind: str, child: bool, check: Check) -> None:
    async with dict_view(kind, root="in ner/ro*t", part_size=1 << 20) as view:
        view = view.child("of/it") if child else view
        await (check(view) if check.applies(view) else refuses_what_it_lacks(view))


@pytest.mark.parametrize("check", [check for check in CHECKS if "write" in check.name], ids=lambda check: check.name)
async def test_object_driver_keeps_where_the_last_part_completes_an_upload(check: Check) -> None:
    async with dict_view("async", DictWire(last_part_completes=True), part_size=1 << 10) as view:
        await (check(view) if check.applies(view) else refuses_what_it_lacks(view))
