"""What can be told of a filesystem that has no driver of its own, and of its files."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from inspect import signature
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._models import UNKNOWN_TIME
from remote_store.drivers.kinds import by_protocol
from remote_store.drivers.profiles import GENERIC
from remote_store.drivers.reasons import host_and_port, host_of
from remote_store.drivers.registry import protocols_of

READ_ONLY = frozenset({"github", "git", "reference", "tar", "libarchive", "data", "jlab", "gist"})
"""Protocols of no kind of their own whose filesystems cannot write, or not safely."""
ARCHIVES = frozenset({"zip"})
"""Archives that are open either for reading, or for writing what is not in them yet."""
_URLS = ("url", "base_url", "account_url", "endpoint_url", "_endpoint")
"""Attributes in which filesystems keep the URL of their service."""
_making_locks = threading.Lock()


def lock_of(fs: Any) -> threading.RLock:
    """The lock that all backends over one filesystem share, as it has one connection for one call at a time."""
    with _making_locks:
        lock: threading.RLock | None = getattr(fs, "_remote_store_lock", None)
        if lock is None:
            fs._remote_store_lock = lock = threading.RLock()
        return lock


def layers_of(fs: Any) -> list[Any]:
    """A filesystem and those it wraps, outermost first."""
    layers = [fs]
    while (inner := _inner(layers[-1], "sync_fs") or _inner(layers[-1], "fs")) is not None:
        layers.append(inner)
    return layers


def forget(fs: Any) -> None:
    """Let fsspec make an equal filesystem anew, rather than give this one again, or one that it wraps."""
    for layer in layers_of(fs):
        cache = getattr(type(layer), "_cache", {})
        for token in [token for token, one in [*cache.items()] if one is layer]:
            cache.pop(token, None)


def _inner(fs: Any, name: str) -> Any:
    # Caching filesystems answer for the ones they wrap.
    inner = object.__getattribute__(fs, "__dict__").get(name)
    return inner if isinstance(inner, AbstractFileSystem) else None


def container_of(fs: Any, root: str) -> tuple[str, str]:
    """What containers of a filesystem are called, and the one that a root is in; `""` where there are none."""
    called = next(filter(None, (by_protocol(one).container for one in protocols_of(layers_of(fs)[-1]))), "")
    return called, root.strip("/").partition("/")[0] if called else ""


def place_of(fs: Any, root: str) -> str:
    """Host and port of a filesystem's service, `""` where it tells none; no secrets."""
    for layer in reversed(layers_of(fs)):
        attributes = object.__getattribute__(layer, "__dict__")
        names = [*signature(type(layer).__init__).parameters][1:]
        arguments = zip(names, attributes.get("storage_args") or (), strict=False)
        options = {**dict(arguments), **(attributes.get("storage_options") or {}), **attributes}
        host, port = options.get("host"), options.get("port")
        if isinstance(host, str) and host and "/" not in host:
            return host_and_port(host, port)
        client = getattr(options.get("service_client"), "url", None)
        for url in (*(options.get(name) for name in _URLS), client, root):
            if isinstance(url, str) and "://" in url and (place := host_of(url)):
                return place
    return ""


def is_async(fs: Any) -> bool:
    """Whether the methods of a filesystem are coroutines; DirFileSystem says so of itself whatever it wraps."""
    while any(cls.__name__ == "DirFileSystem" for cls in type(fs).__mro__):
        fs = fs.fs
    return bool(fs.async_impl)


def first(info: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """The first value of these keys that is not None."""
    return next((info[key] for key in keys if info.get(key) is not None), None)


def time_of(value: Any) -> dt.datetime:
    """A modification time, from any of the forms in which filesystems give it; `UNKNOWN_TIME` for others."""
    try:
        if isinstance(value, (int, float)):
            return dt.datetime.fromtimestamp(value, dt.UTC)
        if isinstance(value, str):
            if value.isdecimal() and len(value) == 14:  # FTP's MLSD: YYYYMMDDHHMMSS, in UTC (RFC 3659).
                return dt.datetime.strptime(value, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
            value = parsedate_to_datetime(value) if "," in value else dt.datetime.fromisoformat(value)
        if isinstance(value, dt.datetime):
            return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return UNKNOWN_TIME


def _implements(fs: Any, *names: str) -> bool:
    """Whether a filesystem overrides a method that fsspec leaves unimplemented."""
    unimplemented = [getattr(cls, name, None) for cls in (AbstractFileSystem, AsyncFileSystem) for name in names]
    methods = [getattr(fs, name, None) for name in names]
    return any(method is not None and getattr(method, "__func__", method) not in unimplemented for method in methods)


def capabilities_of(fs: Any) -> CapabilitySet:
    """The profile's, less what the filesystem, or one that it wraps, certainly lacks."""
    caps = set(GENERIC.capabilities)
    for layer in layers_of(fs):
        protocols = {*protocols_of(layer)}
        for protocol in protocols:
            caps &= by_protocol(protocol).profile.capabilities
        mode = getattr(layer, "mode", "") if protocols & ARCHIVES else ""
        if protocols & READ_ONLY or mode == "r":
            caps -= {Capability.WRITE, Capability.COPY, Capability.DELETE, Capability.MOVE}
        elif mode:
            caps -= {Capability.READ, Capability.COPY, Capability.DELETE, Capability.MOVE}
    if not _implements(fs, "rm_file", "_rm_file", "_rm"):
        caps -= {Capability.DELETE, Capability.MOVE}
    return CapabilitySet(caps)
