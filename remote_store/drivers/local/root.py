"""Where the keys of a local root are: whatever is opened really lies inside the root, wherever links lead."""

from __future__ import annotations

import datetime as dt
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from remote_store._errors import InvalidPath, NotFound, RemoteStoreError, escapes_root, found_special
from remote_store._models import FileInfo, file_info
from remote_store.drivers.base import FILE, FOLDER, Driver, EntryKind
from remote_store.drivers.errors import from_os_error
from remote_store.drivers.local import system
from remote_store.drivers.local.steps import identity, open_steps

_LOOK = system.O_PATH | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_UTC = dt.UTC
_lstat, _from_timestamp = os.lstat, dt.datetime.fromtimestamp


def described(
    key: str, status: os.stat_result, metadata: dict[str, str] | None = None, content_type: str | None = None
) -> FileInfo:
    """The description of a file from its status."""
    return file_info(key, status.st_size, _from_timestamp(status.st_mtime, _UTC), None, content_type, metadata)


class LocalRoot(Driver):
    """The part of the local driver that finds things.

    The system tells from an open descriptor where the file really is, so neither a link nor a race leads outside.
    """

    durable: bool

    def __init__(self, name: str, root: str) -> None:
        super().__init__(name, root)
        self.prefix = self.root.rstrip("/") + "/"
        self._root_device = self._root_inode = -1

    # --- naming

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

    # --- opening

    def open_at(self, key: str, flags: int) -> int:
        """Descriptor of what `key` leads to; links are followed as long as they stay inside the root."""
        path = self.prefix + key
        try:
            fd = os.open(path, flags)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG or len(os.fsencode(path)) < system.PATH_MAX:
                raise
        else:
            return self._admit(fd, key, path)
        # No system call takes the whole path: go down name by name, following no link.
        with system.closing_fd(self.open_at("", _LOOK | os.O_DIRECTORY)) as root:
            return open_steps(root, key.split("/"), flags)

    def _admit(self, fd: int, key: str, path: str) -> int:
        """`fd`, opened by the name `path`, if its file or folder really lies inside the root; else it is closed."""
        where = system.path_of(fd, path)
        if where.startswith(self.prefix) or where == self.root:
            return fd
        os.close(fd)
        raise escapes_root(key, self.name)

    def open_folder(self, key: str, flags: int) -> int:
        """Descriptor of a folder inside the root."""
        return self.open_at(key, flags | os.O_DIRECTORY | os.O_CLOEXEC)

    @contextmanager
    def changing(self, key: str) -> Iterator[tuple[int, str]]:
        """Descriptor of the folder that holds `key`, and the name in it; `durable` fsyncs the folder at the end."""
        folder, _, name = key.rpartition("/")
        with self.errors(key), system.closing_fd(self.open_folder(folder, self.folder_flags)) as fd:
            yield fd, name
            if self.durable:
                os.fsync(fd)

    @property
    def folder_flags(self) -> int:
        """A folder that will be fsynced must be open for reading."""
        return os.O_RDONLY if self.durable else system.O_PATH

    def unreadable(self, error: OSError, key: str) -> RemoteStoreError:
        """The contract's error for `key`, which could not be opened."""
        path = self.prefix + key
        if isinstance(error, FileNotFoundError) and os.path.islink(path):
            return found_special(key, self.name)
        if isinstance(error, PermissionError) and not os.path.realpath(path).startswith(self.prefix):
            return escapes_root(key, self.name)
        return from_os_error(error, key, self.name)

    def locate(self, key: str) -> int | None:
        """Descriptor (O_PATH) of what `key` leads to inside the root; None where nothing is."""
        try:
            return self.open_at(key, _LOOK)
        except OSError as error:
            verdict = self.unreadable(error, key)
            if isinstance(verdict, NotFound):
                return None
            raise verdict from error

    # --- looking

    def peek(self, key: str) -> os.stat_result | None:
        """Status of a file or folder directly in the root, by two calls of the system instead of four.

        The path leads through no other link than the root itself, and that is recognized by its inode. None where this
        does not tell: for a deeper key, a link, or a name that cannot be looked up.

        Raises:
            FileNotFoundError: nothing has that name.
        """
        if "/" in key:
            return None
        try:
            status, root = _lstat(self.prefix + key), _lstat(self.root)
        except FileNotFoundError:
            raise
        except OSError:
            return None
        if (root.st_ino != self._root_inode or root.st_dev != self._root_device) and not self._recognize_root():
            return None
        return None if stat.S_ISLNK(status.st_mode) else status

    def _recognize_root(self) -> bool:
        """Whether the root's path leads through no link; remembers which folder that is."""
        with suppress(OSError), system.closing_fd(os.open(self.root, _LOOK | os.O_DIRECTORY)) as fd:
            if system.path_of(fd, self.root) == self.root:
                self._root_device, self._root_inode = identity(fd)
                return True
        return False

    def visible(self, key: str, folder: int | None = None) -> os.stat_result | None:
        """Status of what probes and listings see: a file or folder inside the root.

        Args:
            key: of it.
            folder: descriptor of the folder that holds it, where that is open.
        """
        status = None
        if folder is None:
            try:
                status = self.peek(key)
            except FileNotFoundError:
                return None
        if status is None:
            try:
                if folder is None:
                    fd = self.open_at(key, _LOOK)
                else:
                    fd = self._admit(os.open(key.rpartition("/")[2], _LOOK, dir_fd=folder), key, self.prefix + key)
            except (FileNotFoundError, NotADirectoryError, InvalidPath):
                return None
            except OSError as error:
                verdict = self.unreadable(error, key)
                if isinstance(verdict, (NotFound, InvalidPath)):
                    return None
                raise verdict from error
            try:
                status = os.fstat(fd)
            finally:
                os.close(fd)
        return status if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) else None

    async def kind(self, key: str) -> EntryKind | None:
        return self.kind_now(key)

    def kind_now(self, key: str) -> EntryKind | None:
        status = self.visible(key)
        return None if status is None else FOLDER if stat.S_ISDIR(status.st_mode) else FILE
