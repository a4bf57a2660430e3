"""What operating systems do differently: where a descriptor is, hard links, unnamed files, extended attributes."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from remote_store._capabilities import Capability
from remote_store._models import check_content_type, check_metadata

T = TypeVar("T")
O_PATH: int = getattr(os, "O_PATH", os.O_RDONLY)
O_TMPFILE: int = getattr(os, "O_TMPFILE", 0)
PATH_MAX: int = os.pathconf("/", "PC_PATH_MAX") if hasattr(os, "pathconf") else 4096
"""The shortest path [bytes] that is too long for a system call."""
ATTRIBUTE = "user.remote_store"
"""The extended attribute that holds a file's user metadata: UTF-8 between bytes that UTF-8 never uses, because a file
system may give all attributes of a file no more than 4 KiB."""
_EQUALS, _NEXT = b"\xfe", b"\xff"
MEDIA_TYPE = "user.mime_type"
"""The extended attribute that holds a file's content type, by the convention of freedesktop.org."""

_UNABLE = frozenset(
    getattr(errno, name)
    for name in ("EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EINVAL", "EMLINK", "EISDIR", "ENOENT")
    if hasattr(errno, name)
)
"""Errors by which filesystems say that they have no hard links, unnamed files or attributes."""
_RENAME_NOREPLACE = 1


@dataclass(frozen=True)
class Features:
    """What the filesystem of a root can do."""

    unnamed: bool = False
    """Files without a name (O_TMPFILE) that a link publishes."""
    links: bool = True
    noreplace: bool = True
    attributes: bool = True

    @property
    def missing(self) -> frozenset[Capability]:
        lacks = set()
        if not self.attributes:
            lacks |= {Capability.USER_METADATA, Capability.CONTENT_TYPE}
        if not self.links and not self.noreplace:
            lacks.add(Capability.EXCLUSIVE_CREATE)
        return frozenset(lacks)


def probe(root: str, temp_prefix: str) -> Features:
    """Try with an empty temporary file what the filesystem of `root` can do; where that fails, assume all of it."""
    name = temp_prefix + secrets.token_hex(8)
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return Features(unnamed=bool(O_TMPFILE))
    try:
        unnamed = _able(lambda: _publish_unnamed(folder, name))
        if not unnamed:
            os.close(open_named(folder, name))
        return Features(
            unnamed,
            links=_able(lambda: link(folder, name, folder, name + "-1")),
            attributes=_able(lambda: _try_attribute(folder, name)),
            noreplace=_able(lambda: _renameat2(folder, name, folder, name + "-2")),
        )
    except OSError:
        return Features(unnamed=bool(O_TMPFILE))
    finally:
        for left in (name, name + "-1", name + "-2"):
            with suppress(OSError):
                os.unlink(left, dir_fd=folder)
        os.close(folder)


def _able(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError as error:
        if error.errno in _UNABLE:
            return False
        raise
    return True


def _publish_unnamed(folder: int, name: str) -> None:
    with closing_fd(open_unnamed(folder)) as fd:
        link_open(fd, folder, name)


def _try_attribute(folder: int, name: str) -> None:
    with closing_fd(os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)) as fd:
        keep(fd, {"probe": "1"}, None)


class closing_fd:  # noqa: N801 (as `contextlib.closing`, and no generator, which takes a microsecond)
    """Close a descriptor when the block ends."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._fd)


def path_of(fd: int, path: str) -> str:
    """The real path of the file open as `fd` (by the name `path`); `""` where that is too long for the system."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return ""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        return os.fsdecode(fcntl.fcntl(fd, fcntl.F_GETPATH, b"\0" * 1024).rstrip(b"\0"))  # type: ignore[attr-defined]
    return os.path.realpath(path)


def open_unnamed(folder: int) -> int:
    """A new file without a name in `folder`: gone with its descriptor unless a link publishes it."""
    # Without this flag, as with it where the filesystem has none, it fails with EISDIR.
    return os.open(".", os.O_RDWR | O_TMPFILE | os.O_CLOEXEC, 0o666, dir_fd=folder)


def open_named(folder: int, name: str) -> int:
    """A new file `name` in `folder`."""
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)


def link_open(fd: int, folder: int, name: str) -> None:
    """Give the open file `fd` the new name `name`; FileExistsError if it is taken."""
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder, follow_symlinks=True)


def link(source: int, old: str, target: int, new: str) -> None:
    """Give the file `old` a second name `new`; FileExistsError if it is taken."""
    os.link(old, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)


def rename_new(source: int, old: str, target: int, new: str, features: Features) -> None:
    """Rename, or FileExistsError if `new` is taken; checks before where the filesystem cannot do both in one."""
    if features.noreplace:
        return _renameat2(source, old, target, new)
    if features.links:
        link(source, old, target, new)
        return os.unlink(old, dir_fd=source)
    with suppress(FileNotFoundError):
        os.stat(new, dir_fd=target, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)


@lru_cache(maxsize=1)
def _libc_renameat2() -> Any:
    import ctypes

    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None


def _renameat2(source: int, old: str, target: int, new: str) -> None:
    call = _libc_renameat2()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(source, os.fsencode(old), target, os.fsencode(new), _RENAME_NOREPLACE):
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def kept_with(file: int | str, *, follow: bool = True) -> tuple[dict[str, str] | None, str | None]:
    """User metadata and content type of an open file, or of a path; None for what no store could have written."""
    # An attribute that is not there costs an exception, a list without it does not.
    return kept_in(os.listxattr(file, follow_symlinks=follow), file, follow=follow)


def kept_in(names: list[str], file: int | str, *, follow: bool = True) -> tuple[dict[str, str] | None, str | None]:
    """The same, where the names of all attributes of the file are known."""
    metadata = _attribute(file, ATTRIBUTE, follow, _metadata) if ATTRIBUTE in names else None
    return metadata, _attribute(file, MEDIA_TYPE, follow, _content_type) if MEDIA_TYPE in names else None


def _attribute(file: int | str, name: str, follow: bool, decode: Callable[[bytes], T]) -> T | None:
    try:
        return decode(os.getxattr(file, name, follow_symlinks=follow))
    except ValueError:
        return None
    except OSError as error:
        if error.errno == errno.ENODATA:  # Somebody removed it after it was listed.
            return None
        raise


def _metadata(kept: bytes) -> dict[str, str] | None:
    pairs = [item.split(_EQUALS) for item in kept.split(_NEXT)]
    return check_metadata({key.decode(): value.decode("utf-8", "surrogatepass") for key, value in pairs})


def _content_type(kept: bytes) -> str:
    return check_content_type(kept.decode())


def keep(fd: int, metadata: Mapping[str, str] | None, content_type: str | None) -> None:
    """Keep user metadata and content type, as far as there are any, with an open file."""
    if not hasattr(os, "setxattr"):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    if metadata:
        pairs = (key.encode() + _EQUALS + value.encode("utf-8", "surrogatepass") for key, value in metadata.items())
        os.setxattr(fd, ATTRIBUTE, _NEXT.join(pairs))
    if content_type:
        os.setxattr(fd, MEDIA_TYPE, content_type.encode())


def read_at(fd: int, start: int, size: int) -> bytes:
    """`size` bytes from `start` on, fewer at the end of the file."""
    pieces = []
    while size > 0 and (piece := os.pread(fd, min(size, 1 << 30), start)):
        pieces.append(piece)
        start, size = start + len(piece), size - len(piece)
    return b"".join(pieces)


def write_all(fd: int, data: bytes) -> None:
    """Write the whole of `data`."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])
