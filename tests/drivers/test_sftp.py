"""SFTP on servers that are honest: links, odd names, round trips, cancelled and failed writes."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from helpers.deadline import DEADLINE
from helpers.sftp import counted, sftp_store
from servers.sshd import SFTPPlace

from remote_store import AlreadyExists, Capability, InvalidPath, NotFound, PermissionDenied, RemoteStoreError, Store
from remote_store.aio import AsyncStore
from remote_store.backends import SFTPBackend
from remote_store.certify import certify

SERVERS = ["asyncssh", pytest.param("openssh", marks=pytest.mark.full)]


class Home:
    """A store on a server, and its folder on this machine."""

    def __init__(self, place: SFTPPlace, **options: Any) -> None:
        self.place, root = place, place.fresh_root()
        self.folder = Path(place.on_disk(root))
        self.store = sftp_store(place, root, **options)
        self.root = root


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> SFTPPlace:
    place: SFTPPlace = request.getfixturevalue(f"{request.param}_server")
    return place


@pytest.fixture
async def home(place: SFTPPlace) -> AsyncIterator[Home]:
    home = Home(place)
    async with home.store:
        yield home


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def listed(store: AsyncStore, path: str = "", **options: Any) -> list[str]:
    return sorted([str(entry.path) async for entry in store.list_files(path, **options)])


# --- links, and what is no file


async def test_a_link_inside_the_root_is_followed_and_not_entered(home: Home) -> None:
    await home.store.write("real/d/f", b"123")
    (home.folder / "l").symlink_to("real")
    (home.folder / "real/lf").symlink_to("d/f")
    for path in ("l/d/f", "l/lf", "real/lf"):
        assert await home.store.read_bytes(path) == b"123", path
        assert (await home.store.get_file_info(path)).size == 3
    assert await listed(home.store, recursive=True) == ["real/d/f", "real/lf"]
    assert {str(entry.path) async for entry in home.store.list_folders("")} == {"real", "l"}
    assert await listed(home.store, "l/d") == ["l/d/f"]
    await home.store.write("l/new/g", b"1")
    assert (home.folder / "real/new/g").read_bytes() == b"1"
    with pytest.raises(InvalidPath, match="exists as a directory"):
        await home.store.delete("l")
    await home.store.delete_folder("l", recursive=True)
    assert names(home.folder) == ["real", "real/d", "real/d/f", "real/lf", "real/new", "real/new/g"]


async def test_a_write_or_a_delete_takes_the_link_and_not_its_target(home: Home) -> None:
    await home.store.write("f", b"123")
    (home.folder / "l").symlink_to("f")
    (home.folder / "m").symlink_to("f")
    with pytest.raises(AlreadyExists):
        await home.store.write("l", b"4")
    await home.store.write("l", b"4", overwrite=True)
    await home.store.delete("m")
    assert names(home.folder) == ["f", "l"]
    assert (home.folder / "f").read_bytes() == b"123"
    assert (home.folder / "l").read_bytes() == b"4"
    assert not (home.folder / "l").is_symlink()


async def test_a_moved_link_is_moved_as_what_it_leads_to(home: Home) -> None:
    await home.store.write("d/f", b"123")
    (home.folder / "d/l").symlink_to("f")
    await home.store.move("d/l", "moved")
    assert (home.folder / "moved").read_bytes() == b"123"
    assert names(home.folder) == ["d", "d/f", "moved"]


@pytest.mark.parametrize("target", ["outside", "outside/d", "/etc", "../.."])
async def test_a_link_out_of_the_root_is_refused(home: Home, target: str) -> None:
    outside = home.folder.parent / f"{home.folder.name}-outside"
    (outside / "d").mkdir(parents=True)
    (outside / "d/secret").write_bytes(b"1")
    (home.folder / "l").symlink_to(str(outside) + target[7:] if target.startswith("outside") else target)
    relative = os.path.relpath(outside / "d", home.folder)
    (home.folder / "r").symlink_to(relative)
    store = home.store
    assert await listed(store, recursive=True) == []
    assert [entry async for entry in store.list_folders("")] == []
    for path in ("r/secret", "l/secret", "r/new"):
        assert not await store.exists(path)
        with pytest.raises(InvalidPath):
            await store.read_bytes(path)
        with pytest.raises(InvalidPath):
            await store.write(path, b"2", overwrite=True)
        with pytest.raises(InvalidPath):
            await store.delete(path)
        with pytest.raises(InvalidPath):
            await store.copy(path, "x")
    assert await listed(store, "r") == []
    await store.delete("r")
    assert names(outside) == ["d", "d/secret"]


async def test_a_folder_is_deleted_without_what_links_in_it_lead_to(home: Home) -> None:
    await home.store.write("kept/f", b"1")
    await home.store.write("d/e/f", b"1")
    (home.folder / "d/e/l").symlink_to(home.folder / "kept")
    (home.folder / "d/dangling").symlink_to("nowhere")
    (home.folder / "d/.~rs-left").write_bytes(b"1")
    await home.store.delete_folder("d", recursive=True)
    assert names(home.folder) == ["kept", "kept/f"]


async def test_what_is_no_file_is_never_opened(home: Home) -> None:
    os.mkfifo(home.folder / "fifo")
    (home.folder / "dangling").symlink_to("nowhere")
    async with asyncio.timeout(DEADLINE):
        for path in ("fifo", "dangling"):
            with pytest.raises(InvalidPath, match="Not a file"):
                await home.store.read_bytes(path)
            with pytest.raises(InvalidPath, match="Not a file"):
                await home.store.get_file_info(path)
            assert not await home.store.exists(path)
        with pytest.raises(InvalidPath, match="Not a file"):
            await home.store.write("fifo", b"1", overwrite=True)
    assert await listed(home.store, recursive=True) == []
    await home.store.delete("fifo")
    await home.store.write("dangling", b"1", overwrite=True)
    assert names(home.folder) == ["dangling"]


# --- names


async def test_names_that_are_not_utf_8_come_back_as_they_are(home: Home) -> None:
    (home.folder / os.fsdecode(b"caf\xe9")).write_bytes(b"123")
    (home.folder / "d").mkdir()
    (home.folder / "d\\x").write_bytes(b"1")
    with pytest.warns(UserWarning, match="no RemotePath can spell"):
        (found,) = await listed(home.store)
    assert await home.store.read_bytes(found) == b"123"
    await home.store.move(found, "d/f")
    with pytest.raises(InvalidPath, match="encoded"):
        await home.store.exists("half \ud83d")
    assert names(home.folder) == ["d", "d/f", "d\\x"]


async def test_a_name_that_is_too_long_is_missing_and_cannot_be_written(home: Home) -> None:
    for path in ("n" * 300, "n" * 300 + "/f", "d/" + "ü" * 130):
        assert not await home.store.exists(path)
        with pytest.raises(NotFound):
            await home.store.read_bytes(path)
        with pytest.raises(InvalidPath):
            await home.store.write(path, b"1")
    assert names(home.folder) == []


# --- round trips (the others are counted by tests/test_requests.py)


async def trips(work: Any) -> int:
    with counted() as trips:
        await work
    return trips.count


async def test_a_link_on_the_way_costs_one_round_trip(home: Home) -> None:
    await home.store.write("d/f", b"123")
    (home.folder / "l").symlink_to("d")
    assert await trips(home.store.exists("l/f")) == 1 + 1
    assert await trips(home.store.read_bytes("l/f")) == 3 + 1


async def test_256_reads_at_once_share_their_round_trips(home: Home) -> None:
    await home.store.write("d/f", b"123")
    with counted() as trips:
        found = await asyncio.gather(*(home.store.read_bytes("d/f") for _ in range(256)))
    assert found == [b"123"] * 256
    assert len(trips.requests) == 256 * 5


# --- content


@pytest.mark.parametrize("size", [0, 1, (255 << 10) - 1, 255 << 10, (255 << 10) + 1, (2 << 20) + 1, 9_000_000])
async def test_content_of_any_size_arrives(home: Home, size: int) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    await home.store.write("f", content)
    assert await home.store.read_bytes("f") == content
    assert b"".join([chunk async for chunk in home.store.read("f")]) == content
    assert await home.store.read_range("f", size // 2, size + 5) == content[size // 2 :]
    await home.store.copy("f", "copied")
    assert (home.folder / "copied").read_bytes() == content
    async with await home.store.read_seekable("f") as stream:
        await stream.seek(-min(size, 10), os.SEEK_END)
        assert await stream.read() == content[max(0, size - 10) :]
        await stream.seek(size // 3)
        assert await stream.read(5) == content[size // 3 :][:5]


async def test_modes_are_kept_and_copied(home: Home) -> None:
    await home.store.write("f", b"1")
    (home.folder / "f").chmod(0o640)
    await home.store.write("f", b"2", overwrite=True)
    await home.store.copy("f", "g")
    assert [stat.S_IMODE((home.folder / name).stat().st_mode) for name in "fg"] == [0o640, 0o640]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another group")
async def test_files_belong_to_the_group_that_their_folder_gives(home: Home) -> None:
    (home.folder / "d").mkdir()
    os.chown(home.folder / "d", -1, 12345)
    (home.folder / "d").chmod(0o2775)
    for key in ("d/f", "d/new/f", "d/other/new/f"):
        await home.store.write(key, b"1")
        assert (home.folder / key).stat().st_gid == 12345, key


async def test_two_names_of_one_file_stay_two_by_a_move(home: Home) -> None:
    await home.store.write("f", b"1")
    os.link(home.folder / "f", home.folder / "g")
    await home.store.move("f", "g", overwrite=True)
    assert names(home.folder) == ["f", "g"]


async def test_durable_writes_ask_for_the_disk(place: SFTPPlace) -> None:
    home = Home(place, durable=True)
    async with home.store as store:
        with counted() as trips:
            await store.write("d/f", b"1")
            await store.move("d/f", "g")
            await store.delete("g")
        assert trips.requests.count(b"fsync@openssh.com") >= 1


# --- what leaves nothing


async def test_a_failed_source_leaves_nothing(home: Home) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1" * 1_000_000
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await home.store.write("new/d/f", broken())
    assert names(home.folder) == []


async def test_a_write_that_is_cancelled_leaves_nothing_wherever_it_is(home: Home) -> None:
    await home.store.write("old", b"123")
    for steps in range(40):
        work = asyncio.ensure_future(home.store.write("new/d/f", b"1" * 600_000))
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        work.cancel()
        outcome = (await asyncio.gather(work, return_exceptions=True))[0]
        assert isinstance(outcome, asyncio.CancelledError) or (home.folder / "new/d/f").exists()
        assert not [name for name in names(home.folder) if ".~rs-" in name]
        await home.store.delete_folder("new", recursive=True, missing_ok=True)
    assert await home.store.read_bytes("old") == b"123"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
async def test_modes_that_forbid_it_are_permission_denied(home: Home) -> None:
    await home.store.write("d/f", b"1")
    (home.folder / "d").chmod(0o500)
    with pytest.raises(PermissionDenied):
        await home.store.write("d/g", b"1")


async def test_one_of_16_racing_creators_wins(place: SFTPPlace) -> None:
    root = place.fresh_root()
    stores = [sftp_store(place, root) for _ in range(16)]
    try:
        for number in range(3):
            contents = [bytes([65 + who]) * 20_000 for who in range(16)]
            work = [store.write(f"d/f{number}", content) for store, content in zip(stores, contents, strict=True)]
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            won = [who for who, one in enumerate(outcomes) if not isinstance(one, Exception)]
            assert len(won) == 1, outcomes
            assert all(isinstance(one, AlreadyExists) for who, one in enumerate(outcomes) if who != won[0])
            assert await stores[0].read_bytes(f"d/f{number}") == contents[won[0]]
        assert sorted(os.listdir(os.path.join(place.on_disk(root), "d"))) == ["f0", "f1", "f2"]
    finally:
        await asyncio.gather(*(store.aclose() for store in stores))


async def test_a_home_folder_can_be_the_root(asyncssh_server: SFTPPlace) -> None:
    name = asyncssh_server.fresh_root().strip("/")
    async with sftp_store(asyncssh_server, name) as store:
        await store.write("d/f", b"123")
        (Path(asyncssh_server.folder, name) / "l").symlink_to("d")
        assert await store.read_bytes("l/f") == b"123"
        assert store.native_path("d/f") == f"{name}/d/f"
        assert await listed(store, recursive=True) == ["d/f"]
    async with sftp_store(asyncssh_server, "") as store:
        assert await store.read_bytes(f"{name}/d/f") == b"123"
        with pytest.raises(RemoteStoreError):
            await store.read_bytes(f"{name}/d")


@pytest.mark.full
@pytest.mark.parametrize("name", ["openssh", "asyncssh"])
def test_honest_servers_keep_all_that_is_declared(name: str, request: pytest.FixtureRequest) -> None:
    place: SFTPPlace = request.getfixturevalue(f"{name}_server")
    with Store(SFTPBackend("127.0.0.1", place.fresh_root(), **place.options)) as store:
        report = certify(store, workers=8)
    assert report.ok, report.to_markdown()
    assert Capability.EXCLUSIVE_CREATE in {one.capability for one in report.capabilities if one.observed}
