"""`read(start=, end=, if_match=)` where a filesystem, or a backend, knows nothing of ranges."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from helpers.kinds import unknown_filesystem

from remote_store import FsspecBackend, NotFound, PreconditionFailed, Store
from remote_store.aio import AsyncMemoryBackend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend

DATA = bytes(range(256)) * 10_000
RANGES = [(0, 10), (1_000_000, 2_000_000), (5, 5), (2_559_999, None), (9_999_999, None), (0, 9_999_999)]


class Forward(io.BytesIO):
    """Goes nowhere but on."""

    def seekable(self) -> bool:
        return False

    def seek(self, *args: Any) -> int:
        raise io.UnsupportedOperation("seek")


class Lying(io.BytesIO):
    """Says that it seeks, and stays."""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.tell()


class Untyped(io.BytesIO):
    """Seeks, and does not say where to."""

    def seek(self, offset: int, whence: int = 0) -> None:  # type: ignore[override]
        super().seek(offset, whence)


@pytest.mark.parametrize("file", [io.BytesIO, Forward, Lying, Untyped])
@pytest.mark.parametrize(("start", "end"), RANGES)
def test_files_of_unknown_filesystems_need_not_seek(file: type[io.BytesIO], start: int, end: int | None) -> None:
    fs = unknown_filesystem()
    fs.open = lambda path, mode, **options: file(DATA)
    store = Store(FsspecBackend(fs))
    store.write("f", DATA)
    with store.read("f", start=start, end=end) as stream:
        assert not stream.seekable()
        assert stream.read() == DATA[start:end]


def test_a_file_that_seeks_is_not_read_up_to_the_range() -> None:
    fs, asked = unknown_filesystem(), list[int]()

    class Noting(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    fs.open = lambda path, mode, **options: Noting(DATA)
    store = Store(FsspecBackend(fs))
    store.write("f", DATA)
    with store.read("f", start=2_500_000, end=2_500_010) as stream:
        assert stream.read() == DATA[2_500_000:2_500_010]
    assert asked == [10]


class Simple(MemoryBackend):
    """Its `read` takes a path alone, as before there were ranges."""

    def read(self, path: str) -> BinaryIO:  # type: ignore[override]
        return io.BytesIO(super().read_bytes(path))


class SimpleForward(MemoryBackend):
    def read(self, path: str) -> BinaryIO:  # type: ignore[override]
        return Forward(super().read_bytes(path))


class SimpleAsync(AsyncMemoryBackend):
    async def read(self, path: str) -> AsyncIterator[bytes]:  # type: ignore[override]
        data = await super().read_bytes(path)
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]


@pytest.mark.parametrize("make", [Simple, SimpleForward])
@pytest.mark.parametrize(("start", "end"), RANGES)
def test_a_backend_whose_read_takes_a_path_alone_gives_ranges(
    make: Callable[[], Any], start: int, end: int | None
) -> None:
    store = Store(make())
    store.write("f", DATA)
    with store.read("f", start=start, end=end) as stream:
        assert stream.read() == DATA[start:end]
    with store.read("f") as whole:
        assert whole.read() == DATA


@pytest.mark.parametrize(("start", "end"), RANGES)
async def test_so_does_an_asynchronous_one(start: int, end: int | None) -> None:
    store = AsyncStore(SimpleAsync())
    await store.write("f", DATA)
    assert b"".join([chunk async for chunk in store.read("f", start=start, end=end)]) == DATA[start:end]


async def test_such_a_backend_reads_only_the_file_that_is_named() -> None:
    store, later = Store(Simple()), AsyncStore(SimpleAsync())
    for etag, read in (
        (store.write("f", b"01").etag, lambda path, **options: store.read(path, **options).read()),
        ((await later.write("f", b"01")).etag, None),
    ):
        if read is not None:
            assert read("f", start=1, if_match=etag) == b"1"
            for path, other in (("f", "0" + str(etag)), ("missing", etag)):
                with pytest.raises(PreconditionFailed):
                    read(path, start=1, if_match=other)
        else:
            assert [chunk async for chunk in later.read("f", start=1, if_match=etag)] == [b"1"]
            for path, other in (("f", "0" + str(etag)), ("missing", etag)):
                with pytest.raises(PreconditionFailed):
                    [chunk async for chunk in later.read(path, start=1, if_match=other)]


def test_a_stream_of_a_range_closes_what_is_underneath() -> None:
    opened: list[io.BytesIO] = []

    class Noting(Simple):
        def read(self, path: str) -> BinaryIO:  # type: ignore[override]
            opened.append(io.BytesIO(MemoryBackend.read_bytes(self, path)))
            return opened[-1]

    store = Store(Noting())
    store.write("f", b"0123")
    with store.read("f", start=1, end=3) as stream:
        assert (stream.seek(-1, 2), stream.read(), stream.tell()) == (1, b"2", 2)
        with pytest.raises(OSError, match="negative seek"):
            stream.seek(-1)
    with pytest.raises(PreconditionFailed):
        store.read("f", if_match="other")
    assert all(file.closed for file in opened)
    assert len(opened) == 2


def test_a_range_before_its_start_is_an_error_and_leaves_the_place(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    store.write("f", b"0123456789")
    with store.read("f", start=2, end=8) as stream:
        assert stream.read(2) == b"23"
        for offset, whence in ((-1, 0), (-7, 2), (-3, 1)):
            with pytest.raises(OSError, match="negative seek"):
                stream.seek(offset, whence)
        assert stream.read() == b"4567"


@pytest.mark.parametrize("start", [1 << 44, (1 << 63) - 1, 1 << 80])
def test_a_range_far_beyond_the_end_is_empty(start: int, tmp_path: Path) -> None:
    for store in (Store(LocalBackend(tmp_path)), Store(MemoryBackend())):
        store.write("f", b"0123456789")
        for end in (None, start + 5):
            with store.read("f", start=start, end=end) as stream:
                assert stream.read() == b""
        assert store.read_range("f", start, start + 5) == b""


def test_only_whole_numbers_are_places(tmp_path: Path) -> None:
    for store in (Store(LocalBackend(tmp_path)), Store(MemoryBackend())):
        store.write("f", b"0123456789")
        for wrong in (True, 1.0, "1", None):
            for call in (lambda: store.read("f", start=wrong), lambda: store.read_range("f", wrong, 5)):  # noqa: B023
                with pytest.raises(TypeError, match="whole numbers"):
                    call()
        with pytest.raises(TypeError, match="whole numbers"):
            store.read("f", end=5.0)  # type: ignore[arg-type]


def test_an_etag_is_one_and_ends_no_header() -> None:
    store = Store(MemoryBackend())
    etag = store.write("f", b"1").etag
    for wrong in (f'x", "{etag}', f"{etag}\r\nX: y", f'W/"{etag}"'):
        for call in (lambda: store.read("f", if_match=wrong), lambda: store.write("f", b"2", if_match=wrong)):  # noqa: B023
            with pytest.raises(ValueError, match="if_match must be one etag"):
                call()
    assert store.read("f", if_match=f'"{etag}"').read() == b"1"


def test_a_missing_file_is_told_at_once() -> None:
    store = Store(Simple())
    with pytest.raises(NotFound):
        store.read("missing", start=5)


@pytest.mark.parametrize(("start", "end"), [(2.0, None), (0, 2.0), ("1", None), (None, 1)])
def test_bounds_are_whole_numbers(start: Any, end: Any) -> None:
    store = Store(MemoryBackend())
    store.write("a", b"0123")
    with pytest.raises(TypeError, match="whole numbers"):
        store.read("a", start=start, end=end)
    with pytest.raises(TypeError, match="whole numbers"):
        store.read_range("a", start, 3 if end is None else end)
