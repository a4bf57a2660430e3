"""Kinds of storage that other packages add, as far as this process can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from unittest import mock

from remote_store.drivers import kinds


@contextmanager
def entry_points(**added: str) -> Iterator[None]:
    """Let packages add these entry points: name → `"module:attribute"`."""
    entries = [EntryPoint(name, value, kinds.GROUP) for name, value in added.items()]
    with mock.patch("importlib.metadata.entry_points", lambda group: [one for one in entries if one.group == group]):
        kinds._added.cache_clear()
        try:
            yield
        finally:
            kinds._added.cache_clear()
