"""The backend interface: what a store needs of the filesystem underneath."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, Literal, Self, TypeVar, cast

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import CapabilityNotSupported, unsupported
from remote_store._methods import Method, make_methods
from remote_store._models import FileInfo, FolderEntry, FolderInfo, ResolutionPlan, SignedMethod, WriteResult
from remote_store._paths import check_depth
from remote_store.io.content import PART, spool, spooling
from remote_store.io.files import Draft
from remote_store.io.ranges import takes_ranges, with_async_ranges, with_ranges

if TYPE_CHECKING:
    from remote_store.io.files import AtomicWriter

T = TypeVar("T")
WritableContent = bytes | BinaryIO


class BackendBase(abc.ABC):
    """What sync and async backends share: everything that needs no I/O."""

    close_is_terminal: bool = False
    """Whether the backend is of no further use after `close()` (else it works again on next use)."""
    concurrency: Literal["thread_safe", "single_connection"] = "thread_safe"
    """Whether calls from several threads run side by side, or one after another over one connection."""

    is_async = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if (read := vars(cls).get("read")) is not None and not takes_ranges(read):
            cls.read = (with_async_ranges if cls.is_async else with_ranges)(read)  # type: ignore[attr-defined]

    @property
    def identity(self) -> object:
        """What two stores must share to be equal: the backend, or the one it wraps."""
        return self

    @property
    def inner(self) -> BackendBase | None:
        """The backend that this one wraps; None where it wraps none."""
        return None

    def recipe(self) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The arguments, by position and by name, that make an equal backend of this class, secrets included; None
        where none can be made."""
        return None

    def claiming(self, capabilities: CapabilitySet) -> Self:
        """A twin over the same storage that claims other capabilities, so that one can try what this one does not
        declare. Only one of the two need be closed."""
        claims = type(type(self).__name__, (type(self),), {"capabilities": capabilities})
        twin: Self = object.__new__(claims)
        twin.__dict__.update(self.__dict__)
        return twin

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Kind of backend, such as `"s3"`."""

    @property
    @abc.abstractmethod
    def capabilities(self) -> CapabilitySet:
        """What this instance can do."""

    def to_key(self, native_path: str) -> str:
        """The key of a path as the filesystem spells it; unchanged when it lies outside. No I/O."""
        return native_path

    def native_path(self, path: str) -> str:
        """What the filesystem underneath calls the key `path`. No I/O."""
        return path

    def contains(self, native_path: str) -> bool:
        """Whether `native_path` lies in this backend. No I/O."""
        key = self.to_key(native_path)
        return key != native_path or self.native_path(key) == native_path

    def resolve(self, path: str) -> ResolutionPlan:
        """Where the key `path` leads. No I/O."""
        return ResolutionPlan(self.name, self.name, path, self.native_path(path), {})

    def unwrap(self, type_hint: type[T]) -> T:
        """The native handle of type `type_hint`.

        Raises:
            CapabilityNotSupported: there is none of that type.
        """
        raise CapabilityNotSupported(
            f"Backend '{self.name}' does not expose native handle of type {type_hint.__name__}",
            path="",
            backend=self.name,
            capability="unwrap",
        )

    def _no_glob(self, pattern: str) -> CapabilityNotSupported:
        return CapabilityNotSupported(
            f"Backend '{self.name}' does not support glob", path=pattern, backend=self.name, capability="glob"
        )


class Backend(BackendBase):
    """A synchronous storage backend.

    Subclass it without fsspec by writing the abstract methods; paths are normalized keys, `""` is the root. The
    methods hold the contract of `Store`: the same results and errors. Keyword arguments beyond the ones of the
    abstract methods (`if_match`, `content_type`, `start` and `end` of `read`, `seekable` of `open_atomic`) are passed
    only when the caller gives them.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import MemoryBackend
        >>> store = Store(MemoryBackend())
    """

    @abc.abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    @abc.abstractmethod
    def is_file(self, path: str) -> bool:
        """Whether a file is there."""

    @abc.abstractmethod
    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""

    @abc.abstractmethod
    def read(self, path: str) -> BinaryIO:
        """A binary stream at 0.

        Take the keywords `start=0`, `end=None` and `if_match=None`, too, to give the bytes `[start, end)` of the file
        that has this etag; a method that takes none of them gets ranges that are cut out of its whole stream.
        """

    @abc.abstractmethod
    def read_bytes(self, path: str) -> bytes:
        """The whole content."""

    @abc.abstractmethod
    def write(
        self, path: str, content: WritableContent, *, overwrite: bool = False, metadata: Mapping[str, str] | None = None
    ) -> WriteResult:
        """Create or replace a file, and the folders above it."""

    @abc.abstractmethod
    def write_atomic(
        self, path: str, content: WritableContent, *, overwrite: bool = False, metadata: Mapping[str, str] | None = None
    ) -> WriteResult:
        """Like `write`; readers see the old content or the new."""

    @abc.abstractmethod
    def delete(self, path: str, *, missing_ok: bool = False) -> None:
        """Remove a file."""

    @abc.abstractmethod
    def delete_folder(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        """Remove a folder."""

    @abc.abstractmethod
    def list_files(self, path: str, *, recursive: bool = False, max_depth: int | None = None) -> Iterator[FileInfo]:
        """Files below a folder; `max_depth` acts only together with `recursive=True`."""

    @abc.abstractmethod
    def list_folders(self, path: str) -> Iterator[FolderEntry]:
        """Immediate subfolders."""

    @abc.abstractmethod
    def get_file_info(self, path: str) -> FileInfo:
        """Describe a file."""

    @abc.abstractmethod
    def get_folder_info(self, path: str) -> FolderInfo:
        """Totals over everything below a folder."""

    @abc.abstractmethod
    def move(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        """Rename a file."""

    @abc.abstractmethod
    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        """Duplicate a file."""

    def read_range(self, path: str, start: int, end: int, *, if_match: str | None = None) -> bytes:
        """Bytes `[start, end)`; by `read` unless overridden. CONDITIONAL_WRITE brings `if_match`."""
        options: Any = {"start": start, "end": end, **({} if if_match is None else {"if_match": if_match})}
        with self.read(path, **options) as stream:
            return stream.read()

    def read_seekable(self, path: str) -> BinaryIO:
        """A seekable stream; spooled to a temporary file unless `read` seeks itself."""
        stream = self.read(path)
        if stream.seekable():
            return stream
        copy = spool()
        try:
            with stream:
                while chunk := stream.read(PART):
                    with spooling(path, self.name):
                        copy.write(chunk)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return cast("BinaryIO", copy)

    @contextmanager
    def open_atomic(
        self,
        path: str,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        seekable: bool = False,
        **options: Any,
    ) -> Iterator[AtomicWriter]:
        """A binary writer that commits on clean exit, and seeks if it is to be `seekable`; spooled into `write_atomic`
        unless overridden."""
        if metadata is not None:
            options["metadata"] = metadata
        if seekable:
            draft = Draft(path, self.name)
            try:
                yield cast("AtomicWriter", draft)
                draft.result = self.write_atomic(path, draft.finish(), overwrite=overwrite, **options)
            finally:
                draft.let_go()
            return
        with spool() as copy:  # ASYNC-085 names this very class.
            file = cast("AtomicWriter", copy)
            yield file
            file.seek(0)
            file.result = self.write_atomic(path, file, overwrite=overwrite, **options)

    def sign(self, path: str, *, expires_in: int = 3600, method: SignedMethod = "GET") -> str:
        """A URL that gives access to one file for that long [s].

        Raises:
            CapabilityNotSupported: unless overridden.
        """
        raise unsupported(Capability.SIGNED_URL.value, path, self.name)

    def iter_children(self, path: str) -> Iterator[FileInfo | FolderEntry]:
        """Files and folders directly in a folder."""
        yield from self.list_files(path)
        yield from self.list_folders(path)

    def walk_folders(self, path: str, max_depth: int) -> Iterator[FolderEntry]:
        """Folders below `path` down to `max_depth`; level by level over `list_folders` unless overridden."""
        check_depth(max_depth)
        level = [path]
        for _ in range(max_depth + 1):
            below_level: list[str] = []
            for folder in level:
                for entry in self.list_folders(folder):
                    below_level.append(entry.path.as_posix())
                    yield entry
            level = below_level

    def glob(self, pattern: str) -> Iterator[FileInfo]:
        """Files whose key matches `pattern`.

        Raises:
            CapabilityNotSupported: unless overridden.
        """
        raise self._no_glob(pattern)

    def check_health(self) -> None:
        """Ask the service whether it, and the container, can be used; does nothing unless overridden."""

    def close(self) -> None:
        """Let go of connections; safe to repeat."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class MadeBackend(Backend):
    """A backend that makes its methods by their shapes.

    A subclass names, as in `class Mine(MadeBackend, make=my_maker)`, what makes a method of a `Method`; those it
    defines itself stay.
    """

    def __init_subclass__(cls, *, make: Callable[[Method], Any] | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if make is not None:
            make_methods(cls, Backend, make)

    if TYPE_CHECKING:  # What is abstract is made.
        exists = Backend.exists
        is_file = Backend.is_file
        is_folder = Backend.is_folder
        read_bytes = Backend.read_bytes
        delete = Backend.delete
        delete_folder = Backend.delete_folder
        list_files = Backend.list_files
        list_folders = Backend.list_folders
        get_file_info = Backend.get_file_info
        get_folder_info = Backend.get_folder_info
        move = Backend.move
        copy = Backend.copy

        def write(
            self,
            path: str,
            content: WritableContent,
            *,
            overwrite: bool = False,
            metadata: Mapping[str, str] | None = None,
            if_match: str | None = None,
            content_type: str | None = None,
        ) -> WriteResult: ...

        write_atomic = write


W = TypeVar("W", bound=BackendBase)


class Wrapping(BackendBase, Generic[W]):
    """A backend around another: what needs no I/O goes straight through."""

    def __init__(self, inner: W) -> None:
        self._inner = inner
        self.concurrency = inner.concurrency
        self.close_is_terminal = self.close_is_terminal or inner.close_is_terminal

    @property
    def inner(self) -> W:
        return self._inner

    @property
    def identity(self) -> object:
        return self._inner.identity

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def capabilities(self) -> CapabilitySet:
        return self._inner.capabilities

    def claiming(self, capabilities: CapabilitySet) -> Self:
        twin = super().claiming(capabilities)
        twin._inner = self._inner.claiming(capabilities)
        return twin

    def to_key(self, native_path: str) -> str:
        return self._inner.to_key(native_path)

    def native_path(self, path: str) -> str:
        return self._inner.native_path(path)

    def contains(self, native_path: str) -> bool:
        return self._inner.contains(native_path)

    def resolve(self, path: str) -> ResolutionPlan:
        return self._inner.resolve(path)

    def unwrap(self, type_hint: type[T]) -> T:
        return self._inner.unwrap(type_hint)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self).get('_inner')!r})"
