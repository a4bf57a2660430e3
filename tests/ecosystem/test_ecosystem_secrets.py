"""No credentials of a store on a service show anywhere, whatever reads and writes it."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from libraries import KEY, SECRET, SECRETS, TOKEN, Place, library, places
from servers.s3 import BUCKET, S3Server

from remote_store import Store
from remote_store.backends import S3Backend

pd = library("pandas")
dask = library("dask")
dd = library("dask.dataframe")
bag = library("dask.bag")

pytestmark = pytest.mark.filterwarnings(
    # dask 2026.8 with pandas 3.1; nothing that its callers do.
    r"ignore:The inplace keyword in DataFrame\.(set|reset)_index is deprecated"
)

FRAME = pd.DataFrame({"sold": range(10)})
with_credentials = pytest.mark.parametrize("place", places("bucket")[1:], indirect=True)


def found_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.fixture
def unnamed(moto_server: S3Server) -> Iterator[Store]:
    options = {**moto_server.options, "key": KEY, "secret": SECRET, "token": TOKEN}
    with Store(S3Backend(BUCKET, moto_server.fresh_prefix(), **options)) as store:
        yield store


def graphs(place: Place) -> list[Any]:
    """Graphs that read by name and by filesystem."""
    place.store.write_text("a.txt", "1\n2\n")
    FRAME.to_csv(f"{place.url}/a.csv")
    FRAME.to_parquet(f"{place.url}/a.parquet")
    return [
        bag.read_text(f"{place.url}/*.txt"),
        dd.read_csv(f"{place.url}/*.csv"),
        dd.read_parquet(f"{place.url}/a.parquet"),
        dd.read_parquet("a.parquet", filesystem=place.fs),
        dask.delayed(place.fs.cat_file)("a.txt"),
        dask.delayed(place.store.read_text)("a.txt"),
    ]


@with_credentials
def test_nothing_that_a_named_store_shows(place: Place) -> None:
    for fs, key in ((place.fs, "a"), (fsspec.filesystem("remote-store", store=place.name), f"{place.path}/a")):
        shown = [repr(fs), str(fs), fs.to_json(), fs._fs_token, repr(fs.to_dict()), repr(vars(fs)), repr(place)]
        with fs.open(key, "wb") as file:
            shown.append(repr(file))
        with fs.open(key) as file:
            shown.append(repr(file))
        fs.rm(key)
        assert not found_in("\n".join(shown))


@with_credentials
def test_no_pickle_of_a_named_store(place: Place) -> None:
    for made in (place.store, place.fs, fsspec.open(f"{place.url}/a"), fsspec.url_to_fs(place.url)):
        assert not found_in(repr(pickle.dumps(made)))


@with_credentials
def test_no_graph_of_dask(place: Place) -> None:
    dumps = library("distributed.protocol.pickle").dumps
    for graph in graphs(place):
        tasks = dict(graph.__dask_graph__())
        assert not found_in(repr(dumps(tasks)) + repr(tasks) + repr(graph.__dask_keys__()))


@with_credentials
def test_no_log_at_all_of_a_named_store(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with dask.config.set(scheduler="threads"):
        for graph in graphs(place):
            graph.compute()
    with pytest.raises(FileNotFoundError):
        pd.read_csv(f"{place.url}/none.csv")
    speaking = {"bucket": {"botocore"}, "google": set(), "blobs": {"azure"}, "lake": {"azure"}}[place.name]
    assert speaking | {"fsspec"} <= {record.name.partition(".")[0] for record in caplog.records}
    assert not found_in(caplog.text)


def test_what_an_unnamed_store_shows(unnamed: Store, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("fsspec", "s3fs", "dask", "distributed", "remote_store"):
        caplog.set_level(logging.DEBUG, name)
    fs = unnamed.to_fsspec()
    FRAME.to_parquet("a.parquet", filesystem=fs)
    graph = dd.read_parquet("a.parquet", filesystem=fs)
    with dask.config.set(scheduler="threads"):
        graph.compute()
    with pytest.raises(ValueError, match="no form without secrets") as caught:
        fs.to_json()
    shown = [repr(fs), str(fs), fs._fs_token, str(caught.value), repr(graph), repr(graph.__dask_keys__()), caplog.text]
    assert not found_in("\n".join(shown))
