"""Files that go to this machine and come from it."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from filesystems import TREE, Ops
from fsspec.callbacks import Callback

from remote_store import BackendUnavailable, NotFound, Store
from remote_store._either import EitherStore


async def test_a_tree_goes_there_and_back(ops: Ops, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for key in TREE:
        (source / key).parent.mkdir(parents=True, exist_ok=True)
        (source / key).write_text(key)
    await ops.put(str(source) + "/", "up", recursive=True)
    assert await ops.keys() == {f"up/{key}" for key in TREE}
    await ops.get("up/", str(target), recursive=True)
    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == set(TREE)
    assert all((target / key).read_text() == key for key in TREE)
    await ops.get("", str(tmp_path / "whole"), recursive=True)
    assert (tmp_path / "whole/up/d/e/c").read_text() == "d/e/c"
    with pytest.raises(FileNotFoundError):
        await ops.put(str(tmp_path / "none"), "x")
    with pytest.raises(FileNotFoundError):
        await ops.put_file(str(tmp_path / "none"), "x")
    with pytest.raises(NotFound):
        await ops.get("none", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()
    assert not await ops.exists("x")


def test_what_is_below_a_key_that_is_a_file_too_arrives(s3: Store, tmp_path: Path) -> None:
    fs = s3.to_fsspec()
    fs.pipe({"d/both": b"a file", "d/both/f": b"1", "d/both/e/g": b"2", "d/h": b"3"})
    for source in ("d", "d/"):
        fs.get(source, str(tmp_path / f"of {source.count('/')}") + "/new", recursive=True)
    fs.get("d/both/", str(tmp_path / "both"), recursive=True)
    for target in ("of 0/new/both", "of 1/new/both", "both"):
        assert (tmp_path / target / "f").read_text() == "1"
        assert (tmp_path / target / "e/g").read_text() == "2"
    assert (tmp_path / "of 0/new/h").read_text() == "3"
    fs.get("d/both", str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "a file"


async def test_a_failed_download_leaves_the_old_file(ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await ops.store.write("f", bytes(300_000))

    async def breaks(self: EitherStore, path: str) -> AsyncIterator[bytes]:
        yield b"half"
        raise BackendUnavailable("gone", path=path)

    monkeypatch.setattr(EitherStore, "read", breaks)
    (tmp_path / "old").write_text("old")
    for name in ("old", "new"):
        with pytest.raises(BackendUnavailable):
            await ops.get_file("f", str(tmp_path / name))
    assert {name for name in os.listdir(tmp_path) if name != "store"} == {"old"}
    assert (tmp_path / "old").read_text() == "old"


async def test_downloads_look_like_other_new_files(ops: Ops, tmp_path: Path) -> None:
    await ops.fill("f")
    (tmp_path / "plain").write_text("")
    (tmp_path / "kept").write_text("")
    (tmp_path / "kept").chmod(0o640)
    (tmp_path / "link").symlink_to("kept")
    await ops.get_file("f", str(tmp_path / "sub/new"))
    await ops.get_file("f", str(tmp_path / "link"))
    assert stat.S_IMODE((tmp_path / "sub/new").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept").read_text() == "f"
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o640
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    await ops.get_file("f", str(tmp_path / "pipe"))
    assert os.read(reader, 10) == b"f"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with open(tmp_path / "open", "wb") as file:
        await ops.get_file("f", file)
        await ops.get_file("f", outfile=file)
    assert (tmp_path / "open").read_text() == "ff"


async def test_put_file_creates_exclusively(ops: Ops, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("new")
    await ops.put_file(str(tmp_path / "f"), "g", mode="create", metadata={"k": "v"})
    assert (await ops.info("g"))["metadata"] == {"k": "v"}
    with pytest.raises(FileExistsError):
        await ops.put_file(str(tmp_path / "f"), "g", mode="create")
    await ops.put_file(str(tmp_path), "folder")
    assert await ops.keys() == {"g"}


class Progress(Callback):  # type: ignore[misc]
    """Notes what it is told, of each file."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int | None, int]] = []
        self.files: list[Progress] = []

    def call(self, *args: Any, **options: Any) -> None:
        self.told.append((self.size, self.value))

    def branched(self, path_1: str, path_2: str, **options: Any) -> Progress:
        self.files.append(Progress())
        return self.files[-1]


async def test_callbacks_are_told_bytes(ops: Ops, tmp_path: Path) -> None:
    size = 3_000_000
    (tmp_path / "big").write_bytes(bytes(size))
    up, down = Progress(), Progress()
    await ops.put_file(str(tmp_path / "big"), "f", callback=up)
    await ops.get_file("f", str(tmp_path / "back"), callback=down)
    for progress in (up, down):
        assert progress.told[0] == (size, 0)
        assert progress.told[-1] == (size, size)
        assert len(progress.told) > 3
    await ops.fill("d/a", "d/b")
    several = Progress()
    await ops.get("d/", str(tmp_path / "d"), recursive=True, callback=several)
    assert (several.size, several.value) == (2, 2)
    assert [file.told[-1] for file in several.files] == [(3, 3), (3, 3)]
