"""Which filesystems are certified for the docs: those of the matrix, and more, each a line of data."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from _places import FILES, PLACES, Place, generic, over_azure
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.tar import TarFileSystem
from servers import azure, samba, seaweedfs, webdav
from servers.s3 import BUCKET
from servers.sftp import asyncssh_place

from remote_store import Store
from remote_store.backends import S3Backend, SFTPBackend

Start = Callable[[], AbstractContextManager[Any]]


@contextmanager
def in_a_folder(name: str, make: Callable[[str], tuple[Any, str]]) -> Iterator[Place]:
    """Over a temporary folder, of which `make` gives a filesystem and the root there."""
    with tempfile.TemporaryDirectory() as folder:
        fs, root = make(folder)
        yield generic(name, fs, root)


@contextmanager
def over_asyncssh() -> Iterator[Place]:
    with asyncssh_place() as server, Store(SFTPBackend("127.0.0.1", server.fresh_root(), **server.options)) as store:
        yield Place(store, None, "")


@contextmanager
def over_seaweedfs() -> Iterator[Place]:
    with seaweedfs.seaweedfs() as server, Store(S3Backend(BUCKET, "matrix", **server.options)) as store:
        yield Place(store, None, "")


@contextmanager
def over_smb() -> Iterator[Place]:
    with samba.samba() as server, Store(server.backend()) as store:
        yield Place(store, None, "")


@contextmanager
def over_wsgidav() -> Iterator[Place]:
    with (
        tempfile.TemporaryDirectory() as folder,
        webdav.wsgidav(Path(folder)) as server,
        Store(server.backend()) as store,
    ):
        yield Place(store, None, "")


def archived(folder: str) -> tuple[Any, str]:
    path = f"{folder}/a.tar"
    with tarfile.open(path, "w") as archive:
        for key, data in FILES.items():
            member = tarfile.TarInfo(f"matrix/{key}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return TarFileSystem(path, skip_instance_cache=True), "matrix"


def packed(folder: str) -> tuple[Any, str]:
    path = f"{folder}/a.7z"
    with import_module("libarchive").file_writer(path, "7zip") as archive:
        for key, data in FILES.items():
            archive.add_file_from_memory(f"matrix/{key}", len(data), data)
    filesystem = import_module("fsspec.implementations.libarchive").LibArchiveFileSystem
    return filesystem(path, skip_instance_cache=True), "matrix"


def local() -> LocalFileSystem:
    return LocalFileSystem(skip_instance_cache=True)


def arrow(folder: str) -> tuple[Any, str]:
    wrapper = import_module("fsspec.implementations.arrow").ArrowFSWrapper
    return wrapper(import_module("pyarrow.fs").LocalFileSystem(), skip_instance_cache=True), folder


def obstore(protocol: str, folder: str) -> tuple[Any, str]:
    fs = import_module("obstore.fsspec").FsspecStore(protocol)
    fs.pipe_file("matrix/there" if protocol == "memory" else f"{folder}/there", b"1")  # Else there is no such root.
    return fs, "matrix" if protocol == "memory" else folder


MORE: dict[str, tuple[str, str, Start]] = {
    "seaweedfs": ("s3", "seaweedfs", over_seaweedfs),
    "azure": ("azure", "own double", partial(over_azure, azure.azure, azure.CONTAINER)),
    "asyncssh": ("sftp", "asyncssh", over_asyncssh),
    "wsgidav": ("webdav", "wsgidav", over_wsgidav),
    "smb": ("smb", "samba", over_smb),
    "dir": ("dir", "files", partial(in_a_folder, "dir", lambda folder: (DirFileSystem(folder, local()), ""))),
    "wrapper": (
        "async wrapper",
        "files",
        partial(in_a_folder, "wrapper", lambda folder: (AsyncFileSystemWrapper(local()), folder)),
    ),
    "arrow": ("arrow", "files", partial(in_a_folder, "arrow", arrow)),
    "obstore-memory": ("obstore", "memory", partial(in_a_folder, "obstore", partial(obstore, "memory"))),
    "obstore-file": ("obstore", "files", partial(in_a_folder, "obstore", partial(obstore, "file"))),
    "tar": ("tar", "read only", partial(in_a_folder, "tar", archived)),
    "libarchive": ("libarchive", "7-Zip, read only", partial(in_a_folder, "libarchive", packed)),
}
"""By name: kind and server as shown, and how to start it; beside those of the matrix."""
FILESYSTEMS: dict[str, tuple[str, str, Start]] = {**PLACES, **MORE}
