"""What a backend can do, as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NoReturn

from remote_store._errors import unsupported


class Capability(StrEnum):
    """One promise a backend makes; a closed set.

    The first block and `SIGNED_URL` gate methods (see `_methods.METHODS`), `USER_METADATA`, `CONTENT_TYPE` and
    `CONDITIONAL_WRITE` gate a keyword, the rest describe how well a method does what it does and gate nothing.
    """

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    LIST = "list"
    GLOB = "glob"
    MOVE = "move"
    COPY = "copy"
    ATOMIC_WRITE = "atomic_write"
    METADATA = "metadata"
    USER_METADATA = "user_metadata"
    """Gates the `metadata=` keyword of writes."""
    CONTENT_TYPE = "content_type"
    """Gates the `content_type=` keyword of writes; `get_file_info` tells it, copies and moves keep it."""
    CONDITIONAL_WRITE = "conditional_write"
    """Gates the `if_match=` keyword of writes and reads."""
    SIGNED_URL = "signed_url"
    """Gates `sign`: URLs that give access to one file for a time."""
    ATOMIC_MOVE = "atomic_move"
    """A move is one step: no moment shows both names or neither."""
    SEEKABLE_READ = "seekable_read"
    """The stream of `read()` itself seeks."""
    LAZY_READ = "lazy_read"
    """`read()` does not fetch the whole file first."""
    WRITE_RESULT_NATIVE = "write_result_native"
    """Etag, version and time in a `WriteResult` come from the write's own response."""
    EXCLUSIVE_CREATE = "exclusive_create"
    """Of many racing `overwrite=False` writers exactly one succeeds, decided by the service."""


class CapabilitySet(frozenset[Capability]):
    """An immutable set of capabilities.

    Example:
        >>> caps = CapabilitySet({Capability.READ})
        >>> caps.supports(Capability.READ), Capability.WRITE in caps
        (True, False)
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("CapabilitySet is immutable")

    def supports(self, capability: Capability) -> bool:
        """Whether `capability` is in the set."""
        return capability in self

    def require(self, capability: Capability, backend: str = "", path: str = "") -> None:
        """Raise `CapabilityNotSupported` unless `capability` is in the set."""
        if capability not in self:
            raise unsupported(capability.value, path, backend)

    def __repr__(self) -> str:
        return f"CapabilitySet({{{', '.join(sorted(self))}}})"
