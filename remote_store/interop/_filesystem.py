"""A store as an fsspec filesystem."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, aclosing
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, NoOpCallback
from fsspec.compression import compr
from fsspec.core import get_compression, url_to_fs
from fsspec.utils import isfilelike, stringify_path

from remote_store._capabilities import Capability
from remote_store._errors import escapes_root, target_exists
from remote_store._paths import RemotePath
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.interop import _identity
from remote_store.interop._bulk import BulkOperations
from remote_store.interop._listing import described
from remote_store.interop._operations import builtin_errors, operation
from remote_store.interop._reading import AsyncStoreReader, StoreReader, Windows, download_to
from remote_store.interop._writing import CompressedWriter, StoreWriter, TextWriter, pieces_of


class StoreFileSystem(BulkOperations):
    """Any store as an fsspec filesystem that keeps the contract.

    Paths are the store's keys; `remote-store://NAME/key` is a key of the store that the configuration calls NAME.
    Errors are the store's own. Over a `Store` every method works in the caller's thread; over an `AsyncStore` the
    filesystem is asynchronous: its methods that begin with an underscore are awaited, on the loop of the store.

    Folders come and go with their files: `mkdir` makes none. A key that exists is meant literally even if it looks
    like a pattern; `rm` expands no patterns at all, and recursively empties the root. Where a key is a file and a
    folder (S3), what is recursive means the folder. Nothing is cached; fsspec's caches of files go by the key alone, so
    each store needs a `cache_storage` of its own.

    Args:
        store: a `Store`, an `AsyncStore`, or the name of a configured store.
        asynchronous: whether a name stands for an `AsyncStore`.
        batch_size: most operations that run side by side in asynchronous bulk operations.
        use_listings_cache: ignored, as there is none.

    Raises:
        ValueError: no name, or `asynchronous` over a `Store`.

    Example:
        >>> from remote_store import Store
        >>> fs = StoreFileSystem(Store.from_url("memory://doc-filesystem"))
        >>> fs.pipe_file("a/b.bin", b"123")
        >>> fs.cat_file("a/b.bin", start=-2)
        b'23'
    """

    protocol = ("remote-store", "remotestore")  # The second for libraries whose URLs know no "-": xarray, UPath.
    cachable = False  # Instances are but views of stores, which a cache would keep alive.
    mirror_sync_methods = False
    async_impl: bool

    def __init__(
        self,
        store: Store | AsyncStore | str | Mapping[str, Any],
        *,
        asynchronous: bool = False,
        batch_size: int | None = None,
        use_listings_cache: bool = False,
    ) -> None:
        super().__init__(asynchronous=True, batch_size=batch_size)  # For any other fsspec starts its I/O thread.
        if isinstance(store, Mapping):
            store = _identity.rebuilt(store, asynchronous)
        if store == "" or (asynchronous and isinstance(store, Store)):
            raise ValueError("asynchronous=True needs an AsyncStore" if store else "the name of a store is missing")
        self._store: Store | AsyncStore | None = None if isinstance(store, str) else store
        self.name = store if isinstance(store, str) else _identity.name_of(store)
        self.asynchronous = self.async_impl = asynchronous or isinstance(store, AsyncStore)
        self._strip_protocol = self._strip_own_protocol  # type: ignore[method-assign]

    @property
    def store(self) -> Any:
        """The store; if it is known by name, that of the running event loop. `ConfigError` when there is none."""
        return self._store or _identity.by_name(str(self.name), self.asynchronous)

    # --- paths

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """The key of one path; of several, URLs stay as they are, since fsspec opens all in the store of the first."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = str(path) if isinstance(path, RemotePath) else stringify_path(path)
        return text if cls._get_kwargs_from_urls(text).get("store") and not _one_is_asked_for() else _key(text)

    def _strip_own_protocol(self, path: Any) -> Any:
        """The key; `InvalidPath` for URLs of other stores."""
        if isinstance(path, list):
            return [self._strip_own_protocol(one) for one in path]
        text = type(self)._strip_protocol(path)
        if self._get_kwargs_from_urls(text).get("store") not in (None, self.name):
            raise escapes_root(text, self.backend_name)
        return _key(text)

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a key."""
        return f"{self.protocol[0]}://{self.name or ''}/{self._strip_protocol(name)}"

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        head, separator, rest = path.partition("://")
        return {"store": rest.partition("/")[0]} if separator and head in StoreFileSystem.protocol else {}

    # --- reading

    @operation
    async def _cat_file(self, path: Any, start: int | None = None, end: int | None = None) -> bytes:
        key, start = self._strip_protocol(path), start or 0
        if not start and end is None:
            return bytes(await self._view.read_bytes(key))
        if start < 0 or end is None or end < 0:
            start, end, _ = slice(start, end).indices((await self._info(key))["size"])
        return bytes(await self._view.read_range(key, start, max(start, end)))

    def head(self, path: Any, size: int = 1024) -> bytes:
        """The first `size` bytes of a file, and no more."""
        return bytes(self.cat_file(path, 0, size))

    @operation
    async def _get_file(
        self, rpath: Any, lpath: Any = None, callback: Any = DEFAULT_CALLBACK, outfile: Any = None
    ) -> None:
        key = self._strip_protocol(rpath)
        if not isinstance(callback, NoOpCallback):
            callback.set_size((await self._info(key))["size"])
        with download_to(outfile or (lpath if isfilelike(lpath) else stringify_path(lpath))) as file:
            async with aclosing(self._view.read(key)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    file.write(chunk)
                    callback.relative_update(len(chunk))

    # --- writing

    async def _write(self, path: Any, pieces: Iterable[bytes], mode: str, **options: Any) -> None:
        """Write with `metadata` and `if_match` as options, at once or with the transaction."""
        if mode not in ("overwrite", "create"):
            raise ValueError(f"mode must be 'overwrite' or 'create', not {mode!r}")
        if self._intrans:
            with self.open(path, "xb" if mode == "create" else "wb", **options) as file:
                for piece in pieces:
                    file.write(piece)
            return
        view = self._view
        write = view.write_atomic if view.supports(Capability.ATOMIC_WRITE) else view.write
        content = pieces[0] if isinstance(pieces, list) else view.stream(pieces)
        await write(self._strip_protocol(path), content, overwrite=mode == "overwrite", **options)

    @operation
    async def _pipe_file(self, path: Any, value: Any, mode: str = "overwrite", **options: Any) -> None:
        await self._write(path, [value if isinstance(value, bytes) else bytes(memoryview(value))], mode, **options)

    @operation
    async def _put_file(
        self, lpath: Any, rpath: Any, callback: Any = DEFAULT_CALLBACK, mode: str = "overwrite", **options: Any
    ) -> None:
        if os.path.isdir(lpath):
            await self._mkdir(rpath)
        else:
            await self._write(rpath, pieces_of(lpath, callback), mode, **options)

    @operation
    async def _touch(self, path: Any, truncate: bool = True, **options: Any) -> None:
        try:
            await self._write(path, [b""], "overwrite" if truncate else "create", **options)
        except FileExistsError as error:
            raise NotImplementedError("a store cannot change when a file was modified") from error

    # --- open files

    def open(
        self,
        path: Any,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **options: Any,
    ) -> Any:
        """A file-like object. What is written appears as a whole when it is closed, and not if its block raises.

        Args:
            path: key or URL.
            mode: `r`, `w` or `x`, with `b`, or for text.
            block_size: what is read ahead [bytes].
            cache_options: for the cache of what was read.
            compression: name of a codec, or "infer" to tell from the path.
            options: for text `encoding`, `errors`, `newline`; for reading `cache_type`, and `size` [bytes] where it is
                known; for writing `metadata` and `if_match`, as in `Store.write`.

        Raises:
            FileExistsError: mode `x`, and the file exists; from `close` if another writer was first.
            PreconditionFailed: what is read was replaced meanwhile; `if_match` does not match.
            NotImplementedError: mode `a`, or `+`.
            TypeError: an option that means nothing here.
        """
        if "r" in mode:
            return super().open(path, mode, block_size, cache_options, compression, **options)
        text = {name: options.pop(name) for name in ("encoding", "errors", "newline") if name in options}
        codec = get_compression(self._strip_protocol(path), compression)
        file = super().open(path, mode.replace("t", "").replace("b", "") + "b", **options)
        if codec is not None:
            file = CompressedWriter(compr[codec](file, mode=mode[0]), file)
        return file if "b" in mode else TextWriter(file, **text)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        cache_type: str = Windows.name,
        size: int | None = None,
        **options: Any,
    ) -> Any:
        if self.asynchronous:
            raise RuntimeError("this filesystem is asynchronous: await open_async()")
        if mode in ("wb", "xb"):
            return self._open_writer(path, mode, autocommit, **options)
        if mode != "rb":
            raise NotImplementedError(f"mode {mode!r} is not supported: files of a store are written whole")
        with builtin_errors:
            details = described(self.store.get_file_info(path)) if size is None else {"size": size}
        same: dict[str, Any] = {"cache_type": cache_type, "cache_options": cache_options, "etag": details.get("etag")}
        reader = StoreReader(self, path, details["size"], block_size, **same, **options)
        reader._details = details if size is None else None
        return reader

    def _open_writer(self, path: str, mode: str, autocommit: bool, **options: Any) -> StoreWriter:
        with ExitStack() as undo:
            writer = undo.enter_context(StoreWriter(self, path, mode, autocommit, **options))
            if mode == "xb" and self.isfile(path):
                raise target_exists(path, self.backend_name)
            undo.pop_all()
        return writer

    async def open_async(self, path: Any, mode: str = "rb") -> AsyncStoreReader:
        """A file to be read by `await`; other modes raise NotImplementedError."""
        if mode != "rb":
            raise NotImplementedError(f"mode {mode!r} is not supported: use _pipe_file, or AsyncStore.open_atomic")
        key = self._strip_protocol(path)
        with builtin_errors:
            return AsyncStoreReader(self, key, await self._view.read_seekable(key))

    # --- moving, deleting, folders

    @operation
    async def _cp_file(self, path1: Any, path2: Any) -> None:
        await self._view.copy(self._strip_protocol(path1), self._strip_protocol(path2), overwrite=True)

    @operation
    async def _mv_file(self, path1: Any, path2: Any) -> None:
        await self._view.move(self._strip_protocol(path1), self._strip_protocol(path2), overwrite=True)

    @operation
    async def _rm_file(self, path: Any) -> None:
        await self._view.delete(self._strip_protocol(path))

    @operation
    async def _rmdir(self, path: Any) -> None:
        await self._view.delete_folder(self._strip_protocol(path))

    @operation
    async def _mkdir(self, path: Any, create_parents: bool = True) -> None:
        if await self._isfile(path):
            raise FileExistsError(errno.EEXIST, "Path is a file", self._strip_protocol(path))

    @operation
    async def _makedirs(self, path: Any, exist_ok: bool = False) -> None:
        await self._mkdir(path)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Nothing: there is no cache."""

    # --- identity

    @property
    def _fs_token(self) -> str:
        return _identity.token(self._store or str(self.name), self.asynchronous)

    def to_dict(self, *, include_password: bool = False) -> dict[str, Any]:
        """What `from_dict` makes an equal filesystem of; secrets are never in it.

        Raises:
            ValueError: the store has no such form: it takes a secret, or its files are in this process.
        """
        shown = {"cls": f"{__name__}:{type(self).__name__}", "protocol": self.protocol[0], "args": []}
        store = _identity.recipe(self._store) if self._store else self.name
        return {**shown, "store": store, "asynchronous": self.asynchronous}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store or self.name!r})"


def _key(text: str) -> str:
    if StoreFileSystem._get_kwargs_from_urls(text):
        text = text.partition("://")[2].partition("/")[2]
    return "/".join(part for part in text.replace("\\", "/").split("/") if part not in ("", "."))


def _one_is_asked_for() -> bool:
    """Whether `url_to_fs` asks the class: it makes the filesystem for this very URL, and gives its path to others."""
    caller = sys._getframe(2).f_back
    return caller is not None and caller.f_code is url_to_fs.__code__
