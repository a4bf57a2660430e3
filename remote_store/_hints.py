"""What errors tell of how to go on: what to install, which option was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from inspect import signature


def install(packages: str, extra: str) -> str:
    """How to get packages that are missing: by themselves, or as an extra of this one, where it has that."""
    return f"pip install {packages}" + (f", or pip install 'remote-store-fsspec[{extra}]'" if extra else "")


def nearest(
    name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None, likeness: float = 0.65
) -> str | None:
    """The known option that was meant by another name, as far as that can be guessed.

    Args:
        name: as it was given.
        known: all names that there are.
        aliases: what others call an option → what it is called here.
        likeness: how like another a name must be, 1 when equal.
    """
    known = list(known)
    if (meant := (aliases or {}).get(name)) in known:
        return meant
    return next(iter(get_close_matches(name, known, 1, likeness)), None)


def makers(cls: type, but: type = object) -> list[Callable[..., None]]:
    """The `__init__` of a class and of its bases, which come first, `but` one of them apart."""
    own = {base: vars(base).get("__init__") for base in reversed(cls.__mro__[:-1])}
    return [make for base, make in own.items() if make and base is not but]


def arguments(cls: type, but: type = object) -> set[str]:
    """The options that a class names, those of its bases included, `but` one of them apart."""
    return {name for make in makers(cls, but) for name in signature(make).parameters}
