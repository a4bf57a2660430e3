"""xarray reads and writes stores through zarr's `FsspecStore`, and netCDF through files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from libraries import Place, library
from servers.s3 import BUCKET, S3Server

from remote_store.config import Registry, set_default

np = library("numpy")
xr = library("xarray")
FsspecStore = library("zarr.storage").FsspecStore

DATA = xr.Dataset(
    {"heat": (("day", "place"), np.arange(20.0).reshape(4, 5))}, {"day": np.arange(4), "place": np.arange(5)}
)
same = xr.testing.assert_identical


@pytest.fixture
def storage(place: Place) -> Any:
    return FsspecStore.from_url(f"{place.url}/data.zarr")


def test_zarr(place: Place, storage: Any) -> None:
    DATA.chunk(day=2).to_zarr(storage, consolidated=False)
    assert "data.zarr/heat/c/1/0" in place.keys
    same(xr.open_zarr(storage, consolidated=False).load(), DATA)
    found = xr.open_zarr(storage, consolidated=False).sel(place=1).heat.mean()
    assert float(found) == float(DATA.sel(place=1).heat.mean())


def test_zarr_by_filesystem(place: Place) -> None:
    fs = fsspec.filesystem("remote-store", asynchronous=True)
    storage = FsspecStore(fs, path=f"{place.path}/data.zarr")
    DATA.to_zarr(storage, consolidated=False)
    same(xr.open_zarr(storage, consolidated=False).load(), DATA)


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part in the Zarr format 3")  # Of xarray.
def test_zarr_with_consolidated_metadata(storage: Any) -> None:
    DATA.to_zarr(storage)
    same(xr.open_zarr(storage, consolidated=True).load(), DATA)


def test_zarr_that_is_replaced_and_appended_to(storage: Any) -> None:
    DATA.to_zarr(storage, consolidated=False)
    with pytest.raises(FileExistsError):
        DATA.to_zarr(storage, consolidated=False)
    half = DATA.isel(day=slice(2))
    half.to_zarr(storage, mode="w", consolidated=False)
    same(xr.open_zarr(storage, consolidated=False).load(), half)
    DATA.isel(day=slice(2, 4)).to_zarr(storage, append_dim="day", consolidated=False)
    same(xr.open_zarr(storage, consolidated=False).load(), DATA)
    twice = DATA.isel(day=[1]).drop_vars("place") * 2
    twice.to_zarr(storage, region={"day": slice(1, 2)}, consolidated=False)
    assert (xr.open_zarr(storage, consolidated=False).heat[1] == DATA.heat[1] * 2).all()


def test_missing_data_is_file_not_found(storage: Any) -> None:
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(storage, consolidated=False)


def test_urls_are_taken_for_local_paths(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DATA.to_zarr(f"{place.url}/data.zarr", consolidated=False)  # Its pattern of URLs knows no "-".
    assert place.keys == []
    assert (tmp_path / "remote-store:").is_dir()


def test_urls_without_a_dash_are_taken_for_what_they_are(place: Place) -> None:
    url = place.url.replace("remote-store:", "remotestore:") + "/data.zarr"
    DATA.to_zarr(url, consolidated=False)
    assert place.keys != []
    with xr.open_zarr(url, consolidated=False) as found:
        same(found.load(), DATA)


def test_trees_at_the_root_of_a_store(moto_server: S3Server) -> None:
    options = {"bucket": BUCKET, **moto_server.options}
    bucket = {"backend": "s3", "root": moto_server.fresh_prefix(), "options": options}
    with Registry({"stores": {"bucket": bucket, "memory": {"backend": "memory"}}}) as registry, set_default(registry):
        for name in ("bucket", "memory"):
            tree = xr.DataTree.from_dict({"/": DATA, "/a": DATA, "/a/b": DATA})
            tree.to_zarr(f"remotestore://{name}", consolidated=False)
            with xr.open_datatree(f"remotestore://{name}", engine="zarr", consolidated=False) as found:
                assert found.groups == ("/", "/a", "/a/b")
                xr.testing.assert_identical(found.load(), tree)
        library("zarr.core.sync").sync(registry.aclose())


def test_netcdf(place: Place) -> None:
    library("h5netcdf")
    place.store.write("data.nc", DATA.to_netcdf(engine="h5netcdf"))
    with place.fs.open("data.nc") as file, xr.open_dataset(file, engine="h5netcdf") as found:
        same(found.load(), DATA)
    # HDF5 goes back in a file, which those of a store do not.
    with place.fs.open("other.nc", "wb") as file, pytest.raises(OSError, match="seek"):
        DATA.to_netcdf(file, engine="h5netcdf")
