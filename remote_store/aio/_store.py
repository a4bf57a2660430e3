"""The asynchronous store: validate, gate, re-root, delegate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from remote_store._backend import Backend
from remote_store._errors import NotFound
from remote_store._methods import check_keywords
from remote_store._models import FileInfo, FolderEntry, FolderInfo, FolderTotals, SignedMethod, WriteResult, as_head
from remote_store._paths import RemotePath, check_range, file_key, key_of
from remote_store._store_base import StoreBase, caller_errors
from remote_store.aio._backend import AsyncBackend, AsyncWritableContent
from remote_store.bridges.threads import SyncBackendAdapter
from remote_store.io.content import check_async_content, encode
from remote_store.io.files import AsyncAtomicWriter
from remote_store.io.streams import AsyncItems, AsyncReadStream

if TYPE_CHECKING:
    from remote_store.interop import StoreFileSystem

Path = str | RemotePath


class AsyncStore(StoreBase[AsyncBackend]):
    """`Store` for asynchronous programs: the same methods, arguments, results and errors, awaited.

    `read` and the listings check their arguments when they are called and give async iterators. A store belongs to
    one event loop, where any number of coroutines may share it.

    Args:
        backend: an `AsyncBackend`, or a `Backend`, which then works in threads.
        root_path: folder of the backend that is the root.

    Raises:
        InvalidPath: `root_path` is malformed.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     async with AsyncStore.from_url("memory://doc-async") as store:
        ...         await store.write("a.bin", b"123", overwrite=True)
        ...         return b"".join([chunk async for chunk in store.read("a.bin")])
        >>> asyncio.run(main())
        b'123'
    """

    def __init__(self, backend: AsyncBackend | Backend, root_path: Path = "") -> None:
        if isinstance(backend, Backend):
            backend = SyncBackendAdapter(backend)
        self._set_up(backend, root_path, closes_backend=True)

    @classmethod
    def from_url(cls, url: str, **storage_options: Any) -> Self:
        """A store at any URL fsspec knows; arguments and errors as in `Store.from_url`."""
        from remote_store._urls import async_backend_from_url

        return cls(async_backend_from_url(url, storage_options))

    # --- questions

    async def exists(self, path: Path) -> bool:
        """Whether a file or folder is there; the root always is."""
        key = self._key(path)
        if key == self._root:
            return True
        with self._errors:
            return await self._backend.exists(key)

    async def is_file(self, path: Path) -> bool:
        """Whether a file is there."""
        key = self._key(path)
        if key == self._root:
            return False
        with self._errors:
            return await self._backend.is_file(key)

    async def is_folder(self, path: Path) -> bool:
        """Whether a folder is there; the root always is."""
        key = self._key(path)
        if key == self._root:
            return True
        with self._errors:
            return await self._backend.is_folder(key)

    async def get_file_info(self, path: Path) -> FileInfo:
        """Describe a file; raises as `Store.get_file_info` does."""
        key = self._key_for("get_file_info", path)
        with self._errors:
            info: FileInfo = self._reroot(await self._backend.get_file_info(key))
        return info

    async def head(self, path: Path) -> WriteResult:
        """A file's size, etag and times as a `WriteResult`, with source `"sidecar"`."""
        self._require("head", path)
        return as_head(await self.get_file_info(path))

    async def get_folder_info(self, path: Path, *, max_depth: int | None = None) -> FolderInfo:
        """Totals over the files below a folder; arguments and errors as in `Store.get_folder_info`."""
        key = self._key_for("get_folder_info", path)
        if max_depth is not None:
            return await self._shallow_info(path, key, max_depth)
        try:
            with self._errors:
                info: FolderInfo = self._reroot(await self._backend.get_folder_info(key))
        except NotFound as error:
            return self._empty_root(key, error)
        return info

    async def _shallow_info(self, path: Path, key: str, max_depth: int) -> FolderInfo:
        totals = FolderTotals()
        async for file in self.list_files(path, max_depth=max_depth):
            totals.add(file)
        if not totals.count and key:
            with self._errors:
                if not await self.is_folder(path):
                    raise self._not_a_folder(key, await self._backend.is_file(key))
        return totals.info(key_of(path))

    async def ping(self) -> None:
        """Ask the service, and the container this store needs, whether they can be used."""
        with self._errors:
            await self._backend.check_health()

    # --- reading

    def read(
        self, path: Path, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncItems[bytes]:
        """The content, chunk by chunk; arguments and errors as in `Store.read`."""
        key, options = self._part(path, start, end, if_match)
        with self._errors:
            return AsyncItems(self._backend.read(key, **options), self._errors)

    async def read_seekable(self, path: Path) -> AsyncReadStream:
        """A seekable async stream on every backend: native, or spooled to a temporary file."""
        key = self._key_for("read_seekable", path)
        with self._errors:
            stream = await self._backend.read_seekable(key)
        stream.scope = self._errors
        return stream

    async def read_bytes(self, path: Path) -> bytes:
        """The whole content."""
        key = self._key_for("read_bytes", path)
        with self._errors:
            return await self._backend.read_bytes(key)

    async def read_text(self, path: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The whole content, decoded."""
        self._require("read_text", path)
        return (await self.read_bytes(path)).decode(encoding, errors)

    async def read_range(self, path: Path, start: int, end: int, *, if_match: str | None = None) -> bytes:
        """Bytes `[start, end)`, fewer where the file ends."""
        check_range(start, end)
        key, options = self._target("read_range", path, if_match=if_match)
        with self._errors:
            return await self._backend.read_range(key, start, end, **options)

    async def sign(self, path: Path, *, expires_in: int = 3600, method: SignedMethod = "GET") -> str:
        """A URL that lets whoever has it read or write one file; arguments and errors as in `Store.sign`."""
        key = self._key(path, file_key)
        self._require("sign", path)
        with self._errors:
            return await self._backend.sign(key, expires_in=expires_in, method=method)

    # --- writing

    async def write(
        self,
        path: Path,
        content: AsyncWritableContent | Iterable[bytes],
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> WriteResult:
        """Create a file from bytes or an (async) iterator of them; other arguments and errors as in `Store.write`."""
        return await self._put(
            "write", path, content, overwrite, metadata=metadata, if_match=if_match, content_type=content_type
        )

    async def write_text(
        self,
        path: Path,
        text: str,
        *,
        encoding: str = "utf-8",
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> WriteResult:
        """`write` of an encoded text."""
        self._target("write_text", path, metadata=metadata, if_match=if_match, content_type=content_type)
        content = encode(text, encoding)
        return await self.write(
            path, content, overwrite=overwrite, metadata=metadata, if_match=if_match, content_type=content_type
        )

    async def write_atomic(
        self,
        path: Path,
        content: AsyncWritableContent | Iterable[bytes],
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> WriteResult:
        """`write` where a reader sees the old content or the new, and a failed writer leaves the old."""
        return await self._put(
            "write_atomic", path, content, overwrite, metadata=metadata, if_match=if_match, content_type=content_type
        )

    async def _put(
        self,
        method: str,
        path: Path,
        content: AsyncWritableContent | Iterable[bytes],
        overwrite: bool,
        **keywords: Any,
    ) -> WriteResult:
        backend = self._backend
        given = check_keywords(method, backend.capabilities, backend.name, path, keywords)
        key, content = self._key(path, file_key), self._content(content)
        with self._errors:
            written = await getattr(backend, method)(key, content, overwrite=overwrite, **given)
        result: WriteResult = self._reroot(written)
        return result

    def open_atomic(
        self,
        path: Path,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        content_type: str | None = None,
        seekable: bool = False,
    ) -> AbstractAsyncContextManager[AsyncAtomicWriter]:
        """A writer (`await file.write(data)`) for an `async with` block: published when it ends, discarded when it
        raises. The writer's `result` is the `WriteResult` after the block.

        With `seekable=True` the writer also seeks, reads and truncates (`await file.seek(0)`), in threads.
        """
        key, options = self._target(
            "open_atomic", path, metadata=metadata, if_match=if_match, content_type=content_type
        )
        if seekable:
            options["seekable"] = True
        return self._open_atomic(key, overwrite, options)

    @asynccontextmanager
    async def _open_atomic(
        self, key: str, overwrite: bool, options: dict[str, Any]
    ) -> AsyncIterator[AsyncAtomicWriter]:
        with self._errors:
            async with self._backend.open_atomic(key, overwrite=overwrite, **options) as file:
                file.scope = self._errors
                with caller_errors:
                    yield file
        file.result = self._reroot(file.result)

    @staticmethod
    def _content(content: AsyncWritableContent | Iterable[bytes]) -> AsyncWritableContent:
        """Content, checked; its own errors must keep their paths."""
        checked = check_async_content(content)
        return checked if isinstance(checked, bytes) else AsyncItems(checked, caller_errors)

    async def update(
        self,
        path: Path,
        function: Callable[[bytes | None], AsyncWritableContent | Iterable[bytes] | Awaitable[Any]],
        *,
        attempts: int = 10,
    ) -> WriteResult:
        """Change a file by what it holds, so that no change of others is lost.

        `function` may be a coroutine function; else as `Store.update`.
        """
        from remote_store._updating import update

        self._check_update(path)
        return await update(self, path, function, attempts)

    # --- deleting

    async def delete(self, path: Path, *, missing_ok: bool = False) -> None:
        """Remove a file; raises as `Store.delete` does."""
        key = self._key_for("delete", path)
        with self._errors:
            await self._backend.delete(key, missing_ok=missing_ok)

    async def delete_folder(self, path: Path, *, recursive: bool = False, missing_ok: bool = False) -> None:
        """Remove a folder; raises as `Store.delete_folder` does."""
        key = self._key_for("delete_folder", path)
        with self._errors:
            await self._backend.delete_folder(key, recursive=recursive, missing_ok=missing_ok)

    # --- listing

    def list_files(
        self, path: Path = "", *, recursive: bool = False, pattern: str | None = None, max_depth: int | None = None
    ) -> AsyncItems[FileInfo]:
        """Files of a folder, lazily; arguments and errors as in `Store.list_files`."""
        return self._each(self._listing("list_files", path, max_depth, recursive=recursive), pattern)

    def list_folders(
        self, path: Path = "", *, pattern: str | None = None, max_depth: int | None = None
    ) -> AsyncItems[FolderEntry]:
        """Folders of a folder, lazily; arguments and errors as in `Store.list_files`."""
        return self._each(self._listing("list_folders", path, max_depth), pattern)

    def iter_children(self, path: Path = "") -> AsyncItems[FileInfo | FolderEntry]:
        """Files and folders of a folder in one pass."""
        return self._each(self._listing("iter_children", path), None)

    def glob(self, pattern: str) -> AsyncItems[FileInfo]:
        """Files whose path matches; patterns and errors as in `Store.glob`."""
        rooted = self._pattern(pattern)
        return self._each(lambda: self._backend.glob(rooted), None)

    def _each(self, start: Callable[[], AsyncIterator[Any]], pattern: str | None) -> AsyncItems[Any]:
        matches = self._named(pattern)
        with self._errors:
            return AsyncItems(start(), self._errors, self._reroot, lambda item: matches(item.name))

    # --- moving

    async def move(self, src: Path, dst: Path, *, overwrite: bool = False) -> None:
        """Rename a file; raises as `Store.move` does."""
        await self._transfer("move", src, dst, overwrite)

    async def copy(self, src: Path, dst: Path, *, overwrite: bool = False) -> None:
        """Duplicate a file; raises as `Store.copy` does."""
        await self._transfer("copy", src, dst, overwrite)

    async def _transfer(self, verb: str, src: Path, dst: Path, overwrite: bool) -> None:
        source, target = self._key_for(verb, src), self._key_for(verb, dst)
        with self._errors:
            if source != target:
                await getattr(self._backend, verb)(source, target, overwrite=overwrite)
            elif not await self._backend.is_file(source):
                raise self._not_a_file(source, await self._backend.is_folder(source))

    def to_fsspec(self) -> StoreFileSystem:
        """This store as an asynchronous fsspec filesystem, for zarr and others: see `remote_store.interop`."""
        from remote_store.interop import StoreFileSystem

        return StoreFileSystem(self)

    # --- life

    async def aclose(self) -> None:
        """Let go of connections; a child's does nothing."""
        if self._closes_backend:
            await self._backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
