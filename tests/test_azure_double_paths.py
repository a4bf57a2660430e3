"""The hierarchical half of the double of Azure storage, which no other server has, by calls of Azure's SDKs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest
from azure.core import MatchConditions
from azure.storage.blob.aio import BlobClient, BlobPrefix, ContainerClient
from azure.storage.filedatalake.aio import DataLakeFileClient, FileSystemClient
from servers.azure import CONTAINER, HNS, AzureServer
from servers.azure_client import blobs, commit, content_of, paths, race, refusal

NEW = {"match_condition": MatchConditions.IfMissing}


@pytest.fixture
def double(azure_server: AzureServer) -> AzureServer:
    return azure_server


@pytest.fixture
async def container(double: AzureServer) -> AsyncIterator[ContainerClient]:
    async with blobs(double, HNS) as client:
        yield client


@pytest.fixture
async def tree(double: AzureServer) -> AsyncIterator[FileSystemClient]:
    async with paths(double, HNS) as client:
        yield client


@pytest.fixture
def root(double: AzureServer) -> str:
    """A folder of the test's own."""
    name = double.fresh_prefix()
    double.mkdir(name)
    return name


@pytest.fixture
def blob(container: ContainerClient, root: str) -> BlobClient:
    return container.get_blob_client(f"{root}/a")


@pytest.fixture
def file(tree: FileSystemClient, root: str) -> DataLakeFileClient:
    return tree.get_file_client(f"{root}/a")


@pytest.fixture
def keys(double: AzureServer, root: str) -> Callable[[], list[str]]:
    """Paths below the folder; those of folders end in "/"."""
    return lambda: [name.removeprefix(f"{root}/") for name in double.keys(f"{root}/", HNS) if name != f"{root}/"]


async def test_a_put_makes_the_folders_above_it(
    container: ContainerClient, root: str, keys: Callable[[], list[str]]
) -> None:
    await container.upload_blob(f"{root}/d/e/a", b"1")
    assert keys() == ["d/", "d/e/", "d/e/a"]
    found = await container.get_blob_client(f"{root}/d").get_blob_properties()
    assert (found.metadata, found.size) == ({"hdi_isfolder": "true"}, 0)


async def test_a_folder_is_made_once_where_that_is_asked(
    tree: FileSystemClient, blob: BlobClient, root: str, keys: Callable[[], list[str]]
) -> None:
    folder = tree.get_directory_client(f"{root}/d/e")
    await folder.create_directory(metadata={"k": "v"}, **NEW)
    assert await refusal(folder.create_directory(**NEW)) == (409, "PathAlreadyExists")
    await folder.create_directory()
    assert (await folder.get_directory_properties()).metadata == {"k": "v", "hdi_isfolder": "true"}
    await blob.upload_blob(b"1")
    for path in ("a", "a/below"):
        assert (await refusal(tree.get_directory_client(f"{root}/{path}").create_directory()))[0] == 409
    assert keys() == ["a", "d/", "d/e/"]


def source_of(blob: BlobClient) -> str:
    """What is copied or renamed to a blob."""
    return f"{blob.blob_name.partition('/')[0]}/source"


WRITES: dict[str, Callable[..., Awaitable[Any]]] = {
    "put": lambda tree, blob, **options: blob.upload_blob(b"new", **{"overwrite": not options, **options}),
    "commit": lambda tree, blob, **options: commit(blob, b"ne", b"w", **options),
    "copy": lambda tree, blob, **options: blob.start_copy_from_url(
        blob.url.replace(quote(blob.blob_name), source_of(blob)), **options
    ),
    "create": lambda tree, blob, **options: tree.get_file_client(blob.blob_name).create_file(**options),
    "rename": lambda tree, blob, **options: tree.get_file_client(source_of(blob)).rename_file(
        f"{HNS}/{blob.blob_name}", **options
    ),
}


@pytest.mark.parametrize("write", WRITES)
async def test_nothing_is_written_under_a_file_or_onto_a_folder(
    double: AzureServer,
    container: ContainerClient,
    tree: FileSystemClient,
    root: str,
    write: str,
    keys: Callable[[], list[str]],
) -> None:
    double.mkdir(f"{root}/d")
    double.put(f"{root}/a", b"old", HNS)
    double.put(f"{root}/source", b"new", HNS)
    for name, code in (("a/b", "PathConflict"), ("d", "ResourceTypeMismatch")):
        if write == "rename" and name == "d":
            code = "InvalidSourceOrDestinationResourceType"
        assert await refusal(WRITES[write](tree, container.get_blob_client(f"{root}/{name}"))) == (409, code)
    assert keys() == ["a", "d/", "source"]
    with double.having(under_a_file="PathAlreadyExists", onto_a_folder="PathConflict"):
        assert await refusal(container.upload_blob(f"{root}/a/b", b"1")) == (409, "PathAlreadyExists")
        assert await refusal(container.upload_blob(f"{root}/d", b"1", overwrite=True)) == (409, "PathConflict")


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.full)])
@pytest.mark.parametrize("write", WRITES)
async def test_one_of_many_creators_wins(
    double: AzureServer, container: ContainerClient, tree: FileSystemClient, root: str, write: str, rounds: int
) -> None:
    for number in range(rounds):
        blob = container.get_blob_client(f"{root}/{number}/new")
        double.put(f"{root}/source", b"new", HNS)
        if write == "rename":
            for one in range(16):
                double.put(f"{root}/{number}/{one}", b"new", HNS)
            sources = [tree.get_file_client(f"{root}/{number}/{one}") for one in range(16)]
            calls = [source.rename_file(f"{HNS}/{blob.blob_name}", **NEW) for source in sources]
        else:
            calls = [WRITES[write](tree, blob, **NEW) for _ in range(16)]
        assert [min(one, 400) for one in await race(calls)] == [200] + [400] * 15


async def test_what_is_appended_is_seen_when_flushed(file: DataLakeFileClient, blob: BlobClient) -> None:
    first = (await file.create_file())["etag"]
    await file.append_data(b"hel", 0)
    await file.append_data(b"lo", 3)
    assert await content_of(blob) == b""
    assert await refusal(file.flush_data(6)) == (400, "InvalidFlushPosition")
    wrong = {"etag": '"0x1"', "match_condition": MatchConditions.IfNotModified}
    assert await refusal(file.flush_data(5, **wrong)) == (412, "ConditionNotMet")
    told = await file.flush_data(5, etag=first, match_condition=MatchConditions.IfNotModified, close=True)
    assert await content_of(blob) == b"hello"
    assert (await blob.get_blob_properties()).etag == told["etag"] != first
    await file.append_data(b"!", 5, flush=True)
    assert await content_of(blob) == b"hello!"


async def test_blobs_and_paths_do_not_write_on(file: DataLakeFileClient, blob: BlobClient) -> None:
    await file.create_file()
    assert await refusal(blob.stage_block("0001", b"1")) == (409, "BlobOperationNotSupported")
    assert await refusal(blob.commit_block_list([])) == (409, "BlobOperationNotSupported")
    await blob.upload_blob(b"1", overwrite=True)
    await file.append_data(b"2", 1)
    assert await refusal(file.flush_data(2)) == (409, "InvalidFlushOperation")
    assert await content_of(blob) == b"1"


async def rename(file: DataLakeFileClient, root: str, name: str, **options: Any) -> Any:
    return await file.rename_file(f"{HNS}/{root}/{name}", **options)


async def test_a_rename_keeps_the_etag_and_replaces(
    file: DataLakeFileClient, container: ContainerClient, root: str, double: AzureServer, keys: Callable[[], list[str]]
) -> None:
    etag = double.put(f"{root}/a", b"new", HNS, k="v").etag
    double.put(f"{root}/b", b"old", HNS)
    await container.get_blob_client(f"{root}/b").acquire_lease()
    await rename(file, root, "b")
    assert keys() == ["b"]
    found = await container.get_blob_client(f"{root}/b").get_blob_properties()
    assert (found.etag, found.metadata, found.size) == (f'"{etag}"', {"k": "v"}, 3)
    assert found.lease.state == "available"


async def test_a_rename_has_conditions_on_both_ends(
    file: DataLakeFileClient, root: str, double: AzureServer, keys: Callable[[], list[str]]
) -> None:
    source = double.put(f"{root}/a", b"new", HNS).etag
    target = double.put(f"{root}/b", b"old", HNS).etag
    same, from_same = {"match_condition": MatchConditions.IfNotModified}, MatchConditions.IfNotModified
    assert await refusal(rename(file, root, "b", **NEW)) == (409, "PathAlreadyExists")
    assert await refusal(rename(file, root, "b", etag='"0x1"', **same)) == (412, "ConditionNotMet")
    wrong = {"source_etag": '"0x1"', "source_match_condition": from_same}
    assert await refusal(rename(file, root, "b", **wrong)) == (412, "SourceConditionNotMet")
    assert keys() == ["a", "b"]
    right = {"source_etag": f'"{source}"', "source_match_condition": from_same}
    await rename(file, root, "b", etag=f'"{target}"', **same, **right)
    assert keys() == ["b"]


async def test_a_rename_asks_for_the_lease_of_its_source(
    file: DataLakeFileClient, blob: BlobClient, root: str, keys: Callable[[], list[str]]
) -> None:
    await blob.upload_blob(b"1")
    lease = await blob.acquire_lease()
    assert await refusal(rename(file, root, "b")) == (412, "LeaseIdMissing")
    await rename(file, root, "b", source_lease=lease.id)
    assert keys() == ["b"]


async def test_a_rename_is_refused_where_it_cannot_be(
    tree: FileSystemClient, file: DataLakeFileClient, root: str, double: AzureServer, keys: Callable[[], list[str]]
) -> None:
    assert await refusal(rename(file, root, "b")) == (404, "SourcePathNotFound")
    double.put(f"{root}/a", b"1", HNS)
    double.put(f"{root}/full/x", b"1", HNS)
    double.mkdir(f"{root}/d")
    assert await refusal(rename(file, root, "none/b")) == (404, "RenameDestinationParentPathNotFound")
    folder = tree.get_directory_client(f"{root}/d")
    for name, code in (
        ("d/e", "InvalidRenameSourcePath"),
        ("full", "PathAlreadyExists"),
        ("a", "InvalidSourceOrDestinationResourceType"),
    ):
        assert await refusal(folder.rename_directory(f"{HNS}/{root}/{name}")) == (409, code)
    assert keys() == ["a", "d/", "full/", "full/x"]


async def test_a_folder_is_renamed_as_a_whole_and_replaces_an_empty_one(
    tree: FileSystemClient, root: str, double: AzureServer, keys: Callable[[], list[str]]
) -> None:
    for name in ("d/1", "d/e/2", "d-x"):
        double.put(f"{root}/{name}", name.encode(), HNS)
    double.mkdir(f"{root}/new")
    await tree.get_directory_client(f"{root}/d").rename_directory(f"{HNS}/{root}/new")
    assert keys() == ["d-x", "new/", "new/1", "new/e/", "new/e/2"]


@pytest.mark.parametrize("name", ["a b", "a+b", "ä", "50%", "\U0001f600", "a?b#c"])
async def test_an_odd_name_is_renamed(
    tree: FileSystemClient, root: str, double: AzureServer, keys: Callable[[], list[str]], name: str
) -> None:
    double.put(f"{root}/{name}", b"1", HNS)
    await rename(tree.get_file_client(f"{root}/{name}"), root, f"{name}2")
    assert keys() == [f"{name}2"]


async def test_the_sdk_renames_another_path_unless_a_literal_escape_is_quoted_first(
    tree: FileSystemClient, root: str, double: AzureServer, keys: Callable[[], list[str]]
) -> None:
    double.put(f"{root}/a%25b", b"1", HNS)
    assert await refusal(rename(tree.get_file_client(f"{root}/a%25b"), root, "b")) == (404, "SourcePathNotFound")
    await rename(tree.get_file_client(quote(f"{root}/a%25b")), root, "b")
    assert keys() == ["b"]


async def test_a_folder_is_deleted_as_a_whole_in_the_last_of_several_calls(
    tree: FileSystemClient, root: str, double: AzureServer, keys: Callable[[], list[str]]
) -> None:
    for name in ("d/1", "d/e/2", "d-x"):
        double.put(f"{root}/{name}", b"1", HNS)
    folder = tree.get_directory_client(f"{root}/d")
    with double.having(delete_calls=3):
        double.requests.clear()
        told = await folder._client.path.delete(recursive=True, cls=lambda response, body, headers: headers)
        assert told["x-ms-continuation"]
        assert keys() == ["d/", "d-x", "d/1", "d/e/", "d/e/2"]
        for _ in range(2):
            told = await folder._client.path.delete(
                recursive=True, continuation="x", cls=lambda response, body, headers: headers
            )
    assert not told.get("x-ms-continuation")
    assert keys() == ["d-x"]
    assert await refusal(folder.delete_directory()) == (404, "PathNotFound")


async def test_an_empty_folder_alone_is_deleted_by_name(
    tree: FileSystemClient, container: ContainerClient, root: str, double: AzureServer, keys: Callable[[], list[str]]
) -> None:
    double.put(f"{root}/d/1", b"1", HNS)
    as_file, as_blob = tree.get_file_client(f"{root}/d"), container.get_blob_client(f"{root}/d")
    assert await refusal(as_file.delete_file(recursive=False)) == (409, "DirectoryNotEmpty")
    assert await refusal(as_blob.delete_blob()) == (409, "DirectoryIsNotEmpty")
    await tree.get_file_client(f"{root}/d/1").delete_file()
    assert await refusal(container.get_blob_client(f"{root}/d/").delete_blob()) == (400, "InvalidUri")
    assert keys() == ["d/"]
    await as_file.delete_file(recursive=False)
    double.mkdir(f"{root}/d")
    await as_blob.delete_blob()
    assert keys() == []


@pytest.fixture
def filled(double: AzureServer, root: str) -> str:
    for name in ("a", "d-x", "d/1", "d/e/2", "é"):
        double.put(f"{root}/{name}", name.encode(), HNS)
    double.mkdir(f"{root}/empty")
    return root


async def test_paths_are_listed_with_their_kinds(tree: FileSystemClient, filled: str, double: AzureServer) -> None:
    cut = len(filled) + 1
    found = {one.name[cut:]: one async for one in tree.get_paths(filled)}
    assert list(found) == ["a", "d", "d/1", "d/e", "d/e/2", "d-x", "empty", "é"]
    assert [name for name, one in found.items() if one.is_directory] == ["d", "d/e", "empty"]
    held = double.container(HNS).items[f"{filled}/d/1"]
    assert (found["d/1"].content_length, found["d/1"].etag) == (3, held.etag)
    near = [one.name[cut:] async for one in tree.get_paths(filled, recursive=False)]
    assert near == ["a", "d", "d-x", "empty", "é"]


@pytest.mark.parametrize("settings", [{}, {"page": 1}, {"page": 2}, {"empty_page": True}])
async def test_pages_hold_each_path_once(
    tree: FileSystemClient, container: ContainerClient, filled: str, double: AzureServer, settings: dict[str, Any]
) -> None:
    whole = [one.name async for one in tree.get_paths(filled)]
    with double.having(**settings):
        assert [one.name async for one in tree.get_paths(filled)] == whole
        pages = tree.get_paths(filled, max_results=2).by_page()
        found = [[one.name async for one in page] async for page in pages]
        assert [name for page in found for name in page] == whole
        assert all(len(page) <= settings.get("page", 2) for page in found)
        near = [one.name async for one in container.walk_blobs(name_starts_with=f"{filled}/")]
        assert sorted(near) == [f"{filled}/{name}" for name in ("a", "d-x", "d/", "empty/", "é")]


async def test_a_folder_is_a_prefix_or_a_blob(container: ContainerClient, filled: str) -> None:
    cut = len(filled) + 1
    near = [one async for one in container.walk_blobs(name_starts_with=f"{filled}/")]
    assert sorted(one.name[cut:] for one in near if isinstance(one, BlobPrefix)) == ["d/", "empty/"]
    assert sorted(one.name[cut:] for one in near if not isinstance(one, BlobPrefix)) == ["a", "d-x", "é"]
    everything = container.list_blobs(name_starts_with=f"{filled}/", include=["metadata"])
    found = {one.name[cut:]: one.metadata async for one in everything}
    assert [name for name, told in found.items() if (told or {}).get("hdi_isfolder")] == ["d", "d/e", "empty"]
    assert len(found) == 8


async def test_what_is_missing_is_404(tree: FileSystemClient, root: str, double: AzureServer) -> None:
    assert await refusal(anext(tree.get_paths(f"{root}/none"))) == (404, "PathNotFound")
    assert await refusal(tree.get_file_client(f"{root}/none").delete_file(recursive=False)) == (404, "PathNotFound")
    assert await refusal(tree.get_file_client(f"{root}/none").get_file_properties()) == (404, "BlobNotFound")
    async with paths(double, "no-container") as missing:
        assert await refusal(anext(missing.get_paths())) == (404, "FilesystemNotFound")
        assert await refusal(missing.get_directory_client("d").create_directory()) == (404, "FilesystemNotFound")


async def test_access_control_of_the_root_tells_a_hierarchical_account(double: AzureServer) -> None:
    for name, outcome in (
        (HNS, None),
        (CONTAINER, (400, "HierarchicalNamespaceNotEnabled")),
        ("none", (404, "FilesystemNotFound")),
    ):
        async with paths(double, name) as tree:
            call = tree.get_directory_client("/").get_access_control()
            if outcome:
                assert await refusal(call) == outcome
            else:
                assert (await call)["owner"] == "$superuser"


async def test_a_filesystem_is_a_container(double: AzureServer) -> None:
    name = double.fresh_prefix()
    with double.having(hns=True):
        async with paths(double, name) as tree:
            await tree.create_file_system()
            await tree.create_directory("d")
            assert double.keys(container=name) == ["d/"]
            await tree.delete_file_system()
            assert not await tree.exists()


async def test_a_name_is_kept_as_the_service_keeps_it(
    container: ContainerClient, root: str, keys: Callable[[], list[str]]
) -> None:
    await container.upload_blob(f"{root}//b./c..", b"1")
    assert keys() == ["b/", "b/c"]
    for name in ("d/", "e\x01", "/".join("x" * 62)):
        assert (await refusal(container.upload_blob(f"{root}/{name}", b"1")))[0] == 400
    assert keys() == ["b/", "b/c"]
