"""Open files of a store's filesystem: whole or not at all, one version or an error."""

from __future__ import annotations

import contextlib
import gc
import io
import pickle
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from filesystems import Limited
from fsspec.core import OpenFile, OpenFiles
from helpers.deadline import DEADLINE
from servers.s3 import BUCKET, S3Server, client

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    CapabilityNotSupported,
    InvalidPath,
    NotFound,
    PreconditionFailed,
    Store,
)
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend

MIB = 1 << 20


class Boom(Exception):
    """What a block raises."""


def keys(fs: Any) -> set[str]:
    return {str(file.path) for file in fs.store.list_files(recursive=True)}


# --- writing


def plain(fs: Any, key: str) -> Any:
    return fs.open(key, "wb")


def exclusive(fs: Any, key: str) -> Any:
    return fs.open(key, "xb")


def text(fs: Any, key: str) -> Any:
    return fs.open(key, "w")


def gzipped(fs: Any, key: str) -> Any:
    return fs.open(key, "wb", compression="gzip")


def gzipped_text(fs: Any, key: str) -> Any:
    return fs.open(key, "wt", compression="gzip")


def zipped(fs: Any, key: str) -> Any:
    return fs.open(key, "wb", compression="zip")


def bzipped(fs: Any, key: str) -> Any:
    return fs.open(key, "wb", compression="bz2")


def open_file(fs: Any, key: str) -> Any:
    return OpenFile(fs, key, "wb")


def open_text_file(fs: Any, key: str) -> Any:
    return OpenFile(fs, key, "w")


def open_gzipped_file(fs: Any, key: str) -> Any:
    return OpenFile(fs, key, "wt", compression="gzip")


def closing(fs: Any, key: str) -> Any:
    return contextlib.closing(fs.open(key, "wb"))


@contextlib.contextmanager
def open_files(fs: Any, key: str) -> Iterator[Any]:
    with OpenFiles([OpenFile(fs, key, "wb")], mode="wb", fs=fs) as files:
        yield files[0]


@contextlib.contextmanager
def stacked(fs: Any, key: str) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(fs.open(key, "w"))


WAYS = (plain, exclusive, text, gzipped, gzipped_text, zipped, bzipped, open_file, open_text_file)
WAYS += (open_gzipped_file, closing, open_files, stacked)


def write_to(file: Any, data: str) -> None:
    file.write(data if isinstance(file, io.TextIOBase) else data.encode())


def interrupt(opened: Any, data: str) -> None:
    """Write to a file in a block that raises."""
    with opened as file:
        write_to(file, data)
        raise Boom


@pytest.mark.parametrize("way", WAYS)
def test_a_block_publishes_when_it_ends(way: Callable[[Any, str], Any], fs: Any) -> None:
    with way(fs, "d/f") as file:
        write_to(file, "some ")
        assert keys(fs) == set()
        write_to(file, "content")
    assert keys(fs) == {"d/f"}
    codec = "gzip" if "gzip" in way.__name__ else {zipped: "zip", bzipped: "bz2"}.get(way)
    with fs.open("d/f", compression=codec) as file:
        assert file.read() == b"some content"


@pytest.mark.parametrize(("way", "size"), [*((way, 10) for way in WAYS), (plain, 9 * MIB), (open_file, 9 * MIB)])
def test_a_block_that_raises_publishes_nothing(way: Callable[[Any, str], Any], size: int, fs: Any) -> None:
    if way is not exclusive:
        fs.pipe_file("d/f", b"old")
    before = keys(fs)
    with pytest.raises(Boom):
        interrupt(way(fs, "d/f"), random.Random(7).randbytes(size // 2).hex())
    gc.collect()
    assert keys(fs) == before
    if before:
        assert fs.cat_file("d/f") == b"old"


def test_nothing_of_a_failed_block_stays_on_s3(moto_server: S3Server) -> None:
    prefix = moto_server.fresh_prefix()
    with Store(S3Backend(BUCKET, prefix, part_size=5 * MIB, **moto_server.options)) as store, pytest.raises(Boom):
        interrupt(store.to_fsspec().open("f", "wb"), "x" * (11 * MIB))
    uploads = client(moto_server).list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert not [upload for upload in uploads if upload["Key"].startswith(prefix)]


@pytest.mark.parametrize("way", [plain, text, gzipped, gzipped_text, zipped])
def test_a_forgotten_writer_publishes_nothing(way: Callable[[Any, str], Any], fs: Any) -> None:
    def forget() -> None:
        write_to(way(fs, "f"), "half")
        gc.collect()

    with pytest.warns(ResourceWarning, match="nothing was published"):
        forget()
    gc.collect()
    assert keys(fs) == set()


@pytest.mark.parametrize("wrapper", [io.TextIOWrapper, io.BufferedWriter, lambda file: text_over_buffer(file)])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_forgotten_wrapper_publishes_nothing(wrapper: Any, compression: str | None, fs: Any) -> None:
    def forget() -> None:
        file = wrapper(fs.open("f", "wb", compression=compression))
        write_to(file, "half")

    with pytest.warns(ResourceWarning, match="nothing was published"):
        forget()
    assert keys(fs) == set()
    with wrapper(fs.open("f", "wb", compression=compression)) as file:
        write_to(file, "whole")
    wrapper(fs.open("g", "wb", compression=compression)).close()
    assert fs.open("f", compression=compression).read() == b"whole"
    assert keys(fs) == {"f", "g"}


def text_over_buffer(file: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(file))


def test_what_closes_itself_while_a_block_raises_is_published(fs: Any) -> None:
    class Job:
        def __init__(self) -> None:
            self.log = fs.open("log", "w")

        def close(self) -> None:
            self.log.write("ended")
            self.log.close()

    with pytest.raises(Boom), contextlib.closing(Job()):
        raise Boom
    assert fs.cat_file("log") == b"ended"


def test_closing_by_hand_publishes_even_while_an_error_is_handled(fs: Any) -> None:
    file = fs.open("f", "wb")
    try:
        raise Boom
    except Boom:
        file.write(b"all of it")
        file.close()
    assert fs.cat_file("f") == b"all of it"

    class Log:
        def __enter__(self) -> Any:
            self.file = fs.open("log", "wb")
            return self.file

        def __exit__(self, *exc_info: object) -> None:
            self.file.write(b"failed")
            self.file.close()

    with pytest.raises(Boom), Log():
        raise Boom
    assert fs.cat_file("log") == b"failed"


def test_a_report_of_an_error_is_published(fs: Any) -> None:
    def report(*exc_info: object) -> None:
        with fsspec.core.OpenFile(fs, "with", "wb") as file:
            file.write(b"1")
        file = fs.open("by hand", "wb")
        file.write(b"2")
        file.close()

    with pytest.raises(Boom), contextlib.closing(Closes(report)):
        raise Boom
    assert (fs.cat_file("with"), fs.cat_file("by hand")) == (b"1", b"2")


class Closes:
    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close


def test_a_writer_that_failed_publishes_nothing(fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fs.open("f", "w")
    file.write("x" * 100)
    monkeypatch.setattr(file.buffer, "_file", Failing())
    with pytest.raises(BackendUnavailable):
        file.close()
    assert file.closed
    assert keys(fs) == set()
    file = fs.open("f", "wb", compression="gzip")
    file.write(b"x")
    monkeypatch.setattr(file._file, "_file", Failing())
    with pytest.raises(BackendUnavailable):
        file.close()
    file._file.close()
    assert keys(fs) == set()


def test_a_codec_that_failed_publishes_nothing(fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def close() -> None:
        monkeypatch.undo()
        raise Boom

    file = fs.open("f", "wb", compression="gzip")
    file.write(b"x")
    monkeypatch.setattr(file._codec, "close", close)
    with pytest.raises(Boom):
        file.close()
    file.close()
    assert keys(fs) == set()


class Failing:
    def write(self, data: bytes) -> int:
        raise BackendUnavailable("gone", path="f")


def test_writers_are_files(fs: Any) -> None:
    file = fs.open("d/f", "wb", metadata={"k": "v"})
    assert (file.path, file.mode, file.writable(), file.readable(), file.seekable()) == (
        "d/f",
        "wb",
        True,
        False,
        False,
    )
    assert file.write(memoryview(b"123")) == 3
    assert file.write(bytearray(b"45")) == 2
    assert file.tell() == 5
    file.flush()
    file.close()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"6")
    assert fs.cat_file("d/f") == b"12345"
    assert fs.info("d/f")["metadata"] == {"k": "v"}
    file = fs.open("d/f", "wb")
    file.discard()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"6")
    assert fs.cat_file("d/f") == b"12345"
    fs.open("empty", "wb").close()
    assert fs.cat_file("empty") == b""
    fs.write_text("t", "grüße\n", encoding="latin-1", newline="\r\n")
    assert fs.cat_file("t") == "grüße\r\n".encode("latin-1")
    assert fs.read_text("t", encoding="latin-1") == "grüße\n"


@pytest.mark.parametrize("encoding", ["utf-16", "UTF_32", "utf-8-sig", "utf-16-le", "utf-8"])
def test_text_begins_with_the_mark_of_its_encoding(encoding: str, fs: Any) -> None:
    fs.write_text("f", "grüße", encoding=encoding)
    assert fs.cat_file("f") == "grüße".encode(encoding)
    assert fs.read_text("f", encoding=encoding) == "grüße"


@pytest.mark.parametrize("mode", ["ab", "a", "w+b", "r+", "r+b"])
def test_other_modes_are_refused(mode: str, fs: Any) -> None:
    fs.pipe_file("f", b"old")
    with pytest.raises(NotImplementedError, match="mode"):
        fs.open("f", mode)
    assert fs.cat_file("f") == b"old"


def test_options_that_would_change_what_is_meant_are_refused(fs: Any) -> None:
    fs.pipe_file("f", b"old")
    fs.open("f", "wb", cache_type="none", block_size=1, size=1).discard()
    with pytest.raises(NotImplementedError):
        fs.open("f", version_id="1")
    with pytest.raises(ValueError, match="none such"):
        fs.open("f", "wb", compression="none such")
    assert fs.cat_file("f") == b"old"


def test_exclusive_creation_is_refused_early(fs: Any) -> None:
    fs.pipe_file("f", b"old")
    with pytest.raises(AlreadyExists):
        fs.open("f", "xb")
    with pytest.raises(FileExistsError):
        fs.open("f", "x")
    assert fs.cat_file("f") == b"old"


def test_exclusive_creation_is_refused_late(fs: Any) -> None:
    file = fs.open("f", "xb")
    file.write(b"late")
    fs.pipe_file("f", b"first")
    with pytest.raises(FileExistsError):
        file.close()
    assert file.closed
    assert fs.cat_file("f") == b"first"


def test_exclusive_creation_has_one_winner(fs: Any) -> None:
    gate, won = threading.Barrier(8), []

    def contend(number: int) -> None:
        file = fs.open("f", "xb")
        file.write(b"%d" % number)
        gate.wait(DEADLINE)
        with contextlib.suppress(FileExistsError):
            file.close()
            won.append(number)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [b"%d" % number for number in won] == [fs.cat_file("f")]


def test_folders_are_no_files(fs: Any) -> None:
    fs.pipe_file("d/f", b"")
    with pytest.raises(InvalidPath) as caught:
        fs.open("d")
    assert isinstance(caught.value, IsADirectoryError)
    with pytest.raises(NotFound):
        fs.open("none")
    if fs.backend_name != "s3":
        with pytest.raises(IsADirectoryError):
            fs.open("d", "wb")
        with pytest.raises(NotADirectoryError):
            fs.open("d/f/g", "wb")
        assert keys(fs) == {"d/f"}


def test_without_atomic_writes_content_is_spooled() -> None:
    fs = Store(Limited(Capability.ATOMIC_WRITE)).to_fsspec()
    with pytest.raises(Boom):
        interrupt(fs.open("f", "wb"), "half")
    assert keys(fs) == set()
    with fs.open("f", "xb", metadata={"k": "v"}) as file:
        file.write(b"whole")
    fs.pipe_file("g", b"1")
    assert fs.cat(["f", "g"]) == {"f": b"whole", "g": b"1"}
    assert fs.info("f")["metadata"] == {"k": "v"}
    with pytest.raises(FileExistsError):
        fs.open("f", "xb")


def test_a_conditional_write(fs: Any) -> None:
    fs.pipe_file("f", b"1")
    if not fs.store.supports(Capability.CONDITIONAL_WRITE):
        for write in (lambda: fs.open("f", "wb", if_match="0"), lambda: fs.pipe_file("f", b"2", if_match="0")):
            with pytest.raises(CapabilityNotSupported):
                write()
        return
    etag = fs.info("f")["etag"]
    with fs.open("f", "wb", if_match=etag) as file:
        file.write(b"2")
    with pytest.raises(PreconditionFailed):
        fs.pipe_file("f", b"3", if_match=etag)
    assert fs.cat_file("f") == b"2"


# --- transactions


def test_a_transaction_publishes_together(fs: Any, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"4")
    with fs.transaction:
        with fs.open("open", "wb") as file:
            file.write(b"1")
        with fs.open("text", "w") as file:
            file.write("2")
        fs.pipe_file("piped", b"3")
        fs.put_file(str(tmp_path / "local"), "put")
        fs.touch("touched")
        with pytest.raises(Boom):
            interrupt(fs.open("failed", "wb"), "half")
        assert keys(fs) == set()
    assert fs.cat(["open", "text", "piped", "put", "touched"]) == {
        "open": b"1",
        "text": b"2",
        "piped": b"3",
        "put": b"4",
        "touched": b"",
    }
    assert keys(fs) == {"open", "text", "piped", "put", "touched"}
    fs.pipe_file("after", b"5")
    assert fs.cat_file("after") == b"5"


def test_a_transaction_that_fails_publishes_nothing(fs: Any) -> None:
    def fail() -> None:
        with fs.transaction:
            fs.pipe_file("piped", b"new")
            with fs.open("open", "xb") as file:
                file.write(b"1")
            raise Boom

    fs.pipe_file("piped", b"old")
    with pytest.raises(Boom):
        fail()
    assert keys(fs) == {"piped"}
    assert fs.cat_file("piped") == b"old"


def test_a_conflict_ends_a_transaction(fs: Any) -> None:
    transaction = fs.transaction
    transaction.start()
    fs.pipe_file("a", b"1", mode="create")
    fs.pipe_file("b", b"1")
    fs.store.write("a", b"other")
    with pytest.raises(FileExistsError):
        transaction.complete()
    assert not fs._intrans
    assert keys(fs) == {"a"}
    assert fs.cat_file("a") == b"other"


def test_what_was_discarded_cannot_be_published(fs: Any) -> None:
    fs.pipe_file("f", b"old")
    file = fs.open("f", "wb", autocommit=False)
    file.write(b"new")
    file.discard()
    for _ in range(2):
        with pytest.raises(ValueError, match="'f' was discarded"):
            file.commit()
    assert fs.cat_file("f") == b"old"
    with fs.transaction:
        fs.open("f", "wb").discard()
        with fs.open("g", "wb") as kept:
            kept.write(b"1")
    assert (fs.cat_file("f"), fs.cat_file("g")) == (b"old", b"1")


def test_what_is_still_open_when_a_transaction_ends_is_not_published(fs: Any) -> None:
    transaction = fs.transaction
    transaction.start()
    fs.pipe_file("a", b"1")
    file = fs.open("b", "w")
    file.write("half")
    with pytest.raises(ValueError, match="still open"):
        transaction.complete()
    assert file.closed
    assert keys(fs) == {"a"}


def test_failing_to_open_is_not_forgetting(fs: Any, recwarn: pytest.WarningsRecorder) -> None:
    fs.pipe_file("f", b"")
    for _ in range(2):
        with pytest.raises(FileExistsError):
            fs.open("f", "x")
    with pytest.raises(InvalidPath):
        fs.open("../f", "w")
    gc.collect()
    assert not recwarn


# --- reading


def test_readers_are_files(fs: Any) -> None:
    fs.pipe_file("f", b"one\ntwo\n" + bytes(600_000) + b"\nend")
    with fs.open("f") as file:
        assert file.readline() == b"one\n"
        assert next(file) == b"two\n"
        assert file.tell() == 8
        assert file.seek(-3, 2) == 600_009
        assert file.read() == b"end"
        assert file.read(1) == b""
        file.seek(0)
        buffer = bytearray(3)
        assert file.readinto(buffer) == 3
        assert buffer == b"one"
        assert file.size == 600_012
        assert file.info()["name"] == "f"
    assert file.closed
    with fs.open("f", "r") as lines:
        assert [len(line) for line in lines] == [4, 4, 600_001, 3]
    fs.pipe_file("empty", b"")
    assert fs.open("empty").read() == b""


def test_an_open_reader_can_be_pickled(tmp_path: Path) -> None:
    fs = Store(LocalBackend(tmp_path)).to_fsspec()
    fs.pipe_file("f", b"0123456789")
    with fs.open("f") as file:
        file.seek(4)
        with pickle.loads(pickle.dumps(file)) as again:
            assert again.read() == b"456789"


@pytest.mark.parametrize("size", [0, 500, 999, 1000, 1001, 2000])
def test_a_file_replaced_while_it_is_read_is_an_error(size: int, s3: Store) -> None:
    fs = s3.to_fsspec()
    fs.pipe_file("f", b"a" * 1000)
    for read_before in (0, 10):
        with fs.open("f", block_size=100) as file:
            assert file.read(read_before) == b"a" * read_before
            fs.pipe_file("f", b"b" * size)
            file.seek(600)
            with pytest.raises(PreconditionFailed, match="replaced"):
                file.read()
        fs.pipe_file("f", b"a" * 1000)


@pytest.mark.parametrize("make", [lambda folder: LocalBackend(folder), lambda folder: MemoryBackend()])
def test_nearby_a_reader_stays_with_its_version(make: Any, tmp_path: Path) -> None:
    fs = Store(make(tmp_path)).to_fsspec()
    fs.pipe_file("f", b"a" * MIB)
    with fs.open("f", block_size=100) as file:
        assert file.read(10) == b"a" * 10
        fs.pipe_file("f", b"b" * MIB)
        assert file.read() == b"a" * (MIB - 10)
    with fs.open("f", block_size=100) as file:
        fs.pipe_file("f", b"b" * 10)
        with pytest.raises(PreconditionFailed, match="replaced"):
            file.read()


@pytest.mark.parametrize("cache_type", ["windows", "readahead", "none", "bytes", "all", "blockcache", "first"])
def test_caches_of_fsspec_work(cache_type: str, fs: Any) -> None:
    data = random.Random(7).randbytes(100_000)
    fs.pipe_file("f", data)
    with fs.open("f", block_size=1000, cache_type=cache_type) as file:
        for start, length in ((0, 10), (99_000, 2_000), (50_000, 5_000), (49_000, 2_000), (0, 100_000)):
            file.seek(start)
            assert file.read(length) == data[start : start + length]


@pytest.mark.parametrize("size", [2, 4])
def test_a_size_that_is_not_that_of_the_file_is_told(size: int, fs: Any) -> None:
    fs.pipe_file("f", b"123")
    with (
        fs.open("f", size=size) as file,
        pytest.raises(PreconditionFailed, match=f"does not have the {size} bytes that open.. was told") as caught,
    ):
        file.read()
    assert caught.value.path == "f"


def test_a_known_size_saves_a_request(s3: Store, moto_server: S3Server) -> None:
    fs = s3.to_fsspec()
    fs.pipe_file("f", b"123")
    before = len(moto_server.requests)
    with fs.open("f", size=3) as file:
        assert file.read() == b"123"
    assert len(moto_server.requests) == before + 1
