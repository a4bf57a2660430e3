"""The half of the synchronous store that asks and reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from remote_store._backend import Backend
from remote_store._errors import NotFound, RemoteStoreError
from remote_store._models import FileInfo, FolderEntry, FolderInfo, FolderTotals, SignedMethod, WriteResult, as_head
from remote_store._paths import RemotePath, check_range, file_key, key_of
from remote_store._store_base import StoreBase
from remote_store.io.streams import ScopedStream

Path = str | RemotePath


class ReadingStore(StoreBase[Backend]):
    """The questions, the reads and the listings of a `Store`."""

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
        key = self._key_for("get_file_info", path)
        try:  # A `with` block would show in the time of a local call.
            info = self._backend.get_file_info(key)
        except RemoteStoreError as error:
            self._errors.take(error)
            raise
        return self._reroot(info) if self._root else info

    def head(self, path: Path) -> WriteResult:
        """A file's size, etag and times as a `WriteResult`, with source `"sidecar"`."""
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
        key = self._key_for("get_folder_info", path)
        if max_depth is not None:
            return self._shallow_info(path, key, max_depth)
        try:
            with self._errors:
                info: FolderInfo = self._reroot(self._backend.get_folder_info(key))
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

    def read(self, path: Path, *, start: int = 0, end: int | None = None, if_match: str | None = None) -> BinaryIO:
        """Open a file: a binary stream of its content, to be used in a `with` block, or closed.

        Args:
            path: of the file.
            start: first byte; the stream is of the bytes `[start, end)`, fewer where the file ends.
            end: the byte after the last; the file's end unless given.
            if_match: read only the file that has this etag; needs CONDITIONAL_WRITE.

        Raises:
            ValueError: not `0 <= start <= end`.
            InvalidPath: it is a folder.
            NotFound: nothing is there.
            PreconditionFailed: `if_match` does not match, or the file is gone.

        Example:
            >>> from remote_store import Store
            >>> store = Store.from_url("memory://doc")
            >>> store.write("digits", b"0123456789", overwrite=True).size
            10
            >>> with store.read("digits", start=4, end=7) as stream:
            ...     stream.read()
            b'456'
        """
        key, options = self._part(path, start, end, if_match)
        with self._errors:
            return self._stream(self._backend.read(key, **options))

    def read_seekable(self, path: Path) -> BinaryIO:
        """A seekable binary stream on every backend: native, or spooled to a temporary file."""
        key = self._key_for("read_seekable", path)
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
        key = self._key_for("read_bytes", path)
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
        check_range(start, end)
        key, options = self._target("read_range", path, if_match=if_match)
        with self._errors:
            return self._backend.read_range(key, start, end, **options)

    def sign(self, path: Path, *, expires_in: int = 3600, method: SignedMethod = "GET") -> str:
        """A URL that lets whoever has it read or write one file, without other credentials.

        It is a secret until it expires. Nothing is asked of the storage, not even whether the file is there.

        Args:
            path: of the file.
            expires_in: how long the URL gives access [s]; S3 allows seven days.
            method: `"GET"` to read the file, `"PUT"` to write it.

        Raises:
            InvalidPath: the root.
            CapabilityNotSupported: the backend lacks SIGNED_URL, or its credentials cannot sign.
            ValueError: another method, or a time the service does not allow.

        Example:
            >>> url = store.sign("reports/may.pdf", expires_in=600)  # doctest: +SKIP
            >>> url = store.sign("inbox/may.pdf", method="PUT")  # doctest: +SKIP
        """
        key = self._key(path, file_key)
        self._require("sign", path)
        with self._errors:
            return self._backend.sign(key, expires_in=expires_in, method=method)

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
        return self._each(self._listing("list_files", path, max_depth, recursive=recursive), pattern)

    def list_folders(
        self, path: Path = "", *, pattern: str | None = None, max_depth: int | None = None
    ) -> Iterator[FolderEntry]:
        """Folders of a folder, lazily; arguments as in `list_files`."""
        return self._each(self._listing("list_folders", path, max_depth), pattern)

    def iter_children(self, path: Path = "") -> Iterator[FileInfo | FolderEntry]:
        """Files and folders of a folder in one pass."""
        return self._each(self._listing("iter_children", path), None)

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
                        yield self._reroot(item)
        finally:
            if hasattr(items, "close"):
                items.close()
