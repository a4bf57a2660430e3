"""Stores by name, made when they are asked for."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from remote_store import _fork
from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import RemoteStoreError
from remote_store._paths import below, key_of
from remote_store._store import Store
from remote_store._store_base import StoreBase, rebuild
from remote_store.aio._backend import AsyncBackend
from remote_store.aio._store import AsyncStore
from remote_store.bridges.threads import SyncBackendAdapter
from remote_store.config._make import make
from remote_store.config._model import Config, StoreConfig
from remote_store.config._values import ConfigError
from remote_store.engine.runners import CLEAN_UP


class Registry(contextlib.AbstractContextManager["Registry"], contextlib.AbstractAsyncContextManager["Registry"]):
    """The stores of a configuration, each made when it is first asked for. May be shared by threads.

    Stores that differ in nothing but their root share a backend. The registry closes it; closing such a store does
    nothing. A registry that was closed makes new backends when it is asked again.

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
        self._file, self._token = self._config._file, uuid4().hex
        self._folder = os.path.dirname(self._file)
        self._filled: dict[str, tuple[StoreConfig, str]] = {}
        self._made: dict[asyncio.AbstractEventLoop | None, list[tuple[StoreConfig, Any, Any]]] = {}
        self.after_fork()
        _living[self._token] = self
        _fork.watch(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stores."""
        return tuple(self._config.stores)

    def get_store(self, name: str) -> Store:
        """The store of a name.

        Raises:
            ConfigError: no such store, a placeholder whose variable is not set, or options that the backend refuses.
            ImportError: a package is not installed; the message names what to install.
            RemoteStoreError: a local folder cannot be created, or a filesystem that connects at once could not.
        """
        with self._naming(name):
            store, root = self._definition(name)
            return rebuild(Store, self._shared(store, None), root, False, _Origin(self, name, root))

    def get_async_store(self, name: str) -> AsyncStore:
        """A store for asynchronous code; arguments and errors as in `get_store`.

        On S3 it is shared within the running event loop, and closed when that ends, or by `aclose`. Asked for outside
        of a loop, it has a backend of its own, which its user closes. On other backends it works in threads.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._naming(name):
            store, root = self._definition(name)
            if not store.native:
                backend: AsyncBackend = SyncBackendAdapter(self._shared(store, None))
            else:
                backend = self._shared(store, loop) if loop else make(store, self._folder, asynchronous=True)
        return rebuild(AsyncStore, backend, root, store.native and not loop, _Origin(self, name, root))

    @contextlib.contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Adds the file and the store to what is wrong with it."""
        try:
            yield
        except ConfigError as error:
            raise error.within(f"stores.{name}").within(self._file, ": ") from error.__cause__

    def _definition(self, name: str) -> tuple[StoreConfig, str]:
        """A store without its root, and that."""
        if name not in self._config.stores:
            raise ConfigError(("", f"no such store; known are {', '.join(self.names) or 'none'}"))
        if name not in self._filled:
            store = self._config.stores[name].filled()
            self._filled[name] = store.model_copy(update={"root": ""}), key_of(store.root)
        return self._filled[name]

    def _shared(self, store: StoreConfig, loop: asyncio.AbstractEventLoop | None) -> Any:
        """The one backend of a definition on an event loop; None for the synchronous one."""
        with self._lock:
            for closed in [one for one in self._made if one is not None and one.is_closed()]:
                del self._made[closed]
            made = self._made.setdefault(loop, [])
            for other, backend, _ in made:
                if other == store:
                    return backend
            backend = make(store, self._folder, asynchronous=loop is not None)
            life = _until_loop_ends(backend) if loop else None
            if life:
                with contextlib.suppress(StopIteration):
                    life.asend(None).send(None)
                atexit.unregister(_close_at_exit)  # What was registered last comes first: before the loop is stopped.
                atexit.register(_close_at_exit, os.getpid())
            made.append((store, backend, life))
            return backend

    # --- life

    def close(self) -> None:
        """Close the backends of all its stores but the natively asynchronous ones, which `aclose` does."""
        with self._lock, contextlib.ExitStack() as closing:
            for _, backend, _ in self._made.pop(None, []):
                closing.callback(backend.close)

    async def aclose(self) -> None:
        """`close`, and close the asynchronous backends of the running event loop."""
        with self._lock:
            made = self._made.pop(asyncio.get_running_loop(), [])
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_callback(asyncio.to_thread, self.close)
            for _, _, life in made:
                closing.push_async_callback(life.aclose)

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def after_fork(self) -> None:
        """Let a forked child go on, whatever other threads of its parent were doing."""
        self._lock = threading.RLock()


async def _until_loop_ends(backend: AsyncBackend) -> AsyncGenerator[None, None]:
    """Closes a backend when its event loop shuts down, which closes this generator."""
    async with contextlib.aclosing(backend):
        yield


def _close_at_exit(pid: int) -> None:
    """Close what loops in other threads hold, such as that of zarr, which end with the process."""
    made = [one for registry in _living.values() for one in registry._made.items()] if pid == os.getpid() else []
    for loop, backends in made:
        if loop is not None and loop.is_running():
            for _, _, life in backends:
                with contextlib.suppress(Exception):
                    asyncio.run_coroutine_threadsafe(life.aclose(), loop).result(timeout=CLEAN_UP)


# --- pickles

_living: weakref.WeakValueDictionary[str, Registry] = weakref.WeakValueDictionary()
"""Registries of this process, and of the one it was forked from, by token."""


class _Origin(NamedTuple):
    """Where a store comes from: all that its pickle holds."""

    registry: Registry
    name: str
    root: str

    def reduce(self, store: StoreBase[Any]) -> tuple[Any, ...] | None:
        definition = self.registry._definition(self.name)[0]
        if definition.backend and definition.row.private:  # It says itself that it cannot be pickled.
            return None
        child = below(self.root, store.root)
        return _recall, (isinstance(store, AsyncStore), self.registry._file, self.registry._token, self.name, child)


def _recall(asynchronous: bool, file: str, token: str, name: str, child: str) -> StoreBase[Any]:
    """The store of a pickle: of the registry it came from where that lives, else of its file, else of the default."""
    try:
        registry = _living.get(token) or (_of_file(file) if file else default_registry())
        store: StoreBase[Any] = registry.get_async_store(name) if asynchronous else registry.get_store(name)
    except (ConfigError, ImportError, RemoteStoreError) as error:
        lost: Any = _Lost((asynchronous, file, token, name), error)
        return rebuild(AsyncStore if asynchronous else Store, lost, child, False, lost)
    return store.child(child) if child else store


class _Lost:
    """Backend and origin of a store that this process cannot make; whatever is asked of it raises why.

    Unpickling it does not: Dask would lose the worker, and its scheduler only passes pickles on.
    """

    capabilities = CapabilitySet(set(Capability))
    root = ""

    def __init__(self, recipe: tuple[bool, str, str, str], error: Exception) -> None:
        self.recipe, self.error, self.name = recipe, error, recipe[-1]

    def reduce(self, store: StoreBase[Any]) -> tuple[Any, ...]:
        return _recall, (*self.recipe, store.root)

    def __getattr__(self, name: str) -> Any:
        raise self.error.with_traceback(None)


# --- the default

_files: dict[str, Registry] = {}
_chosen: dict[str, Registry | None] = {"registry": None}


def _of_file(file: str) -> Registry:
    """The one registry of a file. Needs no lock: one that loses a race has made nothing."""
    return _files.get(file) or _files.setdefault(file, Registry(file))


def default_registry() -> Registry:
    """The registry of this process: the one given to `set_default`, else that of the file that the environment
    variable `REMOTE_STORE_CONFIG` names, which is read once.

    Raises:
        ConfigError: there is neither, or the file cannot be used.
    """
    if (chosen := _chosen["registry"]) is not None:
        return chosen
    if not (file := os.environ.get("REMOTE_STORE_CONFIG")):
        how = "set REMOTE_STORE_CONFIG to the path of a TOML file, or call set_default(Registry(...))"
        raise ConfigError(("", f"no configuration: {how}"))
    return _of_file(os.path.abspath(os.path.expanduser(file)))


def set_default(registry: Registry | None) -> contextlib.ExitStack:
    """Make a registry the default of this process; None goes back to the environment variable.

    Returns:
        A context manager: when its `with` block ends, the former default is back. Ignore it to keep the new one.
    """
    undo = contextlib.ExitStack()
    undo.callback(_chosen.update, dict(_chosen))
    _chosen["registry"] = registry
    return undo
