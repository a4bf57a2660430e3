"""SFTP on disks that are full, or that nobody may write to: servers tell all of that by one code."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("sshfs")

from helpers.sftp import sftp_store
from servers.sshd import SFTPPlace, openssh

from remote_store import PermissionDenied, StorageFull


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory, in place of a folder."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root, and a kernel that allows it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.full
@pytest.mark.parametrize("name", ["openssh", "asyncssh"])
async def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(name: str, request: pytest.FixtureRequest) -> None:
    place: SFTPPlace = request.getfixturevalue(f"{name}_server")
    folder = Path(place.on_disk(root := place.fresh_root()))
    with disk(folder, "size=1m"):
        async with sftp_store(place, root) as store:
            await store.write("f", b"old")
            for path in ("f", "new/d/g"):
                with pytest.raises(StorageFull):
                    await store.write(path, b"1" * 3_000_000, overwrite=True)
            await store.write("h", b"1" * 600_000)
            with pytest.raises(StorageFull):
                await store.copy("h", "i")
            assert await store.read_bytes("f") == b"old"
            assert {path.name for path in folder.iterdir()} == {"f", "h"}


@pytest.mark.full
@pytest.mark.parametrize("name", ["openssh", "asyncssh"])
async def test_a_disk_that_is_read_only_is_permission_denied(name: str, request: pytest.FixtureRequest) -> None:
    place: SFTPPlace = request.getfixturevalue(f"{name}_server")
    folder = Path(place.on_disk(root := place.fresh_root()))
    with disk(folder, "size=1m"):
        (folder / "f").write_bytes(b"old")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        async with sftp_store(place, root) as store:
            with pytest.raises(PermissionDenied, match="read only"):
                await store.write("f", b"1", overwrite=True)
            with pytest.raises(PermissionDenied, match="read only"):
                await store.write("d/g", b"1")
            with pytest.raises(PermissionDenied, match="read only"):
                await store.delete("f")
            assert await store.read_bytes("f") == b"old"


@pytest.mark.full
async def test_a_move_to_another_disk_is_a_copy_and_a_delete(openssh_server: SFTPPlace) -> None:
    folder = Path(openssh_server.on_disk(root := openssh_server.fresh_root()))
    (folder / "other").mkdir()
    with disk(folder / "other", "size=1m"):
        async with sftp_store(openssh_server, root) as store:
            await store.write("f", b"123")
            await store.move("f", "other/f")
            await store.write("g", b"456")
            await store.move("g", "other/f", overwrite=True)
            await store.write("h", b"789")
            await store.move("h", "other/new/h")
            assert await store.read_bytes("other/f") == b"456"
            assert await store.read_bytes("other/new/h") == b"789"
            assert {path.name for path in folder.rglob("*")} == {"other", "f", "new", "h"}


@pytest.mark.usefixtures("openssh_server")  # It is installed.
async def test_a_server_that_lets_nobody_write_is_permission_denied() -> None:
    """Not even root."""
    with openssh("ForceCommand internal-sftp -R") as place:
        folder = Path(place.on_disk(root := place.fresh_root()))
        (folder / "f").write_bytes(b"old")
        async with sftp_store(place, root) as store:
            for refused in (
                store.write("f", b"1", overwrite=True),
                store.write("d/g", b"1"),
                store.copy("f", "g"),
                store.move("f", "g"),
                store.delete("f"),
            ):
                with pytest.raises(PermissionDenied):
                    await refused
            assert await store.read_bytes("f") == b"old"
        assert [path.name for path in folder.iterdir()] == ["f"]
