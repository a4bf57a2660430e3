"""The configured stores as one fsspec filesystem."""

from __future__ import annotations

import threading
from typing import Any

from fsspec.asyn import get_loop

from remote_store._errors import InvalidPath
from remote_store._location import STORES
from remote_store.interop import _identity
from remote_store.interop._filesystem import FileOperations
from remote_store.interop._listing import Found, folder
from remote_store.interop._operations import inline, operation
from remote_store.interop._place import Place, StoreFound


class NamedFileSystem(FileOperations):
    """All configured stores as one fsspec filesystem, behind `remote-store://NAME/key` and `remotestore://NAME/key`.

    A path begins with the name of a store, as one of S3 begins with a bucket: `NAME/key`; so do the names and the
    errors that come back. Each store is looked up in the configuration when it is used, by its name alone. Between two
    stores files are streamed; user metadata goes along where the target keeps it.

    Methods work in the caller's thread, on stores for synchronous code. Those that begin with an underscore are
    awaited, on any event loop, fsspec's own included, and use the asynchronous stores of that loop.

    Stores are neither made nor removed: `rm`, `rmdir` and `mkdir` of a bare name raise `InvalidPath`; only a recursive
    `rm` of an empty store, as before zarr and Dask write, does nothing. All else is as in `StoreFileSystem`.

    Args:
        store: a name that all paths must begin with; any when None.
        asynchronous: whether methods are awaited only.
        batch_size: most operations that run side by side in asynchronous bulk operations.
        use_listings_cache: ignored, as there is none.

    Raises:
        TypeError: another option.
        NotFound: the configuration has no such store; from its use.
        ValueError: a path is not of `store`; from its use.

    Example:
        >>> import fsspec
        >>> from remote_store.config import Registry, set_default
        >>> with set_default(Registry({"stores": {"raw": {"backend": "memory"}}})):
        ...     fs = fsspec.filesystem("remote-store")
        ...     fs.pipe_file("raw/a.txt", b"123")
        ...     print(fs.ls("raw", detail=False))
        ['raw/a.txt']
    """

    protocol = STORES
    backend_name = STORES[0]

    def __init__(
        self,
        store: str | None = None,
        *,
        asynchronous: bool = False,
        batch_size: int | None = None,
        use_listings_cache: bool = False,
        **options: Any,
    ) -> None:
        for name in options:
            hint = "the configuration holds the options of the stores, and storage_options is not needed"
            raise TypeError(f"{self.protocol[0]}:// does not take the option {name!r}: {hint}")
        self._thread = threading.local()
        super().__init__(asynchronous, batch_size)
        self._only = store

    @property
    def loop(self) -> Any:
        """The event loop for who awaits the methods of a filesystem that is not asynchronous."""
        return None if self.asynchronous else get_loop()

    # --- paths

    def _at(self, path: Any) -> Place:
        path = self._strip_protocol(path)
        name, _, key = path.partition("/")
        if not name:
            message = "Path must not be empty: it begins with the name of a store"
            raise InvalidPath(message, path=path, backend=self.backend_name)
        if self._only not in (None, name):
            raise ValueError(f"store={self._only!r} does not agree with the path {path!r}, which is of {name!r}")
        return Place(_identity.by_name(name, self.asynchronous or not inline), key, f"{name}/")

    def _is_above(self, path: Any) -> bool:
        """Whether a path is above all stores."""
        return not self._strip_protocol(path)

    @property
    def _names(self) -> tuple[str, ...]:
        return _identity.names() if self._only is None else (self._only,)

    # --- above the stores

    async def _ask(self, question: str, path: Any) -> bool:
        return question != "is_file" if self._is_above(path) else await super()._ask(question, path)

    @operation
    async def _info(self, path: Any) -> dict[str, Any]:
        return folder("") if self._is_above(path) else await super()._info(path)

    @operation
    async def _ls(self, path: Any, detail: bool = True) -> list[Any]:
        if not self._is_above(path):
            return await super()._ls(path, detail)
        return [folder(name) if detail else name for name in sorted(self._names)]

    @operation
    async def _find(
        self, path: Any, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, prefix: str = ""
    ) -> Any:
        if not self._is_above(path) or (maxdepth is not None and maxdepth < 1):
            return await super()._find(path, maxdepth, withdirs, detail, prefix)
        found: Found = {}
        for name in sorted(name for name in self._names if name.startswith(prefix)):
            found |= {name: folder(name)} if withdirs else {}
            if maxdepth is None or maxdepth > 1:
                found |= await super()._find(name, maxdepth and maxdepth - 1, withdirs, True)
        return found if detail else list(found)

    # --- stores themselves

    @operation
    async def _mkdir(
        self, path: Any, create_parents: bool = True, exist_ok: bool = False, mode: int | None = None
    ) -> None:
        if not self._is_above(path) and self._at(path).key:
            await super()._mkdir(path)
        elif not exist_ok:
            message = "A store is there already; the configuration makes stores"
            raise StoreFound(message, path=self._strip_protocol(path), backend=self.backend_name)

    @operation
    async def _rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        for one in self._keys(path) if recursive else ():
            if self._is_above(one) or not ((at := self._at(one)).key or await at.is_empty()):
                hint = "name what is below it, or use its own to_fsspec().rm('', recursive=True)"
                raise InvalidPath(f"Cannot delete the store root: {hint}", path=one, backend=self.backend_name)
        await super()._rm(path, recursive, maxdepth)

    # --- transactions: one instance serves all threads, but a transaction only the one that began it

    @property
    def _intrans(self) -> bool:
        return getattr(self._thread, "intrans", False)

    @_intrans.setter
    def _intrans(self, value: bool) -> None:
        self._thread.intrans = value

    @property
    def _transaction(self) -> Any:
        return getattr(self._thread, "transaction", None)

    @_transaction.setter
    def _transaction(self, value: Any) -> None:
        self._thread.transaction = value

    # --- identity

    @property
    def _fs_token(self) -> str:
        return _identity.token(self._only or "", self.asynchronous)

    def to_dict(self, *, include_password: bool = False) -> dict[str, Any]:
        """What `from_dict` makes an equal filesystem of."""
        shown = {"cls": f"{__name__}:{type(self).__name__}", "protocol": self.protocol[0], "args": []}
        return {**shown, "store": self._only, "asynchronous": self.asynchronous}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({f'store={self._only!r}' if self._only else ''})"
