"""What `Store` and `AsyncStore` share: keys, gates, and everything a store says in its own paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from fnmatch import translate
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeVar

from remote_store import _errors as errors
from remote_store._backend import BackendBase
from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, NotFound, RemoteStoreError, escapes_root
from remote_store._methods import METHODS, check_keywords
from remote_store._models import FolderInfo, ResolutionPlan, at_path, place_in
from remote_store._paths import (
    RemotePath,
    below,
    check_depth,
    check_range,
    file_key,
    join,
    key_of,
    normalize,
    redact,
)
from remote_store.engine.globs import Glob, escape

B = TypeVar("B", bound=BackendBase)
T = TypeVar("T")
S = TypeVar("S", bound="StoreBase[Any]")


UPDATE = (
    Capability.CONDITIONAL_WRITE,
    Capability.EXCLUSIVE_CREATE,
    Capability.METADATA,
    Capability.READ,
    Capability.WRITE,
)
"""What `update` needs."""


def keep_path(error: RemoteStoreError) -> None:
    """Let no store take the path in this error for one of its own."""
    error._scoped = True  # type: ignore[attr-defined]


class _ForeignErrors:
    """Marks the errors that pass through it: they come from the caller's side, not from the backend."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, RemoteStoreError):
            keep_path(error)


caller_errors = _ForeignErrors()


class RerootErrors:
    """Gives errors that pass through it the path their store knows; each error once, by the innermost store."""

    __slots__ = ("_backend", "_root")

    def __init__(self, backend: BackendBase, root: str) -> None:
        self._backend, self._root = backend, root

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and isinstance(error, RemoteStoreError):
            self.take(error)

    def take(self, error: RemoteStoreError) -> None:
        """Give an error the path that the store knows, unless a store did."""
        if "_scoped" in error.__dict__:
            return
        keep_path(error)
        if error.backend is None:
            error.backend = self._backend.name
        if self._root:
            errors.rename_paths(error, self._reroot)

    def _reroot(self, path: str) -> str:
        key = below(self._root, path)
        return path if key is None else key or "."


class Origin(Protocol):
    """Where a store comes from that pickles by name.

    Attributes:
        name: by which it is found.
        root: that of the store which has this name; a child of it has one below.
    """

    @property
    def name(self) -> str: ...
    @property
    def root(self) -> str: ...

    def reduce(self, store: StoreBase[Any]) -> tuple[Any, ...] | None:
        """What pickles in place of a store of this origin, or of a child of it; None where its parts do."""


class StoreBase(Generic[B]):
    """A root below a backend. Immutable; equal by backend and root."""

    _backend: B
    _root: str
    _closes_backend: bool
    _errors: RerootErrors
    _origin: Origin | None = None

    def _set_up(
        self, backend: B, root_path: str | RemotePath, closes_backend: bool, origin: Origin | None = None
    ) -> None:
        if isinstance(backend, type):
            raise TypeError(f"backend must be a Backend, not a class: make one, as in {backend.__name__}(...)")
        if not hasattr(backend, "capabilities"):
            raise TypeError(
                f"backend must be a Backend, not {type(backend).__name__}; see also {type(self).__name__}.from_url"
            )
        root = key_of(root_path)
        self.__dict__.update(_backend=backend, _root=root, _errors=RerootErrors(backend, root))
        self.__dict__.update(_closes_backend=closes_backend, _origin=origin)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in StoreBase.__annotations__:
            raise AttributeError(f"{type(self).__name__} is immutable")
        super().__setattr__(name, value)

    @property
    def backend(self) -> B:
        """What stores the files; its paths are keys below its own root, not this store's."""
        return self._backend

    @property
    def root(self) -> str:
        """The folder of the backend that is this store's root, as a key; `""` is the backend's own root."""
        return self._root

    @property
    def origin(self) -> Origin | None:
        """Where a store comes from that has a name, such as those of a configuration; None where it has none."""
        return self._origin

    @property
    def reroot_errors(self) -> RerootErrors:
        """A context manager: errors of the backend that pass through it get the paths that this store gives them."""
        return self._errors

    # --- keys and gates

    def _require(self, method: str, path: object) -> None:
        """Refuse a method whose capability the backend lacks."""
        gate = METHODS[method].gate
        if gate is not None and gate not in self._backend.capabilities:
            self._backend.capabilities.require(gate, self._backend.name, str(path))

    def _key(self, path: str | RemotePath, rule: Callable[[str | RemotePath], str] = key_of) -> str:
        """The backend's key of a path of this store."""
        try:
            key = rule(path)
        except InvalidPath as error:
            error.backend = self._backend.name
            raise
        return join(self._root, key) if self._root else key

    def _key_for(self, method: str, path: str | RemotePath) -> str:
        """The backend's key of a path, after the gate of `method`, by its rule."""
        about = METHODS[method]
        if about.gate is not None and about.gate not in self._backend.capabilities:
            self._require(method, path)
        return self._key(path, about.rule)

    def _target(self, method: str, path: str | RemotePath, **keywords: Any) -> tuple[str, dict[str, Any]]:
        """The backend's key of a path, after the gates of `method` and of the keywords given; and these."""
        backend = self._backend
        given = check_keywords(method, backend.capabilities, backend.name, path, keywords)
        return self._key(path, METHODS[method].rule), given

    def check_write(
        self,
        path: str | RemotePath,
        *,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> None:
        """Raise what `write` would raise for these arguments before it asks the storage for anything. No I/O."""
        self._target("write", path, metadata=metadata, if_match=if_match, content_type=content_type)

    def _part(
        self, path: str | RemotePath, start: int, end: int | None, if_match: str | None
    ) -> tuple[str, dict[str, Any]]:
        """The backend's key of a file to be read, and of what is to be read of it that which was given."""
        check_range(start, end)
        key, options = self._target("read", path, if_match=if_match)
        if start:
            options["start"] = start
        if end is not None:
            options["end"] = end
        return key, options

    def _check_update(self, path: str | RemotePath) -> None:
        """Refuse an update whose capabilities the backend lacks, and one of the root."""
        backend = self._backend
        for needed in UPDATE:
            backend.capabilities.require(needed, backend.name, str(path))
        self._key(path, METHODS["update"].rule)

    def _listing(
        self, method: str, path: str | RemotePath, max_depth: int | None = None, **options: Any
    ) -> Callable[[], Any]:
        """What begins a listing of the backend, after the gate of `method` and the rules of its arguments."""
        key = self._key_for(method, path)
        check_depth(max_depth)
        if max_depth is not None and method == "list_folders":
            return partial(self._backend.walk_folders, key, max_depth)  # type: ignore[attr-defined]
        if max_depth is not None:
            options = {"recursive": max_depth > 0, "max_depth": max_depth}
        return partial(getattr(self._backend, method), key, **options)

    def _pattern(self, pattern: str) -> str:
        self._require("glob", pattern)
        try:
            Glob(pattern)
        except InvalidPath as error:
            error.backend = self._backend.name
            raise
        return join(escape(self._root), pattern)

    # --- what comes back

    def _reroot(self, item: Any) -> Any:
        """A model of the backend, with the path that this store gives it."""
        if not self._root:
            return item
        own = below(self._root, item.path.as_posix()) if item.path is not RemotePath.ROOT else None
        if own is None:
            return item
        return at_path(item, own)

    def _named(self, pattern: str | None) -> Callable[[str], object]:
        """Whether a name passes `pattern`."""
        return re.compile(translate(pattern)).match if pattern is not None else lambda name: True

    def _empty_root(self, key: str, error: NotFound) -> FolderInfo:
        """The root is there by definition, and empty when nothing is."""
        if key != self._root:
            raise error
        return FolderInfo(RemotePath.ROOT, 0, 0)

    def _not_a_file(self, key: str, is_folder: bool) -> RemoteStoreError:
        return (errors.found_folder if is_folder else errors.file_missing)(key, self._backend.name)

    def _not_a_folder(self, key: str, is_file: bool) -> RemoteStoreError:
        return (errors.found_file if is_file else errors.folder_missing)(key, self._backend.name)

    # --- the part of the interface that needs no I/O

    def supports(self, capability: Capability) -> bool:
        """Whether the backend has a capability. No I/O."""
        return capability in self._backend.capabilities

    def child(self, subpath: str | RemotePath) -> Self:
        """A store rooted at a folder below this one; it shares the backend, and its close does nothing.

        Raises:
            InvalidPath: malformed, or nothing left after normalizing.
        """
        store = type(self).__new__(type(self))
        store._set_up(self._backend, self._key(subpath, file_key), closes_backend=False, origin=self._origin)
        return store

    def to_key(self, path: str) -> str:
        """The key of a path as the filesystem underneath spells it; inverse of `native_path`. No I/O.

        Raises:
            InvalidPath: outside this store, or a name no `RemotePath` can spell.
        """
        if not isinstance(path, str):
            raise TypeError(f"path must be a str, not {type(path).__name__}")
        name = self._backend.name
        if not self._backend.contains(path):
            raise escapes_root(redact(path), name)
        native = self._backend.to_key(path)
        key = self._key_of_native(native, path, name)
        own = below(self._root, key)
        if own is None:
            raise escapes_root(path, name)
        return own

    @staticmethod
    def _key_of_native(native: str, path: str, backend: str) -> str:
        try:
            key = normalize(native)
        except InvalidPath as error:
            error.backend = backend
            raise
        if key != native.rstrip("/") and native != ".":
            raise InvalidPath("No RemotePath can spell this name", path=path, backend=backend)
        return key

    def native_path(self, key: str | RemotePath) -> str:
        """What the filesystem underneath calls `key`. No I/O."""
        return self._backend.native_path(self._key(key))

    def unwrap(self, type_hint: type[T]) -> T:
        """The fsspec filesystem or native handle of type `type_hint`.

        Raises:
            CapabilityNotSupported: there is none of that type.
        """
        return self._backend.unwrap(type_hint)

    def resolve(self, key: str | RemotePath) -> ResolutionPlan:
        """Where `key` leads. No I/O, no secrets."""
        plan = self._backend.resolve(self._key(key))
        return replace(plan, key=key_of(key))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoreBase):
            return NotImplemented
        return _identity(self._backend) is _identity(other._backend) and self._root == other._root

    def __hash__(self) -> int:
        return hash((id(_identity(self._backend)), self._root))

    def __repr__(self) -> str:
        shown: dict[str, Any] = {}
        with suppress(Exception):  # A half-made backend has no name, one that cannot be made here no place.
            shown["backend"] = self._backend.name
            shown |= place_in(self._backend.resolve("").details)
        shown["root_path"] = vars(self).get("_root", "")
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        named = self._origin.reduce(self) if self._origin is not None else None
        return named or (rebuild, (type(self), self._backend, self._root, self._closes_backend, self._origin))


def _identity(backend: Any) -> object:
    return getattr(backend, "identity", backend)


def rebuild(cls: type[S], backend: Any, root: str, closes_backend: bool, origin: Origin | None = None) -> S:
    """A store, with what its constructor does not take."""
    store = cls.__new__(cls)
    store._set_up(backend, root, closes_backend, origin)
    return store
