"""What trees of folders have in common: a listing, folder by folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from remote_store._models import FileInfo, FolderEntry
from remote_store._paths import join, spellable
from remote_store.drivers.base import PAGE_SIZE, Page, Want, warn_unspellable

Children = Callable[[str], Awaitable[Iterable[tuple[str, FileInfo | FolderEntry]]]]
"""The names in a folder, given by key, and what they are; nothing where there is no folder."""


async def walk(
    children: Children, key: str, max_depth: int | None, want: Want, backend: str
) -> AsyncGenerator[Page, None]:
    """Pages of what is below a folder; says once what no path can spell, and skips it."""
    page: Page = []
    warned = False
    stack = [(key, 0)]
    while stack:
        folder, depth = stack.pop()
        for name, entry in await children(folder):
            if not name or not spellable(name):
                if not warned:
                    warned = True
                    warn_unspellable(name, backend)
                continue
            is_folder = isinstance(entry, FolderEntry)
            if is_folder and (max_depth is None or depth < max_depth):
                stack.append((join(folder, name), depth + 1))
            if want == "both" or is_folder == (want == "folders"):
                page.append(entry)
            if len(page) >= PAGE_SIZE:
                yield page
                page = []
    if page:
        yield page
