"""The operations of a backend over an engine, once for both ways of running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

from remote_store import _fork
from remote_store._backend import BackendBase
from remote_store._capabilities import GATES, CapabilitySet
from remote_store._errors import InvalidPath
from remote_store._models import ResolutionPlan, place_in
from remote_store._paths import check_depth, check_range, child_folder_key, file_key, key_of, redact
from remote_store._writing import write_options
from remote_store.drivers.base import Driver, Want, WriteOptions
from remote_store.drivers.logs import hide_secrets
from remote_store.engine.operations import Engine

T = TypeVar("T")


class EngineBackend(BackendBase):
    """A backend over a driver.

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
        self._check_open(path)
        try:
            key = rule(path)
        except InvalidPath as error:
            error.backend = self.name
            raise
        if not key.isascii():
            self._driver.check_key(key)
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
        self,
        method: str,
        path: str,
        overwrite: bool,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteOptions:
        self._check_open(path)
        given = write_options(method, self.capabilities, self.name, path, metadata, if_match)
        return WriteOptions(overwrite, **given) if given else WriteOptions(overwrite)

    def to_key(self, native_path: str) -> str:
        key = self._driver.key(native_path)
        return native_path if key is None else key

    def native_path(self, path: str) -> str:
        return self._driver.native(key_of(path))

    def owns(self, native_path: str) -> bool:
        return self._driver.key(native_path) is not None

    def resolve(self, path: str) -> ResolutionPlan:
        key = key_of(path)
        native = redact(self._driver.native(key))
        return ResolutionPlan(self.name, self.name, key, native, self._driver.details())

    def unwrap(self, type_hint: type[T]) -> T:
        handle = self._driver.fs
        return handle if isinstance(handle, type_hint) else super().unwrap(type_hint)

    # --- operations: a synchronous runner gives the result, an asynchronous one something to await

    @cached_property
    def _run(self) -> Any:
        raise NotImplementedError

    def exists(self, path: str) -> Any:
        return self._run(self._engine.exists(self._key(path)))

    def is_file(self, path: str) -> Any:
        return self._run(self._engine.is_file(self._key(path)))

    def is_folder(self, path: str) -> Any:
        return self._run(self._engine.is_folder(self._key(path)))

    def get_file_info(self, path: str) -> Any:
        return self._run(self._engine.get_file_info(self._file(path)))

    def get_folder_info(self, path: str) -> Any:
        return self._run(self._engine.get_folder_info(self._key(path)))

    def check_health(self) -> Any:
        self._check_open("")
        return self._run(self._driver.check())

    def read_bytes(self, path: str) -> Any:
        return self._run(self._engine.read_bytes(self._file(path)))

    def read_range(self, path: str, start: int, end: int, *, if_match: str | None = None) -> Any:
        self._check_open(path)
        check_range(start, end)
        return self._run(self._engine.read_range(self._file(path), start, end, if_match))

    def write(self, path: str, content: Any, *, overwrite: bool = False, **options: Any) -> Any:
        return self._write("write", path, content, overwrite, **options)

    def write_atomic(self, path: str, content: Any, *, overwrite: bool = False, **options: Any) -> Any:
        return self._write("write_atomic", path, content, overwrite, **options)

    def _write(self, method: str, path: str, content: Any, overwrite: bool, **options: Any) -> Any:
        if not options and GATES[method] in self._driver.capabilities:
            kept = WriteOptions(overwrite)
        else:
            kept = self._options(method, path, overwrite, **options)
        key = self._file(path)
        return self._run.with_content(lambda source: self._engine.write(key, source, kept), content)

    def _open_upload(self, path: str, overwrite: bool, **options: Any) -> Any:
        kept = self._options("open_atomic", path, overwrite, **options)
        return self._run(self._engine.open_upload(self._file(path), kept))

    def delete(self, path: str, *, missing_ok: bool = False) -> Any:
        return self._run(self._engine.delete(self._file(path), missing_ok))

    def delete_folder(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> Any:
        return self._run(self._engine.delete_folder(self._folder(path), recursive, missing_ok))

    def move(self, src: str, dst: str, *, overwrite: bool = False) -> Any:
        return self._run(self._engine.transfer("move", self._file(src), self._file(dst), overwrite))

    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> Any:
        return self._run(self._engine.transfer("copy", self._file(src), self._file(dst), overwrite))

    def list_files(self, path: str, *, recursive: bool = False, max_depth: int | None = None) -> Any:
        return self._list(path, max_depth, "files", recursive)

    def list_folders(self, path: str) -> Any:
        return self._list(path, 0, "folders")

    def walk_folders(self, path: str, max_depth: int) -> Any:
        return self._list(path, max_depth, "folders")

    def iter_children(self, path: str) -> Any:
        return self._list(path, 0, "both")

    def glob(self, pattern: str) -> Any:
        self._check_open(pattern)
        return self._run.items(self._engine.glob(pattern))

    def _list(self, path: str, max_depth: int | None, want: Want, recursive: bool = True) -> Any:
        self._check_open(path)
        check_depth(max_depth)
        return self._run.items(self._engine.pages(self._key(path), max_depth if recursive else 0, want))

    # --- identity

    def __repr__(self) -> str:
        shown = {}
        with suppress(Exception):  # A half-made backend has no driver.
            plan = self.resolve("")
            shown = {"name": plan.backend, **(place_in(plan.details) or {"root": ""})}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        args, options = self._recipe
        return _rebuild, (type(self), args, options)


def _rebuild(cls: type[T], args: tuple[Any, ...], options: dict[str, Any]) -> T:
    return cls(*args, **options)
