"""The options that each kind of storage takes, checked with their types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from remote_store._hints import makers, nearest
from remote_store._urls import filesystem_class
from remote_store.drivers.kind import OURS, Kind
from remote_store.drivers.kinds import by_name, by_protocol, known

POLICIES = ("timeout", "retries", "reject_write_under_file_ancestor", "ca_bundle", "proxy")
"""Options that are fields of a store."""
TEXTS = ("ca_bundle", "proxy")
"""Those of them that are texts."""
Types = dict[str, Any]
"""Options by name, with their types."""
Placeholder = Annotated[str, Field(pattern=r"\$\{\w+(:-[^{}]*)?\}")]


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


Int = Annotated[int, BeforeValidator(_no_bool)]
"""A number; pydantic takes `true` for 1."""
Float = Annotated[float, BeforeValidator(_no_bool)]
"""Likewise."""
_CHECKED = {"bool": bool, "int": Int, "float": Float, "str": str}
"""Types of options that are checked, by name; for any other, only the backend knows what they take."""


def named_kinds() -> dict[str, Kind]:
    """The kinds that `backend` may name."""
    return {kind.name: kind for kind in known() if kind.make}


def _types(made: Callable[..., Any]) -> Types:
    """The options that a signature names, with the types that it and its defaults tell."""
    found: Types = {}
    for name, one in inspect.signature(made).parameters.items():
        if name not in OURS and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            stated = type(one.default) if one.annotation is one.empty else one.annotation
            text = stated.__name__ if isinstance(stated, type) else str(stated)
            hint: Any = Int | Float if stated is int else _CHECKED.get(text.removesuffix(" | None"), Any)
            # None is what is not given, but where another default says more.
            found[name] = hint | None if text.endswith(" | None") and one.default is not None else hint
    return found


def own_options(kind: Kind) -> Types:
    """The options of a backend by name, but for those that are fields of the store."""
    return {name: hint for name, hint in _types(kind.options).items() if name not in POLICIES}


def _options_of(kind: str, wanted: Mapping[str, Any], chained: bool) -> Types | None:
    """The options of a backend, and of its filesystem only if more are wanted; None while that is not installed."""
    row = by_name(kind)
    own, found = own_options(row) if row.make and not chained else None, Types()
    if own is not None and (not row.takes_rest or wanted.keys() <= own.keys()):
        return own
    try:
        cls = filesystem_class(kind) if own is None else row.filesystem_class()
    except (ImportError, ValueError):
        return None
    for make in makers(cls):
        found |= _types(make)
    return found | (own or {})


def check(
    kind: str, options: dict[str, Any], unchecked: dict[str, Any], url: str, late: bool
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Options as their types want them, and what is wrong with them. In a chained URL, each protocol may have a table.

    `unchecked` are further ones; placeholders that are filled `late` have no type yet.
    """
    chain = [part.partition("://")[0] for part in url.split("::")] if "::" in url else []
    known = _options_of(kind, options, bool(chain))
    if known is None:
        return options, []
    given, typed = {**unchecked, **options}, dict(options)
    row = by_protocol(kind) if chain else by_name(kind)
    needed = {name: fix for name, fix in row.options.lacking(given).items() if not (url and name in row.options.PLACE)}
    missing = {name: fix for name, fix in needed.items() if given.get(name) in (None, "")}
    problems = [(name, f"missing; give `{name}`{fix}") for name, fix in missing.items()]
    for name, value in options.items():
        if isinstance(value, dict) and name in chain:
            typed[name], inner = check(name, value, {}, url, late)
            problems += [(f"{name}.{where}", what) for where, what in inner]
        elif name not in known or (url and row.make and name in row.options.PLACE):
            problems.append((name, _refusal(kind, row, name, known, chain)))
        elif name not in missing and not (late and isinstance(value, str) and "${" in value):
            try:
                typed[name] = TypeAdapter(known[name]).validate_python(value)
            except ValidationError as error:
                problems.append((name, error.errors(include_input=False)[0]["msg"]))
    return typed, problems


def _refusal(kind: str, row: Kind, name: str, known: Types, chain: list[str]) -> str:
    if name in known:
        return "the URL says it already; remove it"
    if name in POLICIES:
        return f"no option, but a field of the store: move `{name}` out of `options`"
    if inner := next((part for part in chain[1:] if name in (_options_of(part, {}, True) or {})), None):
        return f"an option of {inner!r}, not of {kind!r}; move it to `options.{inner}.{name}`"
    if owner := next((other.name for other in named_kinds().values() if name in other.options.names()), None):
        return f"an option of backend {owner!r}, not of {kind!r}; remove it"
    unknown = f"unknown option of backend {kind!r}"
    if (table := row.options.TABLES.get(name)) in known:
        return f"{unknown}; move it to `options.{table}.{name}`"
    if close := nearest(name, known, row.options.ALIASES):
        return f"{unknown}; did you mean `{close}`?"
    if row.make and not row.takes_rest:
        return f"{unknown}, which takes {', '.join(known) or 'none'}; remove it"
    return f"{unknown}; if its filesystem takes it without naming it, move it to `storage_options`"


def add_kinds(schema: dict[str, Any]) -> None:
    """Add to the JSON Schema of a store where it is, and the options of each kind of backend."""
    rules, kinds = [], named_kinds()
    for kind in kinds.values():
        docs, own = kind.options.docs(), own_options(kind)
        needed = list(kind.options.lacking({}))
        types = {name: TypeAdapter(hint | Placeholder).json_schema() for name, hint in own.items()}
        for name, form in types.items():
            form["description"] = docs.get(name, "")
        options: dict[str, Any] = {"properties": types, "required": needed}
        if not kind.takes_rest:
            options["additionalProperties"] = False
        then = {"properties": {"options": options}, "required": ["options"] if needed else []}
        rules.append({"if": {"properties": {"backend": {"const": kind.name}}, "required": ["backend"]}, "then": then})
    schema["properties"]["backend"]["examples"] = list(kinds)
    schema.update(oneOf=[{"required": ["backend"]}, {"required": ["url"]}], allOf=rules)
