"""One strict contract over any fsspec filesystem.

Example:
    >>> from remote_store import Store
    >>> store = Store.from_url("memory://quickstart")
    >>> store.write_text("hello.txt", "hello", overwrite=True).size
    5
    >>> store.read_text("hello.txt")
    'hello'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_store._lazy import lazy

if TYPE_CHECKING:
    from remote_store._backend import Backend as Backend
    from remote_store._capabilities import Capability as Capability
    from remote_store._capabilities import CapabilitySet as CapabilitySet
    from remote_store._errors import AlreadyExists as AlreadyExists
    from remote_store._errors import BackendUnavailable as BackendUnavailable
    from remote_store._errors import CapabilityNotSupported as CapabilityNotSupported
    from remote_store._errors import DirectoryNotEmpty as DirectoryNotEmpty
    from remote_store._errors import InvalidPath as InvalidPath
    from remote_store._errors import NotFound as NotFound
    from remote_store._errors import PermissionDenied as PermissionDenied
    from remote_store._errors import PreconditionFailed as PreconditionFailed
    from remote_store._errors import RemoteStoreError as RemoteStoreError
    from remote_store._errors import ResourceLocked as ResourceLocked
    from remote_store._errors import StorageFull as StorageFull
    from remote_store._models import ContentDigest as ContentDigest
    from remote_store._models import FileInfo as FileInfo
    from remote_store._models import FolderEntry as FolderEntry
    from remote_store._models import FolderInfo as FolderInfo
    from remote_store._models import PathEntry as PathEntry
    from remote_store._models import ResolutionPlan as ResolutionPlan
    from remote_store._models import WriteResult as WriteResult
    from remote_store._paths import RemotePath as RemotePath
    from remote_store._store import Store as Store
    from remote_store.backends._fsspec import FsspecBackend as FsspecBackend
    from remote_store.bridges.sync import AsyncBackendSyncAdapter as AsyncBackendSyncAdapter
    from remote_store.io.files import AtomicWriter as AtomicWriter

__version__ = "0.1.0"

_HOMES = {
    "remote_store._backend": ("Backend",),
    "remote_store.bridges.sync": ("AsyncBackendSyncAdapter",),
    "remote_store._capabilities": ("Capability", "CapabilitySet"),
    "remote_store._errors": (
        "AlreadyExists",
        "BackendUnavailable",
        "CapabilityNotSupported",
        "DirectoryNotEmpty",
        "InvalidPath",
        "NotFound",
        "PermissionDenied",
        "PreconditionFailed",
        "RemoteStoreError",
        "ResourceLocked",
        "StorageFull",
    ),
    "remote_store._models": (
        "ContentDigest",
        "FileInfo",
        "FolderEntry",
        "FolderInfo",
        "PathEntry",
        "ResolutionPlan",
        "WriteResult",
    ),
    "remote_store._paths": ("RemotePath",),
    "remote_store._store": ("Store",),
    "remote_store.backends._fsspec": ("FsspecBackend",),
    "remote_store.io.files": ("AtomicWriter",),
}

_NAMES = {name: home for home, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, _NAMES)
__all__ = sorted(["__version__", *_NAMES])
