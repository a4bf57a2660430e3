"""Content, conditions and roles on Google Cloud Storage: generations, checksums, metadata, who may do what."""

from __future__ import annotations

import gzip
import hashlib
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import google_crc32c
import pytest
from helpers.gcs import PART, Place, gcs_place, pieces
from helpers.works import every
from servers.gcs import BUCKET, GcsServer
from servers.gcs_answers import CarryOut, Request
from servers.gcs_faults import DENIED, Answer, instead, matching, when

from remote_store import (
    BackendUnavailable,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
)

CONTENT = b"hello world"


def crc32c(data: bytes) -> str:
    return f"{google_crc32c.value(data):08x}"


def compose(place: Place, name: str, *sources: str) -> None:
    """What another composes, which has no MD5."""
    asked = {"sourceObjects": [{"name": place.name(source)} for source in sources]}
    url = f"{place.server.endpoint}/storage/v1/b/{BUCKET}/o/{place.prefix}%2F{name}/compose"
    data = json.dumps(asked).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method="POST"), timeout=60) as reply:
        assert reply.status == 200


# --- generations


async def test_the_generation_is_etag_and_version(gcs: Place) -> None:
    results = [
        await gcs.view.write("key", CONTENT),
        await gcs.view.write("long", gcs.view.stream(pieces(1))),
        await gcs.view.write_atomic("atomic", CONTENT),
    ]
    for result in results:
        key = str(result.path)
        generation = str(gcs.server.bucket().live[gcs.name(key)].generation)
        info, head = await gcs.view.get_file_info(key), await gcs.view.head(key)
        assert result.etag == result.version_id == info.etag == head.etag == head.version_id == generation
        assert info.extra["version_id"] == generation
        assert result.digest == info.digest == head.digest
        (listed,) = [file for file in await every(gcs.view.list_files("")) if str(file.path) == key]
        assert (listed.etag, listed.digest, listed.size) == (generation, info.digest, info.size)
        assert listed.metadata is None


NO_GENERATIONS = ["abc", "0", "½", "٣", "-1", "1.0", " 1", "1 ", "1e3", "0x1", "9" * 20, "1" * 5000, "*", "1,2"]


@pytest.mark.parametrize("etag", NO_GENERATIONS, ids=lambda etag: repr(etag[:12]))
async def test_an_etag_that_no_object_has_is_a_failed_precondition(gcs: Place, etag: str) -> None:
    """And is not sent: the service would take some of them for other ones."""
    gcs.put("key", b"old")
    for work in (
        lambda: gcs.view.write("key", b"new", if_match=etag),
        lambda: gcs.view.write_atomic("key", b"new", if_match=etag),
        lambda: gcs.view.write("key", gcs.view.stream(pieces(2)), if_match=etag),
        lambda: gcs.view.read_range("key", 0, 1, if_match=etag),
        lambda: every(gcs.view.read("key", if_match=etag)),
        lambda: gcs.view.write("missing", b"new", if_match=etag),
    ):
        with pytest.raises(PreconditionFailed):
            await work()
    assert gcs.asked("ifGenerationMatch") == 0
    assert gcs.contents() == {"key": b"old"}
    gcs.put("folder/x", b"1")
    with pytest.raises(InvalidPath):
        await gcs.view.read_range("folder", 0, 1, if_match=etag)


@pytest.mark.parametrize("zeros", [1, 5])
async def test_a_generation_spelled_otherwise_is_another(gcs: Place, zeros: int) -> None:
    generation = gcs.put("key", b"old")
    with pytest.raises(PreconditionFailed):
        await gcs.view.write("key", b"new", if_match="0" * zeros + generation)
    assert (await gcs.view.write("key", b"new", if_match=generation)).size == 3


async def test_conditions_of_reads_name_the_generation(gcs: Place) -> None:
    old = gcs.put("key", CONTENT)
    assert await gcs.view.read_range("key", 1, 4, if_match=old) == CONTENT[1:4]
    assert await gcs.view.read_range("key", 3, 3, if_match=old) == b""
    gcs.put("key", b"other")
    for start, end in ((0, 1), (2, 2), (100, 200)):
        with pytest.raises(PreconditionFailed):
            await gcs.view.read_range("key", start, end, if_match=old)
    with pytest.raises(PreconditionFailed):
        await gcs.view.read_range("gone", 0, 1, if_match=old)


# --- checksums


async def test_a_digest_is_md5_where_there_is_one(gcs: Place) -> None:
    result = await gcs.view.write("key", CONTENT)
    assert (result.digest.algorithm, result.digest.value) == ("md5", hashlib.md5(CONTENT).hexdigest())
    gcs.put("a", b"hello ")
    gcs.put("b", b"world")
    compose(gcs, "composed", "a", "b")
    info = await gcs.view.get_file_info("composed")
    assert (info.digest.algorithm, info.digest.value) == ("crc32c", crc32c(CONTENT))
    assert await gcs.view.read_bytes("composed") == CONTENT
    await gcs.view.copy("composed", "copied")
    await gcs.view.move("composed", "moved")
    for key in ("copied", "moved"):
        assert (await gcs.view.get_file_info(key)).digest == info.digest


@pytest.mark.parametrize("which", ["written", "composed"])
async def test_content_that_is_not_what_its_checksum_says_is_an_error(gcs: Place, which: str) -> None:
    gcs.put("written", CONTENT * 100_000)
    compose(gcs, "composed", "written", "written")

    def wrong(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        return answer._replace(body=b"j" + answer.body[1:])

    with gcs.server.hooked(when(wrong, "GET", "alt=media")):
        for work in (lambda: gcs.view.read_bytes(which), lambda: every(gcs.view.read(which))):
            with pytest.raises(BackendUnavailable, match="checksum"):
                await work()
    assert await gcs.view.read_bytes("written") == CONTENT * 100_000


@pytest.mark.parametrize("told", [None, "", "md5=x", "crc32c=", "crc32c=no base64", "crc32c"])
async def test_a_checksum_that_is_not_told_is_not_compared(gcs: Place, told: str | None) -> None:
    """One that is told wrong is."""
    gcs.put("key", CONTENT)

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        headers = {name: value for name, value in answer.headers.items() if name != "X-Goog-Hash"}
        return answer._replace(headers=headers if told is None else {**headers, "X-Goog-Hash": told})

    with gcs.server.hooked(when(hook, "GET", "alt=media")):
        if told == "crc32c=no base64":
            with pytest.raises(BackendUnavailable, match="checksum"):
                await gcs.view.read_bytes("key")
        else:
            assert await gcs.view.read_bytes("key") == CONTENT


@pytest.mark.parametrize("told", ["no base64!", 5, [], {}, ""])
async def test_what_is_no_checksum_vouches_for_nothing(gcs: Place, told: Any) -> None:
    gcs.put("key", CONTENT)

    def hook(request: Request, carry_out: CarryOut) -> Answer:
        answer = carry_out()
        return answer._replace(body=json.dumps({**json.loads(answer.body), "md5Hash": told}).encode())

    with gcs.server.hooked(hook):
        digest = (await gcs.view.get_file_info("key")).digest
    assert digest is None or (digest.algorithm, digest.value) == ("crc32c", crc32c(CONTENT))


# --- what is stored with content


PACKED = gzip.compress(b"x" * 5000)


async def test_compressed_content_comes_back_as_it_is_stored(gcs: Place) -> None:
    for control in ({}, {"cacheControl": "no-transform"}):
        gcs.put("key", PACKED, contentEncoding="gzip", contentType="text/plain", **control)
        assert await gcs.view.read_bytes("key") == PACKED
        assert b"".join(await every(gcs.view.read("key"))) == PACKED
        assert await gcs.view.read_range("key", 3, 9) == PACKED[3:9]
        assert (await gcs.view.get_file_info("key")).size == len(PACKED)
        async with await gcs.view.read_seekable("key") as stream:
            await stream.seek(-5, 2)
            assert await stream.read() == PACKED[-5:]
        await gcs.view.copy("key", "copied", overwrite=True)
        assert await gcs.view.read_bytes("copied") == PACKED


VALUES = ["", "x\ny\r\n", "\x01\x7f", " outer blanks ", "=?utf-8?q?x?=", "Ä" * 300, "\ttab", "𝄞", '"\\{}', "--boundary"]


@pytest.mark.parametrize("value", VALUES)
async def test_any_value_of_metadata_comes_back(gcs: Place, value: str) -> None:
    metadata = {"a": value, "A": "other case", "with blank": "1", "a\n:b": "2", "X-Goog-Hash": "3"}
    await gcs.view.write("key", b"1", metadata=metadata)
    await gcs.view.write("long", gcs.view.stream(pieces(1)), metadata=metadata)
    await gcs.view.copy("key", "copied")
    await gcs.view.move("long", "moved")
    for key in ("key", "copied", "moved"):
        assert (await gcs.view.get_file_info(key)).metadata == metadata


async def test_metadata_of_half_a_character_is_a_value_error(gcs: Place) -> None:
    for content in (b"1", gcs.view.stream(pieces(2))):
        with pytest.raises(ValueError):  # noqa: PT011 (UnicodeEncodeError is one)
            await gcs.view.write("key", content, metadata={"a": "\udc80"})
    assert gcs.contents() == {}
    await gcs.works()


async def test_a_content_type_travels_with_every_write_copy_and_move(gcs: Place) -> None:
    for number, size in enumerate((1, PART + 1)):
        await gcs.view.write(f"w{number}", gcs.view.stream([bytes(size)]), content_type="text/csv; charset=utf-8")
        await gcs.view.copy(f"w{number}", f"c{number}")
        await gcs.view.move(f"w{number}", f"m{number}")
        for key in (f"c{number}", f"m{number}"):
            assert (await gcs.view.get_file_info(key)).content_type == "text/csv; charset=utf-8"


# --- roles


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def filled(request: pytest.FixtureRequest, gcs_server: GcsServer) -> AsyncIterator[Place]:
    async with gcs_place(request.param, gcs_server) as place:
        place.put("key", CONTENT)
        yield place


def without(role: str) -> Any:
    """A hook that refuses what a role may not."""
    may_not = {
        "list": lambda request: request.method == "GET" and request.path.endswith("/o"),
        "get": lambda request: request.method == "GET" and "/o/" in request.path,
        "delete": lambda request: request.method == "DELETE" and "upload_id" not in request.query,
        "move": lambda request: "/moveTo/" in request.path,
        "create": lambda request: request.path.startswith("/upload/"),
        "bucket": lambda request: request.method == "GET" and "/o" not in request.path,
    }
    return matching(may_not[role], instead(DENIED))


async def test_a_role_without_list(filled: Place) -> None:
    view = filled.view
    with filled.server.hooked(without("list")):
        assert await view.read_bytes("key") == CONTENT
        assert await view.exists("key")
        with pytest.raises(NotFound):
            await view.read_bytes("gone")
        assert not await view.is_file("gone")
        await view.delete("gone", missing_ok=True)
        with pytest.raises(NotFound):
            await view.delete("gone")
        with pytest.raises(NotFound):
            await view.copy("gone", "new")
        with pytest.raises(NotFound):
            await view.move("gone", "new")
        await view.write("new", b"1")
        await view.move("new", "newer")
        for work in (
            lambda: every(view.list_files("")),
            lambda: view.is_folder("folder"),
            lambda: view.delete_folder("folder", missing_ok=True, recursive=True),
            lambda: view.get_folder_info("folder"),
            lambda: view.exists("folder"),
        ):
            with pytest.raises(PermissionDenied):
                pytest.fail(f"gave {await work()!r}")
    assert filled.contents() == {"key": CONTENT, "newer": b"1"}


async def test_a_role_without_get(filled: Place) -> None:
    view = filled.view
    with filled.server.hooked(without("get")):
        for work in (
            lambda: view.read_bytes("key"),
            lambda: view.exists("key"),
            lambda: view.is_file("gone"),
            lambda: view.get_file_info("key"),
        ):
            with pytest.raises(PermissionDenied):
                pytest.fail(f"gave {await work()!r}")
        await view.write("new", b"1")
        await view.write("long", view.stream(pieces(2)))
        assert len(await every(view.list_files(""))) == 3
        await view.delete("new")
        await view.delete("long")
    assert filled.contents() == {"key": CONTENT}


async def test_a_role_without_delete(filled: Place) -> None:
    view = filled.view
    filled.put("folder/a", b"1")
    with filled.server.hooked(without("delete")):
        for work in (
            lambda: view.delete("key"),
            lambda: view.delete("key", missing_ok=True),
            lambda: view.delete_folder("folder", recursive=True),
        ):
            with pytest.raises(PermissionDenied):
                await work()
        await view.write("new", view.stream(pieces(2)))
    assert set(filled.contents()) == {"key", "folder/a", "new"}


async def test_a_role_without_move_or_create(filled: Place) -> None:
    with filled.server.hooked(without("move")):
        await filled.view.move("key", "new")
    with filled.server.hooked(without("create")):
        for content in (b"1", filled.view.stream(pieces(2))):
            with pytest.raises(PermissionDenied):
                await filled.view.write("key", content)
    with filled.server.hooked(without("bucket")):
        await filled.view.ping()
    assert filled.contents() == {"new": CONTENT}


# --- buckets that are not there


async def test_a_missing_bucket_reads_as_a_missing_path_and_is_named(filled: Place, monkeypatch: Any) -> None:
    service = filled.server.service
    assert service
    monkeypatch.setattr(service, "buckets", {})
    view = filled.view
    assert not await view.exists("key")
    assert not await view.is_folder("folder")
    assert await every(view.list_files("")) == []
    await view.delete("key", missing_ok=True)
    await view.delete_folder("folder", missing_ok=True, recursive=True)
    for work in (
        lambda: view.read_bytes("key"),
        lambda: view.get_file_info("key"),
        lambda: view.delete("key"),
        lambda: view.delete_folder("folder", recursive=True),
        lambda: view.copy("key", "new"),
        lambda: view.move("key", "new"),
        lambda: view.write("key", b"1"),
        lambda: view.write("key", view.stream(pieces(2))),
        lambda: view.ping(),
    ):
        with pytest.raises(NotFound, match=BUCKET):
            await work()


async def test_a_bucket_that_vanishes_between_pages_is_an_error(filled: Place, monkeypatch: Any) -> None:
    for number in range(1500):
        filled.put(f"many/{number:04}", b"")
    listing = filled.view.list_files("many")
    await anext(listing)
    service = filled.server.service
    assert service
    with monkeypatch.context() as patch:
        patch.setattr(service, "buckets", {})
        with pytest.raises(RemoteStoreError):
            await every(listing)
