"""Every rule of the contract, over every kind of store, sync and async; two kinds as a child store, too."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.kinds import ASYNC_KINDS, KINDS, Kind

from remote_store.certify.checks import CHECKS, Check
from remote_store.certify.checks.absent import refuses_what_it_lacks
from remote_store.engine.runners import run_to_end

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)


def kinds(known: list[Kind[Any]]) -> pytest.MarkDecorator:
    """Run over these; most of them are left to full runs or to soaks."""

    def marks(kind: Kind[Any]) -> list[pytest.MarkDecorator]:
        return [pytest.mark.soak] if kind.soak else [] if kind.often else [pytest.mark.full]

    each = [pytest.param(kind, marks=marks(kind), id=kind.name) for kind in known]
    return pytest.mark.parametrize("kind", each)


@every_check
@kinds(KINDS)
def test_store_keeps(kind: Kind[Any], check: Check, request: pytest.FixtureRequest) -> None:
    with kind.make(request.getfixturevalue(kind.needs)) as store:
        view = kind.view(store)
        with kind.breaking(check):
            run_to_end(check(view) if check.applies(view) else refuses_what_it_lacks(view))


@every_check
@kinds(ASYNC_KINDS)
async def test_async_store_keeps(kind: Kind[Any], check: Check, request: pytest.FixtureRequest) -> None:
    async with kind.make(request.getfixturevalue(kind.needs)) as store:
        view = kind.view(store)
        with kind.breaking(check):
            await (check(view) if check.applies(view) else refuses_what_it_lacks(view))


def test_rules_are_named_and_stated() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS) > 60
    assert all(check.text.endswith(".") and check.rule for check in CHECKS)
