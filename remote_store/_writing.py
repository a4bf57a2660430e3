"""What must hold of a write's arguments before anything is asked of the storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote_store._capabilities import GATES, KEYWORD_GATES, CapabilitySet
from remote_store._models import check_metadata


def write_options(
    method: str,
    capabilities: CapabilitySet,
    backend: str,
    path: object,
    metadata: Mapping[str, str] | None,
    if_match: str | None,
) -> dict[str, Any]:
    """The optional keywords of a write that were really given, checked; shape outranks capability.

    Raises:
        ValueError: the shape of `metadata`, or an empty `if_match`.
        CapabilityNotSupported: the method's, USER_METADATA for `metadata`, CONDITIONAL_WRITE for `if_match`.
    """
    given: dict[str, Any] = {}
    if metadata is None and if_match is None and GATES[method] in capabilities:
        return given
    if metadata is not None and (kept := check_metadata(metadata)) is not None:
        given["metadata"] = kept
    if if_match is not None:
        if not isinstance(if_match, str) or not if_match.strip('"'):
            raise ValueError("if_match must be a non-empty etag")
        given["if_match"] = if_match.strip('"')
    for needed in (GATES[method], *(KEYWORD_GATES[keyword] for keyword in given)):
        if needed not in capabilities:
            capabilities.require(needed, backend, str(path))
    return given


def given(options: dict[str, Any], overwrite: bool, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Keywords for a wrapped backend's write: optional ones only where they were given."""
    return {**options, "overwrite": overwrite, **({} if metadata is None else {"metadata": metadata})}
