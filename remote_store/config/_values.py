"""Values of a configuration: the placeholders and the secrets in them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import Secret, SecretBytes, SecretStr

from remote_store._paths import redact

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_]\w*)\})?")
_SECRET_NAME = re.compile(
    r"secret|token|passw|passphrase|pwd|credential|key|signature|connection_?string|sas|auth|cookie", re.I
)
_USERINFO = re.compile(r"://([^/@]*:.*|[^/@]*)@", re.S)  # a password may hold anything, even an unquoted slash
_SECRETS = (Secret, SecretStr, SecretBytes)


class Url(Secret[str]):
    """A URL that shows neither userinfo nor the values of its query."""

    def _display(self) -> str:
        return redact(_USERINFO.sub("://", self.get_secret_value()))


def has_userinfo(url: str) -> bool:
    """Whether a URL names a user, or a password."""
    return _USERINFO.search(url) is not None


def names_in(text: str) -> list[str]:
    """The environment variables that a text has placeholders for.

    Raises:
        ValueError: a malformed placeholder.
    """
    found = [match for match in _PLACEHOLDER.finditer(text) if match[0] != "$${"]
    if any(match[1] is None for match in found):
        raise ValueError("malformed placeholder: expected ${NAME}; a literal ${ is written $${")
    return [match[1] for match in found]


def filled(text: str) -> str:
    """A text with its placeholders replaced; every variable must be set."""
    return _PLACEHOLDER.sub(lambda match: os.environ[match[1]] if match[1] else "${", text)


def each(value: Any, visit: Callable[[str, Any], Any], where: str = "") -> Any:
    """A copy of a value with `visit(where, leaf)` for each leaf of its tables and lists."""
    prefix = f"{where}." if where else ""
    if isinstance(value, dict):
        return {name: each(item, visit, f"{prefix}{name}") for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(each(item, visit, f"{prefix}{index}") for index, item in enumerate(value))
    return visit(where, value)


def plain(value: Any) -> Any:
    """A value with its secrets laid open."""
    return each(value, lambda _, leaf: leaf.get_secret_value() if isinstance(leaf, _SECRETS) else leaf)


def hidden(value: Any) -> Any:
    """A value whose secrets do not print; a name, or the user of a URL, tells that something is one."""
    return each(value, _hide)


def _hide(where: str, leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, (bool, *_SECRETS)):
        return leaf
    if _SECRET_NAME.search(where):
        return SecretStr(leaf) if isinstance(leaf, str) else Secret(leaf)
    return Url(leaf) if isinstance(leaf, str) and str(Url(leaf)) != leaf else leaf


def printable(value: Any) -> Any:
    """A value for JSON, secrets masked."""
    return each(value, _print)


def _print(_: str, leaf: Any) -> Any:
    if isinstance(leaf, (*_SECRETS, os.PathLike)):
        return str(leaf)
    return leaf if leaf is None or isinstance(leaf, (str, int, float)) else f"<{type(leaf).__name__}>"


def secrets_in(value: Any) -> Iterator[str]:
    """The texts in a value that must not show."""
    found: list[Any] = []
    each(value, lambda _, leaf: found.append(leaf))
    for leaf in found:
        if isinstance(leaf, Url):
            url = leaf.get_secret_value()
            for part in (url, *url.split("::")):
                yield from (match[1].partition(":")[2] or match[1] for match in _USERINFO.finditer(part))
            yield from re.findall(r"[?&][^=&\s]+=([^&\s]+)", url)
        elif isinstance(leaf, _SECRETS):
            yield str(plain(leaf))
