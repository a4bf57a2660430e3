"""The S3 driver: what the service decides, what its answers mean, and how connections live and end."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.lives import read_unpickled, survives_a_fork
from helpers.processes import in_new_process
from helpers.s3 import FAST, MIB, uploads
from servers.s3 import BUCKET, KEY, SECRET, S3Server, client

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    Store,
)
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
from remote_store.certify.view import View


def closing_view(kind: str, bucket: str, **options: Any) -> Any:
    way, _, engine = kind.partition("-")
    options |= {"engine": engine or None}
    return Store(S3Backend(bucket, **options)) if way == "sync" else AsyncStore(AsyncS3Backend(bucket, **options))


async def closed(store: Any) -> None:
    await store.aclose() if isinstance(store, AsyncStore) else store.close()


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async", *FAST])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def look(moto_server: S3Server) -> Any:
    return client(moto_server)


@pytest.fixture
async def view(kind: str, moto_server: S3Server, prefix: str) -> AsyncIterator[View]:
    store = closing_view(kind, BUCKET, root=prefix, **moto_server.options)
    yield View(store)
    await closed(store)


async def items(listing: Any) -> list[Any]:
    return [item async for item in listing]


# --- who creates a file

servers = pytest.mark.parametrize("name", ["moto", pytest.param("ministack", marks=pytest.mark.full)])


@servers
async def test_one_of_16_racing_creators_wins_and_its_bytes_are_kept(name: str, request: Any) -> None:
    server: S3Server = request.getfixturevalue(f"{name}_server")
    async with AsyncStore(AsyncS3Backend(BUCKET, server.fresh_prefix(), **server.options)) as store:
        for turn in range(50):
            payloads = [b"%d of creator %d" % (turn, index) for index in range(16)]
            writes = (store.write(f"key-{turn}", payload) for payload in payloads)
            results = await asyncio.gather(*writes, return_exceptions=True)
            won = [index for index, result in enumerate(results) if not isinstance(result, BaseException)]
            lost = [result for result in results if isinstance(result, BaseException)]
            assert len(won) == 1, lost
            assert {type(error) for error in lost} == {AlreadyExists}
            assert await store.read_bytes(f"key-{turn}") == payloads[won[0]]


@servers
async def test_an_empty_file_is_created_once(name: str, kind: str, request: Any) -> None:
    server: S3Server = request.getfixturevalue(f"{name}_server")
    store = closing_view(kind, BUCKET, root=server.fresh_prefix(), **server.options)
    view = View(store)
    for write in (
        lambda: view.write("key", b""),
        lambda: view.write("key", view.stream([])),
        lambda: view.write("key", b"other"),
    ):
        if await view.exists("key"):
            with pytest.raises(AlreadyExists):
                await write()
        else:
            assert (await write()).size == 0
    assert await view.read_bytes("key") == b""
    await closed(store)


@servers
async def test_a_long_upload_does_not_replace_what_was_created_meanwhile(name: str, request: Any) -> None:
    server: S3Server = request.getfixturevalue(f"{name}_server")
    prefix = server.fresh_prefix()
    async with AsyncStore(AsyncS3Backend(BUCKET, prefix, part_size=5 * MIB, **server.options)) as store:

        async def content() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield bytes(5 * MIB)
            await store.write("key", b"theirs")

        with pytest.raises(AlreadyExists):
            await store.write("key", content())
        assert await store.read_bytes("key") == b"theirs"
    assert uploads(server, prefix) == []


# --- what answers mean


class Answers:
    """A service that gives prepared answers, the last one for ever, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str | None]] = []
        self.asked: list[str] = []
        self.endpoint = ""

    def give(self, *answers: tuple[int, str | None]) -> None:
        """Status and error code of each answer; None is a reply without a body."""
        self.answers, self.asked = list(answers), []

    def next(self, method: str) -> tuple[int, bytes]:
        self.asked.append(method)
        status, code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if code is None or method == "HEAD":
            return status, b""
        extra = "<Condition>If-None-Match</Condition>" if code.endswith("+condition") else ""
        code = code.removesuffix("+condition")
        return status, f"<Error><Code>{code}</Code><Message>{SECRET}</Message>{extra}</Error>".encode()


@contextmanager
def answering() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = answers.next(self.command)
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("ETag", '"0123"')
            if status in (301, 307):
                self.send_header("x-amz-bucket-region", "eu-west-3")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    answers.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    with answering() as served:
        yield served


@pytest.fixture
async def told(kind: str, answers: Answers) -> AsyncIterator[View]:
    """A store of the service that gives prepared answers, without retries."""
    options = {"key": KEY, "secret": SECRET, "region_name": "us-east-1", "endpoint_url": answers.endpoint}
    store = closing_view(kind, BUCKET, config_kwargs={"retries": {"max_attempts": 0}}, **options)
    yield View(store)
    await closed(store)


def check(error: RemoteStoreError, kind: type[RemoteStoreError], text: str, path: str = "a/key") -> None:
    assert type(error) is kind
    assert error.path == path
    assert error.backend == "s3"
    assert text in str(error)
    assert SECRET not in str(error) + repr(error)


READ_CODES = [
    (404, "NoSuchKey", NotFound, "not found"),
    (404, "NoSuchBucket", NotFound, BUCKET),
    (403, "AccessDenied", PermissionDenied, "denied"),
    (403, "InvalidAccessKeyId", PermissionDenied, "denied"),
    (403, "SignatureDoesNotMatch", PermissionDenied, "denied"),
    (403, "SomethingNew", PermissionDenied, "denied"),
    (403, "InvalidObjectState", ResourceLocked, "archived"),
    (400, "KMS.DisabledException", ResourceLocked, "KMS"),
    (400, "ExpiredToken", PermissionDenied, "denied"),
    (301, "PermanentRedirect", BackendUnavailable, "region"),
    (307, "TemporaryRedirect", BackendUnavailable, "region"),
    (500, "InternalError", BackendUnavailable, "cannot be reached"),
    (503, "SlowDown", BackendUnavailable, "cannot be reached"),
    (503, "SomethingNew", BackendUnavailable, "cannot be reached"),
    (502, None, BackendUnavailable, "cannot be reached"),
    (429, "TooManyRequests", BackendUnavailable, "cannot be reached"),
    (400, "SomethingNew", RemoteStoreError, "SomethingNew"),
]


@pytest.mark.parametrize(("status", "code", "error", "text"), READ_CODES)
async def test_each_error_code_of_a_read_has_its_meaning(
    told: View, answers: Answers, status: int, code: str | None, error: type[RemoteStoreError], text: str
) -> None:
    answers.give((status, code))
    for read, *span in ((told.read_bytes,), (told.read_range, 0, 9)):
        with pytest.raises(RemoteStoreError) as caught:
            await read("a/key", *span)
        check(caught.value, error, text)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, PermissionDenied),
        (401, PermissionDenied),
        (301, BackendUnavailable),
        (408, BackendUnavailable),
        (423, ResourceLocked),
        (500, BackendUnavailable),
    ],
)
async def test_a_bodyless_refusal_is_never_absence(
    told: View, answers: Answers, status: int, error: type[RemoteStoreError]
) -> None:
    answers.give((status, None))
    for question in (told.exists, told.is_file, told.get_file_info, told.delete):
        with pytest.raises(RemoteStoreError) as caught:
            await question("a/key")
        check(caught.value, error, "")
    with pytest.raises(RemoteStoreError) as caught:
        await told.ping()
    check(caught.value, error if status not in (408, 423) else BackendUnavailable, "", ".")


async def test_a_bodyless_404_is_absence_unless_the_folder_cannot_be_asked(told: View, answers: Answers) -> None:
    answers.give((404, None), (403, "AccessDenied"))
    with pytest.raises(NotFound):
        await told.get_file_info("a/key")
    answers.give((404, None), (403, "AccessDenied"))
    with pytest.raises(PermissionDenied):
        await told.exists("a/key")
    answers.give((404, None), (403, "AccessDenied"))
    assert not await told.is_file("a/key")
    answers.give((404, None), (404, "NoSuchBucket"))
    assert not await told.is_file("a/key")
    with pytest.raises(NotFound) as caught:
        await told.ping()
    check(caught.value, NotFound, BUCKET, ".")


@pytest.mark.parametrize("code", ["PreconditionFailed", "PreconditionFailed+condition", None])
async def test_a_failed_condition_is_a_conflict_or_a_failed_precondition(
    told: View, answers: Answers, code: str | None
) -> None:
    answers.give((412, code))
    with pytest.raises(AlreadyExists) as exists:
        await told.write("a/key", b"")
    check(exists.value, AlreadyExists, "already exists")
    with pytest.raises(PreconditionFailed) as failed:
        await told.write("a/key", b"", if_match="0123")
    check(failed.value, PreconditionFailed, "if_match")
    assert answers.asked == ["PUT", "PUT"]


async def test_a_missing_target_of_a_conditional_write_is_a_failed_precondition(told: View, answers: Answers) -> None:
    answers.give((404, "NoSuchKey"))
    with pytest.raises(PreconditionFailed) as caught:
        await told.write("a/key", b"", if_match="0123")
    check(caught.value, PreconditionFailed, "if_match")
    answers.give((404, "NoSuchBucket"))
    with pytest.raises(NotFound) as missing:
        await told.write("a/key", b"", if_match="0123")
    check(missing.value, NotFound, BUCKET)


async def test_a_concurrent_conflict_is_tried_once_more(told: View, answers: Answers) -> None:
    conflict = (409, "ConditionalRequestConflict")
    answers.give(conflict, (200, None))
    assert (await told.write("a/key", b"x")).etag == "0123"
    assert answers.asked == ["PUT", "PUT"]


# --- a missing bucket


async def test_a_missing_bucket_reads_as_a_missing_path_and_is_named(kind: str, moto_server: S3Server) -> None:
    store = closing_view(kind, "no-such-bucket", **moto_server.options)
    view = View(store)
    for work in (
        view.read_bytes("key"),
        view.read_range("key", 0, 1),
        view.write("key", b""),
        view.write("key", view.stream([bytes(9 * MIB)])),
        view.write("key", b"", overwrite=True),
        view.ping(),
    ):
        with pytest.raises(NotFound, match="no-such-bucket") as caught:
            await work
        assert caught.value.path in ("key", ".")
    for work in (view.get_file_info("key"), view.delete("key"), view.copy("key", "other"), view.move("key", "other")):
        with pytest.raises(NotFound):
            await work
    for work in (view.delete_folder("key"), view.delete_folder("key", recursive=True), view.get_folder_info("key")):
        with pytest.raises(NotFound):
            await work
    assert not await view.exists("key")
    assert not await view.is_file("key")
    assert not await view.is_folder("key")
    for listing in (
        view.list_files(""),
        view.list_files("key", recursive=True),
        view.list_folders(""),
        view.iter_children(""),
        view.glob("**"),
    ):
        assert await items(listing) == []
    assert await view.delete("key", missing_ok=True) is None
    assert await view.delete_folder("key", missing_ok=True) is None
    assert await view.delete_folder("key", recursive=True, missing_ok=True) is None
    assert (await view.get_folder_info("")).file_count == 0
    with pytest.raises(NotFound, match="Container 'no-such-bucket' not found") as caught:
        await view.get_folder_info("key")
    assert caught.value.path == "key"
    plain = client(moto_server)
    assert [bucket["Name"] for bucket in plain.list_buckets()["Buckets"]].count("no-such-bucket") == 0
    await closed(store)


# --- what is kept with a file


@pytest.mark.parametrize("value", ["grün 漢字 €", "ü" * 300, "plain", "=?utf-8?q?not_encoded?=", "a  b"])
async def test_metadata_comes_back_as_it_was_given_and_copies_keep_it(view: View, value: str) -> None:
    result = await view.write("key", b"x", metadata={"note": value})
    assert result.metadata == {"note": value}
    assert (await view.get_file_info("key")).metadata == {"note": value}
    await view.copy("key", "copy")
    await view.move("key", "moved")
    for key in ("copy", "moved"):
        assert (await view.get_file_info(key)).metadata == {"note": value}


@pytest.mark.parametrize("value", ["=?no-such-charset?q?x?=", "=?utf-8?b?a?=", "=?utf-8?b?//79?="])
async def test_foreign_metadata_that_cannot_be_decoded_is_given_as_it_is(
    view: View, look: Any, prefix: str, value: str
) -> None:
    look.put_object(Bucket=BUCKET, Key=f"{prefix}/key", Body=b"", Metadata={"note": value})
    assert (await view.get_file_info("key")).metadata == {"note": value}


async def test_a_versioned_bucket_tells_versions(kind: str, moto_server: S3Server, look: Any) -> None:
    bucket = f"versioned-{moto_server.fresh_prefix()}"
    look.create_bucket(Bucket=bucket)
    look.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store = closing_view(kind, bucket, **moto_server.options)
    view = View(store)
    first = await view.write("key", b"1")
    second = await view.write("key", view.stream([bytes(9 * MIB)]), overwrite=True)
    newest = look.head_object(Bucket=bucket, Key="key")["VersionId"]
    assert first.version_id
    assert second.version_id == newest != first.version_id
    assert (await view.head("key")).version_id == newest
    await closed(store)


# --- secrets


async def test_no_secret_is_ever_shown(kind: str, moto_server: S3Server, prefix: str) -> None:
    host = moto_server.endpoint.removeprefix("http://")
    options = {**moto_server.options, "token": "t0ken-s3cret", "endpoint_url": f"http://user:pa55word@{host}"}
    store = closing_view(kind, BUCKET, root=prefix, **options)
    plan = store.resolve("key")
    shown = [repr(store), str(store), repr(store._backend), str(store._backend), repr(plan), str(dict(plan.details))]
    shown += [store.native_path("key"), repr(store.child("x"))]
    for secret in (SECRET, "t0ken-s3cret", "pa55word"):
        assert not [text for text in shown if secret in text]
    await closed(store)


# --- lives of a store


async def test_explicit_credentials_travel_in_a_pickle(view: View) -> None:
    await view.write("key", b"content")
    data = pickle.dumps(view.store)
    assert SECRET.encode() in data
    assert await asyncio.to_thread(in_new_process, read_unpickled, data) == b"content"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
def test_a_store_made_before_a_fork_works_in_the_child(moto_server: S3Server, prefix: str) -> None:
    with Store(S3Backend(BUCKET, prefix, **moto_server.options)) as store:
        survives_a_fork(store)


SYNC_LIFE = """
store = Store(S3Backend(BUCKET, PREFIX, **OPTIONS))
store.write("key", bytes(4 << 20), overwrite=True)
store.write("long", io.BytesIO(bytes(9 << 20)), overwrite=True)
assert len(store.read_bytes("key")) == 4 << 20
list(store.list_files("", recursive=True))
next(iter(store.list_files("")))
{step}
store.close()
del store
gc.collect()
"""
ASYNC_LIFE = """
async def main():
    store = AsyncStore(AsyncS3Backend(BUCKET, PREFIX, **OPTIONS))
    await store.write("key", bytes(4 << 20), overwrite=True)
    await store.write("long", pieces(9), overwrite=True)
    assert len(await store.read_bytes("key")) == 4 << 20
    [entry async for entry in store.list_files("", recursive=True)]
{step}
    await store.aclose()
    del store
    gc.collect()
asyncio.run(main())
gc.collect()
"""
HEAD = """
import asyncio, gc, io
from remote_store import NotFound, RemoteStoreError, Store
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
async def pieces(count):
    for _ in range(count):
        yield bytes(1 << 20)
async def endless():
    while True:
        yield bytes(1 << 20)
"""
STEPS = {
    ("sync", "normal use"): "",
    ("sync", "an error"): """
try: store.read_bytes("absent")
except NotFound: pass
else: raise AssertionError
""",
    ("sync", "a broken off read"): """
stream = store.read("key"); stream.read(10); stream.close()
""",
    ("sync", "a failed write"): """
class Broken:
    def read(self, size): raise OSError("mine")
try: store.write("bad", Broken())
except OSError: pass
""",
    ("async", "normal use"): "",
    ("async", "an error"): """
    try: await store.read_bytes("absent")
    except NotFound: pass
    else: raise AssertionError
""",
    ("async", "a broken off read"): """
    chunks = store.read("key")
    await anext(chunks)
    await chunks.aclose()
""",
    ("async", "a cancelled write"): """
    task = asyncio.ensure_future(store.write("bad", endless()))
    await asyncio.sleep(0.2)
    task.cancel()
    try: await task
    except asyncio.CancelledError: pass
    else: raise AssertionError
""",
    ("async", "a cancelled read"): """
    task = asyncio.ensure_future(store.read_bytes("key"))
    await asyncio.sleep(0.005)
    task.cancel()
    try: await task
    except asyncio.CancelledError: pass
""",
}


@pytest.mark.full
@pytest.mark.parametrize(("which", "after"), STEPS, ids=[" after ".join(step) for step in STEPS])
def test_nothing_stays_open(moto_server: S3Server, prefix: str, which: str, after: str) -> None:
    life = SYNC_LIFE if which == "sync" else ASYNC_LIFE
    names = f"BUCKET, PREFIX, OPTIONS = {BUCKET!r}, {prefix!r}, {moto_server.options!r}\n"
    script = HEAD + names + life.format(step=STEPS[which, after])
    command = [sys.executable, "-W", "error::ResourceWarning", "-W", "always::RuntimeWarning", "-c", script]
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE)
    assert done.stderr.decode() == ""
    assert done.returncode == 0
