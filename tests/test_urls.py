"""From a URL to a store."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from helpers.added import entry_points
from helpers.kinds import UnknownLooped, unknown_filesystem

from remote_store import Capability, FsspecBackend, NotFound, RemoteStoreError, Store
from remote_store.aio import AsyncFsspecBackend, AsyncStore
from remote_store.drivers.generic.driver import GenericDriver
from remote_store.drivers.kind import Kind
from remote_store.drivers.profiles import GENERIC


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_local_urls_and_plain_paths(tmp_path: Path, prefix: str) -> None:
    store = Store.from_url(f"{prefix}{tmp_path}/new/deep")
    store.write("a/b", b"1")
    assert (tmp_path / "new" / "deep" / "a" / "b").read_bytes() == b"1"
    assert repr(store) == f"Store(backend='local', root='{tmp_path}/new/deep', root_path='')"


def test_relative_paths_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Store.from_url("data").write("f", b"1")
    assert (tmp_path / "data" / "f").exists()


def test_local_options(tmp_path: Path) -> None:
    store = Store.from_url(str(tmp_path / "nope"), create=False)
    assert not (tmp_path / "nope").exists()
    with pytest.raises(NotFound):
        store.ping()
    with pytest.raises(ValueError, match="unknown option 'anon'"):
        Store.from_url(str(tmp_path), anon=True)


async def test_async_urls(tmp_path: Path) -> None:
    for url in (str(tmp_path), "memory://async-urls"):
        async with AsyncStore.from_url(url) as store:
            await store.write("f", b"1")
            assert await store.read_bytes("f") == b"1"


def test_chained_urls() -> None:
    Store.from_url("memory://chained").write("d/f", b"1", overwrite=True)
    store = Store.from_url("dir://chained::memory://")
    assert store.read_bytes("d/f") == b"1"
    assert store.get_file_info("d/f").size == 1


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_what_caches_files_is_refused(tmp_path: Path, cache: str) -> None:
    options = {cache: {"cache_storage": str(tmp_path)}}
    for url in (f"{cache}::memory://chained", f"dir://x::{cache}::memory://chained"):
        for cls in (Store, AsyncStore):
            with pytest.raises(ValueError, match=f"^{cache} gives out copies .* inside it: memory$"):
                cls.from_url(url, **options)
    fs = fsspec.filesystem(cache, target_protocol="memory", cache_storage=str(tmp_path))
    with pytest.raises(ValueError, match=r"inside it: memory$"):
        FsspecBackend(fs)


async def test_chained_urls_async(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("inner/a.txt", "one")
    store = AsyncStore.from_url(f"zip://inner::file://{tmp_path}/x.zip")
    assert await store.read_bytes("a.txt") == b"one"
    assert not store.supports(Capability.WRITE)


def test_filesystems_of_urls_remember_nothing(ftp_server: tuple[str, int]) -> None:
    from servers.ftp import PASSWORD, USER

    host, port = ftp_server
    one = Store.from_url(f"ftp://{host}:{port}/", username=USER, password=PASSWORD)
    two = Store.from_url(f"ftp://{USER}:{PASSWORD}@{host}:{port}/")
    assert one.unwrap(object) is not two.unwrap(object)
    one.write("seen.txt", b"1", overwrite=True)
    assert "seen.txt" in [e.name for e in two.list_files()]
    two.delete("seen.txt")
    assert not one.exists("seen.txt")
    for store in (one, two):
        assert PASSWORD not in repr(store) + repr(store._backend) + repr(store.resolve("a"))
        store.close()


@pytest.mark.parametrize("cls", [Store, AsyncStore])
def test_what_is_wrong_with_a_url_is_told(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"unknown protocol 'nosuch'.*register_implementation"):
        cls.from_url("nosuch://x")
    with pytest.raises(ValueError, match="unknown protocol 'nosuch'"):
        cls.from_url("simplecache::nosuch://x")
    for bad in ("", "://x", "s3:/lake", "s3:lake", "gs:lake/raw", "file:folder"):
        with pytest.raises(ValueError, match="malformed URL"):
            cls.from_url(bad)
    with pytest.raises(TypeError):
        cls.from_url(None)
    import fsspec

    def missing(protocol: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(ImportError, match="Install s3fs"):
        cls.from_url("other://bucket")


@pytest.mark.parametrize("cls", [Store, AsyncStore])
def test_urls_name_what_is_missing(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("s3://", "s3:///key"):
        with pytest.raises(ValueError, match="needs a bucket"):
            cls.from_url(url)
    urls = ("s3fs", "s3", "s3://bucket/prefix"), ("gcsfs", "gcs", "gs://bucket"), ("adlfs", "azure", "az://raw/prefix")
    urls += (("sshfs", "sftp", "sftp://host/folder"), ("sshfs", "sftp", "ssh://host/folder"))
    urls += (("webdav4.fsspec", "webdav", "webdav://folder"), ("fsspec.implementations.smb", "smb", "smb://host/share"))
    urls += (("fsspec.implementations.http", "http", "http://host/folder"),)  # It needs aiohttp.
    for package, extra, url in urls:
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(_registry, extra, raising=False)  # Where classes are that were used before.
        with pytest.raises(ImportError, match=rf"pip install 'remote-store-fsspec\[{extra}\]'"):
            cls.from_url(url)


def test_a_bad_option_is_told_without_secrets() -> None:
    with pytest.raises(ValueError, match="check the URL and its options") as caught:
        Store.from_url("zip://x", fo=None, password="s3cret")
    assert "s3cret" not in str(caught.value)


def test_userinfo_is_not_told() -> None:
    from remote_store._paths import redact

    assert redact("ftp://user:s3cret@host/a@b") == "ftp://host/a@b"
    assert redact("ftp://u:s3cret@h/x::http://u:s3cret@h/y") == "ftp://h/x::http://h/y"
    assert redact("https://h/a#token=s3cret&b=s3cret x") == "https://h/a#token=...&b=... x"
    assert redact("https://h/a?sig=s3cret#part") == "https://h/a?sig=...#part"
    assert redact("plain/p@th") == "plain/p@th"
    assert redact("no: 'ftp://user:s3/cr et@host/a' at all") == "no: 'ftp://host/a' at all"
    assert redact("ftp://host:21/a@b, memory://x::memory://y@z") == "ftp://host:21/a@b, memory://x::memory://z"
    fs = unknown_filesystem()
    store = Store(FsspecBackend(fs, "http://user:s3cret@host/base"))
    plan = store.resolve("a")
    assert "s3cret" not in repr(store) + repr(store._backend) + repr(plan)
    with pytest.raises(RemoteStoreError) as caught:
        Store.from_url("ftp://user:s3cret@127.0.0.1:1/x::file:///nowhere")
    assert "s3cret" not in str(caught.value) + repr(caught.value)


async def test_filesystems_and_stores_must_match() -> None:
    with pytest.raises(ValueError, match="AsyncFsspecBackend"):
        FsspecBackend(UnknownLooped(MemoryFileSystem(), asynchronous=True))
    with pytest.raises(ValueError, match="FsspecBackend"):
        AsyncFsspecBackend(unknown_filesystem())


made: list[tuple[Any, ...]] = []


def over_dir(fs: Any, root: str, name: str) -> GenericDriver:
    made.append((fs, root, name))
    return GenericDriver(fs, root, name)


DIR = Kind("dir", ("dir",), GENERIC, over=f"{__name__}:over_dir")


def test_third_parties_bring_drivers() -> None:
    fs = unknown_filesystem()
    made.clear()
    with entry_points(dir=f"{__name__}:DIR"):
        store = Store(FsspecBackend(fs, "deep"))
        store.write("f", io.BytesIO(b"1"))
    assert made == [(fs, "deep", "dir")]
    assert repr(store) == "Store(backend='dir', root='deep', root_path='')"
