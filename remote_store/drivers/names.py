"""What filesystems are called, whatever was imported before."""

from __future__ import annotations

from typing import Any


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
