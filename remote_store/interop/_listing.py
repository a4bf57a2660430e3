"""Questions and listings: in one pass over a prefix, never a request for each folder or file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from fsspec.asyn import AsyncFileSystem

from remote_store._errors import InvalidPath, NotFound
from remote_store._models import UNKNOWN_TIME, FileInfo, FolderEntry
from remote_store._paths import join
from remote_store.interop._operations import blocking, limited, operation, takes
from remote_store.interop._place import FolderFound, Place, folder_found

Found = dict[str, dict[str, Any]]
"""Path → info."""

DEEPEST = 4096
"""Levels below which no folder is looked for: no path of a POSIX system is longer."""


def described(entry: FileInfo | FolderEntry, place: Place) -> dict[str, Any]:
    """What fsspec calls the info of an entry of a place's store; what is not known is left out."""
    name = place.name(entry.path.as_posix())
    if isinstance(entry, FolderEntry):
        return folder(name)
    more = {
        "mtime": None if entry.modified_at == UNKNOWN_TIME else entry.modified_at,
        "etag": entry.etag,
        "ETag": entry.etag,  # As s3fs has it.
        "version_id": entry.extra.get("version_id"),
        "content_type": entry.content_type,
        "ContentType": entry.content_type,
        "metadata": entry.metadata and dict(entry.metadata),
    }
    info = {"name": name, "size": entry.size, "type": "file"}
    return info | {fact: value for fact, value in more.items() if value is not None}


def folder(path: str) -> dict[str, Any]:
    """The info of a folder."""
    return {"name": path, "size": 0, "type": "directory"}


def is_folder(info: dict[str, Any]) -> bool:
    """Whether an info is that of a folder."""
    return info.get("type") == "directory"


class ListingOperations(AsyncFileSystem):  # type: ignore[misc]
    """What a filesystem over stores tells about its paths."""

    @property
    def backend_name(self) -> str:
        """Kind of backend, such as `"s3"`."""
        raise NotImplementedError

    def _at(self, path: Any) -> Place:
        """Where a path leads."""
        raise NotImplementedError

    @operation
    async def _info(self, path: Any) -> dict[str, Any]:
        at = self._at(path)
        if at.key:
            try:
                return described(await at.call("get_file_info"), at)
            except InvalidPath as error:
                if not isinstance(error, FolderFound) and not await at.call("is_folder"):
                    raise
        return folder(at.path)

    async def _ask(self, question: str, path: Any) -> bool:
        try:
            at = self._at(path)
        except NotFound:
            return False
        return bool(await at.call(question))

    @operation
    async def _exists(self, path: Any) -> bool:
        return await self._ask("exists", path)

    @operation
    async def _isfile(self, path: Any) -> bool:
        return await self._ask("is_file", path)

    @operation
    async def _isdir(self, path: Any) -> bool:
        return await self._ask("is_folder", path)

    @operation
    async def _modified(self, path: Any) -> Any:
        info = await self._info(path)
        if is_folder(info):
            raise folder_found(info["name"], self.backend_name)
        if "mtime" not in info:
            raise NotImplementedError(f"nothing tells when {info['name']!r} was modified")
        return info["mtime"]

    @operation
    async def _ls(self, path: Any, detail: bool = True) -> list[Any]:
        at = self._at(path)
        found = [described(entry, at) async for entry in at.each("iter_children")]
        found = sorted(found, key=lambda info: str(info["name"])) or list((await self._alone(at)).values())
        return found if detail else [info["name"] for info in found]

    @operation
    async def _find(
        self, path: Any, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, prefix: str = ""
    ) -> Any:
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        found: Found = {}
        try:
            at = self._at(path)
            if found := await (self._tree(at, maxdepth) if withdirs else self._files(at, maxdepth)):
                found |= {at.path: folder(at.path)} if withdirs and at.path else {}
            else:
                found = await self._alone(at, withdirs and bool(at.path))
        except NotFound:
            found = {}
        start = at.name(join(at.key, prefix)) if prefix else ""
        names = sorted(name for name in found if name.startswith(start))
        return {name: found[name] for name in names} if detail else names

    async def _collect(self, at: Place, verb: str, **options: Any) -> Found:
        found: Found = {}
        async for entry in at.each(verb, **options):
            info = described(entry, at)
            if not is_folder(info) or info["name"] not in found:  # On S3 a file may be a folder, too.
                found[info["name"]] = info
        return found

    async def _alone(self, at: Place, folders: bool = False) -> Found:
        """The entry itself, where nothing is below it: a file, or an empty folder."""
        info = await self._info(at.path)
        return {at.path: info} if folders or not is_folder(info) else {}

    async def _files(self, at: Place, maxdepth: int | None) -> Found:
        depth = {"recursive": True} if maxdepth is None else {"max_depth": maxdepth - 1}
        return await self._collect(at, "list_files", **depth)

    async def _tree(self, at: Place, maxdepth: int | None) -> Found:
        """Files and folders. Of a far store in one listing; below the first level it has only folders with files."""
        if maxdepth == 1:
            return await self._collect(at, "iter_children")
        if at.kind.near:
            depth = DEEPEST if maxdepth is None else maxdepth - 1
            return await self._collect(at, "list_folders", max_depth=depth) | await self._files(at, maxdepth)
        found = await self._files(at, None)
        for name in list(found):
            while len(name := name.rpartition("/")[0]) > len(at.path) and name not in found:
                found[name] = folder(name)
        levels = at.path.count("/") + bool(at.path) + (maxdepth or DEEPEST)
        return {name: info for name, info in found.items() if name.count("/") < levels}

    @operation
    async def _du(self, path: Any, total: bool = True, maxdepth: int | None = None, withdirs: bool = False) -> Any:
        found = await self._find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: info["size"] for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    _glob, glob = limited("_glob", "detail", "withdirs"), blocking("_glob")

    @takes("topdown", "on_error", "detail")
    def walk(self, path: Any, maxdepth: int | None = None, **options: Any) -> Iterator[Any]:
        """Folder by folder: path, folders, files. One listing each; what could not be listed raises."""
        walked: Iterator[Any] = super().walk(path, maxdepth, **_reporting(options))
        return walked

    @takes("topdown", "on_error", "detail")
    def _walk(self, path: Any, maxdepth: int | None = None, **options: Any) -> AsyncIterator[Any]:
        walked: AsyncIterator[Any] = super()._walk(path, maxdepth, **_reporting(options))
        return walked


def _reporting(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a walk: by default it omits what is missing and raises what fails."""

    def omit(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    return options if options.get("on_error", "omit") != "omit" else {**options, "on_error": omit}
