"""What others do on an SFTP server between two requests."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

import asyncssh
from asyncssh.packet import SSHPacket
from asyncssh.sftp import SFTPServerHandler
from helpers.deadline import DEADLINE
from servers.sftp import PASSWORD, USER, SFTPServer, serve

from remote_store import (
    AlreadyExists,
    BackendUnavailable,
    InvalidPath,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
)
from remote_store.aio import AsyncSFTPBackend, AsyncStore

OLD, NEW = b"old", b"a new file"


class Meddled(asyncssh.SFTPServer):
    """A server on which others do something before or after a request.

    Attributes:
        before, after: what they do about a request of a name.
    """

    before: dict[str, Callable[[], object]] = {}  # noqa: RUF012 (of all clients)
    after: dict[str, Callable[[], object]] = {}  # noqa: RUF012

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        self._meddled("posix_rename", super().posix_rename, oldpath, newpath)

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        self._meddled("link " + os.path.basename(newpath).decode(), super().link, oldpath, newpath)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        self._meddled("mkdir " + os.path.basename(path).decode(), super().mkdir, path, attrs)

    def remove(self, path: bytes) -> None:
        self._meddled("remove " + os.path.basename(path).decode(), super().remove, path)

    def _meddled(self, name: str, work: Callable[..., Any], *paths: Any) -> None:
        self.before.pop(name, lambda: None)()
        try:
            work(*paths)
        finally:
            self.after.pop(name, lambda: None)()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SFTPServer]:
    (tmp_path / "served/data").mkdir(parents=True)
    with serve(str(tmp_path / "served"), lambda channel, folder: Meddled(channel, chroot=folder.encode())) as server:
        yield server
    Meddled.before.clear()
    Meddled.after.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "served/data"


@asynccontextmanager
async def opened(server: SFTPServer, **options: Any) -> AsyncIterator[AsyncStore]:
    login = {
        "username": USER,
        "password": PASSWORD,
        "known_hosts": None,
        "client_keys": None,
        "agent": False,
        **options,
    }
    async with AsyncStore(AsyncSFTPBackend("127.0.0.1", "/data", port=server.port, ssh_config=None, **login)) as store:
        yield store


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- moves


async def test_a_new_file_at_the_old_name_outlasts_a_move_that_may_replace(server: SFTPServer, folder: Path) -> None:
    async with opened(server) as store:
        await store.write("f", OLD)
        Meddled.after["posix_rename"] = lambda: (folder / "f").write_bytes(NEW)
        await store.move("f", "g", overwrite=True)
    assert contents(folder) == {"f": NEW, "g": OLD}


@pytest.mark.parametrize("when", ["link g", "posix_rename"])
async def test_of_two_movers_the_second_is_told_and_leaves_nothing(server: SFTPServer, folder: Path, when: str) -> None:
    async with opened(server) as store:
        await store.write("f", OLD)
        meddling = Meddled.after if when == "link g" else Meddled.before
        meddling[when] = lambda: (folder / "f").rename(folder / "other")
        with pytest.raises(NotFound):
            await store.move("f", "d/g")
    assert contents(folder) == {"other": OLD}
    assert not (folder / "d").exists()


async def test_a_new_file_that_looks_like_the_old_one_is_moved_in_its_place(server: SFTPServer, folder: Path) -> None:
    def replace() -> None:
        old = (folder / "f").stat()
        (folder / "f").rename(folder / "other")
        (folder / "f").write_bytes(OLD[::-1])
        os.utime(folder / "f", (old.st_atime, old.st_mtime))
        (folder / "f").chmod(old.st_mode)

    async with opened(server) as store:
        await store.write("f", OLD)
        Meddled.before["posix_rename"] = replace
        await store.move("f", "g")
    assert contents(folder) == {"g": OLD[::-1], "other": OLD}


@pytest.mark.parametrize("newest", [b"", b"newest"])
async def test_a_new_file_is_put_back_where_both_names_are_taken_meanwhile(
    server: SFTPServer, folder: Path, newest: bytes
) -> None:
    def replace() -> None:
        (folder / "f").rename(folder / "other")
        (folder / "f").write_bytes(NEW)
        (folder / "g").unlink()
        (folder / "g").write_bytes(b"theirs")

    async with opened(server) as store:
        await store.write("f", OLD)
        Meddled.before["posix_rename"] = replace
        if newest:
            Meddled.before["link f"] = lambda: (folder / "f").write_bytes(newest)
        with pytest.raises(PreconditionFailed, match="not deleted") as caught:
            await store.move("f", "g")
    found = contents(folder)
    hidden = [name for name in found if name.startswith(".~rs-")]
    assert [found.pop(name) for name in hidden] == ([NEW] if newest else [])
    assert found == {"f": newest or NEW, "g": b"theirs", "other": OLD}
    assert all(name in str(caught.value.__notes__) for name in hidden)


async def test_what_is_at_the_name_when_it_is_linked_is_moved(server: SFTPServer, folder: Path) -> None:
    async with opened(server) as store:
        await store.write("f", OLD)
        Meddled.before["link g"] = lambda: (folder / "f").write_bytes(NEW)
        await store.move("f", "g")
    assert contents(folder) == {"g": NEW}


async def test_a_move_that_is_cancelled_is_done_or_not_begun(server: SFTPServer, folder: Path) -> None:
    async with opened(server) as store:
        await store.write("f", OLD)
        moving = asyncio.ensure_future(store.move("f", "g"))
        loop = asyncio.get_running_loop()
        Meddled.after["link g"] = lambda: loop.call_soon_threadsafe(moving.cancel)
        with pytest.raises(asyncio.CancelledError):
            await moving
    assert contents(folder) == {"g": OLD}


# --- writes


async def test_who_loses_to_a_file_that_is_gone_by_now_is_told_that_it_was_there(
    server: SFTPServer, folder: Path
) -> None:
    async with opened(server) as store:
        await store.write("x", OLD)  # It tries hard links.
        Meddled.before["link f"] = lambda: (folder / "f").write_bytes(NEW)
        Meddled.after["link f"] = lambda: (folder / "f").rename(folder / "moved")
        with pytest.raises(AlreadyExists):
            await store.write("f", OLD)
    assert contents(folder) == {"x": OLD, "moved": NEW}


async def test_folders_that_others_make_at_the_same_time_are_used(server: SFTPServer, folder: Path) -> None:
    async with opened(server) as store:
        Meddled.before["mkdir a"] = lambda: (folder / "a").mkdir()
        Meddled.before["mkdir d"] = lambda: (folder / "c/d").mkdir()
        await store.write("a/b/f", OLD)
        await store.write("c/d/f", OLD, overwrite=True)
        assert await store.read_bytes("a/b/f") == OLD
    assert contents(folder) == {"a/b/f": OLD, "c/d/f": OLD}


async def test_a_folder_that_others_make_a_link_out_of_the_root_is_refused(server: SFTPServer, folder: Path) -> None:
    (outside := folder.parent / "outside").mkdir()
    async with opened(server) as store:
        Meddled.before["mkdir a"] = lambda: (folder / "a").symlink_to("../outside")
        with pytest.raises(InvalidPath, match="escapes root"):
            await store.write("a/f", NEW)
    assert contents(folder) == {}
    assert contents(outside) == {}


async def test_who_may_write_in_a_folder_alone_writes_there(tmp_path: Path) -> None:
    class Guarded(asyncssh.SFTPServer):
        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            if pflags & asyncssh.FXF_CREAT and path.count(b"/") < 3:
                raise asyncssh.SFTPPermissionDenied("not here")
            return super().open(path, pflags, attrs)

    (mine := tmp_path / "data/mine").mkdir(parents=True)
    with serve(str(tmp_path), lambda channel, folder: Guarded(channel, chroot=folder.encode())) as server:
        async with opened(server) as store:
            with pytest.raises(PermissionDenied):
                await store.write("f", OLD)
            await store.write("mine/f", OLD)
            await store.write("mine/new/f", OLD)
    assert contents(mine) == {"f": OLD, "new/f": OLD}


# --- answers that do not come


class Deaf:
    """A server does not take a request whose packet has all of some bytes in it.

    Attributes:
        count: how many more of these it does not take.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *told: bytes, kind: int, count: int) -> None:
        process, self.count = SFTPServerHandler._process_packet, count

        async def process_some(handler: SFTPServerHandler, number: int, at: int, packet: SSHPacket) -> None:
            if self.count and number == kind and all(one in packet.get_full_payload() for one in told):
                self.count -= 1
            else:
                await process(handler, number, at, packet)

        patch.setattr(SFTPServerHandler, "_process_packet", process_some)


LSTAT, REMOVE = 7, 13


async def test_a_write_that_is_published_succeeds_whatever_becomes_of_its_temporary_file(
    server: SFTPServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(server, timeout=1) as store, asyncio.timeout(DEADLINE):
        await store.write("x", OLD)  # It tries hard links.
        deaf = Deaf(monkeypatch, b".~rs-", kind=REMOVE, count=1)
        await store.write("f", NEW)
        assert deaf.count == 0
        assert len(contents(folder)) == 3
        assert await store.read_bytes("f") == NEW
    assert contents(folder) == {"x": OLD, "f": NEW}


async def test_what_hard_links_are_tried_with_is_deleted_by_the_next_connection(
    server: SFTPServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(server, timeout=1) as store, asyncio.timeout(DEADLINE):
        Deaf(monkeypatch, b".~rs-", kind=REMOVE, count=1)
        with pytest.raises(BackendUnavailable):
            await store.write("f", NEW)
        assert len(contents(folder)) == 2  # What it is to be, and what was tried.
        assert not await store.exists("f")
    assert contents(folder) == {}


async def test_a_look_that_nobody_waits_for_any_more_is_not_reported(
    server: SFTPServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(server, timeout=1) as store, asyncio.timeout(DEADLINE):
        await store.write("f", OLD)
        deaf = Deaf(monkeypatch, b"/data/", kind=LSTAT, count=2)
        with suppress(BackendUnavailable):
            await store.move("f", "g")
        assert deaf.count == 0
        assert await store.exists("f")  # The connection that was lost is forgotten.
    gc.collect()
    assert "never retrieved" not in caplog.text


# --- silence


async def test_a_request_that_is_never_answered_ends_though_others_are(
    server: SFTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Deaf(monkeypatch, b"/stuck", kind=LSTAT, count=1)
    async with opened(server, timeout=1) as store, asyncio.timeout(DEADLINE):
        stuck = asyncio.ensure_future(store.exists("stuck"))
        while not stuck.done():
            with suppress(BackendUnavailable):  # All that is asked then is lost with the connection.
                assert not await store.exists("f")
        with pytest.raises(BackendUnavailable, match="took too long"):
            await stuck
        assert not await store.exists("f")


async def test_answers_that_each_come_in_time_may_not_take_forever_together(tmp_path: Path) -> None:
    class Slow(asyncssh.SFTPServer):
        async def lstat(self, path: bytes) -> object:
            if b"slow" in path:
                await asyncio.sleep(0.9)
            return super().lstat(path)

    (tmp_path / "data").mkdir()
    with serve(str(tmp_path), lambda channel, folder: Slow(channel, chroot=folder.encode())) as server:
        async with opened(server, timeout=2) as store, asyncio.timeout(DEADLINE):
            with pytest.raises(BackendUnavailable, match="took too long"):
                await store.exists("slow/b/c")
            assert not await store.exists("f")
