"""From a URL to a backend."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from textwrap import shorten
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from remote_store._backend import Backend
from remote_store._errors import RemoteStoreError, with_errno
from remote_store._hints import arguments, nearest
from remote_store._location import Location
from remote_store._paths import SECRET_NAME, redact, without
from remote_store.aio._backend import AsyncBackend
from remote_store.drivers.errors import from_any_error
from remote_store.drivers.kind import OURS, Kind
from remote_store.drivers.kinds import by_protocol
from remote_store.drivers.reasons import host_and_port


def backend_from_url(url: str, options: Mapping[str, Any]) -> Backend:
    """The backend of a URL, rooted at its path."""
    from remote_store.backends._fsspec import FsspecBackend
    from remote_store.backends._named import backend_of

    _, kind, known = _parsed(url, options)
    if known is not None:
        return backend_of(kind, known)
    fs, root = _filesystem(url, options)
    return FsspecBackend(fs, root, name=kind.name).adopt()


def async_backend_from_url(url: str, options: Mapping[str, Any]) -> AsyncBackend | Backend:
    """The backend of a URL for an `AsyncStore`: native where the filesystem is asynchronous."""
    from remote_store.aio._fsspec import AsyncFsspecBackend
    from remote_store.aio._named import async_backend_of
    from remote_store.backends._fsspec import FsspecBackend
    from remote_store.drivers.generic.filesystem import is_async

    place, kind, known = _parsed(url, options)
    if known is not None:
        return async_backend_of(kind, known)
    native = _takes_loop(filesystem_class(place.protocol))
    fs, root = _filesystem(url, {**options, "asynchronous": True} if native else options)
    cls = AsyncFsspecBackend if kind.runs == "inline" or is_async(fs) else FsspecBackend
    return cls(fs, root, name=kind.name).adopt()


def _parsed(url: str, options: Mapping[str, Any]) -> tuple[Location, Kind, dict[str, Any] | None]:
    """Where a URL leads, to what kind of storage, and all options of that if URLs lead to its backend by name."""
    place = Location.parse(url)
    kind = by_protocol(place.protocol)
    told = kind.options.of_url(place) if kind.make else None
    if told is None:
        return place, kind, None
    if twice := sorted(told.keys() & options.keys()):
        raise ValueError(f"the URL tells the option {twice[0]!r} already")
    return place, kind, {**told, **options}


def _takes_loop(cls: Any) -> bool:
    """Whether a filesystem can be made for the caller's event loop; others stay on their own (sshfs)."""
    from fsspec.asyn import AsyncFileSystem

    return cls.async_impl and "asynchronous" in arguments(cls, but=AsyncFileSystem)


def filesystem_class(protocol: str) -> Any:
    """The class of fsspec for a protocol; raises an ImportError or ValueError that says what to install."""
    from fsspec import get_filesystem_class

    try:
        return get_filesystem_class(protocol)
    except ImportError as error:
        what = by_protocol(protocol).install or str(error)
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
            filesystem_class(protocol)
    try:
        fs, root = url_to_fs(url, **{**options, "skip_instance_cache": True})
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        if not isinstance(error, OSError):  # As a certificate's is.
            raise ValueError(
                f"cannot open {redact(url)!r}: {_told(error, url, options)}; check the URL and its options"
            ) from error
        raise _failed(error, url, options) from error
    except Exception as error:
        raise _failed(error, url, options) from error
    # Not as an option: some filesystems pass what they do not know on to others, which refuse it (sshfs).
    cache = object.__getattribute__(fs, "__dict__").get("dircache")
    if hasattr(cache, "use_listings_cache"):
        cache.use_listings_cache = False
    return fs, root


def _failed(error: Exception, url: str, options: Mapping[str, Any]) -> Exception:
    """The error of a filesystem that connects as it is made."""
    protocol = Location.parse(url).protocol
    own = filesystem_class(protocol)._get_kwargs_from_urls(url)
    host, port = (options.get(name, own.get(name)) for name in ("host", "port"))
    place = host_and_port(str(host), port) if host else ""
    failed = from_any_error(error, redact(url), by_protocol(protocol).name, place=place)
    if type(failed) is RemoteStoreError:  # Of no class that is known: the filesystem's own words tell more.
        said = f"The filesystem cannot be opened: {_told(error, url, options)}"
        return with_errno(
            RemoteStoreError(said, path=failed.path, backend=failed.backend), getattr(error, "errno", None)
        )
    return failed


def _told(error: Exception, url: str, options: Mapping[str, Any]) -> str:
    """What a filesystem said of its options; its class alone where a secret in that cannot be cut out."""
    kind, said = type(error).__name__, " ".join(str(error).split())
    text = without(redact(said), {form for secret in _secrets({**options, "": url}) for form in _forms(secret)})
    return (f"{kind}: {shorten(text, 300, placeholder=' …')}" if text else kind) + _meant(url, options)


def _meant(url: str, options: Mapping[str, Any]) -> str:
    """A hint at options that are nearly called like others."""
    protocol = Location.parse(url).protocol
    known, aliases = arguments(filesystem_class(protocol)) - OURS, by_protocol(protocol).options.ALIASES
    near = {name: nearest(name, known, aliases, 0.85) for name in options if name not in known}
    return "".join(f"; did you mean {close!r} instead of {name!r}?" for name, close in near.items() if close)


_SECRETS_IN_URLS = re.compile(r"^https?://([^/@:\s]+)@|://[^/@:\s]*:([^@\s]+)@|[?&][^=&\s]+=([^&\s]+)")


def _secrets(options: Any, name: str = "") -> Iterator[str]:
    """What is secret in options, those in tables and lists included: by their name, or in a URL."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from _secrets(value, f"{name}.{key}")
    elif isinstance(options, (list, tuple, set)):
        for value in options:
            yield from _secrets(value, name)
    elif options is not None and not isinstance(options, bool):
        text = options.decode("latin-1") if isinstance(options, bytes) else str(options)
        yield from ("".join(found) for part in text.split("::") for found in _SECRETS_IN_URLS.findall(part))
        if SECRET_NAME.search(name):
            yield from (text, repr(options), *(part for part in re.split(r"[;,=&?\s]", text) if len(part) > 7))


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it may be told."""
    coded = base64.b64encode(secret.encode(errors="replace")).decode()
    return secret, unquote(secret), quote(secret), quote(secret, safe=""), quote_plus(secret), coded
