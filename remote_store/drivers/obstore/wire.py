"""A store of obstore as a service of objects: one call a method."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

from remote_store._errors import BackendUnavailable, RemoteStoreError
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.values import from_header, to_header
from remote_store.drivers.objects.wire import Body, Failed, Listed, Meaning, Object, Sums, field
from remote_store.drivers.obstore.errors import Changed, Store, lost_reply, meaning, obstore_errors
from remote_store.drivers.obstore.replies import (
    ATTRIBUTES,
    PIECE,
    Content,
    bare,
    mode,
    note_use,
    reading,
    told_object,
    works_here,
    written,
)
from remote_store.drivers.obstore.uploads import Upload

PAGE = 1000
_WEEK = 7 * 24 * 3600


class _Next(str):
    """The token of the next page: it keeps the listing that goes on."""

    listing: Any


class ObstoreWire:
    """One container of a service, or the tree of a `MemoryStore`.

    Args:
        fs: the filesystem of obstore.
        store: its store of that container.
        where: what errors tell of it.
    """

    batch = PAGE
    longest_url = _WEEK
    last_part_completes = True
    resumes = 0  # obstore does so itself.

    def __init__(self, fs: Any, store: Any, where: Store) -> None:
        self.fs, self.container = fs, where.container
        self._store, self._where = store, where
        self.longest_name = 1024 if self.container else sys.maxsize
        self._copies_exclusively = True

    async def open(self) -> None:
        """Refuse what would never answer: the threads of obstore do not come along into a forked process."""
        if not works_here():
            message = "obstore does not work in a forked process once it was used in its parent: start it by spawn"
            raise BackendUnavailable(message, path="", backend=self._where.backend)
        note_use()

    async def close(self, owned: bool) -> None:
        """Nothing can be closed: connections end with the store."""

    # --- errors

    def errors(self, key: str, ranged: bool = False) -> AbstractContextManager[None]:
        return obstore_errors(self._where, key)

    def meaning(self, error: RemoteStoreError) -> Meaning:
        return meaning(error.__cause__)

    def lost_reply(self, error: RemoteStoreError) -> bool:
        return lost_reply(error.__cause__)

    # --- worked out without a request

    def sums(self, data: bytes) -> Sums:
        return Sums()

    def sums_of_parts(self, parts: Sequence[Any]) -> Sums:
        return Sums()

    def kept(self, metadata: Mapping[str, str] | None) -> Mapping[str, str]:
        return {key.lower(): value for key, value in (metadata or {}).items()}

    def in_batch(self, name: str) -> bool:
        return not name.endswith("/")

    # --- requests

    async def head(self, name: str) -> Object:
        found = await self._store.get_async(name, options={"head": True})
        attributes = found.attributes
        metadata = {key: from_header(value) for key, value in attributes.items() if key not in ATTRIBUTES}
        told = told_object(name, found.meta)
        return told._replace(content_type=attributes.get("Content-Type"), metadata=metadata or None)

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        options = reading(start, end, etag)
        found = await self._store.get_async(name, options=options)
        content = Content(aiter(found.stream(min_chunk_size=PIECE)))
        meta = found.meta
        return Body(content, field(meta, "size"), bare(field(meta, "e_tag")), "range" in options)

    async def page(
        self, prefix: str, token: str | None, *, one_level: bool, most: int | None, detailed: bool
    ) -> Listed:
        # obstore takes whole segments as a prefix.
        folder = prefix.rpartition("/")[0]
        if one_level:
            found = await self._store.list_with_delimiter_async(folder or None)
            return _listed(prefix, found["objects"], found["common_prefixes"])
        if isinstance(token, _Next):
            listing, number = token.listing, int(token) + 1
        else:
            listing, number = aiter(self._store.list(folder or None, chunk_size=most or PAGE)), 1
        entries = await anext(listing, None)
        if entries is None:
            return Listed((), ())
        following = _Next(number)
        following.listing = listing
        return _listed(prefix, entries)._replace(token=following)

    async def put(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        return written(await self._put(name, data, options, use_multipart=False))

    def _put(self, name: str, content: Any, options: WriteOptions, **more: Any) -> Any:
        attributes = {key: to_header(value) for key, value in (options.metadata or {}).items()}
        if options.content_type is not None:
            attributes["Content-Type"] = options.content_type
        return self._store.put_async(name, content, mode=mode(options), attributes=attributes or None, **more)

    async def copy(self, src: str, dst: str, options: WriteOptions, etag: str | None, step: Any) -> Any:
        if not options.overwrite and self._copies_exclusively:
            try:
                await self._store.copy_async(src, dst, overwrite=False)
            except Exception as error:
                if type(error).__name__ not in ("NotSupportedError", "NotImplementedError"):
                    raise
                self._copies_exclusively = False  # Whoever called has looked.
            else:
                return None
        await self._store.copy_async(src, dst, overwrite=True)
        return None

    async def delete(self, name: str, etag: str | None = None) -> None:
        if name.endswith("/"):
            message = "obstore cannot delete the empty object that marks the folder"
            raise RemoteStoreError(message, path=name[:-1], backend=self._where.backend)
        if etag is not None and bare(field((await self._store.head_async(name)), "e_tag")) != etag:
            raise Changed
        await self._store.delete_async(name)

    async def delete_many(self, names: Sequence[str]) -> Sequence[Failed]:
        try:
            await self._store.delete_async(list(names))
        except FileNotFoundError:  # Of one that somebody else deleted: what became of the others is not told.
            singly = (self._store.delete_async(name) for name in names)
            for result in await asyncio.gather(*singly, return_exceptions=True):
                if isinstance(result, BaseException) and not isinstance(result, FileNotFoundError):
                    raise result from None
        return ()

    # --- signed URLs

    async def unable_to_sign(self) -> str | None:
        config = getattr(self._store, "config", None)
        if config is None:
            return "this store has no signatures"
        skipped = str(config.get("skip_signature", "")).lower()
        return "requests are not signed (skip_signature)" if skipped in ("true", "1") else None

    async def sign(self, name: str, method: str, expires_in: int) -> str:
        import obstore

        signing: Any = obstore.sign_async
        url: str = await signing(self._store, method, name, dt.timedelta(seconds=expires_in))
        return url

    # --- uploads in parts

    async def create(self, name: str, options: WriteOptions) -> Upload:
        # With a condition obstore collects the content in memory, and puts it in one request.
        parted = {"use_multipart": options.overwrite and options.if_match is None, "chunk_size": 8 * PIECE}
        return Upload(lambda content: self._put(name, content, options, max_concurrency=4, **parted))

    async def part(self, upload: Upload, number: int, start: int, data: BytesIO) -> None:
        await upload.give(data.getvalue())

    async def complete(
        self, upload: Upload, parts: Sequence[Any], data: BytesIO, options: WriteOptions
    ) -> Mapping[str, Any]:
        if last := data.getvalue():
            await upload.give(last)
        return written(await upload.finish())

    async def discard(self, upload: Upload) -> None:
        await upload.discard()


def _listed(prefix: str, objects: Sequence[Mapping[str, Any]], folders: Sequence[str] = ()) -> Listed:
    folder = prefix.rpartition("/")[0]
    named = [(meta["path"], meta) for meta in objects]
    # What is listed below a folder, and is called like it, is its marker: obstore cuts the slash off.
    found = [Object(f"{name}/") if name == folder else told_object(name, meta) for name, meta in named]
    inner = [f"{name}/" for name in folders]
    return Listed(
        [name for name in inner if name.startswith(prefix)], [one for one in found if one.name.startswith(prefix)]
    )
