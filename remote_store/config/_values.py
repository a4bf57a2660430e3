"""Values of a configuration: the placeholders and the secrets in them, and what is wrong with them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import Secret, SecretBytes, SecretStr

from remote_store._paths import SECRET_NAME, has_credentials, printable, redact
from remote_store.drivers.kinds import public_names

_MARKS = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^{}]*))?\})?")
_SECRETS = (Secret, SecretStr, SecretBytes)
_QUERY = re.compile(r"://.*\?[^/]*=", re.S)
DEEPEST = 50
"""How many tables and lists may be within one another."""


class ConfigError(ValueError):
    """A configuration that cannot be used. Its text has one line per problem, and no values, which may be secret.

    Args:
        problems: all that is wrong: where, such as `"stores.raw.options.bucket"`, and what, with what to do about it.
            A text is one that is nowhere.
    """

    def __init__(self, *problems: tuple[str, str] | str) -> None:
        # Who raises errors again, as Dask does, makes them of a text.
        super().__init__(*(("", problem) if isinstance(problem, str) else problem for problem in problems))

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """All that is wrong: where, and what."""
        return self.args

    def within(self, outer: str, separator: str = ".") -> ConfigError:
        """The same problems, seen from further out."""
        return ConfigError(*((separator.join(filter(None, (outer, where))), what) for where, what in self.problems))

    def __str__(self) -> str:
        return "\n".join(": ".join(filter(None, (printable(where), _lines(what)))) for where, what in self.problems)


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def each(value: Any, visit: Callable[[str, Any], Any], where: str = "", depth: int = 0) -> Any:
    """A copy of a value with `visit(where, leaf)` for each leaf of its tables and lists."""
    if depth > DEEPEST:
        raise ConfigError(("", f"more than {DEEPEST} tables and lists within one another"))
    prefix = f"{where}." if where else ""
    if isinstance(value, dict):
        return {name: each(item, visit, f"{prefix}{name}", depth + 1) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(each(item, visit, f"{prefix}{index}", depth + 1) for index, item in enumerate(value))
    return visit(where, value)


def is_malformed(value: Any) -> bool:
    """Whether something in a text begins like a placeholder and is none."""
    found = _MARKS.finditer(value) if isinstance(value, str) else ()
    return any(not match[1] and match[0] != "$${" for match in found)


def filled(text: str) -> str:
    """A text with its placeholders replaced; raises `KeyError` for a variable without a default that is not set."""
    return _MARKS.sub(lambda match: _value(match[1], match[2]) if match[1] else "${", text)


def _value(name: str, default: str | None) -> str:
    return os.environ[name] if default is None else os.environ.get(name) or default


def is_unsafe(url: str) -> bool:
    """Whether a URL holds credentials, or a query, which may."""
    return has_credentials(url) or _QUERY.search(url) is not None


def hidden(value: Any) -> Any:
    """A copy of a value that prints only options known to be public, and of these no URL with credentials."""
    names = public_names()
    return each(value, lambda where, leaf: _hide(names, where, leaf))


def _hide(names: frozenset[str], where: str, leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, (bool, *_SECRETS)):
        return leaf
    name = next((part for part in reversed(where.split(".")) if not part.isdigit()), "")
    public = name in names and not SECRET_NAME.search(where)
    if isinstance(leaf, str):
        login = is_unsafe(leaf) or is_unsafe(f"://{leaf}") or redact(leaf) != leaf
        return leaf if public and not login else SecretStr(leaf)
    return leaf if public and isinstance(leaf, (int, float, os.PathLike)) else Secret(leaf)


def plain(value: Any) -> Any:
    """A value with its secrets laid open."""
    return each(value, lambda _, leaf: leaf.get_secret_value() if isinstance(leaf, _SECRETS) else leaf)


def secrets_in(value: Any) -> set[str]:
    """The texts that must not show; not those so short that they are in any text."""
    found: list[Any] = []
    each(value, lambda _, leaf: found.append(leaf) if isinstance(leaf, _SECRETS) else None)
    return {text for text in map(str, plain(found)) if len(text) > 3}


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without the secrets in it."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
