"""Where a certification works: a folder of its own, every gate of the backend, and a note of each call and key."""

from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import RemoteStoreError
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.certify.view import View

PREFIX = "remote-store-certify-"
"""How the scratch folder's name begins."""
SHOWN = 60
"""Calls of a check that are kept as evidence."""
Made = set[tuple[Store | AsyncStore, str]]
"""Keys that may have been made, each in its store."""
_TARGETS = {"write": 0, "write_text": 0, "write_atomic": 0, "move": 1, "copy": 1}
"""Which argument is the key that a method makes."""


class Maker(View):
    """A view that notes every key it may make, because not everybody may list a folder to empty it."""

    def __init__(self, store: Store | AsyncStore, made: Made, **nature: Any) -> None:
        super().__init__(store, **nature)
        self.made = made

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        return partial(self._making, method, _TARGETS[name]) if name in _TARGETS else method

    def _making(self, method: Callable[..., Any], target: int, *args: Any, **options: Any) -> Any:
        self.made.add((self.store, str(args[target])))
        return method(*args, **options)

    def open_atomic(self, path: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        """A writer that publishes when its block ends."""
        return cast(AbstractAsyncContextManager[Any], self._making(super().open_atomic, 0, path, **options))


class Recorder(Maker):
    """A view that notes what was called, and what came back, too."""

    def __init__(self, store: Store | AsyncStore, made: Made, **nature: Any) -> None:
        super().__init__(store, made, **nature)
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        return self._noting(name, method) if callable(method) and name != "supports" else method

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            text = f"{name}({', '.join([*map(_short, args), *(f'{k}={_short(v)}' for k, v in options.items())])})"
            outcome = method(*args, **options)
            if isinstance(outcome, Awaitable) and not isinstance(outcome, AsyncIterator):
                return self._awaited(text, outcome)
            self._note(text)
            return outcome

        return call

    async def _awaited(self, text: str, outcome: Awaitable[Any]) -> Any:
        try:
            result = await outcome
        except Exception as error:
            self._note(f"{text} → {type(error).__name__}: {error}")
            raise
        self._note(f"{text} → {_short(result)}")
        return result

    def _note(self, text: str) -> None:
        self.calls.append(text)
        del self.calls[:-SHOWN]


def _short(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return repr(bytes(value)) if len(value) <= 20 else f"<{len(value)} bytes>"
    return shortened(repr(value), 120)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of a text."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@asynccontextmanager
async def scratch(store: Store | AsyncStore) -> AsyncIterator[tuple[str, Made, list[str]]]:
    """The name of a new folder, which is removed afterwards.

    The user notes the keys made in it; what could not be removed is in the list.
    """
    view, name, made, litter = View(store), PREFIX + uuid.uuid4().hex[:12], Made(), list[str]()
    try:
        yield name, made, litter
    finally:
        await _remove(view, name, made, litter)


async def _remove(view: View, name: str, made: Made, litter: list[str]) -> None:
    """Whatever a backend raises: a report that was made must not be lost."""
    with suppress(Exception):
        await view.delete_folder(name, recursive=True, missing_ok=True)
    left = await _left(view, name)
    for keys in ({(view.store, path) for path in left}, made):
        if left:  # What a folder's deletion could not remove may go one by one.
            for store, key in keys:
                with suppress(Exception):
                    await View(store).delete(key, missing_ok=True)
            left = await _left(view, name)
    litter += left


async def _left(view: View, name: str) -> list[str]:
    """Files in a folder; the folder itself where there are none, or nobody may look."""
    try:
        lists = view.supports(Capability.LIST)
        files = [str(info.path) async for info in view.list_files(name, recursive=True)] if lists else []
        return files or ([name] if await view.exists(name) else [])
    except Exception:
        return [name]


async def nature(view: View) -> dict[str, bool]:
    """Whether names are a file or a folder, never both, and whether folders outlive their files."""
    found = {"hierarchical": True, "empty_folders": False}
    with suppress(Exception):  # It is for the probes to tell.
        await view.write("d/f", b"1")
        try:
            await view.write("d/f/x", b"1")
            found["hierarchical"] = False
        except RemoteStoreError:
            pass
        for path in ("d/f",) if found["hierarchical"] else ("d/f/x", "d/f"):
            await view.delete(path)
        found["empty_folders"] = await view.is_folder("d")
    return found


def another_client(store: Store | AsyncStore) -> Store | AsyncStore | None:
    """An equal store with a backend of its own; None where none can be made."""
    try:
        twin: Store | AsyncStore = pickle.loads(pickle.dumps(store))  # noqa: S301 (our own bytes)
    except Exception:
        return None
    return twin if twin._backend is not store._backend else None


async def sees(other: View, view: View) -> bool:
    """Whether another client sees what is written, rather than an empty world of its own."""
    with suppress(Exception):
        await view.write("seen", b"1")
        return bool(await other.exists("seen"))
    return False


def ungated(store: Store | AsyncStore) -> Store | AsyncStore:
    """The same place through a backend that claims every capability, to see which hold undeclared."""
    root: str = store._root
    return type(store)(_claiming(store._backend), root)


def _claiming(backend: Any) -> Any:
    claims = type(backend.__class__.__name__, (type(backend),), {"capabilities": CapabilitySet(Capability)})
    twin: Any = object.__new__(claims)
    twin.__dict__.update(backend.__dict__)
    for inner in ("_sync", "_async_backend"):
        if inner in twin.__dict__:
            twin.__dict__[inner] = _claiming(twin.__dict__[inner])
    if hasattr(backend, "_driver"):
        twin.__dict__.pop("_engine", None)
        twin.__dict__["_driver"] = driver = copy.copy(backend._driver)
        driver.capabilities = CapabilitySet(Capability)
    return twin
