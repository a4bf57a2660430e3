"""The asynchronous twins: `AsyncStore`, and the backends that serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_store._lazy import lazy

if TYPE_CHECKING:
    from remote_store.aio._backend import AsyncBackend as AsyncBackend
    from remote_store.aio._backend import AsyncWritableContent as AsyncWritableContent
    from remote_store.aio._fsspec import AsyncFsspecBackend as AsyncFsspecBackend
    from remote_store.aio._named import AsyncAzureBackend as AsyncAzureBackend
    from remote_store.aio._named import AsyncGCSBackend as AsyncGCSBackend
    from remote_store.aio._named import AsyncHTTPBackend as AsyncHTTPBackend
    from remote_store.aio._named import AsyncLocalBackend as AsyncLocalBackend
    from remote_store.aio._named import AsyncMemoryBackend as AsyncMemoryBackend
    from remote_store.aio._named import AsyncS3Backend as AsyncS3Backend
    from remote_store.aio._named import AsyncSFTPBackend as AsyncSFTPBackend
    from remote_store.aio._store import AsyncStore as AsyncStore
    from remote_store.bridges.threads import SyncBackendAdapter as SyncBackendAdapter
    from remote_store.io.files import AsyncAtomicWriter as AsyncAtomicWriter
    from remote_store.io.streams import AsyncReadStream as AsyncReadStream

_HOMES = {
    "remote_store.bridges.threads": ("SyncBackendAdapter",),
    "remote_store.io.files": ("AsyncAtomicWriter",),
    "remote_store.io.streams": ("AsyncReadStream",),
    "remote_store.aio._backend": ("AsyncBackend", "AsyncWritableContent"),
    "remote_store.aio._fsspec": ("AsyncFsspecBackend",),
    "remote_store.aio._named": (
        "AsyncAzureBackend",
        "AsyncGCSBackend",
        "AsyncHTTPBackend",
        "AsyncLocalBackend",
        "AsyncMemoryBackend",
        "AsyncS3Backend",
        "AsyncSFTPBackend",
    ),
    "remote_store.aio._store": ("AsyncStore",),
}

_NAMES = {name: home for home, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, _NAMES)
__all__ = sorted([*_NAMES])
