"""Which driver speaks to which fsspec filesystem."""

from __future__ import annotations

from typing import Any

from remote_store.drivers.base import Driver
from remote_store.drivers.kinds import KINDS, by_protocol, load
from remote_store.drivers.names import protocols_of


def driver_for(fs: Any, root: str, name: str | None = None) -> Driver:
    """The driver of an fsspec filesystem: that of its kind, or the generic one.

    Args:
        fs: the filesystem.
        root: folder of it that is the root, as the filesystem spells it.
        name: of the backend; unless given, that of its kind, else the protocol its class names first.

    Raises:
        ImportError: the package that brings its driver does not fit this version.
    """
    # Exactly this class: a subclass, or a wrapper of the same protocol, may do things differently.
    cls = f"{type(fs).__module__}:{type(fs).__qualname__}"
    kind = next((row for row in KINDS if row.filesystem == cls), None)
    if kind is None:
        rows = [by_protocol(protocol) for protocol in protocols_of(fs)]
        kind = next((row for row in rows if row.over and row.filesystem in ("", cls)), rows[0])
    name = name or kind.name
    if kind.over and kind.filesystem in ("", cls):
        driver: Driver | None = load(kind.over)(fs, root, name)
        if driver is not None:
            return driver
    from remote_store.drivers.generic.driver import GenericDriver

    return GenericDriver(fs, root, name)
