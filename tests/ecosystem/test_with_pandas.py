"""pandas reads and writes stores, by URL, by filesystem and by file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from libraries import HalfWay, Place, half_way, library, on_services_too, on_sftp_too

from remote_store import NotFound

pd = library("pandas")
pa = library("pyarrow")

FRAME = pd.DataFrame({"day": ["mon", "tue", "wed"], "sold": [1, 2, 3], "shop": ["a", "b", "a"]})
same = pd.testing.assert_frame_equal


@on_services_too
def test_csv_by_url(place: Place) -> None:
    for name in ("sales.csv", "sales.csv.gz", "sales.csv.zip"):
        FRAME.to_csv(f"{place.url}/{name}", index=False)
        same(pd.read_csv(f"{place.url}/{name}"), FRAME)
    assert place.keys == ["sales.csv", "sales.csv.gz", "sales.csv.zip"]
    assert place.store.read_text("sales.csv").startswith("day,sold,shop\n")


def test_csv_in_pieces(place: Place) -> None:
    FRAME.to_csv(f"{place.url}/sales.csv", index=False)
    with pd.read_csv(f"{place.url}/sales.csv", chunksize=2) as pieces:
        same(pd.concat(pieces), FRAME)


@on_sftp_too
@pytest.mark.parametrize("suffix", ["parquet", "feather", "json", "pkl"])
def test_other_formats_by_url(place: Place, suffix: str) -> None:
    kind = "pickle" if suffix == "pkl" else suffix
    getattr(FRAME, f"to_{kind}")(f"{place.url}/sales.{suffix}")
    same(getattr(pd, f"read_{kind}")(f"{place.url}/sales.{suffix}"), FRAME)


@on_sftp_too
def test_parquet_by_filesystem(place: Place) -> None:
    FRAME.to_parquet("d/sales.parquet", filesystem=place.fs)
    same(pd.read_parquet("d/sales.parquet", filesystem=place.fs), FRAME)
    same(pd.read_parquet("d/sales.parquet", filesystem=place.fs, columns=["sold"]), FRAME[["sold"]])


@pytest.mark.parametrize("by", ["url", "filesystem"])
def test_partitioned_parquet(place: Place, by: str) -> None:
    path, more = (f"{place.url}/sales", {}) if by == "url" else ("sales", {"filesystem": place.fs})
    FRAME.to_parquet(path, partition_cols=["shop"], **more)
    assert {key.rpartition("/")[0] for key in place.keys} == {"sales/shop=a", "sales/shop=b"}
    found = pd.read_parquet(path, **more).astype({"shop": "str"}).sort_values("sold", ignore_index=True)
    same(found, FRAME)
    assert pd.read_parquet(path, filters=[("shop", "==", "b")], **more)["sold"].tolist() == [2]


def test_files_that_are_open(place: Place) -> None:
    with place.fs.open("sales.csv", "w") as file:
        FRAME.to_csv(file, index=False)
    with place.fs.open("sales.parquet", "wb") as file:
        FRAME.to_parquet(file)
    with place.fs.open("sales.csv") as file:
        same(pd.read_csv(file), FRAME)
    with place.fs.open("sales.parquet") as file:
        same(pd.read_parquet(file), FRAME)


def test_what_replaces_a_file_is_read_next(place: Place) -> None:
    for frame in (FRAME, FRAME.head(1)):
        frame.to_parquet(f"{place.url}/sales.parquet")
        same(pd.read_parquet(f"{place.url}/sales.parquet"), frame)


def test_missing_files_are_file_not_found(place: Place) -> None:
    with pytest.raises(NotFound, match=rf"'{place.path}/sales\.csv'") as caught:
        pd.read_csv(f"{place.url}/sales.csv")
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(FileNotFoundError, match=rf"{place.path}/sales\.parquet"):
        pd.read_parquet(f"{place.url}/sales.parquet")
    with pytest.raises(FileNotFoundError, match=r"sales\.parquet"):
        pd.read_parquet("sales.parquet", filesystem=place.fs)


def test_unknown_stores_are_told() -> None:
    with pytest.raises(FileNotFoundError, match="Store 'nowhere' not found"):
        pd.read_csv("remote-store://nowhere/sales.csv")


def test_appending_is_refused(place: Place) -> None:
    FRAME.to_csv(f"{place.url}/sales.csv", index=False)
    with pytest.raises(NotImplementedError, match="written whole"):
        FRAME.to_csv(f"{place.url}/sales.csv", mode="a")
    same(pd.read_csv(f"{place.url}/sales.csv"), FRAME)


def test_a_block_that_raises_publishes_nothing(place: Place) -> None:
    place.store.write_text("old.csv", "as it was")
    for name in ("new.csv", "old.csv", "new.csv.gz"):
        with half_way(), place.fs.open(name, "w", compression="infer") as file:
            FRAME.to_csv(file)
            raise HalfWay
    assert place.keys == ["old.csv"]
    assert place.store.read_text("old.csv") == "as it was"


class Unspeakable:
    def __str__(self) -> str:
        raise HalfWay


@pytest.mark.parametrize("name", ["new.csv", "new.csv.gz", "new.parquet"])
def test_a_frame_that_cannot_be_written_publishes_nothing(place: Place, name: str) -> None:
    frame = pd.DataFrame({"a": [*range(200_000), Unspeakable()]}, dtype=object)
    with pytest.raises((HalfWay, pa.ArrowException)):
        getattr(frame, "to_parquet" if name.endswith("parquet") else "to_csv")(f"{place.url}/{name}")
    assert place.keys == []


# No Parquet: a process may abort as it ends while threads of pyarrow still know a filesystem in Python, whosever it is.
READ = "import sys, pandas; print(pandas.read_csv(sys.argv[1])['sold'].sum())"


def test_a_fresh_interpreter_needs_the_configuration_alone(place: Place, configuration: Path) -> None:
    FRAME.to_csv(f"{place.url}/sales.csv")
    done = in_fresh_interpreter(READ, f"{place.url}/sales.csv", REMOTE_STORE_CONFIG=str(configuration))
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


def test_a_fresh_interpreter_without_one_is_told_what_to_do(tmp_path: Path) -> None:
    done = in_fresh_interpreter(READ, "remote-store://files/sales.csv")
    assert done.returncode == 1
    assert "set REMOTE_STORE_CONFIG" in done.stderr


def in_fresh_interpreter(code: str, *arguments: str, **environment: str) -> Any:
    """What becomes of code in an interpreter that knows nothing but the environment given."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE)
