"""Backends that declare every capability, and do not have one."""

from __future__ import annotations

import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from remote_store import Capability, CapabilitySet, WriteResult
from remote_store.backends import LocalBackend, MemoryBackend

EVERYTHING = CapabilitySet(Capability)


class Liar(MemoryBackend):
    """Memory, except for what a subclass does wrong."""

    @property
    def capabilities(self) -> CapabilitySet:
        return EVERYTHING


class ReadsWrongBytes(Liar):
    def read_bytes(self, path: str) -> bytes:
        return bytes(super().read_bytes(path))[::-1]


class DropsEmptyFiles(Liar):
    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        result: WriteResult = super().write(path, content, **options)
        if not result.size:
            super().delete(path)
        return result


class DeletesNothing(Liar):
    def delete_folder(self, path: str, **options: Any) -> None:
        pass


class ListsOneLevel(Liar):
    def list_files(self, path: str, **options: Any) -> Any:
        return super().list_files(path)


class GlobsLikeAShell(Liar):
    def glob(self, pattern: str) -> Any:
        return super().glob(pattern.replace("**/", ""))


class MovesByCopy(Liar):
    def move(self, src: str, dst: str, **options: Any) -> None:
        super().copy(src, dst, **options)


class CopiesOverFiles(Liar):
    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        super().copy(src, dst, overwrite=True)


class WritesInPlace(Liar):
    """What is written shows as it arrives."""

    def write_atomic(self, path: str, content: Any, *, overwrite: bool = False, **options: Any) -> WriteResult:
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        data = b""
        while piece := stream.read(1 << 20):
            data += piece
            result: WriteResult = super().write(path, data, overwrite=overwrite or len(data) > len(piece), **options)
        return result


class TellsWrongSizes(Liar):
    def get_file_info(self, path: str) -> Any:
        info = super().get_file_info(path)
        return replace(info, size=info.size + 1)


class ForgetsMetadata(Liar):
    def write(self, path: str, content: Any, *, metadata: Any = None, **options: Any) -> WriteResult:
        result: WriteResult = super().write(path, content, **options)
        return replace(result, metadata=metadata)


class IgnoresEtags(Liar):
    def write(self, path: str, content: Any, *, if_match: Any = None, **options: Any) -> WriteResult:
        result: WriteResult = super().write(path, content, **{**options, "overwrite": True} if if_match else options)
        return result


class MovesInTwoSteps(Liar):
    def move(self, src: str, dst: str, **options: Any) -> None:
        super().copy(src, dst, **options)
        time.sleep(0.002)  # What the next request of a real service takes; in memory nobody would get to look.
        super().delete(src)


class SeeksNowhere(Liar):
    def read(self, path: str) -> Any:
        class Forward(io.BytesIO):
            def seekable(self) -> bool:
                return False

        return Forward(super().read_bytes(path))


class InventsEtags(Liar):
    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        result: WriteResult = super().write(path, content, **options)
        return replace(result, etag="0" * 32)


class LooksThenWrites(Liar):
    """Two writers that look at the same time both write."""

    def write(self, path: str, content: Any, *, overwrite: bool = False, **options: Any) -> WriteResult:
        if "if_match" in options or (not overwrite and self.exists(path)):
            honest: WriteResult = super().write(path, content, **options)
            return honest
        data = content if isinstance(content, bytes) else content.read()
        result: WriteResult = super().write(path, data, overwrite=True, **options)
        return result


class FetchesFirst(LocalBackend):
    """Files that are read whole before the first byte is given out."""

    @property
    def capabilities(self) -> CapabilitySet:
        return CapabilitySet(set(super().capabilities) | {Capability.LAZY_READ})

    def read(self, path: str) -> Any:
        return io.BytesIO(super().read_bytes(path))


LIARS: dict[Capability, Callable[..., Any]] = {
    Capability.READ: ReadsWrongBytes,
    Capability.WRITE: DropsEmptyFiles,
    Capability.DELETE: DeletesNothing,
    Capability.LIST: ListsOneLevel,
    Capability.GLOB: GlobsLikeAShell,
    Capability.MOVE: MovesByCopy,
    Capability.COPY: CopiesOverFiles,
    Capability.ATOMIC_WRITE: WritesInPlace,
    Capability.METADATA: TellsWrongSizes,
    Capability.USER_METADATA: ForgetsMetadata,
    Capability.CONDITIONAL_WRITE: IgnoresEtags,
    Capability.ATOMIC_MOVE: MovesInTwoSteps,
    Capability.SEEKABLE_READ: SeeksNowhere,
    Capability.LAZY_READ: FetchesFirst,
    Capability.WRITE_RESULT_NATIVE: InventsEtags,
    Capability.EXCLUSIVE_CREATE: LooksThenWrites,
}


# --- lies that show only where there is much, or at one moment, or in one way of writing


class CutsLargeFiles(Liar):
    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        data = content if isinstance(content, bytes) else content.read()
        result: WriteResult = super().write(path, data[: 10 << 20], **options)
        return replace(result, size=len(data))


class CutsLargeCopies(Liar):
    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        super().copy(src, dst, overwrite=overwrite)
        if len(data := super().read_bytes(dst)) > 1 << 20:
            super().write(dst, data[: 1 << 20], overwrite=True)


class ListsOnePage(Liar):
    def list_files(self, path: str, **options: Any) -> Any:
        return itertools.islice(super().list_files(path, **options), 1000)


class MovesThroughNothing(Liar):
    """Where a move can be done, there is a moment without the file."""

    def move(self, src: str, dst: str, **options: Any) -> None:
        if not src.rpartition("/")[2].isdecimal() or super().exists(dst):
            super().move(src, dst, **options)
            return
        data = super().read_bytes(src)
        super().delete(src)
        time.sleep(0.002)
        super().write(dst, data)


class StreamsOverLateFiles(Liar):
    """Looks before it reads the content, and not again."""

    def write_atomic(self, path: str, content: Any, *, overwrite: bool = False, **options: Any) -> WriteResult:
        if overwrite or super().exists(path):
            kept: WriteResult = super().write_atomic(path, content, overwrite=overwrite, **options)
            return kept
        result: WriteResult = super().write_atomic(path, content, overwrite=True, **options)
        return result


class OpensOverLateFiles(Liar):
    """Looks when a block begins, and not when it ends."""

    def open_atomic(self, path: str, *, overwrite: bool = False, **options: Any) -> Any:
        return super().open_atomic(path, overwrite=overwrite or not super().exists(path), **options)


class FetchesFirstAndHangsUp(Liar):
    """Everything comes at once, over a connection that is gone then."""

    def read(self, path: str) -> Any:
        data = super().read_bytes(path)
        with socket.create_server(("127.0.0.1", 0)) as server:
            sender = threading.Thread(target=_send, args=(server, data))
            sender.start()
            with socket.create_connection(server.getsockname()) as connection, connection.makefile("rb") as file:
                received = file.read()
            sender.join()
        return io.BytesIO(received)


def _send(server: socket.socket, data: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(data)


SUBTLE_LIARS: list[tuple[type[Liar], Capability]] = [
    (CutsLargeFiles, Capability.WRITE),
    (CutsLargeCopies, Capability.COPY),
    (ListsOnePage, Capability.LIST),
    (MovesThroughNothing, Capability.ATOMIC_MOVE),
    (StreamsOverLateFiles, Capability.EXCLUSIVE_CREATE),
    (OpensOverLateFiles, Capability.EXCLUSIVE_CREATE),
    (FetchesFirstAndHangsUp, Capability.LAZY_READ),
]


@contextmanager
def interrupted(backend: Any, method: str, after: int, error: type[BaseException]) -> Iterator[None]:
    """Let a method of a backend raise an interrupt at one of its calls."""
    original, calls = getattr(backend, method), 0

    def call(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == after:
            raise error
        return original(*args, **options)

    setattr(backend, method, call)
    try:
        yield
    finally:
        delattr(backend, method)
