"""zarr reads and writes stores asynchronously, by URL and by its `FsspecStore`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from helpers.processes import run_script
from libraries import Place, library, on_services_too, places
from servers import azure, azure_faults, gcs, gcs_faults, s3

from remote_store import InvalidPath, PermissionDenied
from remote_store.aio import AsyncStore
from remote_store.config import Registry, default_registry, set_default

np = library("numpy")
zarr = library("zarr")
zarr_async = library("zarr.api.asynchronous")
FsspecStore = library("zarr.storage").FsspecStore
sync = library("zarr.core.sync").sync

DATA = np.arange(100).reshape(10, 10)


def asynchronous(place: Place) -> AsyncStore:
    return default_registry().get_async_store(place.name)


def folder(place: Place) -> str:
    return place.url.rpartition("/")[2]


@pytest.fixture
def storage(place: Place) -> Iterator[Any]:
    store = asynchronous(place)  # Asked for where no loop runs: ours to close, on the loop that used it.
    yield FsspecStore(store.to_fsspec(), path=f"{folder(place)}/root")
    sync(store.aclose())


@on_services_too
def test_by_url(place: Place) -> None:
    group = zarr.open_group(f"{place.url}/data.zarr", mode="w", attributes={"of": "us"})
    group.create_array("sales", shape=DATA.shape, chunks=(5, 5), dtype=DATA.dtype)[:] = DATA
    assert place.keys == [
        *(f"data.zarr/sales/c/{x}/{y}" for x in range(2) for y in range(2)),
        "data.zarr/sales/zarr.json",
        "data.zarr/zarr.json",
    ]
    again = zarr.open_group(f"{place.url}/data.zarr", mode="r")
    assert dict(again.attrs) == {"of": "us"}
    assert (again["sales"][2:7, 3:] == DATA[2:7, 3:]).all()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_over_a_native_asynchronous_store(storage: Any, zarr_format: int) -> None:
    array = zarr.create_array(storage, name="a/b", data=DATA, chunks=(3, 3), zarr_format=zarr_format)
    array[0] = 7
    found = zarr.open_array(storage, path="a/b", mode="r")
    assert (found[1:] == DATA[1:]).all()
    assert (found[0] == 7).all()
    assert list(zarr.open_group(storage, mode="r")["a"].array_keys()) == ["b"]


def test_shards_are_read_by_ranges(place: Place, storage: Any) -> None:
    zarr.create_array(storage, name="a", shape=(1000,), chunks=(10,), shards=(500,), dtype="i4")[:] = np.arange(1000)
    assert place.keys == ["root/a/c/0", "root/a/c/1", "root/a/zarr.json", "root/zarr.json"]
    assert zarr.open_array(storage, path="a", mode="r")[495:505].tolist() == list(range(495, 505))


def test_arrays_grow_and_go(place: Place, storage: Any) -> None:
    array = zarr.create_array(storage, name="a", data=DATA, chunks=(5, 5))
    array.append(DATA)
    assert (zarr.open_array(storage, path="a")[:] == np.concatenate([DATA, DATA])).all()
    array.resize((5, 5))
    assert [key for key in place.keys if "/c/" in key] == ["root/a/c/0/0"]
    del zarr.open_group(storage)["a"]
    assert place.keys == ["root/zarr.json"]


def test_modes_are_kept(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        zarr.open_group(f"{place.url}/none", mode="r")
    zarr.open_group(f"{place.url}/data.zarr", mode="w-")["a"] = DATA
    with pytest.raises(FileExistsError):
        zarr.open_group(f"{place.url}/data.zarr", mode="w-")
    zarr.open_group(f"{place.url}/data.zarr", mode="w")
    assert place.keys == ["data.zarr/zarr.json"]


NESTED = {"a", "a/b", "c"}


def members(group: Any) -> set[str]:
    return {path for path, _ in group.members(max_depth=None)}


def nest(group: Any) -> None:
    a = group.create_group("a")
    a.create_array("b", data=DATA, chunks=(5, 5))
    group.create_array("c", data=DATA, chunks=(5, 5))


@pytest.fixture(
    params=["local", "memory", "s3", *(pytest.param(name, marks=pytest.mark.full) for name in ("gcs", "azure"))]
)
def root(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    moto_server: s3.S3Server,
    gcs_server: gcs.GcsServer,
    azure_server: azure.AzureServer,
) -> Iterator[str]:
    """The name of a store that is empty."""
    options: dict[str, dict[str, Any]] = {
        "local": {"root": str(tmp_path)},
        "memory": {},
        "s3": {"bucket": s3.BUCKET, **moto_server.options},
        "gcs": {"bucket": gcs.BUCKET, **gcs_server.options},
        "azure": {"container": azure.HNS, **azure_server.options},
    }
    stores = {
        kind: {"backend": kind, "root": moto_server.fresh_prefix(), "options": given} for kind, given in options.items()
    }
    with Registry({"stores": stores}) as registry, set_default(registry):
        yield request.param
        sync(registry.aclose())


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part in the Zarr format 3")
@pytest.mark.parametrize("protocol", ["remote-store", "remotestore"])
def test_groups_at_the_root_of_a_store(root: str, protocol: str) -> None:
    url = f"{protocol}://{root}"
    nest(zarr.open_group(url, mode="w"))
    assert members(zarr.open_group(url)) == NESTED
    zarr.consolidate_metadata(url)
    assert set(zarr.open_consolidated(url).metadata.consolidated_metadata.flattened_metadata) == NESTED
    assert (zarr.open_consolidated(url)["a/b"][:] == DATA).all()
    with pytest.raises(InvalidPath, match="Cannot delete the store root"):
        zarr.open_group(url, mode="w")
    assert members(zarr.open_group(url)) == NESTED


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part in the Zarr format 3")
@pytest.mark.parametrize("path", ["", "/", "x", "/x", "//x"])
@pytest.mark.parametrize("way", ["asynchronous", "wrapped", "mapper"])
def test_groups_of_one_store_however_its_path_is_spelled(root: str, way: str, path: str) -> None:
    registry = default_registry()
    fs = registry.get_store(root).to_fsspec()
    store = registry.get_async_store(root)
    storage = {
        "asynchronous": lambda: FsspecStore(store.to_fsspec(), path=path),
        "wrapped": lambda: FsspecStore(AsyncFileSystemWrapper(fs, asynchronous=True), path=path),
        "mapper": lambda: FsspecStore.from_mapper(fs.get_mapper(path)),
    }[way]()
    for _ in range(2):
        nest(zarr.open_group(storage, mode="w"))
        assert members(zarr.open_group(storage, mode="r")) == NESTED
    zarr.consolidate_metadata(storage)
    assert set(zarr.open_consolidated(storage).metadata.consolidated_metadata.flattened_metadata) == NESTED
    assert f"{path.strip('/')}/a/b/zarr.json".lstrip("/") in fs.find("")
    sync(store.aclose())


def test_the_root_of_a_store_is_replaced(place: Place) -> None:
    store = asynchronous(place)
    storage = FsspecStore(store.child(folder(place)).to_fsspec(), path="")
    for _ in range(2):
        zarr.open_group(storage, mode="w")["a"] = DATA
        assert set(place.keys) == {"zarr.json", "a/zarr.json", "a/c/0/0"}
    zarr.open_group(storage, mode="w")
    assert place.keys == ["zarr.json"]
    sync(store.aclose())


@pytest.mark.parametrize("place", places("bucket")[1:], indirect=True)
def test_scripts_leave_nothing_open(place: Place) -> None:
    code = f"import zarr; zarr.open_group('{place.url}', mode='w'); print('done')"
    said, noise = run_script(code)
    assert (said, "nclosed" in noise) == ("done\n", False), noise


async def test_on_an_event_loop_of_ours(place: Place) -> None:
    store = asynchronous(place).child(folder(place))  # Shared within the loop, and closed when that ends.
    storage = FsspecStore(store.to_fsspec(), path="root")
    array = await zarr_async.create_array(storage, data=DATA, chunks=(5, 5))
    assert (await array.getitem((slice(2, 4), 3)) == DATA[2:4, 3]).all()
    found = await zarr_async.open_array(store=storage, mode="r")
    assert (await found.getitem(slice(None)) == DATA).all()
    assert len([file async for file in store.list_files("root/c", recursive=True)]) == 4


def test_over_a_store_that_is_not_asynchronous(place: Place) -> None:
    with pytest.raises(TypeError, match="async"):
        FsspecStore(place.fs, path="root")
    for storage in (
        FsspecStore(AsyncFileSystemWrapper(place.fs, asynchronous=True), path="one"),
        FsspecStore.from_mapper(place.fs.get_mapper("two")),
    ):
        zarr.create_array(storage, data=DATA, chunks=(5, 5))
        assert (zarr.open_array(storage, mode="r")[:] == DATA).all()
    assert {key.partition("/")[0] for key in place.keys} == {"one", "two"}


def test_what_is_refused_is_not_taken_for_missing(
    place: Place, moto_server: s3.S3Server, gcs_server: gcs.GcsServer, azure_server: azure.AzureServer
) -> None:
    array = zarr.create_array(f"{place.url}/a", data=DATA, chunks=(5, 5), fill_value=-1)
    place.store.delete("a/c/0/0")
    assert (array[:5, :5] == -1).all()  # A chunk that was never written, by zarr's own rule.
    refusing = {
        "bucket": (moto_server, lambda *_: s3.refusal("403 Forbidden", "AccessDenied")),
        "google": (gcs_server, gcs_faults.instead(gcs_faults.DENIED)),
        **dict.fromkeys(("blobs", "lake"), (azure_server, azure_faults.instead(azure_faults.DENIED))),
    }
    if place.name in refusing:
        server, hook = refusing[place.name]
        with server.hooked(hook), pytest.raises(PermissionDenied):
            array[:]
