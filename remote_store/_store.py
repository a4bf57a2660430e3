"""The synchronous store: validate, gate, re-root, delegate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

from remote_store._backend import Backend, WritableContent
from remote_store._methods import check_keywords
from remote_store._models import WriteResult
from remote_store._paths import file_key
from remote_store._store_base import caller_errors
from remote_store._store_reading import Path, ReadingStore
from remote_store.io.content import check_content, encode
from remote_store.io.files import AtomicWriter, ScopedWriter
from remote_store.io.streams import ScopedStream

if TYPE_CHECKING:
    from remote_store.interop import StoreFileSystem


class Store(ReadingStore):
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
        self._set_up(backend, root_path, closes_backend=True)

    @classmethod
    def from_url(cls, url: str, **storage_options: Any) -> Self:
        """A store at any URL fsspec knows, chained ones included; its path becomes the root.

        Args:
            url: such as `"data/in"`, `"memory://x"`, `"zip://inner::file:///x.zip"`.
            storage_options: for the filesystem, as in `fsspec.open`.

        Raises:
            ValueError: malformed, an unknown protocol, or an option the filesystem does not take.
            TypeError: `url` is no str, such as a path object.
            ImportError: the filesystem's package is not installed; the message names what to install.
            RemoteStoreError: a filesystem that connects at once could not.
        """
        from remote_store._urls import backend_from_url

        return cls(backend_from_url(url, storage_options))

    # --- writing

    def write(
        self,
        path: Path,
        content: WritableContent | Iterable[bytes],
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> WriteResult:
        """Create a file, and the folders above it.

        Args:
            path: of the file.
            content: bytes, a binary file that is read to its end, or an iterable of bytes.
            overwrite: replace what is there.
            metadata: user metadata: ASCII keys without a leading underscore, str values, 2,048 bytes in all.
            if_match: replace only the file that has this etag.
            content_type: media type, such as `"text/csv; charset=utf-8"`.

        Raises:
            ValueError: the shape of `metadata` or of `content_type`.
            CapabilityNotSupported: the backend lacks WRITE, USER_METADATA, CONDITIONAL_WRITE or CONTENT_TYPE.
            InvalidPath: the root, a folder, or below a file.
            AlreadyExists: the file exists and `overwrite` is false.
            PreconditionFailed: `if_match` does not match.
        """
        return self._put(
            "write", path, content, overwrite, metadata=metadata, if_match=if_match, content_type=content_type
        )

    def write_text(
        self,
        path: Path,
        text: str,
        *,
        encoding: str = "utf-8",
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> WriteResult:
        """`write` of an encoded text; other arguments and errors as there."""
        self._target("write_text", path, metadata=metadata, if_match=if_match, content_type=content_type)
        content = encode(text, encoding)
        return self.write(
            path, content, overwrite=overwrite, metadata=metadata, if_match=if_match, content_type=content_type
        )

    def write_atomic(
        self,
        path: Path,
        content: WritableContent | Iterable[bytes],
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> WriteResult:
        """`write` where a reader sees the old content or the new, and a failed writer leaves the old.

        Arguments and errors as in `write`; needs ATOMIC_WRITE.
        """
        return self._put(
            "write_atomic", path, content, overwrite, metadata=metadata, if_match=if_match, content_type=content_type
        )

    def _put(
        self, method: str, path: Path, content: WritableContent | Iterable[bytes], overwrite: bool, **keywords: Any
    ) -> WriteResult:
        backend = self._backend
        given = check_keywords(method, backend.capabilities, backend.name, path, keywords)
        key, content = self._key(path, file_key), self._content(content)
        with self._errors:
            written = getattr(backend, method)(key, content, overwrite=overwrite, **given)
        result: WriteResult = self._reroot(written)
        return result

    def open_atomic(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
        seekable: bool = False,
    ) -> AbstractContextManager[AtomicWriter]:
        """A binary writer for a `with` block: published when the block ends, discarded when it raises.

        The writer's `result` is the `WriteResult` after the block. Other arguments and errors as in `write`.

        Args:
            path: of the file.
            overwrite: as in `write`, like the next three.
            metadata: see there.
            if_match: see there.
            content_type: see there.
            seekable: a writer that also seeks, tells, reads and truncates, by way of a temporary file where need be.

        Example:
            >>> import zipfile
            >>> store = Store.from_url("memory://doc")
            >>> with store.open_atomic("a.zip", overwrite=True, seekable=True) as file:
            ...     with zipfile.ZipFile(file, "w") as archive:
            ...         archive.writestr("b.txt", "content")
        """
        key, options = self._target(
            "open_atomic", path, metadata=metadata, if_match=if_match, content_type=content_type
        )
        if seekable:
            options["seekable"] = True
        return self._open_atomic(key, overwrite, options)

    @contextmanager
    def _open_atomic(self, key: str, overwrite: bool, options: dict[str, Any]) -> Iterator[AtomicWriter]:
        with self._errors, self._backend.open_atomic(key, overwrite=overwrite, **options) as file:
            writer = cast("AtomicWriter", ScopedWriter(file, self._errors)) if self._root else file
            with caller_errors:
                yield writer
        writer.result = self._reroot(file.result)

    def _content(self, content: WritableContent | Iterable[bytes]) -> WritableContent:
        """Content, checked; its own errors must keep their paths."""
        if isinstance(content, bytes):
            return content
        checked = check_content(content)
        return checked if isinstance(checked, bytes) else ScopedStream(checked, caller_errors, owns=False)  # type: ignore[return-value]

    def update(
        self, path: Path, function: Callable[[bytes | None], WritableContent | Iterable[bytes]], *, attempts: int = 10
    ) -> WriteResult:
        """Change a file by what it holds, so that no change of others is lost.

        Reads the content, calls `function` with it (None where there is no file), and writes what it returns, on
        condition that nobody wrote meanwhile. Where somebody did, all of it is done again after a pause of up to two
        seconds, which differs from caller to caller. User metadata and content type stay.

        Args:
            path: of the file.
            function: makes the new content; it may be called several times.
            attempts: how often at most.

        Raises:
            ValueError: no attempts.
            CapabilityNotSupported: the backend lacks CONDITIONAL_WRITE, EXCLUSIVE_CREATE, METADATA, READ or WRITE.
            PreconditionFailed: others were first in every attempt.

        Example:
            >>> store = Store.from_url("memory://doc")
            >>> store.update("counter", lambda content: b"%d" % (int(content or b"0") + 1)).size
            1
        """
        from remote_store._updating import update
        from remote_store.io.streams import run_to_end

        self._check_update(path)
        result: WriteResult = run_to_end(update(self, path, function, attempts))
        return result

    # --- deleting

    def delete(self, path: Path, *, missing_ok: bool = False) -> None:
        """Remove a file.

        Raises:
            InvalidPath: it is a folder, even with `missing_ok`.
            NotFound: nothing is there.
        """
        key = self._key_for("delete", path)
        with self._errors:
            self._backend.delete(key, missing_ok=missing_ok)

    def delete_folder(self, path: Path, *, recursive: bool = False, missing_ok: bool = False) -> None:
        """Remove a folder.

        Raises:
            InvalidPath: it is a file, or the root.
            NotFound: nothing is there.
            DirectoryNotEmpty: it has content and `recursive` is false.
        """
        key = self._key_for("delete_folder", path)
        with self._errors:
            self._backend.delete_folder(key, recursive=recursive, missing_ok=missing_ok)

    # --- moving

    def move(self, src: Path, dst: Path, *, overwrite: bool = False) -> None:
        """Rename a file; its user metadata and content type go along. To its own path it does nothing.

        Args:
            src: path of the file.
            dst: its new path; the folders above are made.
            overwrite: replace the file at `dst`, if there is one.

        Raises:
            InvalidPath: either is the root or a folder, or `dst` is below a file.
            NotFound: `src` is missing.
            AlreadyExists: `dst` exists and `overwrite` is false.
        """
        self._transfer("move", src, dst, overwrite)

    def copy(self, src: Path, dst: Path, *, overwrite: bool = False) -> None:
        """Duplicate a file with its user metadata and content type; arguments and errors as of `move`."""
        self._transfer("copy", src, dst, overwrite)

    def _transfer(self, verb: str, src: Path, dst: Path, overwrite: bool) -> None:
        source, target = self._key_for(verb, src), self._key_for(verb, dst)
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
        if self._closes_backend:
            self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
