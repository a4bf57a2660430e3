"""Which store a filesystem is over: found by name, told apart by token, written down without secrets."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import uuid4

from fsspec import AbstractFileSystem

from remote_store._errors import NotFound
from remote_store._location import STORES
from remote_store._paths import SECRET_NAME, below, printable, redact
from remote_store._store import Store
from remote_store.aio._named import async_backend_of
from remote_store.aio._store import AsyncStore
from remote_store.backends._fsspec import UserFilesystem
from remote_store.backends._named import MadeOfOptions, backend_of
from remote_store.drivers.kinds import known

AnyStore = Store | AsyncStore


# --- finding


def names() -> tuple[str, ...]:
    """The stores of the configuration."""
    from remote_store.config import default_registry

    return default_registry().names


def by_name(name: str, asynchronous: bool) -> AnyStore:
    """A store of the configuration.

    Raises:
        NotFound: it has no such store.
        ConfigError: there is no configuration, or this part of it cannot be used.
    """
    from remote_store.config import default_registry

    registry = default_registry()
    if name not in registry.names:
        known = printable(", ".join(registry.names)) or "none"
        raise NotFound(f"Store {name!r} not found; configured are {known}", path=name, backend=STORES[0])
    store: AnyStore = registry.get_async_store(name) if asynchronous else registry.get_store(name)
    return store


def rebuilt(recipe: Mapping[str, Any], asynchronous: bool) -> AnyStore:
    """The store of a `recipe`."""
    if "name" in recipe:
        store = by_name(recipe["name"], asynchronous)
        return store.child(recipe["root"]) if recipe["root"] else store
    kind = next((kind for kind in known() if kind.make and kind.name == recipe["backend"]), None)
    if kind is None:
        raise ValueError(f"{recipe['backend']!r} is not a backend")
    if asynchronous:
        return AsyncStore(async_backend_of(kind, recipe["options"]), recipe["root"])
    return Store(backend_of(kind, recipe["options"]), recipe["root"])


# --- writing down


def recipe(store: AnyStore) -> dict[str, Any]:
    """What builds an equal store elsewhere, as JSON can hold it.

    Raises:
        ValueError: it would take a secret, or what lives in this process alone.
    """
    origin = store.origin
    if origin is not None:
        return {"name": origin.name, "root": below(origin.root, store.root)}
    backend: Any = store.backend.identity
    if not (isinstance(backend, MadeOfOptions) and backend.is_async <= isinstance(store, AsyncStore)):
        raise _no_form(store)
    options = backend.public_options()
    if options is None or not all(_plain(value) for value in options.values()):
        raise _no_form(store)
    return {"backend": backend.kind, "options": options, "root": store.root}


def _no_form(store: AnyStore) -> ValueError:
    return ValueError(f"{store!r} has no form without secrets; configure it, and use its name")


def _plain(value: object) -> bool:
    return isinstance(value, (int, float)) or value is None or (isinstance(value, str) and redact(value) == value)


# --- telling apart


def token(store: AnyStore | str, asynchronous: bool) -> str:
    """The same for equal stores in any process, without anything secret in it."""
    what = store if isinstance(store, str) else location(store, "")
    return sha256(repr((what, asynchronous)).encode()).hexdigest()[:32]


def same_store(one: AnyStore, other: AnyStore) -> bool:
    """Whether two stores of one kind have the same keys of one backend, in an adapter or not."""
    return one.backend.identity is other.backend.identity and one.root == other.root


def location(store: AnyStore, key: str) -> object:
    """The same for one file of stores that are rooted at different folders of one storage."""
    backend: Any = store.backend.identity
    plan = store.resolve(key)
    try:
        backend.__reduce_ex__(4)
        known = bool(plan.details)
    except Exception:
        known = False
    if not known:  # Its files are wherever this very object keeps them.
        return backend.__dict__.setdefault("_interop_token", uuid4().hex), plan.native_path
    fs = _described(backend.recipe()[0][0]) if isinstance(backend, UserFilesystem) else None
    details = sorted((name, value) for name, value in plan.details.items() if name != "root")  # It is in the path.
    return plan.backend, plan.native_path, details, fs


def _described(value: Any) -> Any:
    """An argument of a filesystem, the same in any process."""
    if isinstance(value, AbstractFileSystem):
        given = inspect.signature(type(value).__init__).bind_partial(value, *value.storage_args).arguments
        return type(value).__qualname__, _described({**given, "self": None, **value.storage_options})
    if isinstance(value, Mapping):
        return sorted(
            (str(name), _described(item)) for name, item in value.items() if not SECRET_NAME.search(str(name))
        )
    if isinstance(value, (list, tuple)):
        return [_described(item) for item in value]
    return redact(value) if isinstance(value, str) else value if _plain(value) else type(value).__qualname__
