"""Backends and servers that keep their promises to one client of one process, and to nobody beside it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar

from servers.s3 import Answer, Environ

from helpers.s3 import CarryOut, is_request
from helpers.scripted import entry
from remote_store import Capability, CapabilitySet, FileInfo, WriteResult
from remote_store._errors import target_exists
from remote_store.backends import LocalBackend, MemoryBackend


class _Caches(LocalBackend):
    """Reads from a cache that every write by this class goes through, and no other program's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cache = self.cache_of(self.native_path(""))

    def cache_of(self, folder: str) -> Any:
        raise NotImplementedError

    def read_bytes(self, path: str) -> bytes:
        if (found := self.cache.get(path)) is not None and self.exists(path):
            return bytes(found)
        self.cache[path] = data = super().read_bytes(path)
        return data

    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        self.cache.pop(path, None)
        result: WriteResult = super().write(path, content, **options)
        return result

    def write_atomic(self, path: str, content: Any, **options: Any) -> WriteResult:
        self.cache.pop(path, None)
        result: WriteResult = super().write_atomic(path, content, **options)
        return result

    def open_atomic(self, path: str, **options: Any) -> Any:
        self.cache.pop(path, None)
        return super().open_atomic(path, **options)

    def copy(self, src: str, dst: str, **options: Any) -> None:
        self.cache.pop(dst, None)
        super().copy(src, dst, **options)

    def move(self, src: str, dst: str, **options: Any) -> None:
        self.cache.pop(dst, None)
        super().move(src, dst, **options)


class _Folder:
    """A cache in a folder, as clients of any process share it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.makedirs(folder, exist_ok=True)

    def _path(self, key: str) -> str:
        return os.path.join(self._folder, key.encode().hex()[-200:])

    def get(self, key: str) -> bytes | None:
        with suppress(FileNotFoundError), open(self._path(key), "rb") as file:
            return file.read()
        return None

    def __setitem__(self, key: str, data: bytes) -> None:
        with open(self._path(key), "wb") as file:
            file.write(data)

    def pop(self, key: str, default: None) -> None:
        with suppress(FileNotFoundError):
            os.remove(self._path(key))


class SharesACacheFolder(_Caches):
    """All clients of all processes have one cache in a folder."""

    def cache_of(self, folder: str) -> _Folder:
        return _Folder(folder + "-cache")


class SharesACacheOfItsProcess(_Caches):
    """All clients of a process have one cache in memory."""

    CACHES: ClassVar[dict[str, dict[str, bytes]]] = {}

    def cache_of(self, folder: str) -> dict[str, bytes]:
        return self.CACHES.setdefault(folder, {})


class _OfOneProcess(LocalBackend):
    """Right in the process that made it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.home = os.getpid()

    @property
    def is_home(self) -> bool:
        return os.getpid() == self.home


class HangsInAChild(_OfOneProcess):
    def read_bytes(self, path: str) -> bytes:
        if not self.is_home:
            threading.Event().wait()
        return bytes(super().read_bytes(path))


class ReadsNothingInAChild(_OfOneProcess):
    def read_bytes(self, path: str) -> bytes:
        return bytes(super().read_bytes(path)) if self.is_home else b""


class RaisesInAChild(_OfOneProcess):
    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        if not self.is_home:
            raise RuntimeError("no event loop")
        result: WriteResult = super().write(path, content, **options)
        return result


class WritesNothingInAChild(_OfOneProcess):
    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        if not self.is_home:
            content = b"nothing"
        result: WriteResult = super().write(path, content, **options)
        return result


class DiesInAChild(_OfOneProcess):
    def read_bytes(self, path: str) -> bytes:
        if not self.is_home:
            os.kill(os.getpid(), signal.SIGKILL)
        return bytes(super().read_bytes(path))


class LacksWhatItPromised(LocalBackend):
    """Finds out, as it is used, that creation is not exclusive here."""

    found_out = False

    @property
    def capabilities(self) -> CapabilitySet:
        lacking = {Capability.EXCLUSIVE_CREATE} if self.found_out else set()
        return CapabilitySet(super().capabilities - lacking)

    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        self.found_out = True
        result: WriteResult = super().write(path, content, **options)
        return result


class CopiesWithoutCondition(MemoryBackend):
    """Looks, then copies, as services do that ignore the condition of a copy."""

    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        seen = not overwrite and self.exists(dst)
        time.sleep(0.002)  # What a request takes; in memory nobody else would get to look.
        super().copy(src, dst, overwrite=overwrite or not seen)


class CopiesForNobody(MemoryBackend):
    """Of racing copies none succeeds."""

    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        if dst.endswith("target/0"):
            raise target_exists(dst, self.name)
        super().copy(src, dst, overwrite=overwrite)


class CopiesAnother(MemoryBackend):
    """Of racing copies one succeeds, with another's content."""

    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        super().copy(src, dst, overwrite=overwrite)
        if dst.endswith("target/0"):
            super().write(dst, b"another", overwrite=True)


class SpellsOddNames(MemoryBackend):
    """Lists names that no path can spell by the usual ones that are next to them."""

    def list_files(self, path: str, **options: Any) -> Iterator[FileInfo]:
        yield from super().list_files(path, **options)
        yield from (entry(name) for name in _odd(self) if name.startswith(path))


class KeepsOddNames(MemoryBackend):
    """Deletes a folder's usual names alone."""

    def delete_folder(self, path: str, **options: Any) -> None:
        odd = {name: file for name, file in self._driver.fs.store.items() if "//" in name}
        super().delete_folder(path, **options)
        self._driver.fs.store.update(odd)


class FailsOnOddNames(MemoryBackend):
    def list_files(self, path: str, **options: Any) -> Iterator[FileInfo]:
        if _odd(self):
            raise ValueError("not a path")
        return iter(super().list_files(path, **options))


def _odd(backend: MemoryBackend) -> list[str]:
    return [name.strip("/").replace("//", "/") for name in backend._driver.fs.store if "//" in name]


def ends_over_late_files(environ: Environ, carry_out: CarryOut) -> Answer | None:
    """S3 that judges no condition at the end of an upload in parts."""
    if is_request(environ, "POST", "uploadId"):
        environ.pop("HTTP_IF_NONE_MATCH", None)
        environ.pop("HTTP_IF_MATCH", None)
    return None
