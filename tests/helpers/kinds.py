"""The kinds of store that the contract suite runs over."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from remote_store import FsspecBackend, Store
from remote_store.aio import AsyncFsspecBackend, AsyncLocalBackend, AsyncMemoryBackend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend
from remote_store.certify.view import View

_serial = itertools.count()


@dataclass(frozen=True)
class Kind:
    """How to make a fresh, empty store of one kind.

    Args:
        name: shown in test ids.
        make: the store, rooted in the temporary folder it is given where it needs one.
        empty_folders: whether folders outlive their files there.
    """

    name: str
    make: Callable[[str], Store | AsyncStore]
    empty_folders: bool = True

    @contextmanager
    def view(self, *, child: bool = False) -> Iterator[View]:
        with tempfile.TemporaryDirectory() as folder:
            store = self.make(folder)
            yield View(store.child("in ner/ro*t") if child else store, empty_folders=self.empty_folders)


def unknown_filesystem(folder: str | None = None) -> Any:
    """A filesystem for which there is no driver: over files, or over memory (which forgets empty folders)."""
    if folder is not None:
        return DirFileSystem(folder, LocalFileSystem(skip_instance_cache=True))
    fs = MemoryFileSystem(skip_instance_cache=True)
    root = f"/unknown-{next(_serial)}"
    fs.mkdir(root)
    return DirFileSystem(root, fs)


KINDS = [
    Kind("local", lambda folder: Store(LocalBackend(folder))),
    Kind("local-durable", lambda folder: Store(LocalBackend(folder, durable=True))),
    Kind("memory", lambda _: Store(MemoryBackend())),
    Kind("memory-shared", lambda _: Store.from_url(f"memory://shared-{next(_serial)}")),
    Kind("generic", lambda _: Store(FsspecBackend(unknown_filesystem())), empty_folders=False),
    Kind("generic-files", lambda folder: Store(FsspecBackend(unknown_filesystem(folder)))),
    Kind(
        "generic-async",
        lambda _: Store(FsspecBackend(AsyncFileSystemWrapper(unknown_filesystem()))),
        empty_folders=False,
    ),
]

ASYNC_KINDS = [
    Kind("local", lambda folder: AsyncStore(AsyncLocalBackend(folder))),
    Kind("memory", lambda _: AsyncStore(AsyncMemoryBackend())),
    Kind("memory-threads", lambda _: AsyncStore(MemoryBackend())),
    Kind("memory-shared", lambda _: AsyncStore.from_url(f"memory://shared-{next(_serial)}")),
    Kind("generic-threads", lambda _: AsyncStore(FsspecBackend(unknown_filesystem())), empty_folders=False),
    Kind(
        "generic",
        lambda _: AsyncStore(AsyncFsspecBackend(AsyncFileSystemWrapper(unknown_filesystem(), asynchronous=True))),
        empty_folders=False,
    ),
    Kind(
        "generic-pinned",
        lambda _: AsyncStore(AsyncFsspecBackend(AsyncFileSystemWrapper(unknown_filesystem()))),
        empty_folders=False,
    ),
]
