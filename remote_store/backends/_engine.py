"""The operations of a backend over an engine, once for both ways of running them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from inspect import signature
from typing import Any, Self, TypeVar

from remote_store import _fork
from remote_store._backend import BackendBase
from remote_store._capabilities import CapabilitySet
from remote_store._errors import InvalidPath
from remote_store._methods import Method, check_keywords
from remote_store._models import ResolutionPlan, place_in
from remote_store._paths import file_key, key_of, redact
from remote_store.drivers.base import Driver, WriteOptions
from remote_store.drivers.logs import hide_secrets
from remote_store.engine.operations import Engine

T = TypeVar("T")


class EngineBackend(BackendBase):
    """A backend over a driver: what the synchronous and the asynchronous one share.

    A subclass makes its driver in `_make_driver`; it is made on first use.
    """

    _recipe: tuple[tuple[Any, ...], dict[str, Any]]
    """Arguments that build an equal backend elsewhere."""

    def _make_driver(self) -> Driver:
        raise NotImplementedError

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self._driver)

    @cached_property
    def _driver(self) -> Driver:
        driver = self._make_driver()
        hide_secrets()
        self.concurrency = driver.profile.concurrency
        self.close_is_terminal = driver.profile.close_is_terminal
        return driver

    @property
    def driver(self) -> Driver:
        """How this backend speaks to its filesystem; another one after a close or a fork."""
        return self._driver

    @property
    def name(self) -> str:
        return self._driver.name

    @property
    def capabilities(self) -> CapabilitySet:
        return self._driver.capabilities

    def after_fork(self) -> None:
        """Let the next use in a forked child start afresh: an event loop does not survive a fork."""
        if (driver := self.__dict__.get("_driver")) is not None:
            _fork.abandon(driver.fs)
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Let the next use make a driver."""
        for name in ("_driver", "_engine", "_run"):
            self.__dict__.pop(name, None)

    def _after_close(self) -> None:
        """What remains to be done once the driver is closed."""

    # --- keys

    def _check_open(self, path: str) -> None:
        """Raise `BackendUnavailable` once the backend is closed for good: before any other rule."""
        if self.close_is_terminal:
            self._driver.check_open(path)

    def _key(self, path: str, rule: Callable[[str], str] = key_of) -> str:
        if self.close_is_terminal:
            self._driver.check_open(path)
        try:
            key = rule(path)
        except InvalidPath as error:
            error.backend = self.name
            raise
        if not key.isascii() or self._driver.checks_ascii:
            self._driver.check_key(key)
        prefix = self._reserved
        if prefix and prefix in key and "/" + prefix in "/" + key:
            raise InvalidPath(f"Names that begin with {prefix!r} are reserved", path=key, backend=self.name)
        return key

    @cached_property
    def _reserved(self) -> str:
        return self._driver.profile.temp_prefix

    def _options(self, method: str, path: str, overwrite: bool, keywords: dict[str, Any]) -> WriteOptions:
        self._check_open(path)
        return WriteOptions(overwrite, **check_keywords(method, self.capabilities, self.name, path, keywords))

    def to_key(self, native_path: str) -> str:
        key = self._key_of_native(native_path)
        return native_path if key is None else key

    def _key_of_native(self, native_path: str) -> str | None:
        """The key of a native path, None when it lies outside."""
        return self._driver.key(native_path)

    def native_path(self, path: str) -> str:
        return self._driver.native(key_of(path))

    def contains(self, native_path: str) -> bool:
        return self._key_of_native(native_path) is not None

    def resolve(self, path: str) -> ResolutionPlan:
        key = key_of(path)
        native = redact(self.native_path(key))
        return ResolutionPlan(self.name, self.name, key, native, self._driver.details())

    def unwrap(self, type_hint: type[T]) -> T:
        handle = self._driver.fs
        return handle if isinstance(handle, type_hint) else super().unwrap(type_hint)

    @cached_property
    def _run(self) -> Any:
        """Runs operations: a synchronous runner gives the result, an asynchronous one something to await."""
        raise NotImplementedError

    def _open_upload(self, path: str, overwrite: bool, **keywords: Any) -> Any:
        kept = self._options("open_atomic", path, overwrite, keywords)
        opening = self._engine.open_upload(self._key(path, file_key), kept)
        return self._run_at_once(opening) if self._engine.opens_at_once else self._run(opening)

    def _run_at_once(self, operation: Any) -> Any:
        """Run an operation that waits for nothing."""
        return self._run(operation)

    # --- identity

    def recipe(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self._recipe

    def claiming(self, capabilities: CapabilitySet) -> Self:
        twin = super().claiming(capabilities)
        EngineBackend._start_afresh(twin)
        twin.__dict__["_driver"] = driver = copy.copy(self._driver)
        driver.capabilities = capabilities
        return twin

    def __repr__(self) -> str:
        shown = {}
        with suppress(Exception):  # A half-made backend has no driver.
            plan = self.resolve("")
            shown = {"name": plan.backend, **(place_in(plan.details) or {"root": ""})}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        args, options = self._recipe
        return _rebuild, (type(self), args, options)


def on_engine(method: Method) -> Any:
    """The method of a backend that runs the operation of the same name of its engine.

    Nothing is looked up or unpacked in a call that could be before: in memory one takes two microseconds in all.
    """
    operation: Any = getattr(Engine, method.name)
    rule = method.rule

    def without_path(self: EngineBackend) -> Any:
        self._check_open("")
        return self._run(operation(self._engine))

    def with_path(self: EngineBackend, path: str) -> Any:
        return self._run(operation(self._engine, self._key(path, rule)))

    def with_more(self: EngineBackend, path: str, *arguments: Any, **options: Any) -> Any:
        return self._run(operation(self._engine, self._key(path, rule), *arguments, **options))

    def with_two_paths(self: EngineBackend, src: str, dst: str, *, overwrite: bool = False) -> Any:
        return self._run(operation(self._engine, self._key(src, rule), self._key(dst, rule), overwrite))

    def with_content(self: EngineBackend, path: str, content: Any, *, overwrite: bool = False, **keywords: Any) -> Any:
        plain = not keywords and method.gate in self._driver.capabilities
        kept = WriteOptions(overwrite) if plain else self._options(method.name, path, overwrite, keywords)
        key = self._key(path, rule)
        return self._run.with_content(lambda source: operation(self._engine, key, source, kept), content)

    def listing(self: EngineBackend, path: str, *arguments: Any, **options: Any) -> Any:
        return self._run.items(operation(self._engine, self._key(path), *arguments, **options))

    def matching(self: EngineBackend, pattern: str) -> Any:
        self._check_open(pattern)
        return self._run.items(operation(self._engine, pattern))

    if method.kind == "items":
        return listing if method.arguments[0] == "path" else matching
    if "content" in method.arguments:
        return with_content
    if "dst" in method.arguments:
        return with_two_paths
    if not method.arguments:
        return without_path
    return with_path if len(signature(operation).parameters) == 2 else with_more


def _rebuild(cls: type[T], args: tuple[Any, ...], options: dict[str, Any]) -> T:
    return cls(*args, **options)
