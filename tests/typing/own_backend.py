"""A backend that a user writes, and a wrapper's class, as type checkers see them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import BinaryIO, assert_type

from remote_store import Backend, Capability, CapabilitySet, FileInfo, FolderEntry, FolderInfo, Store, WriteResult


class Mine(Backend):
    @property
    def name(self) -> str:
        return "mine"

    @property
    def capabilities(self) -> CapabilitySet:
        return CapabilitySet({Capability.READ})

    def exists(self, path: str) -> bool:
        return False

    is_file = is_folder = exists

    def read(self, path: str) -> BinaryIO:
        return io.BytesIO()

    def read_bytes(self, path: str) -> bytes:
        return b""

    def write(
        self,
        path: str,
        content: bytes | BinaryIO,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteResult:
        raise NotImplementedError

    write_atomic = write

    def delete(self, path: str, *, missing_ok: bool = False) -> None:
        raise NotImplementedError

    def delete_folder(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        raise NotImplementedError

    def list_files(self, path: str, *, recursive: bool = False, max_depth: int | None = None) -> Iterator[FileInfo]:
        return iter(())

    def list_folders(self, path: str) -> Iterator[FolderEntry]:
        return iter(())

    def get_file_info(self, path: str) -> FileInfo:
        raise NotImplementedError

    def get_folder_info(self, path: str) -> FolderInfo:
        raise NotImplementedError

    def move(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        raise NotImplementedError

    copy = move


class Incomplete(Backend):
    pass


with Store(Mine()) as store:
    assert_type(store.read_bytes("f"), bytes)
Incomplete()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]
