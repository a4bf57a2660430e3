"""What errors tell of how to go on: what to install, which option was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from inspect import signature

_SDK_NAMES = {
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "profile_name": "profile",
    "region": "region_name",
    "endpoint": "endpoint_url",
    "access_key": "key",
    "secret_key": "secret",
    "session_token": "token",
}
"""What boto3 and others call an option → what it is called here."""


def install(packages: str, extra: str) -> str:
    """How to get packages that are missing: by themselves, or as an extra of this one."""
    return f"pip install {packages}, or pip install 'remote-store-fsspec[{extra}]'"


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known option that was meant by another name, as far as that can be guessed.

    Args:
        name: as it was given.
        known: all names that there are.
        likeness: how like another a name must be, 1 when equal.
    """
    known = list(known)
    if (own := _SDK_NAMES.get(name)) in known:
        return own
    return next(iter(get_close_matches(name, known, 1, likeness)), None)


def arguments(cls: type, but: type = object) -> set[str]:
    """The options that a class names, those of its bases included, `but` one of them apart."""
    makers = [vars(base)["__init__"] for base in cls.__mro__[:-1] if "__init__" in vars(base) and base is not but]
    return {name for make in makers for name in signature(make).parameters}
