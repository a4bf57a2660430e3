"""Clients of Azure's SDK for a server, and what becomes of their calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient
from azure.storage.filedatalake.aio import DataLakeServiceClient, FileSystemClient

from servers.azure import ACCOUNT, CONTAINER, KEY, AzureServer

ONCE = {"retry_total": 0}
"""Of a client: nothing is tried again."""


@asynccontextmanager
async def blobs(server: AzureServer, container: str = CONTAINER) -> AsyncIterator[ContainerClient]:
    """A container, by the Blob API."""
    async with BlobServiceClient.from_connection_string(server.connection_string, **ONCE) as client:
        yield client.get_container_client(container)


@asynccontextmanager
async def paths(server: AzureServer, container: str) -> AsyncIterator[FileSystemClient]:
    """A filesystem, by the Data Lake API."""
    credential = {"account_name": ACCOUNT, "account_key": KEY}
    async with DataLakeServiceClient(server.endpoint, credential=credential, **ONCE) as client:
        yield client.get_file_system_client(container)


async def refusal(call: Awaitable[Any]) -> tuple[int, str]:
    """Status and code of a call that is refused."""
    try:
        done = await call
    except HttpResponseError as error:
        headers = error.response.headers if error.response else {}
        return error.status_code or 0, headers.get("x-ms-error-code", "")
    raise AssertionError(f"it was not refused: {done}")


async def race(calls: Iterable[Awaitable[Any]]) -> list[int]:
    """Statuses of calls that are made at the same time; 200 of those that succeed."""
    done = await asyncio.gather(*calls, return_exceptions=True)
    return sorted(each.status_code or 0 if isinstance(each, HttpResponseError) else 200 for each in done)


async def commit(blob: BlobClient, *parts: bytes, **options: Any) -> Any:
    """Upload in blocks, named by their places."""
    names = [f"{number:048d}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        await blob.stage_block(name, part)
    return await blob.commit_block_list([BlobBlock(name) for name in names], **options)


async def content_of(blob: BlobClient) -> bytes:
    """What readers get."""
    return bytes(await (await blob.download_blob()).readall())
