"""Every rule of the contract, over every kind of store, sync and async, direct and as a child."""

from __future__ import annotations

import pytest
from helpers.kinds import ASYNC_KINDS, KINDS, Kind
from servers.ftp import ftp_kind

from remote_store.certify.checks import CHECKS, Check
from remote_store.certify.checks.absent import refuses_what_it_lacks
from remote_store.engine.runners import run_to_end

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
placing = pytest.mark.parametrize("child", [False, pytest.param(True, marks=pytest.mark.full)], ids=["direct", "child"])
OFTEN = {"local", "memory", "generic"}


def kinds(known: list[Kind]) -> pytest.MarkDecorator:
    """Run over these, over all but a few of them in a full run only."""
    often = [pytest.param(kind, marks=[] if kind.name in OFTEN else pytest.mark.full, id=kind.name) for kind in known]
    return pytest.mark.parametrize("kind", often)


@every_check
@placing
@kinds(KINDS)
def test_store_keeps(kind: Kind, child: bool, check: Check) -> None:
    with kind.view(child=child) as view:
        if check.applies(view):
            run_to_end(check(view))
        else:
            run_to_end(refuses_what_it_lacks(view))


@every_check
@placing
@kinds(ASYNC_KINDS)
async def test_async_store_keeps(kind: Kind, child: bool, check: Check) -> None:
    with kind.view(child=child) as view:
        if check.applies(view):
            await check(view)
        else:
            await refuses_what_it_lacks(view)


@pytest.mark.full
@every_check
def test_generic_driver_keeps_over_ftp(check: Check, ftp_server: tuple[str, int]) -> None:
    with ftp_kind(*ftp_server).view() as view:
        run_to_end(check(view) if check.applies(view) else refuses_what_it_lacks(view))


def test_rules_are_named_and_stated() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS) > 60
    assert all(check.text.endswith(".") and check.rule for check in CHECKS)
