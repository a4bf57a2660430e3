"""Asynchronous twins of the backends by name."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from remote_store import _fork
from remote_store.aio._fsspec import AsyncDriverBackend
from remote_store.backends._named import (
    LocalBackend,
    MemoryBackend,
    S3Backend,
    private_memory,
    refuse_pickling,
    s3_driver,
)
from remote_store.bridges.threads import SyncBackendAdapter
from remote_store.drivers.base import Driver


class AsyncLocalBackend(SyncBackendAdapter):
    """`LocalBackend` for an `AsyncStore`: each operation in a thread. Arguments as there."""

    CAPABILITIES = LocalBackend.CAPABILITIES

    def __init__(self, root: str | os.PathLike[str], *, create: bool = True, durable: bool = False) -> None:
        self._local = LocalBackend(root, create=create, durable=durable)
        super().__init__(self._local)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, arguments = self._local.__reduce__()
        return rebuild, (type(self), *arguments[1:])


class AsyncMemoryBackend(AsyncDriverBackend):
    """`MemoryBackend` for an `AsyncStore`, without threads."""

    CAPABILITIES = MemoryBackend.CAPABILITIES

    def __init__(self) -> None:
        self._driver  # noqa: B018

    def _make_driver(self) -> Driver:
        return private_memory()

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


class AsyncS3Backend(AsyncDriverBackend):
    """`S3Backend` for an `AsyncStore`, on the caller's event loop, without threads. Arguments as there."""

    CAPABILITIES = S3Backend.CAPABILITIES
    close_is_terminal = True

    def __init__(self, bucket: str, root: str = "", **options: Any) -> None:
        self._recipe = (bucket, root), options
        self._driver  # noqa: B018
        _fork.watch(self)

    def _make_driver(self) -> Driver:
        return s3_driver(*self._recipe[0], asynchronous=True, **self._recipe[1])
