"""Content types: what is one, and where local files and memory keep them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from helpers.kinds import unknown_filesystem
from hypothesis import given
from hypothesis import strategies as st

from remote_store import Capability, CapabilityNotSupported, FsspecBackend, Store
from remote_store.backends import LocalBackend, MemoryBackend


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/csv; charset=utf-8",
        "text/csv;charset=utf-8;header=present",
        'multipart/form-data; boundary="a b;c"',
        "application/vnd.apache.parquet",
        "application/ld+json",
        "a/" + "b" * 253,
    ],
)
def test_a_media_type_is_kept_as_it_is(content_type: str, tmp_path: Path) -> None:
    for store in (Store(MemoryBackend()), Store(LocalBackend(tmp_path))):
        store.write("f", b"1", content_type=content_type)
        assert store.get_file_info("f").content_type == content_type


@given(st.text())
def test_no_text_ends_a_header(text: str) -> None:
    """What is taken has no line end, and no character that a header cannot carry."""
    store = Store(MemoryBackend())
    try:
        store.write("f", b"1", content_type="text/plain" + text)
    except ValueError:
        return
    assert text.isascii()
    assert not {"\r", "\n", "\0"} & set(text)


def test_a_local_content_type_is_where_others_look_for_it(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    store.write("ours", b"1", content_type="text/csv", metadata={"a": "b"})
    assert os.getxattr(tmp_path / "ours", "user.mime_type") == b"text/csv"
    (tmp_path / "theirs").write_bytes(b"1")
    os.setxattr(tmp_path / "theirs", "user.mime_type", b"image/png")
    assert store.get_file_info("theirs").content_type == "image/png"
    for nonsense in (b"", b"no media type", b"\xff/\xff", b"a/b\nc: d"):
        os.setxattr(tmp_path / "theirs", "user.mime_type", nonsense)
        assert store.get_file_info("theirs").content_type is None


def test_content_type_and_metadata_do_not_need_each_other(tmp_path: Path) -> None:
    for store in (Store(MemoryBackend()), Store(LocalBackend(tmp_path))):
        given: dict[str, dict[str, Any]] = {
            "none": {},
            "type": {"content_type": "text/csv"},
            "metadata": {"metadata": {"a": "b"}},
            "both": {"content_type": "text/csv", "metadata": {"a": "b"}},
        }
        for key, options in given.items():
            store.write(key, b"1", **options)
            store.copy(key, key + "-copy")
            store.move(key, key + "-moved")
            for name in (key + "-copy", key + "-moved"):
                info = store.get_file_info(name)
                assert info.content_type == options.get("content_type")
                assert info.metadata == options.get("metadata")


def test_files_that_others_wrote_to_memory_have_none() -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/content-types/f", b"1")
    store = Store.from_url("memory://content-types")
    assert store.get_file_info("f").content_type is None
    store.copy("f", "g", overwrite=True)
    assert store.get_file_info("g").content_type is None


def test_where_nothing_keeps_it_the_keyword_is_refused() -> None:
    store = Store(FsspecBackend(unknown_filesystem()))
    assert not store.supports(Capability.CONTENT_TYPE)
    for call in (store.write, store.write_text):
        with pytest.raises(CapabilityNotSupported) as raised:
            call("f", "1" if call == store.write_text else b"1", content_type="text/plain")  # type: ignore[operator]
        assert raised.value.capability == "content_type"
    assert not store.exists("f")


def test_a_keyword_reaches_a_backend_only_when_it_is_given() -> None:
    class Noting(MemoryBackend):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[dict[str, Any]] = []

        def write(self, path: str, content: Any, **options: Any) -> Any:
            self.asked.append(options)
            return super().write(path, content, **options)

        def read(self, path: str, **options: Any) -> Any:
            self.asked.append(options)
            return super().read(path, **options)

        def open_atomic(self, path: str, **options: Any) -> Any:
            self.asked.append(options)
            return super().open_atomic(path, **options)

    backend = Noting()
    store = Store(backend)
    store.write("f", b"1")
    store.read("f", start=0, end=None, if_match=None).close()
    with store.open_atomic("g", seekable=False):
        pass
    assert backend.asked == [{"overwrite": False}, {}, {"overwrite": False}]
    backend.asked.clear()
    store.write("f", b"1", overwrite=True, content_type="a/b")
    store.read("f", start=1).close()
    store.read("f", end=0).close()
    with store.open_atomic("g", overwrite=True, seekable=True, content_type="a/b"):
        pass
    assert backend.asked == [
        {"overwrite": True, "content_type": "a/b"},
        {"start": 1},
        {"end": 0},
        {"overwrite": True, "seekable": True, "content_type": "a/b"},
    ]
