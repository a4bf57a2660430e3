"""Filesystems of fsspec that add nothing to another one but other names, or coroutines of what blocks.

Those of obstore and pyarrow over the files of this machine name them as everybody does, by absolute paths, and can do
less with them: obstore neither sees nor deletes folders, and pyarrow deletes them with all that is in them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from remote_store._location import PLAIN

_DIR = "fsspec.implementations.dirfs:DirFileSystem"
_LOOPED = "fsspec.implementations.asyn_wrapper:AsyncFileSystemWrapper"
_OBSTORE = ("obstore.fsspec:FsspecStore", "obstore.fsspec:FsspecStore_file")
_ARROW = "fsspec.implementations.arrow:ArrowFSWrapper"
_ARROW_LOCAL = "pyarrow._fs:LocalFileSystem"


class Inside(NamedTuple):
    """What a filesystem is once its wrappers are taken off.

    Args:
        fs: the filesystem inside them; the given one where there are none.
        root: the root, as that one spells it.
        renamed: whether the given one spells paths in another way.
        looped: whether methods that block were made coroutines.
    """

    fs: Any
    root: str
    renamed: bool = False
    looped: bool = False


def class_of(fs: Any) -> str:
    """The class of a filesystem, as rows of `kinds` spell it."""
    return f"{type(fs).__module__}:{type(fs).__qualname__}"


def inside(fs: Any, root: str = "") -> Inside:
    """Take wrappers off a filesystem: those of exactly these classes, as subclasses may do more.

    Args:
        fs: the filesystem.
        root: folder of it that is the root, as it spells it.

    Raises:
        ValueError: the root leads out of a wrapper's folder.
    """
    found = Inside(fs, root)
    while True:
        cls = class_of(found.fs)
        if cls == _DIR:
            found = Inside(found.fs.fs, _below(found.fs.path, found.root), True, found.looped)
        elif cls == _LOOPED:
            found = found._replace(fs=found.fs.sync_fs, looped=True)
        elif cls in _OBSTORE and found.fs.protocol == PLAIN:
            root = found.fs._split_path(found.root)[1] if found.root else ""  # Of a URL, too.
            found = found._replace(fs=_local(), root=root, looped=True)
        elif cls == _ARROW and class_of(found.fs.fs) == _ARROW_LOCAL:
            found = found._replace(fs=_local())
        else:
            return found


def _local() -> Any:
    from fsspec.implementations.local import LocalFileSystem

    return LocalFileSystem(skip_instance_cache=True)


def spelled(root: str) -> str:
    """A root without slashes around it; `.` is the folder of a wrapper itself."""
    root = root.strip("/")
    return "" if root == "." else root


def _below(folder: str, root: str) -> str:
    root = spelled(root)
    if ".." in re.split(r"[\\/]", root):  # Some filesystems take a backslash for a slash.
        raise ValueError(f"the root {root!r} leads out of the folder of a DirFileSystem")
    return f"{folder.rstrip('/')}/{root}" if folder and root else root or folder
