"""The registry of a process, and the stores of pickles."""

from __future__ import annotations

import os
import pickle
import threading
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from remote_store import _fork
from remote_store._scope import StoreBase
from remote_store.aio._store import AsyncStore
from remote_store.config._errors import error

if TYPE_CHECKING:
    from remote_store.config._registry import Registry

VARIABLE = "REMOTE_STORE_CONFIG"

living: weakref.WeakValueDictionary[str, Registry] = weakref.WeakValueDictionary()
"""Registries of this process, and of the one it was forked from, by token."""


class _Default:
    def __init__(self) -> None:
        self.chosen: Registry | None = None
        self.variable = ""
        self.files: dict[str, Registry] = {}
        self.after_fork()
        _fork.watch(self)

    def after_fork(self) -> None:
        self.lock = threading.RLock()

    def get(self) -> Registry:
        with self.lock:
            if self.chosen is not None:
                return self.chosen
            file = file_of_env()
            if os.environ[VARIABLE] != self.variable:
                self.files.pop(file, None)
                self.variable = ""
            registry = self.at(file)
            self.variable = os.environ[VARIABLE]
            return registry

    def at(self, file: str) -> Registry:
        from remote_store.config._registry import Registry

        with self.lock:
            registry = self.files.get(file)
            if registry is None or registry.closed:
                registry = self.files[file] = Registry(file)
            return registry


_default = _Default()


def file_of_env() -> str:
    """Absolute path of the file that the environment names."""
    if not os.environ.get(VARIABLE):
        raise error(f"no configuration: set {VARIABLE} to the path of a TOML file, or call set_default(Registry(...))")
    return os.path.abspath(os.path.expanduser(os.environ[VARIABLE]))


def default_registry() -> Registry:
    """The registry of this process: the one given to `set_default`, else of the file that the environment variable
    `REMOTE_STORE_CONFIG` names. The file is read on first use, and again when the variable changes.

    Raises:
        ConfigError: there is neither, or the file cannot be used.
    """
    return _default.get()


def set_default(registry: Registry | None) -> ExitStack:
    """Make a registry the default of this process; None goes back to the environment variable.

    Returns:
        A context manager: when its `with` block ends, the former default is back. Ignore it to keep the new one.

    Example:
        >>> from remote_store.config import Registry
        >>> with set_default(Registry({"stores": {"scratch": {"backend": "memory"}}})):
        ...     default_registry().names
        ('scratch',)
    """
    undo = ExitStack()
    with _default.lock:
        undo.callback(setattr, _default, "chosen", _default.chosen)
        _default.chosen = registry
    return undo


def recall(cls: type[StoreBase[Any]], file: str, token: str, name: str, child: str) -> StoreBase[Any]:
    """The store of a pickle: of the registry it came from where that lives, else of its file, else of the default.

    Raises:
        ConfigError: there is no such registry, or no such store in it.
        UnpicklingError: it is memory of another process.
    """
    registry = living.get(token)
    if registry is None or registry.closed:
        registry = _default.at(file) if file else default_registry()
        if registry._definition(name)[0].recipe.private:
            what = "lives in the memory of another process; give it a URL that both reach"
            raise pickle.UnpicklingError(f"the store {name!r} {what}")
    store = registry.get_async_store(name) if issubclass(cls, AsyncStore) else registry.get_store(name)
    return store.child(child) if child else store
