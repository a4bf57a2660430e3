"""Paths of universal_pathlib are files and folders of stores."""

from __future__ import annotations

from typing import Any

import pytest
from libraries import Place, library

UPath = library("upath").UPath

pytestmark = pytest.mark.filterwarnings("ignore:UPath 'remotestore' filesystem not explicitly implemented")


@pytest.fixture
def path(place: Place) -> Any:
    return UPath(place.url.replace("remote-store:", "remotestore:"))


def test_upath_reads_and_writes(path: Any, place: Place) -> None:
    (path / "d").mkdir(parents=True, exist_ok=True)
    (path / "d/a.txt").write_text("hello")
    assert (path / "d" / "a.txt").read_text() == "hello"
    assert place.store.read_text("d/a.txt") == "hello"
    assert (path / "d").is_dir()
    assert (path / "d/a.txt").is_file()
    assert not (path / "none").exists()
    assert (path / "d/a.txt").stat().st_size == 5
    with pytest.raises(FileNotFoundError, match=f"{place.path}/none"):
        (path / "none").read_text()
    (path / "d/a.txt").rename(path / "d/b.txt")
    (path / "d/b.txt").unlink()
    assert place.keys == []


def test_upath_lists_what_is_there(path: Any, place: Place) -> None:
    place.fill("a.txt", "d/b.txt", "d/e/c.txt", "d/e/c.bin")

    def keys(found: Any) -> list[str]:
        return sorted(str(one).removeprefix(f"{path}/") for one in found)

    assert keys(path.iterdir()) == ["a.txt", "d"]
    assert keys(path.glob("*.txt")) == ["a.txt"]
    assert keys(path.glob("**/*.txt")) == ["a.txt", "d/b.txt", "d/e/c.txt"]
    assert keys(path.rglob("*.txt")) == ["a.txt", "d/b.txt", "d/e/c.txt"]
    assert keys((path / "d").glob("e/*")) == ["d/e/c.bin", "d/e/c.txt"]
    assert all(one.exists() for one in path.rglob("*"))
    assert {str(one.relative_to(path)) for one in path.rglob("*.bin")} == {"d/e/c.bin"}


def test_upath_at_the_root_of_a_store(place: Place) -> None:
    root = UPath(f"remotestore://{place.name}")
    place.fill("a.txt")
    root.mkdir(exist_ok=True)
    with pytest.raises(FileExistsError):
        root.mkdir()
    folder = place.path.partition("/")[2]
    assert [str(one) for one in root.glob(f"{folder}/*.txt")] == [f"remotestore://{place.path}/a.txt"]
    assert f"remotestore://{place.path}" in [str(one).rstrip("/") for one in root.iterdir()]


def test_upath_copies_folders_between_stores(path: Any, place: Place, target: Place) -> None:
    place.fill("d/b.txt", "d/e/c.txt")
    other = UPath(target.url.replace("remote-store:", "remotestore:"))
    (path / "d").copy(other / "copy")
    assert target.keys == ["copy/b.txt", "copy/e/c.txt"]
    (path / "d").rmdir(recursive=True)
    assert place.keys == []
