"""A service of objects that is a dict: what all object stores share, tried without a server, faults included."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from fsspec.asyn import get_loop

from remote_store import BackendUnavailable, Capability, CapabilitySet, ContentDigest, RemoteStoreError, Store
from remote_store._errors import PreconditionFailed, container_missing, file_missing
from remote_store.aio import AsyncStore
from remote_store.aio._fsspec import AsyncDriverBackend
from remote_store.backends._fsspec import DriverBackend
from remote_store.certify.view import View
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.driver import ObjectDriver
from remote_store.drivers.objects.wire import Body, Failed, Listed, Malformed, Meaning, Object, Sums
from remote_store.drivers.profiles import Profile

Act = Callable[[], Any]
Hook = Callable[[str, str, Act], Awaitable[Any]]
"""Sees each request first: its verb, the name it is for, and what carries it out and gives the reply."""


_etags = itertools.count(1)


class DictError(Exception):
    """What the service refuses.

    Args:
        meaning: of the refusal.
        error: class of the contract's error, where the meaning has none of its own.
        lost: whether an earlier try may have succeeded.
    """

    def __init__(
        self, meaning: Meaning, error: type[RemoteStoreError] = RemoteStoreError, *, lost: bool = False
    ) -> None:
        super().__init__(meaning.name)
        self.meaning, self.error, self.lost = meaning, error, lost


class NoContainer(Exception):
    """There is no such container."""


@dataclass
class Blob:
    """A stored object; its etag, as of some services, cannot be foretold."""

    data: bytes
    metadata: dict[str, str] | None
    content_type: str | None = None
    etag: str = field(default_factory=lambda: f"e{next(_etags)}")
    modified_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @property
    def digest(self) -> ContentDigest:
        return ContentDigest("sha256", hashlib.sha256(self.data).hexdigest())

    @property
    def reply(self) -> Mapping[str, Any]:
        return {"etag": self.etag, "digest": self.digest}


@dataclass
class Content:
    """The body of a reply, a piece at a time."""

    data: bytes
    piece: int = 1 << 20
    closed: bool = False

    async def read(self, size: int) -> bytes:
        await asyncio.sleep(0)
        given = self.data[: min(size, self.piece)]
        self.data = self.data[len(given) :]
        return given

    def close(self) -> None:
        self.closed = True


class Sha256:
    """Checks content that is read."""

    def __init__(self, expected: str) -> None:
        self._sum, self._expected = hashlib.sha256(), expected

    def update(self, data: bytes) -> None:
        self._sum.update(data)

    def matches(self) -> bool:
        return self._sum.hexdigest() == self._expected


@dataclass
class LoopOnly:
    """What a backend asks of its filesystem: the loop that it runs on."""

    asynchronous: bool

    @property
    def loop(self) -> Any:
        return get_loop()


class DictWire:
    """A service with one container.

    Attributes:
        blobs: what is stored, by name.
        uploads: parts by number, by id of the upload.
        requests: verb and name of each request.
        hook: sees each request first.
        page_size: entries on a page.
    """

    container = "box"
    longest_name = 1024
    batch = 1000
    longest_url = 0

    def __init__(self, asynchronous: bool = True, *, last_part_completes: bool = False, resumes: int = 0) -> None:
        self.fs = LoopOnly(asynchronous)
        self.last_part_completes, self.resumes = last_part_completes, resumes
        self.blobs: dict[str, Blob] = {}
        self.uploads: dict[int, dict[int, bytes]] = {}
        self.requests: list[str] = []
        self.hook: Hook | None = None
        self.page_size = 1000
        self.exists = True
        self.closed: list[bool] = []
        self._serial = itertools.count(1)

    async def _serve(self, verb: str, name: str, act: Act) -> Any:
        self.requests.append(f"{verb} {name}")
        await asyncio.sleep(0)
        if not self.exists:
            raise NoContainer
        return act() if self.hook is None else await self.hook(verb, name, act)

    async def open(self) -> None: ...

    async def close(self, owned: bool) -> None:
        self.closed.append(owned)

    # --- errors

    @contextmanager
    def errors(self, key: str, ranged: bool = False) -> Iterator[None]:
        try:
            yield
        except DictError as error:
            raise self._error(error, key) from error
        except NoContainer as error:
            raise container_missing(self.container, key, "dict") from error
        except Malformed as error:
            raise BackendUnavailable(f"A reply of the dict is malformed: {error}", path=key, backend="dict") from error
        except TimeoutError as error:
            raise BackendUnavailable("The dict did not answer in time", path=key, backend="dict") from error

    def _error(self, error: DictError, key: str) -> RemoteStoreError:
        if error.meaning is Meaning.MISSING:
            return file_missing(key, "dict")
        kind = PreconditionFailed if error.meaning is Meaning.CONDITION_FAILED else error.error
        return kind(f"The dict refused: {error.meaning.name}", path=key, backend="dict")

    def meaning(self, error: RemoteStoreError) -> Meaning:
        return error.__cause__.meaning if isinstance(error.__cause__, DictError) else Meaning.OTHER

    def lost_reply(self, error: RemoteStoreError) -> bool:
        return isinstance(error.__cause__, DictError) and error.__cause__.lost

    # --- worked out without a request

    def sums(self, data: bytes) -> Sums:
        return Sums(digest=Blob(data, None).digest)

    def sums_of_parts(self, parts: Sequence[bytes]) -> Sums:
        return self.sums(b"".join(parts))

    def kept(self, metadata: Mapping[str, str] | None) -> Mapping[str, str]:
        return metadata or {}

    def in_batch(self, name: str) -> bool:
        return "\x01" not in name

    # --- requests

    def blob(self, name: str) -> Blob:
        """A stored object."""
        if name not in self.blobs:
            raise DictError(Meaning.MISSING)
        return self.blobs[name]

    def _check(self, name: str, etag: str | None) -> Blob:
        blob = self.blob(name)
        if etag is not None and etag != blob.etag:
            raise DictError(Meaning.CONDITION_FAILED)
        return blob

    def store(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        """Store an object under a condition."""
        if options.if_match is not None:
            self._check(name, options.if_match)
        elif not options.overwrite and name in self.blobs:
            raise DictError(Meaning.CONDITION_FAILED)
        self.blobs[name] = Blob(data, options.metadata, options.content_type)
        return self.blobs[name].reply

    async def head(self, name: str) -> Object:
        found: Object = await self._serve("head", name, lambda: self._object(name))
        return found

    def _object(self, name: str, metadata: bool = True) -> Object:
        blob = self.blob(name)
        told = blob.metadata if metadata else None
        return Object(name, len(blob.data), blob.modified_at, blob.etag, blob.content_type, told, None, blob.digest)

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        def act() -> Body:
            blob = self._check(name, etag)
            ranged = start > 0 or end is not None
            if ranged and start >= len(blob.data):
                raise DictError(Meaning.BAD_RANGE)
            checksum = Sha256(blob.digest.value) if self.resumes else None
            return Body(Content(blob.data[start:end]), len(blob.data), blob.etag, ranged, checksum)

        body: Body = await self._serve("get", name, act)
        return body

    async def page(
        self, prefix: str, token: str | None, *, one_level: bool, most: int | None, detailed: bool
    ) -> Listed:
        page: Listed = await self._serve("page", prefix, lambda: self._page(prefix, token, one_level, most, detailed))
        return page

    def _page(self, prefix: str, token: str | None, one_level: bool, most: int | None, detailed: bool) -> Listed:
        entries: dict[str, None] = {}
        for name in sorted(self.blobs):
            if name.startswith(prefix):
                head, slash, _ = name[len(prefix) :].partition("/")
                entries[prefix + head + slash if one_level and slash else name] = None
        left = [name for name in entries if token is None or name > token]
        shown = left[: min(most or self.page_size, self.page_size)]
        folders = [name for name in shown if one_level and name.endswith("/") and name != prefix]
        names = [name for name in shown if name not in folders]
        objects = [self._object(name, False) if detailed else Object(name) for name in names]
        return Listed(folders, objects, shown[-1] if len(shown) < len(left) else None)

    async def put(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        reply: Mapping[str, Any] = await self._serve("put", name, lambda: self.store(name, data, options))
        return reply

    async def copy(self, src: str, dst: str, options: WriteOptions, etag: str | None, step: Any) -> Any:
        def act() -> None:
            source = self._check(src, etag)
            self.store(dst, source.data, options._replace(metadata=source.metadata, content_type=source.content_type))

        return await self._serve("copy", dst, act)

    async def delete(self, name: str, etag: str | None = None) -> None:
        def act() -> None:
            self._check(name, etag)
            del self.blobs[name]

        await self._serve("delete", name, act)

    async def delete_many(self, names: Sequence[str]) -> list[Failed]:
        def act() -> list[Failed]:
            for name in names:
                self.blobs.pop(name, None)
            return []

        failed: list[Failed] = await self._serve("delete_many", " ".join(names), act)
        return failed

    async def unable_to_sign(self) -> str | None:
        return "a dict has none"

    async def sign(self, name: str, method: str, expires_in: int) -> str:
        raise NotImplementedError

    # --- uploads in parts

    async def create(self, name: str, options: WriteOptions) -> tuple[str, int]:
        def act() -> int:
            upload = next(self._serial)
            self.uploads[upload] = {}
            return upload

        return name, await self._serve("create", name, act)

    async def part(self, upload: tuple[str, int], number: int, start: int, data: BytesIO) -> bytes:
        def act() -> bytes:
            self.uploads[upload[1]][number] = data.read()
            return self.uploads[upload[1]][number]

        reply: bytes = await self._serve("part", upload[0], act)
        return reply

    async def complete(
        self, upload: tuple[str, int], parts: Sequence[bytes], data: BytesIO, options: WriteOptions
    ) -> Mapping[str, Any]:
        name, number = upload

        def act() -> Mapping[str, Any]:
            if number not in self.uploads:
                raise DictError(Meaning.NO_UPLOAD)
            reply = self.store(name, b"".join([*parts, data.read()]), options)
            del self.uploads[number]
            return reply

        reply: Mapping[str, Any] = await self._serve("complete", name, act)
        return reply

    async def discard(self, upload: tuple[str, int]) -> None:
        await self._serve("discard", upload[0], lambda: self.uploads.pop(upload[1], None))


class DictDriver(ObjectDriver):
    """Objects of a dict, which tells when there is nothing to delete."""

    profile = Profile(
        capabilities=CapabilitySet(set(Capability) - {Capability.ATOMIC_MOVE, Capability.SIGNED_URL}),
        flat=True,
        close_is_terminal=True,
    )
    capabilities = profile.capabilities


class DictBackend(DriverBackend):
    """A synchronous backend over a dict, run on the loop of fsspec."""

    def __init__(self, wire: DictWire, root: str = "", **options: Any) -> None:
        self._recipe = (wire, root), {"name": "dict", **options}
        self._driver  # noqa: B018

    def _make_driver(self) -> ObjectDriver:
        (wire, root), options = self._recipe
        return DictDriver(wire, root, **options)


class AsyncDictBackend(AsyncDriverBackend):
    """An asynchronous backend over a dict."""

    __init__ = DictBackend.__init__
    _make_driver = DictBackend._make_driver


@asynccontextmanager
async def dict_view(kind: str, wire: DictWire | None = None, root: str = "", **options: Any) -> AsyncIterator[View]:
    """A `sync` or `async` store over a dict."""
    wire = wire or DictWire(kind == "async")
    wire.fs.asynchronous = kind == "async"
    if kind == "sync":
        with Store(DictBackend(wire, root, **options)) as store:
            yield View(store, hierarchical=False, empty_folders=False)
    else:
        async with AsyncStore(AsyncDictBackend(wire, root, **options)) as async_store:
            yield View(async_store, hierarchical=False, empty_folders=False)
