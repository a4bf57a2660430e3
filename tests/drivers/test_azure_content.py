"""What is stored on Azure: conditions, digests, bytes as they are, metadata, types; and races for it."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from helpers.azure import PART, Place, azure_place, azure_view, every, pieces
from servers.azure import HNS, AzureServer
from servers.azure_faults import once, when
from servers.double_answers import Answer, CarryOut, Request

from remote_store import AlreadyExists, BackendUnavailable, InvalidPath, PreconditionFailed
from remote_store.certify.view import View

LONG = b"".join(pieces(2))
LARGE = 1 << 20
"""Worth a thread to work out its checksum [bytes]."""

# --- digests and etags


async def test_digests_are_told_where_the_service_vouches_for_them(az: Place) -> None:
    """An MD5 of one put; of blocks there is none."""
    written = await az.view.write("key", b"content")
    digest = hashlib.md5(b"content").hexdigest()
    assert (written.digest.algorithm, written.digest.value) == ("md5", digest)
    info = await az.view.get_file_info("key")
    assert (info.digest, info.etag) == (written.digest, written.etag)
    written = await az.view.write("long", az.view.stream(pieces(2)))
    info = await az.view.get_file_info("long")
    assert written.digest is info.digest is None
    assert (info.etag, info.size) == (written.etag, len(LONG))
    assert '"' not in info.etag
    listed = {str(one.path): one.etag async for one in az.view.list_files("")}
    assert listed == {key: (await az.view.get_file_info(key)).etag for key in ("key", "long")}


@pytest.mark.parametrize("etag", ["other", '"other"', "*", "", 'W/"x"', "a,b", "\n"])
async def test_an_etag_that_is_none_matches_nothing(az: Place, etag: str) -> None:
    az.put("key", b"1")
    for work in (
        lambda: az.view.write("key", b"2", if_match=etag),
        lambda: az.view.write("key", az.view.stream(pieces(2)), if_match=etag),
        lambda: az.view.read_range("key", 0, 1, if_match=etag),
    ):
        with pytest.raises((PreconditionFailed, ValueError)):
            await work()
    assert az.contents() == {"key": b"1"}


async def test_a_condition_on_what_is_missing_fails(az: Place) -> None:
    for content in (b"1", az.view.stream(pieces(2))):
        with pytest.raises(PreconditionFailed):
            await az.view.write("gone", content, if_match="0x1")
    assert az.contents() == {}


# --- checksums


def bent(content: bytes) -> bytes:
    """Of the same length, with one bit another."""
    return bytes([content[0] ^ 1]) + content[1:]


def bend_request(request: Request, carry_out: CarryOut) -> None:
    request.body = bent(request.body)


def bend_answer(request: Request, carry_out: CarryOut) -> Answer:
    answer = carry_out()
    return answer._replace(body=bent(answer.body))


@pytest.mark.parametrize("content", [b"1", LONG], ids=["put", "blocks"])
async def test_content_that_changes_on_its_way_is_never_stored(az: Place, content: bytes) -> None:
    az.put("key", b"old")
    sent = when(bend_request, "PUT", "comp=block&") if content is LONG else when(bend_request, "PUT")
    with (
        az.server.hooked(sent),
        pytest.raises(BackendUnavailable, match=r"changed on its way to .* \(Md5Mismatch\)") as caught,
    ):
        await az.view.write("key", az.view.stream([content]), overwrite=True)
    assert caught.value.path == "key"
    assert az.contents() == {"key": b"old"}
    with az.server.hooked(once(sent)):
        await az.view.write("key", az.view.stream([content]), overwrite=True)
    assert az.contents() == {"key": content}


async def test_content_that_is_not_what_its_checksum_says_is_an_error(az: Place) -> None:
    content = bytes(range(256))
    az.put("key", content)
    for work in (lambda: az.view.read_bytes("key"), lambda: every(az.view.read("key"))):
        with az.server.hooked(when(bend_answer, "GET")), pytest.raises(BackendUnavailable, match="checksum"):
            await work()
        assert b"".join(await every(az.view.read("key"))) == content
    with az.server.hooked(when(bend_answer, "GET")):  # The checksum of a whole blob says nothing of a range.
        assert await az.view.read_range("key", 1, 3) == bent(content[1:3])
    async with await az.view.read_seekable("key") as stream:
        assert await stream.read(3) == content[:3]
        await stream.seek(0)
        assert await stream.read(-1) == content


@pytest.mark.parametrize("length", [1, LARGE])
async def test_content_without_a_checksum_is_read(az: Place, length: int) -> None:
    content = bytes(length)
    az.put("key", content)
    az.item("key").settings.pop("Content-MD5")
    assert await az.view.read_bytes("key") == content


async def test_much_content_is_put_with_its_checksum(azure_server: AzureServer, container: str) -> None:
    seen: set[str | None] = set()
    watched = when(lambda request, carry_out: seen.add(request.headers.get("Content-MD5")), "PUT", "")
    async with azure_place("async", azure_server, container, part_size=LARGE) as place:
        with azure_server.hooked(watched):
            for size in (1, LARGE):
                written = await place.view.write("key", bytes(size), overwrite=True)
                told = base64.b64encode(hashlib.md5(bytes(size)).digest()).decode()
                assert seen == {told}
                assert written.digest.value == hashlib.md5(bytes(size)).hexdigest()
                assert await place.view.read_bytes("key") == bytes(size)
                seen.clear()


# --- bytes


async def test_gzip_comes_as_it_is_stored(az: Place) -> None:
    packed = gzip.compress(bytes(5000))
    az.put("key", packed)
    az.item("key").settings["Content-Encoding"] = "gzip"
    assert await az.view.read_bytes("key") == packed
    assert await az.view.read_range("key", 3, 20) == packed[3:20]
    assert b"".join(await every(az.view.read("key"))) == packed
    await az.view.copy("key", "copy")
    await az.view.move("copy", "moved")
    assert await az.view.read_bytes("moved") == packed
    assert az.item("moved").settings["Content-Encoding"] == "gzip"
    assert (await az.view.get_file_info("moved")).size == len(packed)


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART])
async def test_sizes_at_the_edge_of_a_part(az: Place, size: int) -> None:
    content = bytes(size)
    await az.view.write("whole", content)
    await az.view.write("stream", az.view.stream([content]))
    assert az.contents() == {"whole": content, "stream": content}
    assert await az.view.read_bytes("stream") == content
    container = az.server.uncommitted(az.prefix, az.container)
    assert container == {}


# --- metadata and types


VALUES = {"plain": "value", "umlaut": "ü 𝄞", "line": "a\nb", "blank": " x ", "empty": "", "Case": "=?utf-8?q?x?="}


@pytest.mark.parametrize("content", [b"1", LONG], ids=["put", "blocks"])
async def test_metadata_in_any_characters_and_types_go_along(az: Place, content: bytes) -> None:
    await az.view.write("key", az.view.stream([content]), metadata=VALUES, content_type="text/csv")
    await az.view.copy("key", "copy")
    await az.view.move("key", "d/moved")
    for key in ("copy", "d/moved"):
        info = await az.view.get_file_info(key)
        assert (info.metadata, info.content_type) == (VALUES, "text/csv")
        assert await az.view.read_bytes(key) == content


@pytest.mark.parametrize("name", ["a-b", "a.b", "1a", "ä", "", "a b", "hdi_isfolder", "Is_Directory", "a\n"])
async def test_names_that_azure_cannot_keep_are_refused_first(az: Place, name: str) -> None:
    az.server.requests.clear()
    for content in (b"1", az.view.stream(pieces(2))):
        with pytest.raises(ValueError, match="metadata"):
            await az.view.write("key", content, overwrite=True, metadata={name: "x"})
    with pytest.raises(ValueError, match="differ in case"):
        await az.view.write("key", b"1", metadata={"a": "1", "A": "2"})
    assert az.contents() == {}
    assert az.asked("PUT") == 0


async def test_reserved_names_are_hidden(az: Place) -> None:
    az.put("key", b"1", is_directory="false", Hdi_isfolder="false", who="me")
    assert (await az.view.get_file_info("key")).metadata == {"who": "me"}


async def test_what_marks_a_folder_among_blobs_is_no_file(blobs: Place) -> None:
    blobs.put("d", b"", hdi_isfolder="true")
    blobs.put("d/f", b"1")
    assert not await blobs.view.is_file("d")
    assert await blobs.view.is_folder("d")
    with pytest.raises(InvalidPath):
        await blobs.view.read_bytes("d")


# --- races


Start = Callable[[View, int, int], Awaitable[Any]]
CREATORS: dict[str, Start] = {
    "put": lambda view, turn, racer: view.write(f"{turn}", b"%03d" % racer),
    "blocks": lambda view, turn, racer: view.write(f"{turn}", view.stream([b"%03d" % racer * PART])),
    "copy": lambda view, turn, racer: view.copy(f"source/{racer}", f"{turn}"),
    "move": lambda view, turn, racer: view.move(f"source/{turn}/{racer}", f"{turn}"),
}


async def race(server: AzureServer, container: str, kind: str, mode: str, rounds: int) -> None:
    prefix = server.fresh_prefix()
    async with azure_view(mode, server, prefix, container) as view:
        for turn in range(rounds):
            for racer in range(view.workers):
                where = f"source/{turn}/{racer}" if kind == "move" else f"source/{racer}"
                await view.write(where, b"%03d" % racer, overwrite=True)
            done = await view.race([contender(view, kind, turn, racer) for racer in range(view.workers)])
            assert {type(one) for one in done if isinstance(one, BaseException)} == {AlreadyExists}
            won = [racer for racer, one in enumerate(done) if not isinstance(one, BaseException)]
            assert len(won) == 1
            assert (await view.read_bytes(f"{turn}"))[:3] == b"%03d" % won[0]
        assert sorted([str(one.path) async for one in view.list_files("")]) == sorted(map(str, range(rounds)))
        if server.service:
            assert [name for name in server.keys(prefix, container) if ".~rs-" in name] == []


def contender(view: View, kind: str, turn: int, racer: int) -> Callable[[], Awaitable[Any]]:
    return lambda: CREATORS[kind](view, turn, racer)


@pytest.mark.parametrize("mode", [pytest.param("sync", marks=pytest.mark.full), "async"])
@pytest.mark.parametrize("kind", CREATORS)
async def test_one_of_sixteen_creators_wins(azure_server: AzureServer, container: str, kind: str, mode: str) -> None:
    await race(azure_server, container, kind, mode, 2)


@pytest.mark.soak
@pytest.mark.parametrize("server", ["azure_server", "azurite_server"])
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("kind", CREATORS)
async def test_one_of_sixteen_creators_wins_each_of_fifty_rounds(
    request: pytest.FixtureRequest, server: str, container: str, kind: str, mode: str
) -> None:
    if server == "azure_server" or container != HNS:
        await race(request.getfixturevalue(server), container, kind, mode, 50)


@pytest.mark.parametrize("mode", [pytest.param("sync", marks=pytest.mark.full), "async"])
async def test_no_increment_is_lost(azure_server: AzureServer, container: str, mode: str) -> None:
    async with azure_view(mode, azure_server, azure_server.fresh_prefix(), container) as view:
        await view.write("count", b"0")

        async def increment() -> None:
            while True:
                info = await view.get_file_info("count")
                value = int(await view.read_range("count", 0, 9, if_match=info.etag) or 0)
                try:
                    await view.write("count", b"%d" % (value + 1), if_match=info.etag)
                except PreconditionFailed:
                    continue
                return

        async def patient() -> None:
            while True:
                try:
                    return await increment()
                except PreconditionFailed:
                    await view.pause()

        await view.together([patient] * 8)
        assert await view.read_bytes("count") == b"8"
