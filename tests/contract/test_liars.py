"""A check fails where its rule is broken."""

from __future__ import annotations

import pytest
from helpers.liars import LIARS_OF_RULES, Liar

from remote_store import Store
from remote_store.certify.checks import CHECKS, RuleBroken
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

BY_NAME = {check.name: check for check in CHECKS}


@pytest.mark.parametrize(("liar", "rule"), LIARS_OF_RULES)
def test_a_broken_rule_is_noticed(liar: type[Liar], rule: str) -> None:
    view = View(Store(liar()), workers=4)
    with pytest.raises(RuleBroken):
        run_to_end(BY_NAME[rule](view))
