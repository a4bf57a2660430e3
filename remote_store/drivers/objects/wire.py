"""What a driver of object stores needs of a service: one request a method, and answers in one shape."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto
from io import BytesIO
from typing import Any, NamedTuple, Protocol

from remote_store._errors import BackendUnavailable, PreconditionFailed, RemoteStoreError
from remote_store._models import UNKNOWN_TIME, ContentDigest, FileInfo, file_info
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.marks import unmarked


class Meaning(Enum):
    """What an error of a service says about the request, beyond the class of the error."""

    MISSING = auto()  # There is no such object, in a container that is there.
    CONDITION_FAILED = auto()  # Another object is there than the condition names, or one where none should be.
    CONFLICT = auto()  # Another request for the same object is under way.
    UNABLE = auto()  # The service cannot judge the condition.
    BAD_RANGE = auto()  # The range begins at or after the end of the object.
    NO_UPLOAD = auto()  # There is no such upload: it was completed or discarded.
    OTHER = auto()


class Malformed(Exception):
    """A reply that lacks what it must have, or makes no sense; `Wire.errors` makes `BackendUnavailable` of it."""


def field(reply: Mapping[str, Any], name: str) -> Any:
    """A field that a reply must have."""
    value = reply.get(name)
    if value is None or value == "":
        raise Malformed(f"no {name}")
    return value


def replaced(doing: str, key: str, backend: str) -> PreconditionFailed:
    """The error for a file that is not the same any more."""
    return PreconditionFailed(f"The file was replaced while it was being {doing}", path=key, backend=backend)


def untold(key: str, backend: str, why: str) -> BackendUnavailable:
    """The error for a request whose reply was lost, where nothing tells whether it was carried out."""
    message = f"The reply was lost, and {why}: this may have been carried out; read the file before writing again"
    return BackendUnavailable(message, path=key, backend=backend)


class Object(NamedTuple):
    """What a service tells of an object.

    Args:
        name: in its container.
        size: [bytes]; None of a folder marker, or where only names were asked for.
        modified_at: time of the last change, in UTC.
        etag: names this content of the object in conditions; unquoted.
        content_type: media type.
        metadata: of the user, and the mark of a write under a condition.
        extra: more facts for a `FileInfo`.
        digest: checksum of the whole content, where the service vouches for it.
        reply: the service's own words, for its own driver.
    """

    name: str
    size: int | None = None
    modified_at: dt.datetime = UNKNOWN_TIME
    etag: str | None = None
    content_type: str | None = None
    metadata: dict[str, str] | None = None
    extra: Mapping[str, Any] | None = None
    digest: ContentDigest | None = None
    reply: Any = None

    def info(self, key: str) -> FileInfo:
        """The same as a `FileInfo` with this key."""
        told = self.modified_at, self.etag, self.content_type, unmarked(self.metadata), self.extra, self.digest
        return file_info(key, self.size or 0, *told)


class Checksum(Protocol):
    """Checks the content of a whole object while it is read."""

    def update(self, data: bytes, /) -> object:
        """Take the next bytes."""

    def matches(self) -> bool:
        """Whether all bytes are what the service says they should be."""


class Body(NamedTuple):
    """The reply to a GET.

    Args:
        stream: the content; `await read(size)` gives at most `size` bytes and `b""` at the end only, `close()` lets
            go of the connection. It may have `at_hand(size)`: the same without waiting, of what has come whole; or
            `is_ready()`: whether some has come, so that `read` waits for nothing.
        size: of the whole object [bytes].
        etag: as in `Object`.
        ranged: whether the content begins where the request said; else it is the whole object.
        checksum: for a whole object, where nobody else compares it.
    """

    stream: Any
    size: int
    etag: str
    ranged: bool = False
    checksum: Checksum | None = None


class Listed(NamedTuple):
    """A page of a listing.

    Args:
        folders: prefixes up to the next slash, of a listing of one level.
        objects: what else begins with the prefix asked for.
        token: asks for the next page; None at the end.
    """

    folders: Sequence[str]
    objects: Sequence[Object]
    token: str | None = None


class Failed(NamedTuple):
    """An object that could not be deleted with others, and the error for it."""

    name: str
    error: type[RemoteStoreError]
    message: str


class Sums(NamedTuple):
    """The etag and the checksum that content will have once it is stored, as far as they can be worked out before."""

    etag: str | None = None
    digest: ContentDigest | None = None

    def match(self, found: Object) -> bool:
        """Whether an object has one of these."""
        return (self.etag is not None and self.etag == found.etag) or (
            self.digest is not None and self.digest == found.digest
        )


class Wire(Protocol):
    """One service, reached through an fsspec filesystem.

    Requests are made on one event loop, each within the driver's deadline. They raise what the SDK raises, or
    `Malformed`; `errors` makes the contract's errors of that. Names are those of objects in the container; etags are
    unquoted. What only one service can do (a move in one request, a copy in parts) its driver adds.

    Attributes:
        fs: the fsspec filesystem.
        container: name of the bucket or container.
        longest_name: no object has a longer one [bytes of UTF-8].
        batch: how many objects `delete_many` takes at most.
        longest_url: the longest time that a signed URL may be good for [s].
        last_part_completes: whether `complete` takes the last part of an upload; else it is sent before.
        resumes: how often what breaks off while it is read is asked for again, from there on.
    """

    fs: Any
    container: str
    longest_name: int
    batch: int
    longest_url: int
    last_part_completes: bool
    resumes: int

    async def open(self) -> None:
        """Make the client; called before each request, so all but the first call must cost next to nothing."""

    async def close(self, owned: bool) -> None:
        """Let go of connections: those of the filesystem, too, where the driver owns it."""

    # --- errors

    def errors(self, key: str, ranged: bool = False) -> AbstractContextManager[None]:
        """Map what is raised by requests for `key`, or while a body is read: of a range of the object or the whole."""

    def meaning(self, error: RemoteStoreError) -> Meaning:
        """What an error says whose `__cause__` is the SDK's."""

    def lost_reply(self, error: RemoteStoreError) -> bool:
        """Whether an earlier try of the refused request may have succeeded, with its reply lost."""

    # --- worked out without a request

    def sums(self, data: bytes) -> Sums:
        """Those of content that is put in one request."""

    def sums_of_parts(self, parts: Sequence[Any]) -> Sums:
        """Those of content that is uploaded in parts, from the replies to the parts."""

    def kept(self, metadata: Mapping[str, str] | None) -> Mapping[str, str]:
        """User metadata as far as the service keeps it, to be compared with that of a stored object."""

    def in_batch(self, name: str) -> bool:
        """Whether `delete_many` can take this object."""

    # --- requests

    async def head(self, name: str) -> Object:
        """All that the service tells of an object."""

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        """Bytes [start, end) of an object, only of the content that has this etag where one is given."""

    async def page(
        self, prefix: str, token: str | None, *, one_level: bool, most: int | None, detailed: bool
    ) -> Listed:
        """Objects whose names begin with `prefix`, `most` at most; with sizes, times and etags where `detailed`."""

    async def put(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        """Write an object in one request, under the condition of `options`; gives etag, digest and version_id."""

    async def copy(self, src: str, dst: str, options: WriteOptions, etag: str | None, step: Any) -> Any:
        """Copy `src` to `dst`, only the content that has this etag where one is given.

        A service may need several steps, each with a deadline of its own: what a step gives goes into the next one as
        `step`, which is None first; None says that the copy is there.
        """

    async def delete(self, name: str, etag: str | None = None) -> None:
        """Delete an object, only the content that has this etag where one is given."""

    async def delete_many(self, names: Sequence[str]) -> Sequence[Failed]:
        """Delete objects in one request; gives those that could not be."""

    # --- signed URLs

    async def unable_to_sign(self) -> str | None:
        """Why the credentials at hand cannot sign a URL, None where they can."""

    async def sign(self, name: str, method: str, expires_in: int) -> str:
        """A URL by which whoever has it reads (`GET`) or writes (`PUT`) an object for that long [s]."""

    # --- uploads in parts

    async def create(self, name: str, options: WriteOptions) -> Any:
        """Begin an upload in parts; gives what the other requests need to name it."""

    async def part(self, upload: Any, number: int, start: int, data: BytesIO) -> Any:
        """Send a part, counted from 1, that begins at byte `start`; gives what `complete` needs."""

    async def complete(
        self, upload: Any, parts: Sequence[Any], data: BytesIO, options: WriteOptions
    ) -> Mapping[str, Any]:
        """Make one object of the parts, and of `data` if `last_part_completes`; as `put`."""

    async def discard(self, upload: Any) -> None:
        """Forget an upload and its parts."""
