"""How an operation is written once: as a coroutine, either awaited or run at once in the caller's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, TypeVar, cast

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem

from remote_store._methods import KEYWORDS
from remote_store.engine.runners import run_to_end

F = TypeVar("F", bound=Callable[..., Any])
WITH = tuple(KEYWORDS)
"""Options of whatever writes files."""

TUNING = frozenset(
    {
        *("batch_size", "block_size", "blocksize", "chunk_size", "chunksize", "concurrency", "max_concurrency"),
        *("cache_options", "cache_type", "default_block_size", "default_cache", "default_cache_type"),
        *("default_fill_cache", "fill_cache", "listings_expiry_time", "max_blocks", "max_paths", "refresh"),
        *("skip_instance_cache", "use_listings_cache"),
    }
)
"""Options of other filesystems that may be ignored: how work is divided and what is remembered, never what is stored,
who may read it, or what comes back."""


def accepted(method: str, options: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The options that `method` knows, without those that may be ignored.

    Raises:
        TypeError: another option.
    """
    for name in options:
        if name not in known and name not in TUNING:
            raise TypeError(f"{method.lstrip('_')}() of a store does not take the option {name!r}")
    return {name: value for name, value in options.items() if name in known}


def takes(*more: str) -> Callable[[F], F]:
    """A method that takes its own options and `more` ones, which it passes on."""

    def decorate(function: F) -> F:
        known = signature(function).parameters.keys() | more

        @wraps(function)
        def method(*args: Any, **options: Any) -> Any:
            return function(*args, **accepted(function.__name__, options, known))

        @wraps(function)
        async def coroutine(*args: Any, **options: Any) -> Any:
            return await function(*args, **accepted(function.__name__, options, known))

        return cast("F", coroutine if iscoroutinefunction(function) else method)

    return decorate


def limited(name: str, *more: str) -> Any:
    """fsspec's own method `name`, of which other options than its own and `more` ones are refused."""
    return takes(*more)(getattr(AsyncFileSystem, name))


class _Inline(threading.local):
    """Whether this thread runs an operation at once rather than awaits it; a context manager makes it so."""

    depth = 0

    def __bool__(self) -> bool:
        return self.depth > 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *exc_info: object) -> None:
        self.depth -= 1


inline = _Inline()


def run_inline(fs: Any, coroutine: Any) -> Any:
    """Run a coroutine of a filesystem to its end in this thread; only of one that is not asynchronous.

    Not on fsspec's I/O loop, where its own `sync` would: a `Store` over S3 needs that loop itself.
    """
    if fs.asynchronous:
        coroutine.close()
        raise RuntimeError("this filesystem is asynchronous: await its methods that begin with an underscore")
    with inline:
        return run_to_end(coroutine)


def blocking(name: str) -> Callable[..., Any]:
    """A method that runs the coroutine method `name` in the caller's thread."""

    def method(self: Any, *args: Any, **options: Any) -> Any:
        return run_inline(self, getattr(self, name)(*args, **options))

    method.__name__ = name[1:]
    method.__doc__ = getattr(getattr(AbstractFileSystem, name[1:], None), "__doc__", None)
    return method


class _Operation:
    def __init__(self, coroutine: Callable[..., Any], more: tuple[str, ...]) -> None:
        self._coroutine, self._more = coroutine, more

    def __set_name__(self, owner: type, name: str) -> None:
        setattr(owner, name, takes(*self._more)(self._coroutine))
        setattr(owner, name[1:], blocking(name))


def operation(coroutine: F) -> F:
    """Mark a coroutine method `_name` that its class offers as `name`, too."""
    return cast("F", _Operation(coroutine, ()))


def writing_operation(coroutine: F) -> F:
    """Likewise one that takes the keywords of `Store.write`, too."""
    return cast("F", _Operation(coroutine, WITH))
