"""Backends that write into a folder of this machine, and read from an archive of it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.implementations.tar import TarFileSystem
from fsspec.implementations.zip import ZipFileSystem

from helpers.published import READ_BY, WRITTEN_BY
from remote_store import CapabilitySet, FsspecBackend
from remote_store.backends import LocalBackend
from remote_store.drivers.profiles import TEMPORARY


def _files(folder: Path) -> Iterator[tuple[str, bytes | None, int]]:
    """Name, content and time of what is in a folder, None for that of a folder; without what goes meanwhile."""
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            content = None if path.is_dir() else path.read_bytes()
            if not path.name.startswith(TEMPORARY):
                yield str(path.relative_to(folder)), content, int(path.stat().st_mtime)


def zipped(folder: Path) -> Any:
    """A filesystem over a zip archive of a folder."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content, _ in _files(folder):
            archive.writestr(f"{name}/" if content is None else name, content or b"")
    return ZipFileSystem(target, skip_instance_cache=True)


def tarred(folder: Path) -> Any:
    """A filesystem over a tar archive of a folder."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content, time in _files(folder):
            info = tarfile.TarInfo(name)
            info.type, info.size = (tarfile.DIRTYPE, 0) if content is None else (tarfile.REGTYPE, len(content))
            info.mtime = time
            archive.addfile(info, io.BytesIO(content or b""))
    target.seek(0)
    return TarFileSystem(target, skip_instance_cache=True)


class ArchivedBackend(LocalBackend):
    """Each call that reads has an archive of its own.

    Args:
        folder: that it writes into.
        pack: makes a filesystem of an archive of that.
    """

    def __init__(self, folder: Path, pack: Callable[[Path], Any]) -> None:
        super().__init__(folder)
        self._folder, self._pack = folder, pack

    @property
    def archive(self) -> FsspecBackend:
        """What is written so far, in an archive."""
        return FsspecBackend(self._pack(self._folder))

    @property
    def capabilities(self) -> CapabilitySet:
        return CapabilitySet({*self.archive.capabilities, *WRITTEN_BY})


def _from_archive(name: str) -> Any:
    return lambda self, *args, **options: getattr(self.archive, name)(*args, **options)


for _name in READ_BY:
    setattr(ArchivedBackend, _name, _from_archive(_name))
