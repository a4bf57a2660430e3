"""The kinds of store that the contract suite runs over."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pytest
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from servers.azure import ACCOUNT, CONTAINER, HNS, AzureServer
from servers.azure import KEY as ACCOUNT_KEY
from servers.files import FileServer
from servers.ftp import ftp_backend
from servers.gcs import GcsServer
from servers.gcs_login import service_account
from servers.s3 import BUCKET, KEY, SECRET, S3Server
from servers.sshd import SFTPPlace

from helpers.archived import ArchivedBackend, tarred, zipped
from helpers.published import AsyncPublishedBackend, PublishedBackend
from remote_store import AsyncBackendSyncAdapter, CapabilityNotSupported, FsspecBackend, InvalidPath, Store
from remote_store.aio import (
    AsyncAzureBackend,
    AsyncFsspecBackend,
    AsyncGCSBackend,
    AsyncHTTPBackend,
    AsyncLocalBackend,
    AsyncMemoryBackend,
    AsyncS3Backend,
    AsyncSFTPBackend,
    AsyncStore,
    SyncBackendAdapter,
)
from remote_store.backends import (
    AzureBackend,
    GCSBackend,
    HTTPBackend,
    LocalBackend,
    MemoryBackend,
    S3Backend,
    SFTPBackend,
)
from remote_store.certify.checks import Check
from remote_store.certify.rules import RuleBroken
from remote_store.certify.view import View

S = TypeVar("S")
_serial = itertools.count()


@dataclass(frozen=True)
class Kind(Generic[S]):
    """How to make a fresh, empty store of one kind.

    Args:
        name: shown in test ids.
        make: opens the store, given the value of the fixture that it needs.
        needs: the name of that fixture: a folder, or a server.
        flat: whether a name may be a file and a folder at once, as in object stores.
        empty_folders: whether folders outlive their files there.
        child: whether the store is tried below its root.
        often: whether it is tried each time, rather than in a full run only.
        soak: whether only `tox -e soak` tries it.
        breaks: rules that the service breaks, as `docs/guarantees.md` says, and what the check then says (a pattern).
    """

    name: str
    make: Callable[[Any], S]
    needs: str = "tmp_path"
    flat: bool = False
    empty_folders: bool = True
    child: bool = False
    often: bool = False
    soak: bool = False
    breaks: Mapping[str, str] = field(default_factory=dict)

    def view(self, store: Store | AsyncStore) -> View:
        """What checks take."""
        if self.child:
            store = store.child(f"child-{next(_serial)}-{os.getpid()}/in ner/ro*t")
        return View(store, hierarchical=not self.flat, empty_folders=self.empty_folders and not self.flat)

    def breaking(self, check: Check) -> AbstractContextManager[object]:
        """Expects the rule to be broken where the service is known to break it, and only there."""
        said = self.breaks.get(check.name)
        return (
            nullcontext()
            if said is None
            else pytest.raises((RuleBroken, CapabilityNotSupported, InvalidPath), match=said)
        )


class UnknownFileSystem(DirFileSystem):  # type: ignore[misc]
    """A filesystem for which there is no driver."""


class UnknownLooped(AsyncFileSystemWrapper):  # type: ignore[misc]
    """An asynchronous one."""


def unknown_filesystem(folder: str | None = None) -> Any:
    """A filesystem for which there is no driver: over files, or over memory (which forgets empty folders)."""
    if folder is not None:
        return UnknownFileSystem(folder, LocalFileSystem(skip_instance_cache=True))
    fs = MemoryFileSystem(skip_instance_cache=True)
    root = f"/unknown-{next(_serial)}"
    fs.mkdir(root)
    return UnknownFileSystem(root, fs)


def _shared_url() -> str:
    return f"memory://shared-{next(_serial)}"


def _s3(server: S3Server, root: str | None = None, **more: Any) -> S3Backend:
    return S3Backend(BUCKET, server.fresh_prefix() if root is None else root, **server.options, **more)


def _async_s3(server: S3Server, root: str | None = None, **more: Any) -> AsyncS3Backend:
    return AsyncS3Backend(BUCKET, server.fresh_prefix() if root is None else root, **server.options, **more)


def _gcs(server: GcsServer, root: str | None = None) -> GCSBackend:
    return GCSBackend(BUCKET, server.fresh_prefix() if root is None else root, **_signing(server))


def _async_gcs(server: GcsServer) -> AsyncGCSBackend:
    return AsyncGCSBackend(BUCKET, server.fresh_prefix(), **_signing(server))


def _signing(server: GcsServer) -> dict[str, Any]:
    """Options with a service account, where the server gives it access tokens."""
    return server.options if server.pid else {**server.options, "token": service_account(server.endpoint)}


def _azure(server: AzureServer, root: str | None = None, container: str = CONTAINER) -> AzureBackend:
    return AzureBackend(container, server.fresh_prefix() if root is None else root, **server.options)


def _async_azure(server: AzureServer, container: str = CONTAINER) -> AsyncAzureBackend:
    return AsyncAzureBackend(container, server.fresh_prefix(), **server.options)


def _published(server: FileServer) -> Store:
    return Store(PublishedBackend(server.fresh_folder(), server.endpoint))


def _async_published(server: FileServer) -> AsyncStore:
    return AsyncStore(AsyncPublishedBackend(server.fresh_folder(), server.endpoint))


def _sftp(place: SFTPPlace) -> SFTPBackend:
    return SFTPBackend("127.0.0.1", place.fresh_root(), **place.options)


def _async_sftp(place: SFTPPlace) -> AsyncSFTPBackend:
    return AsyncSFTPBackend("127.0.0.1", place.fresh_root(), **place.options)


def _looped(asynchronous: bool = False) -> Any:
    return UnknownLooped(unknown_filesystem(), asynchronous=asynchronous)


def _dir_over_s3(server: S3Server, asynchronous: bool = False) -> Any:
    fs = _s3_filesystem(server, asynchronous)
    return DirFileSystem(f"{BUCKET}/{server.fresh_prefix()}", fs, asynchronous=asynchronous)


def _s3_filesystem(server: S3Server, asynchronous: bool) -> Any:
    from s3fs import S3FileSystem

    options = {**server.options}
    client = {"region_name": options.pop("region_name", "us-east-1")}
    return S3FileSystem(**options, client_kwargs=client, asynchronous=asynchronous, skip_instance_cache=True)


def _obstore(protocol: str, asynchronous: bool = False, **options: Any) -> Any:
    """A filesystem of obstore."""
    made: Any = pytest.importorskip("obstore.fsspec").FsspecStore
    if "endpoint" in options:
        options["client_options"] = {"allow_http": True}
    return made(protocol, asynchronous=asynchronous, skip_instance_cache=True, **options)


def _obstore_s3(server: S3Server, asynchronous: bool = False) -> tuple[Any, str]:
    login = {"access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1"}
    fs = _obstore("s3", asynchronous, endpoint=server.endpoint, **login)
    return fs, f"{BUCKET}/{server.fresh_prefix()}"


def _obstore_azure(server: AzureServer, asynchronous: bool = False) -> tuple[Any, str]:
    login = {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY}
    fs = _obstore("az", asynchronous, endpoint=server.endpoint, **login)
    return fs, f"{CONTAINER}/{server.fresh_prefix()}"


def _obstore_gcs(server: GcsServer, asynchronous: bool = False) -> tuple[Any, str]:
    nobody = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    login = json.dumps({"gcs_base_url": server.endpoint, "disable_oauth": True, **nobody})
    fs = _obstore("gs", asynchronous, service_account_key=login, client_options={"allow_http": True})
    return fs, f"{BUCKET}/{server.fresh_prefix()}"


def _arrow(folder: Any, tree: bool = False) -> FsspecBackend:
    """Over a filesystem of pyarrow: that of this machine, or another one."""
    made: Any = pytest.importorskip("pyarrow.fs")
    if tree:
        return FsspecBackend(ArrowFSWrapper(made.SubTreeFileSystem(str(folder), made.LocalFileSystem())))
    return FsspecBackend(ArrowFSWrapper(made.LocalFileSystem()), str(folder))


def _packed(folder: Any, pack: Callable[[Any], Any]) -> FsspecBackend:
    """An archive with a file in it."""
    (folder / "d").mkdir()
    (folder / "d" / "f").write_bytes(b"1")
    return FsspecBackend(pack(folder))


def _dir(folder: Any) -> Any:
    """Over files, twice."""
    return DirFileSystem("in ner", DirFileSystem(str(folder), LocalFileSystem(skip_instance_cache=True)))


def _wrapper(folder: Any, asynchronous: bool = False) -> Any:
    return AsyncFileSystemWrapper(_dir(folder), asynchronous=asynchronous)


FAST: dict[str, Any] = {"engine": "fast"}
MOTO: dict[str, Any] = {"needs": "moto_server", "flat": True}
MINISTACK: dict[str, Any] = {"needs": "ministack_server", "flat": True}
NO_EMPTY_VALUES = r"'empty': ''\}, found \{'note': '[^']+', 'owner': 'ana'\}$"
SEAWEEDFS: dict[str, Any] = {
    "needs": "seaweedfs_server",
    "flat": True,
    "soak": True,
    "breaks": {"metadata_is_kept": NO_EMPTY_VALUES, "metadata_goes_along": NO_EMPTY_VALUES},
}

GCS: dict[str, Any] = {"needs": "gcs_server", "flat": True}
AZURITE: dict[str, Any] = {"needs": "azurite_server", "flat": True}
NOT_SIGNED = "the store is anonymous"
FAKE_GCS: dict[str, Any] = {
    "needs": "fake_gcs_server",
    "flat": True,
    "breaks": {
        "if_match_reads_only_what_it_names": "reading another 'f': expected PreconditionFailed, got b'56'$",
        **dict.fromkeys(("a_signed_url_reads_its_file", "a_signed_url_writes_its_file"), NOT_SIGNED),
        **dict.fromkeys(("signing_needs_no_file", "signing_refuses_in_order"), NOT_SIGNED),
    },
}

NO_SUCH_NAMES = (
    "keys_are_literal",
    "literal_keys_are_moved_and_copied",
    "globs_match_by_segment",
    "deleting_a_literal_key_deletes_nothing_else",
)
"""Checks that use names which files on Windows cannot have."""
SMB: dict[str, Any] = {
    "needs": "smb_server",
    "breaks": dict.fromkeys(NO_SUCH_NAMES, "a name that Windows has not"),
}

KINDS: list[Kind[Any]] = [
    Kind("local", lambda folder: Store(LocalBackend(folder)), often=True),
    Kind("local-child", lambda folder: Store(LocalBackend(folder)), child=True, often=True),
    Kind("local-durable", lambda folder: Store(LocalBackend(folder, durable=True))),
    Kind("memory", lambda _: Store(MemoryBackend()), often=True),
    Kind("memory-shared", lambda _: Store.from_url(_shared_url())),
    Kind("generic", lambda _: Store(FsspecBackend(unknown_filesystem())), empty_folders=False, often=True),
    Kind("generic-files", lambda folder: Store(FsspecBackend(unknown_filesystem(str(folder))))),
    Kind("generic-async", lambda _: Store(FsspecBackend(_looped())), empty_folders=False),
    Kind("dir", lambda folder: Store(FsspecBackend(_dir(folder)))),
    Kind("dir-s3", lambda server: Store(FsspecBackend(_dir_over_s3(server))), **MOTO),
    Kind("wrapper", lambda folder: Store(FsspecBackend(_wrapper(folder), "ro*t"))),
    Kind("arrow", lambda folder: Store(_arrow(folder))),
    Kind("arrow-tree", lambda folder: Store(_arrow(folder, tree=True))),
    Kind("zip", lambda folder: Store(ArchivedBackend(folder, zipped))),
    Kind("zip-alone", lambda folder: Store(_packed(folder, zipped))),
    Kind("tar", lambda folder: Store(ArchivedBackend(folder, tarred))),
    Kind("tar-alone", lambda folder: Store(_packed(folder, tarred))),
    Kind("obstore-memory", lambda _: Store(FsspecBackend(_obstore("memory"), "in ner/ro*t")), flat=True),
    Kind("obstore-file", lambda folder: Store(FsspecBackend(_obstore("file"), str(folder)))),
    Kind("obstore-s3", lambda server: Store(FsspecBackend(*_obstore_s3(server))), **MOTO),
    Kind("ftp", lambda address: Store(ftp_backend(*address)), needs="ftp_server"),
    Kind("webdav", lambda server: Store(server.backend()), needs="dav_server"),
    Kind("smb", lambda server: Store(server.backend()), **SMB),
    Kind("s3-moto", lambda server: Store(_s3(server)), **MOTO),
    Kind("s3-child", lambda server: Store(_s3(server, "")), child=True, **MOTO),
    Kind("s3-ministack", lambda server: Store(_s3(server)), **MINISTACK),
    Kind("s3-seaweedfs", lambda server: Store(_s3(server)), **SEAWEEDFS),
    Kind("s3-fast", lambda server: Store(_s3(server, **FAST)), **MOTO),
    Kind("s3-fast-child", lambda server: Store(_s3(server, "", **FAST)), child=True, **MOTO),
    Kind("s3-fast-ministack", lambda server: Store(_s3(server, **FAST)), **MINISTACK),
    Kind("s3-fast-seaweedfs", lambda server: Store(_s3(server, **FAST)), **SEAWEEDFS),
    Kind("gcs", lambda server: Store(_gcs(server)), **GCS),
    Kind("gcs-child", lambda server: Store(_gcs(server, "")), child=True, **GCS),
    Kind("gcs-fake", lambda server: Store(_gcs(server)), **FAKE_GCS),
    Kind("azure", lambda server: Store(_azure(server)), needs="azure_server", flat=True),
    Kind("azure-hns", lambda server: Store(_azure(server, container=HNS)), needs="azure_server"),
    Kind("azure-hns-child", lambda server: Store(_azure(server, "", HNS)), needs="azure_server", child=True),
    Kind("azurite", lambda server: Store(_azure(server)), **AZURITE),
    Kind("azurite-child", lambda server: Store(_azure(server, "")), child=True, **AZURITE),
    Kind("http", _published, needs="web_server"),
    Kind("http-plain", _published, needs="plain_web_server"),
    Kind("http-alone", lambda server: Store(HTTPBackend(server.endpoint)), needs="web_server"),
    Kind("sftp-openssh", lambda place: Store(_sftp(place)), needs="openssh_server"),
    Kind("sftp-openssh-child", lambda place: Store(_sftp(place)), needs="openssh_server", child=True),
    Kind("sftp-asyncssh", lambda place: Store(_sftp(place)), needs="asyncssh_server"),
    Kind("bridge", lambda _: Store(AsyncBackendSyncAdapter(AsyncMemoryBackend())), often=True),
    Kind(
        "bridge-and-back",
        lambda _: Store(AsyncBackendSyncAdapter(SyncBackendAdapter(MemoryBackend()))),
        often=True,
    ),
    Kind("bridge-s3", lambda server: Store(AsyncBackendSyncAdapter(_async_s3(server))), **MOTO),
]

ASYNC_KINDS: list[Kind[Any]] = [
    Kind("local", lambda folder: AsyncStore(AsyncLocalBackend(folder)), often=True),
    Kind("local-child", lambda folder: AsyncStore(AsyncLocalBackend(folder)), child=True),
    Kind("memory", lambda _: AsyncStore(AsyncMemoryBackend()), often=True),
    Kind("memory-threads", lambda _: AsyncStore(MemoryBackend())),
    Kind("memory-shared", lambda _: AsyncStore.from_url(_shared_url())),
    Kind("generic-threads", lambda _: AsyncStore(FsspecBackend(unknown_filesystem())), empty_folders=False),
    Kind(
        "generic",
        lambda _: AsyncStore(AsyncFsspecBackend(_looped(asynchronous=True))),
        empty_folders=False,
        often=True,
    ),
    Kind("generic-pinned", lambda _: AsyncStore(AsyncFsspecBackend(_looped())), empty_folders=False),
    Kind("dir", lambda folder: AsyncStore(FsspecBackend(_dir(folder)))),
    Kind("dir-s3", lambda server: AsyncStore(AsyncFsspecBackend(_dir_over_s3(server, True))), **MOTO),
    Kind("wrapper", lambda folder: AsyncStore(AsyncFsspecBackend(_wrapper(folder, True), "ro*t"))),
    Kind("arrow", lambda folder: AsyncStore(_arrow(folder))),
    Kind("arrow-tree", lambda folder: AsyncStore(_arrow(folder, tree=True))),
    Kind("zip", lambda folder: AsyncStore(ArchivedBackend(folder, zipped))),
    Kind("zip-alone", lambda folder: AsyncStore(_packed(folder, zipped))),
    Kind("tar", lambda folder: AsyncStore(ArchivedBackend(folder, tarred))),
    Kind("tar-alone", lambda folder: AsyncStore(_packed(folder, tarred))),
    Kind("obstore-gcs", lambda server: AsyncStore(AsyncFsspecBackend(*_obstore_gcs(server, True))), **GCS),
    Kind("obstore-azurite", lambda server: AsyncStore(AsyncFsspecBackend(*_obstore_azure(server, True))), **AZURITE),
    Kind("obstore-memory", lambda _: AsyncStore(AsyncFsspecBackend(_obstore("memory", True))), flat=True),
    Kind("obstore-file", lambda folder: AsyncStore(AsyncFsspecBackend(_obstore("file", True), str(folder)))),
    Kind("obstore-s3", lambda server: AsyncStore(AsyncFsspecBackend(*_obstore_s3(server, True))), **MOTO),
    Kind("ftp", lambda address: AsyncStore(ftp_backend(*address)), needs="ftp_server"),
    Kind("webdav", lambda server: AsyncStore(server.backend()), needs="dav_server"),
    Kind("smb", lambda server: AsyncStore(server.backend()), **SMB),
    Kind("s3-moto", lambda server: AsyncStore(_async_s3(server)), often=True, **MOTO),
    Kind("s3-child", lambda server: AsyncStore(_async_s3(server, "")), child=True, **MOTO),
    Kind("s3-ministack", lambda server: AsyncStore(_async_s3(server)), **MINISTACK),
    Kind("s3-seaweedfs", lambda server: AsyncStore(_async_s3(server)), **SEAWEEDFS),
    Kind("s3-fast", lambda server: AsyncStore(_async_s3(server, **FAST)), **MOTO),
    Kind("s3-fast-ministack", lambda server: AsyncStore(_async_s3(server, **FAST)), **MINISTACK),
    Kind("s3-fast-seaweedfs", lambda server: AsyncStore(_async_s3(server, **FAST)), **SEAWEEDFS),
    Kind("gcs", lambda server: AsyncStore(_async_gcs(server)), often=True, **GCS),
    Kind("gcs-fake", lambda server: AsyncStore(_async_gcs(server)), **FAKE_GCS),
    Kind("azure", lambda server: AsyncStore(_async_azure(server)), needs="azure_server", flat=True),
    Kind("azure-hns", lambda server: AsyncStore(_async_azure(server, HNS)), needs="azure_server"),
    Kind("azurite", lambda server: AsyncStore(_async_azure(server)), **AZURITE),
    Kind("http", _async_published, needs="web_server", often=True),
    Kind("http-plain", _async_published, needs="plain_web_server"),
    Kind("http-alone", lambda server: AsyncStore(AsyncHTTPBackend(server.endpoint)), needs="web_server"),
    Kind("sftp-openssh", lambda place: AsyncStore(_async_sftp(place)), needs="openssh_server"),
    Kind("sftp-asyncssh", lambda place: AsyncStore(_async_sftp(place)), needs="asyncssh_server", often=True),
    Kind("bridge", lambda _: AsyncStore(SyncBackendAdapter(MemoryBackend())), often=True),
    Kind(
        "bridge-and-back",
        lambda _: AsyncStore(SyncBackendAdapter(AsyncBackendSyncAdapter(AsyncMemoryBackend()))),
        often=True,
    ),
]
