"""Which store a filesystem is over: names, URLs, pickles, tokens, JSON; and what else speaks fsspec."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from helpers.processes import Fork, in_new_process
from servers.s3 import BUCKET, SECRET, S3Server

from remote_store import AsyncBackendSyncAdapter, FsspecBackend, InvalidPath, RemotePath, Store
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend
from remote_store.config import ConfigError, Registry, set_default
from remote_store.interop import StoreFileSystem


@pytest.fixture
def registry(tmp_path: Path, moto_server: S3Server) -> Iterator[Registry]:
    file = tmp_path / "stores.toml"
    file.write_text(
        f"""
        [stores.files]
        backend = "local"
        options = {{ root = "{tmp_path}/files" }}
        [stores.bucket]
        backend = "s3"
        root = "{moto_server.fresh_prefix()}"
        options = {json.dumps({"bucket": BUCKET, **moto_server.options}).replace('":', '" =')}
        [stores.private]
        backend = "memory"
        """
    )
    with Registry(file) as registry, set_default(registry):
        yield registry


NAMES = ("files", "bucket", "private")

# --- names and URLs


@pytest.mark.parametrize("name", NAMES)
def test_urls_name_configured_stores(name: str, registry: Registry) -> None:
    with fsspec.open(f"remote-store://{name}/d/f", "w") as file:
        file.write("hello")
    assert registry.get_store(name).read_text("d/f") == "hello"
    fs, path = fsspec.url_to_fs(f"remote-store://{name}/d/f")
    assert isinstance(fs, StoreFileSystem)
    assert (path, fs.name, fs.unstrip_protocol(path)) == ("d/f", name, f"remote-store://{name}/d/f")
    assert fs.cat_file(f"remote-store://{name}/d/f") == b"hello"
    assert fsspec.filesystem("remote-store", store=name) == fs
    with fsspec.open_files(f"remote-store://{name}/d/*", "r") as files:
        assert [file.read() for file in files] == ["hello"]
    file = fsspec.open(f"remote-store://{name}/g", "w")
    with pytest.raises(UnicodeEncodeError), file as opened:
        opened.write("half" + "\ud800")
    assert not fs.exists("g")


@pytest.mark.parametrize("name", NAMES)
async def test_urls_name_asynchronous_stores(name: str, registry: Registry) -> None:
    fs, path = fsspec.url_to_fs(f"remote-store://{name}/d/f", asynchronous=True)
    assert fs.asynchronous
    assert fs.async_impl
    await fs._pipe_file(path, b"hello")
    assert await fs._cat_file(path) == b"hello"
    assert await registry.get_async_store(name).read_text(path) == "hello"


def test_an_asynchronous_filesystem_by_name_serves_one_loop_after_another(registry: Registry) -> None:
    fs = fsspec.filesystem("remote-store", store="bucket", asynchronous=True)
    for _ in range(2):
        asyncio.run(fs._pipe_file("f", b"1"))


def test_paths_are_keys() -> None:
    strip = StoreFileSystem._strip_protocol
    for path in ("a/b", "/a/b/", "a//b", "./a/./b", "a\\b", "remote-store:///a/b"):
        assert strip(path) == "a/b"
    assert strip(["a/", RemotePath("b"), Path("c")]) == ["a", "b", "c"]
    for path in ("", "/", ".", "remote-store://", "remote-store:///", RemotePath.ROOT):
        assert strip(path) == ""
    named = StoreFileSystem("name")
    for path in ("remote-store://name/a/b", "remotestore://name//a/b/"):
        assert named._strip_protocol(path) == fsspec.url_to_fs(path)[1] == "a/b"
        assert named._strip_protocol([path, "c"]) == ["a/b", "c"]
    assert StoreFileSystem._parent("a/b") == "a"
    assert StoreFileSystem._parent("a") == ""


def test_urls_of_other_stores_are_refused(registry: Registry) -> None:
    fs = fsspec.filesystem("remote-store", store="private")
    unnamed = Store(MemoryBackend()).to_fsspec()
    for other in (fs, unnamed):
        with pytest.raises(InvalidPath, match="escapes root"):
            other.pipe_file("remote-store://files/f", b"")
        with pytest.raises(InvalidPath, match="escapes root"):
            other.open("remote-store://files/f", "wb")
    assert unnamed.unstrip_protocol("f") == "remote-store:///f"
    unnamed.pipe_file("remote-store:///f", b"1")
    assert unnamed.cat_file("f") == b"1"
    named = registry.get_store("files").to_fsspec()
    named.pipe_file("remote-store://files/f", b"1")
    assert named.cat_file(named.unstrip_protocol("f")) == b"1"
    child = registry.get_store("files").child("d").to_fsspec()
    assert child.unstrip_protocol("f") == "remote-store:///f"
    with pytest.raises(InvalidPath, match="escapes root"):
        child.cat_file("remote-store://files/f")


@pytest.mark.parametrize(
    "work",
    [
        lambda urls: fsspec.open_files(urls, "w"),
        lambda urls: [file.open() for file in fsspec.open_files(urls)],
        lambda urls: [file.open() for file in fsspec.open_files(tuple(urls))],
        lambda urls: [file.open().close() for file in fsspec.open_files([f"simplecache::{url}" for url in urls])],
        lambda urls: fsspec.get_fs_token_paths([urls[0], "remote-store://private/*"]),
        lambda urls: fsspec.get_fs_token_paths(urls)[0].cat(urls),
        lambda urls: fsspec.get_fs_token_paths(urls)[0].cat(fsspec.get_fs_token_paths(urls)[2]),
    ],
)
def test_a_list_of_urls_is_of_one_store(work: Callable[[list[str]], Any], registry: Registry) -> None:
    for key in ("f", "g"):
        registry.get_store("files").write_text(key, "precious")
    with pytest.raises(InvalidPath, match="escapes root"):
        work(["remote-store://files/f", "remote-store://private/g"])
    assert registry.get_store("files").read_text("g") == "precious"
    with fsspec.open_files(["remote-store://files/f", "remote-store://files/g"], "w") as files:
        for file in files:
            file.write("new")
    assert registry.get_store("files").to_fsspec().cat(["f", "g"]) == {"f": b"new", "g": b"new"}


def test_names_that_cannot_be_used_are_told_when_they_are(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="none such"), fsspec.open("remote-store://none such/f", "w"):
        pass
    with pytest.raises(ConfigError, match="none such"):
        fsspec.filesystem("remote-store", store="none such").exists("")
    with pytest.raises(ValueError, match="name"):
        fsspec.open("remote-store:///f")
    with pytest.raises(TypeError):
        fsspec.filesystem("remote-store", store="files", no_such_option=1)


# --- pickles and forks


def test_pickles_follow_the_store(tmp_path: Path, moto_server: S3Server) -> None:
    for backend in (LocalBackend(tmp_path), S3Backend(BUCKET, moto_server.fresh_prefix(), **moto_server.options)):
        with Store(backend) as store:
            fs = store.child("d").to_fsspec()
            fs.pipe_file("f", b"1")
            again = pickle.loads(pickle.dumps(fs))
            assert again.cat_file("f") == b"1"
            assert again == fs
            assert hash(again) == hash(fs)
            assert in_new_process(read, fs) == b"1"
            again.store._backend.close()
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(Store(MemoryBackend()).to_fsspec())


def read(fs: StoreFileSystem) -> bytes:
    return bytes(fs.cat_file("f"))


def test_pickles_of_named_stores_hold_the_name_alone(registry: Registry) -> None:
    fs = fsspec.filesystem("remote-store", store="bucket")
    data = pickle.dumps(fs)
    assert SECRET.encode() not in data
    assert pickle.loads(data) == fs
    assert SECRET.encode() not in pickle.dumps(registry.get_store("bucket").to_fsspec())


def test_unpickling_needs_no_configuration(registry: Registry) -> None:
    """Or Dask loses its workers; the name is looked up where it is used."""
    by_name = fsspec.filesystem("remote-store", store="files")
    by_name.pipe({"f": b"1", "d/f": b"1"})
    file = Path(registry._file)
    for fs in (by_name, registry.get_store("files").child("d").to_fsspec()):
        file.rename(hidden := file.with_name("hidden"))
        shown, error, passed_on = in_new_process(used_elsewhere, pickle.dumps(fs))
        hidden.rename(file)
        assert "files" in shown
        assert error.startswith("ConfigError: ")
        assert in_new_process(read_with, str(file), passed_on) == b"1"


def used_elsewhere(data: bytes) -> tuple[str, str, bytes]:
    fs = pickle.loads(data)
    try:
        fs.cat_file("f")
    except Exception as error:
        return repr(fs), f"{type(error).__name__}: {error}", pickle.dumps(fs)
    raise AssertionError("it was found")


def read_with(file: str, data: bytes) -> bytes:
    set_default(Registry(file))
    return bytes(pickle.loads(data).cat_file("f"))


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="forks")
def test_a_forked_child_goes_on(store: Store) -> None:
    fs = store.to_fsspec()
    fs.pipe_file("f", b"1")
    fs.info("f")
    with Fork(lambda: (fs.cat_file("f"), fs.pipe_file("g", b"2"), fs.find(""))) as child:
        assert child.result() == (b"1", None, ["f", "g"])


async def test_an_asynchronous_filesystem_can_be_pickled(tmp_path: Path) -> None:
    fs = AsyncStore(AsyncLocalBackend(tmp_path)).to_fsspec()
    again = pickle.loads(pickle.dumps(fs))
    await again._pipe_file("f", b"1")
    assert await fs._cat_file("f") == b"1"
    assert again == fs


# --- equality and tokens


def places(folder: Path, server: S3Server) -> list[Any]:
    """Filesystems, each of another store."""
    s3 = {key: value for key, value in server.options.items() if key != "endpoint_url"}
    return [
        Store(LocalBackend(folder)).to_fsspec(),
        Store(LocalBackend(folder / "a")).to_fsspec(),
        Store(LocalBackend(folder)).child("b").to_fsspec(),
        AsyncStore(LocalBackend(folder)).to_fsspec(),
        Store.from_url("memory://tokens").to_fsspec(),
        Store(S3Backend(BUCKET, **server.options)).to_fsspec(),
        Store(S3Backend(BUCKET, "prefix", **server.options)).to_fsspec(),
        Store(S3Backend("other", **server.options)).to_fsspec(),
        Store(S3Backend(BUCKET, endpoint_url="http://127.0.0.1:1", **s3)).to_fsspec(),
        Store(FsspecBackend(DirFileSystem(str(folder), LocalFileSystem()))).to_fsspec(),
        Store(FsspecBackend(DirFileSystem(str(folder / "a"), LocalFileSystem()))).to_fsspec(),
    ]


def tokens(folder: Path, server: S3Server) -> list[str]:
    return [fs.__dask_tokenize__() for fs in places(folder, server)]


def test_tokens_tell_places_apart_in_every_process(tmp_path: Path, moto_server: S3Server) -> None:
    here = tokens(tmp_path, moto_server)
    assert len(set(here)) == len(here)
    assert here == tokens(tmp_path, moto_server)
    assert here == in_new_process(tokens, tmp_path, S3Server(moto_server.endpoint))
    assert places(tmp_path, moto_server) == places(tmp_path, moto_server)


class Remote(MemoryFileSystem):  # type: ignore[misc]
    """A filesystem at a host."""

    def __init__(self, host: str, password: str = "", inner: Any = None) -> None:
        super().__init__(skip_instance_cache=True)


def test_tokens_hold_no_secrets(moto_server: S3Server) -> None:
    made = [Remote("a", "one"), Remote("a", password="two"), Remote(host="a", inner=None), Remote("b", "one")]
    made += [Remote("c", inner=fs) for fs in made]
    told = [Store(FsspecBackend(fs, "/d")).to_fsspec().__dask_tokenize__() for fs in made]
    assert told[0] == told[1]
    assert told[4] == told[5]
    assert len({told[0], told[3], told[4], told[7]}) == 4
    options = {**moto_server.options, "secret": "another"}
    stores = [Store(S3Backend(BUCKET, **given)) for given in (moto_server.options, options)]
    assert len({store.to_fsspec().__dask_tokenize__() for store in stores}) == 1


def test_private_memory_is_told_apart_by_object() -> None:
    one, other = Store(MemoryBackend()), Store(MemoryBackend())
    assert one.to_fsspec() == one.to_fsspec()
    assert hash(one.to_fsspec()) == hash(one.to_fsspec())
    assert one.to_fsspec() != other.to_fsspec()
    assert one.child("a").to_fsspec() != one.to_fsspec()
    assert AsyncStore(AsyncMemoryBackend()).to_fsspec() != AsyncStore(AsyncMemoryBackend()).to_fsspec()


def test_filesystems_keep_no_store_alive() -> None:
    store = Store(MemoryBackend())
    fs = store.to_fsspec()
    fs.pipe_file("f", b"")
    gone = weakref.ref(store._backend)
    del fs, store
    gc.collect()
    assert gone() is None


# --- JSON and repr


def test_json_of_what_needs_no_secret(tmp_path: Path, registry: Registry, moto_server: S3Server) -> None:
    for fs in (
        fsspec.filesystem("remote-store", store="bucket"),
        fsspec.filesystem("remote-store", store="bucket", asynchronous=True),
        registry.get_store("bucket").child("d").to_fsspec(),
        Store(LocalBackend(tmp_path, durable=True)).child("d").to_fsspec(),
        AsyncStore(AsyncLocalBackend(tmp_path)).to_fsspec(),
        AsyncStore(AsyncS3Backend(BUCKET, "p", anon=True, endpoint_url=moto_server.endpoint)).to_fsspec(),
        Store(S3Backend(BUCKET, "p", anon=True, region_name="us-east-1", part_size=6 << 20)).to_fsspec(),
    ):
        text = fs.to_json()
        assert SECRET not in text
        assert SECRET not in repr(fs)
        again = fsspec.AbstractFileSystem.from_json(text)
        assert (type(again), again.asynchronous) == (StoreFileSystem, fs.asynchronous)
        if fs.name is None:
            assert again.to_dict() == fs.to_dict()
            assert again.store.resolve("x") == fs.store.resolve("x")


def test_what_has_no_json_without_secrets_says_so(tmp_path: Path, moto_server: S3Server) -> None:
    for store in (
        Store(S3Backend(BUCKET, **moto_server.options)),
        Store(S3Backend(BUCKET, endpoint_url="http://me:hidden@127.0.0.1")),
        Store(S3Backend(BUCKET, client_kwargs={"aws_secret_access_key": "hidden"})),
        Store(MemoryBackend()),
        Store.from_url("memory://json"),
        Store(FsspecBackend(LocalFileSystem(), str(tmp_path))),
    ):
        with pytest.raises(ValueError, match="no form without secrets") as caught:
            store.to_fsspec().to_json()
        assert not any(secret in str(caught.value) for secret in ("hidden", SECRET))
    bridged = Store(AsyncBackendSyncAdapter(AsyncS3Backend(BUCKET, anon=True)))
    with bridged, pytest.raises(ValueError, match="no form"):
        bridged.to_fsspec().to_json()
    for name in ("Store", "os", "Registry"):
        with pytest.raises(ValueError, match="not a backend"):
            StoreFileSystem({"backend": name, "args": [], "options": {}, "root": ""})


def test_no_repr_shows_a_secret(moto_server: S3Server) -> None:
    fs = Store(S3Backend(BUCKET, **moto_server.options)).to_fsspec()
    for shown in (repr(fs), str(fs), repr(fs.storage_options), repr(fs.open("f", size=1)), fs._fs_token):
        assert SECRET not in shown
    assert repr(fs) == f"StoreFileSystem(Store(backend='s3', bucket={BUCKET!r}, root_path=''))"


# --- what else speaks fsspec


def test_a_mapping(fs: Any) -> None:
    mapping = fs.get_mapper("d")
    mapping["a*"] = b"1"
    mapping.setitems({"b": b"2", "c/d": b"3"})
    assert dict(mapping) == {"a*": b"1", "b": b"2", "c/d": b"3"}
    assert mapping.getitems(["a*", "none"], on_error="omit") == {"a*": b"1"}
    with pytest.raises(KeyError):
        mapping["c"]  # A folder.
    with pytest.raises(KeyError):
        mapping["none"]
    del mapping["a*"]
    mapping.clear()
    assert fs.find("") == []
    whole = fs.get_mapper("")
    whole.setitems({"a": b"1", "b/c": b"2"})
    whole.clear()
    assert fs.find("") == list(whole) == []


def test_a_folder_as_a_filesystem(fs: Any) -> None:
    folder = DirFileSystem("d", fs)
    folder.pipe_file("a/b", b"1")
    with folder.open("c", "w") as file:
        file.write("2")
    assert folder.find("") == ["a/b", "c"]
    assert folder.cat_file("c") == b"2"
    folder.mv("c", "e")
    folder.rm("a", recursive=True)
    assert fs.find("") == ["d/e"]


async def test_the_wrapper_that_zarr_puts_around_synchronous_filesystems(store: Store) -> None:
    fs = AsyncFileSystemWrapper(store.to_fsspec(), asynchronous=True)
    await fs._pipe_file("d/f", b"123")
    assert await fs._cat_file("d/f", start=1) == b"23"
    assert await fs._find("") == ["d/f"]
    assert await fs._exists("d/f")
    await fs._rm("d", recursive=True)
    assert not await fs._exists("d")


def test_a_chained_url(registry: Registry, tmp_path: Path) -> None:
    registry.get_store("bucket").write("d/f", b"123")
    cache = {"cache_storage": str(tmp_path / "cache")}
    for kind in ("simplecache", "filecache"):
        with fsspec.open(f"{kind}::remote-store://bucket/d/f", **{kind: cache}) as file:
            assert file.read() == b"123"


def test_other_tools(fs: Any) -> None:
    fs.pipe_file("f", b"line\nmore\n")
    assert fs.read_block("f", 0, 6, b"\n") == b"line\nmore\n"
    assert fs.head("f", 4) == b"line"
    assert fs.tail("f", 5) == b"more\n"
    assert fs.size("f") == 10
    assert fs.sizes(["f"]) == [10]
    key, checksum = fs.ukey("f"), fs.checksum("f")
    assert (fs.ukey("f"), fs.checksum("f")) == (key, checksum)
    fs.pipe_file("f", b"LINE\nMORE\n")
    assert fs.ukey("f") != key
    assert fs.checksum("f") != checksum
    assert "f" in fs.tree("")
    with pytest.raises(NotImplementedError):
        fs.created("f")
    with pytest.raises(NotImplementedError):
        fs.sign("f")
