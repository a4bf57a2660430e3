"""Questions and listings: in one pass over a prefix, never a request for each folder or file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from fsspec.asyn import AsyncFileSystem

from remote_store._errors import InvalidPath, NotFound
from remote_store._models import UNKNOWN_TIME, FileInfo, FolderEntry
from remote_store._paths import join
from remote_store._view import StoreView
from remote_store.interop._operations import FolderFound, blocking, builtin_errors, operation

Found = dict[str, dict[str, Any]]
"""Path → info."""

NEAR = frozenset({"local", "memory"})
"""Backends, by name, where no round trip is worth saving."""
DEEPEST = 4096
"""Levels below which no folder is looked for: no path of a POSIX system is longer."""


def described(entry: FileInfo | FolderEntry) -> dict[str, Any]:
    """What fsspec calls the info of an entry; what is not known is left out."""
    if isinstance(entry, FolderEntry):
        return folder(entry.path.as_posix())
    more = {
        "mtime": None if entry.modified_at == UNKNOWN_TIME else entry.modified_at,
        "etag": entry.etag,
        "ETag": entry.etag,  # As s3fs has it.
        "version_id": entry.extra.get("version_id"),
        "content_type": entry.content_type,
        "metadata": entry.metadata and dict(entry.metadata),
    }
    info = {"name": entry.path.as_posix(), "size": entry.size, "type": "file"}
    return info | {name: value for name, value in more.items() if value is not None}


def folder(key: str) -> dict[str, Any]:
    """The info of a folder."""
    return {"name": key, "size": 0, "type": "directory"}


def is_folder(info: dict[str, Any]) -> bool:
    """Whether an info is that of a folder."""
    return info.get("type") == "directory"


class ListingOperations(AsyncFileSystem):  # type: ignore[misc]
    """What a `StoreFileSystem` tells about its keys."""

    store: Any

    @property
    def _view(self) -> StoreView:
        return StoreView(self.store)

    @property
    def backend_name(self) -> str:
        """Kind of backend, such as `"s3"`."""
        return str(self.store.resolve("").backend)

    @operation
    async def _info(self, path: Any, refresh: bool = False) -> dict[str, Any]:
        key = self._strip_protocol(path)
        if key:
            try:
                with builtin_errors:
                    return described(await self._view.get_file_info(key))
            except InvalidPath as error:
                if not isinstance(error, FolderFound) and not await self._view.is_folder(key):
                    raise
        return folder(key)

    @operation
    async def _exists(self, path: Any, refresh: bool = False) -> bool:
        return bool(await self._view.exists(self._strip_protocol(path)))

    @operation
    async def _isfile(self, path: Any) -> bool:
        return bool(await self._view.is_file(self._strip_protocol(path)))

    @operation
    async def _isdir(self, path: Any) -> bool:
        return bool(await self._view.is_folder(self._strip_protocol(path)))

    @operation
    async def _modified(self, path: Any) -> Any:
        info = await self._info(path)
        if "mtime" not in info:
            raise NotImplementedError(f"nothing tells when {info['name']!r} was modified")
        return info["mtime"]

    @operation
    async def _ls(self, path: Any, detail: bool = True, refresh: bool = False) -> list[Any]:
        key = self._strip_protocol(path)
        found = [described(entry) async for entry in self._view.iter_children(key)]
        found = sorted(found, key=lambda info: str(info["name"])) or list((await self._alone(key)).values())
        return found if detail else [info["name"] for info in found]

    @operation
    async def _find(
        self,
        path: Any,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        prefix: str = "",
        refresh: bool = False,
    ) -> Any:
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        key = self._strip_protocol(path)
        if found := await (self._tree(key, maxdepth) if withdirs else self._files(key, maxdepth)):
            found |= {key: folder(key)} if withdirs and key else {}
        else:
            try:
                found = await self._alone(key, withdirs and key)
            except NotFound:
                found = {}
        names = sorted(name for name in found if name.startswith(join(key, prefix) if prefix else ""))
        return {name: found[name] for name in names} if detail else names

    async def _collect(self, entries: AsyncIterator[FileInfo | FolderEntry]) -> Found:
        found: Found = {}
        async for entry in entries:
            info = described(entry)
            if not is_folder(info) or info["name"] not in found:  # On S3 a file may be a folder, too.
                found[info["name"]] = info
        return found

    async def _alone(self, key: str, folders: bool = False) -> Found:
        """What is there where nothing is below: a file, or an empty folder."""
        info = await self._info(key)
        return {key: info} if folders or not is_folder(info) else {}

    async def _files(self, key: str, maxdepth: int | None) -> Found:
        depth = {"recursive": True} if maxdepth is None else {"max_depth": maxdepth - 1}
        return await self._collect(self._view.list_files(key, **depth))

    async def _tree(self, key: str, maxdepth: int | None) -> Found:
        """Files and folders. Where one listing has to do, folders below the first level are those of files."""
        if maxdepth == 1:
            return await self._collect(self._view.iter_children(key))
        if self.backend_name in NEAR:
            depth = DEEPEST if maxdepth is None else maxdepth - 1
            folders = await self._collect(self._view.list_folders(key, max_depth=depth))
            return folders | await self._files(key, maxdepth)
        found = await self._files(key, None)
        for name in list(found):
            while len(name := name.rpartition("/")[0]) > len(key) and name not in found:
                found[name] = folder(name)
        levels = key.count("/") + bool(key) + (maxdepth or DEEPEST)
        return {name: info for name, info in found.items() if name.count("/") < levels}

    @operation
    async def _du(
        self, path: Any, total: bool = True, maxdepth: int | None = None, withdirs: bool = False, **options: Any
    ) -> Any:
        found = await self._find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True, **options)
        sizes = {name: info["size"] for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    glob = blocking("_glob")

    def walk(self, path: Any, maxdepth: int | None = None, **options: Any) -> Iterator[Any]:
        """Folder by folder: path, folders, files. One listing each; what could not be listed raises."""
        walked: Iterator[Any] = super().walk(path, maxdepth, **_reporting(options))
        return walked

    def _walk(self, path: Any, maxdepth: int | None = None, **options: Any) -> AsyncIterator[Any]:
        walked: AsyncIterator[Any] = super()._walk(path, maxdepth, **_reporting(options))
        return walked


def _reporting(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a walk that by default omits what is missing, but not what fails."""

    def omit(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    return options if options.get("on_error", "omit") != "omit" else {**options, "on_error": omit}
