"""What a store on S3 must not believe, and what it must not lose."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.s3 import BUSY, DENIED, MIB, PART, CarryOut, is_fast, is_request, uploads
from s3fs import S3FileSystem
from servers.s3 import BUCKET, KEY, SECRET, Answer, Environ, S3Server, client, hang_up, refusal, view_of

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    FsspecBackend,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    Store,
)
from remote_store.aio import AsyncFsspecBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
from remote_store.certify.view import View


@pytest.fixture
def store(moto_server: S3Server, prefix: str) -> Iterator[Store]:
    with Store(S3Backend(BUCKET, prefix, part_size=PART, **moto_server.options)) as store:
        yield store


# --- files without holes


def test_an_interrupt_waits_for_the_abort_of_the_upload(moto_server: S3Server, prefix: str) -> None:
    class Interrupted(io.RawIOBase):
        left = 12

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            return len(buffer)

    backend = S3Backend(BUCKET, prefix, part_size=PART, **moto_server.options)
    with pytest.raises(KeyboardInterrupt), Store(backend) as store:
        store.write("key", io.BufferedReader(Interrupted(), 1 << 20))
    assert uploads(moto_server, prefix) == []


# --- reads without gaps


async def test_more_open_streams_than_the_sdk_has_connections(view: View) -> None:
    for number in range(12):
        await view.write(f"{number}", bytes([number]) * (2 * MIB))

    async def copy(number: int) -> None:
        if view.is_async:
            await view.store.write(f"to/{number}", view.store.read(f"{number}"))
        else:
            with view.store.read(f"{number}") as stream:
                opened.wait(DEADLINE)
                view.store.write(f"to/{number}", stream)

    opened = threading.Barrier(12)
    results = await view.race([lambda number=number: copy(number) for number in range(12)])
    assert [result for result in results if result is not None] == []
    assert await view.read_bytes("to/11") == bytes([11]) * (2 * MIB)


def altered(part: str) -> Callable[[Environ, CarryOut], Answer | None]:
    """Replies to GET of which something is not right."""

    def hook(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if not is_request(environ, "GET"):
            return None
        if part == "range":
            environ.pop("HTTP_RANGE", None)
            return carry_out()
        answer = carry_out()
        return Answer(answer.status, b"j" + answer.body[1:], answer.headers)

    return hook


async def test_content_that_is_not_what_its_checksum_says_is_an_error(view: View, moto_server: S3Server) -> None:
    if is_fast(view):
        pytest.skip("obstore hides the checksums of replies")
    await view.write("key", b"hello world")
    with moto_server.hooked(altered("content")):
        with pytest.raises(BackendUnavailable, match="checksum"):
            await view.read_bytes("key")
        with pytest.raises(BackendUnavailable, match="checksum"):
            [chunk async for chunk in view.read("key")]
    assert await view.read_bytes("key") == b"hello world"


async def test_a_service_that_ignores_ranges_is_told(view: View, moto_server: S3Server) -> None:
    await view.write("key", b"0123456789")
    with moto_server.hooked(altered("range")), pytest.raises(RemoteStoreError, match="ignores ranges"):
        await view.read_range("key", 5, 8)


# --- whose file it is


@pytest.mark.parametrize("metadata", [None, {"owner": "me"}], ids=["busy", "lost"])
async def test_an_equal_file_of_another_writer_is_a_conflict(
    view: View, moto_server: S3Server, prefix: str, metadata: dict[str, str] | None
) -> None:
    """Where an earlier try may have been carried out, the metadata must be ours as well."""
    tries: list[str] = []

    def hook(environ: Environ, _: CarryOut) -> Answer | None:
        if not is_request(environ, "PUT") or not environ["PATH_INFO"].endswith("/lock"):
            return None
        tries.append("put")
        if len(tries) == 1:
            moto_server.hook = None
            client(moto_server).put_object(Bucket=BUCKET, Key=f"{prefix}/lock", Body=b"", Metadata={"owner": "other"})
            moto_server.hook = hook
            return hang_up(environ) if metadata else BUSY
        return None

    with moto_server.hooked(hook), pytest.raises(AlreadyExists):
        await view.write("lock", b"", metadata=metadata)
    assert len(tries) == 2
    assert (await view.get_file_info("lock")).metadata == {"owner": "other"}


# --- who may not look


async def test_the_service_decides_where_the_writer_may_not_look(view: View, moto_server: S3Server) -> None:
    with moto_server.hooked(lambda environ, _: DENIED if is_request(environ, "HEAD") else None):
        assert (await view.write("key", view.stream([bytes(PART), b"1"]))).size == PART + 1
        await view.delete_folder("none", missing_ok=True)
        with pytest.raises(NotFound):
            await view.delete_folder("none")
        with pytest.raises(NotFound):
            await view.get_folder_info("none")


# --- what S3 does not take


@pytest.mark.parametrize("value", ["x\ny", "\x01", " outer blanks ", "=?utf-8?q?x?=", "Ä" * 300, "\ttab"])
async def test_any_value_of_metadata_comes_back(view: View, value: str) -> None:
    await view.write("key", b"1", metadata={"a": value})
    assert (await view.get_file_info("key")).metadata == {"a": value}


@pytest.mark.parametrize("metadata", [{"a\n": "1"}, {"a:b": "1"}, {"a b": "1"}, {"A": "1", "a": "2"}, {"a": "\udc80"}])
async def test_metadata_that_s3_cannot_keep_is_a_value_error(view: View, metadata: dict[str, str]) -> None:
    for content in (b"1", view.stream([bytes(PART), b"1"])):
        with pytest.raises(ValueError):  # noqa: PT011 (UnicodeEncodeError is one)
            await view.write("key", content, metadata=metadata)
    assert not await view.exists("key")


async def test_a_key_that_is_too_long_is_not_there(view: View, moto_server: S3Server) -> None:
    """S3 answers 400 without a body to HEAD of such a key."""
    bad = Answer("400 Bad Request", b"")
    with moto_server.hooked(lambda environ, _: bad if is_request(environ, "HEAD") else None):
        assert not await view.exists("ä" * 600)
        assert not await view.is_file("ä" * 600)
        with pytest.raises(PermissionDenied, match="credentials"):
            await view.exists("key")


async def test_what_a_service_does_not_implement_is_no_outage(view: View, moto_server: S3Server) -> None:
    lacking = refusal("501 Not Implemented", "NotImplemented")
    moto_server.hook = lambda environ, _: lacking if is_request(environ, "PUT") else None
    with pytest.raises(RemoteStoreError, match="does not implement") as caught:
        await view.write("key", b"1")
    moto_server.hook = None
    assert type(caught.value) is RemoteStoreError


async def test_a_listing_that_ends_in_the_middle_is_an_error(view: View, moto_server: S3Server) -> None:
    def hook(environ: Environ, carry_out: CarryOut) -> Answer | None:
        if not is_request(environ, "GET", "list-type=2"):
            return None
        answer = carry_out()
        return answer._replace(body=answer.body.replace(b"<IsTruncated>false", b"<IsTruncated>true"))

    await view.write("key", b"1")
    with moto_server.hooked(hook), pytest.raises(RemoteStoreError, match="in the middle"):
        [entry async for entry in view.list_files("")]


def test_a_range_of_a_file_in_a_missing_bucket_names_the_bucket(moto_server: S3Server, store: Store) -> None:
    with Store(S3Backend("no-such-bucket", **moto_server.options)) as no, pytest.raises(NotFound, match="no-such-buck"):
        no.read_range("key", 0, 1, if_match="0")
    with pytest.raises(PreconditionFailed):
        store.read_range("key", 0, 1, if_match="0")


# --- a filesystem of the user's


@pytest.mark.parametrize("kind", ["sync", "async", "async, on a loop of its own"])
async def test_a_filesystem_of_s3fs_keeps_what_s3_keeps(moto_server: S3Server, prefix: str, kind: str) -> None:
    fs = S3FileSystem(
        key=KEY,
        secret=SECRET,
        endpoint_url=moto_server.endpoint,
        asynchronous=kind == "async",
        skip_instance_cache=True,
    )
    root = f"{BUCKET}/{prefix}"
    store: Any = Store(FsspecBackend(fs, root)) if kind == "sync" else AsyncStore(AsyncFsspecBackend(fs, root))
    view = View(store)
    assert all(store.supports(capability) for capability in S3Backend.CAPABILITIES)
    results = await view.race([lambda: view.write("key", b"1")] * 8)
    assert sorted(isinstance(result, AlreadyExists) for result in results) == [False] + [True] * 7
    assert store.native_path("key") == f"{BUCKET}/{prefix}/key"
    await (store.aclose() if view.is_async else view.close())
    if kind == "async":
        assert await fs._cat_file(f"{root}/key") == b"1"
        await fs._s3.close()
    else:
        assert await asyncio.to_thread(fs.cat_file, f"{root}/key") == b"1"
        await asyncio.to_thread(fs.close_session, fs.loop, fs._s3)


# --- options


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"regoin_name": "x"}, "did you mean 'region_name'"),
        ({"endpoint_url": "localhost:9000"}, "http://"),
        ({"part_size": MIB}, "5 MiB"),
        ({"bucket": "s3://bucket"}, "a name"),
        ({"bucket": "bucket/prefix"}, "a name"),
    ],
)
def test_bad_options_are_told_at_once(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        S3Backend(**{"bucket": "b", **options})


@pytest.mark.parametrize(
    "options", [{"client_kwargs": {"foo": 1}}, {"config_kwargs": {"foo": 1}}, {"region_name": "not a region"}]
)
async def test_what_the_sdk_refuses_is_a_value_error(options: dict[str, Any]) -> None:
    store: Any
    with Store(S3Backend("b", **options)) as store, pytest.raises(ValueError, match="options"):
        store.exists("key")
    async with AsyncStore(AsyncS3Backend("b", **options)) as store:
        with pytest.raises(ValueError, match="options"):
            await store.exists("key")


def test_the_options_of_s3fs_are_known() -> None:
    S3Backend("b", profile="someone", default_block_size=MIB, anon=True, requester_pays=True).close()


async def test_no_log_tells_a_session_token(
    moto_server: S3Server, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = "t0ken/with+signs=="
    with caplog.at_level(logging.DEBUG):
        for kind in ("sync", "async"):
            async with view_of(kind, moto_server, prefix, token=token) as view:
                await view.write("key", b"1", overwrite=True)
                await view.write("key", view.stream([bytes(9 * MIB)]), overwrite=True)
    assert "x-amz-security-token" in caplog.text.lower()
    assert "PutObject" in caplog.text
    for secret in (token, "t0ken", SECRET, KEY):
        assert secret not in caplog.text


def test_a_url_takes_no_credentials() -> None:
    for make in (Store.from_url, AsyncStore.from_url):
        with pytest.raises(ValueError, match="no credentials") as caught:
            make(f"s3://AKIA:{SECRET}@bucket/prefix")
        assert SECRET not in str(caught.value)
