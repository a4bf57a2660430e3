"""Where a certification works: a folder of its own, every gate of the backend, and a note of each call."""

from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import RemoteStoreError
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.certify.view import View

PREFIX = "remote-store-certify-"
"""How the scratch folder's name begins."""
SHOWN = 60
"""Calls of a check that are kept as evidence."""


class Recorder(View):
    """A view that notes what was called, and what came back."""

    def __init__(self, store: Store | AsyncStore, **nature: bool) -> None:
        super().__init__(store, **nature)
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        return self._noting(name, method) if callable(method) and name != "supports" else method

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            text = f"{name}({', '.join([*map(_short, args), *(f'{k}={_short(v)}' for k, v in options.items())])})"
            outcome = method(*args, **options)
            if isinstance(outcome, Awaitable):
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

    def child(self, path: str) -> Recorder:
        below = Recorder(self.store.child(path), hierarchical=self.hierarchical, empty_folders=self.empty_folders)
        below.calls = self.calls
        return below


def _short(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return repr(bytes(value)) if len(value) <= 20 else f"<{len(value)} bytes>"
    return shortened(repr(value), 120)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of a text."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@asynccontextmanager
async def scratch(store: Store | AsyncStore) -> AsyncIterator[tuple[str, list[str]]]:
    """The name of a new folder, which is removed afterwards; what could not be removed is in the list."""
    view, name, litter = View(store), PREFIX + uuid.uuid4().hex[:12], list[str]()
    try:
        yield name, litter
    finally:
        await _remove(view, name, litter)


async def _remove(view: View, name: str, litter: list[str]) -> None:
    deletes, lists = view.supports(Capability.DELETE), view.supports(Capability.LIST)
    if deletes:
        with suppress(RemoteStoreError):
            await view.delete_folder(name, recursive=True, missing_ok=True)
    left = [str(info.path) async for info in view.list_files(name, recursive=True)] if lists else []
    for path in left:  # What a folder's deletion could not remove may go one by one.
        try:
            await view.delete(path, missing_ok=True)
        except RemoteStoreError:
            litter.append(path)
    if not litter and await view.exists(name):
        litter.append(name)


async def nature(view: View) -> dict[str, bool]:
    """Whether names are a file or a folder, never both, and whether folders outlive their files."""
    await view.write("d/f", b"1")
    try:
        await view.write("d/f/x", b"1")
        hierarchical = False
    except RemoteStoreError:
        hierarchical = True
    outlives = False
    with suppress(RemoteStoreError):
        for path in ("d/f",) if hierarchical else ("d/f/x", "d/f"):
            await view.delete(path)
        outlives = await view.is_folder("d")
    return {"hierarchical": hierarchical, "empty_folders": outlives}


def another_client(store: Store | AsyncStore) -> Store | AsyncStore | None:
    """An equal store with a backend of its own; None where its data lives in this one."""
    try:
        twin: Store | AsyncStore = pickle.loads(pickle.dumps(store))  # noqa: S301 (our own bytes)
    except (pickle.PicklingError, TypeError, AttributeError):
        return None
    return twin if twin._backend is not store._backend else None


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
