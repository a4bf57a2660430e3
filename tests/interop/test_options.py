"""Options that other filesystems take: ignored, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filesystems import Ops

from remote_store import Store
from remote_store.aio import AsyncMemoryBackend, AsyncStore
from remote_store.backends import MemoryBackend

Call = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def ops(request: pytest.FixtureRequest) -> Ops:
    return Ops(Store(MemoryBackend()) if request.param == "sync" else AsyncStore(AsyncMemoryBackend()))


CALLS: dict[str, Callable[[Ops, str], Call]] = {
    "info": lambda ops, _: lambda **options: ops.info("d/f", **options),
    "exists": lambda ops, _: lambda **options: ops.exists("d/f", **options),
    "isfile": lambda ops, _: lambda **options: ops.isfile("d/f", **options),
    "isdir": lambda ops, _: lambda **options: ops.isdir("d", **options),
    "ls": lambda ops, _: lambda **options: ops.ls("d", **options),
    "find": lambda ops, _: lambda **options: ops.find("d", **options),
    "glob": lambda ops, _: lambda **options: ops.glob("d/*", **options),
    "du": lambda ops, _: lambda **options: ops.du("d", **options),
    "modified": lambda ops, _: lambda **options: ops.modified("d/f", **options),
    "expand_path": lambda ops, _: lambda **options: ops.expand_path("d/*", **options),
    "cat_file": lambda ops, _: lambda **options: ops.cat_file("d/f", **options),
    "cat_ranges": lambda ops, _: lambda **options: ops.cat_ranges(["d/f"], [0], [1], **options),
    "cat": lambda ops, _: lambda **options: ops.cat("d/*", **options),
    "pipe_file": lambda ops, _: lambda **options: ops.pipe_file("new", b"", **options),
    "pipe": lambda ops, _: lambda **options: ops.pipe({"new": b""}, **options),
    "touch": lambda ops, _: lambda **options: ops.touch("new", **options),
    "cp_file": lambda ops, _: lambda **options: ops.cp_file("d/f", "new", **options),
    "copy": lambda ops, _: lambda **options: ops.copy("d/f", "new", **options),
    "mv_file": lambda ops, _: lambda **options: ops.mv_file("gone", "new", **options),
    "mv": lambda ops, _: lambda **options: ops.mv("gone", "new", **options),
    "rm_file": lambda ops, _: lambda **options: ops.rm_file("gone", **options),
    "rm": lambda ops, _: lambda **options: ops.rm("gone", **options),
    "mkdir": lambda ops, _: lambda **options: ops.mkdir("e", **options),
    "makedirs": lambda ops, _: lambda **options: ops.makedirs("e", exist_ok=True, **options),
    "get_file": lambda ops, here: lambda **options: ops.get_file("d/f", f"{here}/f", **options),
    "get": lambda ops, here: lambda **options: ops.get("d", f"{here}/d", recursive=True, **options),
    "put_file": lambda ops, here: lambda **options: ops.put_file(f"{here}/up", "new", **options),
    "put": lambda ops, here: lambda **options: ops.put(f"{here}/up", "new", **options),
}


@pytest.mark.parametrize("method", CALLS)
async def test_options_are_ignored_or_refused_by_their_name(method: str, ops: Ops, tmp_path: Path) -> None:
    (tmp_path / "up").write_text("1")
    call = CALLS[method](ops, str(tmp_path))
    await ops.fill("d/f", "gone")
    for name in ("ContentType", "acl", "no_such_option"):
        with pytest.raises(TypeError, match=rf"^{method}\(\) of a store does not take the option '{name}'$"):
            await call(**{name: "x"})
    assert await ops.keys() == {"d/f", "gone"}
    assert {file.name for file in tmp_path.iterdir()} - {"store"} == {"up"}
    await call(max_concurrency=2, chunksize=1 << 20, batch_size=3, refresh=True)


async def test_mkdir_takes_what_pathlib_gives(ops: Ops) -> None:
    await ops.mkdir("d", create_parents=True, mode=0o777)
    assert await ops.keys() == set()


def test_options_of_open_files() -> None:
    fs: Any = Store(MemoryBackend()).to_fsspec()
    fs.pipe_file("f", b"old")
    for mode in ("rb", "r", "wb", "w"):
        for name in ("acl", "ContentType", "mtime"):
            with pytest.raises(TypeError, match=rf"^open\(\) of a store does not take the option '{name}'$"):
                fs.open("f", mode, **{name: "x"})
    with pytest.raises(TypeError, match=r"^open\(\) takes the option 'if_match' only to write a file$"):
        fs.open("f", if_match="0")
    with pytest.raises(TypeError, match=r"^open\(\) takes the option 'version_id' only to read a file$"):
        fs.open("f", "wb", version_id="0")
    assert fs.cat_file("f") == b"old"
    with fs.open("f", fill_cache=False, blocksize=1, default_cache="none", max_concurrency=2) as file:
        assert file.read() == b"old"
    with fs.open("f", "wb", cache_type="none", block_size=1, size=1, max_concurrency=2) as file:
        file.write(b"new")
    assert fs.cat_file("f") == b"new"
