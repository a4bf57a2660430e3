"""The synchronous store: validate, gate, re-root, delegate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from remote_store._backend import Backend, WritableContent
from remote_store._content import check_content, encode
from remote_store._errors import NotFound
from remote_store._models import FileInfo, FolderEntry, FolderInfo, FolderTotals, WriteResult, as_head
from remote_store._paths import RemotePath, check_depth, check_range, key_of
from remote_store._scope import StoreBase, foreign_errors
from remote_store._streams import ScopedStream
from remote_store._writers import ScopedWriter

if TYPE_CHECKING:
    from remote_store.interop import StoreFileSystem

Path = str | RemotePath


class Store(StoreBase[Backend]):
    """Files and folders below a root, with the same behaviour on every storage.

    Paths are `/`-separated and relative to the root; `""` and `"."` name the root itself. A store is immutable and
    may be shared by threads.

    Args:
        backend: what stores the files.
        root_path: folder of the backend that is the root.

    Raises:
        InvalidPath: `root_path` is malformed.

    Example:
        >>> store = Store.from_url("memory://doc")
        >>> store.write("a/b.bin", b"123", overwrite=True).size
        3
        >>> [str(file.path) for file in store.list_files("a")]
        ['a/b.bin']
    """

    def __init__(self, backend: Backend, root_path: Path = "") -> None:
        if getattr(type(backend), "is_async", False) is True:
            raise TypeError("an asynchronous backend needs AsyncStore, or AsyncBackendSyncAdapter around it")
        self._set_up(backend, root_path, owns=True)

    @classmethod
    def from_url(cls, url: str, **storage_options: Any) -> Self:
        """A store at any URL fsspec knows, chained ones included; its path becomes the root.

        Args:
            url: such as `"data/in"`, `"memory://x"`, `"zip://inner::file:///x.zip"`.
            storage_options: for the filesystem, as in `fsspec.open`.

        Raises:
            ValueError: malformed, an unknown protocol, or an option the filesystem does not take.
            ImportError: the filesystem's package is not installed; the message names what to install.
            RemoteStoreError: a filesystem that connects at once could not.
        """
        from remote_store._urls import backend_from_url

        return cls(backend_from_url(url, storage_options))

    # --- questions

    def exists(self, path: Path) -> bool:
        """Whether a file or folder is there; the root always is.

        Raises:
            PermissionDenied: the storage does not say.
            BackendUnavailable: it cannot be asked.
        """
        key = self._key(path)
        if key == self._root:
            return True
        with self._errors:
            return self._backend.exists(key)

    def is_file(self, path: Path) -> bool:
        """Whether a file is there; raises as `exists` does."""
        key = self._key(path)
        if key == self._root:
            return False
        with self._errors:
            return self._backend.is_file(key)

    def is_folder(self, path: Path) -> bool:
        """Whether a folder is there; the root always is; raises as `exists` does."""
        key = self._key(path)
        if key == self._root:
            return True
        with self._errors:
            return self._backend.is_folder(key)

    def get_file_info(self, path: Path) -> FileInfo:
        """Describe a file.

        Raises:
            InvalidPath: it is a folder.
            NotFound: nothing is there.
        """
        key = self._file("get_file_info", path)
        with self._errors:
            info: FileInfo = self._own(self._backend.get_file_info(key))
        return info

    def head(self, path: Path) -> WriteResult:
        """What a write would have told about a file: a `WriteResult` with source `"sidecar"`."""
        self._require("head", path)
        return as_head(self.get_file_info(path))

    def get_folder_info(self, path: Path, *, max_depth: int | None = None) -> FolderInfo:
        """Totals over the files below a folder; the root is empty rather than missing.

        Args:
            path: the folder.
            max_depth: levels to count, 0 for direct children only; all when None.

        Raises:
            InvalidPath: it is a file.
            NotFound: nothing is there.
            ValueError: negative `max_depth`.
        """
        key = self._folder("get_folder_info", path)
        if max_depth is not None:
            return self._shallow_info(path, key, max_depth)
        try:
            with self._errors:
                info: FolderInfo = self._own(self._backend.get_folder_info(key))
        except NotFound as error:
            return self._empty_root(key, error)
        return info

    def _shallow_info(self, path: Path, key: str, max_depth: int) -> FolderInfo:
        totals = FolderTotals()
        for file in self.list_files(path, max_depth=max_depth):
            totals.add(file)
        if not totals.count and key:
            with self._errors:
                if not self.is_folder(path):
                    raise self._not_a_folder(key, self._backend.is_file(key))
        return totals.info(key_of(path))

    def ping(self) -> None:
        """Ask the service, and the container this store needs, whether they can be used.

        Raises:
            PermissionDenied: bad credentials.
            NotFound: no such container.
            BackendUnavailable: no answer.
        """
        with self._errors:
            self._backend.check_health()

    # --- reading

    def read(self, path: Path) -> BinaryIO:
        """A binary stream at 0; close it, or use it in a `with` block.

        Raises:
            InvalidPath: it is a folder.
            NotFound: nothing is there.
        """
        key = self._file("read", path)
        with self._errors:
            return self._stream(self._backend.read(key))

    def read_seekable(self, path: Path) -> BinaryIO:
        """A seekable binary stream on every backend: native, or spooled to a temporary file."""
        key = self._file("read_seekable", path)
        with self._errors:
            return self._stream(self._backend.read_seekable(key))

    def _stream(self, stream: BinaryIO) -> BinaryIO:
        return ScopedStream(stream, self._errors) if self._root else stream  # type: ignore[return-value]

    def read_bytes(self, path: Path) -> bytes:
        """The whole content.

        Raises:
            InvalidPath: it is a folder.
            NotFound: nothing is there.
        """
        key = self._file("read_bytes", path)
        with self._errors:
            return self._backend.read_bytes(key)

    def read_text(self, path: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The whole content, decoded; raises as `read_bytes` does, and UnicodeDecodeError."""
        self._require("read_text", path)
        return self.read_bytes(path).decode(encoding, errors)

    def read_range(self, path: Path, start: int, end: int, *, if_match: str | None = None) -> bytes:
        """Bytes `[start, end)`, fewer where the file ends.

        Args:
            path: of the file.
            start: first byte.
            end: the byte after the last.
            if_match: read only the file that has this etag; needs CONDITIONAL_WRITE.

        Raises:
            ValueError: not `0 <= start <= end`.
            PreconditionFailed: `if_match` does not match, or the file is gone.
        """
        key, options = self._target("read_range", path, None, if_match)
        check_range(start, end)
        with self._errors:
            return self._backend.read_range(key, start, end, **options)

    # --- writing

    def write(
        self,
        path: Path,
        content: WritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteResult:
        """Create a file, and the folders above it.

        Args:
            path: of the file.
            content: bytes, or a binary file that is read to its end.
            overwrite: replace what is there.
            metadata: user metadata: ASCII keys without a leading underscore, str values, 2,048 bytes in all.
            if_match: replace only the file that has this etag.

        Raises:
            ValueError: the shape of `metadata`.
            CapabilityNotSupported: the backend lacks WRITE, USER_METADATA or CONDITIONAL_WRITE.
            InvalidPath: the root, a folder, or below a file.
            AlreadyExists: the file exists and `overwrite` is false.
            PreconditionFailed: `if_match` does not match.
        """
        key, options = self._target("write", path, metadata, if_match)
        content = self._content(content)
        with self._errors:
            result: WriteResult = self._own(self._backend.write(key, content, overwrite=overwrite, **options))
        return result

    def write_text(
        self,
        path: Path,
        text: str,
        *,
        encoding: str = "utf-8",
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteResult:
        """`write` of an encoded text; other arguments and errors as there."""
        self._target("write_text", path, metadata, if_match)
        content = encode(text, encoding)
        return self.write(path, content, overwrite=overwrite, metadata=metadata, if_match=if_match)

    def write_atomic(
        self,
        path: Path,
        content: WritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteResult:
        """`write` where a reader sees the old content or the new, and a failed writer leaves the old.

        Arguments and errors as in `write`; needs ATOMIC_WRITE.
        """
        key, options = self._target("write_atomic", path, metadata, if_match)
        content = self._content(content)
        with self._errors:
            result: WriteResult = self._own(self._backend.write_atomic(key, content, overwrite=overwrite, **options))
        return result

    def open_atomic(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> AbstractContextManager[Any]:
        """A binary writer for a `with` block: published when the block ends, discarded when it raises.

        The writer's `result` is the `WriteResult` after the block. Arguments and errors as in `write`.
        """
        key, options = self._target("open_atomic", path, metadata, if_match)
        return self._open_atomic(key, overwrite, options)

    @contextmanager
    def _open_atomic(self, key: str, overwrite: bool, options: dict[str, Any]) -> Iterator[Any]:
        writer: Any = None
        with self._errors, self._backend.open_atomic(key, overwrite=overwrite, **options) as file:
            writer = ScopedWriter(file, self._errors) if self._root else file
            with foreign_errors:
                yield writer
        writer.result = self._own(file.result)

    def _content(self, content: WritableContent) -> WritableContent:
        """Content, checked; its own errors must keep their paths."""
        if isinstance(content, bytes):
            return content
        checked = check_content(content)
        return checked if isinstance(checked, bytes) else ScopedStream(checked, foreign_errors, owns=False)  # type: ignore[return-value]

    # --- deleting

    def delete(self, path: Path, *, missing_ok: bool = False) -> None:
        """Remove a file.

        Raises:
            InvalidPath: it is a folder, even with `missing_ok`.
            NotFound: nothing is there.
        """
        key = self._file("delete", path)
        with self._errors:
            self._backend.delete(key, missing_ok=missing_ok)

    def delete_folder(self, path: Path, *, recursive: bool = False, missing_ok: bool = False) -> None:
        """Remove a folder.

        Raises:
            InvalidPath: it is a file, or the root.
            NotFound: nothing is there.
            DirectoryNotEmpty: it has content and `recursive` is false.
        """
        key = self._deletable(path)
        with self._errors:
            self._backend.delete_folder(key, recursive=recursive, missing_ok=missing_ok)

    # --- listing

    def list_files(
        self, path: Path = "", *, recursive: bool = False, pattern: str | None = None, max_depth: int | None = None
    ) -> Iterator[FileInfo]:
        """Files of a folder, lazily, in no particular order; none where there is no folder.

        Args:
            path: the folder.
            recursive: all files below it.
            pattern: `fnmatch` pattern that names must match.
            max_depth: levels below the folder, 0 for direct children; `recursive` does not matter then.

        Raises:
            ValueError: negative `max_depth`.
        """
        key = self._folder("list_files", path)
        check_depth(max_depth)
        if max_depth is None:
            return self._each(lambda: self._backend.list_files(key, recursive=recursive), pattern)
        return self._each(lambda: self._backend.list_files(key, recursive=max_depth > 0, max_depth=max_depth), pattern)

    def list_folders(
        self, path: Path = "", *, pattern: str | None = None, max_depth: int | None = None
    ) -> Iterator[FolderEntry]:
        """Folders of a folder, lazily; arguments as in `list_files`."""
        key = self._folder("list_folders", path)
        check_depth(max_depth)
        if max_depth is None:
            return self._each(lambda: self._backend.list_folders(key), pattern)
        return self._each(lambda: self._backend.walk_folders(key, max_depth), pattern)

    def iter_children(self, path: Path = "") -> Iterator[FileInfo | FolderEntry]:
        """Files and folders of a folder in one pass."""
        key = self._folder("iter_children", path)
        return self._each(lambda: self._backend.iter_children(key), None)

    def glob(self, pattern: str) -> Iterator[FileInfo]:
        """Files whose path matches: `*`, `?`, `[a]`, `[!a]` within a segment, `**` for any number of segments.

        Raises:
            ValueError: `**` inside a segment.
            InvalidPath: an empty or malformed pattern.
        """
        rooted = self._pattern(pattern)
        return self._each(lambda: self._backend.glob(rooted), None)

    def _each(self, start: Callable[[], Iterator[Any]], pattern: str | None) -> Iterator[Any]:
        matches = self._named(pattern)
        with self._errors:
            return self._items(start(), matches)

    def _items(self, items: Iterator[Any], matches: Callable[[str], object]) -> Iterator[Any]:
        try:
            with self._errors:
                for item in items:
                    if matches(item.name):
                        yield self._own(item)
        finally:
            if hasattr(items, "close"):
                items.close()

    # --- moving

    def move(self, src: Path, dst: Path, *, overwrite: bool = False) -> None:
        """Rename a file; its user metadata goes along. To its own path it does nothing.

        Raises:
            InvalidPath: either is the root or a folder, or `dst` is below a file.
            NotFound: `src` is missing.
            AlreadyExists: `dst` exists and `overwrite` is false.
        """
        self._transfer("move", src, dst, overwrite)

    def copy(self, src: Path, dst: Path, *, overwrite: bool = False) -> None:
        """Duplicate a file with its user metadata; raises as `move` does."""
        self._transfer("copy", src, dst, overwrite)

    def _transfer(self, verb: str, src: Path, dst: Path, overwrite: bool) -> None:
        source, target = self._file(verb, src), self._file(verb, dst)
        with self._errors:
            if source != target:
                getattr(self._backend, verb)(source, target, overwrite=overwrite)
            elif not self._backend.is_file(source):
                raise self._not_a_file(source, self._backend.is_folder(source))

    def to_fsspec(self) -> StoreFileSystem:
        """This store as an fsspec filesystem, for pandas, Dask, pyarrow and others: see `remote_store.interop`."""
        from remote_store.interop import StoreFileSystem

        return StoreFileSystem(self)

    # --- life

    def close(self) -> None:
        """Let go of connections; a child's does nothing."""
        if self._owns:
            self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
