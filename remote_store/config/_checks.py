"""What may be wrong with a store, beyond the form of its fields."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from remote_store._errors import InvalidPath
from remote_store._paths import key_of
from remote_store._urls import S3_URLS, _bucket, _protocol
from remote_store.config._errors import Problem
from remote_store.config._kinds import ALIASES, KINDS, Option, options_of, own_options
from remote_store.config._values import has_userinfo

POLICIES = ("timeout", "retries", "reject_write_under_file_ancestor")
_CREDENTIALS = {"key": "key", "username": "key", "secret": "secret", "password": "secret", "token": "token"}
"""Names that s3fs gives to credentials, with what they mean."""
_Known = Mapping[str, Option] | None
_CHAIN = "for the SDK's own chain to find them"


def unknown_backend(name: str) -> str | None:
    """What to say of a name if it is neither a backend nor a protocol of fsspec."""
    if name in KINDS or name in ALIASES:
        return None
    import fsspec

    known = fsspec.available_protocols()
    if name in known or name in fsspec.registry:
        return None
    shown = f"backend {name!r}" if re.fullmatch(r"[\w.+-]+", name) else "backend"
    if close := get_close_matches(name, [*KINDS, *known], 1):
        return f"unknown {shown}; did you mean {close[0]!r}?"
    return f"unknown {shown}; known are {', '.join(KINDS)}, and the protocols of fsspec"


def protocol_of(url: str, late: bool) -> str:
    """The outermost protocol of a URL; `""` where it hides behind a placeholder that is filled `late`.

    Raises:
        ValueError: malformed.
    """
    if late and "${" in url:
        url = url.partition("${")[0]
        if "://" not in url and "/" not in url:
            return ""
    try:
        return _protocol(url)
    except ValueError:
        pass
    raise ValueError("malformed; expected 'protocol://path', or a path on this machine")


def url_problem(url: str, late: bool) -> str | None:
    """What is wrong with a URL."""
    for part in url.split("::"):
        if part.startswith(S3_URLS) and has_userinfo(part):
            return (
                "an S3 URL takes no credentials: give options `key` and `secret`, or leave them to the SDK's own chain"
            )
        if part.startswith(S3_URLS) and re.search(r"\?[^/]*=", part):
            return (
                "an S3 URL takes no query: give `options`; for a prefix with a ?, use backend = 's3' and options.root"
            )
        protocol = protocol_of(part, late) if "://" in part or url.startswith(part) else ""
        if protocol and (what := unknown_backend(protocol)):
            return what
    return "no bucket; expected s3://bucket/prefix" if url.startswith(S3_URLS) and not _bucket(url)[0] else None


def scalar_problem(field: str, value: Any, kind: str) -> str | None:
    """What is wrong with a plain field of a store on a kind of backend, which is `""` if unknown."""
    if field == "backend":
        return unknown_backend(value)
    if field == "root":
        try:
            key_of(value)
        except InvalidPath as error:
            return error.message
        return None
    if isinstance(value, str):
        return "expected a value, not a placeholder once more"
    if not kind or ("config_kwargs" if field == "retries" else field) in own_options(kind):
        return None
    if field == "reject_write_under_file_ancestor":
        # All but flat namespaces, which have the option, refuse such writes anyway.
        return None if value else f"backend {kind!r} always refuses such writes; remove it"
    return f"backend {kind!r} has no way to honour it; remove it"


class OptionCheck(NamedTuple):
    """How the options of one store are checked.

    Args:
        url: the one it is given by, or `""`.
        late: whether placeholders are still to be filled.
        fields: the other fields of the store.
        problems: what is wrong.
    """

    url: str
    late: bool
    fields: Mapping[str, Any]
    problems: list[Problem]

    def run(self, kind: str, options: dict[str, Any]) -> dict[str, Any]:
        """Options as their types want them."""
        unchecked = self.fields.get("storage_options", {})
        required = [] if self.url else [name for name, one in (options_of(kind, options) or {}).items() if one.required]
        spelled = KINDS[kind].spelled if self.url and kind in KINDS else ()
        for name in required:
            if not (options.get(name) or unchecked.get(name)):
                self._add(f"missing; give `{name}`", name)
        for name in options:
            if name in spelled:
                self._add("the URL says it already; remove it", name)
            if name in unchecked:
                self._add("given twice: also in `storage_options`", name)
            if name in POLICIES and self.fields.get(name) is not None:
                self._add(f"given twice: also as `{name}` of the store", name)
        if self.fields.get("retries") is not None and "retries" in (options.get("config_kwargs") or ()):
            self._add("given twice: also as `retries` of the store", "config_kwargs", "retries")
        checked = self._typed(kind, options, options_of(kind, options) if options else {})
        if kind == "s3":
            self.problems.extend(_s3_credentials({**unchecked, **options}))
        return checked

    def _typed(
        self, kind: str, options: dict[str, Any], known: Mapping[str, Any] | None, *parents: str
    ) -> dict[str, Any]:
        checked = dict(options)
        for name, value in options.items():
            if isinstance(value, dict) and self._is_chained(name):
                checked[name] = self._typed(name, value, options_of(name, value, own=False), *parents, name)
                if name in ("s3", "s3a"):
                    self.problems.extend(problem.below(*parents, name) for problem in _s3_credentials(value))
            elif known is not None and name not in known:
                self._add(_unknown_option(kind, name, known), *parents, name)
            elif known is not None and not (self.late and isinstance(value, str) and "${" in value):
                try:
                    checked[name] = TypeAdapter(known[name].hint).validate_python(value)
                except ValidationError as error:
                    self._add(error.errors(include_input=False)[0]["msg"], *parents, name)
        return checked

    def _is_chained(self, protocol: str) -> bool:
        """Whether options may have a table for a filesystem further down in a chained URL."""
        return "::" in self.url and any(part.partition("://")[0] == protocol for part in self.url.split("::"))

    def _add(self, what: str, *path: str) -> None:
        self.problems.append(Problem(".".join(path), what))


def _unknown_option(kind: str, name: str, known: Collection[str]) -> str:
    if name in POLICIES:
        return f"no option, but a field of the store: move `{name}` out of `options`"
    if owner := next((other for other in KINDS if other != kind and name in own_options(other)), None):
        return f"an option of backend {owner!r}, not of {kind!r}; remove it"
    if close := get_close_matches(name, known, 1):
        return f"unknown option of backend {kind!r}; did you mean `{close[0]}`?"
    if kind in KINDS and not KINDS[kind].protocol:
        return f"unknown option of backend {kind!r}, which takes {', '.join(known) or 'none'}; remove it"
    return f"unknown option of backend {kind!r}; what its filesystem takes all the same goes into `storage_options`"


def _s3_credentials(options: Mapping[str, Any]) -> Iterator[Problem]:
    given = {_CREDENTIALS[name]: value for name, value in options.items() if name in _CREDENTIALS and value is not None}
    for name, value in given.items():
        if value == "":
            yield Problem(name, f"is empty; leave credentials out {_CHAIN}")
    for name in ("key", "secret") if given else ():
        if name not in given:
            yield Problem(name, f"missing; give `{name}`, or no credentials at all {_CHAIN}")
