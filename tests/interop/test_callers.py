"""The functions of other packages that `interop` recognizes when they close a file: each is still there."""

from __future__ import annotations

import importlib
from operator import attrgetter

import pytest

from remote_store.interop._callers import CLOSING


@pytest.mark.parametrize(("module", "name"), sorted(CLOSING))
def test_a_function_that_closes_files_has_its_name(module: str, name: str) -> None:
    function = attrgetter(name)(importlib.import_module(module))
    assert function.__code__.co_qualname == name
    assert function.__globals__["__name__"] == module
