"""Backends by name; each is importable without the SDK it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_store._lazy import lazy

if TYPE_CHECKING:
    from remote_store.backends._named import AzureBackend as AzureBackend
    from remote_store.backends._named import GCSBackend as GCSBackend
    from remote_store.backends._named import HTTPBackend as HTTPBackend
    from remote_store.backends._named import LocalBackend as LocalBackend
    from remote_store.backends._named import MemoryBackend as MemoryBackend
    from remote_store.backends._named import S3Backend as S3Backend
    from remote_store.backends._named import SFTPBackend as SFTPBackend

__all__ = ["AzureBackend", "GCSBackend", "HTTPBackend", "LocalBackend", "MemoryBackend", "S3Backend", "SFTPBackend"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, dict.fromkeys(__all__, "remote_store.backends._named"))
