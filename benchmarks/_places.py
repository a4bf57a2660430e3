"""Where the matrix measures: stores over servers on loopback, beside the bare filesystem on the same place."""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.zip import ZipFileSystem
from helpers.kinds import unknown_filesystem
from servers import azure, azurite, fake_gcs, ftp, gcs, rclone, s3, sshd
from servers.gcs_login import service_account
from servers.ports import free_port
from servers.processes import connect, running, wait_until_up

from remote_store import FsspecBackend, Store
from remote_store.backends import AzureBackend, GCSBackend, LocalBackend, S3Backend, SFTPBackend

KIB = b"x" * 1024
FILES = {"f": KIB, "big": KIB * 1024, **{f"d/{number:03}": KIB for number in range(100)}}
"""What is there before anything is measured."""


class Place(NamedTuple):
    """A store; the filesystem below it, and the root there; what the server was asked so far, where it counts."""

    store: Store
    fs: Any
    root: str
    requests: list[str] | None = None


def generic(name: str, fs: Any, root: str) -> Place:
    return Place(Store(FsspecBackend(fs, root, name=name)), fs, root)


@contextmanager
def local() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        yield Place(Store(LocalBackend(folder)), LocalFileSystem(skip_instance_cache=True), folder)


@contextmanager
def memory() -> Iterator[Place]:
    with Store.from_url("memory://matrix") as store:  # The tree that fsspec shares, to have the same below both.
        yield Place(store, MemoryFileSystem(), "/matrix")
        MemoryFileSystem().rm("/matrix", recursive=True)


def bare_s3(options: dict[str, Any]) -> Any:
    client = {"region_name": options["region_name"]}
    passed = {name: options[name] for name in ("key", "secret", "endpoint_url", "config_kwargs") if name in options}
    return import_module("s3fs").S3FileSystem(**passed, client_kwargs=client, skip_instance_cache=True)


@contextmanager
def over_s3(start: Callable[[], AbstractContextManager[Any]]) -> Iterator[Place]:
    with start() as server:
        options = server if isinstance(server, dict) else server.options | {"bucket": s3.BUCKET}
        bucket = options.pop("bucket")
        with Store(S3Backend(bucket, "matrix", **options)) as store:
            asked = server.requests if start is s3.moto else None
            yield Place(store, bare_s3(options), f"{bucket}/matrix", asked)


def over_gcs(server: gcs.GcsServer, **login: Any) -> Iterator[Place]:
    from gcsfs.core import GCSFileSystem  # The other one of gcsfs asks by gRPC first.

    logging.getLogger("gcsfs").addHandler(logging.NullHandler())  # Else it tells the terminal of what is not there.
    fs = GCSFileSystem(**server.options, skip_instance_cache=True)
    with Store(GCSBackend(gcs.BUCKET, "matrix", **{**server.options, **login})) as store:
        yield Place(store, fs, f"{gcs.BUCKET}/matrix", None if server.pid else server.requests)


@contextmanager
def double_of_gcs() -> Iterator[Place]:
    with gcs.gcs() as server, server.having(bare_newlines=True):  # Of the bare filesystem.
        yield from over_gcs(server, token=service_account(server.endpoint))


@contextmanager
def over_fake_gcs() -> Iterator[Place]:
    with fake_gcs.fake_gcs() as server:
        yield from over_gcs(server)


@contextmanager
def over_azure(start: Callable[[], AbstractContextManager[azure.AzureServer]], container: str) -> Iterator[Place]:
    with start() as server:
        fs = import_module("adlfs").AzureBlobFileSystem(**server.options, skip_instance_cache=True)
        with Store(AzureBackend(container, "matrix", **server.options)) as store:
            store.ping()  # Which finds out whether there are folders.
            yield Place(store, fs, f"{container}/matrix", None if server.pid else server.requests)


@contextmanager
def served_by_rclone(protocol: str, *options: str) -> Iterator[int]:
    """Serve a folder `matrix` of files; gives the port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        for key, data in FILES.items():
            path = Path(folder, "root", "matrix", key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        arguments = ["--config", os.devnull, "--cache-dir", folder, "serve", protocol]
        arguments += ["--addr", f"127.0.0.1:{port}", *options, str(Path(folder, "root"))]
        with running("rclone", *arguments) as process:
            wait_until_up(process, lambda: connect(port))
            yield port


@contextmanager
def sftp() -> Iterator[Place]:
    connect = import_module("sshfs").SSHFileSystem
    with served_by_rclone("sftp", "--no-auth") as port:
        login = {"username": "user", "known_hosts": None, "client_keys": None}
        yield generic("sftp", connect("127.0.0.1", port=port, **login, skip_instance_cache=True), "/matrix")


@contextmanager
def over_openssh() -> Iterator[Place]:
    connect = import_module("sshfs").SSHFileSystem
    with sshd.openssh() as server:
        login = {name: server.login[name] for name in ("username", "client_keys", "known_hosts")}
        fs = connect("127.0.0.1", port=server.port, **login, skip_instance_cache=True)
        root = server.fresh_root()
        with Store(SFTPBackend("127.0.0.1", root, **server.options)) as store:
            yield Place(store, fs, root)


@contextmanager
def webdav() -> Iterator[Place]:
    connect = import_module("webdav4.fsspec").WebdavFileSystem
    with served_by_rclone("webdav") as port:
        yield generic("webdav", connect(f"http://127.0.0.1:{port}", skip_instance_cache=True), "matrix")


@contextmanager
def http() -> Iterator[Place]:
    with served_by_rclone("http") as port:
        fs, site = HTTPFileSystem(skip_instance_cache=True), f"http://127.0.0.1:{port}"
        yield Place(Store(FsspecBackend(fs, site, name="http"), "matrix"), fs, f"{site}/matrix")


@contextmanager
def over_ftp() -> Iterator[Place]:
    logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())  # Else it logs to the terminal.
    with tempfile.TemporaryDirectory() as folder, ftp.serve(folder) as (host, port):
        login = {"username": ftp.USER, "password": ftp.PASSWORD}
        fs = FTPFileSystem(host, port, **login, skip_instance_cache=True)
        fs.mkdir("/matrix")
        yield generic("ftp", fs, "/matrix")


@contextmanager
def in_zip() -> Iterator[Place]:
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for key, data in FILES.items():
                archive.writestr(f"matrix/{key}", data)
        yield generic("zip", ZipFileSystem(file.name, skip_instance_cache=True), "matrix")


@contextmanager
def unknown() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        fs = unknown_filesystem(folder)
        fs.mkdir("matrix")
        yield generic("any fsspec", fs, "matrix")


PLACES: dict[str, tuple[str, str, Callable[[], AbstractContextManager[Place]]]] = {
    "local": ("local", "files", local),
    "memory": ("memory", "this process", memory),
    "moto": ("s3", "moto", partial(over_s3, s3.moto)),
    "ministack": ("s3", "ministack", partial(over_s3, s3.ministack)),
    "rclone": ("s3", "rclone", partial(over_s3, rclone.rclone)),
    "gcs": ("gcs", "own double", double_of_gcs),
    "fake-gcs": ("gcs", "fake-gcs", over_fake_gcs),
    "azurite": ("azure", "azurite", partial(over_azure, azurite.azurite, azure.CONTAINER)),
    "azure-hns": ("azure, folders", "own double", partial(over_azure, azure.azure, azure.HNS)),
    "openssh": ("sftp", "openssh", over_openssh),
    "sftp": ("sftp", "rclone", sftp),
    "http": ("http", "rclone", http),
    "webdav": ("webdav", "rclone", webdav),
    "ftp": ("ftp", "pyftpdlib", over_ftp),
    "any": ("any fsspec", "files", unknown),
    "zip": ("zip", "read only", in_zip),
}
"""By name: kind and server as shown, and how to start it."""
