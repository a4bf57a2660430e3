"""The parts of a URL, or of a path on this machine."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from remote_store._paths import has_credentials, redact
from remote_store.drivers import kinds

PLAIN = "file"
"""The protocol of paths on this machine, which need not name it."""
STORES = ("remote-store", "remotestore")
"""Protocols of the configured stores; the second for libraries whose URLs know no "-": xarray, UPath."""

_PROTOCOLS = "|".join((*(protocol for kind in kinds.KINDS for protocol in kind.protocols), "zip", "tar"))
_LIKE_A_URL = re.compile(rf"({_PROTOCOLS}):(?!:)|[A-Za-z]:\\")
"""A protocol that lost a slash or both, or a Windows drive."""
_ARCHIVES = frozenset({"libarchive", "tar", "zip"})
"""Further protocols whose path begins right after the `://`."""
_EXPECTED = "expected 'protocol://path', or a path on this machine"


class Location(NamedTuple):
    """Where a URL leads.

    Args:
        protocol: of its outermost part; `"file"` for paths on this machine.
        host: what stands before the first slash: a container, a host, the name of a configured store; `""` in a path
            on this machine.
        path: what stands behind it, with the further parts of a chain.
        chain: the parts of a chained URL, outermost first; one for any other.
    """

    protocol: str
    host: str
    path: str
    chain: tuple[str, ...]

    @property
    def has_credentials(self) -> bool:
        """Whether something in it may give access by itself."""
        return has_credentials("::".join(self.chain))

    @classmethod
    def parse(cls, url: str) -> Location:
        """The parts of a URL.

        Raises:
            TypeError: it is no str.
            ValueError: it is malformed.
        """
        if not isinstance(url, str):
            hint = "; of a path, give str(path), or LocalBackend(path) to Store" if isinstance(url, os.PathLike) else ""
            raise TypeError(f"url must be a str, not {type(url).__name__}{hint}")
        chain = tuple(url.split("::"))
        protocol, separator, _ = chain[0].partition("://")
        if not url or (separator and not protocol):
            raise ValueError(f"malformed URL {redact(url)!r}: {_EXPECTED}")
        if _LIKE_A_URL.match(url) and not separator:
            raise ValueError(f"malformed URL {url!r}: {_EXPECTED}")
        if not separator and len(chain) == 1:
            return cls(PLAIN, "", url, chain)
        rest, kind = url.partition("://")[2] if separator else "", kinds.by_protocol(protocol)
        if PLAIN in kind.protocols:
            return cls(PLAIN, "", rest, chain)
        host, _, path = rest.partition("/") if kind.hosted and protocol not in _ARCHIVES else ("", "", rest)
        return cls(protocol, host, path, chain)
