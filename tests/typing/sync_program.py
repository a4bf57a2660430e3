"""A user's program over a `Store` and backends, with the types that it should see."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, assert_type

from remote_store import (
    AsyncBackendSyncAdapter,
    AtomicWriter,
    Backend,
    Capability,
    CapabilitySet,
    FileInfo,
    FolderEntry,
    FolderInfo,
    FsspecBackend,
    RemotePath,
    ResolutionPlan,
    Store,
    WriteResult,
)
from remote_store.aio import AsyncMemoryBackend
from remote_store.backends import AzureBackend, LocalBackend, MemoryBackend, S3Backend


def use(store: Store) -> None:
    assert_type(store.write("d/f", b"123", metadata={"a": "b"}), WriteResult)
    assert_type(store.write(RemotePath("d/g"), io.BytesIO(b"123"), overwrite=True), WriteResult)
    assert_type(store.write_text("d/t", "123").etag, str | None)
    assert_type(store.write_atomic("d/f", b"123", if_match="etag").size, int)
    with store.open_atomic("d/h") as file:
        assert_type(file, AtomicWriter)
        assert_type(file.write(b"1"), int)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a", "b")
    assert_type(file.result, WriteResult)
    assert_type(file.result.size, int)
    with store.read("d/f") as stream:
        assert_type(stream, BinaryIO)
        assert_type(stream.read(1), bytes)
    assert_type(store.read_seekable("d/f"), BinaryIO)
    assert_type(store.read("d/f", start=1, end=2, if_match="etag"), BinaryIO)
    assert_type(store.write("d/i", (b"%d" % n for n in range(3)), content_type="text/plain"), WriteResult)
    assert_type(store.update("d/n", lambda content: content or b"0", attempts=3), WriteResult)
    assert_type(store.sign("d/f", expires_in=60, method="PUT"), str)
    with (
        store.open_atomic("d/z", seekable=True, content_type="text/plain") as writer,
        zipfile.ZipFile(writer, "w") as z,
    ):
        z.writestr("a", b"1")
    assert_type(writer.result, WriteResult)
    assert_type(store.read_bytes("d/f"), bytes)
    assert_type(store.read_text("d/f"), str)
    assert_type(store.read_range("d/f", 0, 1), bytes)
    assert_type(store.exists("d/f"), bool)
    assert_type(store.get_file_info("d/f"), FileInfo)
    assert_type(store.get_folder_info("d", max_depth=0), FolderInfo)
    assert_type(store.head("d/f"), WriteResult)
    assert_type(store.list_files("d", pattern="*.txt"), Iterator[FileInfo])
    assert_type(store.list_folders(), Iterator[FolderEntry])
    assert_type([entry.name for entry in store.iter_children()], list[str])
    assert_type([info.path for info in store.glob("**/*")], list[RemotePath])
    assert_type(store.resolve("d/f"), ResolutionPlan)
    assert_type(store.child("d"), Store)
    assert_type(store.backend, Backend)
    assert_type(store.root, str)
    assert_type(store.supports(Capability.READ), bool)
    assert_type(store.unwrap(str), str)


def use_local(backend: LocalBackend) -> None:
    assert_type(backend.name, str)
    assert_type(backend.capabilities, CapabilitySet)
    assert_type(backend.exists("f"), bool)
    assert_type(backend.read("f"), BinaryIO)
    assert_type(backend.read_seekable("f"), BinaryIO)
    assert_type(backend.read_bytes("f"), bytes)
    assert_type(backend.read_range("f", 0, 1, if_match="etag"), bytes)
    assert_type(backend.write("f", b"", overwrite=True, metadata={"a": "b"}, if_match="etag"), WriteResult)
    assert_type(backend.write_atomic("f", b""), WriteResult)
    with backend.open_atomic("f", if_match="etag") as file:
        assert_type(file, AtomicWriter)
    assert_type(backend.get_file_info("f"), FileInfo)
    assert_type(backend.get_folder_info("d"), FolderInfo)
    assert_type(backend.list_files("d", recursive=True, max_depth=1), Iterator[FileInfo])
    assert_type(backend.list_folders("d"), Iterator[FolderEntry])
    assert_type(backend.walk_folders("d", 1), Iterator[FolderEntry])
    assert_type(backend.iter_children("d"), Iterator[FileInfo | FolderEntry])
    assert_type(backend.glob("*"), Iterator[FileInfo])
    assert_type(backend.resolve("f"), ResolutionPlan)


def use_others(memory: MemoryBackend, s3: S3Backend, other: FsspecBackend, bridge: AsyncBackendSyncAdapter) -> None:
    for backend in (memory, s3, other, bridge):
        assert_type(backend.read_bytes("f"), bytes)
        assert_type(backend.write("f", b"", if_match="etag"), WriteResult)
        assert_type(backend.is_file("f"), bool)
        assert_type([info.size for info in backend.list_files("")], list[int])
    assert_type(bridge.read("f"), BinaryIO)


stores: list[Store] = [
    Store(MemoryBackend()),
    Store(S3Backend("bucket", region_name="eu-central-1"), "root"),
    Store(AzureBackend("container", "root", account_name="lake", hns=True)),
    Store(AsyncBackendSyncAdapter(AsyncMemoryBackend())),
    Store.from_url("memory://typed"),
]
Store(AsyncMemoryBackend())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Store(MemoryBackend()).write("f", "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
MemoryBackend().write("f", b"", contents=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
MemoryBackend().exists(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
