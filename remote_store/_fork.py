"""What must be made anew in a forked child, and what must be left alone there."""

from __future__ import annotations

import os
import sys
import weakref
from typing import Any, Protocol


class _ForkAware(Protocol):
    def after_fork(self) -> None: ...


_live: weakref.WeakSet[_ForkAware] = weakref.WeakSet()
_abandoned: list[object] = []


def watch(obj: _ForkAware) -> None:
    """Call `obj.after_fork()` in every child forked while `obj` lives."""
    _live.add(obj)


def abandon(obj: object) -> None:
    """Keep what a forked child has no use for as it is.

    Its finalizers would close connections that the parent uses, and take them off the selector that both share.
    """
    _abandoned.append(obj)
    registry: Any = weakref.finalize._registry  # type: ignore[attr-defined]  # There is no public way.
    for finalizer in list(registry):
        if (alive := finalizer.peek()) and alive[0] is obj:
            finalizer.detach()


def _in_child() -> None:
    asyn: Any = sys.modules.get("fsspec.asyn")
    if asyn is not None:  # Not all versions forget the parent's loop by themselves, nor a lock that was held.
        asyn.reset_lock()
    for obj in list(_live):
        obj.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
