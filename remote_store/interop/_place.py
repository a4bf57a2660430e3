"""Where a path of a filesystem leads: to a key of a store."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import aclosing, closing, suppress
from typing import TYPE_CHECKING, Any

from remote_store._capabilities import Capability
from remote_store._either import EitherStore
from remote_store._errors import (
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    found_file,
    found_file_above,
    found_folder,
    rename_paths,
    source_changed,
)
from remote_store._methods import carried
from remote_store.drivers.kind import Kind
from remote_store.drivers.kinds import by_name
from remote_store.interop import _identity
from remote_store.io.streams import ScopedStream

if TYPE_CHECKING:
    from remote_store._models import FileInfo


class FolderFound(InvalidPath, IsADirectoryError):
    """A folder stands where a file is meant."""

    _errno = errno.EISDIR


class FileFound(InvalidPath, NotADirectoryError):
    """A file stands where a folder is meant."""

    _errno = errno.ENOTDIR


class StoreFound(InvalidPath, FileExistsError):
    """A store is there already, and no filesystem makes one."""

    _errno = errno.EEXIST


_BUILTINS: dict[str, type[InvalidPath]] = {
    found_folder("", "").message: FolderFound,
    found_file("", "").message: FileFound,
    found_file_above("", "").message: FileFound,
}


def folder_found(path: str, backend: str) -> FolderFound:
    """The error for a path that is known to be a folder."""
    return FolderFound(found_folder("", "").message, path=path, backend=backend)


class Errors:
    """Gives the errors of a store the paths of a filesystem, each error once.

    An `InvalidPath` about the wrong type becomes the builtin, too, that fsspec's callers catch (FSMap, zarr).

    Args:
        prefix: what the filesystem puts before keys.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: Any) -> None:
        if not isinstance(error, RemoteStoreError) or "_placed" in error.__dict__:
            return
        if self._prefix:
            rename_paths(error, lambda path: (self._prefix + ("" if path == "." else path)).rstrip("/"))
        error._placed = True  # type: ignore[attr-defined]
        if type(error) is InvalidPath and error.message in _BUILTINS:
            also = _BUILTINS[error.message](error.message, path=error.path, backend=error.backend)
            also._placed = True  # type: ignore[attr-defined]
            raise also.with_traceback(traceback) from error.__cause__


def _facts(info: FileInfo) -> object:
    return info.size, info.modified_at, info.etag


class Place:
    """A key of a store, and what can be done with it.

    Args:
        store: a `Store`, or an `AsyncStore` of the running event loop.
        key: in the store; `""` is its root.
        prefix: what the filesystem puts before keys of this store.
    """

    def __init__(self, store: Any, key: str, prefix: str = "") -> None:
        self.store, self.key, self.prefix = store, key, prefix
        self.view = EitherStore(store)
        self.errors = Errors(prefix if prefix.strip("/") else "")

    def name(self, key: str) -> str:
        """What the filesystem calls a key of this store."""
        return self.prefix + key if key else self.prefix.rstrip("/")

    @property
    def path(self) -> str:
        """What the filesystem calls this key."""
        return self.name(self.key)

    @property
    def backend_name(self) -> str:
        """Kind of backend, such as `"s3"`."""
        return str(self.store.resolve("").backend)

    @property
    def kind(self) -> Kind:
        """What is known of the kind of storage."""
        return by_name(self.backend_name)

    async def call(self, verb: str, *args: Any, **options: Any) -> Any:
        """Call a method of the store on the key."""
        with self.errors:
            return await getattr(self.view, verb)(self.key, *args, **options)

    async def each(self, verb: str, **options: Any) -> AsyncIterator[Any]:
        """What a method of the store gives of the key, one after the other: entries, or pieces of the content."""
        with self.errors:
            async with aclosing(getattr(self.view, verb)(self.key, **options)) as entries:
                async for entry in entries:
                    yield entry

    async def is_empty(self) -> bool:
        """Whether nothing is below."""
        async with aclosing(self.each("iter_children")) as entries:  # type: ignore[type-var]
            return await anext(entries, None) is None

    async def put(self, content: Any, **options: Any) -> Any:
        """Write content, whole or not at all where the store can."""
        verb = "write_atomic" if self.view.supports(Capability.ATOMIC_WRITE) else "write"
        return await self.call(verb, content, **options)

    async def transfer(self, verb: str, target: Place) -> None:
        """Copy or move to another place: by the store's own means, or streaming from one store to another."""
        if _identity.same_store(self.store, target.store):
            await self.call(verb, target.key, overwrite=True)
        elif _identity.location(self.store, self.key) == _identity.location(target.store, target.key):
            await self.call(verb, self.key, overwrite=True)  # Two names of one file: the store only checks it.
        else:
            before = await self.call("get_file_info") if self.view.supports(Capability.METADATA) else None
            if verb == "move" and before:
                await self._check_apart(before, target)
            await self._stream(before, target)
            if verb == "move":
                await self._delete(before, target)

    async def _check_apart(self, source: FileInfo, target: Place) -> None:
        """Refuse a target that may be the source itself, of a service whose address is spelled in two ways."""
        there = None
        with suppress(NotFound, InvalidPath, PermissionDenied):
            there = await target.call("get_file_info")
        if there and _facts(there) == _facts(source):
            message = f"The source, which is kept, may be the same file as {target.path!r}; delete one of them instead"
            raise PreconditionFailed(message, path=self.path, backend=self.backend_name, target=target.path)

    async def _stream(self, info: FileInfo | None, target: Place) -> None:
        options = {"overwrite": True, **carried(info, target.view.supports)}
        if self.view.is_async:
            async with aclosing(self.each("read")) as chunks:  # type: ignore[type-var]
                await target.put(chunks, **options)
        else:
            with self.errors:
                opened = self.store.read(self.key)
            with closing(ScopedStream(opened, self.errors)) as stream:
                await target.put(stream, **options)

    async def _delete(self, before: FileInfo | None, target: Place) -> None:
        if before and _facts(before) != _facts(await self.call("get_file_info")):
            raise source_changed(self.path, target.path, self.backend_name)
        await self.call("delete")
