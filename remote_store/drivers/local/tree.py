"""How a local folder is listed, and removed with what is in it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import closing, suppress

from remote_store._errors import InvalidPath, RemoteStoreError
from remote_store._models import FileInfo, FolderEntry, folder_entry
from remote_store._paths import join
from remote_store.drivers.base import PAGE_SIZE, Page, Want, warn_unspellable
from remote_store.drivers.errors import ABSENT, from_os_error
from remote_store.drivers.local.root import LocalRoot, described
from remote_store.drivers.local.steps import FOLDER_FLAGS, GONE, RACES, Walk
from remote_store.drivers.local.system import closing_fd

_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})


class Scan:
    """One listing: turns directory entries into models, and says once what it skips."""

    def __init__(self, driver: LocalRoot, want: Want) -> None:
        self._driver = driver
        self._files, self._folders = want != "folders", want != "files"
        self._warned = False

    def pages(self, key: str, max_depth: int | None) -> Generator[Page, None, None]:
        """Pages of a folder and of those below it, not entering links; nothing where there is no such folder."""
        driver = self._driver
        try:
            walk = Walk(driver.open_folder(key, os.O_RDONLY))
        except InvalidPath:
            return
        except OSError as error:
            if error.errno in ABSENT:
                return
            raise from_os_error(error, key, driver.name) from error
        with closing(walk.folders()) as folders:
            try:
                for deeper in folders:
                    depth = len(walk.names)
                    yield from self._folder(walk, key, deeper if max_depth is None or depth < max_depth else None)
            except OSError as error:
                if isinstance(error, RemoteStoreError):
                    raise
                raise from_os_error(error, join(key, "/".join(walk.names)), driver.name) from error

    def _folder(self, walk: Walk, top: str, deeper: list[str] | None) -> Iterator[Page]:
        """Pages of the folder that the walk has reached; adds the names of its subfolders to `deeper`."""
        page, key, fd = [], join(top, "/".join(walk.names)), walk.fd
        with os.scandir(fd) as entries:
            for entry in entries:
                item = self._entry(fd, entry, join(key, entry.name), deeper)
                if item is not None:
                    page.append(item)
                    if len(page) == PAGE_SIZE:
                        yield page
                        page = []
        if page:
            yield page

    def _entry(
        self, fd: int, entry: os.DirEntry[str], key: str, deeper: list[str] | None
    ) -> FileInfo | FolderEntry | None:
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
                deeper.append(name)
            return folder_entry(key) if self._folders else None
        status: os.stat_result | None
        if entry.is_symlink():
            status = self._driver.visible(key, fd)
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
        return described(key, status)


def remove_tree(parent: int, name: str) -> bool:
    """Remove a folder with all that is in it, links and unspellable names included, without entering links.

    What others remove meanwhile is fine. What they add meanwhile is removed too; False after `RACES` attempts.
    """
    for _ in range(RACES):
        try:
            walk = Walk(os.open(name, FOLDER_FLAGS, dir_fd=parent))
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in GONE:
                raise
            continue
        for deeper in walk.folders(after=_remove_emptied):
            deeper.extend(_clear(walk.fd))
        if _remove_emptied(parent, name):
            return True
    return False


def _clear(fd: int) -> Iterator[str]:
    """Remove all that is in an open folder except its subfolders; yields the names of those."""
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.name
                continue
            # Others may be faster; the next attempt sees what they put there instead.
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(entry.name, dir_fd=fd)


def _remove_emptied(parent: int, name: str) -> bool:
    """Remove a folder unless others have put something in it, or in its place, meanwhile."""
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in _NOT_EMPTY | {errno.ENOTDIR}:
            raise
        return False
    return True


def remove_empty(parent: int, name: str, temp_prefix: str) -> None:
    """Remove a folder that is empty, or holds only temporary files of killed writers."""
    try:
        return os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise
        refusal = error
    with closing_fd(os.open(name, FOLDER_FLAGS, dir_fd=parent)) as fd:
        with os.scandir(fd) as entries:
            left = []
            for entry in entries:
                if not entry.name.startswith(temp_prefix) or entry.is_dir(follow_symlinks=False):
                    raise refusal
                left.append(entry.name)
        for entry_name in left:
            with suppress(FileNotFoundError):
                os.unlink(entry_name, dir_fd=fd)
    os.rmdir(name, dir_fd=parent)
