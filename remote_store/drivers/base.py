"""The verbs an engine needs of a filesystem, and the profile that describes them."""

from __future__ import annotations

import io
import warnings
from collections.abc import AsyncGenerator, Mapping
from typing import Any, BinaryIO, Literal, NamedTuple, Self

from remote_store._capabilities import Capability, CapabilitySet
from remote_store._errors import RemoteStoreError, unsupported
from remote_store._models import FileInfo, FolderEntry
from remote_store._paths import below, join
from remote_store.drivers.profiles import Profile
from remote_store.io.content import PART
from remote_store.io.files import Errors
from remote_store.io.ranges import RangeReader, skip
from remote_store.io.streams import BytesReader, Reader

FILE: Literal["file"] = "file"
FOLDER: Literal["folder"] = "folder"
EntryKind = Literal["file", "folder"]
Want = Literal["files", "folders", "both"]
Page = list[FileInfo | FolderEntry]
PAGE_SIZE = 256
"""Entries that a driver over a local or unpaged filesystem yields at a time."""


class WriteOptions(NamedTuple):
    """How a file is to be written; `if_match` implies replacing."""

    overwrite: bool = False
    metadata: dict[str, str] | None = None
    if_match: str | None = None
    content_type: str | None = None

    @property
    def replaces(self) -> bool:
        return self.overwrite or self.if_match is not None


class Sink:
    """A file being written by a driver, invisible until committed; `commit` returns the fields of the service's reply.

    `async with` aborts it when the block raises.
    """

    def in_place(self) -> tuple[BinaryIO, Errors] | None:
        """The file underneath, without a buffer, and what maps its errors, where it can be written at any place.

        Whoever asks writes there instead, and does not close it.
        """
        return None

    async def write(self, data: bytes) -> None:
        raise NotImplementedError

    async def commit(self) -> Mapping[str, Any]:
        raise NotImplementedError

    async def abort(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, *exc_info: object) -> None:
        if kind is not None:
            await self.abort()


class Driver:
    """One filesystem kind.

    Verbs take normalized keys below `root` and name one file or folder each. They raise only `RemoteStoreError`,
    except for what the caller's content raises.
    """

    profile: Profile
    capabilities: CapabilitySet
    """What this instance can do: the profile's, less what the place at hand lacks."""
    reject_write_under_file_ancestor: bool = False
    """Whether a flat namespace looks for files above before it writes."""
    owned: bool = False
    """Whether the filesystem was made for this driver, which then closes it."""
    checks_ascii: bool = False
    """Whether `check_key` looks at keys that are all ASCII, too."""
    private: bool = False
    """Whether its files live in its filesystem, of which no copy has them."""
    survives_fork: bool = False
    """Whether a forked child may go on with this very instance."""
    begins_here: bool = False
    """Whether operations of a synchronous store begin in the caller's thread, and go to the loop where they ask to."""
    opens_at_once: bool = False
    """Whether nothing is asked of the filesystem, and so waited for, until content is written."""
    part_size: int = PART
    """How much content one request sends, where a file goes in parts [bytes]."""
    runs: Literal["inline", "thread", "native"] = "thread"
    """How verbs run: `inline` ones never wait, `thread` ones block, `native` ones are coroutines of an event loop."""

    def __init__(self, name: str, root: str) -> None:
        self.name = name
        self.root = root

    @property
    def stride(self) -> int:
        """How much content one hop to the filesystem's loop takes [bytes]: half a part, so that none is held twice."""
        return max(self.part_size // 2, PART)

    # --- naming, without I/O

    @property
    def fs(self) -> Any:
        """The fsspec filesystem."""
        raise NotImplementedError

    def native(self, key: str) -> str:
        """What the filesystem calls `key`."""
        return join(self.root, key)

    def key(self, native: str) -> str | None:
        """The key of a native path, None when it lies outside."""
        return below(self.root, native)

    def check_key(self, key: str) -> None:
        """Raise `InvalidPath` for a key that the filesystem could take for another; not asked about one that is all
        ASCII unless the driver `checks_ascii`."""

    def decides(self, miss: RemoteStoreError) -> bool:
        """Whether a miss can only come from such a service; any web server may say that something is missing."""
        return True

    def check_open(self, key: str) -> None:
        """Raise `BackendUnavailable` once the driver is closed for good."""

    def details(self) -> dict[str, Any]:
        """Facts for a `ResolutionPlan`; no secrets."""
        return {"root": self.root}

    # --- verbs

    async def kind(self, key: str) -> EntryKind | None:
        """`FILE`, `FOLDER`, or None where nothing is."""
        entry = await self.info(key)
        return None if entry is None else FILE if isinstance(entry, FileInfo) else FOLDER

    async def info(self, key: str) -> FileInfo | FolderEntry | None:
        raise NotImplementedError

    def file_now(self, key: str) -> FileInfo | None:
        """What `info` tells of a file, where that takes no waiting and little time; None where it takes `info`."""
        return None

    async def read_bytes(self, key: str) -> bytes:
        raise NotImplementedError

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        raise NotImplementedError

    async def read_matching(self, key: str, start: int, end: int, etag: str) -> bytes:
        """`read_range` of the file that has this etag (CONDITIONAL_WRITE); `start` may be `end`.

        Raises:
            PreconditionFailed: it has another, or is not there.
        """
        raise NotImplementedError

    async def open_read(self, key: str) -> Reader:
        raise NotImplementedError

    async def open_part(self, key: str, start: int, end: int | None, etag: str | None = None) -> Reader:
        """A reader of bytes `[start, end)`, one at least, or of none where the file ends before.

        Args:
            key: of the file.
            start: the first byte.
            end: the byte after the last; that after the file's where None.
            etag: that the file must have (CONDITIONAL_WRITE); one that has another, or is gone, is PreconditionFailed.
        """
        if etag is not None:
            raise NotImplementedError
        reader = await self.open_read(key)
        try:
            if Capability.SEEKABLE_READ in self.capabilities:
                await reader.seek(start, io.SEEK_SET)
            else:
                await skip(reader, start)
        except (OverflowError, io.UnsupportedOperation):  # No file of the system can be so long.
            await reader.close()
            return BytesReader(b"")
        except BaseException:
            await reader.close()
            raise
        return RangeReader(reader, start, end)

    async def open_seekable(self, key: str) -> Reader:
        """A reader that seeks well; the one of `open_read` where that one does."""
        return await self.open_read(key)

    async def open_write(self, key: str, options: WriteOptions) -> Sink:
        raise NotImplementedError

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        """Write `data` whole; through `open_write` unless the filesystem has a shorter way."""
        async with await self.open_write(key, options) as sink:
            await sink.write(data)
            return await sink.commit()

    async def sign(self, key: str, expires_in: int, method: str) -> str:
        """A URL that lets whoever has it read or write one file for that long [s] (SIGNED_URL).

        Raises:
            CapabilityNotSupported: the credentials at hand cannot sign.
            ValueError: another method than `GET` or `PUT`, or longer than the service allows (`check_signing`).
        """
        raise unsupported(Capability.SIGNED_URL.value, key, self.name)

    async def has_children(self, key: str) -> bool:
        """Whether a flat namespace has keys below `key`."""
        raise NotImplementedError

    def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        """What is below a folder, page by page: depth 0 is direct children, None all; nothing if it is no folder.

        In a flat namespace no page at all means that no key was found. Only names in the folder that begin with
        `name_prefix` are of interest; a driver may skip the others.
        """
        raise NotImplementedError

    async def remove(self, key: str) -> None:
        raise NotImplementedError

    async def remove_folder(self, key: str, recursive: bool) -> None:
        raise NotImplementedError

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        raise NotImplementedError

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        raise NotImplementedError

    async def check(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of connections."""


def warn_unspellable(name: str, backend: str) -> None:
    """Tell once per listing that it skips what no path can spell."""
    warnings.warn(
        f"{backend}: a listing skips names that no RemotePath can spell, such as {name!r}", UserWarning, stacklevel=2
    )
