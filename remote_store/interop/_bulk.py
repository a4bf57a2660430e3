"""fsspec's operations on many keys at once, without those parts that break the contract.

The loops are fsspec's own: one key after another in a synchronous filesystem, concurrently in an asynchronous one.
This module decides what they loop over. A key that exists is meant literally, whatever characters it has; only where
none exists is it expanded as a pattern, and never in order to delete.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import wraps
from glob import has_magic
from inspect import signature
from typing import Any

from fsspec.implementations.local import LocalFileSystem, make_path_posix, trailing_sep
from fsspec.utils import other_paths, stringify_path

from remote_store import _errors as errors
from remote_store._either import prune_empty
from remote_store._errors import InvalidPath, RemoteStoreError
from remote_store._paths import RemotePath
from remote_store.interop._listing import Found, ListingOperations, folder, is_folder
from remote_store.interop._operations import WITH, accepted, limited, operation, run_inline, takes
from remote_store.interop._place import FileFound, folder_found
from remote_store.interop._ranges import GAP, IN_FLIGHT, Ranges, Request, first_raised

Paths = Any
"""A path, or any iterable of them."""
Plan = tuple[list[str], list[str]]
"""Files, and where they go."""


def as_text(paths: Paths) -> Any:
    """A path as text, others as a list."""
    path = str(paths) if isinstance(paths, RemotePath) else stringify_path(paths)
    return path if isinstance(path, str) else [stringify_path(one) for one in path]


def local_paths(paths: Paths) -> Any:
    """A path of this machine from its root, others as a list."""
    path = as_text(paths)
    return make_path_posix(path) if isinstance(path, str) else path


def one_to_one(files: list[str], targets: list[str], spelled: Callable[[str], str] = str) -> Plan:
    """Files, and where they go; `spelled` gives the one spelling of a target.

    Raises:
        ValueError: there are more of one than of the other, or one would replace another.
    """
    if len(files) != len(targets):
        raise ValueError(f"{len(files)} files cannot go to {len(targets)} targets")
    ends = [spelled(target) for target in targets]
    if len(set(ends)) < len(ends):
        twice = next(end for end in ends if ends.count(end) > 1)
        raise ValueError(f"several files would go to {twice!r}")
    return files, targets


def without_ancestors(files: list[str], targets: list[str]) -> Plan:
    """A plan for this machine, where a file cannot be a folder too: keeps the folder."""
    folders = {os.path.dirname(target) for target in targets}
    for path in list(folders):
        while (path := os.path.dirname(path)) not in folders:
            folders.add(path)
    pairs = [(file, target) for file, target in zip(files, targets, strict=True) if target not in folders]
    return [file for file, _ in pairs], [target for _, target in pairs]


def targets_of(source: Paths, found: Found, target: str, inside: bool, shallow: bool, literal: bool) -> dict[str, str]:
    """The target of each path found, by the rules of fsspec's documentation ("Copying files and directories").

    Args:
        source: as the caller gave it.
        found: what that stands for.
        target: as the caller gave it.
        inside: whether `target` is a folder that is there, or is spelled like one.
        shallow: whether folders are left out.
        literal: whether `source` is one path rather than a pattern or a list.
    """
    is_list = isinstance(source, list)
    paths = [path for path, info in found.items() if is_list or not (shallow and is_folder(info))]
    if not paths:
        return {}
    keeps_name = inside and not trailing_sep(source) if literal else len(paths) == 1 and not is_list
    rooted = ["/" + path.lstrip("/") for path in paths]  # It takes a name without a slash for a folder.
    return dict(zip(paths, other_paths(rooted, target, exists=keeps_name, flatten=is_list), strict=True))


def _planned(name: str, plan: Callable[..., Any], *more: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """fsspec's bulk operation `name` and its coroutine, over the files that `plan` finds from the same arguments.

    `more` are options that both take besides.
    """
    ours = signature(plan).parameters.keys()
    known = ours | {"batch_size", *more}

    def split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        options = accepted(name, options, known)
        return {key: options.pop(key) for key in ours & options.keys()}, options

    @wraps(plan)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        own, others = split(options)
        files, targets = run_inline(self, plan(self, *args, **own))
        return getattr(super(BulkOperations, self), name)(files, targets, **others)

    @wraps(plan)
    async def coroutine(self: Any, *args: Any, **options: Any) -> Any:
        own, others = split(options)
        files, targets = await plan(self, *args, **own)
        return await getattr(super(BulkOperations, self), f"_{name}")(files, targets, **others)

    method.__name__, coroutine.__name__ = name, f"_{name}"
    return method, coroutine


class BulkOperations(ListingOperations):
    """What a `StoreFileSystem` does with many keys."""

    # --- what is meant

    async def _expand(self, path: Paths, recursive: bool, maxdepth: int | None, literal: bool = False) -> Found:
        """What paths stand for. Plain paths are not looked up unless `recursive`: their info is empty."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        found: Found = {}
        for key in self._keys(path):
            if literal or not has_magic(key) or await self._exists(key):
                found |= await self._all_of(key, maxdepth) if recursive else {key: {}}
                continue
            found |= (matches := await self._glob(key, maxdepth=maxdepth, detail=True))
            if recursive and maxdepth != 1:
                for name in [name for name, info in matches.items() if is_folder(info)]:
                    found |= await self._all_of(name, maxdepth and maxdepth - 1)
        if not found:
            raise errors.file_missing(str(path), self.backend_name)
        return dict(sorted(found.items()))

    def _keys(self, paths: Paths) -> list[str]:
        keys = self._strip_protocol(as_text(paths))
        return keys if isinstance(keys, list) else [keys]

    async def _all_of(self, key: str, maxdepth: int | None) -> Found:
        found: Found = await self._find(key, maxdepth=maxdepth, withdirs=True, detail=True)
        return found if key else {"": folder("")} | found

    @operation
    async def _expand_path(
        self, path: Paths, recursive: bool = False, maxdepth: int | None = None, assume_literal: bool = False
    ) -> list[str]:
        return list(await self._expand(path, recursive, maxdepth, assume_literal))

    async def _plan(
        self, source: Any, target: Any, recursive: bool, maxdepth: int | None, exists: Callable[[str], Any]
    ) -> tuple[Plan, dict[str, str]]:
        """Which files go where, and which folders."""
        if isinstance(source, list) and isinstance(target, list):
            return one_to_one(source, target, self._spelled), {}
        found = await self._expand(source, recursive, maxdepth)
        key = None if isinstance(source, list) else self._strip_protocol(source)
        if key in found and not found[key]:
            found[key] = await self._info(key)
        inside = trailing_sep(target) or await exists(target)
        shallow = not recursive or maxdepth is not None
        pairs = targets_of(source, found, target, inside, shallow, key in found)
        folders = {path: pairs.pop(path) for path in list(pairs) if is_folder(found[path])}
        return one_to_one(list(pairs), list(pairs.values())), folders

    async def _copies(
        self, path1: Paths, path2: Paths, recursive: bool = False, *, maxdepth: int | None = None
    ) -> Plan:
        """Copy files: within a store on the server's side where that can, from one store to another by streaming."""
        return (await self._plan(as_text(path1), as_text(path2), recursive, maxdepth, self._isdir))[0]

    async def _downloads(
        self, rpath: Paths, lpath: Paths, recursive: bool = False, *, maxdepth: int | None = None
    ) -> Plan:
        """Copy files to this machine."""

        async def exists(target: str) -> bool:
            return os.path.isdir(target)

        sources, targets = as_text(rpath), local_paths(lpath)
        if isinstance(sources, list) and isinstance(targets, list):
            plan, folders = one_to_one(sources, targets), dict[str, str]()
        else:  # None of the names leads out of the target: keys have no ".." and are never absolute.
            plan, folders = await self._plan(sources, targets, recursive, maxdepth, exists)
        for path in folders.values():
            os.makedirs(path, exist_ok=True)
        return without_ancestors(*plan) if recursive else plan

    async def _uploads(
        self, lpath: Paths, rpath: Paths, recursive: bool = False, *, maxdepth: int | None = None
    ) -> Plan:
        """Copy files from this machine."""
        source, target = local_paths(lpath), as_text(rpath)
        if isinstance(source, list) and isinstance(target, list):
            return one_to_one(source, target, self._spelled)
        disk, found = LocalFileSystem(), dict[str, dict[str, Any]]()
        for path in source if isinstance(source, list) else [source]:
            if not os.path.lexists(path):
                names = disk.expand_path([path], recursive=recursive, maxdepth=maxdepth)
            else:
                names = disk.find(path, maxdepth=maxdepth, withdirs=True) if recursive else [path]
            found |= {name: {"type": "directory" if os.path.isdir(name) else "file"} for name in names}
        inside = trailing_sep(target) or await self._isdir(target)
        literal = not isinstance(source, list) and os.path.lexists(source)
        pairs = targets_of(source, found, target, inside, not recursive or maxdepth is not None, literal)
        files = [path for path in pairs if not is_folder(found[path])]
        return one_to_one(files, [pairs[path] for path in files])

    # --- what is done

    copy, _copy = _planned("copy", _copies, "on_error")
    get, _get = _planned("get", _downloads, "callback")
    put, _put = _planned("put", _uploads, "callback", "mode", *WITH)

    pipe, _pipe = limited("pipe", "mode", *WITH), limited("_pipe", "mode", *WITH)

    @takes("batch_size")
    def cat_ranges(
        self, paths: Any, starts: Any, ends: Any, max_gap: int | None = None, on_error: str = "return", **options: Any
    ) -> list[bytes | Exception]:
        """The content of ranges of files, in their order; an error in the place of what cannot be read.

        Ranges of one file that are neighbours are one request, and some requests are in flight at once.

        Args:
            paths: of the files, a list.
            starts: of each range, or of all [bytes].
            ends: likewise, the end not included.
            max_gap: ranges with no more between them are one request; 64 KiB unless given [bytes].
            on_error: `"raise"` raises the first error.
            options: `batch_size`, how many requests are in flight; 16 unless given.
        """
        ranges = Ranges.of(paths, starts, ends)
        requests = ranges.requests(GAP if max_gap is None else max_gap)

        def answer(request: Request) -> tuple[Request, bytes | Exception]:
            try:
                return request, self.cat_file(request.path, request.start, request.end)
            except Exception as error:
                return request, error

        if len(requests) < 2 or self._near(requests[0].path):
            found = ranges.shared_out(map(answer, requests))
        else:
            with ThreadPoolExecutor(min(len(requests), self._at_once(options))) as threads:
                found = ranges.shared_out(threads.map(answer, requests))
        return first_raised(found) if on_error == "raise" else found

    @takes("batch_size")
    async def _cat_ranges(
        self, paths: Any, starts: Any, ends: Any, max_gap: int | None = None, on_error: str = "return", **options: Any
    ) -> list[bytes | Exception]:
        ranges = Ranges.of(paths, starts, ends)
        room = asyncio.Semaphore(self._at_once(options))

        async def answer(request: Request) -> tuple[Request, bytes | Exception]:
            async with room:
                try:
                    return request, await self._cat_file(request.path, request.start, request.end)
                except Exception as error:
                    return request, error

        requests = ranges.requests(GAP if max_gap is None else max_gap)
        found = ranges.shared_out(await asyncio.gather(*map(answer, requests)))
        return first_raised(found) if on_error == "raise" else found

    def _near(self, path: Any) -> bool:
        """Whether nothing is gained by requests at once."""
        with suppress(RemoteStoreError):
            return bool(self._at(path).kind.near)
        return False

    def _at_once(self, options: Mapping[str, Any]) -> int:
        given = options.get("batch_size") or self.batch_size or IN_FLIGHT
        return given if given > 0 else IN_FLIGHT  # -1 means no limit elsewhere.

    @takes("start", "end")
    def cat(self, path: Paths, recursive: bool = False, on_error: str = "raise", **options: Any) -> Any:
        """The content of a file, or a dict of the contents of files."""
        return super().cat(run_inline(self, self._contents(path, recursive)), on_error=on_error, **options)

    @takes("start", "end", "batch_size")
    async def _cat(self, path: Paths, recursive: bool = False, on_error: str = "raise", **options: Any) -> Any:
        return await super()._cat(await self._contents(path, recursive), on_error=on_error, **options)

    async def _contents(self, path: Paths, recursive: bool) -> Paths:
        """The files among what `path` stands for; `path` where that is just what it says."""
        path = as_text(path)
        files = [name for name, info in (await self._expand(path, recursive, None)).items() if not is_folder(info)]
        return path if isinstance(path, str) and files == [self._strip_protocol(path)] else files

    @operation
    async def _mv(self, path1: Paths, path2: Paths, recursive: bool = False, maxdepth: int | None = None) -> None:
        sources = as_text(path1)
        if recursive and isinstance(sources, str) and self._same(sources, path2):
            await self._info(sources)
            return
        (files, targets), folders = await self._plan(sources, as_text(path2), recursive, maxdepth, self._isdir)
        if not files and not folders and sources != []:
            raise folder_found(str(sources), self.backend_name)
        for source, target in zip(files, targets, strict=True):
            await self._mv_file(source, target)
        for path in folders:
            if path and self._parent(path) not in folders:
                at = self._at(path)
                with at.errors:
                    await prune_empty(at.view, at.key)

    def _same(self, path: str, other: Any) -> bool:
        return not isinstance(as_text(other), list) and self._spelled(path) == self._spelled(other)

    def _spelled(self, path: Any) -> str:
        """The one spelling of a path."""
        spelled: str = self._strip_protocol(path).strip("/")
        return spelled

    @operation
    async def _rm(self, path: Paths, recursive: bool = False, maxdepth: int | None = None) -> None:
        for key in self._keys(path):
            if not recursive:
                await self._rm_file(key)
            elif maxdepth is None:
                await self._rm_all_of(key)
            else:
                for file in await self._find(key, maxdepth=maxdepth):
                    await self._rm_file(file)

    async def _rm_all_of(self, path: str) -> None:
        at = self._at(path)
        if not at.key:  # The root itself stays.
            for entry in await self._ls(path):
                verb = self._rm_all_of if is_folder(entry) else self._rm_file
                await verb(entry["name"])
            return
        try:
            await at.call("delete_folder", recursive=True)
        except InvalidPath as error:
            if not isinstance(error, FileFound) and not await at.call("is_file"):
                raise
            await at.call("delete")
