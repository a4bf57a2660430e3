"""All configured stores as one filesystem: a path begins with the name of a store."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.asyn import get_loop
from fsspec.implementations.dirfs import DirFileSystem
from helpers.processes import Fork
from servers.s3 import BUCKET, S3Server

from remote_store import Capability, CapabilitySet, InvalidPath, NotFound, PreconditionFailed, RemotePath, Store
from remote_store._either import EitherStore
from remote_store.backends import MemoryBackend
from remote_store.config import ConfigError, Registry, set_default
from remote_store.drivers.base import WriteOptions
from remote_store.interop import NamedFileSystem, StoreFileSystem, _identity

NAMES = ("bucket", "files", "private")


class Called:
    """A filesystem whose operations are called in this thread."""

    def __init__(self, fs: Any) -> None:
        self.fs = fs

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            return await self.do(name, *args, **options)

        return call

    async def do(self, name: str, *args: Any, **options: Any) -> Any:
        return getattr(self.fs, name)(*args, **options)


class Awaited(Called):
    """A filesystem whose operations are awaited on the loop of the test."""

    async def do(self, name: str, *args: Any, **options: Any) -> Any:
        return await getattr(self.fs, f"_{name}")(*args, **options)


class Elsewhere(Called):
    """A filesystem whose operations are awaited on fsspec's own loop, as `GenericFileSystem` does."""

    async def do(self, name: str, *args: Any, **options: Any) -> Any:
        operation = getattr(self.fs, f"_{name}")(*args, **options)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(operation, get_loop()))


WAYS = {
    "called": lambda: Called(fsspec.filesystem("remote-store")),
    "awaited": lambda: Awaited(fsspec.filesystem("remote-store")),
    "elsewhere": lambda: Elsewhere(fsspec.filesystem("remote-store")),
    "asynchronous": lambda: Awaited(fsspec.filesystem("remote-store", asynchronous=True)),
}


@pytest.fixture(params=WAYS)
async def every(request: pytest.FixtureRequest, registry: Registry) -> AsyncIterator[Any]:
    """The filesystem of all stores, used in each way that there is."""
    yield WAYS[request.param]()
    if "elsewhere" in request.param:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(registry.aclose(), get_loop()))


@pytest.fixture
def named(registry: Registry) -> Any:
    return fsspec.filesystem("remote-store")


# --- paths and URLs


def test_paths_begin_with_the_name_of_a_store() -> None:
    strip = NamedFileSystem._strip_protocol
    for path in ("a/b", "/a/b/", "a//b", "./a/./b", "a\\b", "remote-store://a/b", "remotestore://a//b/", Path("a/b")):
        assert strip(path) == "a/b"
    assert strip(["a/", RemotePath("b")]) == ["a", "b"]
    for path in ("", "/", ".", "remote-store://", RemotePath.ROOT):
        assert strip(path) == ""
    assert NamedFileSystem._parent("a/b") == "a"
    assert NamedFileSystem._parent("a") == ""


def test_paths_of_one_store_are_keys() -> None:
    strip = StoreFileSystem._strip_protocol
    for path in ("a/b", "a/b/", "a//b", "./a/./b", "a\\b", "store://a/b"):
        assert strip(path) == "a/b"
    assert [strip(path) for path in ("/a", "//a/", "store:///a", "\\a", "/./a")] == ["/a", "//a", "/a", "/a", "/a"]
    assert strip(["a/", RemotePath("b"), Path("c")]) == ["a", "b", "c"]
    for path in ("", "/", "//", ".", "store://", "store:///", RemotePath.ROOT):
        assert strip(path) == ""
    assert StoreFileSystem._parent("a/b") == "a"
    assert StoreFileSystem._parent("a") == ""


@pytest.mark.parametrize("protocol", ["remote-store", "remotestore"])
@pytest.mark.parametrize("name", NAMES)
def test_urls_name_configured_stores(name: str, protocol: str, registry: Registry) -> None:
    with fsspec.open(f"{protocol}://{name}/d/f", "w") as file:
        file.write("hello")
    assert registry.get_store(name).read_text("d/f") == "hello"
    fs, path = fsspec.url_to_fs(f"{protocol}://{name}/d/f")
    assert isinstance(fs, NamedFileSystem)
    assert fs == fsspec.filesystem("remote-store")
    assert (path, fs.unstrip_protocol(path)) == (f"{name}/d/f", f"remote-store://{name}/d/f")
    assert fs.cat_file(f"{protocol}://{name}/d/f") == fs.cat_file(path) == b"hello"
    with fsspec.open_files(f"{protocol}://{name}/d/*", "r") as files:
        assert [file.read() for file in files] == ["hello"]
    file = fsspec.open(f"{protocol}://{name}/g", "w")
    with pytest.raises(UnicodeEncodeError), file as opened:
        opened.write("half" + "\ud800")
    assert not fs.exists(f"{name}/g")


@pytest.mark.parametrize("name", NAMES)
def test_a_url_rebuilt_from_protocol_and_path_is_the_same_file(name: str, registry: Registry) -> None:
    """As Hugging Face datasets does."""
    registry.get_store("files").write_text("x.csv", "of another store")
    registry.get_store(name).write_text("files/x.csv", "a")
    fs, path = fsspec.url_to_fs(f"remotestore://{name}/files/x.csv")
    for found in (path, *fs.glob(f"{name}/*/x.csv"), *fs.find(f"{name}/files"), fs.info(path)["name"]):
        protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
        with fsspec.open(f"{protocol}://{found}", "r") as file:
            assert file.read() == "a"


def test_a_url_rebuilt_from_a_filesystem_over_one_store_opens_nothing(registry: Registry) -> None:
    for store in (registry.get_store("files"), Store(MemoryBackend())):
        fs = store.to_fsspec()
        fs.pipe_file("private/f", b"1")
        for protocol in fs.protocol:
            with pytest.raises(ValueError, match="Protocol not known"):
                fsspec.open(f"{protocol}://private/f")
        assert fs.cat_file(fs.unstrip_protocol("private/f")) == b"1"


def test_a_filesystem_over_one_store_refuses_urls_of_names(registry: Registry) -> None:
    fs = registry.get_store("files").to_fsspec()
    for work in (lambda url: fs.pipe_file(url, b""), lambda url: fs.open(url, "wb"), fs.exists, fs.find):
        for protocol in ("remote-store", "remotestore"):
            with pytest.raises(InvalidPath, match="escapes root"):
                work(f"{protocol}://files/f")
    assert fs.find("") == []


def read_all(urls: Any) -> list[bytes]:
    with fsspec.open_files(urls) as files:
        return [file.read() for file in files]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # Of fsspec 2025.3, about its copies.
@pytest.mark.parametrize(
    "work",
    [
        read_all,
        lambda urls: read_all(tuple(urls)),
        lambda urls: read_all([f"simplecache::{url}" for url in urls]),
        lambda urls: list(fsspec.get_fs_token_paths(urls)[0].cat(urls).values()),
        lambda urls: list(fsspec.filesystem("remote-store").cat(fsspec.get_fs_token_paths(urls)[2]).values()),
    ],
)
def test_a_list_may_be_of_several_stores(work: Callable[[list[str]], Any], registry: Registry) -> None:
    for name in NAMES:
        registry.get_store(name).write_text("f", f"of {name}")
    assert work([f"remote-store://{name}/f" for name in NAMES]) == [f"of {name}".encode() for name in NAMES]


def test_the_option_store_must_agree_with_the_path(registry: Registry) -> None:
    registry.get_store("files").write_text("f", "1")
    fs = fsspec.filesystem("remote-store", store="files")
    assert fs.cat_file("files/f") == fs.cat_file("remotestore://files/f") == b"1"
    assert fs.ls("", detail=False) == ["files"]
    for work in (fs.exists, fs.info, fs.find, fs.rm, lambda path: fs.pipe_file(path, b""), lambda path: fs.open(path)):
        for path in ("private/f", "private", "remote-store://private/f"):
            with pytest.raises(ValueError, match="store='files' does not agree with the path 'private"):
                work(path)
    with (
        pytest.raises(ValueError, match="store='files' does not agree"),
        fsspec.open("remotestore://bucket/f", store="files"),
    ):
        pass


def test_names_of_stores_command_no_terminal() -> None:
    with set_default(Registry({"stores": {"a\x1b[2J\nb": {"backend": "memory"}}})), pytest.raises(NotFound) as caught:
        fsspec.filesystem("remote-store").cat_file("c\x1b[2J/f")
    assert str(caught.value).isprintable()
    assert r"configured are a\x1b[2J\nb" in str(caught.value)


def test_options_of_a_storage_are_refused_and_the_configuration_named(registry: Registry) -> None:
    registry.get_store("files").write_text("f", "1")
    with pytest.raises(TypeError, match=r"remote-store:// does not take the option 'anon': the configuration"):
        fsspec.open("remote-store://files/f", anon=True)
    with pytest.raises(TypeError) as caught:
        fsspec.filesystem("remotestore", secret="s3cret")
    assert "s3cret" not in str(caught.value)
    assert registry.get_store("files").read_text("f") == "1"


def test_the_hint_of_a_store_that_cannot_be_deleted_empties_it(registry: Registry) -> None:
    store = registry.get_store("files")
    store.write_text("d/f", "1")
    with pytest.raises(InvalidPath, match=r"own to_fsspec\(\)\.rm\('', recursive=True\)"):
        fsspec.filesystem("remote-store").rm("files", recursive=True)
    assert store.exists("d/f")
    store.to_fsspec().rm("", recursive=True)
    assert list(store.iter_children("")) == []


def test_names_that_are_not_configured_are_missing(registry: Registry) -> None:
    fs = fsspec.filesystem("remote-store")
    for work in (fs.info, fs.ls, fs.cat, fs.rm, fs.open, lambda path: fs.pipe_file(path, b""), fs.mkdir):
        with pytest.raises(
            NotFound, match=r"Store 'none such' not found; configured are files, bucket, private"
        ) as caught:
            work("none such/f")
        assert isinstance(caught.value, FileNotFoundError)
    for path in ("none such", "none such/f"):
        assert not any(ask(path) for ask in (fs.exists, fs.isfile, fs.isdir, fs.find, fs.glob))
    assert fs.glob("none such/*") == []
    assert fs.ls("", detail=False) == list(NAMES)
    with pytest.raises(NotFound, match="none such"), fsspec.open("remote-store://none such/f", "w"):
        pass


def test_without_a_configuration_nothing_is_taken_for_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REMOTE_STORE_CONFIG", raising=False)
    with set_default(None):
        for work in (lambda fs: fs.exists("files/f"), lambda fs: fs.find("files"), lambda fs: fs.ls("")):
            with pytest.raises(ConfigError, match="no configuration"):
                work(fsspec.filesystem("remote-store"))


# --- operations


@pytest.mark.parametrize("name", NAMES)
async def test_names_come_back_in_the_form_they_are_given(name: str, every: Any) -> None:
    await every.pipe({f"{name}/a": b"1", f"{name}/d/b": b"22", f"{name}/d/e/c": b"333"})
    assert await every.ls(name, detail=False) == [f"{name}/a", f"{name}/d"]
    assert [info["name"] for info in await every.ls(f"remotestore://{name}/d")] == [f"{name}/d/b", f"{name}/d/e"]
    assert await every.find(name) == [f"{name}/a", f"{name}/d/b", f"{name}/d/e/c"]
    assert await every.find(name, withdirs=True, maxdepth=2) == [
        *(name, f"{name}/a", f"{name}/d", f"{name}/d/b", f"{name}/d/e")
    ]
    assert await every.glob(f"{name}/**/c") == [f"{name}/d/e/c"]
    assert (await every.info(f"{name}/d/b"))["name"] == f"{name}/d/b"
    assert (await every.info(name), await every.isdir(name), await every.exists(name)) == (
        {"name": name, "size": 0, "type": "directory"},
        True,
        True,
    )
    assert await every.cat(f"{name}/d", recursive=True) == {f"{name}/d/b": b"22", f"{name}/d/e/c": b"333"}
    assert await every.cat_ranges([f"{name}/d/e/c"], [1], [3]) == [b"33"]
    assert await every.du(name) == 6
    assert await every.expand_path(f"{name}/d/*") == [f"{name}/d/b", f"{name}/d/e"]
    await every.mv(f"{name}/d", f"{name}/moved", recursive=True)
    assert await every.find(name) == [f"{name}/a", f"{name}/moved/b", f"{name}/moved/e/c"]
    await every.rm(f"{name}/moved", recursive=True)
    assert await every.find(name) == [f"{name}/a"]


async def test_files_go_to_this_machine_and_come_from_it(every: Any, tmp_path: Path) -> None:
    (tmp_path / "up/e").mkdir(parents=True)
    (tmp_path / "up/e/f").write_text("1")
    for name in NAMES:
        await every.put(f"{tmp_path}/up", f"{name}/d", recursive=True)
        await every.get(f"{name}/d/", f"{tmp_path}/{name}", recursive=True)
        assert (tmp_path / name / "e/f").read_text() == "1"


async def test_the_names_of_stores_are_the_top(every: Any) -> None:
    await every.pipe_file("private/d/f", b"1")
    for top in ("", "/", "remote-store://"):
        assert await every.ls(top, detail=False) == list(NAMES)
        assert await every.isdir(top)
        assert (await every.info(top))["type"] == "directory"
    assert await every.find("") == ["private/d/f"]
    assert await every.find("", maxdepth=1) == []
    assert await every.find("", maxdepth=1, withdirs=True) == list(NAMES)
    assert await every.glob("*") == list(NAMES)
    assert await every.glob("p*") == ["private"]
    assert await every.glob("*/d/*") == ["private/d/f"]


async def test_stores_are_neither_made_nor_removed(every: Any) -> None:
    for name in NAMES:
        await every.pipe_file(f"{name}/d/f", b"1")
        for work in (every.rm, every.rm_file, every.rmdir, every.mkdir, every.makedirs):
            with pytest.raises(InvalidPath) as caught:
                await work(name)
            assert caught.value.path == name
        with pytest.raises(InvalidPath, match="Cannot delete the store root"):
            await every.rm(name, recursive=True)
        with pytest.raises(InvalidPath, match="Cannot delete the store root"):
            await every.rm([f"{name}/d/f", f"remote-store://{name}"], recursive=True, maxdepth=2)
        with pytest.raises(FileExistsError):
            await every.mkdir(name)
        await every.makedirs(name, exist_ok=True)
        await every.makedirs(f"{name}/d")
        assert await every.find(name) == [f"{name}/d/f"]
        await every.rm(f"{name}/d", recursive=True)
        await every.rm(name, recursive=True)  # Nothing is there, as for zarr and Dask before they write.
        assert await every.isdir(name)
    for work in (every.rm, every.rmdir, every.mkdir, every.cat):
        with pytest.raises(InvalidPath):
            await work("")
    with pytest.raises(InvalidPath):
        await every.rm("", recursive=True)


@pytest.mark.parametrize("name", NAMES)
async def test_errors_name_the_store(name: str, every: Any) -> None:
    await every.pipe_file(f"{name}/d/f", b"1")
    for work, path in (
        (every.cat_file, "d/none"),
        (every.info, "none"),
        (every.ls, "none"),
        (every.rm, "none"),
        (lambda path: every.cp_file(path, f"{name}/x"), "none"),
    ):
        with pytest.raises(NotFound) as caught:
            await work(f"{name}/{path}")
        assert caught.value.path == f"{name}/{path}"
        assert f"path='{name}/{path}'" in str(caught.value)
    with pytest.raises(IsADirectoryError) as folder:
        await every.cat_file(f"{name}/d")
    assert folder.value.path == f"{name}/d"  # type: ignore[attr-defined]
    with pytest.raises(InvalidPath, match="escapes root") as outside:
        await every.info(f"{name}/../f")
    assert outside.value.path == f"{name}/../f"


@pytest.mark.parametrize("name", NAMES)
def test_open_files_name_the_store(name: str, named: Any) -> None:
    with pytest.raises(NotFound, match=f"path='{name}/none'"):
        named.open(f"{name}/none")
    with named.open(f"{name}/f", "w") as file:
        file.write("text")
    with named.open(f"{name}/f") as file:
        assert (file.path, file.read()) == (f"{name}/f", b"text")
    with pytest.raises(FileExistsError, match=f"{name}/f"):
        named.open(f"{name}/f", "xb")


# --- from one store to another

PAIRS = [(source, target) for source in NAMES for target in NAMES if source != target]


@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_files_are_streamed_between_stores(source: str, target: str, every: Any) -> None:
    big = bytes(range(256)) * 4096 * 9  # More than one part of an upload.
    await every.pipe_file(f"{source}/d/f", big, metadata={"k": "v"} if source != "files" else None)
    await every.touch(f"{source}/typed", content_type="text/csv")
    await every.cp_file(f"{source}/typed", f"{target}/typed")
    assert (await every.info(f"{target}/typed"))["ContentType"] == "text/csv"
    await every.rm([f"{source}/typed", f"{target}/typed"])
    await every.pipe_file(f"{source}/d/e/g", b"2")
    await every.cp_file(f"{source}/d/f", f"{target}/one")
    await every.copy(f"remote-store://{source}/d", f"remotestore://{target}/copy", recursive=True)
    assert await every.find(target) == [f"{target}/copy/e/g", f"{target}/copy/f", f"{target}/one"]
    assert await every.cat_file(f"{target}/one") == big
    if "files" not in (source, target):
        assert (await every.info(f"{target}/one"))["metadata"] == {"k": "v"}
    await every.mv(f"{source}/d", f"{target}/moved", recursive=True)
    assert await every.find(source) == []
    assert await every.find(f"{target}/moved") == [f"{target}/moved/e/g", f"{target}/moved/f"]
    with pytest.raises(NotFound, match=f"path='{source}/none'"):
        await every.cp_file(f"{source}/none", f"{target}/one")
    with pytest.raises(NotFound):
        await every.mv(f"{source}/none", f"{target}/one")
    assert await every.cat_file(f"{target}/one") == big


def test_within_a_store_copies_are_its_own(named: Any, registry: Registry, moto_server: S3Server) -> None:
    named.pipe_file("bucket/f", b"1")
    before = len(moto_server.requests)
    named.cp_file("bucket/f", "bucket/g")
    assert len(moto_server.requests) == before + 1
    named.copy(["bucket/f", "bucket/g"], ["bucket/h", "private/g"])
    assert named.find("") == ["bucket/f", "bucket/g", "bucket/h", "private/g"]


async def test_files_are_not_moved_onto_one_target_by_two_spellings(every: Any) -> None:
    for key in ("f", "g"):
        await every.pipe_file(f"files/{key}", key.encode())
    for other in ("private//to", "/private/to", "remote-store://private/to", "private/./to/"):
        for verb in ("mv", "copy"):
            with pytest.raises(ValueError, match="several files would go to 'private/to'"):
                await getattr(every, verb)(["files/f", "files/g"], ["private/to", other])
    assert await every.find("") == ["files/f", "files/g"]


async def test_a_source_that_changes_while_it_is_moved_is_kept(
    every: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await every.pipe_file("files/f", b"old")
    read, registry_store = EitherStore.read, registry.get_store("files")

    async def late(self: EitherStore, path: str) -> AsyncIterator[bytes]:
        async for chunk in read(self, path):
            yield chunk
        registry_store.write("f", b"newer", overwrite=True)

    if isinstance(every, Awaited | Elsewhere):
        monkeypatch.setattr(EitherStore, "read", late)
    else:
        whole = Store.read

        def read_and_write(self: Store, path: Any) -> Any:
            opened = whole(self, path)
            registry_store.write("f", b"newer", overwrite=True)
            return opened

        monkeypatch.setattr(Store, "read", read_and_write)
    with pytest.raises(PreconditionFailed, match="was not deleted") as caught:
        await every.mv("files/f", "private/f")
    monkeypatch.undo()
    assert (caught.value.path, caught.value.target) == ("files/f", "private/f")
    assert await every.cat_file("files/f") == b"newer"


def test_names_of_other_stores_are_no_commands_to_a_terminal() -> None:
    with set_default(Registry({"stores": {"a\x1b[2J\nb": {"backend": "memory"}}})):
        fs = fsspec.filesystem("remote-store")
        with pytest.raises(NotFound) as caught:
            fs.cat_file("none/f")
    assert r"configured are a\x1b[2J\nb" in str(caught.value)
    assert str(caught.value).isprintable()


def test_within_a_store_too_an_error_names_both_paths(
    named: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = registry.get_store("bucket")
    named.pipe_file("bucket/f", b"old")
    wire: Any = bucket._backend._driver.wire
    delete = wire.delete

    async def late(name: str, etag: str) -> None:
        await wire.put(name, b"newer", WriteOptions(overwrite=True))
        await delete(name, etag)

    monkeypatch.setattr(wire, "delete", late)
    with pytest.raises(PreconditionFailed, match="was not deleted") as caught:
        named.mv("bucket/f", "bucket/d/f")
    assert (caught.value.path, caught.value.target) == ("bucket/f", "bucket/d/f")
    assert named.cat("bucket", recursive=True) == {"bucket/f": b"newer", "bucket/d/f": b"old"}


@pytest.mark.parametrize("way", ["called", "awaited", "elsewhere"])
@pytest.mark.parametrize("backend", ["local", "memory", "s3"])
async def test_one_file_of_two_names_is_not_lost(backend: str, way: str, tmp_path: Path, moto_server: S3Server) -> None:
    options = {"s3": {"bucket": BUCKET, **moto_server.options}, "local": {"root": str(tmp_path)}}.get(backend, {})
    root = moto_server.fresh_prefix() if backend == "s3" else ""
    outer = {"backend": backend, "root": root, "options": options}
    inner = {**outer, "root": f"{root}/in".strip("/")}
    config = {"stores": {"outer": outer, "inner": inner}}
    async with Registry(config) as registry:
        with set_default(registry):
            every = WAYS[way]()
            await every.pipe_file("outer/in/f", b"1")
            for verb in ("cp_file", "mv_file", "copy", "mv"):
                await getattr(every, verb)("outer/in/f", "inner/f")
                await getattr(every, verb)("inner/f", "outer/in/f")
            assert await every.find("outer") == ["outer/in/f"]
            assert await every.cat_file("inner/f") == b"1"
            if way == "elsewhere":
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(registry.aclose(), get_loop()))


@pytest.mark.parametrize("way", ["called", "awaited"])
async def test_one_file_by_two_addresses_of_its_service_is_not_lost(way: str, moto_server: S3Server) -> None:
    here = {"backend": "s3", "root": moto_server.fresh_prefix(), "options": {"bucket": BUCKET, **moto_server.options}}
    there = {**here, "options": {**here["options"], "endpoint_url": moto_server.endpoint + "/"}}
    async with Registry({"stores": {"here": here, "there": there}}) as registry:
        with set_default(registry):
            every = WAYS[way]()
            await every.pipe_file("here/f", b"1")
            for source, target in (("here/f", "there/f"), ("there/f", "here/f")):
                await every.cp_file(source, target)
                with pytest.raises(PreconditionFailed, match="same file") as caught:
                    await every.mv(source, target)
                assert (caught.value.path, caught.value.target) == (source, target)
                assert await every.cat_file(source) == b"1"
            await every.mv("here/f", "there/g")
            assert await every.find("here") == ["here/g"]


# --- threads and loops


def test_an_asynchronous_filesystem_serves_one_loop_after_another(registry: Registry) -> None:
    fs = fsspec.filesystem("remote-store", asynchronous=True)
    for _ in range(2):
        asyncio.run(fs._pipe_file("bucket/f", b"1"))
    with pytest.raises(RuntimeError, match="asynchronous"):
        fs.cat_file("bucket/f")


async def test_calls_work_where_a_loop_runs(registry: Registry) -> None:
    fs = fsspec.filesystem("remote-store")
    fs.pipe_file("bucket/f", b"1")
    assert fs.cat_file("bucket/f") == await fs._cat_file("bucket/f") == b"1"
    async with await fs.open_async("bucket/f") as file:
        assert await file.read() == b"1"


def test_a_transaction_is_of_its_thread(registry: Registry) -> None:
    fs = fsspec.filesystem("remote-store")
    assert fs is fsspec.filesystem("remote-store")
    with fs.transaction:
        fs.pipe_file("files/mine", b"1")
        thread = threading.Thread(target=lambda: fsspec.filesystem("remote-store").pipe_file("files/other", b"2"))
        thread.start()
        thread.join()
        assert fs.find("files") == ["files/other"]
        with fsspec.open("remote-store://private/mine", "wb") as file:
            file.write(b"3")
    assert fs.find("") == ["files/mine", "files/other", "private/mine"]


# --- what else speaks fsspec


@pytest.mark.parametrize("name", NAMES)
def test_mappings_and_folders_of_stores(name: str, named: Any) -> None:
    for root in (name, f"{name}/d", f"remotestore://{name}/e/"):
        mapping = named.get_mapper(root)
        mapping.setitems({"a*": b"1", "b/c": b"2"})
        assert dict(mapping) == {"a*": b"1", "b/c": b"2"}
        assert mapping.getitems(["a*", "none"], on_error="omit") == {"a*": b"1"}
        del mapping["a*"]
        folder = DirFileSystem(root.removeprefix("remotestore://").rstrip("/"), named)
        assert folder.find("") == ["b/c"]
        folder.mv("b", "moved", recursive=True)
        assert list(mapping) == ["moved/c"]
        named.rm(f"{root}/moved", recursive=True)
        assert list(mapping) == []


def test_a_store_may_be_opened_by_a_url_of_another(registry: Registry) -> None:
    for name in NAMES:
        with Store.from_url(f"remote-store://{name}/in") as store:
            store.write("d/f", b"1")
            assert [str(file.path) for file in store.list_files(recursive=True)] == ["d/f"]
            assert registry.get_store(name).read_bytes("in/d/f") == store.read_bytes("d/f") == b"1"
            with pytest.raises(NotFound) as caught:
                store.read_bytes("none")
            assert caught.value.path == "none"
            store.delete_folder("d", recursive=True)
    asyncio.run_coroutine_threadsafe(registry.aclose(), get_loop()).result()


class Untold(MemoryBackend):
    """A backend that does not describe its files."""

    @property
    def capabilities(self) -> CapabilitySet:
        return CapabilitySet(set(super().capabilities) - {Capability.METADATA})


def test_files_are_streamed_from_where_nothing_describes_them(named: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    untold, by_name = Store(Untold()), _identity.by_name
    monkeypatch.setattr(_identity, "by_name", lambda name, *more: untold if name == "untold" else by_name(name, *more))
    untold.write("f", b"1")
    named.cp_file("untold/f", "files/f")
    named.mv_file("untold/f", "files/g")
    assert named.cat("files/*") == {"files/f": b"1", "files/g": b"1"}
    assert not untold.exists("f")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_goes_on(named: Any) -> None:
    paths = [f"{name}/f" for name in NAMES]
    named.pipe(dict.fromkeys(paths, b"1"))
    with Fork(lambda: (named.cat(paths), fsspec.filesystem("remote-store").find(""))) as child:
        assert child.result() == (dict.fromkeys(paths, b"1"), paths)
