"""The shape of every method of a store and of a backend, in one table.

Stores read their gates and path rules here; adapters and backends over a driver make their methods by it; the checks of
absent capabilities, and tests, call every method by it. A new method is a row here and its declaration in the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Literal, NamedTuple

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._models import FileInfo, check_content_type, check_metadata, is_content_type
from remote_store._paths import child_folder_key, file_key, key_of


class Method(NamedTuple):
    """How one method is called, and what it gives.

    Attributes:
        name: of the method.
        gate: the capability it needs; None where every backend has it.
        rule: makes a key of each of its paths: `key_of` lets the root pass, `file_key` and `child_folder_key` do not.
        kind: what it gives: a `value`, `items` of a listing, a `stream` of content, a `writer`, or, without any I/O
            and so without waiting on either side, something `plain`.
        arguments: the positional ones, by name.
        of: which classes have it.
    """

    name: str
    gate: Capability | None = None
    rule: Callable[[Any], str] = key_of
    kind: Literal["value", "items", "stream", "writer", "plain"] = "value"
    arguments: tuple[str, ...] = ("path",)
    of: Literal["both", "store", "backend"] = "both"


_PAIR = ("src", "dst")
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("exists"),
        Method("is_file"),
        Method("is_folder"),
        Method("get_file_info", Capability.METADATA, file_key),
        Method("get_folder_info", Capability.METADATA),
        Method("head", Capability.METADATA, file_key, of="store"),
        Method("ping", arguments=(), of="store"),
        Method("check_health", arguments=(), of="backend"),
        Method("read", Capability.READ, file_key, "stream"),
        Method("read_seekable", Capability.READ, file_key, "stream"),
        Method("read_bytes", Capability.READ, file_key),
        Method("read_text", Capability.READ, file_key, of="store"),
        Method("read_range", Capability.READ, file_key, arguments=("path", "start", "end")),
        Method("write", Capability.WRITE, file_key, arguments=("path", "content")),
        Method("write_text", Capability.WRITE, file_key, arguments=("path", "text"), of="store"),
        Method("write_atomic", Capability.ATOMIC_WRITE, file_key, arguments=("path", "content")),
        Method("open_atomic", Capability.ATOMIC_WRITE, file_key, "writer"),
        Method("update", Capability.CONDITIONAL_WRITE, file_key, arguments=("path", "function"), of="store"),
        Method("sign", Capability.SIGNED_URL, file_key),
        Method("delete", Capability.DELETE, file_key),
        Method("delete_folder", Capability.DELETE, child_folder_key),
        Method("list_files", Capability.LIST, kind="items"),
        Method("list_folders", Capability.LIST, kind="items"),
        Method("walk_folders", Capability.LIST, kind="items", arguments=("path", "max_depth"), of="backend"),
        Method("iter_children", Capability.LIST, kind="items"),
        Method("glob", Capability.GLOB, kind="items", arguments=("pattern",)),
        Method("move", Capability.MOVE, file_key, arguments=_PAIR),
        Method("copy", Capability.COPY, file_key, arguments=_PAIR),
        Method("supports", kind="plain", arguments=("capability",), of="store"),
        Method("check_write", rule=file_key, kind="plain", of="store"),
        Method("child", rule=file_key, kind="plain", arguments=("subpath",), of="store"),
        Method("to_key", kind="plain", arguments=("path",)),
        Method("native_path", kind="plain"),
        Method("contains", kind="plain", arguments=("native_path",), of="backend"),
        Method("resolve", kind="plain"),
        Method("unwrap", kind="plain", arguments=("type_hint",)),
        Method("to_fsspec", kind="plain", arguments=(), of="store"),
    )
}


def _check_etag(etag: object) -> str:
    bare = etag.strip('"') if isinstance(etag, str) else ""
    if not bare:
        raise ValueError("if_match must be an etag, such as `get_file_info(path).etag`, and not empty")
    if '"' in bare or not bare.isprintable():  # A list would name several; a header takes no control characters.
        raise ValueError(f"if_match must be one etag, without quotes and control characters in it, not {etag!r}")
    return bare


class Keyword(NamedTuple):
    """A keyword that needs a capability of its own, and is passed to a backend only where it is given.

    Attributes:
        gate: that capability.
        check: gives the value to pass on, None for none; raises ValueError for one that nobody could take.
    """

    gate: Capability
    check: Callable[[Any], Any]


KEYWORDS: dict[str, Keyword] = {
    "metadata": Keyword(Capability.USER_METADATA, check_metadata),
    "content_type": Keyword(Capability.CONTENT_TYPE, check_content_type),
    "if_match": Keyword(Capability.CONDITIONAL_WRITE, _check_etag),
}


def check_keywords(
    method: str, capabilities: CapabilitySet, backend: str, path: object, keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """The keywords of a call that were really given, checked; a wrong shape outranks a missing capability.

    Raises:
        ValueError: the shape of a keyword.
        CapabilityNotSupported: that of the method, or of a keyword, is missing.
        TypeError: a keyword that is none of `KEYWORDS`.
    """
    given: dict[str, Any] = {}
    for name, value in keywords.items():
        if name not in KEYWORDS:
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}")
        if value is not None and (kept := KEYWORDS[name].check(value)) is not None:
            given[name] = kept
    gate = METHODS[method].gate
    if gate is not None and gate not in capabilities:
        capabilities.require(gate, backend, str(path))
    for name in given:
        capabilities.require(KEYWORDS[name].gate, backend, str(path))
    return given


def carried(info: FileInfo | None, supports: Callable[[Capability], bool]) -> dict[str, Any]:
    """User metadata and content type of a file as keywords of a write, as far as the store written to keeps them."""
    given: dict[str, Any] = {}
    if info and info.metadata and supports(Capability.USER_METADATA):
        given["metadata"] = dict(info.metadata)
    if info and is_content_type(info.content_type) and supports(Capability.CONTENT_TYPE):
        given["content_type"] = info.content_type
    return given


def make_methods(cls: type, interface: type, make: Callable[[Method], Any]) -> None:
    """Give a backend class every method of `interface` that it does not define itself.

    Args:
        cls: the class.
        interface: `Backend` or `AsyncBackend`; signatures and docstrings are taken from it.
        make: makes a method by its shape. Only those that give a value or items are made: streams and writers have too
            little in common.
    """
    for method in METHODS.values():
        if method.of != "store" and method.kind in ("value", "items") and method.name not in vars(cls):
            setattr(cls, method.name, update_wrapper(make(method), getattr(interface, method.name), updated=()))
