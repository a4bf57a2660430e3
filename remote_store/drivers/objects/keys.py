"""Folders read off the keys of a flat namespace."""

from __future__ import annotations

from remote_store._models import FolderEntry, folder_entry
from remote_store._paths import below, join, spellable
from remote_store.drivers.base import Page, Want, warn_unspellable
from remote_store.drivers.objects.wire import Malformed, Object


class KeyListing:
    """Turns the keys of one listing into files and folders, and says once what it skips.

    Args:
        root: native prefix that is the root.
        folder: key of the folder that is listed.
        max_depth: levels below it that count.
        want: what is of interest.
        backend: name for the warning.
    """

    def __init__(self, root: str, folder: str, max_depth: int | None, want: Want, backend: str) -> None:
        self._root, self._folder, self._max_depth, self._backend = root, folder, max_depth, backend
        self._files, self._folders = want != "folders", want != "files"
        self._seen: set[str] = set()
        self._warned = False

    def key(self, native: str) -> str | None:
        """The key of a native one; None for the listed folder itself and for what no path can spell."""
        key = below(self._root, native.removesuffix("/"))
        odd = native.endswith("//") or native == "/"
        if key is None or (key == self._folder and not odd):
            return None
        if odd or not spellable(key):
            if not self._warned:
                self._warned = True
                warn_unspellable(native, self._backend)
            return None
        return key

    def folders(self, key: str, *, itself: bool) -> list[FolderEntry]:
        """Folders above `key` (and `itself`) that were not seen before and lie within the depth."""
        if not self._folders:
            return []
        start = self._folder.count("/") + 1 if self._folder else 0
        parts = key.split("/")[start:]
        if not itself:
            parts.pop()
        found = []
        for depth in range(len(parts) if self._max_depth is None else min(len(parts), self._max_depth + 1)):
            folder = join(self._folder, "/".join(parts[: depth + 1]))
            if folder not in self._seen:
                self._seen.add(folder)
                found.append(folder_entry(folder))
        return found

    def wants_file(self, key: str) -> bool:
        """Whether a file lies within the depth."""
        if not self._files or self._max_depth is None:
            return self._files
        inner = key[len(self._folder) + 1 :] if self._folder else key
        return inner.count("/") <= self._max_depth

    def add(self, page: Page, native: str, found: Object | None = None) -> None:
        """Add what one key stands for: a file, or else a folder."""
        key = self.key(native)
        if key is None:
            return
        if native.endswith("/") or found is None or found.size is None:
            page.extend(self.folders(key, itself=True))
            return
        page.extend(self.folders(key, itself=False))
        if self.wants_file(key):
            page.append(found.info(key))


class Tokens:
    """The tokens that lead from page to page of one listing.

    A service that gives one again would let the listing never end. One of them is remembered, a later one each time
    their number has doubled, which finds every cycle (R. P. Brent, 1980).
    """

    def __init__(self) -> None:
        self._count, self._kept = 0, ""

    def check(self, token: str | None) -> None:
        """Raise `Malformed` for a token that was given before; to be asked once for each."""
        if token is None:
            return
        self._count += 1
        if token == self._kept:
            raise Malformed("it leads back to where the listing was")
        if self._count & (self._count - 1) == 0:
            self._kept = token
