"""Any fsspec filesystem, trusted with nothing: literal single-key verbs, a look before each step.

The facts behind each choice: `exists`, `isfile` and `isdir` hide outages; `rm`, `copy` and `mv` expand globs;
`mode="create"` and `"xb"` are ignored by many; `open("wb")` publishes a half-written file when its block raises.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import IO, Any

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._content import PART, SPOOL_LIMIT, spooling
from remote_store._errors import (
    BackendUnavailable,
    CapabilityNotSupported,
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    RemoteStoreError,
    not_empty,
    unsupported,
)
from remote_store._models import UNKNOWN_TIME, FileInfo, FolderEntry, file_info, folder_entry
from remote_store._paths import join, redact, spellable
from remote_store.drivers.base import (
    ABSENT,
    PAGE_SIZE,
    Driver,
    Page,
    Sink,
    Want,
    WriteOptions,
    from_any_error,
    warn_unspellable,
)
from remote_store.drivers.profiles import GENERIC

READ_ONLY = frozenset({"http", "https", "github", "git", "reference", "tar", "libarchive", "data", "jlab", "gist"})
"""Protocols whose filesystems cannot write, or not without hazard."""
ARCHIVES = frozenset({"zip"})
"""Archives that are open either for reading, or for writing what is not in them yet."""
NO_FOLDERS = frozenset({"http", "https"})
"""Protocols that know files only; what a server's index page links to is no listing to rely on."""
_RECONNECT = frozenset({"ftp"})

_NEEDS = {
    **dict.fromkeys(("open", "cat_file"), Capability.READ),
    "rm_file": Capability.DELETE,
    "rmdir": Capability.DELETE,
    "cp_file": Capability.COPY,
    "ls": Capability.LIST,
    "info": Capability.METADATA,
}
"""The capability that a filesystem lacks when it leaves a method unimplemented; WRITE for the others."""

_TIME_KEYS = ("mtime", "modified", "last_modified", "LastModified", "Last-Modified", "updated", "modify")
_ETAG_KEYS = ("etag", "ETag")
_TYPE_KEYS = ("content_type", "ContentType", "contentType", "mimetype")


class GenericDriver(Driver):
    """Keys below `root` of any fsspec filesystem, synchronous or asynchronous.

    Args:
        fs: the filesystem.
        root: folder of it that is the root, as it spells it.
        name: of the backend.
        capabilities: what `certify` proved of this kind of filesystem; what any has, unless given.
    """

    profile = GENERIC

    def __init__(self, fs: Any, root: str, name: str, capabilities: CapabilitySet | None = None) -> None:
        super().__init__(name, root)
        self._fs = fs
        self._async = is_async(fs)
        self.runs = "native" if self._async else "thread"
        self.capabilities = _capabilities(fs) if capabilities is None else capabilities
        self._turn = _turn_of(fs)

    @property
    def fs(self) -> Any:
        return self._fs

    def native(self, key: str) -> str:
        return join(self.root, key) if self.root != "/" else "/" + key

    def key(self, native: str) -> str | None:
        path = self._fs._strip_protocol(native)
        if path.strip("/") == self.root.strip("/"):
            return ""
        prefix = self.root.rstrip("/") + "/" if self.root else ""
        return path[len(prefix) :].strip("/") if path.startswith(prefix) else None

    def details(self) -> dict[str, Any]:
        return {"root": redact(self.root)}

    async def call(self, verb: str, key: str, *args: Any, writing: bool = False, **options: Any) -> Any:
        """Call a method of the filesystem, one at a time for synchronous ones, with its errors mapped."""
        try:
            if self._async:
                # fsspec's one coroutine without an underscore.
                method = getattr(self._fs, "open_async" if verb == "open" else "_" + verb, None)
                if method is None:
                    raise NotImplementedError(verb)
                return await method(*args, **options)
            with self._turn:
                return getattr(self._fs, verb)(*args, **options)
        except RemoteStoreError:
            raise
        except NotImplementedError as error:
            raise unsupported(_NEEDS.get(verb, Capability.WRITE).value, key, self.name) from error
        except Exception as error:
            verdict = from_any_error(error, key, self.name, writing=writing)
            if isinstance(verdict, BackendUnavailable):
                self._reconnect()
            raise verdict from error

    def _reconnect(self) -> None:
        """Make a lost connection anew for the next call, where the filesystem itself never would."""
        if _RECONNECT & _protocols(self._fs):
            with suppress(Exception), self._turn:
                self._fs.ftp.close()
                self._fs._connect()

    async def _fresh(self, verb: str, key: str) -> Any:
        """Ask about `key` with no remembered listing in between."""
        try:
            with self._turn:
                for layer in _layers(self._fs):
                    layer.invalidate_cache()
        except Exception as error:
            raise from_any_error(error, key, self.name) from error
        return await self.call(verb, key, self.native(key), **({"detail": True} if verb == "ls" else {}))

    # --- questions

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        try:
            return self._entry(key, await self._fresh("info", key))
        except NotFound:
            return None
        except InvalidPath as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in ABSENT:
                return None
            raise

    def _entry(self, key: str, info: Mapping[str, Any]) -> FileInfo | FolderEntry:
        if info.get("type") == "directory":
            return folder_entry(key)
        etag, version = _first(info, _ETAG_KEYS), info.get("VersionId") or info.get("version_id")
        return file_info(
            key,
            int(info.get("size") or 0),
            _time(_first(info, _TIME_KEYS)),
            etag.strip('"') if isinstance(etag, str) else None,
            _first(info, _TYPE_KEYS),
            extra={"version_id": version} if version else None,
        )

    # --- reading

    async def read_bytes(self, key: str) -> bytes:
        return bytes(await self.call("cat_file", key, self.native(key)))

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        data = bytes(await self.call("cat_file", key, self.native(key), start=start, end=end))
        # Some filesystems ignore the range and send the whole file (sshfs).
        return data if len(data) <= end - start else data[start:end]

    async def open_read(self, key: str) -> _GenericReader:
        try:
            file = await self.call("open", key, self.native(key), "rb")
        except RemoteStoreError as error:
            if not self._async or not isinstance(error.__cause__, NotImplementedError):
                raise
            file = _Whole(await self.read_bytes(key))
        return _GenericReader(self, key, file)

    # --- writing

    async def open_write(self, key: str, options: WriteOptions) -> _GenericSink:
        return _GenericSink(self, key)

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        await self.store(key, "pipe_file", self.native(key), data)
        return {}

    async def store(self, key: str, verb: str, *args: Any) -> None:
        """Write through `verb`, making the folder above only where its absence was the trouble."""
        there = True
        try:
            await self.call(verb, key, *args, writing=True)
        except RemoteStoreError:
            # Filesystems tell a missing folder in many ways (FTP: 550), so ask instead of guessing.
            parent = key.rpartition("/")[0]
            with suppress(RemoteStoreError):  # The first error stands when the question fails.
                there = await self.info(parent) is not None
            if there:
                raise
            try:
                await self.call("makedirs", key, self.native(parent), exist_ok=True, writing=True)
            except RemoteStoreError:
                if await self.info(parent) is None:  # Else somebody else was faster.
                    raise
            await self.call(verb, key, *args, writing=True)

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        try:
            await self.store(dst, "cp_file", self.native(src), self.native(dst))
        except RemoteStoreError as error:
            if not isinstance(error.__cause__, NotImplementedError):
                raise
            sink, reader = _GenericSink(self, dst), await self.open_read(src)
            try:
                while data := await reader.read(PART):
                    await sink.write(data)
                await sink.commit()
            finally:
                await sink.abort()
                await reader.close()

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        before = await self.info(src)
        await self.copy(src, dst, overwrite)
        after = await self.info(dst)
        if not isinstance(before, FileInfo) or not isinstance(after, FileInfo) or before.size != after.size:
            raise RemoteStoreError("The copy differs from its source, which stays", path=dst, backend=self.name)
        await self.remove(src)

    # --- deleting

    async def remove(self, key: str) -> None:
        await self.call("rm_file", key, self.native(key), writing=True)

    async def remove_folder(self, key: str, recursive: bool) -> None:
        if not recursive and await self._children(key):
            raise not_empty(key, self.name)
        waiting, folders = [key], []
        while waiting:
            folder = waiting.pop()
            folders.append(folder)
            for native, info in await self._children(folder):
                below = join(folder, native.rpartition("/")[2])
                if info.get("type") == "directory":
                    waiting.append(below)
                else:
                    await self.call("rm_file", below, native, writing=True)
        for folder in reversed(folders):
            try:
                await self.call("rmdir", folder, self.native(folder), writing=True)
            except (NotFound, DirectoryNotEmpty, CapabilityNotSupported):
                if await self._children(folder):
                    raise not_empty(folder, self.name) from None

    # --- listing

    async def _children(self, key: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Native name and description of what is in a folder; nothing when it is not there."""
        try:
            entries = await self._fresh("ls", key)
        except NotFound:
            return []
        own = self.native(key).strip("/")
        named = [(str(entry["name"]).rstrip("/"), entry) for entry in entries]
        return [(name, entry) for name, entry in named if name.strip("/") != own]

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, starts: str = ""
    ) -> AsyncGenerator[Page, None]:
        page: Page = []
        warned = False
        stack = [(key, 0)]
        while stack:
            folder, depth = stack.pop()
            for native, info in await self._children(folder):
                name = native.rpartition("/")[2]
                if not spellable(name):
                    if not warned:
                        warned = True
                        warn_unspellable(name, self.name)
                    continue
                entry = self._entry(join(folder, name), info)
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

    async def check(self) -> None:
        await self._fresh("ls", "")

    async def close(self) -> None:
        """Close the filesystem, if it was made for this driver and knows how."""
        if not self.owned:
            return
        if session := getattr(self._fs, "_session", None):
            await session.close()
        elif "archive" in {base.__module__.rpartition(".")[2] for base in type(self._fs).__mro__}:
            self._fs.close()


class _Whole:
    """The content of a file from a filesystem that cannot stream."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    async def read(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    async def close(self) -> None:
        self._data = b""


class _GenericReader:
    """An open fsspec file, read one turn at a time."""

    def __init__(self, driver: GenericDriver, key: str, file: Any) -> None:
        self._driver, self._key, self._file = driver, key, file
        self._async = driver.runs == "native"

    async def _call(self, verb: str, *args: Any) -> Any:
        try:
            if self._async:
                return await getattr(self._file, verb)(*args)
            with self._driver._turn:
                return getattr(self._file, verb)(*args)
        except Exception as error:
            raise from_any_error(error, self._key, self._driver.name) from error

    async def read(self, size: int) -> bytes:
        return bytes(await self._call("read", size))

    async def seek(self, offset: int, whence: int) -> int:
        return int(await self._call("seek", offset, whence))

    async def close(self) -> None:
        await self._call("close")


class _GenericSink(Sink):
    """Content of unknown length, complete on this side before the filesystem sees any of it."""

    def __init__(self, driver: GenericDriver, key: str) -> None:
        self._driver, self._key = driver, key
        self._head = bytearray()
        self._file: IO[bytes] | None = None

    async def write(self, data: bytes) -> None:
        if self._file is None and len(self._head) + len(data) <= SPOOL_LIMIT:
            self._head += data
            return
        with spooling(self._key, self._driver.name):
            if self._file is None:
                fd, self._path = tempfile.mkstemp(prefix="remote-store-")
                self._file = os.fdopen(fd, "wb")
                self._file.write(self._head)
                self._head.clear()
            self._file.write(data)

    async def commit(self) -> Mapping[str, Any]:
        driver = self._driver
        try:
            if self._file is None:
                await driver.store(self._key, "pipe_file", driver.native(self._key), bytes(self._head))
            else:
                with spooling(self._key, driver.name):
                    self._file.close()
                await driver.store(self._key, "put_file", self._path, driver.native(self._key))
        finally:
            await self.abort()
        return {}

    async def abort(self) -> None:
        if self._file is not None:
            self._file.close()
            os.unlink(self._path)
            self._file = None


_making_turns = threading.Lock()


def _turn_of(fs: Any) -> threading.RLock:
    """One connection, one call at a time: the lock that all backends over one filesystem share."""
    with _making_turns:
        turn: threading.RLock | None = getattr(fs, "_remote_store_turn", None)
        if turn is None:
            fs._remote_store_turn = turn = threading.RLock()
        return turn


def _layers(fs: Any) -> list[Any]:
    """A filesystem and those it wraps, outermost first."""
    layers = [fs]
    while (inner := _own(layers[-1], "sync_fs") or _own(layers[-1], "fs")) is not None:
        layers.append(inner)
    return layers


def _own(fs: Any, name: str) -> Any:
    # Caching filesystems answer for the ones they wrap.
    inner = object.__getattribute__(fs, "__dict__").get(name)
    return inner if isinstance(inner, AbstractFileSystem) else None


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def is_async(fs: Any) -> bool:
    """Whether the methods of a filesystem are coroutines; DirFileSystem says so of itself whatever it wraps."""
    while type(fs).__name__ == "DirFileSystem":
        fs = fs.fs
    return bool(fs.async_impl)


def _first(info: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((info[key] for key in keys if info.get(key) is not None), None)


def _time(value: Any) -> dt.datetime:
    """A modification time in any of the shapes filesystems give it; unknown rather than invented."""
    try:
        if isinstance(value, (int, float)):
            return dt.datetime.fromtimestamp(value, dt.UTC)
        if isinstance(value, str):
            if value.isdecimal() and len(value) == 14:  # FTP's MLSD: YYYYMMDDHHMMSS, in UTC (RFC 3659).
                return dt.datetime.strptime(value, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
            value = parsedate_to_datetime(value) if "," in value else dt.datetime.fromisoformat(value)
        if isinstance(value, dt.datetime):
            return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return UNKNOWN_TIME


def _implements(fs: Any, *names: str) -> bool:
    """Whether a filesystem brings its own version of a method that fsspec leaves unimplemented."""
    unimplemented = [getattr(cls, name, None) for cls in (AbstractFileSystem, AsyncFileSystem) for name in names]
    methods = [getattr(fs, name, None) for name in names]
    return any(method is not None and getattr(method, "__func__", method) not in unimplemented for method in methods)


def _capabilities(fs: Any) -> CapabilitySet:
    """The profile's, less what the filesystem, or one that it wraps, certainly lacks."""
    caps = set(GENERIC.capabilities)
    for layer in _layers(fs):
        protocols = _protocols(layer)
        mode = getattr(layer, "mode", "") if protocols & ARCHIVES else ""
        if protocols & READ_ONLY or mode == "r":
            caps -= {Capability.WRITE, Capability.COPY, Capability.DELETE, Capability.MOVE}
        elif mode:
            caps -= {Capability.READ, Capability.COPY, Capability.DELETE, Capability.MOVE}
        if protocols & NO_FOLDERS:
            caps -= {Capability.LIST, Capability.GLOB}
    if not _implements(fs, "rm_file", "_rm_file", "_rm"):
        caps -= {Capability.DELETE, Capability.MOVE}
    return CapabilitySet(caps)
