"""Files in memory, in fsspec's own structures, so that fsspec sees what a store writes and the reverse."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from remote_store import _fork
from remote_store._errors import (
    RemoteStoreError,
    etag_differs,
    file_missing,
    folder_missing,
    found_file,
    found_file_above,
    found_folder,
    not_empty,
    target_exists,
)
from remote_store._models import FileInfo, FolderEntry, file_info, folder_entry
from remote_store._paths import join
from remote_store.drivers.base import FILE, FOLDER, Driver, EntryKind, Page, Sink, Want, WriteOptions
from remote_store.drivers.memory.tree import Folders
from remote_store.drivers.profiles import MEMORY
from remote_store.drivers.trees.walk import walk
from remote_store.io.streams import BytesReader

_serial = itertools.count(1)
_NOTHING = None, None
"""What a store keeps of a file, metadata and content type, where others wrote it."""


def _new_file(fs: MemoryFileSystem, path: str, data: bytes, options: WriteOptions) -> MemoryFile:
    """What `MemoryFile(fs, path, data)` makes, without its log call, and with what a store keeps of a file."""
    file = MemoryFile.__new__(MemoryFile)
    io.BytesIO.__init__(file, data)
    file.fs, file.path, file.kept, file.serial = fs, path, (options.metadata, options.content_type), next(_serial)
    file.created = file.modified = file.written = dt.datetime.now(tz=dt.UTC)
    return file


class _Locks:
    """The lock of the process-wide tree; a child forked while it was held gets a new one.

    Attributes:
        moving: whether a file is being moved, the only change in two steps. Readers take no lock otherwise; they
            wait for the end of a move.
    """

    def __init__(self) -> None:
        self.after_fork()
        _fork.watch(self)

    def after_fork(self) -> None:
        self.tree, self.moving = threading.RLock(), False

    def settle(self) -> None:
        """Wait until nothing is being moved."""
        with self.tree:
            pass


_shared = _Locks()


class _MemorySink(Sink):
    def __init__(self, driver: MemoryDriver, key: str, options: WriteOptions) -> None:
        self._driver, self._key, self._options = driver, key, options
        self._pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self._pieces.append(data)

    async def commit(self) -> Mapping[str, Any]:
        return await self._driver.put(self._key, b"".join(self._pieces), self._options)

    async def abort(self) -> None:
        self._pieces.clear()


class MemoryDriver(Driver):
    """Files below `root` in the tree of an fsspec memory filesystem."""

    profile = MEMORY
    capabilities = MEMORY.capabilities
    survives_fork = True
    runs = "inline"

    def __init__(self, fs: MemoryFileSystem, root: str = "", name: str = "memory") -> None:
        super().__init__(name, "/" + root.strip("/") if root.strip("/") else "")
        self._fs = fs
        self._prefix = self.root + "/"
        self._files: dict[str, MemoryFile] = fs.store
        self._locks = _shared if fs.store is MemoryFileSystem.store else _Locks()

    @property
    def fs(self) -> MemoryFileSystem:
        return self._fs

    def native(self, key: str) -> str:
        return self._prefix + key if key else self.root or "/"

    def key(self, native: str) -> str | None:
        path = "/" + native.removeprefix("memory://").strip("/")
        if path == (self.root or "/"):
            return ""
        return path[len(self._prefix) :] if path.startswith(self._prefix) else None

    # --- the tree

    def _is_folder(self, path: str) -> bool:
        folders = self._fs.pseudo_dirs
        if path in folders:
            return True
        if isinstance(folders, Folders):
            return False
        below = path + "/"
        return any(other.startswith(below) for other in (*tuple(self._files), *tuple(folders)))

    def _children(self, path: str) -> Iterable[str]:
        """Names in a folder."""
        folders = self._fs.pseudo_dirs
        if isinstance(folders, Folders):
            return tuple(folders.children.get(path, ()))
        below = path + "/"
        start = len(below)
        paths = (*tuple(self._files), *tuple(folders))
        return dict.fromkeys(other[start:].partition("/")[0] for other in paths if other.startswith(below))

    def _add_folders(self, path: str) -> None:
        """Make `path` and the folders above it, so that they outlive the files in them."""
        folders = self._fs.pseudo_dirs
        while path and path not in folders:
            folders.append(path)
            path = path.rpartition("/")[0]

    def _check_free(self, key: str, path: str) -> None:
        """Refuse a new file that is a folder or below a file."""
        if self._is_folder(path):
            raise found_folder(key, self.name)
        parent = path.rpartition("/")[0]
        while parent and not self._is_folder(parent):
            if parent in self._files:
                raise found_file_above(key, self.name)
            parent = parent.rpartition("/")[0]

    def _missing(self, key: str) -> RemoteStoreError:
        return (found_folder if self._is_folder(self._prefix + key) else file_missing)(key, self.name)

    @staticmethod
    def _etag(file: MemoryFile) -> str:
        """Changes with every write, those of others through fsspec included."""
        if getattr(file, "written", None) is file.modified:
            return f"{file.serial:x}"
        return f"{id(file):x}-{file.modified.timestamp():.6f}-{file.size:x}"

    def _describe(self, key: str, file: MemoryFile, *, listed: bool = False) -> FileInfo:
        metadata, content_type = getattr(file, "kept", _NOTHING)
        kept = dict(metadata) if metadata and not listed else None
        return file_info(key, file.size, file.modified, self._etag(file), content_type, kept)

    # --- verbs

    def _find(self, key: str) -> MemoryFile | None:
        """A file, or None; waits while files are being moved."""
        if self._locks.moving:
            self._locks.settle()
        return self._files.get(self._prefix + key)

    async def kind(self, key: str) -> EntryKind | None:
        if self._find(key) is not None:
            return FILE
        return FOLDER if self._is_folder(self._prefix + key) else None

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        file = self._find(key)
        if file is not None:
            return self._describe(key, file)
        return folder_entry(key) if self._is_folder(self._prefix + key) else None

    def _data(self, key: str, etag: str | None = None) -> bytes:
        file = self._find(key)
        if file is None and etag is None:
            raise self._missing(key)
        if file is None or (etag is not None and self._etag(file) != etag):
            raise (found_folder if self._is_folder(self._prefix + key) else etag_differs)(key, self.name)
        data: bytes = file.getvalue()
        return data

    async def read_bytes(self, key: str) -> bytes:
        return self._data(key)

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        return self._data(key)[start:end]

    async def read_matching(self, key: str, start: int, end: int, etag: str) -> bytes:
        return self._data(key, etag)[start:end]

    async def open_read(self, key: str) -> BytesReader:
        return BytesReader(self._data(key))

    async def open_part(self, key: str, start: int, end: int | None, etag: str | None = None) -> BytesReader:
        return BytesReader(self._data(key, etag)[start:end])

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        path = self._prefix + key
        file = _new_file(self._fs, path, data, options)
        with self._locks.tree:
            self._check_target(key, path, options)
            self._files[path] = file
        return {"etag": self._etag(file), "last_modified": file.modified}

    def _check_target(self, key: str, path: str, options: WriteOptions) -> None:
        old = self._files.get(path)
        if old is None:
            self._check_free(key, path)
            if options.if_match is not None:
                raise etag_differs(key, self.name)
            self._add_folders(path.rpartition("/")[0])
        elif not options.replaces:
            raise target_exists(key, self.name)
        elif options.if_match is not None and options.if_match != self._etag(old):
            raise etag_differs(key, self.name)

    async def open_write(self, key: str, options: WriteOptions) -> _MemorySink:
        with self._locks.tree:
            old = self._files.get(self._prefix + key)
            if old is None:
                self._check_free(key, self._prefix + key)
            elif not options.replaces:
                raise target_exists(key, self.name)
        return _MemorySink(self, key, options)

    async def remove(self, key: str) -> None:
        with self._locks.tree:
            if self._files.pop(self._prefix + key, None) is None:
                raise self._missing(key)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        path = self._prefix + key
        with self._locks.tree:
            if path in self._files:
                raise found_file(key, self.name)
            if not self._is_folder(path):
                raise folder_missing(key, self.name)
            if not recursive and any(True for _ in self._children(path)):
                raise not_empty(key, self.name)
            below = path + "/"
            for other in [other for other in self._files if other.startswith(below)]:
                del self._files[other]
            folders = self._fs.pseudo_dirs
            for other in sorted((o for o in folders if o == path or o.startswith(below)), key=len, reverse=True):
                folders.remove(other)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        with self._locks.tree:
            file = self._source(src)
            metadata, content_type = getattr(file, "kept", _NOTHING)
            await self.put(dst, file.getvalue(), WriteOptions(overwrite, metadata, None, content_type))

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        target = self._prefix + dst
        with self._locks.tree:
            file = self._source(src)
            self._check_target(dst, target, WriteOptions(overwrite))
            self._locks.moving = True
            try:
                self._files[target] = file
                file.path = target
                del self._files[self._prefix + src]
            finally:
                self._locks.moving = False

    def _source(self, key: str) -> MemoryFile:
        file = self._files.get(self._prefix + key)
        if file is None:
            raise self._missing(key)
        return file

    async def _entries(self, folder: str) -> Iterable[tuple[str, FileInfo | FolderEntry]]:
        """Names in a folder and what they are, as of one moment."""
        path = self._prefix + folder if folder else self.root
        with self._locks.tree:
            found = [(name, self._files.get(f"{path}/{name}")) for name in self._children(path)]
        return (
            (name, self._describe(join(folder, name), file, listed=True) if file else folder_entry(join(folder, name)))
            for name, file in found
        )

    def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        return walk(self._entries, key, max_depth, want, self.name)

    async def check(self) -> None:
        """Memory is always there."""
