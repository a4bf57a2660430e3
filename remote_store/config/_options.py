"""The kinds of backend, and the options each takes: read off signatures, so that none is listed twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from remote_store._hints import nearest
from remote_store._urls import _filesystem_class
from remote_store.backends._named import SDK_TABLES, LocalBackend, MemoryBackend, S3Backend, s3_driver

POLICIES = ("timeout", "retries", "reject_write_under_file_ancestor")
Options = dict[str, tuple[Any, bool]]
"""Keyword arguments: their types, and whether they must be given."""
Placeholder = Annotated[str, Field(pattern=r"\$\{\w+(:-[^{}]*)?\}")]


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


Int = Annotated[int, BeforeValidator(_no_bool)]
"""A number; pydantic takes `true` for 1."""
Float = Annotated[float, BeforeValidator(_no_bool)]
"""Likewise."""
_NO_OPTIONS = {"self", "asynchronous", "loop", "skip_instance_cache", "use_listings_cache"}
_HINTS = {"bool": bool, "int": Int, "float": Float, "str": str}
"""Types of arguments that are checked; for any other, only the backend knows what they take."""


class Kind(NamedTuple):
    """A backend with a class of its own.

    Args:
        cls: in `remote_store.backends`; its twin in `remote_store.aio` is `Async…`.
        options: those known without a look at its filesystem.
        protocol: of the asynchronous filesystem that takes all others, and honours policies; `""` if there is none.
    """

    cls: type
    options: Options
    protocol: str = ""


def _arguments(*functions: Callable[..., Any]) -> Options:
    found: Options = {}
    for function in functions:
        for name, one in inspect.signature(function).parameters.items():
            if name not in _NO_OPTIONS and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
                stated = type(one.default) if one.annotation is one.empty else one.annotation
                text = stated if isinstance(stated, str) else getattr(stated, "__name__", "")
                hint = Int | Float if stated is int else _HINTS.get(text.removesuffix(" | None"), Any)
                found[name] = hint, one.default is one.empty
    return found


_COMMON: Options = dict.fromkeys(("key", "secret", "token", "endpoint_url", "profile"), (str, False))
_S3 = {name: one for name, one in _arguments(S3Backend.__init__, s3_driver).items() if name not in POLICIES}
KINDS = {
    "local": Kind(LocalBackend, _arguments(LocalBackend.__init__)),
    "memory": Kind(MemoryBackend, {}),
    "s3": Kind(S3Backend, _COMMON | _S3, "s3"),
}


def _options_of(kind: str, wanted: Mapping[str, Any], chained: bool) -> Options | None:
    """Options by name, those of the filesystem (and with it its SDK) only if wanted; None while it is not installed."""
    _, own, protocol = KINDS[kind] if kind in KINDS and not chained else (None, {}, kind)
    if not protocol or (own and wanted.keys() <= own.keys()):
        return own
    try:
        classes = [cls for cls in reversed(_filesystem_class(protocol).__mro__) if "__init__" in vars(cls)]
    except (ImportError, ValueError):
        return None
    return _arguments(*(cls.__init__ for cls in classes)) | own


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
    needed = {} if url else {name: "" for name, (_, required) in known.items() if required}
    if kind in ("s3", "s3a") and given.keys() & {"key", "secret", "token"}:
        needed |= dict.fromkeys(("key", "secret"), ", or leave all credentials to the SDK's own chain")
    missing = {name: fix for name, fix in needed.items() if given.get(name) in (None, "")}
    problems = [(name, f"missing; give `{name}`{fix}") for name, fix in missing.items()]
    for name, value in options.items():
        if isinstance(value, dict) and name in chain:
            typed[name], inner = check(name, value, {}, url, late)
            problems += [(f"{name}.{where}", what) for where, what in inner]
        elif name not in known or (url and kind in KINDS and name in ("bucket", "root")):
            problems.append((name, _refusal(kind, name, known, chain)))
        elif name not in missing and not (late and isinstance(value, str) and "${" in value):
            try:
                typed[name] = TypeAdapter(known[name][0]).validate_python(value)
            except ValidationError as error:
                problems.append((name, error.errors(include_input=False)[0]["msg"]))
    return typed, problems


def _refusal(kind: str, name: str, known: Options, chain: list[str]) -> str:
    if name in known:
        return "the URL says it already; remove it"
    if name in POLICIES:
        return f"no option, but a field of the store: move `{name}` out of `options`"
    if inner := next((part for part in chain[1:] if name in (_options_of(part, {}, True) or {})), None):
        return f"an option of {inner!r}, not of {kind!r}; move it to `options.{inner}.{name}`"
    if owner := next((other for other in KINDS if name in KINDS[other].options), None):
        return f"an option of backend {owner!r}, not of {kind!r}; remove it"
    unknown = f"unknown option of backend {kind!r}"
    if (table := SDK_TABLES.get(name)) in known:
        return f"{unknown}; move it to `options.{table}.{name}`"
    if close := nearest(name, known):
        return f"{unknown}; did you mean `{close}`?"
    if kind in KINDS and not KINDS[kind].protocol:
        return f"{unknown}, which takes {', '.join(known) or 'none'}; remove it"
    return f"{unknown}; if its filesystem takes it without naming it, move it to `storage_options`"


def schema() -> dict[str, Any]:
    """JSON Schema of a store beyond its fields: where it is, and the options of each kind of backend."""
    rules = []
    for kind, (_, own, protocol) in KINDS.items():
        required = [name for name, (_, required) in own.items() if required]
        types = {name: TypeAdapter(hint | Placeholder).json_schema() for name, (hint, _) in own.items()}
        options = {"properties": types, "required": required, **({} if protocol else {"additionalProperties": False})}
        then = {"properties": {"options": options}, "required": ["options"] if required else []}
        rules.append({"if": {"properties": {"backend": {"const": kind}}, "required": ["backend"]}, "then": then})
    return {"oneOf": [{"required": ["backend"]}, {"required": ["url"]}], "allOf": rules}
