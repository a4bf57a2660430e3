"""A driver for flat object stores: one request where one will do, conditions judged by the service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, ParamSpec, TypeVar

from remote_store._capabilities import Capability
from remote_store._errors import (
    AlreadyExists,
    BackendUnavailable,
    InvalidPath,
    NotFound,
    PreconditionFailed,
    RemoteStoreError,
    etag_differs,
    found_folder,
    is_container_missing,
    source_changed,
    target_exists,
    unsupported,
)
from remote_store._models import FileInfo, check_signing
from remote_store._paths import join
from remote_store.drivers.base import FILE, EntryKind, Page, Want, WriteOptions
from remote_store.drivers.objects.calls import CallingDriver
from remote_store.drivers.objects.deleting import delete, delete_folder
from remote_store.drivers.objects.keys import KeyListing, Tokens
from remote_store.drivers.objects.marks import check_metadata, mark_of, marked, replace_the_same
from remote_store.drivers.objects.reading import ObjectReader
from remote_store.drivers.objects.seeking import Seeker
from remote_store.drivers.objects.wire import Listed, Malformed, Meaning, Object, Sums, Wire, replaced, untold
from remote_store.drivers.objects.writing import ObjectSink
from remote_store.io.ranges import RangeReader

P = ParamSpec("P")
T = TypeVar("T")
MIB = 1 << 20


class ObjectDriver(CallingDriver):
    """Objects below the prefix `root` of a container.

    Args:
        wire: speaks to the service.
        root: prefix that is the root, without slashes around it.
        name: of the backend.
        timeout: deadline of one SDK call with its retries, and of each chunk of a stream [s].
        part_size: content up to here is one put; longer streams go in parts of it [bytes].
        max_concurrency: parts in flight.
        reject_write_under_file_ancestor: look for objects above before a write.
    """

    runs = "native"
    reader = ObjectReader

    def __init__(
        self,
        wire: Wire,
        root: str = "",
        *,
        name: str,
        timeout: float = 60,
        part_size: int = 8 * MIB,
        max_concurrency: int = 4,
        reject_write_under_file_ancestor: bool = False,
    ) -> None:
        super().__init__(wire, root, name, timeout)
        self.part_size, self.max_concurrency = part_size, max_concurrency
        self.reject_write_under_file_ancestor = reject_write_under_file_ancestor
        self.opens_at_once = self.opens_at_once and not reject_write_under_file_ancestor

    # --- naming

    @property
    def fs(self) -> Any:
        return self.wire.fs

    def native(self, key: str) -> str:
        return join(self.wire.container, join(self.root, key))

    def key(self, native: str) -> str | None:
        path = native.partition("://")[2] if "://" in native else native
        own = join(self.wire.container, self.root)
        if path.rstrip("/") == own:
            return ""
        return path[len(own) + 1 :] if path.startswith(own + "/") else None

    def object(self, key: str) -> str:
        """The name of the object of a store key."""
        return join(self.root, key)

    def check_key(self, key: str) -> None:
        try:
            key.encode()
        except UnicodeEncodeError as error:
            message = "A path with half a character is not valid on this storage"
            raise InvalidPath(message, path=key, backend=self.name) from error

    # --- calls

    async def conditional(self, key: str, options: WriteOptions, request: Callable[..., Awaitable[T]], *args: Any) -> T:
        """A request under the condition of `options`, whose refusal gets the class that fits it."""
        if options.if_match is None and options.replaces:
            return await self.call(key, request, *args)  # There is none.
        with self.judged(key, options):
            return await self.call(key, request, *args)

    @contextmanager
    def judged(self, key: str, options: WriteOptions) -> Iterator[None]:
        """Give the refusal of a request under the condition of `options` the class that fits it."""
        try:
            yield
        except InvalidPath:
            raise  # Of what is at the place more is known.
        except RemoteStoreError as error:
            meaning = self.wire.meaning(error)
            refused = meaning in (Meaning.CONDITION_FAILED, Meaning.CONFLICT)
            if options.if_match is not None and (refused or meaning is Meaning.MISSING):
                raise etag_differs(key, self.name) from error.__cause__
            if not options.replaces and refused:
                raise target_exists(key, self.name) from error.__cause__
            raise

    # --- questions

    async def kind(self, key: str) -> EntryKind | None:
        return None if await self.info(key) is None else FILE

    async def info(self, key: str) -> FileInfo | None:
        if len(self.object(key).encode()) > self.wire.longest_name:
            return None  # Services answer a HEAD of such a name in ways that tell nothing.
        try:
            return (await self.call(key, self.wire.head, self.object(key))).info(key)
        except NotFound:
            return None

    async def has_children(self, key: str) -> bool:
        return await self._any_below(key, key)

    async def _any_below(self, key: str, folder: str) -> bool:
        async with aclosing(self.pages(key, self._prefix(folder), most=1, detailed=False)) as pages:
            async for page in pages:  # One may be empty and not the last.
                if page.objects:
                    return True
        return False

    def _prefix(self, folder: str) -> str:
        """How the names of all objects below a folder begin."""
        name = self.object(folder)
        return name + "/" if name else ""

    # --- reading

    async def read_bytes(self, key: str) -> bytes:
        return await self._read(self.reader(self, key))

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        return await self._read(self.reader(self, key, start, end))

    async def read_matching(self, key: str, start: int, end: int, etag: str) -> bytes:
        # A range of no bytes cannot be asked for.
        async with self._folder_outranks(key):
            return (await self._read(self.reader(self, key, start, max(end, start + 1), etag)))[: end - start]

    @asynccontextmanager
    async def _folder_outranks(self, key: str) -> AsyncIterator[None]:
        """Let a folder where a file of some etag is meant be of the wrong type, and not of another etag."""
        try:
            yield
        except PreconditionFailed as error:
            is_folder = False
            if self.wire.meaning(error) is Meaning.MISSING:
                try:
                    is_folder = await self.has_children(key)
                except RemoteStoreError as probe:  # The first verdict stands when the question fails.
                    if isinstance(probe, BackendUnavailable) and not self.decides(error):
                        raise
            if is_folder:
                raise found_folder(key, self.name) from error.__cause__
            raise

    async def _read(self, reader: ObjectReader) -> bytes:
        try:
            pieces = []
            while piece := await reader.read(MIB):
                pieces.append(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            await reader.close()

    async def open_read(self, key: str) -> ObjectReader:
        reader = self.reader(self, key)
        await reader.open()
        return reader

    async def open_part(self, key: str, start: int, end: int | None, etag: str | None = None) -> RangeReader:
        reader = self.reader(self, key, start, end, etag)
        async with self._folder_outranks(key):
            await reader.open()
        return RangeReader(reader, start, end)

    async def open_seekable(self, key: str) -> Seeker:
        return Seeker(await self.open_read(key))

    # --- writing

    async def put(self, key: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        if len(data) > self.part_size:
            return await super().put(key, data, options)
        options = marked(options)
        request = self.object(key), data, options
        lost = False
        try:
            try:
                return await self.conditional(key, options, self.wire.put, *request)
            except RemoteStoreError as conflict:
                if self.wire.meaning(conflict) is not Meaning.CONFLICT:
                    raise
                lost = self.wire.lost_reply(conflict)
            # Another writer was half-way, or an earlier try of this one.
            return await self.conditional(key, options, self.wire.put, *request)
        except (AlreadyExists, PreconditionFailed) as conflict:
            if not (lost or self.wire.lost_reply(conflict)):
                raise
            return await self.own_write(key, self.wire.sums(data), len(data), options, conflict)

    async def own_write(
        self, key: str, sums: Sums, size: int, options: WriteOptions, conflict: RemoteStoreError
    ) -> Mapping[str, Any]:
        """What our write stored, if an earlier try of it succeeded; raises `conflict` if another writer was first.

        The mark in the metadata tells; where there was none, content and metadata.

        Raises:
            BackendUnavailable: the write may have been carried out, and what others wrote since hides it.
        """
        mark = mark_of(options.metadata)
        found = await self._left_behind(key) if mark or any(sums) else None
        if found is None:
            raise conflict
        same = found.size == size and (sums.match(found) or bool(mark and not any(sums)))
        if mark is None:
            same = same and self.wire.kept(found.metadata) == self.wire.kept(options.metadata)
        elif (theirs := mark_of(found.metadata)) == mark:
            if not same:
                raise untold(key, self.name, "others changed the file since") from conflict.__cause__
        else:
            same = False
            if options.if_match is not None and theirs and not replace_the_same(mark, theirs):
                raise untold(key, self.name, "others wrote since") from conflict.__cause__
        if not same:
            raise conflict
        return {"etag": found.etag, "digest": found.digest, "version_id": (found.extra or {}).get("version_id")}

    async def _left_behind(self, key: str) -> Object | None:
        """What is there after a request whose reply was lost; None where nothing is."""
        try:
            return await self.call(key, self.wire.head, self.object(key))
        except NotFound:
            return None
        except RemoteStoreError as error:
            raise untold(key, self.name, "the file cannot be looked at") from error

    async def open_write(self, key: str, options: WriteOptions) -> ObjectSink:
        check_metadata(options.metadata)
        return ObjectSink(self, key, options)

    # --- copying and moving

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        await self.transfer(src, dst, WriteOptions(overwrite))

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        """Copy an object, then delete it if it still is what was copied."""
        source = await self.call(src, self.wire.head, self.object(src))
        try:
            await self.transfer(src, dst, WriteOptions(overwrite), source)
            await self._remove_moved(src, source.etag)
        except PreconditionFailed as changed:
            raise source_changed(src, dst, self.name) from changed.__cause__

    async def transfer(self, src: str, dst: str, options: WriteOptions, source: Object | None = None) -> None:
        """Copy an object, where `source` is given only as that describes it."""
        await self.in_steps(src, dst, options, source)

    async def in_steps(
        self, src: str, dst: str, options: WriteOptions, source: Object | None, step: Any = None
    ) -> None:
        """The same by `Wire.copy`, from a step on."""
        names, etag = (self.object(src), self.object(dst)), source and source.etag
        try:
            while True:
                step = await self.conditional(dst, options, self.wire.copy, *names, options, etag, step)
                if step is None:
                    return
        except NotFound as error:
            if not is_container_missing(error):
                error.path = src
            raise
        except (AlreadyExists, PreconditionFailed) as conflict:
            await self._judge_copy(src, dst, source, conflict)

    async def _judge_copy(self, src: str, dst: str, source: Object | None, conflict: RemoteStoreError) -> None:
        """Find why a copy was refused: a changed source, a target that exists, or an earlier try that succeeded."""
        lost, now = self.wire.lost_reply(conflict), None
        if lost:
            now = await self._left_behind(src)
        elif source:
            with suppress(RemoteStoreError):
                now = await self.call(src, self.wire.head, self.object(src))
        if source and (isinstance(conflict, PreconditionFailed) or now is None or now.etag != source.etag):
            raise replaced("moved", src, self.name) from conflict.__cause__
        if now is None or not lost:
            raise conflict
        # A mark is that of the source, and no sign of who copied it.
        found, sums = await self._left_behind(dst), Sums(now.etag, now.digest)
        same = found is not None and found.size == now.size and sums.match(found)
        if found is None or not same or self.wire.kept(found.metadata) != self.wire.kept(now.metadata):
            raise conflict

    async def _remove_moved(self, src: str, etag: str | None) -> None:
        """Delete the source of a move, unless it changed."""
        try:
            await delete(self, src, self.object(src), etag)
        except RemoteStoreError as refusal:
            meaning = self.wire.meaning(refusal)
            if meaning not in (Meaning.CONDITION_FAILED, Meaning.CONFLICT, Meaning.UNABLE):
                raise
            now = await self.info(src)
            if now is None:
                return
            if now.etag != etag:
                raise replaced("moved", src, self.name) from refusal.__cause__
            if meaning is not Meaning.UNABLE:
                raise
            await delete(self, src, self.object(src))

    # --- signing

    async def sign(self, key: str, expires_in: int, method: str) -> str:
        if why := await self.call(key, self.wire.unable_to_sign):
            raise unsupported(Capability.SIGNED_URL.value, key, self.name, f"these credentials: {why}")
        check_signing(expires_in, method, self.wire.longest_url)
        return await self.call(key, self.wire.sign, self.object(key), method, expires_in)

    # --- deleting

    async def remove(self, key: str) -> None:
        await self.call(key, self.wire.delete, self.object(key))

    async def remove_folder(self, key: str, recursive: bool) -> None:
        await delete_folder(self, key, recursive)

    # --- listing

    async def pages(
        self, key: str, prefix: str, *, one_level: bool = False, most: int | None = None, detailed: bool = True
    ) -> AsyncGenerator[Listed, None]:
        """Pages of a listing as the service gives them; one that leads back to where it was is an error."""
        tokens, firsts = Tokens(), Tokens()
        token: str | None = None
        while True:
            page = await self.call(
                key, self.wire.page, prefix, token, one_level=one_level, most=most, detailed=detailed
            )
            with self.wire.errors(key):
                names = [*page.folders, *(entry.name for entry in page.objects)]
                if not all(name.startswith(prefix) for name in names):
                    raise Malformed("a listing with names that nobody asked for")
                firsts.check(page.objects[0].name if page.objects else None)
            yield page
            if (token := page.token) is None:
                return
            with self.wire.errors(key):
                tokens.check(token)

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        listing = KeyListing(self.root, key, max_depth, want, self.name)
        async for found in self.pages(key, self._prefix(key) + name_prefix, one_level=max_depth == 0):
            page: Page = []
            for folder in found.folders:
                listing.add(page, folder)
            for entry in found.objects:
                listing.add(page, entry.name, entry)
            if found.folders or found.objects:
                yield page

    # --- life

    async def check(self) -> None:
        await self._any_below(".", "")
