"""Local files: straight `os` calls, contained in a root, published whole.

Where a file really is, is read from its open descriptor, so neither a link nor a race leads out of the root.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import (
    InvalidPath,
    NotFound,
    RemoteStoreError,
    escapes_root,
    file_missing,
    folder_missing,
    is_file,
    is_folder,
    not_empty,
    not_regular,
)
from remote_store._models import FileInfo, FolderEntry, file_info, folder_entry
from remote_store.drivers import local_os
from remote_store.drivers.base import (
    FILE,
    FOLDER,
    Driver,
    Kind,
    Page,
    Want,
    WriteOptions,
    from_os_error,
)
from remote_store.drivers.local_tree import Scan, remove_empty, remove_tree
from remote_store.drivers.local_write import LocalSink, NewParent, check_replaceable
from remote_store.drivers.profiles import LOCAL

TEMP_PREFIX = LOCAL.temp_prefix
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
_UTC = dt.UTC
_from_timestamp = dt.datetime.fromtimestamp


class LocalReader:
    """An open local file."""

    def __init__(self, fd: int, driver: LocalDriver, key: str) -> None:
        self._fd, self._driver, self._key = fd, driver, key

    async def read(self, size: int) -> bytes:
        with self._driver.errors(self._key):
            return os.read(self._fd, size)

    async def seek(self, offset: int, whence: int) -> int:
        with self._driver.errors(self._key):
            try:
                return os.lseek(self._fd, offset, whence)
            except OSError as error:
                if error.errno == errno.EINVAL:
                    raise ValueError("negative seek position") from error
                raise

    async def close(self) -> None:
        os.close(self._fd)


class LocalDriver(Driver):
    """Files below `root` on this machine."""

    profile = LOCAL
    survives_fork = True

    def __init__(self, root: str, *, name: str = "local", create: bool = True, durable: bool = False) -> None:
        self.create, self.durable = create, durable
        super().__init__(name, os.path.realpath(root))
        if create:
            with self.errors("."):
                try:
                    os.makedirs(self.root, exist_ok=True)
                except (FileExistsError, NotADirectoryError) as error:
                    raise InvalidPath(f"Root {self.root!r} is not a folder", path=".", backend=name) from error
        self.prefix = self.root.rstrip("/") + "/"
        self.features = local_os.probe(self.root, TEMP_PREFIX)
        self.capabilities = CapabilitySet(LOCAL.capabilities - self.features.missing)
        self._keeps_metadata = Capability.USER_METADATA in self.capabilities

    @cached_property
    def fs(self) -> Any:
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(skip_instance_cache=True)

    def native(self, key: str) -> str:
        return self.prefix + key if key else self.root

    def key(self, native: str) -> str | None:
        path = native.removeprefix("file://").rstrip("/")
        if path == self.root.rstrip("/"):
            return ""
        return path[len(self.prefix) :] if path.startswith(self.prefix) else None

    def check_key(self, key: str) -> None:
        # Surrogates may spell the same bytes as a character (PEP 383); others cannot be encoded at all.
        try:
            same = os.fsdecode(os.fsencode(key)) == key
        except UnicodeEncodeError:
            same = False
        if not same:
            raise InvalidPath("Path cannot be encoded for this filesystem", path=key, backend=self.name)

    @contextmanager
    def errors(self, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, RemoteStoreError):
                raise
            raise from_os_error(error, key, self.name, writing=writing) from error

    # --- where things are

    def contains(self, fd: int, path: str) -> bool:
        """Whether the file or folder open as `fd` (by the name `path`) really lies below the root."""
        where = local_os.path_of(fd, path)
        return where.startswith(self.prefix) or where == self.root

    def _open(self, key: str) -> tuple[int, int]:
        """Descriptor and size of a regular file inside the root; never blocks on a fifo."""
        path = self.prefix + key
        try:
            fd = os.open(path, _READ)
        except OSError as error:
            raise self._unreadable(error, key) from error
        try:
            if not self.contains(fd, path):
                raise escapes_root(key, self.name)
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise (is_folder if stat.S_ISDIR(status.st_mode) else not_regular)(key, self.name)
        except BaseException:
            os.close(fd)
            raise
        return fd, status.st_size

    def _unreadable(self, error: OSError, key: str) -> RemoteStoreError:
        path = self.prefix + key
        if isinstance(error, FileNotFoundError) and os.path.islink(path):
            return not_regular(key, self.name)
        if isinstance(error, PermissionError) and not os.path.realpath(path).startswith(self.prefix):
            return escapes_root(key, self.name)
        return from_os_error(error, key, self.name)

    def open_folder(self, key: str, flags: int) -> int:
        """Descriptor of a folder inside the root."""
        path = self.native(key)
        fd = os.open(path, flags | os.O_DIRECTORY | os.O_CLOEXEC)
        if not self.contains(fd, path):
            os.close(fd)
            raise escapes_root(key, self.name)
        return fd

    def _locate(self, key: str) -> int | None:
        """Descriptor (O_PATH) of what `key` leads to inside the root; None where nothing is."""
        path = self.prefix + key
        try:
            fd = os.open(path, local_os.O_PATH | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            verdict = self._unreadable(error, key)
            if isinstance(verdict, NotFound):
                return None
            raise verdict from error
        if not self.contains(fd, path):
            os.close(fd)
            raise escapes_root(key, self.name)
        return fd

    def _peek(self, key: str) -> os.stat_result | None:
        """Status of an entry of the root itself, for half the cost: no folder in between could be a link."""
        if "/" in key:
            return None
        try:
            status = os.lstat(self.prefix + key)
        except OSError:
            return None
        return None if stat.S_ISLNK(status.st_mode) else status

    def _status(self, key: str) -> os.stat_result | None:
        """Status of a file or folder inside the root, None where nothing is; InvalidPath for anything else."""
        status = self._peek(key)
        if status is None:
            fd = self._locate(key)
            if fd is None:
                return None
            try:
                status = os.fstat(fd)
            finally:
                os.close(fd)
        return self._admitted(key, status)

    def _admitted(self, key: str, status: os.stat_result) -> os.stat_result:
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise not_regular(key, self.name)
        return status

    # --- questions

    async def kind(self, key: str) -> Kind | None:
        return self.kind_now(key)

    def kind_now(self, key: str) -> Kind | None:
        status = self.visible(key)
        return None if status is None else FOLDER if stat.S_ISDIR(status.st_mode) else FILE

    def visible(self, key: str) -> os.stat_result | None:
        """Status of what probes and listings see: a file or folder inside the root."""
        try:
            return self._status(key)
        except InvalidPath:
            return None

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        status = self._peek(key)
        if status is not None:
            return self._describe(key, status, self.prefix + key, follow=False)
        fd = self._locate(key)
        if fd is None:
            return None
        try:
            return self._describe(key, os.fstat(fd), f"/proc/self/fd/{fd}", follow=True)
        finally:
            os.close(fd)

    def _describe(self, key: str, status: os.stat_result, path: str, *, follow: bool) -> FileInfo | FolderEntry:
        self._admitted(key, status)
        if stat.S_ISDIR(status.st_mode):
            return folder_entry(key)
        metadata = None
        if self._keeps_metadata:
            try:
                metadata = local_os.read_metadata(path, follow=follow)
            except OSError as error:
                raise from_os_error(error, key, self.name) from error
        return file_info(key, status.st_size, _from_timestamp(status.st_mtime, _UTC), metadata=metadata)

    # --- reading

    async def read_bytes(self, key: str) -> bytes:
        fd, size = self._open(key)
        try:
            data = os.read(fd, size + 1)
            if len(data) == size:
                return data
            pieces = [data]
            while piece := os.read(fd, 1 << 20):
                pieces.append(piece)
            return b"".join(pieces)
        except OSError as error:
            raise from_os_error(error, key, self.name) from error
        finally:
            os.close(fd)

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        fd, size = self._open(key)
        try:
            with self.errors(key):
                return local_os.read_at(fd, start, max(0, min(end, size) - start))
        finally:
            os.close(fd)

    async def open_read(self, key: str) -> LocalReader:
        return LocalReader(self._open(key)[0], self, key)

    # --- writing

    async def open_write(self, key: str, options: WriteOptions) -> LocalSink:
        return LocalSink(self, key, options)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        fd, _ = self._open(src)
        try:
            metadata = local_os.read_metadata(fd) if self._keeps_metadata else None
            sink = LocalSink(self, dst, WriteOptions(overwrite, metadata))
            try:
                with self.errors(src):
                    while data := os.read(fd, 1 << 20):
                        await sink.write(data)
                await sink.commit()
            except BaseException:
                await sink.abort()
                raise
        finally:
            os.close(fd)

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        source, name = self.open_parent(src)
        try:
            if os.path.islink(self.prefix + src) or not self._rename(source, name, src, dst, overwrite):
                # A link may lose its target by moving, and another device cannot be renamed to: move the content.
                await self.copy(src, dst, overwrite)
                with self.errors(src):
                    os.unlink(name, dir_fd=source)
            if self.durable:
                os.fsync(source)
        finally:
            os.close(source)

    def _rename(self, source: int, name: str, src: str, dst: str, overwrite: bool) -> bool:
        """Rename in one step; False on another device."""
        with NewParent(self, dst) as target, self.errors(dst, writing=True):
            try:
                if overwrite and self._is_same_file(source, name, target, dst):
                    os.unlink(name, dir_fd=source)  # rename does nothing between two names of one file (POSIX).
                elif overwrite:
                    os.rename(name, target.name, src_dir_fd=source, dst_dir_fd=target.fd)
                else:
                    local_os.rename_new(source, name, target.fd, target.name, self.features)
            except FileNotFoundError as error:
                raise file_missing(src, self.name) from error
            except OSError as error:
                if error.errno == errno.EXDEV:
                    return False
                raise
            if self.durable:
                os.fsync(target.fd)
        return True

    def _is_same_file(self, source: int, name: str, target: NewParent, dst: str) -> bool:
        try:
            there = os.stat(target.name, dir_fd=target.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        check_replaceable(there, dst, self.name)
        return os.path.samestat(os.stat(name, dir_fd=source, follow_symlinks=False), there)

    def open_parent(self, key: str) -> tuple[int, str]:
        """Descriptor of the folder that holds `key`, and the name in it; a missing folder is a missing file."""
        folder, _, name = key.rpartition("/")
        with self.errors(key):
            return self.open_folder(folder, self.folder_flags), name

    @property
    def folder_flags(self) -> int:
        """A folder that will be fsynced must be open for reading."""
        return os.O_RDONLY if self.durable else local_os.O_PATH

    # --- deleting

    async def remove(self, key: str) -> None:
        folder, name = self.open_parent(key)
        try:
            with self.errors(key):
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and self.kind_now(key) == FOLDER):
                    raise is_folder(key, self.name)
                os.unlink(name, dir_fd=folder)
                if self.durable:
                    os.fsync(folder)
        finally:
            os.close(folder)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        kind = await self.kind(key)
        if kind != FOLDER:
            raise (is_file if kind == FILE else folder_missing)(key, self.name)
        folder, name = self.open_parent(key)
        try:
            with self.errors(key):
                if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    if not recursive and os.listdir(self.prefix + key):
                        raise not_empty(key, self.name)
                    os.unlink(name, dir_fd=folder)
                elif recursive:
                    remove_tree(self, key)
                else:
                    remove_empty(folder, name, LOCAL.temp_prefix)
                if self.durable:
                    os.fsync(folder)
        finally:
            os.close(folder)

    # --- listing

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, starts: str = ""
    ) -> AsyncGenerator[Page, None]:
        scan = Scan(self, want)
        level = [(key, 0)]
        while level:
            folder, depth = level.pop()
            deeper: list[str] | None = [] if max_depth is None or depth < max_depth else None
            for page in scan.folder(folder, deeper, 0 if folder == key else os.O_NOFOLLOW):
                yield page
            level.extend((below, depth + 1) for below in deeper or ())

    async def check(self) -> None:
        with self.errors("."):
            if not os.path.isdir(self.root):
                raise NotFound(f"Root folder {self.root!r} not found", path=".", backend=self.name)
            os.scandir(self.root).close()
