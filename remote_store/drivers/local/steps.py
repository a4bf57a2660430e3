"""Folder trees by descriptor: down one name at a time, entering no link, whatever others rename meanwhile."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress

from remote_store.drivers.local.system import O_PATH

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened to be read, unless it is a link."""
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errors that say that a name which was a folder no longer is one."""
RACES = 100
"""Attempts at what other threads and processes keep interfering with."""
_OPEN_ABOVE = 2
"""How many folders above its own a walk keeps open."""


def identity(fd: int) -> tuple[int, int]:
    """Device and inode of an open file or folder, which no other has."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def has(folder: int, name: str) -> bool:
    """Whether an open folder has an entry of this name."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def open_steps(top: int, names: Sequence[str], flags: int) -> int:
    """Descriptor of what lies below the open folder `top`, without following any link."""
    fd = top
    try:
        for name in names[:-1]:
            below = os.open(name, O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            if fd != top:
                os.close(fd)
            fd = below
        return os.open(names[-1], flags | os.O_NOFOLLOW, dir_fd=fd)
    finally:
        if fd != top:
            os.close(fd)


class Walk:
    """Visits the folders of a tree of any depth, with a few descriptors open at a time.

    Args:
        top: descriptor of the folder at the top, which the walk closes in the end.

    Attributes:
        names: of the folders on the way from the top, exclusive, to the current one.
    """

    def __init__(self, top: int) -> None:
        self.names: list[str] = []
        self._fds = [top]
        self._seen = [identity(top)]

    @property
    def fd(self) -> int:
        """Descriptor of the current folder."""
        return self._fds[-1]

    def folders(self, after: Callable[[int, str], object] | None = None) -> Generator[list[str], None, None]:
        """Visit every folder once, the top first.

        Yields a list to which the caller adds the names of the subfolders to visit. `after` is called with a
        descriptor of the folder above, and the name, of each folder that is done.
        """
        try:
            waiting: list[list[str]] = [[]]
            yield waiting[0]
            while waiting[-1] or len(waiting) > 1:
                if waiting[-1]:
                    if self._enter(waiting[-1].pop()):
                        waiting.append([])
                        yield waiting[-1]
                    continue
                waiting.pop()
                name = self.names[-1]
                if not self._leave():
                    waiting[-1].clear()
                elif after is not None:
                    after(self.fd, name)
        finally:
            for fd in self._fds:
                if fd >= 0:
                    os.close(fd)

    def _enter(self, name: str) -> bool:
        """Go into a subfolder; False if it is gone or has become a link."""
        try:
            fd = os.open(name, FOLDER_FLAGS, dir_fd=self.fd)
        except OSError as error:
            if error.errno in GONE:
                return False
            raise
        self._fds.append(fd)
        self.names.append(name)
        self._seen.append(identity(fd))
        far = len(self._fds) - _OPEN_ABOVE - 2
        if far > 0 and self._fds[far] >= 0:
            os.close(self._fds[far])
            self._fds[far] = -1
        return True

    def _leave(self) -> bool:
        """Go back to the folder above; False if that is gone."""
        below = self._fds.pop()
        self.names.pop()
        self._seen.pop()
        try:
            if self.fd < 0:
                self._fds[-1] = self._above(below)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return False
        finally:
            if below >= 0:
                os.close(below)
        return True

    def _above(self, below: int) -> int:
        """The current folder, opened again: from `below`, or step by step from the top if that was moved elsewhere."""
        if below >= 0:
            with suppress(OSError):
                fd = os.open("..", FOLDER_FLAGS, dir_fd=below)
                if identity(fd) == self._seen[-1]:
                    return fd
                os.close(fd)
        return open_steps(self._fds[0], self.names, FOLDER_FLAGS)
