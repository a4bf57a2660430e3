"""What filesystems, and the backends over them, are called, whatever was imported before."""

from __future__ import annotations

from typing import Any

NAMES = {
    **dict.fromkeys(("file", "local"), "local"),
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), "azure"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
    **dict.fromkeys(("http", "https"), "http"),
}
"""Protocol → name of the backend, where that is another."""
PACKAGES = {"s3": "s3fs", "gcs": "gcsfs", "azure": "adlfs", "sftp": "sshfs", "http": "aiohttp"}
"""Name of a backend, which is that of an extra of this package, too → the package that it needs."""


def backend_name(protocol: str) -> str:
    """The name of the backend for a protocol."""
    return NAMES.get(protocol, protocol)


def protocols_of(fs: Any) -> list[str]:
    """All protocols of a filesystem, the one that names it first."""
    own = [fs.protocol] if isinstance(fs.protocol, str) else list(fs.protocol)
    known = _registered(type(fs))
    if own == ["abstract"]:
        known = next((found for cls in type(fs).__mro__ if (found := _registered(cls))), [])
    # fsspec writes into a class that has no protocol the one by which it was asked for first.
    first = known if len(own) == 1 and own[0] in known else own
    return [one for one in dict.fromkeys((*first, *own, *known)) if one != "abstract"] or own


def _registered(cls: type) -> list[str]:
    """The protocols for which fsspec would take a class."""
    from fsspec.registry import known_implementations, registry

    home = cls.__module__.partition(".")[0]
    paths = {name: entry["class"].replace(":", ".") for name, entry in known_implementations.items()}
    by_path = [
        name
        for name, path in paths.items()
        if path.partition(".")[0] == home and path.rpartition(".")[2] == cls.__name__
    ]
    return [*by_path, *(name for name, one in registry.items() if one is cls and name not in by_path)]
