"""From a URL to a backend."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from remote_store._backend import Backend, BackendBase
from remote_store._paths import has_credentials, redact
from remote_store.aio._backend import AsyncBackend
from remote_store.drivers.base import from_any_error

L = TypeVar("L", bound=BackendBase)

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"} | {
    "adl": "azure",
    "ssh": "sftp",
    "sftp": "sftp",
    "http": "http",
    "https": "http",
}
"""Protocol → the extra of this package that brings what it needs."""

_LIKE_A_URL = re.compile(r"(s3a?|gs|gcs|az|abfss?|adl|https?|s?ftp|ssh|file|local|memory|zip|tar):/|[A-Za-z]:\\")
"""A protocol that lost a slash, or a Windows drive."""

_UNCACHED = {"use_listings_cache": False, "skip_instance_cache": True}


def backend_from_url(url: str, options: Mapping[str, Any]) -> Backend:
    """The backend of a URL, rooted at its path."""
    from remote_store.backends._fsspec import FsspecBackend
    from remote_store.backends._named import LocalBackend, S3Backend

    if _protocol(url) == "file":
        return _local(LocalBackend, url, options)
    if url.startswith(S3_URLS):
        return S3Backend(*_bucket(url), **options)
    fs, root = _filesystem(url, options)
    return FsspecBackend(fs, root).own()


def async_backend_from_url(url: str, options: Mapping[str, Any]) -> AsyncBackend | Backend:
    """The backend of a URL for an `AsyncStore`: native where the filesystem is asynchronous."""
    from remote_store.aio._fsspec import AsyncFsspecBackend
    from remote_store.aio._named import AsyncLocalBackend, AsyncS3Backend
    from remote_store.backends._fsspec import FsspecBackend

    protocol = _protocol(url)
    if protocol == "file":
        return _local(AsyncLocalBackend, url, options)
    if url.startswith(S3_URLS):
        return AsyncS3Backend(*_bucket(url), **options)
    native = protocol != "memory" and _filesystem_class(protocol).async_impl
    fs, root = _filesystem(url, {**options, "asynchronous": True} if native else options)
    cls = AsyncFsspecBackend if native or protocol == "memory" else FsspecBackend
    return cls(fs, root).own()


def _protocol(url: str) -> str:
    """The protocol of the outermost part of a URL; `"file"` for plain paths."""
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {type(url).__name__}")
    head = url.partition("::")[0]
    protocol, separator, _ = head.partition("://")
    if not url or (separator and not protocol):
        raise ValueError(f"malformed URL {redact(url)!r}: expected 'protocol://path', or a path on this machine")
    if _LIKE_A_URL.match(url) and not separator:
        raise ValueError(f"malformed URL {url!r}: expected 'protocol://path', or a path on this machine")
    if separator or "::" in url:
        return "file" if protocol == "local" else protocol
    return "file"


S3_URLS = ("s3://", "s3a://")


def _bucket(url: str) -> tuple[str, str]:
    """Bucket and prefix of a URL.

    Raises:
        ValueError: credentials in it.
    """
    if has_credentials(url):
        raise ValueError("an S3 URL takes no credentials: pass key= and secret=, or leave them to the SDK")
    bucket, _, prefix = url.partition("://")[2].partition("/")
    return bucket, prefix


def _local(cls: Callable[..., L], url: str, options: Mapping[str, Any]) -> L:
    from fsspec.implementations.local import LocalFileSystem

    if unknown := set(options) - {"create", "durable"}:
        raise ValueError(f"unknown option {sorted(unknown)[0]!r} for a local URL; it takes 'create' and 'durable'")
    return cls(LocalFileSystem._strip_protocol(url), **options)


def _filesystem_class(protocol: str) -> Any:
    from fsspec import get_filesystem_class

    try:
        return get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        what = f"pip install 'remote-store-fsspec[{extra}]'" if extra else str(error)
        raise ImportError(f"{protocol}:// needs a package that is not installed: {what}") from error
    except ValueError as error:
        raise ValueError(
            f"unknown protocol {protocol!r}: install the package that provides it, or register its filesystem with "
            "fsspec.register_implementation"
        ) from error


def _filesystem(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    for part in url.split("::"):
        protocol, separator, _ = part.partition("://")
        if separator or part == url.partition("::")[0]:
            _filesystem_class(protocol)
    try:
        fs, root = url_to_fs(url, **_UNCACHED, **options)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ValueError(
            f"cannot open {redact(url)!r}: {type(error).__name__}; check the URL and its options"
        ) from error
    except Exception as error:
        raise from_any_error(error, redact(url), _protocol(url)) from error
    return fs, root
