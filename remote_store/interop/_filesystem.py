"""What filesystems over stores do with single files, and the filesystem over one store."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, aclosing
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, NoOpCallback
from fsspec.compression import compr
from fsspec.core import get_compression
from fsspec.utils import isfilelike, stringify_path

from remote_store._errors import escapes_root, target_exists
from remote_store._location import STORES
from remote_store._paths import RemotePath
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.interop import _identity
from remote_store.interop._bulk import BulkOperations
from remote_store.interop._listing import described
from remote_store.interop._operations import WITH, inline, operation, takes, writing_operation
from remote_store.interop._place import Place
from remote_store.interop._reading import AsyncStoreReader, StoreReader, download_to
from remote_store.interop._windows import Windows
from remote_store.interop._writing import CompressedWriter, StoreWriter, TextWriter, pieces_of

READING = ("cache_type", "cache_options", "size", "version_id")
"""Options of what opens a file to read it."""


class FileOperations(BulkOperations):
    """A filesystem over stores."""

    mirror_sync_methods = False
    async_impl: bool

    def __init__(self, asynchronous: bool, batch_size: int | None) -> None:
        super().__init__(asynchronous=True, batch_size=batch_size)  # For any other fsspec starts its I/O thread.
        self.asynchronous = asynchronous

    # --- paths

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """The path of a URL or path, or of several."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = str(path) if isinstance(path, RemotePath) else stringify_path(path)
        protocol, separator, rest = text.partition("://")
        return cls._normalized(rest if separator and protocol in cls.protocol else text)

    @classmethod
    def _normalized(cls, path: str) -> str:
        return "/".join(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a path."""
        return f"{self.protocol[0]}://{self._strip_protocol(name)}"

    # --- reading

    @operation
    async def _cat_file(self, path: Any, start: int | None = None, end: int | None = None) -> bytes:
        at, start = self._at(path), start or 0
        if not start and end is None:
            return bytes(await at.call("read_bytes"))
        if start < 0 or end is None or end < 0:
            start, end, _ = slice(start, end).indices((await self._info(path))["size"])
        return bytes(await at.call("read_range", start, max(start, end)))

    def head(self, path: Any, size: int = 1024) -> bytes:
        """The first `size` bytes of a file, and no more."""
        return bytes(self.cat_file(path, 0, size))

    @operation
    async def _get_file(
        self, rpath: Any, lpath: Any = None, callback: Any = DEFAULT_CALLBACK, outfile: Any = None
    ) -> None:
        at = self._at(rpath)
        if not isinstance(callback, NoOpCallback):
            callback.set_size((await self._info(rpath))["size"])
        with download_to(outfile or (lpath if isfilelike(lpath) else stringify_path(lpath))) as file:
            async with aclosing(at.each("read")) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    file.write(chunk)
                    callback.relative_update(len(chunk))

    # --- writing

    async def _write(self, path: Any, pieces: Iterable[bytes], mode: str, **options: Any) -> None:
        """Write with keywords of `Store.write` as options, at once or with the transaction."""
        if mode not in ("overwrite", "create"):
            raise ValueError(f"mode must be 'overwrite' or 'create', not {mode!r}")
        options = {name: value for name, value in options.items() if value is not None}
        if self._intrans:
            with self.open(path, "xb" if mode == "create" else "wb", **options) as file:
                for piece in pieces:
                    file.write(piece)
            return
        at = self._at(path)
        content = pieces[0] if isinstance(pieces, list) else at.view.stream(pieces)
        await at.put(content, overwrite=mode == "overwrite", **options)

    @writing_operation
    async def _pipe_file(self, path: Any, value: Any, mode: str = "overwrite", **options: Any) -> None:
        content = value if isinstance(value, bytes) else bytes(memoryview(value))
        await self._write(path, [content], mode, **options)

    @writing_operation
    async def _put_file(
        self, lpath: Any, rpath: Any, callback: Any = DEFAULT_CALLBACK, mode: str = "overwrite", **options: Any
    ) -> None:
        if os.path.isdir(lpath):
            await self._mkdir(rpath)
            return
        await self._write(rpath, pieces_of(lpath, callback), mode, **options)

    @writing_operation
    async def _touch(self, path: Any, truncate: bool = True, **options: Any) -> None:
        try:
            await self._write(path, [b""], "overwrite" if truncate else "create", **options)
        except FileExistsError as error:
            raise NotImplementedError("a store cannot change when a file was modified") from error

    # --- open files

    @takes("autocommit", "encoding", "errors", "newline", *READING, *WITH)
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
            block_size: what is read ahead at most, while a file is read from front to back [bytes].
            cache_options: for the cache of what was read.
            compression: name of a codec, or "infer" to tell from the path.
            options: for text `encoding`, `errors`, `newline`; for reading `cache_type`, and `size` [bytes] where it is
                known; for writing `metadata`, `if_match` and `content_type`, as in `Store.write`.

        Raises:
            FileExistsError: mode `x`, and the file exists; from `close` if another writer was first.
            PreconditionFailed: what is read was replaced meanwhile; `if_match` does not match.
            NotImplementedError: mode `a`, or `+`.
            TypeError: an option that has no meaning for this mode, or for a store.
        """
        if "r" in mode:
            _only_for("write", options, WITH)
            return super().open(path, mode, block_size, cache_options, compression, **options)
        _only_for("read", options, ("version_id",))
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
        at = self._here(path)
        with at.errors:
            details = described(at.store.get_file_info(at.key), at) if size is None else {"size": size}
        options |= {"cache_type": cache_type, "cache_options": cache_options, "etag": details.get("etag")}
        reader = StoreReader(self, path, at, details["size"], block_size, size_given=size is not None, **options)
        reader._details = details if size is None else None
        return reader

    def _open_writer(self, path: str, mode: str, autocommit: bool, **options: Any) -> StoreWriter:
        with ExitStack() as undo:
            writer = undo.enter_context(StoreWriter(self, path, self._here(path), mode, autocommit, **options))
            if mode == "xb" and self.isfile(path):
                raise target_exists(path, self.backend_name)
            undo.pop_all()
        return writer

    def _here(self, path: str) -> Place:
        """Where a path leads, for operations in the caller's thread."""
        with inline:
            return self._at(path)

    @takes()
    async def open_async(self, path: Any, mode: str = "rb") -> AsyncStoreReader:
        """A file to be read by `await`; other modes raise NotImplementedError."""
        if mode != "rb":
            raise NotImplementedError(f"mode {mode!r} is not supported: use _pipe_file, or AsyncStore.open_atomic")
        at = self._at(path)
        return AsyncStoreReader(self, at, await at.call("read_seekable"))

    @operation
    async def _sign(self, path: Any, expiration: int = 100, method: str = "GET") -> str:
        """A URL that lets whoever has it read one file, or write it (`"PUT"`), for that long [s]."""
        return str(await self._at(path).call("sign", expires_in=expiration, method=method))

    # --- moving, deleting, folders

    @operation
    async def _cp_file(self, path1: Any, path2: Any) -> None:
        await self._at(path1).transfer("copy", self._at(path2))

    @operation
    async def _mv_file(self, path1: Any, path2: Any) -> None:
        await self._at(path1).transfer("move", self._at(path2))

    @operation
    async def _rm_file(self, path: Any) -> None:
        await self._at(path).call("delete")

    @operation
    async def _rmdir(self, path: Any) -> None:
        await self._at(path).call("delete_folder")

    @operation
    async def _mkdir(
        self, path: Any, create_parents: bool = True, exist_ok: bool = False, mode: int | None = None
    ) -> None:
        if await self._isfile(path):
            raise FileExistsError(errno.EEXIST, "Path is a file", self._strip_protocol(path))

    @operation
    async def _makedirs(self, path: Any, exist_ok: bool = False) -> None:
        await self._mkdir(path, exist_ok=exist_ok)

    def created(self, path: Any) -> Any:
        """Not known: the contract has no time of creation."""
        raise NotImplementedError("a store does not tell when a file was created; see modified()")

    def invalidate_cache(self, path: str | None = None) -> None:
        """Nothing: there is no cache."""


def _only_for(purpose: str, options: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if name in options:
            raise TypeError(f"open() takes the option {name!r} only to {purpose} a file")


class StoreFileSystem(FileOperations):
    """One store as an fsspec filesystem that keeps the contract; `Store.to_fsspec()` makes it.

    Paths are the store's keys. A leading slash means nothing, and comes back with the names: `ls("/a")` is `["/a/b"]`.
    Errors are the store's own. Over a `Store` every method works in the caller's thread; over an `AsyncStore` the
    filesystem is asynchronous: its methods that begin with an underscore are awaited, on the loop of the store.

    Folders come and go with their files: `mkdir` makes none. A key that exists is meant literally even if it looks
    like a pattern; `rm` expands no patterns at all, and recursively empties the root. Where a key is a file and a
    folder (S3), what is recursive means the folder. Nothing is cached; fsspec's caches of files go by the key alone, so
    each store needs a `cache_storage` of its own.

    No configuration answers to the protocol `store`: a URL made of it and a path opens nothing by mistake.

    Args:
        store: a `Store` or an `AsyncStore`.
        asynchronous: whether a recipe of `to_dict` is for an `AsyncStore`.
        batch_size: most operations that run side by side in asynchronous bulk operations.

    Raises:
        ValueError: `asynchronous` over a `Store`.

    Example:
        >>> from remote_store import Store
        >>> fs = StoreFileSystem(Store.from_url("memory://doc-filesystem"))
        >>> fs.pipe_file("a/b.bin", b"123")
        >>> fs.cat_file("a/b.bin", start=-2)
        b'23'
    """

    protocol = ("store",)
    cachable = False  # Instances are but views of stores, which a cache would keep alive.

    def __init__(
        self,
        store: Store | AsyncStore | Mapping[str, Any],
        *,
        asynchronous: bool = False,
        batch_size: int | None = None,
    ) -> None:
        if isinstance(store, Mapping):
            store = _identity.rebuilt(store, asynchronous)
        if asynchronous and isinstance(store, Store):
            raise ValueError("asynchronous=True needs an AsyncStore")
        super().__init__(isinstance(store, AsyncStore), batch_size)
        self.async_impl = self.asynchronous
        self.store: Any = store

    @property
    def backend_name(self) -> str:
        """Kind of backend, such as `"s3"`."""
        return str(self.store.resolve("").backend)

    @classmethod
    def _normalized(cls, path: str) -> str:
        protocol, separator, _ = path.partition("://")
        if separator and protocol in STORES:
            raise escapes_root(path, cls.protocol[0])
        key = super()._normalized(path)
        return path[: len(path) - len(path.lstrip("/\\"))].replace("\\", "/") + key if key else ""

    def _at(self, path: Any) -> Place:
        path = self._strip_protocol(path)
        key = path.lstrip("/")
        return Place(self.store, key, path[: len(path) - len(key)])

    @takes("detail", "withdirs")
    async def _glob(self, path: Any, maxdepth: int | None = None, **options: Any) -> Any:
        slashes, key = (at := self._at(path)).prefix, at.key + "/" * str(path).endswith("/")
        found = await super()._glob(key, maxdepth, **options)
        if not isinstance(found, dict):
            return [slashes + name for name in found]
        return {slashes + name: {**info, "name": slashes + name} for name, info in found.items()}

    # --- identity

    @property
    def _fs_token(self) -> str:
        return _identity.token(self.store, self.asynchronous)

    def to_dict(self, *, include_password: bool = False) -> dict[str, Any]:
        """What `from_dict` makes an equal filesystem of; secrets are never in it.

        Raises:
            ValueError: the store has no such form: it takes a secret, or its files are in this process.
        """
        shown = {"cls": f"{__name__}:{type(self).__name__}", "protocol": self.protocol[0], "args": []}
        return {**shown, "store": _identity.recipe(self.store), "asynchronous": self.asynchronous}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"
