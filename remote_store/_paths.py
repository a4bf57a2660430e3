"""Paths inside a store, and the rules for keys made from them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar, NoReturn

from remote_store._errors import InvalidPath


def normalize(raw: str) -> str:
    """The key that `raw` spells: `/`-separated, no empty or `.` segments; `""` is the root.

    Raises:
        InvalidPath: a `..` segment or a NUL byte.
    """
    if "\0" in raw:
        raise InvalidPath("Path contains a NUL byte", path=raw)
    parts = [part for part in raw.replace("\\", "/").split("/") if part and part != "."]
    if ".." in parts:
        raise InvalidPath("Path escapes root: '..' segments are not allowed", path=raw)
    return "/".join(parts)


# Stores and backends both check paths; remembering them makes that cost a lookup each.


@lru_cache(maxsize=8192)
def key_of(path: str | RemotePath) -> str:
    """The key of a path given by a user; `""` is the root."""
    if isinstance(path, str):
        return normalize(path)
    if isinstance(path, RemotePath):
        return "" if path is RemotePath.ROOT else path.as_posix()
    raise TypeError(f"path must be a str or a RemotePath, not {type(path).__name__}")


@lru_cache(maxsize=8192)
def file_key(path: str | RemotePath) -> str:
    """The key of a path that must name a file, so not the root."""
    key = key_of.__wrapped__(path)
    if not key:
        raise InvalidPath("Path must not be empty: it names the store root, not a file", path=str(path))
    return key


def child_folder_key(path: str | RemotePath) -> str:
    """The key of a folder to be deleted, so not the root."""
    key = key_of(path)
    if not key:
        raise InvalidPath("Cannot delete the store root", path=str(path))
    return key


def join(root: str, key: str) -> str:
    """`key` below `root`, either of which may be empty."""
    return f"{root}/{key}" if root and key else root or key


def below(root: str, key: str) -> str | None:
    """`key` relative to `root` (`""` for the root itself); None when it is elsewhere."""
    if not root or key == root:
        return "" if key == root else key
    return key[len(root) + 1 :] if key.startswith(root + "/") else None


def spellable(native_key: str) -> bool:
    """Whether a key found in a listing can be fed back as a path."""
    try:
        return normalize(native_key) == native_key
    except InvalidPath:
        return False


_LOGIN = r"[^/@:\s]*:(?!:|\d+\b)[^@\n]*@"
"""`user:password@`, even with a slash or a blank in it; neither a port nor a chained URL."""
_USERINFO = re.compile(rf"(://)(?:[^/\s]*@|{_LOGIN})")
_QUERY_VALUE = re.compile(r"([?&#][^=&#\s]+=)[^&#\s]+")
# A user alone is one where no password is needed, and a query may be a signature.
_CREDENTIALS = re.compile(rf"^(s3a?|https?)://[^/]*@|://{_LOGIN}|^https?://.*\?.*=", re.S)


SECRET_NAME = re.compile(r"secret|tok|pass|pwd|cred|key|signature|\bsig\b|sas|auth|cookie|conn|header", re.I)
"""Found in the name of an option whose value may give access."""


_SIGNED = re.compile(
    r"([?&](?:sig|sas|signature|(?:access_|id_|security_)?token|password|secret|api_?key|awsaccesskeyid|key-pair-id|policy"
    r"|x-(?:amz|goog|oss|obs)-[\w-]+)=)[^&\s]+",
    re.I,
)
"""A value of a query that gives access, in a path that is no URL any more."""


def redact(text: str) -> str:
    """A URL, chained ones included, without userinfo and the values of its query and fragment: they may be secrets."""
    if "://" in text:
        return _QUERY_VALUE.sub(r"\1...", _USERINFO.sub(r"\1", text))
    return _SIGNED.sub(r"\1...", text) if "=" in text else text


def without(text: str, secrets: Iterable[str]) -> str | None:
    """A text with the secrets in it cut out, None where one is too short for that."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        if len(secret) > 3:
            text = text.replace(secret, "***")
        elif secret in text:
            return None
    return text


def printable(what: object) -> str:
    """A value as one line of text, with control characters escaped."""
    text = str(what)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def has_credentials(url: str) -> bool:
    """Whether a URL, chained ones included, holds what may give access by itself."""
    return any(_CREDENTIALS.search(part) for part in (url, *url.split("::")))


def check_depth(max_depth: int | None) -> None:
    """Raise `ValueError` for a negative depth."""
    if max_depth is not None and max_depth < 0:
        raise ValueError(f"max_depth must be >= 0, not {max_depth}")


def check_range(start: int, end: int | None) -> None:
    """Raise `ValueError` unless `[start, end)` is a range of bytes, `TypeError` for what is no whole number."""
    for bound in (start, 0 if end is None else end):
        if isinstance(bound, bool) or not hasattr(bound, "__index__"):
            raise TypeError(f"a byte range needs whole numbers, not {bound!r}")
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"a byte range needs 0 <= start <= end, not [{start}, {end})")


class RemotePath:
    """A normalized path inside a store: immutable, hashable, equal by text.

    Args:
        raw: any spelling; `\\` counts as `/`, and empty and `.` segments drop.

    Raises:
        InvalidPath: a `..` segment, a NUL byte, or nothing left after normalizing.

    Example:
        >>> RemotePath("data//2026/./x.csv").parts
        ('data', '2026', 'x.csv')
        >>> str(RemotePath("data") / "x.csv")
        'data/x.csv'
    """

    __slots__ = ("_text",)
    _text: str
    ROOT: ClassVar[RemotePath]
    """The root of a store; `str()` gives `"."`."""

    def __init__(self, raw: str) -> None:
        if not isinstance(raw, str):
            raise TypeError(f"path must be a str, not {type(raw).__name__}")
        key = normalize(raw)
        if not key:
            raise InvalidPath("Path must not be empty", path=raw)
        _set_text(self, key)

    @classmethod
    def from_key(cls, key: str) -> RemotePath:
        """The path of an already normalized key, without checking it again; `""` is the root."""
        if not key:
            return cls.ROOT
        path = _new(cls)
        _set_text(path, key)
        return path

    @classmethod
    def from_backend_path(cls, text: str) -> RemotePath:
        """The path a backend spelled as `text`; its spellings of the root give `ROOT`."""
        return cls.from_key(normalize(text))

    @property
    def name(self) -> str:
        """The last segment."""
        return self._text.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath | None:
        """The path one level up, or None at top level."""
        head = self._text.rpartition("/")[0]
        return RemotePath.from_key(head) if head else None

    @property
    def parts(self) -> tuple[str, ...]:
        """The segments."""
        return tuple(self._text.split("/"))

    @property
    def suffix(self) -> str:
        """The last extension of the name with its dot, or `""`."""
        stem, dot, extension = self.name.rpartition(".")
        return dot + extension if stem.strip(".") and extension else ""

    def as_posix(self) -> str:
        """The text, with `/` between segments."""
        return self._text

    def __truediv__(self, other: str | RemotePath) -> RemotePath:
        if not isinstance(other, (str, RemotePath)):
            return NotImplemented
        return RemotePath(f"{self._text}/{other}")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("RemotePath is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("RemotePath is immutable")

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, RemotePath) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"RemotePath({self._text!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePath.from_backend_path, (self._text,)


_new = object.__new__
_set_text = RemotePath.__dict__["_text"].__set__
RemotePath.ROOT = _new(RemotePath)
_set_text(RemotePath.ROOT, ".")
