"""How a local file is written: a temporary in the target folder, then published in one step."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, cast

from remote_store._errors import (
    InvalidPath,
    NotFound,
    RemoteStoreError,
    folder_deleted,
    found_folder,
    found_special,
    target_exists,
)
from remote_store.drivers.base import FOLDER, Sink, WriteOptions
from remote_store.drivers.local import system
from remote_store.drivers.local.steps import GONE, RACES, identity
from remote_store.drivers.local.system import O_PATH, closing_fd
from remote_store.io.files import Errors

if TYPE_CHECKING:
    from remote_store.drivers.local.driver import LocalDriver


class NewParent:
    """The open folder for a new key. Missing folders are created, and removed again when the block raises.

    Attributes:
        fd: descriptor of the folder.
        name: of the key in it.
    """

    def __init__(self, driver: LocalDriver, key: str) -> None:
        self._driver, self._key = driver, key
        self._folder, _, self.name = key.rpartition("/")
        self._names = self._folder.split("/") if self._folder else []
        self._depth = 0
        self._created: dict[int, tuple[int, int]] = {}
        self.fd = -1
        try:
            with driver.errors(key, writing=True):
                self._open()
        except BaseException:
            self.close(undo=True)
            raise

    def reopen(self) -> None:
        """Create the folder again after somebody deleted it."""
        self.close()
        self._open()

    def check_place(self) -> None:
        """Raise `NotFound` if the folder was moved elsewhere; one that was deleted can be created again."""
        driver = self._driver
        if system.path_of(self.fd, driver.native(self._folder)) == driver.native(self._folder):
            return
        # There may be links on the way.
        with suppress(OSError, InvalidPath), closing_fd(driver.open_folder(self._folder, O_PATH)) as now:
            if identity(now) == identity(self.fd):
                return
        if os.fstat(self.fd).st_nlink:
            raise folder_deleted(self._key, driver.name)

    def close(self, *, undo: bool = False) -> None:
        """Close the folder; `undo` removes the created ones that are still empty."""
        if undo and self._created and self.fd >= 0:
            with suppress(OSError):
                self._undo()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _undo(self) -> None:
        while self._depth and self._created.get(self._depth) == identity(self.fd):
            above = os.open("..", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
            below, self.fd, self._depth = self.fd, above, self._depth - 1
            with closing_fd(below):
                self._remove(above, self._names[self._depth], below)

    @staticmethod
    def _remove(above: int, name: str, fd: int) -> None:
        """Remove the folder open as `fd`, but not what others have put in its place."""
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(name, dir_fd=above, follow_symlinks=False), os.fstat(fd)):
                os.rmdir(name, dir_fd=above)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exc_info: object) -> None:
        self.close(undo=kind is not None)

    def _open(self) -> None:
        driver = self._driver
        for _ in range(RACES):  # Others may keep deleting the folder.
            try:
                fd = driver.open_folder(self._folder, driver.folder_flags)
            except FileNotFoundError:
                self._make()
            else:
                self.close()
                self.fd, self._depth = fd, len(self._names)
                return
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _make(self) -> None:
        """Create the missing folders; returns early where others delete one meanwhile."""
        self.close()
        self._open_nearest()
        flags = self._driver.folder_flags | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        for name in self._names[self._depth :]:
            created = False
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=self.fd)
                    created = True
                below = os.open(name, flags, dir_fd=self.fd)
            except OSError as error:
                if created:
                    with suppress(OSError):
                        os.rmdir(name, dir_fd=self.fd)
                if error.errno in GONE:
                    return
                raise
            above, self.fd, self._depth = self.fd, below, self._depth + 1
            with closing_fd(above):
                if created:
                    self._created[self._depth] = identity(below)
                    if self._driver.durable:
                        os.fsync(above)

    def _open_nearest(self) -> None:
        """Open the nearest folder above that exists."""
        driver, key = self._driver, self._folder
        while True:
            try:
                self.fd = driver.open_folder(key, driver.folder_flags)
            except FileNotFoundError:
                if os.path.islink(driver.native(key)):
                    raise found_special(self._key, driver.name) from None
                if not key:
                    self._make_root()
                key = key.rpartition("/")[0]
            else:
                self._depth = key.count("/") + 1 if key else 0
                return

    def _make_root(self) -> None:
        driver = self._driver
        if not driver.create:
            raise NotFound(f"Root folder {driver.root!r} not found", path=self._key, backend=driver.name)
        os.makedirs(driver.root, exist_ok=True)


def check_replaceable(old: os.stat_result, key: str, backend: str) -> None:
    """Raise `InvalidPath` for a device, a pipe or a socket, which no file may replace."""
    if not (stat.S_ISREG(old.st_mode) or stat.S_ISLNK(old.st_mode) or stat.S_ISDIR(old.st_mode)):
        raise found_special(key, backend)


class Origin(NamedTuple):
    """The file whose content is written.

    Attributes:
        status: of that file; the new one gets its mode.
        moving: whether the new file gets its owner and times too.
    """

    status: os.stat_result
    moving: bool


def is_unchanged(now: os.stat_result, before: os.stat_result) -> bool:
    """Whether it is the same file, of the same size and time of modification."""
    return os.path.samestat(now, before) and (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


class LocalSink(Sink):
    """A temporary file in the target folder, renamed or linked to its name when it is committed."""

    def __init__(self, driver: LocalDriver, key: str, options: WriteOptions, origin: Origin | None = None) -> None:
        self._driver, self._key, self._options, self._origin = driver, key, options, origin
        self._fd = -1
        self._temp: str | None = None
        self._parent = NewParent(driver, key)
        try:
            with driver.errors(key, writing=True):
                self._old = self._check_target()
                self._fd = self._open()
                if options.metadata or options.content_type:
                    system.keep(self._fd, options.metadata, options.content_type)
                self._set_mode_and_owner()
        except BaseException:
            self._discard()
            raise

    def _check_target(self) -> os.stat_result | None:
        """Status of what the target replaces; refuses early what could not be published anyway."""
        try:
            old = os.stat(self._parent.name, dir_fd=self._parent.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if self._is_folder(old):
            raise found_folder(self._key, self._driver.name)
        check_replaceable(old, self._key, self._driver.name)
        if not self._options.overwrite:
            raise target_exists(self._key, self._driver.name)
        return old

    def _is_folder(self, status: os.stat_result) -> bool:
        return stat.S_ISDIR(status.st_mode) or (
            stat.S_ISLNK(status.st_mode) and self._driver.kind_now(self._key) == FOLDER
        )

    def _open(self) -> int:
        for _ in range(RACES):
            try:
                return self._open_once()
            except FileNotFoundError:
                self._parent.reopen()  # The folder went away, perhaps with the failed write that had made it.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _open_once(self) -> int:
        self._temp = None
        if self._driver.features.unnamed:
            try:
                return system.open_unnamed(self._parent.fd)
            except FileNotFoundError:
                raise
            except OSError:
                pass  # This folder may be on another file system than the root.
        self._temp = self._new_name()
        return system.open_named(self._parent.fd, self._temp)

    def _new_name(self) -> str:
        return self._driver.profile.temp_prefix + secrets.token_hex(8)

    def _set_mode_and_owner(self) -> None:
        """Mode, and owner where permitted, of the file that is replaced or moved; only the mode of one that is copied.

        Clears set-id bits, as any write does.
        """
        model, origin = self._old, self._origin
        if origin is not None and origin.moving:
            model = origin.status
        if model is not None and stat.S_ISREG(model.st_mode):
            new = os.fstat(self._fd)
            if (new.st_uid, new.st_gid) != (model.st_uid, model.st_gid):
                with suppress(PermissionError):
                    os.fchown(self._fd, model.st_uid, model.st_gid)
        elif origin is not None:
            model = origin.status
        else:
            return
        os.fchmod(self._fd, stat.S_IMODE(model.st_mode) & 0o777)

    async def write(self, data: bytes) -> None:
        with self._driver.errors(self._key, writing=True):
            system.write_all(self._fd, data)

    def in_place(self) -> tuple[BinaryIO, Errors] | None:
        file = io.FileIO(self._fd, "r+", closefd=False)
        return cast("BinaryIO", file), lambda: self._driver.errors(self._key, writing=True)

    async def commit(self) -> Mapping[str, Any]:
        with self._driver.errors(self._key, writing=True):
            if self._origin is not None and self._origin.moving:
                status = self._origin.status
                os.utime(self._fd, ns=(status.st_atime_ns, status.st_mtime_ns))
            if self._driver.durable:
                os.fsync(self._fd)
            self._publish(self._fd)
            if self._driver.durable:
                os.fsync(self._parent.fd)
        self._temp = None
        self._release()
        self._parent.close()
        return {}

    def _publish(self, fd: int) -> None:
        try:
            for _ in range(RACES):
                self._parent.check_place()
                try:
                    return self._replace(fd) if self._options.overwrite else self._create(fd)
                except FileNotFoundError as error:
                    if self._temp is not None:
                        # The temporary had a name by now, and went with its folder.
                        raise folder_deleted(self._key, self._driver.name) from error
                    self._parent.reopen()
            raise folder_deleted(self._key, self._driver.name)
        except FileExistsError as error:
            if isinstance(error, RemoteStoreError):
                raise
            blocker = os.stat(self._parent.name, dir_fd=self._parent.fd, follow_symlinks=False)
            verdict = found_folder if self._is_folder(blocker) else target_exists
            raise verdict(self._key, self._driver.name) from error

    def _create(self, fd: int) -> None:
        """Publish under a name that must not exist."""
        folder, name = self._parent.fd, self._parent.name
        if self._temp is None:
            system.link_open(fd, folder, name)
        else:
            system.rename_new(folder, self._temp, folder, name, self._driver.features)

    def _replace(self, fd: int) -> None:
        """Publish over whatever file or link is there."""
        folder, name = self._parent.fd, self._parent.name
        if self._temp is None:
            if self._old is None:
                with suppress(FileExistsError):
                    return system.link_open(fd, folder, name)
            temp = self._new_name()
            system.link_open(fd, folder, temp)
            self._temp = temp
        os.replace(self._temp, name, src_dir_fd=folder, dst_dir_fd=folder)

    async def abort(self) -> None:
        self._discard()

    def _discard(self) -> None:
        self._release()
        if self._temp is not None and self._parent.fd >= 0:
            with suppress(OSError):
                os.unlink(self._temp, dir_fd=self._parent.fd)
        self._parent.close(undo=True)

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
