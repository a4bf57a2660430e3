"""Backends that do what a test tells them to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from inspect import signature
from typing import Any, TypeVar

from helpers.deadline import DEADLINE
from remote_store import Backend, Capability, FileInfo, RemotePath, RemoteStoreError
from remote_store._methods import METHODS, Method
from remote_store._models import UNKNOWN_TIME
from remote_store.aio import AsyncMemoryBackend
from remote_store.backends import MemoryBackend

B = TypeVar("B")


def entry(name: str) -> FileInfo:
    return FileInfo(RemotePath(name), name, 1, UNKNOWN_TIME)


class Scripted(AsyncMemoryBackend):
    """Memory, with reads and listings from a script, and notes of what happened.

    Args:
        items: what a read, or a listing, yields; an exception among them is raised, a callable is awaited.
    """

    def __init__(self, *items: Any) -> None:
        super().__init__()
        self.items = items
        self.events: list[str] = []
        self.ended = threading.Event()
        self.before_close: Callable[[], Awaitable[None]] | None = None

    async def _script(self) -> AsyncIterator[Any]:
        try:
            for item in self.items:
                self.events.append(f"pull {item!r}")
                if isinstance(item, BaseException):
                    raise item
                if callable(item):
                    await item()
                else:
                    yield item
        finally:
            self.events.append("end")
            self.ended.set()

    def read(self, path: str, **options: Any) -> AsyncIterator[bytes]:
        return self._script()

    def list_files(self, path: str, **options: Any) -> AsyncIterator[FileInfo]:
        return self._script()

    def list_folders(self, path: str) -> AsyncIterator[Any]:
        return self._script()

    def iter_children(self, path: str) -> AsyncIterator[Any]:
        return self._script()

    def glob(self, pattern: str) -> AsyncIterator[FileInfo]:
        return self._script()

    async def aclose(self) -> None:
        self.events.append("aclose")
        if self.before_close is not None:
            await self.before_close()
        await super().aclose()

    async def __aenter__(self) -> Any:
        raise AssertionError("the async context was entered")


def hooked(backend: B, **hooks: Callable[..., Any]) -> B:
    """The backend, some methods of which are hooks that get the method itself, then its arguments."""
    for name, hook in hooks.items():
        setattr(backend, name, partial(hook, getattr(backend, name)))
    return backend


def refusing(error: type[RemoteStoreError], *methods: str, backend: Any = None) -> Any:
    """A backend, in memory unless another is given, some methods of which raise an error of the path they get."""

    def refuse(method: object, path: str, *args: object, **options: object) -> None:
        raise error("refused", path=path, backend="memory")

    return hooked(backend or MemoryBackend(), **dict.fromkeys(methods, refuse))


class Producer:
    """Items without end from a class instead of a generator."""

    def __init__(self, item: Any) -> None:
        self.item = item
        self.closed = threading.Event()

    def __aiter__(self) -> Producer:
        return self

    async def __anext__(self) -> Any:
        return self.item

    async def aclose(self) -> None:
        self.closed.set()


class Gate:
    """Where a coroutine on another loop waits until a test lets it go."""

    def __init__(self) -> None:
        self.reached, self.left, self.cancelled = threading.Event(), threading.Event(), threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = asyncio.Event()
        self.reached.set()
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.left.set()

    def open(self) -> None:
        assert self.reached.wait(DEADLINE)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._open.set)

    def __repr__(self) -> str:
        return "gate"


_ARGUMENTS: dict[str, Any] = {
    "src": "f",
    "dst": "g",
    "start": 1,
    "end": 2,
    "content": b"1",
    "pattern": "*",
    "max_depth": 2,
    "native_path": "f",
    "expires_in": 60,
    "method": "PUT",
}
_OPTIONS: dict[str, Any] = {"overwrite": True, "metadata": {"a": "b"}, "missing_ok": True, "recursive": True}


def backend_methods(*kinds: str) -> list[Method]:
    """The methods of a backend that give one of these."""
    return [method for method in METHODS.values() if method.of != "store" and method.kind in kinds]


def arguments(method: Method) -> tuple[Any, ...]:
    """Positional arguments for a method of a backend with a file `f` and a folder `d`."""
    path = "d" if "folder" in method.name or method.gate is Capability.LIST else "f"
    return tuple({"path": path, **_ARGUMENTS}[name] for name in method.arguments)


def options(method: Method) -> dict[str, Any]:
    """A value, other than the default, for each keyword of a method, and one that only some backends know."""
    names = signature(getattr(Backend, method.name)).parameters.keys() - set(method.arguments)
    return {name: {**_OPTIONS, **_ARGUMENTS, "if_match": "e"}[name] for name in names - {"self"}} | (
        {"if_match": "e"} if "overwrite" in names else {}
    )


OPERATIONS = {method.name: (arguments(method), options(method)) for method in backend_methods("value")}
"""Operations that answer at once, with arguments that tell them apart."""
ENTRIES = {method.name: (arguments(method), options(method)) for method in backend_methods("items")}
"""Those that answer entry by entry."""
PLAIN: dict[str, Callable[[Any], Any]] = {
    "identity": lambda backend: backend.identity,
    "name": lambda backend: backend.name,
    "concurrency": lambda backend: backend.concurrency,
    "to_key": lambda backend: backend.to_key("f"),
    "native_path": lambda backend: backend.native_path("f"),
    "contains": lambda backend: backend.contains("f"),
    "resolve": lambda backend: backend.resolve("f"),
}
"""What both adapters pass on in place."""


class _Plain:
    """Answers without I/O that are those of no other backend."""

    identity, name = ("whose",), "odd"

    def to_key(self, native_path: str) -> str:
        return f"key of {native_path}"

    def native_path(self, path: str) -> str:
        return f"path of {path}"

    def contains(self, native_path: str) -> str:
        return f"place of {native_path}"

    def resolve(self, path: str) -> str:
        return f"plan of {path}"


def noting(base: type[AsyncMemoryBackend] | type[MemoryBackend]) -> Any:
    """A backend whose operations note how they are called, and answer with something of their own."""

    def operation(name: str) -> Any:
        def note(self: Any, *args: Any, **options: Any) -> Any:
            self.calls.append((name, args, options))
            return self.answers[name]

        async def answer(self: Any, *args: Any, **options: Any) -> Any:
            return note(self, *args, **options)

        def items(self: Any, *args: Any, **options: Any) -> Any:
            yield note(self, *args, **options)

        async def async_items(self: Any, *args: Any, **options: Any) -> Any:
            yield note(self, *args, **options)

        if name in ENTRIES:
            return async_items if base.is_async else items
        return answer if base.is_async else note

    names = [*OPERATIONS, *ENTRIES]
    backend: Any = type("Noting", (_Plain, base), {name: operation(name) for name in names})()
    backend.calls, backend.answers = [], {name: object() for name in names}
    backend.concurrency, backend.close_is_terminal = "single_connection", True
    return backend
