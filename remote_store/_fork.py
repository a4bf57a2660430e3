"""What must be made anew in a forked child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class _ForkAware(Protocol):
    def after_fork(self) -> None: ...


_live: weakref.WeakSet[_ForkAware] = weakref.WeakSet()


def watch(obj: _ForkAware) -> None:
    """Call `obj.after_fork()` in every child forked while `obj` lives."""
    _live.add(obj)


def _in_child() -> None:
    for obj in list(_live):
        obj.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
