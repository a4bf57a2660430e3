"""Stores by name, made when they are asked for."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Self, TypeVar
from uuid import uuid4

from remote_store import _fork
from remote_store._backend import Backend
from remote_store._paths import below, key_of
from remote_store._scope import StoreBase, rebuild
from remote_store._store import Store
from remote_store.aio._adapter import SyncBackendAdapter
from remote_store.aio._store import AsyncStore
from remote_store.config import _default
from remote_store.config._errors import ConfigError, error
from remote_store.config._model import Config
from remote_store.config._recipe import make, make_async, recipe
from remote_store.config._shared import OnLoop, Shared

S = TypeVar("S", bound=StoreBase[Any])


class Registry:
    """The stores of a configuration, each made when it is first asked for. May be shared by threads.

    Stores whose backends are defined alike share one; the registry closes it, and closing such a store does nothing.
    An `AsyncStore` of a natively asynchronous backend (S3) is shared within one event loop, and its backend is
    closed when that loop ends, or by `aclose`. Asked for outside of a loop, it has a backend of its own, belongs to
    the loop that uses it first, and is to be closed by its user.

    Args:
        config: path of a TOML file, a dict, or a `Config`.

    Raises:
        ConfigError: the configuration cannot be used. Nothing is contacted to find out.

    Example:
        >>> with Registry({"stores": {"scratch": {"backend": "memory"}}}) as registry:
        ...     registry.get_store("scratch").write("a", b"123").size
        3
    """

    def __init__(self, config: Config | Mapping[str, Any] | str | os.PathLike[str]) -> None:
        self._config = Config.load(config)
        self._token = uuid4().hex
        self._lock = threading.Lock()
        self._shared: list[Shared] = []
        self._defined: dict[str, tuple[Shared, str]] = {}
        self._loops: dict[asyncio.AbstractEventLoop, OnLoop] = {}
        self._closed = False
        _default.living[self._token] = self
        _fork.watch(self)

    @classmethod
    def from_env(cls) -> Self:
        """The stores of the file that the environment variable `REMOTE_STORE_CONFIG` names.

        Raises:
            ConfigError: it is not set, or the file cannot be used.
        """
        return cls(_default.file_of_env())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stores."""
        return tuple(self._config.stores)

    @property
    def file(self) -> str:
        """Absolute path of the file this came from; `""` when it came from code."""
        return self._config.file

    @property
    def closed(self) -> bool:
        """Whether it was closed, for good."""
        return self._closed

    def get_store(self, name: str) -> Store:
        """A store.

        Args:
            name: as in the configuration.

        Raises:
            ConfigError: no such store, a placeholder whose variable is not set, options that the backend refuses, or
                the registry is closed.
            ImportError: a package is not installed; the message names what to install.
            RemoteStoreError: a local folder cannot be created, or a filesystem that connects at once could not.
        """
        shared, root = self._definition(name)
        backend = self._backend(shared, name)
        return self._store(Store, backend, name, root, backend)

    def get_async_store(self, name: str) -> AsyncStore:
        """A store for asynchronous code; arguments and errors as in `get_store`."""
        shared, root = self._definition(name)
        if not shared.recipe.native:
            backend = self._backend(shared, name)
            return self._store(AsyncStore, SyncBackendAdapter(backend), name, root, backend)
        on_loop = self._on_loop()
        with self._naming(name):
            native = on_loop.get(shared) if on_loop else make_async(shared.recipe)
        return self._store(AsyncStore, native, name, root, shared, owns=not on_loop)

    def _definition(self, name: str) -> tuple[Shared, str]:
        """What a store shares with others, and its root in that; errors as in `get_store`, but nothing is made."""
        with self._lock:
            self._check_open()
            if name not in self._defined:
                store = self._config.filled(name)
                wanted = recipe(store, os.path.dirname(self.file))
                shared = next((other for other in self._shared if other.recipe == wanted), None)
                if shared is None:
                    self._shared.append(shared := Shared(wanted))
                self._defined[name] = shared, key_of(store.root)
            return self._defined[name]

    def _backend(self, shared: Shared, name: str) -> Backend:
        with shared.lock, self._naming(name):
            self._check_open()
            if shared.backend is None:
                shared.backend = make(shared.recipe)
            return shared.backend

    def _on_loop(self) -> OnLoop | None:
        """What belongs to the running event loop, if one runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        with self._lock:
            self._loops = {other: kept for other, kept in self._loops.items() if not other.is_closed()}
            if loop not in self._loops:
                self._loops[loop] = OnLoop()
            return self._loops[loop]

    def _store(self, cls: type[S], backend: Any, name: str, root: str, place: object, owns: bool = False) -> S:
        return rebuild(cls, backend, root, owns, _Origin(self, name, root, place))

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Adds the name of the store to what is wrong with it."""
        try:
            yield
        except ConfigError as wrong:
            raise self._config.named(name, wrong) from wrong.__cause__

    def _check_open(self) -> None:
        if self._closed:
            raise error("the registry is closed; make another")

    # --- life

    def close(self) -> None:
        """Close the backends of all its stores but the natively asynchronous ones, which `aclose` does."""
        with self._lock, ExitStack() as closing:
            self._closed = True
            for shared in self._shared:
                with shared.lock:
                    if shared.backend is not None:
                        closing.callback(shared.backend.close)

    async def aclose(self) -> None:
        """`close`, and close the asynchronous backends of the running event loop."""
        await asyncio.to_thread(self.close)
        with self._lock:
            on_loop = self._loops.pop(asyncio.get_running_loop(), None)
        if on_loop:
            await on_loop.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def after_fork(self) -> None:
        """Let a forked child go on, whatever other threads of its parent were doing."""
        self._lock = threading.Lock()
        for shared in self._shared:
            shared.lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Registry(file={self.file!r}, names={self.names!r})"


class _Origin(NamedTuple):
    """Where a store comes from: all that its pickle holds."""

    registry: Registry
    name: str
    root: str
    place: object

    def reduce(self, store: StoreBase[Any]) -> tuple[Any, ...]:
        child = below(self.root, store._root)
        return _default.recall, (type(store), self.registry.file, self.registry._token, self.name, child)
