"""What the sync and the async backend over an engine share: all that needs no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from remote_store import _fork
from remote_store._backend import BackendBase
from remote_store._capabilities import CapabilitySet
from remote_store._errors import InvalidPath
from remote_store._models import ResolutionPlan
from remote_store._paths import check_depth, child_folder_key, file_key, key_of
from remote_store._writing import write_options
from remote_store.drivers.base import Driver, WriteOptions
from remote_store.engine.operations import Engine

T = TypeVar("T")


class EngineBackend(BackendBase):
    """A backend over a driver.

    A subclass makes its driver in `_make_driver`; it is made on first use, and again in a forked child.
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
        self.concurrency = driver.profile.concurrency
        self.close_is_terminal = driver.profile.close_is_terminal
        return driver

    def _watch_fork(self) -> None:
        _fork.watch(self)

    def after_fork(self) -> None:
        """Forget what does not survive a fork."""
        for name in ("_driver", "_engine", "_run"):
            self.__dict__.pop(name, None)

    @property
    def name(self) -> str:
        return self._driver.name

    @property
    def capabilities(self) -> CapabilitySet:
        return self._driver.capabilities

    # --- keys

    def _key(self, path: str, rule: Callable[[str], str] = key_of) -> str:
        try:
            key = rule(path)
        except InvalidPath as error:
            error.backend = self.name
            raise
        prefix = self._reserved
        if prefix and prefix in key and "/" + prefix in "/" + key:
            raise InvalidPath(f"Names that begin with {prefix!r} are reserved", path=key, backend=self.name)
        return key

    def _file(self, path: str) -> str:
        return self._key(path, file_key)

    def _folder(self, path: str) -> str:
        return self._key(path, child_folder_key)

    @cached_property
    def _reserved(self) -> str:
        return self._driver.profile.temp_prefix

    def _options(
        self, method: str, path: str, overwrite: bool, metadata: Mapping[str, str] | None, if_match: str | None = None
    ) -> WriteOptions:
        given = write_options(method, self.capabilities, self.name, path, metadata, if_match)
        if not given:
            return WriteOptions(overwrite)
        return WriteOptions(overwrite, given.get("metadata"), given.get("if_match"))

    def to_key(self, native_path: str) -> str:
        key = self._driver.key(native_path)
        return native_path if key is None else key

    def native_path(self, path: str) -> str:
        return self._driver.native(key_of(path))

    def owns(self, native_path: str) -> bool:
        return self._driver.key(native_path) is not None

    def resolve(self, path: str) -> ResolutionPlan:
        key = key_of(path)
        return ResolutionPlan(self.name, self.name, key, self._driver.native(key), self._driver.details())

    def unwrap(self, type_hint: type[T]) -> T:
        handle = self._driver.fs
        return handle if isinstance(handle, type_hint) else super().unwrap(type_hint)

    # --- identity

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, root={self._driver.root!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        args, options = self._recipe
        return _rebuild, (type(self), args, options)


def _rebuild(cls: type[T], args: tuple[Any, ...], options: dict[str, Any]) -> T:
    return cls(*args, **options)


def depth(recursive: bool, max_depth: int | None) -> int | None:
    """How deep a backend's listing goes: `max_depth` acts only together with `recursive`."""
    check_depth(max_depth)
    return max_depth if recursive else 0
