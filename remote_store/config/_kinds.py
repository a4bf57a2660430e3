"""The kinds of backend, and the options each takes: read off signatures, so that none is listed twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from remote_store._urls import _filesystem_class
from remote_store.backends._named import LocalBackend, MemoryBackend, S3Backend, s3_driver


class Option(NamedTuple):
    """A keyword argument: its type, its default, and whether it must be given."""

    hint: Any
    default: Any = None
    required: bool = False


class Kind(NamedTuple):
    """A backend with a class of its own.

    Args:
        cls: in `remote_store.backends`; its twin in `remote_store.aio` is `Async…`.
        functions: whose arguments are its options.
        spelled: the options that a URL spells.
        protocol: of the fsspec filesystem that takes all other options.
        documented: the commonest of those, which need no import of the filesystem to be known.
        native: whether the twin works without threads.
    """

    cls: type
    functions: tuple[Callable[..., Any], ...]
    spelled: tuple[str, ...] = ()
    protocol: str = ""
    documented: Mapping[str, Option] = {}
    native: bool = False


_S3_DOCUMENTED = dict.fromkeys(("key", "secret", "token", "endpoint_url", "profile"), Option(str))
KINDS = {
    "local": Kind(LocalBackend, (LocalBackend.__init__,), ("root",)),
    "memory": Kind(MemoryBackend, (MemoryBackend.__init__,)),
    "s3": Kind(S3Backend, (S3Backend.__init__, s3_driver), ("bucket", "root"), "s3", _S3_DOCUMENTED, native=True),
}
ALIASES = {"file": "local", "s3a": "s3"}
_OURS = {"self", "asynchronous", "loop", "skip_instance_cache", "use_listings_cache"}
_BELIEVED = {"bool": bool, "int": int | float, "float": int | float}
"""Types of foreign arguments that are taken at their word."""


def _arguments(function: Callable[..., Any], hint_of: Callable[[inspect.Parameter], Any]) -> dict[str, Option]:
    return {
        name: Option(hint_of(one), None if one.default is one.empty else one.default, one.default is one.empty)
        for name, one in inspect.signature(function).parameters.items()
        if name not in _OURS and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }


@cache
def own_options(kind: str) -> dict[str, Option]:
    """Options that a backend is known to take without a look at its filesystem."""
    found = dict(KINDS[kind].documented) if kind in KINDS else {}
    for function in KINDS[kind].functions if kind in KINDS else ():
        hints = get_type_hints(function)
        found |= _arguments(function, lambda argument, hints=hints: hints[argument.name])  # type: ignore[misc]
    return found


@cache
def _filesystem_options(protocol: str) -> dict[str, Option]:
    found: dict[str, Option] = {}
    for cls in reversed(_filesystem_class(protocol).__mro__):
        if "__init__" in vars(cls):
            found |= _arguments(cls.__init__, _foreign_hint)
    return found | (dict(KINDS[protocol].documented) if protocol in KINDS else {})


def _foreign_hint(argument: inspect.Parameter) -> Any:
    stated = type(argument.default) if argument.annotation is argument.empty else argument.annotation
    return _BELIEVED.get(stated if isinstance(stated, str) else getattr(stated, "__name__", ""), Any)


def options_of(kind: str, wanted: Collection[str], *, own: bool = True) -> dict[str, Option] | None:
    """Options by name; None while the package of the filesystem is missing.

    Args:
        kind: of the backend.
        wanted: names; the filesystem, and with it its SDK, is loaded only to know what the backend itself does not.
        own: whether to count what the backend takes besides what its filesystem does.
    """
    known, protocol = own_options(kind) if own else {}, KINDS[kind].protocol if own and kind in KINDS else kind
    if not protocol or (known and set(wanted) <= set(known)):
        return known
    try:
        return _filesystem_options(protocol) | known
    except ImportError:
        return None
