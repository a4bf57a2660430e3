"""Which driver speaks to which fsspec filesystem, and what that is called, whatever was imported before."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from remote_store.drivers.base import Driver
from remote_store.drivers.kind import Kind, load
from remote_store.drivers.kinds import KINDS, by_protocol
from remote_store.drivers.wrappers import class_of, inside

_CACHES = "fsspec.implementations.cached"


def driver_for(fs: Any, root: str, name: str | None = None) -> Driver:
    """The driver of an fsspec filesystem, or of the one inside wrappers: that of its kind, or the generic one.

    Args:
        fs: the filesystem.
        root: folder of it that is the root, as the filesystem spells it.
        name: of the backend; unless given, that of its kind, else the protocol its class names first.

    Raises:
        ImportError: the package that brings its driver does not fit this version.
        ValueError: it caches files, or the root leads out of it.
    """
    _refuse_cache(fs)
    name = name or _kind(fs).name
    fs, root, *_ = inside(fs, root)
    kind = _kind(fs)
    if _takes(kind, fs):
        driver: Driver | None = load(kind.over)(fs, root, name)
        if driver is not None:
            return driver
    from remote_store.drivers.generic.driver import GenericDriver

    return GenericDriver(fs, root, name)


def runs_of(fs: Any) -> str:
    """How the verbs of the driver of a filesystem run, as in `Driver`."""
    from remote_store.drivers.generic.filesystem import is_async

    kind = _kind(fs)
    return kind.runs if _takes(kind, fs) else "native" if is_async(fs) else "thread"


def _takes(kind: Kind, fs: Any) -> bool:
    return bool(kind.over) and (not kind.filesystem or kind.speaks_to(class_of(fs)))


def _kind(fs: Any) -> Kind:
    # Exactly this class: a subclass, or a wrapper of the same protocol, may do things differently.
    cls = class_of(fs)
    kind = next((row for row in KINDS if row.speaks_to(cls)), None)
    if kind is not None:
        return kind
    rows = [by_protocol(protocol) for protocol in protocols_of(fs)]
    return next((row for row in rows if _takes(row, fs)), rows[0])


def _refuse_cache(fs: Any) -> None:
    """Raise `ValueError` for a filesystem of fsspec that gives out its own copies of files, as they once were."""
    from remote_store.drivers.generic.filesystem import layers_of

    for layer, inner in pairwise(layers_of(fs)):
        if _CACHES in {cls.__module__ for cls in type(layer).__mro__}:
            raise ValueError(
                f"{protocols_of(layer)[0]} gives out copies of files that may be stale, which no store may; "
                f"leave it out, and take what is inside it: {protocols_of(inner)[0]}"
            )


def protocols_of(fs: Any) -> list[str]:
    """All protocols of a filesystem, the one that names it first."""
    own = [fs.protocol] if isinstance(fs.protocol, str) else list(fs.protocol)
    known = _registered(type(fs))
    if own == ["abstract"]:
        known = next((found for cls in type(fs).__mro__ if (found := _registered(cls))), [])
    # fsspec writes into a class that has no protocol the one by which it was asked for first.
    first = known if len(own) == 1 and own[0] in known else own
    return [one for one in dict.fromkeys((*first, *own, *known)) if one != "abstract"] or own


def _registered(cls: type) -> list[str]:
    """The protocols for which fsspec would take a class."""
    from fsspec.registry import known_implementations, registry

    home = cls.__module__.partition(".")[0]
    paths = {name: entry["class"].replace(":", ".") for name, entry in known_implementations.items()}
    by_path = [
        name
        for name, path in paths.items()
        if path.partition(".")[0] == home and path.rpartition(".")[2] == cls.__name__
    ]
    return [*by_path, *(name for name, one in registry.items() if one is cls and name not in by_path)]
