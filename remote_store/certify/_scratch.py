"""Where a certification works: a new folder, without the gates of the backend, with a record of calls and keys."""

from __future__ import annotations

import pickle
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import RemoteStoreError
from remote_store._paths import redact
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.certify.view import View

PREFIX = "remote-store-certify-"
"""Beginning of the folder's name."""
SHOWN = 60
"""How many of the last calls of a check are kept as evidence."""
Keys = set[tuple[Store | AsyncStore, str]]
"""Keys that may have been made, each with its store."""
_TARGETS = {"write": 0, "write_text": 0, "write_atomic": 0, "update": 0, "move": 1, "copy": 1}
"""Methods that make a file, and which of their arguments is its key."""


class Recorder(View):
    """A view that notes the calls made on it with their results, and every key that they may have made.

    The keys are removed one by one afterwards where a folder cannot be listed or deleted.
    """

    def __init__(self, store: Store | AsyncStore, keys: Keys, other: View | None = None, **names: Any) -> None:
        super().__init__(store, other, **names)
        self.keys = keys
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        return self._noting(name, method) if callable(method) and name != "supports" else method

    def open_atomic(self, path: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        """A writer that publishes when its block ends."""
        self.keys.add((self.store, path))
        return super().open_atomic(path, **options)

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if name in _TARGETS:
                self.keys.add((self.store, str(args[_TARGETS[name]])))
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
    """At most `limit` characters of a text, without the secrets that signed URLs are."""
    text = redact(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


@asynccontextmanager
async def scratch(store: Store | AsyncStore) -> AsyncIterator[tuple[str, Keys, list[str]]]:
    """The name of a new folder that is removed afterwards, a set for the keys made in it, and a list of what is left.

    The list is filled when the block has ended.
    """
    view, name, keys, litter = View(store), PREFIX + uuid.uuid4().hex[:12], Keys(), list[str]()
    try:
        yield name, keys, litter
    finally:
        await _remove(view, name, keys, litter)


async def _remove(view: View, name: str, made: Keys, litter: list[str]) -> None:
    """Remove a folder; no error of the backend may lose a report that was made."""
    with suppress(Exception):
        await view.delete_folder(name, recursive=True, missing_ok=True)
    left = await _left(view, name)
    for keys in ({(view.store, path) for path in left}, made):
        if left:  # Where a folder's deletion is refused, that of its files may not be.
            for store, key in keys:
                with suppress(Exception):
                    await View(store).delete(key, missing_ok=True)
            left = await _left(view, name)
    litter += left


async def _left(view: View, name: str) -> list[str]:
    """Files in a folder; the folder itself where it has none, or cannot be listed."""
    try:
        lists = view.supports(Capability.LIST)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # That names are skipped, of which a check makes some.
            files = [str(info.path) async for info in view.list_files(name, recursive=True)] if lists else []
        return files or ([name] if await view.exists(name) else [])
    except Exception:
        return [name]


async def kind_of_names(view: View) -> dict[str, bool]:
    """Whether a name is a file or a folder, never both, and whether folders outlive their files."""
    found = {"hierarchical": True, "empty_folders": False}
    with suppress(Exception):  # What fails here fails in a check, too, which reports it.
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
    """An equal store with another backend, None where none can be made."""
    try:
        twin: Store | AsyncStore = pickle.loads(pickle.dumps(store))  # noqa: S301 (our own bytes)
    except Exception:
        return None
    return twin if twin.backend is not store.backend else None


async def sees(other: View, view: View) -> bool:
    """Whether another client sees what is written; one of a private memory does not."""
    with suppress(Exception):
        await view.write("seen", b"1")
        return bool(await other.exists("seen"))
    return False


def ungated(store: Store | AsyncStore) -> Store | AsyncStore:
    """The same place through a backend that declares every capability, to see which hold undeclared."""
    claiming: Any = store.backend.claiming(CapabilitySet(Capability))
    return type(store)(claiming, store.root)
