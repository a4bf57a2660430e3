"""Asynchronous twins of the backends by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote_store.aio._backend import AsyncBackend
from remote_store.aio._fsspec import AsyncDriverBackend
from remote_store.backends._named import (
    LocalBackend,
    MadeOfOptions,
    Named,
    backend_of,
    takes,
)
from remote_store.bridges.threads import SyncBackendAdapter
from remote_store.drivers.azure.options import AzureOptions
from remote_store.drivers.gcs.options import GCSOptions
from remote_store.drivers.http.options import HTTPOptions
from remote_store.drivers.kind import Kind
from remote_store.drivers.local.options import LocalOptions
from remote_store.drivers.s3.options import S3Options
from remote_store.drivers.sftp.options import SFTPOptions


class AsyncNamedBackend(MadeOfOptions, AsyncDriverBackend):
    """`NamedBackend` for an `AsyncStore`, without threads. Arguments as there."""


def async_backend_of(kind: Kind, options: Mapping[str, Any]) -> AsyncBackend:
    """The backend of a kind for an `AsyncStore`, made of options: native where its driver does not block."""
    if (cls := Named.CLASSES.get((kind.name, True))) is not None:
        backend: AsyncBackend = cls(**options)
        return backend
    if kind.runs == "thread":
        return SyncBackendAdapter(backend_of(kind, options))
    return AsyncNamedBackend(kind.name, **options)


class AsyncLocalBackend(Named, SyncBackendAdapter):
    """`LocalBackend` for an `AsyncStore`: each operation in a thread."""

    kind = "local"

    @takes(LocalOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._local = LocalBackend(*args, **options)
        super().__init__(self._local)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, arguments = self._local.__reduce__()
        return rebuild, (type(self), *arguments[1:])


class AsyncMemoryBackend(AsyncNamedBackend):
    """`MemoryBackend` for an `AsyncStore`, without threads."""

    kind = "memory"

    def __init__(self) -> None:
        self._set_up((), {})


class AsyncAzureBackend(AsyncNamedBackend):
    """`AzureBackend` for an `AsyncStore`, on the caller's event loop, without threads."""

    kind = "azure"

    @takes(AzureOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class AsyncGCSBackend(AsyncNamedBackend):
    """`GCSBackend` for an `AsyncStore`, on the caller's event loop, without threads."""

    kind = "gcs"

    @takes(GCSOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class AsyncHTTPBackend(AsyncNamedBackend):
    """`HTTPBackend` for an `AsyncStore`, on the caller's event loop, without threads."""

    kind = "http"

    @takes(HTTPOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class AsyncS3Backend(AsyncNamedBackend):
    """`S3Backend` for an `AsyncStore`, on the caller's event loop, without threads."""

    kind = "s3"

    @takes(S3Options)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)


class AsyncSFTPBackend(AsyncNamedBackend):
    """`SFTPBackend` for an `AsyncStore`, on the caller's event loop, without threads."""

    kind = "sftp"

    @takes(SFTPOptions)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._set_up(args, options)
