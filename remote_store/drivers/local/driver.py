"""Local files: straight `os` calls, contained in a root, published whole."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import (
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    file_missing,
    folder_deleted,
    folder_missing,
    found_file,
    found_folder,
    found_special,
    not_empty,
    source_changed,
)
from remote_store._models import FileInfo, FolderEntry, file_info, folder_entry
from remote_store.drivers.base import FILE, FOLDER, Page, Want, WriteOptions
from remote_store.drivers.errors import from_os_error
from remote_store.drivers.local import system
from remote_store.drivers.local.root import LocalRoot
from remote_store.drivers.local.steps import RACES, has, identity
from remote_store.drivers.local.tree import Scan, remove_empty, remove_tree
from remote_store.drivers.local.writing import LocalSink, NewParent, Origin, check_replaceable, is_unchanged
from remote_store.drivers.profiles import LOCAL
from remote_store.io.streams import before_start

_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
_from_timestamp = datetime.fromtimestamp
_listxattr: Callable[..., list[str]] = getattr(os, "listxattr", lambda *_, **__: [])


class LocalReader:
    """An open local file."""

    def __init__(self, fd: int, driver: LocalDriver, key: str) -> None:
        self._fd, self._driver, self._key = fd, driver, key

    async def read(self, size: int) -> bytes:
        with self._driver.errors(self._key):
            return os.read(self._fd, size)

    async def seek(self, offset: int, whence: int) -> int:
        try:
            return os.lseek(self._fd, offset, whence)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise before_start() from error
            with self._driver.errors(self._key):
                raise

    async def close(self) -> None:
        os.close(self._fd)


class LocalDriver(LocalRoot):
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
        self.features = system.probe(self.root, LOCAL.temp_prefix)
        self.capabilities = CapabilitySet(LOCAL.capabilities - self.features.missing)
        self._keeps_metadata = Capability.USER_METADATA in self.capabilities

    @cached_property
    def fs(self) -> Any:
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(skip_instance_cache=True)

    def _open(self, key: str) -> tuple[int, os.stat_result]:
        """Descriptor and status of a regular file inside the root; never blocks on a fifo."""
        try:
            fd = self.open_at(key, _READ)
        except OSError as error:
            raise self.unreadable(error, key) from error
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise (found_folder if stat.S_ISDIR(status.st_mode) else found_special)(key, self.name)
        except BaseException:
            os.close(fd)
            raise
        return fd, status

    def file_now(self, key: str) -> FileInfo | None:
        try:
            status = self.peek(key)
        except FileNotFoundError:
            return None
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        return self._describe_file(key, status, self.prefix + key, False)

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        try:
            status = self.peek(key)
        except FileNotFoundError:
            return None
        if status is not None:
            return self._describe(key, status, self.prefix + key, False)
        fd = self.locate(key)
        if fd is None:
            return None
        try:
            return self._describe(key, os.fstat(fd), f"/proc/self/fd/{fd}", True)
        finally:
            os.close(fd)

    def _describe(self, key: str, status: os.stat_result, path: str, follow: bool) -> FileInfo | FolderEntry:
        if not stat.S_ISREG(status.st_mode):
            if stat.S_ISDIR(status.st_mode):
                return folder_entry(key)
            raise found_special(key, self.name)
        return self._describe_file(key, status, path, follow)

    def _describe_file(self, key: str, status: os.stat_result, path: str, follow: bool) -> FileInfo:
        metadata = content_type = None
        if self._keeps_metadata:
            try:
                if names := _listxattr(path, follow_symlinks=follow):
                    metadata, content_type = system.kept_in(names, path, follow=follow)
            except OSError as error:
                raise from_os_error(error, key, self.name) from error
        return file_info(key, status.st_size, _from_timestamp(status.st_mtime, UTC), None, content_type, metadata)

    # --- reading

    async def read_bytes(self, key: str) -> bytes:
        fd, status = self._open(key)
        size = status.st_size
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
        fd, status = self._open(key)
        with system.closing_fd(fd), self.errors(key):
            return system.read_at(fd, start, max(0, min(end, status.st_size) - start))

    async def open_read(self, key: str) -> LocalReader:
        return LocalReader(self._open(key)[0], self, key)

    # --- writing

    async def open_write(self, key: str, options: WriteOptions) -> LocalSink:
        return LocalSink(self, key, options)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        await self._copy(src, dst, overwrite, moving=False)

    async def _copy(self, src: str, dst: str, overwrite: bool, *, moving: bool) -> os.stat_result:
        """Status of the file that was copied."""
        fd, status = self._open(src)
        with system.closing_fd(fd):
            with self.errors(src):
                metadata, content_type = system.kept_with(fd) if self._keeps_metadata else (None, None)
            options = WriteOptions(overwrite, metadata, None, content_type)
            async with LocalSink(self, dst, options, Origin(status, moving)) as sink:
                with self.errors(src):
                    while data := os.read(fd, 1 << 20):
                        await sink.write(data)
                    if moving and not is_unchanged(os.fstat(fd), status):
                        raise source_changed(src, dst, self.name)
                await sink.commit()
        return status

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        with self.changing(src) as (source, name):
            entry = os.stat(name, dir_fd=source, follow_symlinks=False)
            is_link = stat.S_ISLNK(entry.st_mode)
            if is_link or not self._rename(source, name, src, dst, overwrite):
                # A link may lose its target by moving, and no file is renamed to another device: move the content.
                copied = await self._copy(src, dst, overwrite, moving=True)
                now = os.stat(name, dir_fd=source, follow_symlinks=False)
                if not is_unchanged(now, entry if is_link else copied):  # The target of a link is not deleted.
                    raise source_changed(src, dst, self.name)
                os.unlink(name, dir_fd=source)

    def _rename(self, source: int, name: str, src: str, dst: str, overwrite: bool) -> bool:
        """Rename in one step; False on another device."""
        with NewParent(self, dst) as target, self.errors(dst, writing=True):
            for _ in range(RACES):
                try:
                    self._rename_once(source, name, target, dst, overwrite)
                    break
                except FileNotFoundError as error:
                    if not has(source, name):
                        raise file_missing(src, self.name) from error
                    target.reopen()
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    target.close(undo=True)
                    return False
            else:
                raise folder_deleted(dst, self.name)
            if self.durable:
                os.fsync(target.fd)
        return True

    def _rename_once(self, source: int, name: str, target: NewParent, dst: str, overwrite: bool) -> None:
        if not overwrite:
            system.rename_new(source, name, target.fd, target.name, self.features)
        elif self._is_other_name(source, name, target, dst):
            os.unlink(name, dir_fd=source)  # rename does nothing between two names of one file (POSIX).
        else:
            os.rename(name, target.name, src_dir_fd=source, dst_dir_fd=target.fd)

    def _is_other_name(self, source: int, name: str, target: NewParent, dst: str) -> bool:
        """Whether the target is the same file by a second hard link, and not by another spelling of the only one."""
        try:
            old = os.stat(target.name, dir_fd=target.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        check_replaceable(old, dst, self.name)
        if old.st_nlink < 2 or not os.path.samestat(os.stat(name, dir_fd=source, follow_symlinks=False), old):
            return False
        return name != target.name or identity(source) != identity(target.fd)

    # --- deleting

    async def remove(self, key: str) -> None:
        with self.changing(key) as (folder, name):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and self.kind_now(key) == FOLDER):
                raise found_folder(key, self.name)
            os.unlink(name, dir_fd=folder)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        kind = await self.kind(key)
        if kind != FOLDER:
            raise (found_file if kind == FILE else folder_missing)(key, self.name)
        try:
            with self.changing(key) as (folder, name):
                try:
                    self._remove_folder(key, folder, name, recursive)
                except (NotADirectoryError, IsADirectoryError) as error:  # Others replaced it: it is not missing.
                    raise self._contended(key) from error
        except NotFound as error:
            raise folder_missing(key, self.name) from error.__cause__

    def _remove_folder(self, key: str, folder: int, name: str, recursive: bool) -> None:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            self._remove_link(key, folder, name, recursive)
        elif not recursive:
            remove_empty(folder, name, LOCAL.temp_prefix)
        elif not remove_tree(folder, name):
            raise self._contended(key)

    def _contended(self, key: str) -> DirectoryNotEmpty:
        message = "Folder is not empty: others write there while it is being deleted"
        return DirectoryNotEmpty(message, path=key, backend=self.name)

    def _remove_link(self, key: str, folder: int, name: str, recursive: bool) -> None:
        """Remove a link to a folder, and nothing behind it."""
        if not recursive:
            with system.closing_fd(self.open_folder(key, os.O_RDONLY)) as fd, os.scandir(fd) as entries:
                if next(entries, None):
                    raise not_empty(key, self.name)
        os.unlink(name, dir_fd=folder)

    # --- listing

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        with closing(Scan(self, want).pages(key, max_depth)) as pages:
            for page in pages:
                yield page

    async def check(self) -> None:
        with self.errors("."):
            if not os.path.isdir(self.root):
                raise NotFound(f"Root folder {self.root!r} not found", path=".", backend=self.name)
            os.scandir(self.root).close()
