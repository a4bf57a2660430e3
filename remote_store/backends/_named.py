"""Backends by name."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from inspect import signature
from typing import Any, NoReturn

from remote_store import _fork
from remote_store._hints import arguments, install, nearest
from remote_store._paths import key_of
from remote_store.backends._fsspec import DriverBackend
from remote_store.drivers.base import Driver
from remote_store.drivers.profiles import LOCAL, MEMORY, S3


class LocalBackend(DriverBackend):
    """Files in a folder of this machine (POSIX).

    Every write goes through a temporary file in the target folder and is published in one step, so nothing is lost
    or half written; nothing, links included, leads out of the root. User metadata is kept in extended attributes
    where the file system has them. Names that begin with `.~rs-` are reserved for temporary files.

    Args:
        root: folder that is the root; links to it are followed once, now.
        create: make it, and the folders above it, if it is missing.
        durable: on every write, move and delete wait until the disk has it (fsync of file and folder).

    Raises:
        PermissionDenied: the root cannot be created.
        InvalidPath: the root is not a folder.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import LocalBackend
        >>> store = Store(LocalBackend("data"))  # doctest: +SKIP
    """

    CAPABILITIES = LOCAL.capabilities

    def __init__(self, root: str | os.PathLike[str], *, create: bool = True, durable: bool = False) -> None:
        if os.name != "posix":
            raise NotImplementedError("LocalBackend needs POSIX; FsspecBackend(LocalFileSystem(), root) promises less")
        path = os.path.abspath(os.path.expanduser(os.fspath(root)))
        self._recipe = (path,), {"create": create, "durable": durable}
        self._driver  # noqa: B018 (a root that cannot be used is told now)

    def _make_driver(self) -> Driver:
        from remote_store.drivers.local.driver import LocalDriver

        (path,), options = self._recipe
        return LocalDriver(path, **options)


class MemoryBackend(DriverBackend):
    """Files in this process's memory, in a tree of its own; gone with the backend.

    `Store.from_url("memory://…")` gives the tree that the whole process, fsspec included, shares.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import MemoryBackend
        >>> store = Store(MemoryBackend())
    """

    CAPABILITIES = MEMORY.capabilities

    def __init__(self) -> None:
        self._driver  # noqa: B018

    def _make_driver(self) -> Driver:
        return private_memory()

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


class S3Backend(DriverBackend):
    """Objects in a bucket of Amazon S3, or of a service that speaks its protocol. Needs the extra `s3`.

    Credentials come from the arguments, or from where the AWS SDK finds them (environment, profile, role).

    Args:
        bucket: its name; the bucket must exist.
        root: prefix that is the root.
        key, secret, token: access key, secret key and session token.
        region_name: of the bucket.
        endpoint_url: of a service other than Amazon's.
        timeout: deadline of one SDK call with its retries, and of each chunk of a stream [s].
        part_size: content up to here is one request; longer streams go in parts of this size [bytes].
        max_concurrency: parts in flight; at most one more is held in memory.
        reject_write_under_file_ancestor: refuse to write below an object, at the price of one request for each
            folder above, all at once.
        options: for `s3fs.S3FileSystem`.

    Raises:
        ImportError: s3fs is not installed.
        ValueError: no bucket, or a part size under 5 MiB (S3's minimum).

    Example:
        >>> from remote_store.backends import S3Backend
        >>> store = Store(S3Backend("my-bucket", region_name="eu-central-1"))  # doctest: +SKIP
    """

    CAPABILITIES = S3.capabilities
    close_is_terminal = True

    def __init__(self, bucket: str, root: str = "", **options: Any) -> None:
        self._recipe = (bucket, root), options
        self._driver  # noqa: B018
        _fork.watch(self)

    def _make_driver(self) -> Driver:
        return s3_driver(*self._recipe[0], asynchronous=False, **self._recipe[1])


def s3_driver(
    bucket: str,
    root: str = "",
    *,
    asynchronous: bool,
    region_name: str | None = None,
    timeout: float = 60,
    part_size: int = 8 << 20,
    max_concurrency: int = 4,
    reject_write_under_file_ancestor: bool = False,
    client_kwargs: dict[str, Any] | None = None,
    config_kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> Driver:
    """A driver over an s3fs filesystem of its own."""
    if not bucket:
        raise ValueError("S3 needs a bucket: S3Backend('my-bucket'), or s3://my-bucket/prefix")
    if "://" in bucket or ("/" in bucket and not bucket.startswith("arn:")):
        raise ValueError("a bucket is a name, such as 'my-bucket'; a prefix in it is the root")
    if part_size < 5 << 20:
        raise ValueError("part_size must be at least 5 MiB (S3's minimum)")
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise ImportError(f"S3 needs s3fs: {install('s3fs', 's3')}") from error
    from remote_store.drivers.s3.driver import S3Driver
    from remote_store.drivers.s3.session import OneTryPerRequest

    check_s3_options(S3FileSystem, options)
    defaults: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 3}}
    # The SDK's 10 connections would be held by 10 open streams, for which an eleventh call would wait in vain.
    defaults |= {"http_session_cls": OneTryPerRequest, "max_pool_connections": 256}
    fs = S3FileSystem(
        asynchronous=asynchronous,
        use_listings_cache=False,
        skip_instance_cache=True,
        client_kwargs={**({"region_name": region_name} if region_name else {}), **(client_kwargs or {})},
        config_kwargs={**defaults, **(config_kwargs or {})},
        **options,
    )
    driver = S3Driver(
        fs,
        bucket,
        key_of(root),
        timeout=timeout,
        part_size=part_size,
        max_concurrency=max_concurrency,
        reject_write_under_file_ancestor=reject_write_under_file_ancestor,
    )
    driver.owned = True
    return driver


def check_s3_options(filesystem: type, options: Mapping[str, Any]) -> None:
    """Raise `ValueError` for what would be an error of the SDK's with the first request."""
    known = {"profile"} | arguments(filesystem)
    if unknown := sorted(options.keys() - known):
        if table := SDK_TABLES.get(unknown[0]):
            hint = f"; it goes into {table}={{{unknown[0]!r}: …}}"
        else:
            near = nearest(unknown[0], [*known, *signature(s3_driver).parameters])
            hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"unknown option {unknown[0]!r} for S3{hint}")
    url = options.get("endpoint_url")
    if url is not None and not str(url).startswith(("http://", "https://")):
        raise ValueError("endpoint_url must begin with http:// or https://")


SDK_TABLES = {
    **dict.fromkeys(("api_version", "verify"), "client_kwargs"),
    **dict.fromkeys(("max_pool_connections", "proxies", "retries", "s3", "signature_version"), "config_kwargs"),
    **dict.fromkeys(
        ("ACL", "CacheControl", "SSEKMSKeyId", "ServerSideEncryption", "StorageClass"), "s3_additional_kwargs"
    ),
}
"""Argument of the SDK → the option that takes it, in a table: of the client, of its configuration, of each call."""


def private_memory() -> Driver:
    """A driver over a tree of its own."""
    from remote_store.drivers.memory.driver import MemoryDriver
    from remote_store.drivers.memory.tree import private_filesystem

    return MemoryDriver(private_filesystem())


def refuse_pickling() -> NoReturn:
    """Memory cannot be taken to another process."""
    raise pickle.PicklingError(
        "a MemoryBackend lives in one process and cannot be pickled; use a file:// or other URL to share files"
    )
