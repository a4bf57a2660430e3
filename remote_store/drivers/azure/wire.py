"""Azure Blob Storage, through adlfs: the requests of an object store, and how its replies are read."""

from __future__ import annotations

import asyncio
import io
import re
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobProperties, ContentSettings
from azure.storage.blob._generated.models import BlobHTTPHeaders, ModifiedAccessConditions

from remote_store._errors import RemoteStoreError
from remote_store._models import ContentDigest
from remote_store.drivers.azure import copies
from remote_store.drivers.azure.clients import Clients
from remote_store.drivers.azure.errors import NOT_AT_ONCE, WITHHELD, Container, code_of, meaning, sdk_errors, verdict_on
from remote_store.drivers.azure.replies import FOLDER, RESERVED, body_of, described, listed, md5_of, written
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.values import to_header
from remote_store.drivers.objects.wire import Body, Failed, Listed, Malformed, Meaning, Object, Sums

PIECE = 256 << 10
"""What of a block goes to a connection at once [bytes]."""
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""What Azure keeps as a name of metadata: Blob Storage REST API, naming and referencing metadata."""


@dataclass
class Upload:
    """Blocks, which become a blob by a commit.

    Args:
        name: of that blob.
        target: what it is called in the end.
        described: metadata and content settings, as the SDK takes them.
    """

    name: str
    target: str
    described: dict[str, Any]


class AzureWire:
    """A container of an account without hierarchical namespace.

    Args:
        clients: make the requests.
        backend: name of the backend, for errors.
    """

    longest_name = 1024
    """Blob Storage REST API, naming and referencing [characters, so at least as many bytes]."""
    batch = 256
    longest_url = 7 * 24 * 3600
    """Blob Storage REST API, user delegation keys; account keys sign for any time."""
    last_part_completes = False
    folder_code = "BlobNotFound"
    """How a folder is refused where a file is meant: what marks one among objects is none."""

    def __init__(self, clients: Clients, backend: str) -> None:
        self.clients, self.fs, self.container, self.resumes = clients, clients.fs, clients.name, clients.retries
        endpoint = self.fs.service_client.primary_endpoint.partition("?")[0]  # A signature may follow.
        hint = WITHHELD if getattr(self.fs, "withheld", False) else ""
        self.where = Container(clients.name, backend, clients.timeout, endpoint, hint)

    async def open(self) -> None:
        self.clients.open()

    async def close(self, owned: bool) -> None:
        await self.clients.close(owned)

    # --- errors

    def errors(self, key: str, ranged: bool = False) -> AbstractContextManager[None]:
        return sdk_errors(self.where, key)

    def meaning(self, error: RemoteStoreError) -> Meaning:
        return meaning(error.__cause__)

    def lost_reply(self, error: RemoteStoreError) -> bool:
        return bool(getattr(error.__cause__, "unheard", False))

    # --- worked out without a request

    def sums(self, data: bytes) -> Sums:
        return Sums(digest=ContentDigest("md5", md5_of(data).hex()))

    def sums_of_parts(self, parts: Sequence[Any]) -> Sums:
        return Sums()  # `complete` looks for its own blocks.

    def kept(self, metadata: Mapping[str, str] | None) -> Mapping[str, str]:
        return metadata or {}

    def in_batch(self, name: str) -> bool:
        return True

    # --- requests

    def _blob(self, name: str) -> Any:
        return self.clients.container.get_blob_client(name)

    async def head(self, name: str) -> Object:
        found = await self.look(name)
        if found.name.endswith("/") and not name.endswith("/"):
            raise refusal(404, self.folder_code)
        return found

    async def look(self, name: str) -> Object:
        """The same of a folder, too, whose name then ends with a slash."""
        return described(await self.clients.ask(lambda: self._blob(name).get_blob_properties()), name)

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        ranged = start > 0 or end is not None
        request = {
            "range": f"bytes={start}-{'' if end is None else end - 1}" if ranged else None,
            "modified_access_conditions": ModifiedAccessConditions(if_match=quoted(etag)) if etag else None,
        }
        blob = self._blob(name)

        def ask() -> Any:
            # The SDK's own method asks for pieces, and for an empty blob twice.
            generated = blob._client.blob.download
            return generated(**request, decompress=False, cls=lambda reply, _, headers: reply.http_response)

        response = await self.clients.ask(ask)
        try:
            if response.headers.get(f"x-ms-meta-{FOLDER}") == "true" and not name.endswith("/"):
                raise refusal(404, self.folder_code)
            return body_of(response, start)
        except BaseException:
            response.internal_response.close()
            raise

    async def page(
        self, prefix: str, token: str | None, *, one_level: bool, most: int | None, detailed: bool
    ) -> Listed:
        container = self.clients.container
        options: dict[str, Any] = {"name_starts_with": prefix or None, "results_per_page": most}
        options["include"] = ["metadata"] if detailed else None

        async def ask() -> Any:
            found = container.walk_blobs(**options, delimiter="/") if one_level else container.list_blobs(**options)
            pages = found.by_page(continuation_token=token)
            async for page in pages:
                return [entry async for entry in page], pages.continuation_token
            return [], None

        entries, following = await self.clients.ask(ask)
        folders = [entry.name for entry in entries if not isinstance(entry, BlobProperties)]
        blobs = [entry for entry in entries if isinstance(entry, BlobProperties)]
        return Listed(folders, [listed(entry, detailed) for entry in blobs], following or None)

    async def put(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        request = {
            "content_length": len(data),
            "blob_http_headers": BlobHTTPHeaders(blob_content_type=options.content_type or "application/octet-stream"),
            "modified_access_conditions": _conditions(options),
        }
        headers = {f"x-ms-meta-{key}": value for key, value in _metadata(options.metadata).items()}
        blob, request["transactional_content_md5"] = self._blob(name), await _summed(data)

        def ask() -> Any:
            # Of bytes, which the SDK's own method makes of any content, aiohttp makes copies.
            generated, told = blob._client.block_blob.upload, lambda _, __, headers: headers
            return generated(**request, body=io.BytesIO(data), headers=dict(headers), cls=told)

        return written(await self.clients.ask(ask))

    async def copy(self, src: str, dst: str, options: WriteOptions, etag: str | None, step: Any) -> Any:
        blob, address = self._blob(dst), self.clients.address(src)
        if isinstance(step, copies.Copying):
            return await copies.poll(self.clients.ask, blob, step)
        conditions = {**matching(options), **({"source_etag": quoted(etag), **UNCHANGED_SOURCE} if etag else {})}
        if options.replaces and not isinstance(step, copies.GoingOn):
            readable, login = await self.clients.readable(src)
            if readable and await copies.at_once(self.clients.ask, blob, readable, login, **conditions):
                return None
            raise refusal(405, NOT_AT_ONCE)
        # Of a move the very content counts, which the floor compares.
        creates = not options.replaces and etag is None
        return await copies.begin(self.clients.ask, blob, address, creates, **conditions)

    async def delete(self, name: str, etag: str | None = None) -> None:
        condition = {"etag": quoted(etag), "match_condition": MatchConditions.IfNotModified} if etag else {}
        blob = self._blob(name)
        try:
            await self.clients.ask(lambda: blob.delete_blob(**condition))
        except HttpResponseError as error:
            if not (code_of(error) == "BlobNotFound" and getattr(error, "unheard", False)):
                raise  # Else an earlier try deleted it.

    async def delete_many(self, names: Sequence[str]) -> Sequence[Failed]:
        container = self.clients.container

        async def ask() -> list[Any]:
            return [one async for one in await container.delete_blobs(*names, raise_on_any_failure=False)]

        answers = await self.clients.ask(ask)
        if len(answers) != len(names):
            raise Malformed(f"{len(answers)} answers to {len(names)} deletes")
        failed = []
        for name, answer in zip(names, answers, strict=True):
            if answer.status_code not in (202, 404):
                code = answer.headers.get("x-ms-error-code", "")
                failed.append(Failed(name, *verdict_on(code, answer.status_code, self.where)))
        return failed

    # --- signed URLs

    async def unable_to_sign(self) -> str | None:
        return None if self.clients.can_sign else "they are neither an account key nor of Microsoft Entra ID"

    async def sign(self, name: str, method: str, expires_in: int) -> str:
        return await self.clients.sign(name, method, expires_in)

    # --- uploads in parts

    async def create(self, name: str, options: WriteOptions) -> Upload:
        content = ContentSettings(content_type=options.content_type or "application/octet-stream")
        return Upload(name, name, {"content_settings": content, "metadata": _metadata(options.metadata)})

    async def create_like(self, name: str, options: WriteOptions, source: BlobProperties) -> Upload:
        """Begin the upload of a blob that is described as another one is."""
        upload = await self.create(name, options)
        metadata = {key: value for key, value in (source.metadata or {}).items() if key.lower() not in RESERVED}
        upload.described = {"content_settings": source.content_settings, "metadata": metadata}
        return upload

    async def part(self, upload: Upload, number: int, start: int, data: io.BytesIO) -> str:
        block, content, blob = _block(), data.getvalue(), self._blob(upload.name)
        sent = {"length": len(content), "transactional_content_md5": await _summed(content)}
        await self.clients.ask(lambda: blob.stage_block(block, _pieces(content), **sent))
        return block

    async def part_copy(self, upload: Upload, number: int, start: int, end: int, source: Object) -> str:
        """Let the service copy bytes [start, end) of another blob, which must not have changed, as a part."""
        block, blob = _block(), self._blob(upload.name)
        readable, login = await self.clients.readable(source.name)
        if readable is None:
            raise refusal(405, NOT_AT_ONCE)
        unchanged = {"headers": {"x-ms-source-if-match": quoted(source.etag or "")}, "source_authorization": login}
        await self.clients.ask(lambda: blob.stage_block_from_url(block, readable, start, end - start, **unchanged))
        return block

    async def complete(
        self, upload: Upload, parts: Sequence[str], data: io.BytesIO, options: WriteOptions
    ) -> Mapping[str, Any]:
        blob, blocks = self._blob(upload.name), [BlobBlock(part) for part in parts]
        request = {**upload.described, **matching(options)}
        try:
            return written(await self.clients.ask(lambda: blob.commit_block_list(blocks, **request)), whole=False)
        except HttpResponseError as error:
            if not getattr(error, "unheard", False):
                raise
            with suppress(HttpResponseError):
                committed, _ = await blob.get_block_list("committed")
                if [block.id for block in committed] == list(parts):
                    return written(vars(await blob.get_blob_properties()), whole=False)
            raise

    async def discard(self, upload: Upload) -> None:
        """Nothing: blocks without a commit are in no listing, and gone after a week (REST API, Put Block)."""


def _block() -> str:
    """A name for a block; those of a blob, others' included, must be of one length."""
    return f"{uuid.uuid4().int:048d}"


UNCHANGED_SOURCE = {"source_match_condition": MatchConditions.IfNotModified}


def refusal(status: int, code: str) -> HttpResponseError:
    """What the service would answer if it judged by the contract."""
    error = HttpResponseError(code)
    error.status_code, error.error_code = status, code
    return error


def quoted(etag: str) -> str:
    """An etag as headers have it."""
    return f'"{etag}"'


def _conditions(options: WriteOptions) -> ModifiedAccessConditions | None:
    if options.if_match is not None:
        return ModifiedAccessConditions(if_match=quoted(options.if_match))
    return None if options.replaces else ModifiedAccessConditions(if_none_match="*")


def matching(options: WriteOptions) -> dict[str, Any]:
    """The condition under which a write may happen, for the SDK's own methods."""
    if options.if_match is not None:
        return {"etag": quoted(options.if_match), "match_condition": MatchConditions.IfNotModified}
    return {} if options.replaces else {"match_condition": MatchConditions.IfMissing}


async def _summed(content: bytes) -> bytearray:
    """The MD5 of content, which the service compares with what arrives; that of much is worked out in a thread."""
    return bytearray(await asyncio.to_thread(md5_of, content) if len(content) > PIECE else md5_of(content))


async def _pieces(content: bytes) -> AsyncGenerator[memoryview, None]:
    """Content as aiohttp sends it without a copy: of an `io.BytesIO` it makes one, of each block in flight."""
    for start in range(0, len(content), PIECE):
        yield memoryview(content)[start : start + PIECE]


def _metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """User metadata as headers can carry it.

    Raises:
        ValueError: a key that Azure cannot keep, or keeps for itself, or that differs from another in case alone.
    """
    for key in metadata or {}:
        if not NAME.fullmatch(key) or key.lower() in RESERVED:
            raise ValueError(f"metadata key {key!r} cannot be kept by Azure: letters, digits and _ alone can")
    if len({key.lower() for key in metadata or {}}) < len(metadata or {}):
        raise ValueError("metadata keys differ in case alone, which Azure does not keep")
    return {key: to_header(value) for key, value in (metadata or {}).items()}
