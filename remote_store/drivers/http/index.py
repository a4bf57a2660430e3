"""The pages of links that web servers make of folders (nginx, Apache, Caddy, Python)."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from remote_store.drivers.objects.wire import Malformed

LONGEST = 16 << 20
"""No page is longer [bytes]."""
LONGEST_LINK = 64 << 10
"""No link of use is longer [characters]."""
MOST = 200_000
"""No page has more links that are not just names."""
SLOW = frozenset({"idna", "punycode"})
"""Codecs that no page is in, which take longer for each character the more there are."""

_VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^\s>]*+)"""
_REST = rf"[^\s/>][^\s/>=]*+(?:\s*+=\s*+{_VALUE})?+"
_TAG = (
    r"<(?:(?P<a>a(?=[\s/>]))|[a-z][^\s/>]*+)"
    rf"(?:[\s/]*+(?!href\s*+=){_REST})*+"
    rf"(?:[\s/]*+href\s*+=\s*+(?P<href>{_VALUE})(?:[\s/]*+{_REST})*+)?+"
)
_SKIPPED = r"<!--(?:-?>|.*?(?:-->|\Z))|<(?P<raw>script|style)(?=[\s/>]).*?(?:</(?P=raw)|\Z)"
_TOKEN = re.compile(f"{_SKIPPED}|{_TAG}", re.IGNORECASE | re.DOTALL)
"""A match takes all that was looked at for it, so no page takes longer than others of its length."""

_NAME = re.compile(r"(?!\.\.?/?\Z)[^/:?#\\\x00-\x20]++/?")
"""A link that is just a name, as nearly all are: no need to take it apart."""


def decoded(page: bytes, charset: str | None) -> str:
    """The text of a page."""
    try:
        if codecs.lookup(charset or "utf-8").name not in SLOW:
            return page.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        pass
    return page.decode("utf-8", "replace")


def names_in(page: str, folder: str) -> dict[str, bool]:
    """The names to which a page leads in its own folder, and whether each is a folder.

    A name that no path can spell begins with a slash, or is one or two dots. Links that lead elsewhere, or have a
    query, as those that sort a page, are none.

    Args:
        page: its text.
        folder: its URL, with a slash at the end.

    Raises:
        Malformed: taking it apart would take too long.
    """
    own = urlsplit(folder)
    above = [_unquoted(part) for part in own.path.split("/")[:-1]]
    names: dict[str, bool] = {}
    left = MOST
    for link in _links_in(page):
        plain = _NAME.fullmatch(link) is not None
        left -= not plain
        if left < 0:
            raise Malformed("a page of too many links")
        if name := link if plain else _name_in(link, folder, own, above):
            text = _unquoted(name.removesuffix("/"))
            text = "/" + text if "/" in text or "\\" in text else text
            names[text] = names.get(text, False) or name.endswith("/")
    return names


def _name_in(link: str, folder: str, own: SplitResult, above: list[str]) -> str | None:
    """The name in the folder to which a link leads, with a slash behind it as in the link."""
    try:
        found = urlsplit(urljoin(folder, link))
        same = (found.scheme, found.hostname, found.port) == (own.scheme, own.hostname, own.port)
    except ValueError:
        return None
    parts = found.path.split("/")
    name, slash = parts[len(above) : len(above) + 1], parts[len(above) + 1 :]
    if not same or found.query or "?" in link or slash not in ([], [""]) or not name or not name[0]:
        return None
    if [_unquoted(part) for part in parts[: len(above)]] != above:
        return None
    return "/".join(name + slash)


def _links_in(page: str) -> Iterator[str]:
    for found in _TOKEN.finditer(page):
        value = found["href"]
        if value and found["a"] and len(value) <= LONGEST_LINK:
            value = value[1:-1] if value[0] in "\"'" else value
            try:
                link = html.unescape(value).strip()
            except ValueError:  # A character of thousands of digits.
                continue
            if link:
                yield link


def _unquoted(part: str) -> str:
    return unquote(part, errors="surrogateescape")
