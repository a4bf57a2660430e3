"""The double of Azure storage, beside azurite in what both of them do, by calls of Azure's SDK."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, BlobSasPermissions, ContentSettings, generate_blob_sas
from azure.storage.blob.aio import BlobClient, BlobPrefix, ContainerClient
from servers.azure import ACCOUNT, CONTAINER, KEY, AzureServer
from servers.azure_client import blobs, commit, content_of, race, refusal

ODD = [
    "a b",
    "a+b",
    "a%2Fb",
    "a%252F",
    "a?b#c",
    "ä\u0308",
    "\U0001f600",
    "a//b",
    "/a",
    "a/",
    "a;b,c=d",
    "'\"<>&",
    "x" * 900,
]
NEW = {"match_condition": MatchConditions.IfMissing}
LEASE = "de305d54-75b4-431b-adb2-eb6b9e546014"


def unless(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfModified}


def only(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


@pytest.fixture(params=["azure", "azurite"])
def server(request: pytest.FixtureRequest) -> AzureServer:
    found: AzureServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
async def container(server: AzureServer) -> AsyncIterator[ContainerClient]:
    async with blobs(server) as client:
        yield client


@pytest.fixture
def prefix(server: AzureServer) -> str:
    return server.fresh_prefix()


@pytest.fixture
def blob(container: ContainerClient, prefix: str) -> BlobClient:
    return container.get_blob_client(f"{prefix}/a")


async def put(blob: BlobClient, content: bytes, **options: Any) -> Any:
    return await blob.upload_blob(content, **{"overwrite": True, **options})


def signature(blob: BlobClient) -> str:
    """That lets whoever has it read a blob."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    may = BlobSasPermissions(read=True)
    return generate_blob_sas(ACCOUNT, CONTAINER, blob.blob_name, account_key=KEY, permission=may, expiry=end)


async def names(container: ContainerClient, prefix: str, **options: Any) -> list[str]:
    cut = len(prefix) + 1
    return [one.name[cut:] async for one in container.list_blobs(name_starts_with=f"{prefix}/", **options)]


async def test_an_upload_keeps_content_metadata_and_settings(blob: BlobClient) -> None:
    kind = ContentSettings(content_type="text/x", content_language="de", cache_control="no-cache")
    told = await put(blob, b"hello", metadata={"Plain": "a", "b": "x y"}, content_settings=kind)
    found = await blob.get_blob_properties()
    assert (found.size, found.metadata, found.blob_type) == (5, {"Plain": "a", "b": "x y"}, "BlockBlob")
    assert found.etag == told["etag"]
    assert found.etag.startswith('"0x')
    assert found.content_settings.content_type == "text/x"
    assert found.content_settings.content_language == "de"
    assert found.content_settings.cache_control == "no-cache"
    assert bytes(found.content_settings.content_md5).hex() == "5d41402abc4b2a76b9719d911017c592"
    assert bytes(told["content_md5"]) == bytes(found.content_settings.content_md5)
    assert found.creation_time <= found.last_modified
    assert await content_of(blob) == b"hello"


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_name_is_kept(container: ContainerClient, prefix: str, name: str) -> None:
    blob, copy = (container.get_blob_client(f"{prefix}/{each}") for each in (name, name + "2"))
    await put(blob, b"1")
    assert await content_of(blob) == b"1"
    assert await names(container, prefix) == [name]
    assert (await copy.start_copy_from_url(blob.url))["copy_status"] == "success"
    done = [one.status_code async for one in await container.delete_blobs(f"{prefix}/{name}")]
    assert done == [202]
    assert await names(container, prefix) == [name + "2"]


async def test_compressed_content_is_stored_and_sent_as_it_is(blob: BlobClient) -> None:
    packed = gzip.compress(b"z" * 1000)
    await put(blob, packed, content_settings=ContentSettings(content_encoding="gzip"))
    assert await (await blob.download_blob(decompress=False)).readall() == packed
    assert (await blob.get_blob_properties()).content_settings.content_encoding == "gzip"
    assert (await blob.get_blob_properties()).size == len(packed)


@pytest.mark.parametrize(
    ("offset", "length", "content"), [(1, 2, b"el"), (3, None, b"lo"), (3, 100, b"lo"), (0, 1, b"h")]
)
async def test_a_range_is_read(blob: BlobClient, offset: int, length: int | None, content: bytes) -> None:
    await put(blob, b"hello")
    assert await (await blob.download_blob(offset=offset, length=length)).readall() == content


async def test_no_range_begins_past_the_end(blob: BlobClient) -> None:
    await put(blob, b"hello")
    assert await refusal(blob.download_blob(offset=6, length=1)) == (416, "InvalidRange")
    await put(blob, b"")
    assert await refusal(blob._client.blob.download(range="bytes=0-1")) == (416, "InvalidRange")
    assert await content_of(blob) == b""


WRITES: dict[str, Callable[..., Awaitable[Any]]] = {
    "put": lambda blob, **options: put(blob, b"new", **options),
    "commit": lambda blob, **options: commit(blob, b"ne", b"w", **options),
    "copy": lambda blob, **options: blob.start_copy_from_url(f"{blob.url}-source", **options),
}


@pytest.fixture(params=WRITES)
async def write(request: pytest.FixtureRequest, blob: BlobClient) -> Callable[..., Awaitable[Any]]:
    """A way to write "new" to the blob, under a condition."""
    async with blobs(request.getfixturevalue("server")) as container:
        await put(container.get_blob_client(f"{blob.blob_name}-source"), b"new")
    return lambda **options: WRITES[request.param](blob, **options)


async def test_a_write_has_conditions(blob: BlobClient, write: Callable[..., Awaitable[Any]]) -> None:
    assert await refusal(write(**only('"0x1"'))) == (412, "ConditionNotMet")
    assert await refusal(blob.get_blob_properties()) == (404, "BlobNotFound")
    first = (await put(blob, b"old"))["etag"]
    assert await refusal(write(**NEW)) == (409, "BlobAlreadyExists")
    assert await refusal(write(**only('"0x1"'))) == (412, "ConditionNotMet")
    assert await refusal(write(**unless(first))) == (412, "ConditionNotMet")
    assert await content_of(blob) == b"old"
    second = (await write(**only(first)))["etag"]
    assert second != first
    assert await content_of(blob) == b"new"
    assert await refusal(write(**only(first))) == (412, "ConditionNotMet")
    assert (await blob.get_blob_properties()).etag == second


async def test_a_write_asks_for_the_lease(blob: BlobClient, write: Callable[..., Awaitable[Any]]) -> None:
    await put(blob, b"old")
    lease = await blob.acquire_lease()
    assert await refusal(write()) == (412, "LeaseIdMissing")
    assert await content_of(blob) == b"old"
    await lease.release()
    await write()
    assert await content_of(blob) == b"new"


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.full)])
@pytest.mark.parametrize("way", WRITES)
async def test_one_of_many_creators_wins(container: ContainerClient, prefix: str, way: str, rounds: int) -> None:
    for number in range(rounds):
        blob = container.get_blob_client(f"{prefix}/{number}")
        if way == "commit":
            await asyncio.gather(*(blob.stage_block(f"{one:048d}", b"1") for one in range(16)))
            calls = [blob.commit_block_list([BlobBlock(f"{one:048d}")], **NEW) for one in range(16)]
        else:
            await put(container.get_blob_client(f"{blob.blob_name}-source"), b"new")
            calls = [WRITES[way](blob, **NEW) for _ in range(16)]
        # Those who commit late have no blocks any more, or a blob in their way.
        assert [min(one, 400) for one in await race(calls)] == [200] + [400] * 15


async def test_readers_have_conditions(blob: BlobClient) -> None:
    etag = (await put(blob, b"hello"))["etag"]
    for call in (blob.get_blob_properties, blob.download_blob):
        assert await refusal(call(**only('"0x1"'))) == (412, "ConditionNotMet")
        assert (await refusal(call(**unless(etag))))[0] == 304
        await call(**only(etag))
    past, future = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours) for hours in (-1, 1))
    assert (await refusal(blob.get_blob_properties(if_unmodified_since=past)))[0] == 412
    assert (await refusal(blob.get_blob_properties(if_modified_since=future)))[0] == 304
    await blob.get_blob_properties(if_modified_since=past, if_unmodified_since=future)


async def test_a_delete_has_conditions(blob: BlobClient) -> None:
    etag = (await put(blob, b"1"))["etag"]
    assert await refusal(blob.delete_blob(**only('"0x1"'))) == (412, "ConditionNotMet")
    lease = await blob.acquire_lease()
    assert await refusal(blob.delete_blob()) == (412, "LeaseIdMissing")
    await lease.release()
    await blob.delete_blob(**only(etag))
    assert await refusal(blob.delete_blob()) == (404, "BlobNotFound")


async def test_blocks_are_seen_when_they_are_committed(
    container: ContainerClient, prefix: str, blob: BlobClient
) -> None:
    for name, content in (("0001", b"ab"), ("0002", b"cd"), ("0003", b"ef")):
        await blob.stage_block(name, content)
    assert await refusal(blob.get_blob_properties()) == (404, "BlobNotFound")
    assert await names(container, prefix) == []
    assert await names(container, prefix, include=["uncommittedblobs"]) == ["a"]
    committed, uncommitted = await blob.get_block_list("all")
    assert (committed, [(one.id, one.size) for one in uncommitted]) == ([], [("0001", 2), ("0002", 2), ("0003", 2)])
    await blob.commit_block_list([BlobBlock("0003"), BlobBlock("0001")], metadata={"a": "b"})
    assert await content_of(blob) == b"efab"
    assert (await blob.get_blob_properties()).metadata == {"a": "b"}
    committed, uncommitted = await blob.get_block_list("all")
    assert ([one.id for one in committed], uncommitted) == (["0003", "0001"], [])
    assert await refusal(blob.commit_block_list([BlobBlock("0002")])) == (400, "InvalidBlockList")
    await blob.stage_block("0004", b"gh")
    await blob.commit_block_list([BlobBlock("0001"), BlobBlock("0004")])
    assert await content_of(blob) == b"abgh"


async def test_a_block_is_read_from_an_address_that_lets_it(container: ContainerClient, blob: BlobClient) -> None:
    source = container.get_blob_client(f"{blob.blob_name}-source")
    etag = (await put(source, b"hello"))["etag"]
    address = f"{source.url}?{signature(source)}"
    for number, start in enumerate((3, 0)):
        await blob.stage_block_from_url(f"{number:08d}", address, start, 3 - number)
    await blob.commit_block_list([BlobBlock("00000001"), BlobBlock("00000000")])
    assert await content_of(blob) == b"helo"
    pinned = {"headers": {"x-ms-source-if-match": etag}}
    await blob.stage_block_from_url("00000002", address, 0, 1, **pinned)
    await put(source, b"other")
    stale = blob.stage_block_from_url("00000003", address, 0, 1, **pinned)
    assert await refusal(stale) == (412, "SourceConditionNotMet")
    assert (await refusal(blob.stage_block_from_url("00000003", source.url, 0, 1)))[1] == "CannotVerifyCopySource"


async def test_block_ids_of_a_blob_have_one_length(blob: BlobClient) -> None:
    await blob.stage_block("0001", b"1")
    assert await refusal(blob.stage_block("00001", b"1")) == (400, "InvalidBlobOrBlock")
    for name in ("", "x" * 65):
        assert (await refusal(blob.stage_block(name, b"1")))[0] == 400


async def test_no_block_list_at_all_makes_an_empty_blob(blob: BlobClient) -> None:
    await blob.commit_block_list([])
    assert await content_of(blob) == b""


async def test_a_commit_of_another_writer_discards_blocks(blob: BlobClient) -> None:
    await blob.stage_block("0001", b"1")
    await blob.stage_block("0002", b"2")
    await blob.commit_block_list([BlobBlock("0002")])
    assert await refusal(blob.commit_block_list([BlobBlock("0001")])) == (400, "InvalidBlockList")
    assert await content_of(blob) == b"2"


async def test_what_arrives_otherwise_than_it_was_sent_is_refused(blob: BlobClient) -> None:
    wrong = bytearray(16)
    call = blob._client.block_blob.upload(content_length=1, body=b"1", transactional_content_md5=wrong)
    assert await refusal(call) in [(400, "Md5Mismatch"), (400, "InvalidOperation"), (400, "InvalidMd5")]
    assert await refusal(blob.get_blob_properties()) == (404, "BlobNotFound")


async def test_a_copy_keeps_metadata_and_settings(container: ContainerClient, prefix: str, blob: BlobClient) -> None:
    await put(blob, b"1", metadata={"k": "v"}, content_settings=ContentSettings(content_type="text/x"))
    source, copy = await blob.get_blob_properties(), container.get_blob_client(f"{prefix}/b")
    told = await copy.start_copy_from_url(blob.url)
    assert (told["copy_status"], bool(told["copy_id"])) == ("success", True)
    found = await copy.get_blob_properties()
    assert (found.metadata, found.content_settings.content_type, found.size) == ({"k": "v"}, "text/x", 1)
    assert (found.copy.id, found.copy.status, found.copy.progress) == (told["copy_id"], "success", "1/1")
    assert found.etag == told["etag"] != source.etag
    await copy.start_copy_from_url(blob.url, metadata={"other": "1"})
    assert (await copy.get_blob_properties()).metadata == {"other": "1"}
    assert await refusal(copy.abort_copy(told["copy_id"])) in [(409, "NoPendingCopyOperation"), (409, "CopyIdMismatch")]


async def test_a_copy_has_conditions_on_its_source(container: ContainerClient, prefix: str, blob: BlobClient) -> None:
    etag, copy = (await put(blob, b"1"))["etag"], container.get_blob_client(f"{prefix}/b")
    same = {"source_match_condition": MatchConditions.IfNotModified}
    assert (await refusal(copy.start_copy_from_url(blob.url, source_etag='"0x1"', **same)))[0] == 412
    assert await refusal(copy.get_blob_properties()) == (404, "BlobNotFound")
    await copy.start_copy_from_url(blob.url, source_etag=etag, **same)
    assert await refusal(copy.start_copy_from_url(f"{blob.url}-missing")) == (404, "BlobNotFound")
    other = blob.url.replace(CONTAINER, "no-container")
    assert await refusal(copy.start_copy_from_url(other)) == (404, "ContainerNotFound")


async def test_a_batch_deletes_each_for_itself(container: ContainerClient, prefix: str) -> None:
    for name in "abc":
        await put(container.get_blob_client(f"{prefix}/{name}"), b"1")
    lease = await container.get_blob_client(f"{prefix}/b").acquire_lease()
    asked = [f"{prefix}/{name}" for name in ("a", "missing", "b", "c")]
    done = [one async for one in await container.delete_blobs(*asked, raise_on_any_failure=False)]
    assert [one.status_code for one in done] == [202, 404, 412, 202]
    assert done[1].headers["x-ms-error-code"] == "BlobNotFound"
    assert done[2].headers["x-ms-error-code"] == "LeaseIdMissing"
    assert await names(container, prefix) == ["b"]
    await lease.release()


@pytest.mark.full
async def test_a_batch_has_256_calls_at_most(container: ContainerClient) -> None:
    for count, statuses in ((256, [404] * 256), (257, [400])):
        done = await container.delete_blobs(*["x"] * count, raise_on_any_failure=False)
        assert [one.status_code async for one in done] == statuses


async def walk(container: ContainerClient, prefix: str, **options: Any) -> tuple[list[str], list[str]]:
    """Blobs and prefixes."""
    cut, found = len(prefix) + 1, ([], [])
    async for one in container.walk_blobs(name_starts_with=f"{prefix}/", **options):
        found[isinstance(one, BlobPrefix)].append(one.name[cut:])
    return found


async def test_a_listing_is_in_the_order_of_names(container: ContainerClient, prefix: str) -> None:
    for name in ("é", "f", "d/", "d/1", "d-x", "d/e/3", "a"):
        await put(container.get_blob_client(f"{prefix}/{name}"), b"1", metadata={"k": name} if name == "a" else None)
    assert await names(container, prefix) == ["a", "d-x", "d/", "d/1", "d/e/3", "f", "é"]
    assert await walk(container, prefix, delimiter="/") == (["a", "d-x", "f", "é"], ["d/"])
    assert await walk(container, f"{prefix}/d", delimiter="/") == (["", "1"], ["e/"])
    assert await walk(container, f"{prefix}/nothing", delimiter="/") == ([], [])
    first = await anext(container.list_blobs(name_starts_with=prefix, include=["metadata"]))
    told = await container.get_blob_client(f"{prefix}/a").get_blob_properties()
    assert (first.metadata, first.size, f'"{first.etag}"') == ({"k": "a"}, 1, told.etag)
    assert (first.last_modified, first.content_settings.content_md5) == (
        told.last_modified,
        told.content_settings.content_md5,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_pages_hold_each_name_once(container: ContainerClient, prefix: str, size: int) -> None:
    for name in ("a", "b", "c/1", "c/2", "d", "é"):
        await put(container.get_blob_client(f"{prefix}/{name}"), b"1")
    pages = []
    options = {"name_starts_with": f"{prefix}/", "results_per_page": size}
    async for page in container.list_blobs(**options).by_page():
        pages.append([one.name.removeprefix(f"{prefix}/") async for one in page])
    assert [name for page in pages for name in page] == ["a", "b", "c/1", "c/2", "d", "é"]
    assert all(len(page) <= size for page in pages)
    found = [one.name async for one in container.walk_blobs(**options, delimiter="/")]
    assert sorted(name.removeprefix(f"{prefix}/") for name in found) == ["a", "b", "c/", "d", "é"]


async def test_metadata_is_replaced_and_changes_the_etag(blob: BlobClient) -> None:
    first = (await put(blob, b"1", metadata={"a": "1"}))["etag"]
    assert await refusal(blob.set_blob_metadata({"b": "2"}, **only('"0x1"'))) == (412, "ConditionNotMet")
    told = await blob.set_blob_metadata({"b": "2"}, **only(first))
    found = await blob.get_blob_properties()
    assert (found.metadata, found.etag) == ({"b": "2"}, told["etag"])
    assert found.etag != first
    for name in ("a-b", "a.b", "1a"):
        assert await refusal(blob.set_blob_metadata({name: "1"})) == (400, "InvalidMetadata")


async def test_a_lease_is_held_changed_and_released(blob: BlobClient) -> None:
    await put(blob, b"1")
    lease = await blob.acquire_lease(lease_duration=15)
    found = (await blob.get_blob_properties()).lease
    assert (found.status, found.state, found.duration) == ("locked", "leased", "fixed")
    assert await refusal(blob.acquire_lease()) == (409, "LeaseAlreadyPresent")
    assert await refusal(put(blob, b"2", lease=LEASE)) == (412, "LeaseIdMismatchWithBlobOperation")
    await lease.renew()
    await lease.change(LEASE)
    await put(blob, b"2", lease=LEASE)
    assert (await blob.get_blob_properties()).lease.state == "leased"
    assert await lease.break_lease(0) == 0
    assert await refusal(lease.renew()) == (409, "LeaseIsBrokenAndCannotBeRenewed")
    assert (await blob.get_blob_properties()).lease.state == "broken"
    await put(blob, b"3")
    await (await blob.acquire_lease()).release()
    assert (await blob.get_blob_properties()).lease.state == "available"
    assert await refusal(put(blob, b"4", lease=LEASE)) == (412, "LeaseNotPresentWithBlobOperation")


async def test_what_is_missing_is_404(server: AzureServer, blob: BlobClient) -> None:
    for call in (blob.get_blob_properties, blob.download_blob, blob.delete_blob, blob.get_block_list):
        assert await refusal(call()) == (404, "BlobNotFound")
    async with blobs(server, "no-container") as missing:
        inside = missing.get_blob_client("a")
        for call in (inside.get_blob_properties, inside.delete_blob, missing.get_container_properties):
            assert await refusal(call()) == (404, "ContainerNotFound")
        assert await refusal(put(inside, b"1")) == (404, "ContainerNotFound")
        assert await refusal(inside.stage_block("0001", b"1")) == (404, "ContainerNotFound")
        assert await refusal(anext(missing.list_blobs())) == (404, "ContainerNotFound")
        assert not await missing.exists()


async def test_containers_are_made_and_removed(server: AzureServer) -> None:
    name = server.fresh_prefix()
    async with blobs(server, name) as container:
        await container.create_container(metadata={"a": "b"})
        assert await refusal(container.create_container()) == (409, "ContainerAlreadyExists")
        assert (await container.get_container_properties()).metadata == {"a": "b"}
        assert (await container.get_account_information())["account_kind"] == "StorageV2"
        await container.delete_container()
        assert not await container.exists()


async def test_a_signature_in_the_url_lets_in(server: AzureServer, blob: BlobClient) -> None:
    await put(blob, b"hello")
    async with BlobClient.from_blob_url(f"{blob.url}?{signature(blob)}") as signed:
        assert await content_of(signed) == b"hello"
