"""The pages of links that web servers make of folders (nginx, Apache, Caddy, Python)."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

LONGEST = 64 << 20
"""No page is longer [bytes]."""


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value.strip() for name, value in attrs if tag == "a" and name == "href" and value]


def names_in(page: str, folder: str) -> dict[str, bool]:
    """The names to which a page leads in its own folder, and whether each is a folder.

    A name that no path can spell begins with a slash. Links that lead elsewhere, or have a query, as those that sort a
    page, are none.

    Args:
        page: its text.
        folder: its URL, with a slash at the end.
    """
    links = _Links()
    links.feed(page)
    links.close()
    own = urlsplit(folder)
    above = [_decoded(part) for part in own.path.split("/")[:-1]]
    names: dict[str, bool] = {}
    for link in links.found:
        try:
            found = urlsplit(urljoin(folder, link))
            same = (found.scheme, found.hostname, found.port) == (own.scheme, own.hostname, own.port)
        except ValueError:
            continue
        parts = found.path.split("/")
        name, slash = parts[len(above) : len(above) + 1], parts[len(above) + 1 :]
        if not same or found.query or "?" in link or slash not in ([], [""]) or not name or not name[0]:
            continue
        if [_decoded(part) for part in parts[: len(above)]] == above:
            text = _decoded(name[0])
            text = "/" + text if "/" in text or "\\" in text else text
            names[text] = names.get(text, False) or bool(slash)
    return names


def _decoded(part: str) -> str:
    return unquote(part, errors="surrogateescape")
