"""A user's program over an `AsyncStore` and backends, with the types that it should see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

from remote_store import FileInfo, FolderEntry, FolderInfo, WriteResult
from remote_store.aio import (
    AsyncAtomicWriter,
    AsyncAzureBackend,
    AsyncBackend,
    AsyncFsspecBackend,
    AsyncLocalBackend,
    AsyncMemoryBackend,
    AsyncReadStream,
    AsyncS3Backend,
    AsyncStore,
    SyncBackendAdapter,
)
from remote_store.backends import MemoryBackend


async def chunks() -> AsyncIterator[bytes]:
    yield b"123"


async def use(store: AsyncStore) -> None:
    assert_type(await store.write("d/f", b"123", metadata={"a": "b"}), WriteResult)
    assert_type(await store.write("d/g", chunks(), overwrite=True), WriteResult)
    assert_type(await store.write_atomic("d/f", chunks(), if_match="etag"), WriteResult)
    assert_type(await store.write_text("d/t", "123"), WriteResult)
    async with store.open_atomic("d/h") as file:
        assert_type(file, AsyncAtomicWriter)
        assert_type(await file.write(b"1"), int)
    assert_type(file.result, WriteResult)
    assert_type([chunk async for chunk in store.read("d/f")], list[bytes])
    async with await store.read_seekable("d/f") as stream:
        assert_type(stream, AsyncReadStream)
        assert_type(await stream.read(1), bytes)
    assert_type([chunk async for chunk in store.read("d/f", start=1, end=2, if_match="etag")], list[bytes])
    assert_type(await store.write("d/i", [b"1", b"2"], content_type="text/plain"), WriteResult)
    assert_type(await store.update("d/n", lambda content: content or b"0", attempts=3), WriteResult)
    assert_type(await store.sign("d/f", expires_in=60, method="PUT"), str)
    async with store.open_atomic("d/z", seekable=True) as file:
        assert_type(await file.seek(0), int)
        assert_type(await file.read(1), bytes)
        assert_type(await file.truncate(1), int)
    assert_type(await store.read_bytes("d/f"), bytes)
    assert_type(await store.read_text("d/f"), str)
    assert_type(await store.exists("d/f"), bool)
    assert_type(await store.get_file_info("d/f"), FileInfo)
    assert_type(await store.get_folder_info("d"), FolderInfo)
    assert_type([info async for info in store.list_files("d")], list[FileInfo])
    assert_type([entry async for entry in store.list_folders()], list[FolderEntry])
    assert_type([info async for info in store.glob("**")], list[FileInfo])
    assert_type(store.child("d"), AsyncStore)
    assert_type(store.backend, AsyncBackend)


async def use_backends(
    memory: AsyncMemoryBackend, local: AsyncLocalBackend, s3: AsyncS3Backend, other: AsyncFsspecBackend
) -> None:
    for backend in (memory, local, s3, other):
        assert_type(await backend.exists("f"), bool)
        assert_type([chunk async for chunk in backend.read("f")], list[bytes])
        assert_type(await backend.read_seekable("f"), AsyncReadStream)
        assert_type(await backend.read_bytes("f"), bytes)
        assert_type(await backend.write("f", chunks(), if_match="etag"), WriteResult)
        assert_type([info async for info in backend.list_files("d", recursive=True)], list[FileInfo])
        assert_type([entry async for entry in backend.walk_folders("d", 1)], list[FolderEntry])
        async with backend.open_atomic("f") as file:
            assert_type(file, AsyncAtomicWriter)


stores: list[AsyncStore] = [
    AsyncStore(AsyncMemoryBackend()),
    AsyncStore(MemoryBackend()),
    AsyncStore(SyncBackendAdapter(MemoryBackend())),
    AsyncStore(AsyncS3Backend("bucket"), "root"),
    AsyncStore(AsyncAzureBackend("container", account_name="lake"), "root"),
    AsyncStore.from_url("memory://typed"),
]
SyncBackendAdapter(AsyncMemoryBackend())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
