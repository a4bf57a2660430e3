"""What messages, reprs and plans say: stems that people search logs for, hints, the place, and no secret."""

from __future__ import annotations

import io
import os
import pathlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.recording import Recording

from remote_store import (
    AsyncBackendSyncAdapter,
    BackendUnavailable,
    Capability,
    ContentDigest,
    FsspecBackend,
    InvalidPath,
    NotFound,
    RemotePath,
    RemoteStoreError,
    Store,
)
from remote_store.aio import (
    AsyncFsspecBackend,
    AsyncLocalBackend,
    AsyncMemoryBackend,
    AsyncS3Backend,
    AsyncStore,
    SyncBackendAdapter,
)
from remote_store.backends import LocalBackend, MemoryBackend, S3Backend


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(LocalBackend(tmp_path / "root"))
    store.write("d/f", b"1")
    return store


class Bare(MemoryBackend):
    """A backend that lacks what is optional."""

    def glob(self, pattern: str) -> Any:
        raise self._no_glob(pattern)


def a_pipe(store: Store) -> None:
    os.mkfifo(pathlib.Path(store.native_path("pipe")))
    store.read_bytes("pipe")


def closed_store(_: Store) -> None:
    backend = S3Backend("bucket", key="k", secret="s")
    backend.close()
    backend.exists("f")


STEMS: list[tuple[str, Callable[[Store], Any], type[Exception]]] = [
    ("not found", lambda store: store.read_bytes("nope"), NotFound),
    ("not found", lambda store: store.delete_folder("nope"), NotFound),
    ("already exists", lambda store: store.write("d/f", b""), RemoteStoreError),
    ("not empty", lambda store: store.delete_folder("d"), RemoteStoreError),
    ("'conditional_write' is not supported", lambda store: store.write("x", b"", if_match="e"), RemoteStoreError),
    ("is not supported", lambda _: FsspecBackend(Recording()).read_bytes("nope"), RemoteStoreError),
    ("must not be empty", lambda store: store.read_bytes(""), InvalidPath),
    ("must not be empty", lambda _: RemotePath("."), InvalidPath),
    ("algorithm must not be empty", lambda _: ContentDigest(" ", "12"), ValueError),
    ("value must not be empty", lambda _: ContentDigest("md5", " "), ValueError),
    ("exists as a directory", lambda store: store.read_bytes("d"), InvalidPath),
    ("exists as a file", lambda store: store.delete_folder("d/f"), InvalidPath),
    ("Not a file", a_pipe, InvalidPath),
    ("escapes root", lambda store: store.read_bytes("a/../../b"), InvalidPath),
    ("escapes root", lambda store: store.to_key("/elsewhere"), InvalidPath),
    ("Cannot delete the store root", lambda store: store.delete_folder(""), InvalidPath),
    ("max_depth must be >= 0", lambda store: store.list_files(max_depth=-1), ValueError),
    ("does not support glob", lambda _: list(Store(Bare()).glob("*")), RemoteStoreError),
    ("does not expose native handle", lambda store: store.unwrap(int), RemoteStoreError),
    ("is closed", closed_store, BackendUnavailable),
    ("immutable", lambda store: setattr(store, "_root", "x"), AttributeError),
    ("immutable", lambda _: setattr(RemotePath("a"), "_text", "x"), AttributeError),
    ("empty", lambda store: store.write("x", b"", metadata={"": "v"}), ValueError),
    ("underscore", lambda store: store.write("x", b"", metadata={"_k": "v"}), ValueError),
    ("ASCII", lambda store: store.write("x", b"", metadata={"ä": "v"}), ValueError),
    ("2048", lambda store: store.write("x", b"", metadata={"k": "v" * 2048}), ValueError),
    ("str", lambda store: store.write("x", b"", metadata={"k": 1}), ValueError),  # type: ignore[dict-item]
]


@pytest.mark.parametrize(("stem", "call", "error"), STEMS, ids=[stem for stem, _, _ in STEMS])
def test_messages_keep_their_stems(
    store: Store, monkeypatch: pytest.MonkeyPatch, stem: str, call: Callable[[Store], Any], error: type[Exception]
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(Recording, "info", refuse)
    with pytest.raises(error, match=stem):
        call(store)
    assert [str(file.path) for file in store.list_files(recursive=True)] == ["d/f"]


# --- hints


async def test_awaiting_what_is_iterated_tells_what_to_do(tmp_path: Path) -> None:
    for store in (AsyncStore(AsyncMemoryBackend()), AsyncStore(AsyncMemoryBackend()).child("x")):
        await store.write("f", b"1")
        with pytest.raises(TypeError, match=r"async for.*read_bytes"):
            await store.read("f")  # type: ignore[misc]
        with pytest.raises(TypeError, match="async for"):
            await store.list_files()  # type: ignore[misc]
        with pytest.raises(TypeError, match="with `async for`"):
            list(store.list_files())  # type: ignore[call-overload]
        assert b"".join([chunk async for chunk in store.read("f")]) == b"1"
        await store.write("g", store.read("f"))
        assert await store.read_bytes("g") == b"1"


def test_text_for_a_writer_of_bytes_tells_what_to_do(store: Store) -> None:
    for each in (store, store.child("d"), Store(MemoryBackend())):
        with pytest.raises(TypeError, match=r"bytes, not str: encode it.*write_text"), each.open_atomic("t") as file:
            file.write("text")
        with pytest.raises(TypeError, match="bytes, not str; encode it, or use write_text"):
            each.write("t", "text")  # type: ignore[arg-type]
        assert not each.exists("t")


def test_a_text_file_as_content_tells_what_to_do(store: Store) -> None:
    for write in (store.write, store.write_atomic):
        with pytest.raises(TypeError, match=r"bytes, not str; .*binary mode \('rb'\)"):
            write("t", io.StringIO("text"))  # type: ignore[arg-type]
    assert not store.exists("t")


async def test_a_file_as_async_content_tells_what_to_do() -> None:
    store = AsyncStore(AsyncMemoryBackend())
    with pytest.raises(TypeError, match=r"not BytesIO; of a file, give what its read\(\) gives"):
        await store.write("t", io.BytesIO(b"1"))  # type: ignore[arg-type]
    assert not await store.exists("t")


async def test_text_for_an_async_writer_tells_what_to_do() -> None:
    store = AsyncStore(AsyncMemoryBackend())
    with pytest.raises(TypeError, match="encode it, or use write_text"):
        async with store.open_atomic("t") as file:
            await file.write("text")  # type: ignore[arg-type]
    assert not await store.exists("t")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
        ("aws_session_token", "token"),
        ("region", "region_name"),
        ("endpoint", "endpoint_url"),
        ("profile_name", "profile"),
        ("regoin_name", "region_name"),
    ],
)
def test_the_sdks_own_names_of_options_lead_to_ours(given: str, meant: str) -> None:
    config = pytest.importorskip("remote_store.config")
    hint = f"did you mean '{meant}'"
    for make in (lambda **options: S3Backend("b", **options), lambda **options: AsyncS3Backend("b", **options),
                 lambda **options: Store.from_url("s3://b", **options)):  # fmt: skip
        with pytest.raises(ValueError, match=hint) as caught:
            make(**{given: "s3cret"})
        assert "s3cret" not in str(caught.value)
    for fields in (
        {"backend": "s3", "options": {"bucket": "b", given: "x"}},
        {"url": "s3://b", "options": {given: "x"}},
    ):
        with pytest.raises(config.ConfigError, match=f"did you mean `{meant}`"):
            config.Config(stores={"a": fields})


def test_an_endpoint_of_the_environment_without_a_scheme_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    told = r"Invalid endpoint: 127\.0\.0\.1:9000; it must begin with http://"
    with Store(S3Backend("b", key="k", secret="s")) as store, pytest.raises(ValueError, match=told):
        store.ping()


@pytest.mark.parametrize(
    ("given", "table"),
    [
        ("verify", "client_kwargs"),
        ("proxies", "config_kwargs"),
        ("retries", "config_kwargs"),
        ("ServerSideEncryption", "s3_additional_kwargs"),
    ],
)
def test_what_the_sdk_takes_in_a_table_leads_to_the_table(given: str, table: str) -> None:
    config = pytest.importorskip("remote_store.config")
    with pytest.raises(ValueError, match=f"{given}.*goes into {table}=") as caught:
        S3Backend("b", **{given: "s3cret"})
    assert "s3cret" not in str(caught.value)
    S3Backend("b", **{table: {given: "s3cret"}}).close()
    if given != "retries":  # A field of the store.
        with pytest.raises(config.ConfigError, match=rf"move it to `options\.{table}\.{given}`"):
            config.Config(stores={"a": {"url": "s3://b", "options": {given: "x"}}})
    config.Config(stores={"a": {"url": "s3://b", "options": {table: {given: "x"}}}})


def test_a_name_that_is_too_long_is_told(store: Store) -> None:
    for write in (store.write, store.write_atomic):
        with pytest.raises(InvalidPath, match="too long"):
            write("n" * 300, b"1")
    assert not store.exists("n" * 300)


@pytest.mark.parametrize("cls", [Store, AsyncStore])
def test_a_path_object_is_no_url(cls: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"url must be a str, not PosixPath; .*str\(path\).*LocalBackend\(path\)"):
        cls.from_url(tmp_path / "new")
    assert not (tmp_path / "new").exists()


class Picky(MemoryFileSystem):
    protocol = "picky"
    cachable = False

    def __init__(self, say: str = "", account_name: str = "", **options: Any) -> None:
        raise ValueError(say)


@pytest.fixture
def picky() -> None:
    fsspec.register_implementation("picky", Picky, clobber=True)


@pytest.mark.parametrize("cls", [Store, AsyncStore])
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Must provide account_name", "ValueError: Must provide account_name;"),
        ("bad key c2VjcmV0LWtleQ==", r"ValueError: bad key \*\*\*;"),
        ("see https://u:hidden@host/?sig=hidden", r"ValueError: see https://host/\?sig=...;"),
        ("account key is AccountKeyOnly", r"ValueError: account key is \*\*\*;"),
        ("nested-one is wrong", r"ValueError: \*\*\* is wrong;"),
        ("no user pw-in-url here", r"ValueError: no user \*\*\* here;"),
        ("no c2VjcmV0LWtleQ%3D%3D here", r"ValueError: no \*\*\* here;"),
        ("no YzJWamNtVjBMV3RsZVE9PQ== here", r"ValueError: no \*\*\* here;"),
        ("no as-bytes here", r"ValueError: no \*\*\* here;"),
        ("no by-proxy here", r"ValueError: no \*\*\* here;"),
        ("no s1gn/ature here", r"ValueError: no \*\*\* here;"),
        ("it is xy", "'picky://host/x': ValueError;"),
    ],
)
def test_what_a_filesystem_says_of_its_options_is_told_without_secrets(
    picky: None, cls: Any, said: str, told: str
) -> None:
    options = {
        "account_key": "c2VjcmV0LWtleQ==",
        "connection_string": "Name=box;Key=AccountKeyOnly",
        "more": {"password": ["nested-one"], "client_secret": b"as-bytes", "params": {"sig": "s1gn/ature"}},
        "proxies": {"http": "http://me:by-proxy@proxy:3128"},
        "token": "xy" if "xy" in said else None,
    }
    with pytest.raises(ValueError, match=f"{told} check the URL and its options$"):
        cls.from_url("picky://user:pw-in-url@host/x", say=said, **options)


def test_a_secret_with_a_slash_in_a_url_is_not_told(picky: None) -> None:
    url = "picky://user:pass/word@host/x?sig=si/gn::picky://me:se/cret@other"
    with pytest.raises(ValueError, match=r"ValueError: \*\*\*, \*\*\* and \*\*\*; check"):
        Store.from_url(url, say="pass/word, si/gn and se/cret", picky={"say": "pass/word, si/gn and se/cret"})


def test_a_misspelt_option_of_a_filesystem_is_told(picky: None) -> None:
    with pytest.raises(
        ValueError, match="ValueError: no account; did you mean 'account_name' instead of 'acount_name'"
    ):
        Store.from_url("picky://x", say="no account", acount_name="box")


@pytest.mark.parametrize("number", [None, 5000])
def test_a_filesystem_that_cannot_be_made_is_quoted_briefly_and_without_secrets(
    picky: None, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "no Java for s3cret-word" + " and so on" * 100

    def fail(self: Any, **_: Any) -> None:
        raise OSError(text) if number is None else OSError(number, text)

    monkeypatch.setattr(Picky, "__init__", fail)
    with pytest.raises(RemoteStoreError, match=r"cannot be opened: OSError: .*no Java for \*\*\*.* …") as caught:
        Store.from_url("picky://x", password="s3cret-word")
    assert type(caught.value) is RemoteStoreError
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert getattr(caught.value, "errno", None) == number
    assert (caught.value.path, caught.value.backend) == ("picky://x", "picky")


# --- places


@pytest.mark.parametrize(
    ("backend", "shown"),
    [
        (lambda: S3Backend("logs"), "backend='s3', bucket='logs', root_path='raw'"),
        (lambda: S3Backend("logs", "2026"), "backend='s3', bucket='logs', root='2026', root_path='raw'"),
        (MemoryBackend, "backend='memory', root_path='raw'"),
        (lambda: FsspecBackend(Recording(), "/box"), "backend='recording', root='/box', root_path='raw'"),
    ],
)
def test_the_repr_of_a_store_names_its_place(backend: Callable[[], Any], shown: str) -> None:
    assert repr(Store(backend(), "raw")) == f"Store({shown})"


async def test_the_repr_of_an_async_store_names_its_place(tmp_path: Path) -> None:
    assert repr(AsyncStore(AsyncS3Backend("logs"))) == "AsyncStore(backend='s3', bucket='logs', root_path='')"
    local = repr(AsyncStore(AsyncLocalBackend(tmp_path)))
    assert local == f"AsyncStore(backend='local', root='{tmp_path}', root_path='')"


@pytest.mark.parametrize(
    "cls",
    [
        LocalBackend, MemoryBackend, S3Backend, FsspecBackend, AsyncBackendSyncAdapter, AsyncFsspecBackend,
        AsyncLocalBackend, AsyncMemoryBackend, AsyncS3Backend, SyncBackendAdapter,
    ],
)  # fmt: skip
def test_what_is_not_made_yet_has_a_repr(cls: type) -> None:
    assert repr(cls.__new__(cls)).startswith(f"{cls.__name__}(")


def test_what_could_not_be_made_has_a_repr() -> None:
    made: list[Any] = []

    class Noted(S3Backend):
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*args, **options)

    with pytest.raises(ValueError, match="unknown option"):
        Noted("bucket", secret="s3cret", nope=1)
    assert repr(made[0]) == "Noted()"


SIGNED = [
    "box/raw?sig=s3cret&se=2026",
    "box/raw?X-Amz-Signature=s3cret",
    "box/raw?a=1&X-Goog-Signature=s3cret",
    "box/raw?access_token=s3cret",
    "https://user:s3cret@host/base?sig=s3cret",
    "https://s3cret@host/base",
]


@pytest.mark.parametrize("root", SIGNED)
def test_no_signature_is_shown(root: str) -> None:
    store = Store(FsspecBackend(Recording(), root))
    with pytest.raises(RemoteStoreError) as caught:
        store.ping()
    for text in (repr(store), repr(store._backend), repr(store.resolve("a")), str(caught.value), repr(caught.value)):
        assert "s3cret" not in text
    assert "s3cret" in pickle.loads(pickle.dumps(FsspecBackend(MemoryFileSystem(), root)))._recipe[0][1]


def test_an_ordinary_name_is_shown_as_it_is(store: Store) -> None:
    assert store.resolve("a?b=c&d.txt").native_path.endswith("/a?b=c&d.txt")


# --- containers


class Blobs(Recording):
    """A memory filesystem that calls its top folders containers."""

    protocol = ("abfs", "az", "abfss")


def test_ping_asks_for_the_container_and_not_for_the_prefix() -> None:
    fs = Blobs()
    fs.mkdir("/box")
    store = Store(FsspecBackend(fs, "/box/fresh/prefix"))
    store.ping()
    assert (store.resolve("").backend, dict(store.resolve("").details)) == (
        "azure",
        {"container": "box", "root": "fresh/prefix"},
    )
    store.write("f", b"1")
    store.ping()


def test_a_missing_container_is_named() -> None:
    fs = Blobs()
    store = Store(FsspecBackend(fs, "/nope/prefix"))
    with pytest.raises(NotFound, match="Container 'nope' not found"):
        store.ping()
    fs.fail = {"pipe_file": FileNotFoundError("nope")}
    with pytest.raises(NotFound, match="Container 'nope' not found"):
        store.write("a/f", b"1")
    assert "makedirs" not in fs.calls
    assert not fs.store
    assert not store.exists("a/f")
    assert list(store.list_files()) == []


# --- closed for good


CALLS: list[Callable[[Any], Any]] = [
    *(lambda b, name=name: getattr(b, name)("") for name in ("exists", "is_file", "is_folder", "get_folder_info")),
    *(lambda b, name=name: getattr(b, name)("a/..") for name in ("exists", "read_bytes", "get_file_info", "delete")),
    lambda b: b.read_range("f", 2, 1),
    lambda b: b.write("", b""),
    lambda b: b.write("f", b"", metadata={"": ""}),
    lambda b: b.write_atomic("", b"", if_match="e"),
    lambda b: b.delete_folder(""),
    lambda b: b.move("", "f"),
    lambda b: b.copy("f", ""),
    lambda b: b.check_health(),
]  # fmt: skip
LISTINGS: list[Callable[[Any], Any]] = [
    lambda b: b.list_files("", recursive=True, max_depth=-1),
    lambda b: b.list_folders(""),
    lambda b: b.iter_children("a/.."),
    lambda b: b.walk_folders("", -1),
    lambda b: b.glob("a/../*"),
    lambda b: b.read(""),
]


@pytest.mark.parametrize("number", range(len(CALLS) + len(LISTINGS)))
async def test_a_backend_closed_for_good_says_so_before_any_other_rule(number: int) -> None:
    call = [*CALLS, *LISTINGS][number]
    backend, twin = (cls("bucket", key="k", secret="s") for cls in (S3Backend, AsyncS3Backend))
    backend.close()
    await twin.aclose()
    with pytest.raises(BackendUnavailable, match="is closed for good; make a new one") as caught:
        call(backend)
    assert (caught.value.backend, caught.value.path is None) == ("s3", False)
    with pytest.raises(BackendUnavailable, match="is closed"):
        await call(twin) if number < len(CALLS) else [item async for item in call(twin)]
    assert Store(backend).exists("")
    assert Capability.READ in backend.capabilities


@pytest.mark.parametrize(("make", "backend"), [(Store, MemoryBackend), (AsyncStore, AsyncMemoryBackend)])
def test_a_class_in_place_of_a_backend_is_refused(make: Any, backend: type) -> None:
    with pytest.raises(TypeError, match=rf"not a class: make one, as in {backend.__name__}\(...\)"):
        make(backend)


def test_an_option_that_is_like_none_is_not_taken_for_one() -> None:
    with pytest.raises(ValueError, match="unknown option 'retries' for a local folder; it takes root, create, durable"):
        LocalBackend("x", retries=5)  # type: ignore[call-arg]
