"""Where things are: a URL, a path on this machine, or a key of a configured store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, RemoteStoreError
from remote_store._location import PLAIN, STORES, Location
from remote_store._models import FileInfo, FolderEntry
from remote_store._paths import key_of
from remote_store._store import Store
from remote_store.cli._run import Usage
from remote_store.drivers.kinds import by_protocol

Use = Literal["read", "remove", "write"]
"""What a place is opened for; "remove" is also for moves."""

_SHORT = re.compile(r"([^/:\\]+):(?![/:\\])(.*)", re.S)


@dataclass(frozen=True)
class Place:
    """A key of a store.

    Args:
        store: rooted at a container, a host, or a folder of this machine.
        key: in the store; `""` is its root.
        prefix: the text of the place before the key.
        suffix: the text of the place after the key.
        into: whether its text ends in a slash, as that of a folder.
        quoted: whether its text is percent-encoded.
    """

    store: Store
    key: str
    prefix: str
    suffix: str = ""
    into: bool = False
    quoted: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is a path on this machine."""
        return self.prefix.startswith("/")

    def url(self, key: str) -> str:
        """A key of the store as a place."""
        return self.prefix + ("" if key == "." else quote(key) if self.quoted else key) + self.suffix

    def __str__(self) -> str:
        return self.url(self.key)

    def at(self, key: str) -> Place:
        """Another key of the same store."""
        return replace(self, key=key, into=False)

    @contextmanager
    def errors(self, *, here: bool = False) -> Iterator[None]:
        """Add a place to the errors of this store: this one where `here`, else that of the path in the error."""
        try:
            yield
        except RemoteStoreError as error:
            error.__dict__.setdefault("place", str(self) if here else self.url(error.path or "."))
            raise

    def look(self) -> FileInfo | None:
        """The description of a file, None for a folder; the root is a folder without a request."""
        with self.errors():
            try:
                return self.store.get_file_info(self.key) if self.key else None
            except InvalidPath:
                if not self.store.is_folder(self.key):
                    raise
                return None

    def entries(self, recursive: bool = False) -> Iterator[FileInfo | FolderEntry]:
        """What is in a folder, or all files below it; of a file, the file.

        Raises:
            NotFound: nothing is there.
        """
        found = False
        with self.errors():
            if not self.key or self.store.supports(Capability.LIST):
                store, key = self.store, self.key
                for entry in store.list_files(key, recursive=True) if recursive else store.iter_children(key):
                    found = True
                    yield entry
            if not found and not self.key:
                self.store.ping()
            elif not found and (file := self.look()):
                yield file


class Places(ExitStack):
    """Opens places; a `with` block closes their stores, each of which is opened once."""

    def __init__(self) -> None:
        super().__init__()
        self._stores: dict[str, Store] = {}

    def open(self, text: str, use: Use = "read") -> Place:
        """The place that a text names, without a request; only a configured local store creates its root.

        Raises:
            Usage: malformed, or an unknown name or protocol.
            ImportError: a package is missing; the message names what to install.
            RemoteStoreError: a filesystem that connects at once could not.
        """
        try:
            if short := _SHORT.fullmatch(text):
                place = self._named(short[1], short[2], f" (a path with a colon in it is written ./{text})")
            elif (where := Location.parse(text)).protocol in STORES:
                place = self._named(where.host, where.path)
            else:
                place = self._local(where.path, use) if where.protocol == PLAIN else self._remote(text)
            return replace(place, key=key_of(place.key), into=text.endswith("/"))
        except (ValueError, NotImplementedError, InvalidPath) as error:
            raise Usage(str(error)) from error

    def _named(self, name: str, key: str, hint: str = "") -> Place:
        from remote_store.config import default_registry

        known: tuple[str, ...] = ()
        try:
            registry = self.enter_context(default_registry())
            known = registry.names
            return Place(registry.get_store(name), key, f"{STORES[0]}://{name}/")
        except ValueError as error:
            raise Usage(f"{error}{'' if name in known else hint}") from error

    def _local(self, path: str, use: Use) -> Place:
        path = "/" + os.path.abspath(os.path.expanduser(path)).lstrip("/")
        if "\\" in path:
            raise Usage("a store cannot spell a name with a backslash in it")
        # Reading may follow links out of the folder, so its root is /. Capabilities are those of the folder written to.
        root = "/" if use == "read" else path if use == "write" else os.path.dirname(path)
        while not os.path.isdir(root):
            root = os.path.dirname(root)
        return self._rooted(root, path)

    def _rooted(self, root: str, path: str) -> Place:
        """A path in a store whose root is a folder of this machine."""
        prefix = root.rstrip("/") + "/"
        if prefix not in self._stores:
            self._stores[prefix] = self.enter_context(Store.from_url(root, create=False))
        return Place(self._stores[prefix], path[len(prefix) :], prefix)

    def together(self, places: list[Place]) -> list[Place]:
        """Local places on one device, in one store, so that a move is a rename; others unchanged."""
        if all(place.is_local for place in places):
            root = os.path.commonpath([place.prefix for place in places])
            if len({os.stat(path).st_dev for path in (root, *(place.prefix for place in places))}) == 1:
                return [replace(self._rooted(root, place.prefix + place.key), into=place.into) for place in places]
        return places

    def _remote(self, text: str) -> Place:
        first, *rest = text.split("::")
        where, path = Location.parse(text), first.partition("://")[2]
        host, key = where.host, where.path.partition("::")[0]
        if where.protocol == PLAIN:
            host, _, key = path.rpartition("/")
        root = f"{where.protocol}://{host}" + "/" * (not host and path.startswith("/"))
        after = "".join(f"::{part}" for part in rest)
        quoted = by_protocol(where.protocol).quoted
        if quoted:
            key, mark, query = key.partition("?")
            key, after = unquote(key), mark + query
        url = root + after
        if url not in self._stores:
            self._stores[url] = self.enter_context(Store.from_url(url))
        return Place(self._stores[url], key, f"{root}/" if host else root, after, quoted=quoted)
