"""Which store a filesystem is over: pickles, tokens, JSON; and what else speaks fsspec."""

from __future__ import annotations

import gc
import pickle
import weakref
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

from remote_store import AsyncBackendSyncAdapter, FsspecBackend, Store
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend
from remote_store.config import Registry, set_default
from remote_store.interop import StoreFileSystem

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
    by_name = fsspec.filesystem("remote-store")
    by_name.pipe({"files/f": b"1", "files/d/f": b"1"})
    file = Path(registry._file)
    for fs, key in ((by_name, "files/f"), (registry.get_store("files").child("d").to_fsspec(), "f")):
        file.rename(hidden := file.with_name("hidden"))
        shown, error, passed_on = in_new_process(used_elsewhere, pickle.dumps(fs), key)
        hidden.rename(file)
        assert ("files" in shown) == (fs is not by_name)
        assert error.startswith("ConfigError: ")
        assert in_new_process(read_with, str(file), passed_on, key) == b"1"


def used_elsewhere(data: bytes, key: str) -> tuple[str, str, bytes]:
    fs = pickle.loads(data)
    try:
        fs.cat_file(key)
    except Exception as error:
        return repr(fs), f"{type(error).__name__}: {error}", pickle.dumps(fs)
    raise AssertionError("it was found")


def read_with(file: str, data: bytes, key: str) -> bytes:
    set_default(Registry(file))
    return bytes(pickle.loads(data).cat_file(key))


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
        fsspec.filesystem("remote-store"),
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
        assert (type(again), again.asynchronous) == (type(fs), fs.asynchronous)
        assert again == fs
        assert again.to_dict() == fs.to_dict()


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
    with pytest.raises(NotImplementedError, match="when a file was created"):
        fs.created("f")
