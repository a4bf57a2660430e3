"""Any fsspec filesystem as a backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO

from remote_store._backend import Backend, WritableContent
from remote_store._capabilities import Capability
from remote_store._models import FileInfo, FolderEntry, FolderInfo, WriteResult
from remote_store._paths import check_depth, check_range
from remote_store._streams import AtomicFile, read_stream
from remote_store.backends._engine import EngineBackend, depth
from remote_store.drivers.base import Driver, Want
from remote_store.drivers.profiles import GENERIC
from remote_store.drivers.registry import driver_for
from remote_store.engine.run import Inline, OnLoop, iterate


class DriverBackend(EngineBackend, Backend):
    """A synchronous backend over a driver."""

    @cached_property
    def _run(self) -> Inline | OnLoop:
        return OnLoop(self._driver.fs.loop) if self._driver.runs == "native" else Inline()

    def exists(self, path: str) -> bool:
        return self._run(self._engine.exists(self._key(path)))

    def is_file(self, path: str) -> bool:
        return self._run(self._engine.is_file(self._key(path)))

    def is_folder(self, path: str) -> bool:
        return self._run(self._engine.is_folder(self._key(path)))

    def read(self, path: str) -> BinaryIO:
        reader = self._run(self._engine.open_read(self._file(path)))
        try:
            return read_stream(reader, self._run, Capability.SEEKABLE_READ in self.capabilities)
        except BaseException:
            self._run(reader.close())
            raise

    def read_bytes(self, path: str) -> bytes:
        return self._run(self._engine.read_bytes(self._file(path)))

    def read_range(self, path: str, start: int, end: int) -> bytes:
        check_range(start, end)
        return self._run(self._engine.read_range(self._file(path), start, end))

    def write(
        self,
        path: str,
        content: WritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteResult:
        return self._write("write", path, content, overwrite, metadata, if_match)

    def write_atomic(
        self,
        path: str,
        content: WritableContent,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> WriteResult:
        return self._write("write_atomic", path, content, overwrite, metadata, if_match)

    def _write(
        self,
        method: str,
        path: str,
        content: WritableContent,
        overwrite: bool,
        metadata: Mapping[str, str] | None,
        if_match: str | None,
    ) -> WriteResult:
        options = self._options(method, path, overwrite, metadata, if_match)
        key = self._file(path)
        return self._run.with_content(lambda source: self._engine.write(key, source, options), content)

    @contextmanager
    def open_atomic(
        self,
        path: str,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Iterator[AtomicFile]:
        kept = self._options("open_atomic", path, overwrite, metadata, **options)
        file = AtomicFile(self._run(self._engine.open_upload(self._file(path), kept)), self._run)
        try:
            yield file
            file.commit()
        except BaseException:
            file.abort()
            raise

    def delete(self, path: str, *, missing_ok: bool = False) -> None:
        self._run(self._engine.delete(self._file(path), missing_ok))

    def delete_folder(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        self._run(self._engine.delete_folder(self._folder(path), recursive, missing_ok))

    def list_files(self, path: str, *, recursive: bool = False, max_depth: int | None = None) -> Iterator[FileInfo]:
        return self._list(path, depth(recursive, max_depth), "files")

    def list_folders(self, path: str) -> Iterator[FolderEntry]:
        return self._list(path, 0, "folders")

    def walk_folders(self, path: str, max_depth: int) -> Iterator[FolderEntry]:
        check_depth(max_depth)
        return self._list(path, max_depth, "folders")

    def iter_children(self, path: str) -> Iterator[FileInfo | FolderEntry]:
        return self._list(path, 0, "both")

    def glob(self, pattern: str) -> Iterator[FileInfo]:
        return iterate(self._engine.glob(pattern), self._run)

    def _list(self, path: str, max_depth: int | None, want: Want) -> Iterator[Any]:
        return iterate(self._engine.pages(self._key(path), max_depth, want), self._run)

    def get_file_info(self, path: str) -> FileInfo:
        return self._run(self._engine.get_file_info(self._file(path)))

    def get_folder_info(self, path: str) -> FolderInfo:
        return self._run(self._engine.get_folder_info(self._key(path)))

    def move(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        self._run(self._engine.transfer("move", self._file(src), self._file(dst), overwrite))

    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        self._run(self._engine.transfer("copy", self._file(src), self._file(dst), overwrite))

    def check_health(self) -> None:
        self._run(self._driver.check())

    def close(self) -> None:
        self._run(self._driver.close())


class FsspecBackend(DriverBackend):
    """A backend over an fsspec filesystem that you made yourself.

    A filesystem of a known kind gets its driver; any other gets the generic one, which trusts it with nothing.

    Args:
        fs: an fsspec filesystem; not one made with `asynchronous=True`.
        root: folder of it that is the root, as the filesystem spells it.

    Example:
        >>> import fsspec
        >>> from remote_store import FsspecBackend, Store
        >>> store = Store(FsspecBackend(fsspec.filesystem("memory"), "/reports"))
    """

    CAPABILITIES = GENERIC.capabilities

    def __init__(self, fs: Any, root: str = "", *, name: str | None = None) -> None:
        if getattr(fs, "asynchronous", False):
            raise ValueError("a filesystem made with asynchronous=True needs AsyncFsspecBackend and AsyncStore")
        self._recipe = (fs, root), {"name": name}
        self._fs, self._root, self._name = fs, root, name
        self._driver  # noqa: B018 (a filesystem that cannot be served is told now)
        self._watch_fork()

    def _make_driver(self) -> Driver:
        root = self._fs._strip_protocol(self._root) if self._root else ""
        return driver_for(self._fs, root, self._name)
