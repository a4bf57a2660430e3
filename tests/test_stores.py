"""Stores over backends that people write themselves, and what stores do on their own."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, BinaryIO, get_args, get_type_hints

import pytest

from remote_store import (
    Backend,
    Capability,
    CapabilityNotSupported,
    CapabilitySet,
    FileInfo,
    FolderEntry,
    FolderInfo,
    InvalidPath,
    NotFound,
    RemotePath,
    RemoteStoreError,
    Store,
    WriteResult,
)
from remote_store._methods import METHODS
from remote_store._models import UNKNOWN_TIME
from remote_store.aio import AsyncBackend, AsyncLocalBackend, AsyncMemoryBackend, AsyncStore, SyncBackendAdapter
from remote_store.backends import LocalBackend, MemoryBackend
from remote_store.certify.checks import CHECKS
from remote_store.certify.checks.absent import calls, refuses_what_it_lacks
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end


class Plain(Backend):
    """A backend written without fsspec, with the abstract methods alone: a dict."""

    name = "plain"
    capabilities = CapabilitySet(
        set(Capability)
        - {Capability.GLOB, Capability.USER_METADATA, Capability.CONDITIONAL_WRITE, Capability.WRITE_RESULT_NATIVE}
        - {Capability.EXCLUSIVE_CREATE, Capability.SEEKABLE_READ, Capability.ATOMIC_MOVE, Capability.CONTENT_TYPE}
        - {Capability.SIGNED_URL}
    )

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def _folder(self, path: str) -> bool:
        return any(key.startswith(path + "/") for key in self.files)

    def exists(self, path: str) -> bool:
        return self.is_file(path) or self.is_folder(path)

    def is_file(self, path: str) -> bool:
        return path in self.files

    def is_folder(self, path: str) -> bool:
        return not path or self._folder(path)

    def read(self, path: str) -> Any:
        stream = io.BytesIO(self.read_bytes(path))
        stream.seekable = lambda: False  # type: ignore[method-assign]
        return stream

    def read_bytes(self, path: str) -> bytes:
        if path not in self.files:
            raise self._miss(path)
        return self.files[path]

    def _miss(self, path: str) -> RemoteStoreError:
        if self._folder(path):
            return InvalidPath("exists as a directory", path=path, backend=self.name)
        return NotFound("not found", path=path, backend=self.name)

    def write(self, path: str, content: Any, *, overwrite: bool = False, metadata: Any = None) -> WriteResult:
        from remote_store import AlreadyExists

        self.asked.append(("write", {"overwrite": overwrite, "metadata": metadata}))
        if self._folder(path):
            raise InvalidPath("exists as a directory", path=path, backend=self.name)
        if any(path.startswith(key + "/") for key in self.files):
            raise InvalidPath("below a file", path=path, backend=self.name)
        if path in self.files and not overwrite:
            raise AlreadyExists("already exists", path=path, backend=self.name)
        data = content if isinstance(content, bytes) else content.read()
        if not isinstance(data, bytes):
            data = bytes(content)
        self.files[path] = data
        return WriteResult(RemotePath(path), len(data))

    write_atomic = write

    def delete(self, path: str, *, missing_ok: bool = False) -> None:
        if path in self.files:
            del self.files[path]
        elif self._folder(path) or not missing_ok:
            raise self._miss(path)

    def delete_folder(self, path: str, *, recursive: bool = False, missing_ok: bool = False) -> None:
        from remote_store import DirectoryNotEmpty

        if path in self.files:
            raise InvalidPath("is a file", path=path, backend=self.name)
        if self._folder(path) and not recursive:
            raise DirectoryNotEmpty("not empty", path=path, backend=self.name)
        if not self._folder(path) and not missing_ok:
            raise NotFound("not found", path=path, backend=self.name)
        for key in [key for key in self.files if key.startswith(path + "/")]:
            del self.files[key]

    def list_files(self, path: str, *, recursive: bool = False, max_depth: int | None = None) -> Iterator[FileInfo]:
        self.asked.append(("list_files", {"recursive": recursive, "max_depth": max_depth}))
        prefix = path + "/" if path else ""
        for key in list(self.files):
            depth = key[len(prefix) :].count("/")
            if (
                key in self.files
                and key.startswith(prefix)
                and (recursive or not depth)
                and (max_depth is None or depth <= max_depth)
            ):
                yield self.get_file_info(key)

    def list_folders(self, path: str) -> Iterator[FolderEntry]:
        prefix = path + "/" if path else ""
        names = {k[len(prefix) :].split("/")[0] for k in self.files if k.startswith(prefix) and "/" in k[len(prefix) :]}
        for name in sorted(names):
            yield FolderEntry(RemotePath(prefix + name), name)

    def get_file_info(self, path: str) -> FileInfo:
        return FileInfo(RemotePath(path), path.rpartition("/")[2], len(self.read_bytes(path)), UNKNOWN_TIME)

    def get_folder_info(self, path: str) -> FolderInfo:
        if path in self.files:
            raise InvalidPath("is a file", path=path, backend=self.name)
        sizes = [info.size for info in self.list_files(path, recursive=True)]
        if not sizes and path:
            raise NotFound("not found", path=path, backend=self.name)
        return FolderInfo(RemotePath.from_backend_path(path), len(sizes), sum(sizes))

    def move(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        self.copy(src, dst, overwrite=overwrite)
        del self.files[src]

    def copy(self, src: str, dst: str, *, overwrite: bool = False) -> None:
        self.write(dst, self.read_bytes(src), overwrite=overwrite)


class AsyncPlain(AsyncBackend):
    """The same, asynchronous: what a person writes over an SDK of their own."""

    name = "async-plain"
    capabilities = Plain.capabilities

    def __init__(self) -> None:
        self._plain = Plain()

    async def read(self, path: str) -> AsyncIterator[bytes]:
        yield self._plain.read_bytes(path)

    async def write(self, path: str, content: Any, *, overwrite: bool = False, metadata: Any = None) -> WriteResult:
        if not isinstance(content, bytes | bytearray | memoryview):
            content = b"".join([chunk async for chunk in content])
        return self._plain.write(path, bytes(content), overwrite=overwrite)

    write_atomic = write

    async def list_files(self, path: str, **options: Any) -> AsyncIterator[FileInfo]:
        for info in self._plain.list_files(path, **options):
            yield info

    async def list_folders(self, path: str) -> AsyncIterator[FolderEntry]:
        for entry in self._plain.list_folders(path):
            yield entry


def _delegate(name: str) -> Any:
    async def call(self: AsyncPlain, *args: Any, **options: Any) -> Any:
        return getattr(self._plain, name)(*args, **options)

    return call


_DELEGATED = "exists is_file is_folder read_bytes delete delete_folder get_file_info get_folder_info move copy"
for _name in _DELEGATED.split():
    setattr(AsyncPlain, _name, _delegate(_name))
AsyncPlain.__abstractmethods__ = frozenset()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_backend_with_the_abstract_methods_alone_keeps(check: Any) -> None:
    view = View(Store(Plain()), empty_folders=False)
    run_to_end(check(view) if check.applies(view) else refuses_what_it_lacks(view))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
async def test_an_async_backend_with_the_abstract_methods_alone_keeps(check: Any) -> None:
    view = View(AsyncStore(AsyncPlain()), empty_folders=False)
    await (check(view) if check.applies(view) else refuses_what_it_lacks(view))


def test_the_writer_of_open_atomic_is_typed() -> None:
    (writer,) = get_args(get_type_hints(Store.open_atomic)["return"])
    assert get_type_hints(writer)["result"] is WriteResult
    assert issubclass(writer, BinaryIO)


def test_only_what_the_specification_names_is_abstract() -> None:
    both = {
        "name", "capabilities", "exists", "is_file", "is_folder", "read", "read_bytes", "write", "write_atomic",
        "delete", "delete_folder", "list_files", "list_folders", "get_file_info", "get_folder_info", "move", "copy",
    }  # fmt: skip
    assert Backend.__abstractmethods__ == both
    assert AsyncBackend.__abstractmethods__ == both
    assert inspect.isasyncgenfunction(AsyncBackend.read)
    for backend in (Backend, AsyncBackend):
        assert isinstance(backend.name, property)
        assert isinstance(backend.capabilities, property)


@pytest.mark.parametrize("cls", [Store, AsyncStore, Backend, AsyncBackend])
def test_the_table_of_methods_tells_the_shape_of_each(cls: Any) -> None:
    of = "store" if issubclass(cls, (Store, AsyncStore)) else "backend"
    about_the_object = {"close", "aclose", "from_url", "claiming", "recipe"}
    public = {name for name, value in inspect.getmembers(cls, callable) if not name.startswith("_")}
    shapes = {name: method for name, method in METHODS.items() if method.of in (of, "both")}
    assert public - about_the_object == shapes.keys()
    for name, method in shapes.items():
        parameters = tuple(inspect.signature(getattr(cls, name)).parameters)
        if method.kind != "plain":
            assert parameters[1 : 1 + len(method.arguments)] == method.arguments, name


def test_optional_keywords_are_passed_only_when_given() -> None:
    backend = Plain()
    store = Store(backend)
    store.write("f", b"1", metadata={})
    list(store.list_files())
    list(store.list_files(max_depth=2))
    list(store.list_files(max_depth=0, recursive=True))
    assert backend.asked == [
        ("write", {"overwrite": False, "metadata": None}),
        ("list_files", {"recursive": False, "max_depth": None}),
        ("list_files", {"recursive": True, "max_depth": 2}),
        ("list_files", {"recursive": False, "max_depth": 0}),
    ]


class Untouchable:
    """A backend that may be asked for its name and capabilities, and nothing else."""

    name = "untouchable"

    def __init__(self, *capabilities: Capability) -> None:
        self.capabilities = CapabilitySet(capabilities)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


@pytest.mark.parametrize("capability", list(Capability))
def test_a_missing_capability_is_refused_before_any_io(capability: Capability) -> None:
    store = Store(Untouchable(*(set(Capability) - {capability})))  # type: ignore[arg-type]
    view = View(store)
    for method, call in calls(view, capability).items():
        with pytest.raises(CapabilityNotSupported, match="is not supported") as caught:
            run_to_end(_settled(call()))
        assert caught.value.capability == capability.value, method
        assert caught.value.backend == "untouchable"


async def _settled(pending: Any) -> None:
    if inspect.isawaitable(pending):
        await pending


def test_bad_arguments_are_refused_before_any_io() -> None:
    store = Store(Untouchable(*Capability))  # type: ignore[arg-type]
    refusals: list[tuple[type[Exception], Any]] = [
        (InvalidPath, lambda: store.read("..")),
        (InvalidPath, lambda: store.read("")),
        (InvalidPath, lambda: store.exists("a/../b")),
        (InvalidPath, lambda: store.write("", b"")),
        (InvalidPath, lambda: store.delete_folder("/")),
        (InvalidPath, lambda: store.move("a", "")),
        (InvalidPath, lambda: store.list_files("..")),
        (InvalidPath, lambda: store.open_atomic("")),
        (InvalidPath, lambda: store.glob("")),
        (ValueError, lambda: store.write("a", b"", metadata={"_": ""})),
        (ValueError, lambda: store.write("a", b"", if_match="")),
        (ValueError, lambda: store.list_files("", max_depth=-1)),
        (ValueError, lambda: store.list_folders("", max_depth=-1)),
        (ValueError, lambda: store.get_folder_info("", max_depth=-1)),
        (ValueError, lambda: store.glob("a**")),
        (ValueError, lambda: store.read_range("a", 2, 1)),
        (TypeError, lambda: store.write("a", "text")),  # type: ignore[arg-type]
        (TypeError, lambda: store.read(None)),  # type: ignore[arg-type]
    ]
    for error, attempt in refusals:
        with pytest.raises(error):
            attempt()
    assert store.exists("")
    assert store.is_folder(".")
    assert not store.is_file("")


async def test_async_iterating_methods_check_when_called() -> None:
    store = AsyncStore(AsyncMemoryBackend())
    for attempt in (
        lambda: store.read(""),
        lambda: store.read(".."),
        lambda: store.list_files(".."),
        lambda: store.list_folders("a/../b"),
        lambda: store.iter_children("\0"),
        lambda: store.glob(""),
        lambda: store.open_atomic(""),
    ):
        with pytest.raises(InvalidPath):
            attempt()
    poor = AsyncStore(SyncBackendAdapter(_without(Capability.READ, Capability.LIST, Capability.GLOB)))
    for attempt in (
        lambda: poor.read("a"),
        lambda: poor.list_files(),
        lambda: poor.list_folders(),
        lambda: poor.iter_children(),
        lambda: poor.glob("*"),
    ):
        with pytest.raises(CapabilityNotSupported):
            attempt()


def _without(*capabilities: Capability) -> Backend:
    backend = MemoryBackend()

    class Poorer(MemoryBackend):
        @property
        def capabilities(self) -> CapabilitySet:
            return CapabilitySet(backend.capabilities - set(capabilities))

    return Poorer()


def test_a_backend_without_glob_says_so() -> None:
    with pytest.raises(CapabilityNotSupported, match="does not support glob"):
        Plain().glob("*")
    with pytest.raises(CapabilityNotSupported, match="does not expose native handle"):
        Store(Plain()).unwrap(json.JSONDecoder)


async def test_an_async_backend_without_glob_says_so() -> None:
    with pytest.raises(CapabilityNotSupported, match="does not support glob"):
        async for _ in AsyncPlain().glob("*"):
            pass


# --- stores as values


def test_stores_are_immutable_values(tmp_path: Any) -> None:
    backend = MemoryBackend()
    store = Store(backend, "data")
    assert repr(store) == str(store) == "Store(backend='memory', root_path='data')"
    assert (
        repr(Store(LocalBackend(tmp_path), "data"))
        == f"Store(backend='local', root={str(tmp_path)!r}, root_path='data')"
    )
    assert store == Store(backend, "/data/") == Store(backend).child("data")
    assert len({store, Store(backend).child("data")}) == 1
    assert store != Store(MemoryBackend(), "data")
    assert store != "data"
    for name in ("_backend", "_root"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(store, name, None)
    with pytest.raises(InvalidPath):
        Store(backend, "../x")


def test_a_store_tells_its_backend_and_root() -> None:
    backend = MemoryBackend()
    child = Store(backend, "data").child("in")
    assert (child.backend, child.root, child.origin) == (backend, "data/in", None)
    assert Store(backend).root == ""
    with pytest.raises(AttributeError):
        child.root = "elsewhere"  # type: ignore[misc]
    with pytest.raises(NotFound) as caught, child.reroot_errors:
        backend.read_bytes("data/in/f")
    assert caught.value.path == "f"


def test_a_backend_tells_what_makes_an_equal_one_and_what_it_wraps(tmp_path: Any) -> None:
    backend = LocalBackend(tmp_path, durable=True)
    args, options = backend.recipe()
    assert LocalBackend(*args, **options).recipe() == (args, options)
    assert (options["root"], options["durable"]) == (str(tmp_path), True)
    assert (Plain().recipe(), Plain().inner) == (None, None)
    assert SyncBackendAdapter(backend).inner is backend


def test_a_twin_claims_more_over_the_same_storage() -> None:
    backend = MemoryBackend()
    twin = SyncBackendAdapter(backend).claiming(CapabilitySet())
    assert twin.capabilities == twin.inner.capabilities == CapabilitySet()
    twin.inner.claiming(CapabilitySet(Capability)).write("f", b"1")
    assert backend.read_bytes("f") == b"1"
    assert Capability.WRITE in backend.capabilities


def test_backends_take_attributes() -> None:
    for backend in (MemoryBackend(), AsyncMemoryBackend(), Plain()):
        backend.note = "mine"  # type: ignore[union-attr]
        assert backend.note == "mine"  # type: ignore[union-attr]


def test_a_subclass_may_keep_attributes_of_its_own() -> None:
    class Mine(Store):
        def __init__(self) -> None:
            super().__init__(MemoryBackend())
            self.label = "mine"

    assert Mine().label == "mine"


def test_only_the_owner_closes() -> None:
    closed = []

    class Closing(Plain):
        def close(self) -> None:
            closed.append(1)

    backend = Closing()
    with Store(backend) as store:
        with store.child("a"):
            pass
        assert closed == []
    assert closed == [1]


async def test_only_the_async_owner_closes() -> None:
    closed = []

    class Closing(Plain):
        def close(self) -> None:
            closed.append(1)

    async with AsyncStore(Closing()) as store:
        async with store.child("a"):
            pass
        assert closed == []
    assert closed == [1]


def test_a_closed_local_or_memory_store_works_again(tmp_path: Any) -> None:
    for backend in (MemoryBackend(), LocalBackend(tmp_path)):
        store = Store(backend)
        store.write("f", b"1")
        store.close()
        store.close()
        assert not backend.close_is_terminal
        assert store.read_bytes("f") == b"1"


def test_plans_and_handles(tmp_path: Any) -> None:
    from fsspec import AbstractFileSystem
    from fsspec.implementations.local import LocalFileSystem

    store = Store(LocalBackend(tmp_path), "data")
    plan = store.resolve("a/b")
    assert (plan.kind, plan.backend, plan.key) == ("local", "local", "a/b")
    assert plan.native_path == str(tmp_path / "data" / "a" / "b")
    assert isinstance(store.unwrap(LocalFileSystem), AbstractFileSystem)
    with pytest.raises(CapabilityNotSupported, match="does not expose native handle"):
        store.unwrap(dict)


async def test_the_adapter_passes_what_needs_no_io_straight_through(tmp_path: Any) -> None:
    sync = LocalBackend(tmp_path)
    adapter = SyncBackendAdapter(sync)
    assert isinstance(adapter, AsyncBackend)
    assert (adapter.name, adapter.capabilities) == (sync.name, sync.capabilities)
    assert adapter.native_path("a") == sync.native_path("a")
    assert adapter.to_key(sync.native_path("a")) == "a"
    assert adapter.resolve("a") == sync.resolve("a")
    assert (adapter.concurrency, adapter.close_is_terminal) == (sync.concurrency, sync.close_is_terminal)
    assert AsyncStore(sync)._backend.name == "local"
    assert AsyncLocalBackend(tmp_path).name == "local"


# --- errors in a store's own paths


@pytest.mark.parametrize("make", [MemoryBackend, Plain])
def test_errors_and_streams_of_a_child_speak_its_paths(make: Any) -> None:
    class Breaking(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise NotFound("went away", path="a/b/f", backend="x")

    backend = make()
    backend.read = lambda path: Breaking()
    child = Store(backend).child("a").child("b")
    stream = child.read("f")
    for read in (lambda: stream.read(1), lambda: stream.readinto(bytearray(1)), stream.readline, stream.readlines):
        with pytest.raises(NotFound) as caught:
            read()
        assert caught.value.path == "f"
        assert "a/b" not in str(caught.value)

    def failing(path: str, **options: Any) -> Iterator[FileInfo]:
        yield FileInfo(RemotePath("a/b/one"), "one", 1, UNKNOWN_TIME)
        raise NotFound("went away", path="a/b/two", backend="x")

    backend.list_files = failing
    listing = child.list_files()
    assert str(next(listing).path) == "one"
    with pytest.raises(NotFound) as caught:
        next(listing)
    assert caught.value.path == "two"


async def test_leaving_an_async_iterator_early_lets_go_of_the_backends_at_once() -> None:
    released: list[str] = []

    class Tracking(AsyncPlain):
        async def read(self, path: str) -> AsyncIterator[bytes]:
            try:
                yield b"1"
                yield b"2"
            finally:
                released.append("read")

        async def list_files(self, path: str, **options: Any) -> AsyncIterator[FileInfo]:
            try:
                for name in ("a", "b"):
                    yield FileInfo(RemotePath(name), name, 1, UNKNOWN_TIME)
            finally:
                released.append("list")

    store = AsyncStore(Tracking())
    for iterator in (store.read("f"), store.list_files()):
        await anext(iterator)
        await iterator.aclose()  # type: ignore[attr-defined]
    assert released == ["read", "list"]


def test_leaving_a_listing_early_lets_go_of_the_backends_at_once() -> None:
    released: list[str] = []

    class Tracking(Plain):
        def list_files(self, path: str, **options: Any) -> Iterator[FileInfo]:
            try:
                for name in ("a", "b"):
                    yield FileInfo(RemotePath(name), name, 1, UNKNOWN_TIME)
            finally:
                released.append("list")

    listing = Store(Tracking()).list_files()
    next(listing)
    listing.close()  # type: ignore[attr-defined]
    assert released == ["list"]


def test_errors_without_a_place_get_one() -> None:
    backend = Plain()

    def fail(path: str) -> bytes:
        raise NotFound("gone")

    backend.read_bytes = fail  # type: ignore[method-assign]
    with pytest.raises(NotFound) as caught:
        Store(backend, "root").read_bytes("f")
    assert caught.value.backend == "plain"


def test_streams_have_the_whole_interface(tmp_path: Any) -> None:
    for backend in (MemoryBackend(), LocalBackend(tmp_path), Plain()):
        for store in (Store(backend), Store(backend).child("d")):
            store.write("f", b"one\ntwo\nthree", overwrite=True)
            for read in (store.read, store.read_seekable):
                with read("f") as stream:
                    assert stream.readable()
                    assert stream.readline() == b"one\n"
                    buffer = bytearray(4)
                    assert stream.readinto(buffer) == 4  # type: ignore[attr-defined]
                    assert buffer == b"two\n"
                    assert list(stream) == [b"three"]
                assert stream.closed
                with pytest.raises(ValueError, match="closed"):
                    stream.read()
            with io.TextIOWrapper(store.read("f")) as text:
                assert text.read() == "one\ntwo\nthree"


def test_writers_survive_being_closed_by_others(tmp_path: Any) -> None:
    for backend in (MemoryBackend(), LocalBackend(tmp_path)):
        store = Store(backend)
        with store.open_atomic("t") as file, io.TextIOWrapper(file) as text:
            text.write("grüße")
        assert store.read_text("t") == "grüße"
        assert file.result.size == 7
        with pytest.raises(ValueError, match="closed"):
            file.write(b"late")
        with pytest.raises(ZeroDivisionError), store.open_atomic("u") as file:  # noqa: PT012
            file.write(b"1")
            file.close()
            raise ZeroDivisionError
        assert not store.exists("u")


def test_content_of_one_store_is_written_to_another(tmp_path: Any) -> None:
    from helpers.kinds import UnknownLooped, unknown_filesystem

    from remote_store import FsspecBackend

    stores = [
        Store(MemoryBackend()),
        Store(LocalBackend(tmp_path)),
        Store(FsspecBackend(unknown_filesystem())),
        Store(FsspecBackend(UnknownLooped(unknown_filesystem()))),
        Store(FsspecBackend(UnknownLooped(unknown_filesystem()))),
    ]
    data = bytes(range(256)) * 20_000
    for source in stores:
        for target in stores:
            source.write("from", data, overwrite=True)
            with source.read("from") as stream:
                assert target.write("to", stream, overwrite=True).size == len(data)
            assert target.read_bytes("to") == data


def test_a_source_that_fails_reaches_the_caller_unchanged_across_loops() -> None:
    from helpers.kinds import UnknownLooped, unknown_filesystem

    from remote_store import FsspecBackend

    store = Store(FsspecBackend(UnknownLooped(unknown_filesystem())))

    class Source:
        def read(self, size: int) -> bytes:
            raise KeyboardInterrupt if self.interrupt else ZeroDivisionError

        interrupt = False

    with pytest.raises(ZeroDivisionError):
        store.write("f", Source())  # type: ignore[arg-type]
    Source.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        store.write("f", Source())  # type: ignore[arg-type]
    assert list(store.list_files()) == []
    store.write("f", b"1")


async def test_a_sync_store_works_inside_a_running_loop_but_not_on_its_own() -> None:
    import asyncio

    from fsspec.asyn import get_loop
    from helpers.kinds import UnknownLooped, unknown_filesystem

    from remote_store import FsspecBackend

    store = Store(FsspecBackend(UnknownLooped(unknown_filesystem(), asynchronous=False)))
    store.write("f", b"1")
    assert store.read_bytes("f") == b"1"

    async def on_its_loop() -> None:
        store.read_bytes("f")

    future = asyncio.run_coroutine_threadsafe(on_its_loop(), get_loop())
    with pytest.raises(RuntimeError, match="AsyncStore"):
        await asyncio.wrap_future(future)


class Noting(Plain):
    capabilities = CapabilitySet(Plain.capabilities | {Capability.USER_METADATA})


class AsyncNoting(AsyncPlain):
    capabilities = Noting.capabilities

    async def write_atomic(self, path: str, content: Any, *, overwrite: bool = False, metadata: Any = None) -> Any:
        self.noted = metadata
        return await self.write(path, content, overwrite=overwrite)


@pytest.mark.parametrize("seekable", [False, True])
def test_a_writer_made_of_write_atomic_passes_metadata_on(seekable: bool) -> None:
    backend = Noting()
    with Store(backend).open_atomic("a", metadata={"k": "v"}, seekable=seekable) as file:
        file.write(b"1")
    assert backend.asked == [("write", {"overwrite": False, "metadata": {"k": "v"}})]


@pytest.mark.parametrize("seekable", [False, True])
async def test_an_async_writer_made_of_write_atomic_passes_metadata_on(seekable: bool) -> None:
    backend = AsyncNoting()
    async with AsyncStore(backend).open_atomic("a", metadata={"k": "v"}, seekable=seekable) as file:
        await file.write(b"1")
    assert backend.noted == {"k": "v"}


def test_a_stream_that_seeks_itself_is_not_copied() -> None:
    stream = io.BytesIO(b"123")

    class Seeking(Plain):
        def read(self, path: str) -> Any:
            return stream

    assert Seeking().read_seekable("a") is stream


async def test_a_seekable_async_stream_is_iterated_and_refuses_once_it_is_closed() -> None:
    async with AsyncStore(AsyncMemoryBackend()) as store:
        await store.write("a", bytes(100 << 10))
        async with await store.read_seekable("a") as stream:
            assert [len(chunk) async for chunk in stream] == [64 << 10, 36 << 10]
        for call in (stream.read, lambda: stream.seek(0)):
            with pytest.raises(ValueError, match="closed"):
                await call()


def test_a_range_of_characters_that_is_none_is_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="bad character class"):
        Store(MemoryBackend()).glob("[z-a]")
