"""Servers that rename (FTP, WebDAV, SMB): content gets its name when it is whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.kinds import NO_SUCH_NAMES
from helpers.publishing import NAMES, Place, place_of
from servers.proxy import Fault

from remote_store import AlreadyExists, BackendUnavailable, Capability, DirectoryNotEmpty, InvalidPath, NotFound
from remote_store.certify import certify
from remote_store.drivers.profiles import TEMPORARY

LARGE = 9 << 20
"""More than is held in memory before it is sent."""


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(request.param, request, tmp_path) as found:
        yield found


def test_writes_copies_and_moves_leave_nothing_but_files(place: Place) -> None:
    store = place.store
    store.write("a/b", b"1")
    store.write("a/b", iter([b"2", b"3" * LARGE]), overwrite=True)
    store.copy("a/b", "c/d/e")
    store.move("a/b", "f/g")
    store.write("h", b"4")
    store.move("h", "f/g", overwrite=True)
    for attempt in (lambda: store.write("f/g", b"5"), lambda: store.copy("c/d/e", "f/g")):
        with pytest.raises(AlreadyExists):
            attempt()
    assert place.files == {"c/d/e": b"2" + b"3" * LARGE, "f/g": b"4"}
    assert store.is_folder("a")


def test_what_the_source_of_content_raises_leaves_the_old_file_and_nothing_else(place: Place) -> None:
    place.store.write("f", b"old")

    def content() -> Iterator[bytes]:
        yield bytes(LARGE)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        place.store.write("f", content(), overwrite=True)
    assert place.files == {"f": b"old"}


def test_hidden_names_are_refused_unseen_and_swept(place: Place) -> None:
    store, left = place.store, f"{TEMPORARY}0123456789abcdef"
    store.write("d/f", b"1")
    (place.folder / "d" / left).write_bytes(b"left by a writer that was killed")
    with pytest.raises(InvalidPath, match="reserved"):
        store.read_bytes(f"d/{left}")
    assert [str(info.path) for info in store.list_files("", recursive=True)] == ["d/f"]
    assert store.get_folder_info("d").file_count == 1
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("d")
    assert left in "".join(place.files)
    store.delete("d/f")
    store.delete_folder("d")
    assert not (place.folder / "d").exists()


def test_a_connection_that_breaks_in_a_write_leaves_the_old_file(place: Place) -> None:
    store = place.store
    store.write("d/f", b"old")
    is_ftp = store.resolve("").backend == "ftp"
    new = b"n" * (4 << 20)
    # FTP's content takes another way: there a reply is lost.
    place.proxy.arm(Fault("reset", "response", after=300) if is_ftp else Fault("reset", "request", after=1 << 20))
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:\d+: the connection was lost") as caught:
        any(store.write("d/f", new, overwrite=True) is None for _ in range(20))
    assert caught.value.path == "d/f"
    place.proxy.heal()
    assert store.read_bytes("d/f") in ([b"old", new] if is_ftp else [b"old"])
    assert [info.name for info in store.list_files("d")] == ["f"]
    store.delete_folder("d", recursive=True)
    assert not place.files


def test_a_store_goes_on_after_the_server_was_away(place: Place) -> None:
    store = place.store
    store.write("f", b"1")
    place.proxy.refuse()
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1"):
            store.exists("f")
    place.proxy.heal()
    assert store.read_bytes("f") == b"1"


def test_a_move_over_a_file_that_looks_the_same_keeps_one_of_them(place: Place) -> None:
    """They may be one file by two names: a rename between those does nothing, or loses the content."""
    store = place.store
    store.write("f", b"content")
    (place.folder / "hard").hardlink_to(place.folder / "f")
    store.move("hard", "f", overwrite=True)
    assert place.files == {"f": b"content"}


def test_of_a_file_that_is_gone_a_move_tells_the_source(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = place.store
    store.write("a", b"1")
    driver = store._backend.driver  # type: ignore[attr-defined]
    rename = driver.rename

    async def late(src: str, dst: str, overwrite: bool) -> None:
        (place.folder / "a").unlink(missing_ok=True)
        await rename(src, dst, overwrite)

    monkeypatch.setattr(driver, "rename", late)
    with pytest.raises(NotFound) as caught:
        store.move("a", "d/b")
    assert caught.value.path == "a"


def test_many_files_are_listed_once(place: Place) -> None:
    names = [f"{number:03}" for number in range(300)]
    for name in names:
        (place.folder / name).write_bytes(b"1")
    assert sorted(info.name for info in place.store.list_files("")) == names
    assert list(itertools.islice(place.store.list_folders(""), 1)) == []


@pytest.mark.full
def test_certification_finds_all_that_is_declared(place: Place) -> None:
    report = certify(place.store, workers=8)
    broken = {rule.name for rule in report.rules if rule.outcome == "broken"}
    refuted = {one.capability.value for one in report.capabilities if one.declared and one.observed is False}
    backend = place.store.resolve("").backend
    # What names cannot be over SMB is among its deviations.
    assert broken == (set(NO_SUCH_NAMES) if backend == "smb" else set()), report.to_markdown()
    assert refuted == ({"glob"} if backend == "smb" else set())
    assert not report.litter
    promised = {one for one in (Capability.ATOMIC_WRITE, Capability.EXCLUSIVE_CREATE) if place.store.supports(one)}
    assert len(promised) == (2 if backend == "smb" else 0)
