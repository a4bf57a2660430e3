"""Glob patterns over keys."""

from __future__ import annotations

import re

from remote_store._errors import InvalidPath
from remote_store._paths import normalize

_MAGIC = re.compile(r"[*?[]")
_LITERAL_CLASS = re.compile(r"\[([*?[])]")


class Glob:
    """A compiled pattern.

    `*`, `?`, `[a]` and `[!a]` stay within a segment, `**` stands for any number of whole segments.

    Attributes:
        prefix: the folder that the pattern fixes; everything that matches is below it.
        name_prefix: how the names in the folder `prefix` begin that may match.
        max_depth: levels below `prefix` that can match, None for any number, -1 when the pattern is a plain key.

    Raises:
        ValueError: `**` inside a segment.
        InvalidPath: an empty pattern, a `..` segment, a NUL byte.
    """

    def __init__(self, pattern: str) -> None:
        text = normalize(pattern)
        if not text:
            raise InvalidPath("Glob pattern must not be empty", path=pattern)
        segments = text.split("/")
        for segment in segments:
            if "**" in segment and segment != "**":
                raise ValueError(f"'**' must be a whole segment in glob pattern {pattern!r}")
        fixed = 0
        while fixed < len(segments) and not _MAGIC.search(_LITERAL_CLASS.sub("", segments[fixed])):
            fixed += 1
        self.prefix = "/".join(_LITERAL_CLASS.sub(r"\1", segment) for segment in segments[:fixed])
        rest = segments[fixed:]
        self.name_prefix = _MAGIC.split(rest[0], maxsplit=1)[0] if rest else ""
        self.max_depth = None if "**" in rest else len(rest) - 1
        try:
            self._regex = re.compile(_translate(segments), re.DOTALL)
        except re.error as error:
            raise ValueError(f"bad character class in glob pattern {pattern!r}: {error}") from None

    def matches(self, key: str) -> bool:
        """Whether the whole of `key` matches."""
        return self._regex.fullmatch(key) is not None


def escape(key: str) -> str:
    """A pattern that matches just `key`."""
    return _MAGIC.sub(r"[\g<0>]", key)


def _translate(segments: list[str]) -> str:
    regex = ""
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "**":
            regex += ".*" if last else "(?:[^/]+/)*"
        else:
            regex += _translate_segment(segment) + ("" if last else "/")
    return regex


def _translate_segment(segment: str) -> str:
    regex, at = "", 0
    while at < len(segment):
        char = segment[at]
        at += 1
        # A class ends at the first ] after its first member; an unclosed [ is literal.
        end = segment.find("]", at + 2 if segment.startswith("!", at) else at + 1) if char == "[" else -1
        if char == "*":
            regex += "[^/]*"
        elif char == "?":
            regex += "[^/]"
        elif end > 0:
            members = re.sub(r"([\\&~|[])", r"\\\1", segment[at:end])
            negated, members = members.startswith("!"), members.removeprefix("!")
            regex += "(?!/)[" + ("^" if negated else "\\" if members.startswith("^") else "") + members + "]"
            at = end + 1
        else:
            regex += re.escape(char)
    return regex
