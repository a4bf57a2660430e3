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


class ForgetsContentTypes(Liar):
    def write(self, path: str, content: Any, *, content_type: Any = None, **options: Any) -> WriteResult:
        result: WriteResult = super().write(path, content, **options)
        return result


class SignsForAnother(Liar):
    def sign(self, path: str, **options: Any) -> str:
        return "data:,another"


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
    def read(self, path: str, **options: Any) -> Any:
        class Forward(io.BytesIO):
            def seekable(self) -> bool:
                return False

        with super().read(path, **options) as stream:
            return Forward(stream.read())


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

    def read(self, path: str, **options: Any) -> Any:
        with super().read(path, **options) as stream:
            return io.BytesIO(stream.read())


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
    Capability.CONTENT_TYPE: ForgetsContentTypes,
    Capability.SIGNED_URL: SignsForAnother,
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

    def read(self, path: str, **options: Any) -> Any:
        with super().read(path, **options) as stream:
            data = stream.read()
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


# --- lies about one rule


class KeepsContentTypes(Liar):
    """A file that is replaced keeps the content type it had."""

    def write(self, path: str, content: Any, *, overwrite: bool = False, **options: Any) -> WriteResult:
        if overwrite and "content_type" not in options and self.is_file(path):
            options["content_type"] = self.get_file_info(path).content_type
        result: WriteResult = super().write(path, content, overwrite=overwrite, **options)
        return result


class CopiesBareContent(Liar):
    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        super().write(dst, super().read_bytes(src), overwrite=overwrite)


class AtomicWithoutContentTypes(Liar):
    def write_atomic(self, path: str, content: Any, *, content_type: Any = None, **options: Any) -> WriteResult:
        result: WriteResult = super().write_atomic(path, content, **options)
        return result


class ReadsTheWhole(Liar):
    def read(self, path: str, *, start: int = 0, end: int | None = None, **options: Any) -> Any:
        return super().read(path, **options)


class ReadsToTheEnd(Liar):
    def read(self, path: str, *, end: int | None = None, **options: Any) -> Any:
        return super().read(path, **options)


class RangesOfNothing(Liar):
    """No bytes come from anything, missing files included."""

    def read(self, path: str, *, start: int = 0, end: int | None = None, **options: Any) -> Any:
        return io.BytesIO() if start == end else super().read(path, start=start, end=end, **options)


class ReadsAnyVersion(Liar):
    def read(self, path: str, *, if_match: Any = None, **options: Any) -> Any:
        return super().read(path, **options)


class SeeksInTheWholeFile(Liar):
    def read(self, path: str, *, start: int = 0, end: int | None = None, **options: Any) -> Any:
        stream = super().read(path, **options)
        stream.seek(start)
        return stream


class _Wrong:
    """A file of which one method does something else."""

    def __init__(self, file: Any, **methods: Any) -> None:
        self._file = file
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _OpensWrongly(Liar):
    @contextmanager
    def open_atomic(self, path: str, **options: Any) -> Iterator[Any]:
        with super().open_atomic(path, **options) as file:
            yield self.wrong(file)

    def wrong(self, file: Any) -> Any:
        raise NotImplementedError


class NeverGoesBack(_OpensWrongly):
    def wrong(self, file: Any) -> Any:
        return _Wrong(file, seek=lambda offset, whence=0: file.tell())


class ReadsNothingBack(_OpensWrongly):
    def wrong(self, file: Any) -> Any:
        return _Wrong(file, read=lambda size=-1: b"")


class TruncatesNothing(_OpensWrongly):
    def wrong(self, file: Any) -> Any:
        return _Wrong(file, truncate=lambda size=None: size)


class PublishesTheHalf(Liar):
    """A block that raises publishes what there is, if it may seek."""

    @contextmanager
    def open_atomic(self, path: str, *, seekable: bool = False, **options: Any) -> Iterator[Any]:
        error: BaseException | None = None
        with super().open_atomic(path, seekable=seekable, **options) as file:
            try:
                yield file
            except Exception as raised:
                error = raised
                if not seekable:
                    raise
        if error is not None:
            raise error


class SeeksOverFiles(Liar):
    def open_atomic(self, path: str, *, seekable: bool = False, overwrite: bool = False, **options: Any) -> Any:
        return super().open_atomic(path, seekable=seekable, overwrite=seekable or overwrite, **options)


class TakesOneChunk(Liar):
    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        data = content if isinstance(content, bytes) else content.read(1000)
        result: WriteResult = super().write(path, data, **options)
        return result


class TakesOneAtomicChunk(Liar):
    def write_atomic(self, path: str, content: Any, **options: Any) -> WriteResult:
        data = content if isinstance(content, bytes) else content.read(1000)
        result: WriteResult = super().write_atomic(path, data, **options)
        return result


class StopsWhereContentFails(Liar):
    """What the caller's content raises is the end of it."""

    def write(self, path: str, content: Any, **options: Any) -> WriteResult:
        pieces = []
        try:
            while not isinstance(content, bytes) and (piece := content.read(1 << 20)):
                pieces.append(piece)
        except Exception:
            content = b"".join(pieces)
        data = content if isinstance(content, bytes) else b"".join(pieces)
        result: WriteResult = super().write(path, data, **options)
        return result


class SignsNothing(Liar):
    def sign(self, path: str, **options: Any) -> str:
        return "data:,content"


LIARS_OF_RULES: list[tuple[type[Liar], str]] = [
    (ForgetsContentTypes, "a_content_type_is_kept"),
    (KeepsContentTypes, "a_content_type_goes_with_its_content"),
    (CopiesBareContent, "a_content_type_goes_along"),
    (AtomicWithoutContentTypes, "a_content_type_is_kept"),
    (ReadsTheWhole, "a_read_of_a_range_gives_it"),
    (ReadsToTheEnd, "a_read_of_a_range_gives_it"),
    (RangesOfNothing, "a_range_of_no_file_is_refused"),
    (ReadsAnyVersion, "if_match_reads_only_what_it_names"),
    (SeeksInTheWholeFile, "a_range_seeks_within_itself"),
    (NeverGoesBack, "a_seekable_writer_goes_back"),
    (ReadsNothingBack, "a_seekable_writer_reads_what_it_wrote"),
    (TruncatesNothing, "a_seekable_writer_truncates"),
    (PublishesTheHalf, "a_block_that_raises_publishes_nothing"),
    (SeeksOverFiles, "open_atomic_refuses_as_write_does"),
    (TakesOneChunk, "an_iterable_of_bytes_is_content"),
    (TakesOneAtomicChunk, "an_iterable_of_bytes_is_content"),
    (StopsWhereContentFails, "failing_content_leaves_nothing"),
    (StopsWhereContentFails, "text_is_no_content"),
    (IgnoresEtags, "racing_updates_all_count"),
    (IgnoresEtags, "update_gives_up_after_its_attempts"),
    (ForgetsContentTypes, "update_changes_the_content_alone"),
    (SignsForAnother, "a_signed_url_reads_its_file"),
    (SignsForAnother, "a_signed_url_writes_its_file"),
    (SignsNothing, "signing_needs_no_file"),
    (SignsNothing, "signing_refuses_in_order"),
]
"""Backends that break a rule, and its name."""


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
