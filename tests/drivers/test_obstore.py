"""Filesystems of obstore: conditions, names, errors and lost replies, in memory and on S3."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import pickle
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.s3 import BUSY, DENIED, MIB, UNMET, content_of, is_request, keys, put
from servers.gcs import GcsServer
from servers.ports import free_port
from servers.s3 import BUCKET, KEY, SECRET, S3Server, hang_up, refusal

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    Capability,
    FsspecBackend,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    StorageFull,
    Store,
)
from remote_store.aio import AsyncFsspecBackend, AsyncStore
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.registry import driver_for

obstore_fsspec = pytest.importorskip("obstore.fsspec")
FsspecStore: Any = obstore_fsspec.FsspecStore


def filesystem(protocol: str, endpoint: str = "", **options: Any) -> Any:
    if endpoint:
        options |= {"endpoint": endpoint, "access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1"}
        options |= {"client_options": {"allow_http": True}, "retry_config": {"max_retries": 1}}
    return FsspecStore(protocol, skip_instance_cache=True, **options)


def on_s3(server: S3Server, root: str, **options: Any) -> Store:
    return Store(FsspecBackend(filesystem("s3", server.endpoint, **options), f"{BUCKET}/{root}"))


@pytest.fixture
def memory() -> Store:
    return Store(FsspecBackend(filesystem("memory"), "root"))


@pytest.fixture
def prefix(moto_server: S3Server) -> str:
    moto_server.requests.clear()
    return moto_server.fresh_prefix()


# --- names


@pytest.mark.parametrize("name", ["a\x01b", "a\nb", "a\x7f", "half\ud800"])
def test_names_that_obstore_cannot_spell_are_refused_before_it_is_asked(memory: Store, name: str) -> None:
    driver: Any = memory._backend.driver
    driver.wire._store = None
    for call in (memory.read_bytes, memory.exists, memory.delete, lambda key: memory.write(key, b"1")):
        with pytest.raises(InvalidPath):
            call(f"d/{name}")


ODD = [
    "a%b",
    "a%2Fb",
    "a%252Fb",
    "ä/ö",
    "e\u0301",
    " lead",
    "trail ",
    "a#?b",
    "*[a]",
    "...",
    "a..b",
    "~",
    "a<b>|",
    "\xa0",
]


@pytest.mark.parametrize("where", ["memory", "s3"])
def test_odd_names_are_literal(where: str, memory: Store, moto_server: S3Server, prefix: str) -> None:
    store = memory if where == "memory" else on_s3(moto_server, f"{prefix}/in %2F ner")
    for name in ODD:
        store.write(name, name.encode())
    assert {str(file.path): store.read_bytes(file.path) for file in store.list_files(recursive=True)} == {
        name: name.encode() for name in ODD
    }
    store.copy("a%2Fb", "a%2Fc")
    store.move("a%2Fc", "d/a%b")
    assert store.read_bytes("d/a%b") == b"a%2Fb"
    assert store.read_bytes("a%b") == b"a%b"


def test_a_listing_with_a_name_that_obstore_cannot_spell_fails_and_says_so(moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)
    put(moto_server, prefix, "d//f", b"1")
    put(moto_server, prefix, "e/f", b"1")
    with pytest.raises(RemoteStoreError, match="cannot spell"):
        list(store.list_files("d"))
    assert [file.name for file in store.list_files("e")] == ["f"]


def test_the_marker_of_a_folder_is_no_file(moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)
    for key, data in (("mark/", b""), ("mark", b"a file beside it"), ("full/", b""), ("full/f", b"1")):
        put(moto_server, prefix, key, data)
    assert store.is_folder("mark")
    assert list(store.iter_children("mark")) == []
    assert list(store.list_files("mark", recursive=True)) == []
    assert [file.name for file in store.list_files("full")] == ["f"]
    with pytest.raises(RemoteStoreError, match="marks the folder"):
        store.delete_folder("full", recursive=True)
    with pytest.raises(RemoteStoreError, match="marks the folder"):
        store.delete_folder("mark")
    assert content_of(moto_server, prefix, "mark") == b"a file beside it"


def test_names_in_memory_may_be_long(memory: Store) -> None:
    memory.write("x" * 2000, b"1")
    assert memory.exists("x" * 2000)


@pytest.mark.parametrize("where", ["memory", "s3"])
def test_a_glob_looks_at_what_begins_alike(where: str, memory: Store, moto_server: S3Server, prefix: str) -> None:
    store = memory if where == "memory" else on_s3(moto_server, prefix)
    for key in ("d/fa", "d/fb/c", "d/gb", "d/f"):
        store.write(key, b"1")
    assert sorted(str(file.path) for file in store.glob("d/f*")) == ["d/f", "d/fa"]
    assert [str(file.path) for file in store.glob("d/fb/*")] == ["d/fb/c"]


# --- conditions, and replies that are lost


def lose_first_reply(how: str) -> Any:
    seen: list[str] = []

    def hook(environ: Any, carry_out: Any) -> Any:
        if environ["REQUEST_METHOD"] == "PUT" and not seen:
            seen.append("lost")
            carry_out()
            if how == "hang up":
                hang_up(environ)
            return BUSY
        return None

    return hook


@pytest.mark.parametrize("how", ["hang up", "busy"])
@pytest.mark.parametrize("condition", ["create", "if_match"])
@pytest.mark.parametrize("size", [10, 9 * MIB])
def test_an_own_write_whose_reply_was_lost_is_success(
    how: str, condition: str, size: int, moto_server: S3Server, prefix: str
) -> None:
    store = on_s3(moto_server, prefix)
    options = {} if condition == "create" else {"if_match": store.write("key", b"old").etag}
    with moto_server.hooked(lose_first_reply(how)):
        result = store.write("key", b"x" * size, metadata={"a": "b"}, **options)
    info = store.get_file_info("key")
    assert (result.etag, result.size, info.size) == (info.etag, size, size)
    assert info.metadata == {"a": "b"}


def test_a_conflict_costs_one_request(moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)
    etag = store.write("key", b"old").etag
    store.write("key", b"new", overwrite=True)
    moto_server.requests.clear()
    with pytest.raises(AlreadyExists):
        store.write("key", b"mine")
    with pytest.raises(PreconditionFailed):
        store.write("key", b"mine", if_match=etag)
    assert len(moto_server.requests) == 2
    assert store.read_bytes("key") == b"new"


def test_of_racing_creators_of_large_content_one_wins(memory: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def create(number: int) -> bool:
        try:
            memory.write("big", iter_file(bytes([number]), 9))
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert memory.read_bytes("big") == bytes([won.index(True)]) * 9 * MIB


async def test_in_memory_a_copy_replaces_nothing_that_came_after_a_look(memory: Store) -> None:
    driver = driver_for(filesystem("memory", asynchronous=True), "root")
    for key in ("src", "dst"):
        await driver.put(key, key.encode(), WriteOptions())
    for transfer in (driver.copy, driver.move):
        with pytest.raises(AlreadyExists):
            await transfer("src", "dst", False)
    assert await driver.read_bytes("dst") == b"dst"


def iter_file(byte: bytes, pieces: int, fails: bool = False) -> Any:
    import io

    class Source(io.RawIOBase):
        left = pieces

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            if not self.left and fails:
                raise ZeroDivisionError
            self.left -= 1
            size = min(len(buffer), MIB) if self.left >= 0 else 0
            buffer[:size] = byte * size
            return size

    return io.BufferedReader(Source(), MIB)


@pytest.mark.parametrize("overwrite", [True, False])
def test_content_that_fails_leaves_the_old_and_no_upload(overwrite: bool, moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)
    store.write("old", b"old")
    with pytest.raises(ZeroDivisionError):
        store.write("old" if overwrite else "new", iter_file(b"x", 20, fails=True), overwrite=overwrite)
    assert keys(moto_server, prefix) == ["old"]
    assert store.read_bytes("old") == b"old"
    store.write("old", iter_file(b"x", 20), overwrite=True, metadata={"a": "ü"}, content_type="text/x")
    info = store.get_file_info("old")
    assert (info.size, info.metadata, info.content_type) == (20 * MIB, {"a": "ü"}, "text/x")


async def test_a_cancelled_write_leaves_nothing(moto_server: S3Server, prefix: str) -> None:
    fs = filesystem("s3", moto_server.endpoint, asynchronous=True)
    waiting = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * MIB
        waiting.set()
        await asyncio.Event().wait()

    async with AsyncStore(AsyncFsspecBackend(fs, f"{BUCKET}/{prefix}")) as store:
        writing = asyncio.ensure_future(store.write("key", content(), overwrite=True))
        await waiting.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert keys(moto_server, prefix) == []


def test_a_part_that_fails_is_told(moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)

    def refuse(environ: Any, carry_out: Any) -> Any:
        return DENIED if is_request(environ, "PUT", "partNumber=2") else None

    with moto_server.hooked(refuse), pytest.raises(PermissionDenied):
        store.write("key", iter_file(b"x", 30), overwrite=True)
    assert keys(moto_server, prefix) == []


def test_a_source_that_changes_while_it_is_moved_is_kept(moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)
    store.write("src", b"old")

    def replace(environ: Any, carry_out: Any) -> Any:
        if environ.get("HTTP_X_AMZ_COPY_SOURCE"):
            answer = carry_out()
            put(moto_server, prefix, "src", b"theirs")
            return answer
        return None

    with moto_server.hooked(replace), pytest.raises(PreconditionFailed):
        store.move("src", "dst")
    assert store.read_bytes("src") == b"theirs"


def test_metadata_that_obstore_takes_for_something_else_are_refused(memory: Store) -> None:
    for name in ("Content-Type", "Storage-Class", "Cache-Control"):
        with pytest.raises(ValueError, match="reserved"):
            memory.write("f", b"1", metadata={name: "x"})
    assert not memory.exists("f")


# --- errors


REFUSALS = {
    "403 Forbidden": (DENIED, PermissionDenied),
    "401 Unauthorized": (refusal("401 Unauthorized", "InvalidAccessKeyId"), PermissionDenied),
    "503": (BUSY, BackendUnavailable),
    "507": (refusal("507 Insufficient Storage", "QuotaExceeded"), StorageFull),
    "400": (refusal("400 Bad Request", "EntityTooLarge"), RemoteStoreError),
    "412": (UNMET, PreconditionFailed),
}


@pytest.mark.parametrize("answer", REFUSALS)
def test_answers_are_typed_and_tell_where(answer: str, moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)
    reply, error = REFUSALS[answer]
    calls = {
        "read": lambda: store.read_bytes("key"),
        "list": lambda: list(store.list_files()),
        "write": lambda: store.write("key", b"1", overwrite=True),
    }
    with moto_server.hooked(lambda environ, carry_out: reply):
        for call in calls.values():
            with pytest.raises(error) as caught:
                call()
            assert type(caught.value) is error
            assert (caught.value.backend, SECRET in str(caught.value)) == ("obstore", False)
            if error in (PermissionDenied, BackendUnavailable):
                assert moto_server.endpoint.rpartition("/")[2] in str(caught.value)


def test_who_does_not_answer_is_unavailable() -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    store = Store(FsspecBackend(filesystem("s3", endpoint), BUCKET))
    for call in (lambda: store.read_bytes("f"), lambda: store.exists("f"), store.ping, lambda: store.write("f", b"1")):
        with pytest.raises(BackendUnavailable, match="refused") as caught:
            call()
        assert endpoint.rpartition("/")[2] in str(caught.value)


def test_a_missing_bucket_reads_as_missing(moto_server: S3Server) -> None:
    store = Store(FsspecBackend(filesystem("s3", moto_server.endpoint), "no-such-bucket/deep"))
    assert not store.exists("f")
    assert list(store.list_files()) == []
    store.delete("f", missing_ok=True)
    for call in (store.ping, lambda: store.write("f", b"1")):
        with pytest.raises(NotFound, match="no-such-bucket"):
            call()


def test_an_empty_root_answers(memory: Store, moto_server: S3Server) -> None:
    memory.ping()
    on_s3(moto_server, moto_server.fresh_prefix()).ping()


async def test_what_somebody_else_deleted_stops_no_deletion(gcs_server: GcsServer) -> None:
    nobody = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    login = json.dumps({"gcs_base_url": gcs_server.endpoint, "disable_oauth": True, **nobody})
    fs = filesystem("gs", service_account_key=login, client_options={"allow_http": True}, asynchronous=True)
    driver: Any = driver_for(fs, f"{BUCKET}/{gcs_server.fresh_prefix()}")
    names = [driver.object(key) for key in ("a", "gone", "b")]
    for key in ("a", "b"):
        await driver.put(key, b"1", WriteOptions())
    await driver.wire.delete_many(names)
    assert [await driver.info(key) for key in ("a", "b")] == [None, None]


async def test_what_cannot_be_deleted_singly_is_told(memory: Store) -> None:
    class PermissionDeniedError(Exception):
        """As obstore calls it."""

    class Refusing:
        async def delete_async(self, names: Any) -> None:
            raise PermissionDeniedError if names == "b" else FileNotFoundError

    driver: Any = driver_for(filesystem("memory", asynchronous=True), "root")
    driver.wire._store = Refusing()
    with pytest.raises(PermissionDenied):
        await driver.call("d", driver.wire.delete_many, ["a", "b"])
    await driver.call("d", driver.wire.delete_many, ["a", "c"])


# --- life


def test_the_text_of_a_store_names_its_place_alone(moto_server: S3Server, prefix: str) -> None:
    store = on_s3(moto_server, prefix)
    assert (store.native_path("a b"), store.to_key(f"s3://{BUCKET}/{prefix}/a b")) == (f"{BUCKET}/{prefix}/a b", "a b")
    text = repr(store) + repr(store.resolve("a")) + repr(store._backend)
    assert BUCKET in text
    assert SECRET not in text
    store.write("f", b"1")
    assert pickle.loads(pickle.dumps(store)).read_bytes("f") == b"1"


def test_files_in_memory_do_not_pickle(memory: Store) -> None:
    assert (memory.native_path("f"), memory.to_key("memory://root/f")) == ("root/f", "f")
    with pytest.raises(pickle.PicklingError, match="live in this process"):
        pickle.dumps(memory)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_is_told_instead_of_waiting_for_ever(memory: Store) -> None:
    memory.write("f", b"1")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            memory.read_bytes("f")
        except BackendUnavailable as error:
            code = 0 if "forked" in str(error) else 98
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert memory.read_bytes("f") == b"1"


@pytest.fixture
def registered() -> Iterator[Any]:
    known = importlib.import_module("fsspec.registry")._registry
    before = dict(known)
    obstore_fsspec.register(["s3", "memory", "file"])
    yield known
    known.clear()
    known.update(before)


def test_what_obstore_registers_has_the_same_drivers(registered: Any, moto_server: S3Server, tmp_path: Path) -> None:
    def driver(protocol: str, root: str) -> str:
        return type(driver_for(registered[protocol](skip_instance_cache=True), root)).__name__

    assert driver("memory", "x") == "ObstoreDriver"
    assert driver("file", str(tmp_path)) == "LocalDriver"
    assert driver("s3", f"{BUCKET}/x") == "ObstoreDriver"
    with Store.from_url("memory://tests-of-obstore") as store:  # URLs lead where they led before.
        assert store._backend.name == "memory"


def test_who_does_more_stays_generic() -> None:
    class Mine(FsspecStore):  # type: ignore[misc]
        pass

    assert type(driver_for(Mine("memory", skip_instance_cache=True), "x")).__name__ == "GenericDriver"
    web = FsspecBackend(filesystem("https"), "https://127.0.0.1:1/x")
    assert not web.capabilities.supports(Capability.WRITE)
    assert type(web.driver).__name__ == "GenericDriver"


def test_what_is_not_proved_is_not_declared() -> None:
    azure = filesystem("az", account_name="name", account_key="a2V5", use_emulator=False)
    assert not FsspecBackend(azure, "box").capabilities.supports(Capability.SIGNED_URL)
    google = FsspecBackend(filesystem("gs", skip_signature=True), "box").capabilities
    assert google.supports(Capability.EXCLUSIVE_CREATE)
    assert not google.supports(Capability.CONDITIONAL_WRITE)
    with pytest.raises(ValueError, match="cannot open"):
        FsspecBackend(filesystem("az"), "box")


# --- local files


def test_local_files_have_their_folders(tmp_path: Path) -> None:
    fs = filesystem("file")
    store = Store(FsspecBackend(fs, str(tmp_path / "in")))
    store.write("d/f", b"1", metadata={"a": "1"} if store.supports(Capability.USER_METADATA) else None)
    assert (tmp_path / "in" / "d" / "f").read_bytes() == b"1"
    assert fs.cat_file(store.native_path("d/f")) == b"1"
    with pytest.raises(InvalidPath):
        store.write("d/f/g", b"1")
    store.delete_folder("d", recursive=True)
    assert not (tmp_path / "in" / "d").exists()
    assert store.unwrap(FsspecStore) is fs


async def test_local_files_of_an_asynchronous_one_are_served_in_threads(tmp_path: Path) -> None:
    async with AsyncStore(AsyncFsspecBackend(filesystem("file", asynchronous=True), str(tmp_path))) as store:
        await store.write_atomic("d/f", b"1")
        assert (tmp_path / "d" / "f").read_bytes() == b"1"
