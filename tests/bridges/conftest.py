"""What the tests of the bridges share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.deadline import DEADLINE

from remote_store import AsyncBackendSyncAdapter


@pytest.fixture
def bridged() -> Iterator[Callable[..., AsyncBackendSyncAdapter]]:
    """Makes adapters that are closed at the end of the test."""
    made: list[AsyncBackendSyncAdapter] = []

    def bridge(backend: Any) -> AsyncBackendSyncAdapter:
        made.append(AsyncBackendSyncAdapter(backend))
        return made[-1]

    yield bridge
    for adapter in made:
        adapter.close(timeout=DEADLINE)
