"""Azure accounts with a hierarchical namespace: real folders, and renames in one step."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError

from remote_store._errors import (
    InvalidPath,
    NotFound,
    PreconditionFailed,
    RemoteStoreError,
    file_missing,
    folder_missing,
    found_file,
    found_file_above,
    found_folder,
    is_container_missing,
    not_empty,
    source_changed,
    target_exists,
)
from remote_store._models import FileInfo, FolderEntry, folder_entry
from remote_store._paths import below, spellable
from remote_store.drivers.azure.driver import AzureDriver
from remote_store.drivers.azure.errors import IS_FOLDER, LEASE_MISSING, code_of, locked
from remote_store.drivers.azure.replies import LEASED, unquoted
from remote_store.drivers.azure.wire import UNCHANGED_SOURCE, AzureWire, Upload, matching, quoted, refusal
from remote_store.drivers.base import FILE, FOLDER, EntryKind, Page, Want, WriteOptions, warn_unspellable
from remote_store.drivers.objects.keys import Tokens
from remote_store.drivers.objects.wire import Body, Malformed, Object, replaced
from remote_store.drivers.profiles import AZURE_HNS

P = ParamSpec("P")
T = TypeVar("T")
PAGE = 5000
"""Most paths in an answer: Data Lake Storage REST API, Path - List."""
REPLACED = 8
"""How often a delete looks again at a file that others replaced meanwhile."""
NO_SUCH_PARENT = "RenameDestinationParentPathNotFound"


class TreeWire(AzureWire):
    """A container with folders.

    What is larger than a request is put together under a hidden name beside its own, and renamed.
    """

    folder_code = IS_FOLDER

    async def create(self, name: str, options: WriteOptions) -> Upload:
        folder, slash, _ = name.rpartition("/")
        upload = await super().create(name, options)
        upload.name = f"{folder}{slash}{AZURE_HNS.temp_prefix}{uuid.uuid4().hex}"
        return upload

    async def complete(
        self, upload: Upload, parts: Sequence[str], data: BytesIO, options: WriteOptions
    ) -> Mapping[str, Any]:
        hidden = WriteOptions(overwrite=True, metadata=options.metadata, content_type=options.content_type)
        reply = await super().complete(upload, parts, data, hidden)
        if options.replaces or options.if_match is not None:
            await self._check_lease(upload.target)
        try:
            await self.rename(upload.name, upload.target, options, None)
        except HttpResponseError as error:
            if not (getattr(error, "unheard", False) and await self._has(upload.target, reply["etag"])):
                raise  # Else an earlier try renamed it.
        return reply  # A rename keeps the etag.

    async def _check_lease(self, name: str) -> None:
        """Refuse a file that somebody has leased: a rename onto it would break the lease, whatever its conditions."""
        try:
            found = await self.look(name)
        except HttpResponseError as error:
            if error.status_code not in (403, 404):  # Who may not look may write.
                raise
        else:
            if found.reply.lease.status == LEASED:
                raise refusal(412, LEASE_MISSING)

    async def _has(self, name: str, etag: str) -> bool:
        """Whether a file is the one of an etag."""
        with suppress(HttpResponseError):
            return (await self.look(name)).etag == etag
        return False

    async def discard(self, upload: Upload) -> None:
        blob = self._blob(upload.name)
        with suppress(HttpResponseError):
            await self.clients.ask(lambda: blob.delete_blob())

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        try:
            return await super().get(name, start, end, etag)
        except HttpResponseError as error:
            # A folder is empty to a read.
            if error.status_code == 416 and is_folder(await self.look(name)):
                raise refusal(404, IS_FOLDER) from None
            raise

    async def rename(self, src: str, dst: str, options: WriteOptions, etag: str | None) -> None:
        """Give a file another name, in place of what has it where `options` replace."""
        tree = self.clients.tree
        source, target = tree.get_file_client(src), tree.get_file_client(dst)
        # The SDK's own method takes `%` and `?` in names for something else.
        address = f"/{quote(self.container)}/{quote(src)}{source._query_str or self.clients.signature}"
        pinned = {"source_etag": quoted(etag), **UNCHANGED_SOURCE} if etag else {}
        request = {**matching(options), **pinned}
        try:
            await self.clients.ask(lambda: target._rename_path(address, **request))
        except HttpResponseError as error:
            if code_of(error) != NO_SUCH_PARENT:
                raise
            parent, missing = dst.rpartition("/")[0], {"match_condition": MatchConditions.IfMissing}
            try:
                await self.clients.ask(lambda: tree.create_directory(parent, **missing))
            except HttpResponseError as error:
                if code_of(error) != "PathAlreadyExists":
                    raise  # Else another writer made it, and if that is a file, the second try is refused.
            await self.clients.ask(lambda: target._rename_path(address, **request))

    async def remove_folder(self, name: str, recursive: bool) -> None:
        """Delete a folder: with all below it, or only if it is empty."""
        file = self.clients.tree.get_file_client(name)  # A folder's client deletes all that is below it.
        try:
            await self.clients.ask(lambda: file.delete_file(recursive=recursive))
        except HttpResponseError as error:
            if not (code_of(error) == "PathNotFound" and getattr(error, "unheard", False)):
                raise  # Else an earlier try deleted it.

    async def paths(self, name: str, token: str | None, recursive: bool) -> tuple[list[Any], str | None]:
        """A page of what is below a folder."""

        async def ask() -> tuple[list[Any], str | None]:
            found = self.clients.tree.get_paths(name or None, recursive=recursive, max_results=PAGE)
            pages = found.by_page(continuation_token=token)
            async for page in pages:
                entries = [entry async for entry in page]
                if not all(isinstance(entry.name, str) and entry.name for entry in entries):
                    raise Malformed("a path without a name")
                return entries, pages.continuation_token
            return [], None

        return await self.clients.ask(ask)


class AzureTreeDriver(AzureDriver):
    """Files and folders below the folder `root` of a container. Arguments as `AzureDriver`."""

    profile = AZURE_HNS
    capabilities = AZURE_HNS.capabilities
    wire: TreeWire
    WIRE = TreeWire

    def check_key(self, key: str) -> None:
        super().check_key(key)
        if "/" + AZURE_HNS.temp_prefix in "/" + key:
            message = f"Names that begin with {AZURE_HNS.temp_prefix!r} are reserved"
            raise InvalidPath(message, path=key, backend=self.name)

    # --- questions

    async def kind(self, key: str) -> EntryKind | None:
        try:
            found = await self._look(key)
        except NotFound:
            return None  # What a missing container holds.
        return None if found is None else FOLDER if is_folder(found) else FILE

    async def info(self, key: str) -> FileInfo | FolderEntry | None:  # type: ignore[override]
        """As for any driver; of a missing container `NotFound` names it, since no other question will."""
        found = await self._look(key)
        return None if found is None else folder_entry(key) if is_folder(found) else found.info(key)

    async def _look(self, key: str) -> Object | None:
        """What is there, None where nothing is; `NotFound` where the container is not."""
        if not key:
            return Object("/")
        if len(self.object(key).encode()) > self.wire.longest_name:
            return None
        try:
            return await self.call(key, self.wire.look, self.object(key))
        except NotFound as error:
            if is_container_missing(error):
                raise
            return None

    async def has_children(self, key: str) -> bool:
        return await self.kind(key) == FOLDER

    # --- writing

    async def conditional(self, key: str, options: WriteOptions, request: Callable[..., Awaitable[T]], *args: Any) -> T:
        try:
            return await super().conditional(key, options, request, *args)
        except RemoteStoreError as error:
            if wrong := await self._wrong_type(key, error):
                raise wrong from error.__cause__
            raise

    async def call(self, key: str, request: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await super().call(key, request, *args, **kwargs)
        except RemoteStoreError as error:
            # A block has no condition, but a place.
            if request in (self.wire.part, self.wire.part_copy) and (wrong := await self._wrong_type(key, error)):
                raise wrong from error.__cause__
            raise

    async def _wrong_type(self, key: str, error: RemoteStoreError) -> InvalidPath | None:
        """What is wrong with a file's place, if that may be why a request was refused.

        Which of several codes says that a folder is there, or a file above, is not documented.
        """
        refused = error.__cause__
        if getattr(refused, "status_code", None) != 409 and code_of(refused) != NO_SUCH_PARENT:
            return None
        with suppress(RemoteStoreError):  # The first error stands when the question fails.
            if (kind := await self.kind(key)) is not None:
                return found_folder(key, self.name) if kind == FOLDER else None
            parts = key.split("/")
            above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
            if FILE in await asyncio.gather(*map(self.kind, above)):
                return found_file_above(key, self.name)
        return None

    # --- copying and moving

    async def copy(self, src: str, dst: str, overwrite: bool) -> None:
        source = await self._ends(src, dst, overwrite)
        await self.transfer(src, dst, WriteOptions(overwrite), source)

    async def move(self, src: str, dst: str, overwrite: bool) -> None:
        source = await self._ends(src, dst, overwrite)
        request = self.object(src), self.object(dst), WriteOptions(overwrite), source.etag
        try:
            await self.conditional(dst, WriteOptions(overwrite), self.wire.rename, *request)
        except RemoteStoreError as error:
            code = code_of(error.__cause__)
            if self.wire.lost_reply(error) and await self._arrived(src, dst, source):
                return
            if code == "SourceConditionNotMet":
                raise source_changed(src, dst, self.name) from error.__cause__
            if isinstance(error, NotFound):
                error.path = src
            raise

    async def _ends(self, src: str, dst: str, overwrite: bool) -> Object:
        """Look at both ends of a transfer together; gives the source, or raises what is wrong, its own faults first."""
        # Both come to an end, so that no question is open once one has failed.
        ends: tuple[Object | BaseException | None, Object | BaseException | None]
        ends = await asyncio.gather(self._look(src), self._look(dst), return_exceptions=True)
        source, target = ends
        if isinstance(source, BaseException):
            raise source
        if source is None:
            raise file_missing(src, self.name)
        if is_folder(source):
            raise found_folder(src, self.name)
        if isinstance(target, BaseException):
            raise target
        if target is not None and is_folder(target):
            raise found_folder(dst, self.name)
        if target is not None and not overwrite:
            raise target_exists(dst, self.name)
        if target is not None and target.reply.lease.status == LEASED:
            raise locked(dst, self.name)  # A rename would break the lease: Path - Create.
        return source

    async def _arrived(self, src: str, dst: str, source: Object) -> bool:
        """Whether an earlier try, whose reply was lost, moved the file: a rename keeps its etag."""
        with suppress(RemoteStoreError):
            there, here = await asyncio.gather(self._look(dst), self._look(src))
            return here is None and there is not None and there.etag == source.etag
        return False

    # --- deleting

    async def remove(self, key: str) -> None:
        """Delete a file: what was looked at alone, since a delete would take an empty folder, too."""
        for _ in range(REPLACED):
            found = await self.call(key, self.wire.head, self.object(key))
            try:
                return await self.call(key, self.wire.delete, self.object(key), found.etag)
            except PreconditionFailed as error:
                refusal = error
        raise replaced("deleted", key, self.name) from refusal.__cause__

    async def remove_folder(self, key: str, recursive: bool) -> None:
        found = await self._look(key)
        if found is None:
            raise folder_missing(key, self.name)
        if not is_folder(found):
            raise found_file(key, self.name)
        try:
            await self.call(key, self.wire.remove_folder, self.object(key), recursive)
        except NotFound:
            raise folder_missing(key, self.name) from None
        except RemoteStoreError as error:
            if code_of(error.__cause__) == "DirectoryNotEmpty":
                raise not_empty(key, self.name) from error.__cause__
            raise

    # --- listing

    async def list_pages(
        self, key: str, max_depth: int | None, want: Want, name_prefix: str = ""
    ) -> AsyncGenerator[Page, None]:
        token, warned, tokens = None, False, Tokens()
        while True:
            entries, token = await self.call(key, self.wire.paths, self.object(key), token, max_depth != 0)
            page: Page = []
            for entry in entries:
                name = below(self.root, entry.name)
                if name is None or name == key or "/" + AZURE_HNS.temp_prefix in "/" + name:
                    continue
                if not spellable(name):
                    if not warned:
                        warned = True
                        warn_unspellable(entry.name, self.name)
                    continue
                depth = name.count("/") - (key.count("/") + 1 if key else 0)
                if max_depth is not None and depth > max_depth:
                    continue
                if want == "both" or entry.is_directory == (want == "folders"):
                    with self.wire.errors(key):
                        page.append(_entry(name, entry))
            if page:
                yield page
            if not token:
                return
            with self.wire.errors(key):
                tokens.check(token)


def is_folder(found: Object) -> bool:
    """Whether an object stands for a folder."""
    return found.name.endswith("/")


def _entry(key: str, entry: Any) -> FileInfo | FolderEntry:
    if entry.is_directory:
        return folder_entry(key)
    moment = entry.last_modified
    if isinstance(moment, str):
        moment = parsedate_to_datetime(moment)
    if not isinstance(moment, dt.datetime):
        raise Malformed("no time of the last change")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return Object(key, int(entry.content_length or 0), moment.astimezone(dt.UTC), unquoted(entry.etag)).info(key)
