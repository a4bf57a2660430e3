"""Dask's workers read and write stores: each in a process of its own, which knows the configuration alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from libraries import SECRETS, Place, library, on_services_too, on_sftp_too

from remote_store import NotFound

pd = library("pandas")
dask = library("dask")
dd = library("dask.dataframe")
bag = library("dask.bag")
distributed = library("distributed")

pytestmark = pytest.mark.filterwarnings(
    # dask 2026.8 with pandas 3.1; nothing that its callers do.
    r"ignore:The inplace keyword in DataFrame\.(set|reset)_index is deprecated"
)

FRAME = pd.DataFrame({"sold": range(100), "shop": ["a", "b"] * 50})
LINES = ["one", "two", "three", "four"]


@pytest.fixture(scope="module")
def client(configuration: Path) -> Iterator[Any]:
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    # Or its other pages would be on port 8787, to the world, and there once.
    options["scheduler_kwargs"] = {"dashboard_address": "127.0.0.1:0"}
    environment = {"REMOTE_STORE_CONFIG": str(configuration)}
    with (
        dask.config.set({"dataframe.convert-string": False}),
        distributed.LocalCluster(host="127.0.0.1", env=environment, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def frame(client: Any) -> Any:
    return dd.from_pandas(FRAME, npartitions=4)


def same(found: Any, expected: Any = FRAME) -> None:
    pd.testing.assert_frame_equal(found.compute(), expected, check_dtype=False, check_index_type=False)


def test_there_are_two_other_processes(client: Any) -> None:
    assert len({os.getpid(), *client.run(os.getpid).values()}) == 3


# --- frames


@on_services_too
def test_parquet_by_url(place: Place, frame: Any) -> None:
    frame.to_parquet(f"{place.url}/sales")
    assert place.keys == [f"sales/part.{number}.parquet" for number in range(4)]
    same(dd.read_parquet(f"{place.url}/sales"))


@on_sftp_too
def test_parquet_by_filesystem(place: Place, frame: Any) -> None:
    frame.to_parquet("sales", filesystem=place.fs)
    same(dd.read_parquet("sales", filesystem=place.fs))


def test_partitioned_parquet(place: Place, frame: Any) -> None:
    frame.to_parquet(f"{place.url}/sales", partition_on=["shop"])
    assert {key.split("/")[1] for key in place.keys} == {"shop=a", "shop=b"}
    found = dd.read_parquet(f"{place.url}/sales", filters=[("shop", "==", "b")]).compute()
    assert sorted(found["sold"]) == list(range(1, 100, 2))


def test_parquet_that_is_replaced_and_appended_to(place: Place, frame: Any) -> None:
    for rows in (FRAME, FRAME.head(10)):
        dd.from_pandas(rows, npartitions=2).to_parquet(f"{place.url}/sales", overwrite=True)
        same(dd.read_parquet(f"{place.url}/sales"), rows)
    frame.to_parquet(f"{place.url}/sales", append=True, ignore_divisions=True)
    assert len(dd.read_parquet(f"{place.url}/sales")) == 110


def test_csv_and_json(place: Place, frame: Any) -> None:
    frame.to_csv(f"{place.url}/csv/*.csv", index=False)
    frame.to_json(f"{place.url}/json/*.json")
    for found in (dd.read_csv(f"{place.url}/csv/*.csv"), dd.read_json(f"{place.url}/json/*.json")):
        pd.testing.assert_frame_equal(found.compute().reset_index(drop=True), FRAME, check_dtype=False)


def test_the_root_of_a_store_is_replaced(place: Place, frame: Any) -> None:
    place.store.write("old/part.parquet", b"")
    frame.to_parquet("", filesystem=place.fs, overwrite=True)
    assert place.keys == [f"part.{number}.parquet" for number in range(4)]


def test_lists_of_urls(place: Place, frame: Any) -> None:
    frame.to_parquet(f"{place.url}/sales")
    frame.to_csv(f"{place.url}/csv/*.csv", index=False)
    parts = [f"{place.url}/sales/part.{number}.parquet" for number in range(4)]
    same(dd.read_parquet(parts))
    texts = [f"{place.url}/csv/{number}.csv" for number in range(4)]
    pd.testing.assert_frame_equal(dd.read_csv(texts).compute().reset_index(drop=True), FRAME, check_dtype=False)
    assert bag.read_text(texts).count().compute() == 104


def test_lists_of_urls_of_two_stores(place: Place, frame: Any) -> None:
    other = next(name for name in ("files", "bucket") if name != place.name)
    urls = [f"{place.url}/2025", f"{place.url}/2026".replace(place.name, other, 1)]
    for url in urls:
        frame.to_parquet(url)
        frame.to_csv(f"{url}/csv/*.csv", index=False)
    parts = [f"{url}/part.{number}.parquet" for url in urls for number in range(4)]
    assert len(dd.read_parquet(parts)) == 2 * len(FRAME)
    texts = [f"{url}/csv/{number}.csv" for url in urls for number in range(4)]
    assert len(dd.read_csv(texts)) == 2 * len(FRAME)
    assert bag.read_text(texts).count().compute() == 208


def test_one_csv_of_many_parts_is_refused(place: Place, frame: Any) -> None:
    with pytest.raises(NotImplementedError, match="written whole"):
        frame.to_csv(f"{place.url}/sales.csv", single_file=True)


# --- bags


@pytest.mark.parametrize("suffix", ["txt", "txt.gz"])
def test_bags(place: Place, client: Any, suffix: str) -> None:
    bag.from_sequence(LINES, npartitions=2).to_textfiles(f"{place.url}/lines/*.{suffix}")
    assert place.keys == [f"lines/0.{suffix}", f"lines/1.{suffix}"]
    assert bag.read_text(f"{place.url}/lines/*.{suffix}").str.strip().compute() == LINES


def test_bags_in_blocks(place: Place, client: Any) -> None:
    place.store.write_text("lines.txt", "\n".join(LINES))
    found = bag.read_text(f"{place.url}/lines.txt", blocksize=5)
    assert found.npartitions > 2
    assert found.str.strip().compute() == LINES


def test_a_task_that_fails_publishes_nothing(place: Place, client: Any) -> None:
    lines = bag.from_sequence([1, 2, 0], npartitions=1).map(lambda number: str(1 / number))
    with pytest.raises(ZeroDivisionError):
        lines.to_textfiles([f"{place.url}/lines.txt"])
    assert place.keys == []


# --- arrays


def test_zarr(place: Place, client: Any) -> None:
    library("zarr")
    array, da = library("numpy").arange(100).reshape(10, 10), library("dask.array")
    da.from_array(array, chunks=(5, 5)).to_zarr(f"{place.url}/a.zarr")
    assert (da.from_zarr(f"{place.url}/a.zarr").compute() == array).all()


# --- workers


def test_workers_read_by_url(place: Place, client: Any) -> None:
    FRAME.to_parquet(f"{place.url}/sales.parquet")
    for found in client.run(pd.read_parquet, f"{place.url}/sales.parquet").values():
        pd.testing.assert_frame_equal(found, FRAME)


def test_errors_of_workers_arrive(place: Place, client: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"sales\.parquet"):
        client.submit(pd.read_parquet, f"{place.url}/sales.parquet", pure=False).result()
    with pytest.raises(NotFound) as caught:
        client.submit(place.fs.cat_file, "sales.csv", pure=False).result()
    assert (caught.value.path, caught.value.backend) == ("sales.csv", place.store.resolve("").backend)
    with pytest.raises(FileNotFoundError):
        dd.read_parquet(f"{place.url}/sales")


def test_what_is_wrong_with_a_name_can_be_read(client: Any) -> None:
    with pytest.raises(
        NotFound, match=r"Store 'none' not found; configured are files, bucket, google, blobs, lake, drop"
    ):
        dd.read_csv("remote-store://none/a.csv")
    with pytest.raises(NotFound, match=r"Store 'none' not found"):
        client.submit(pd.read_csv, "remote-store://none/a.csv", pure=False).result()


def test_tokens_are_equal_in_every_process(place: Place, client: Any) -> None:
    named = {"protocol": "remote-store", "store": place.name}
    for fs in (place.fs, fsspec.filesystem(**named)):
        assert set(client.run(dask.base.tokenize, fs).values()) == {dask.base.tokenize(fs)}
    made_there = client.submit(fsspec.filesystem, **named, pure=False).result()
    assert made_there == fsspec.filesystem(**named) != place.fs
    assert dask.base.tokenize(made_there) == dask.base.tokenize(fsspec.filesystem(**named))


def test_graphs_are_called_the_same_until_files_change(place: Place, frame: Any) -> None:
    frame.to_parquet(f"{place.url}/sales")
    before = dd.read_parquet(f"{place.url}/sales")._name
    assert dd.read_parquet(f"{place.url}/sales")._name == before
    dd.from_pandas(FRAME.head(10), npartitions=4).to_parquet(f"{place.url}/sales")
    assert dd.read_parquet(f"{place.url}/sales")._name != before


@on_sftp_too
def test_stores_themselves_travel(place: Place, client: Any) -> None:
    place.store.write_text("a.txt", "hello")
    assert client.submit(place.store.read_text, "a.txt").result() == "hello"
    client.submit(place.store.write_text, "b.txt", "from a worker").result()
    assert place.store.read_text("b.txt") == "from a worker"


@pytest.mark.full
def test_workers_log_no_secrets(place: Place, client: Any) -> None:
    client.run(logging.getLogger("distributed").setLevel, "DEBUG")
    place.store.write_text("a.txt", "hello")
    client.submit(place.store.read_text, "a.txt", pure=False).result()
    with pytest.raises(NotFound):
        client.submit(place.fs.cat_file, "none.txt", pure=False).result()
    logs = repr([client.get_worker_logs(), client.get_scheduler_logs()])
    assert "DEBUG" in logs
    assert not [secret for secret in SECRETS if secret in logs]
