"""How a local folder is listed, and removed with what is in it."""

from __future__ import annotations

import datetime as dt
import errno
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from remote_store._errors import InvalidPath
from remote_store._models import FileInfo, FolderEntry, file_info, folder_entry
from remote_store._paths import join
from remote_store.drivers.base import ABSENT, PAGE_SIZE, Page, Want, from_os_error, warn_unspellable

if TYPE_CHECKING:
    from remote_store.drivers.local import LocalDriver

_UTC = dt.UTC
_from_timestamp = dt.datetime.fromtimestamp


class Scan:
    """One listing: turns directory entries into models, and says once what it skips."""

    def __init__(self, driver: LocalDriver, want: Want) -> None:
        self._driver = driver
        self._files, self._folders = want != "folders", want != "files"
        self._warned = False

    def folder(self, key: str, deeper: list[str] | None, flags: int) -> Iterator[Page]:
        """Pages of one folder; real subfolders are added to `deeper`. A folder that is gone, or none, is empty."""
        driver, page = self._driver, []
        try:
            fd = driver.open_folder(key, os.O_RDONLY | flags)
        except InvalidPath:
            return
        except OSError as error:
            if error.errno in ABSENT:
                return
            raise from_os_error(error, key, driver.name) from error
        try:
            with os.scandir(fd) as entries, driver.errors(key):
                for entry in entries:
                    item = self._entry(entry, join(key, entry.name), deeper)
                    if item is not None:
                        page.append(item)
                        if len(page) == PAGE_SIZE:
                            yield page
                            page = []
            if page:
                yield page
        finally:
            os.close(fd)

    def _entry(self, entry: os.DirEntry[str], key: str, deeper: list[str] | None) -> FileInfo | FolderEntry | None:
        name = entry.name
        if name.startswith(self._driver.profile.temp_prefix):
            return None
        if "\\" in name:
            if not self._warned:
                self._warned = True
                warn_unspellable(name, self._driver.name)
            return None
        if entry.is_dir(follow_symlinks=False):
            if deeper is not None:
                deeper.append(key)
            return folder_entry(key) if self._folders else None
        status: os.stat_result | None
        if entry.is_symlink():
            status = self._driver.visible(key)
            if status is None or stat.S_ISDIR(status.st_mode):
                return folder_entry(key) if status is not None and self._folders else None
        elif not self._files:
            return None
        else:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                return None
        if not self._files or not stat.S_ISREG(status.st_mode):
            return None
        return file_info(key, status.st_size, _from_timestamp(status.st_mtime, _UTC))


def remove_tree(driver: LocalDriver, key: str) -> None:
    """Remove a folder with all that is in it, links and unspellable names included, without entering links."""
    waiting, folders = [key], []
    while waiting:
        folder = waiting.pop()
        folders.append(folder)
        fd = driver.open_folder(folder, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(join(folder, entry.name))
                    else:
                        os.unlink(entry.name, dir_fd=fd)
        finally:
            os.close(fd)
    for folder in reversed(folders):
        parent, name = driver.open_parent(folder)
        try:
            os.rmdir(name, dir_fd=parent)
        finally:
            os.close(parent)


def remove_empty(parent: int, name: str, temp_prefix: str) -> None:
    """Remove a folder in which there is nothing but what killed writers left."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            names = os.listdir(fd)
            if any(not entry.startswith(temp_prefix) for entry in names):
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY)) from error
            for entry in names:
                os.unlink(entry, dir_fd=fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent)
