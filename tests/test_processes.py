"""More than one process: races, killed writers, forks and pickles."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import fsspec
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.utils import infer_storage_options
from helpers.deadline import DEADLINE
from helpers.kinds import UnknownFileSystem, UnknownLooped
from helpers.processes import Fork, Signals, in_new_process

import remote_store
from remote_store import (
    AlreadyExists,
    Capability,
    CapabilityNotSupported,
    DirectoryNotEmpty,
    FsspecBackend,
    InvalidPath,
    NotFound,
    RemoteStoreError,
    Store,
)
from remote_store.aio import AsyncLocalBackend, AsyncMemoryBackend, AsyncStore
from remote_store.backends import LocalBackend, MemoryBackend
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

T = TypeVar("T")
AnyStore = Store | AsyncStore
MIB = 1 << 20

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, as local stores, need a POSIX system")


def run(store: AnyStore, work: Callable[[View], Awaitable[T]]) -> T:
    """The result of work on either kind of store."""

    async def main() -> T:
        return await work(View(store))

    return asyncio.run(main()) if isinstance(store, AsyncStore) else run_to_end(main())


@pytest.fixture(params=["unnamed", "named"])
def temporaries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """How files are written before they are published: without a name where the system can, or under a reserved one."""
    if request.param == "named":
        monkeypatch.setattr("remote_store.drivers.local.system.O_TMPFILE", 0)
        return "named"
    try:
        os.close(os.open(tmp_path, os.O_WRONLY | os.O_TMPFILE))
    except (AttributeError, OSError):
        pytest.skip("needs a file system with O_TMPFILE")
    return "unnamed"


# --- races


class AtTheGate:
    """Content whose first read waits until all contenders have come that far, so that only publishing decides."""

    def __init__(self, data: bytes, wait: Callable[[], None]) -> None:
        self._data, self._wait = data, wait

    def read(self, size: int) -> bytes:
        self._wait()
        data, self._data, self._wait = self._data, b"", lambda: None
        return data


def contend(method: str, root: Path, data: bytes, wait: Callable[[], None]) -> bool:
    """Whether a writer that must not overwrite has won the key."""
    store = Store(LocalBackend(root))
    try:
        if method == "open_atomic":
            with store.open_atomic("d/key") as file:
                file.write(data)
                wait()
        elif method == "stream":
            store.write("d/key", AtTheGate(data, wait))  # type: ignore[arg-type]
        else:
            wait()
            store.write("d/key", data)
    except AlreadyExists:
        return False
    return True


def race(root: Path, contenders: list[tuple[str, bytes]]) -> list[bool]:
    """Who wins when each of many processes writes the same key in its way."""
    with Signals() as arrived, Signals() as go, ExitStack() as stack:

        def wait() -> None:
            arrived.send()
            go.wait()

        children = [
            stack.enter_context(Fork(partial(contend, method, root, payload, wait))) for method, payload in contenders
        ]
        arrived.wait(len(children))
        go.send(len(children))
        return [child.result() for child in children]


@pytest.mark.parametrize("writers", [2, pytest.param(3, marks=pytest.mark.full), 4])
def test_one_of_many_racing_processes_creates_a_file(tmp_path: Path, temporaries: str, writers: int) -> None:
    methods = ("stream", "open_atomic", "bytes")
    for turn in range(6):
        root = tmp_path / str(turn)
        (root / "d").mkdir(parents=True)
        payloads = [bytes([index]) * (100_000 + index) for index in range(writers)]
        contenders = [(methods[(turn + index) % 3], payload) for index, payload in enumerate(payloads)]
        won = race(root, contenders)
        assert won.count(True) == 1
        assert Store(LocalBackend(root)).read_bytes("d/key") == payloads[won.index(True)]
        assert os.listdir(root / "d") == ["key"]


# --- killed writers


class Halfway:
    """Content that tells when its first piece was taken, and has no second."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._pieces = iter((b"x" * MIB,))
        self._stop = stop

    def read(self, size: int) -> bytes:
        for piece in self._pieces:
            return piece
        self._stop()
        raise AssertionError("was to be killed")


def write_until(method: str, store: Store, key: str, overwrite: bool, stop: Callable[[], None]) -> None:
    if method == "open_atomic":
        with store.open_atomic(key, overwrite=overwrite) as file:
            file.write(b"x" * 2 * MIB)
            stop()
    else:
        getattr(store, method)(key, Halfway(stop), overwrite=overwrite)


def kill_halfway(method: str, store: Store, key: str, overwrite: bool) -> None:
    """Kill a process in the middle of a write."""
    with Signals() as halfway, Signals() as never:

        def stop() -> None:
            halfway.send()
            never.wait()

        with Fork(lambda: write_until(method, store, key, overwrite, stop)) as child:
            halfway.wait()
            child.kill()


@pytest.mark.parametrize("method", ["write", "write_atomic", "open_atomic"])
def test_a_killed_overwrite_leaves_the_old_file(tmp_path: Path, temporaries: str, method: str) -> None:
    store = Store(LocalBackend(tmp_path))
    store.write("d/f", b"old")
    kill_halfway(method, store, "d/f", overwrite=True)
    assert store.read_bytes("d/f") == b"old"
    assert [(str(file.path), file.size) for file in store.list_files("", recursive=True)] == [("d/f", 3)]
    assert [str(entry.path) for entry in store.iter_children("d")] == ["d/f"]
    store.write("d/f", b"new", overwrite=True)
    assert store.read_bytes("d/f") == b"new"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("method", ["write", "write_atomic", "open_atomic"])
def test_a_killed_creation_leaves_nothing(tmp_path: Path, temporaries: str, method: str, overwrite: bool) -> None:
    store = Store(LocalBackend(tmp_path))
    store.write("d/kept", b"kept")
    kill_halfway(method, store, "d/f", overwrite)
    if temporaries == "unnamed":
        assert os.listdir(tmp_path / "d") == ["kept"]
    assert store.exists("d/f") is False
    assert [str(file.path) for file in store.list_files("", recursive=True)] == ["d/kept"]
    assert store.get_folder_info("d").file_count == 1
    store.write("d/f", b"new")
    assert store.read_bytes("d/f") == b"new"


def test_a_folder_with_only_what_a_killed_writer_left_is_empty(tmp_path: Path, temporaries: str) -> None:
    store = Store(LocalBackend(tmp_path))
    store.write("d/f", b"old")
    kill_halfway("write", store, "d/f", overwrite=True)
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("d")
    assert store.read_bytes("d/f") == b"old"
    store.delete("d/f")
    store.delete_folder("d")
    assert store.exists("d") is False
    assert os.listdir(tmp_path) == []


def test_stale_temporary_files_are_swept_and_nobody_elses(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path))
    store.write("d/kept", b"kept")
    stale = tmp_path / "d" / ".~rs-deadbeef"
    stale.write_bytes(b"half")
    with pytest.raises(InvalidPath):
        store.read_bytes("d/.~rs-deadbeef")
    assert [str(file.path) for file in store.list_files("d")] == ["d/kept"]
    with pytest.raises(DirectoryNotEmpty):
        store.delete_folder("d")
    assert store.read_bytes("d/kept") == b"kept"
    store.delete("d/kept")
    assert [str(file.path) for file in store.list_files("d")] == []
    store.delete_folder("d")
    assert store.exists("d") is False
    assert os.listdir(tmp_path) == []


# --- fork


@pytest.fixture
def memory_tree() -> Iterator[str]:
    """A folder of the tree that the process shares."""
    yield "processes"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


STORES: dict[str, Callable[[Path, str], AnyStore]] = {
    "local": lambda folder, name: Store(LocalBackend(folder)),
    "memory": lambda folder, name: Store(MemoryBackend()),
    "shared memory": lambda folder, name: Store.from_url(f"memory://{name}"),
    "generic": lambda folder, name: Store(FsspecBackend(UnknownFileSystem(f"/{name}", MemoryFileSystem()))),
    "generic async": lambda folder, name: Store(FsspecBackend(UnknownLooped(LocalFileSystem()), str(folder))),
    "async store, local": lambda folder, name: AsyncStore(AsyncLocalBackend(folder)),
    "async store, memory": lambda folder, name: AsyncStore(AsyncMemoryBackend()),
    "async store, shared memory": lambda folder, name: AsyncStore.from_url(f"memory://{name}"),
    "async store, generic": lambda folder, name: AsyncStore(
        FsspecBackend(UnknownFileSystem(str(folder), LocalFileSystem()))
    ),
}


async def keys(view: View) -> list[str]:
    return sorted([str(file.path) async for file in view.list_files("", recursive=True)])


async def use(view: View) -> list[str]:
    """A bit of everything, on a store that holds `before`."""
    assert await view.read_bytes("before") == b"parent"
    await view.write("d/bytes", b"child")
    await view.write("d/stream", view.stream([b"child" * 1000, b"!"]))
    if view.supports(Capability.ATOMIC_WRITE):
        async with view.open_atomic("d/atomic") as file:
            await file.write(b"child")
        await view.delete("d/atomic")
    await view.copy("d/stream", "copy")
    await view.move("d/bytes", "moved")
    with pytest.raises(NotFound):
        await view.read_bytes("d/bytes")
    assert b"".join([chunk async for chunk in view.read("copy")]) == b"child" * 1000 + b"!"
    return await keys(view)


@pytest.mark.parametrize("kind", STORES)
def test_a_store_made_before_a_fork_works_after_it(kind: str, tmp_path: Path, memory_tree: str) -> None:
    store = STORES[kind](tmp_path, memory_tree)
    run(store, lambda view: view.write("before", b"parent"))
    assert run(store, keys) == ["before"]
    with Fork(lambda: run(store, use)) as child:
        assert child.result() == ["before", "copy", "d/stream", "moved"]
    shared = os.listdir(tmp_path) != []
    assert run(store, keys) == (["before", "copy", "d/stream", "moved"] if shared else ["before"])
    run(store, lambda view: view.write("after", b"parent"))
    assert run(store, lambda view: view.read_bytes("after")) == b"parent"


def _lock_of(store: AnyStore) -> Any:
    driver = store._backend._driver  # type: ignore[union-attr]
    return driver.lock if hasattr(driver, "lock") else driver._locks.tree


@pytest.mark.parametrize("kind", ["memory", "shared memory", "generic", "async store, memory"])
def test_a_fork_beside_a_thread_in_the_middle_of_a_call_works(kind: str, tmp_path: Path, memory_tree: str) -> None:
    store = STORES[kind](tmp_path, memory_tree)
    run(store, lambda view: view.write("before", b"parent"))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with _lock_of(store):
            held.set()
            release.wait(DEADLINE)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(DEADLINE)
        with Fork(lambda: run(store, use)) as child:
            assert child.result() == ["before", "copy", "d/stream", "moved"]
    finally:
        release.set()
        thread.join()
    run(store, lambda view: view.write("after", b"parent"))
    assert run(store, keys) == ["after", "before"]


# --- pickles


async def describe(view: View) -> tuple[str, str, list[str]]:
    """What a store is, and that it works."""
    await view.write("new/file", b"new", overwrite=True)
    assert await view.read_bytes("new/file") == b"new"
    return type(view.store).__name__, repr(view.store), await keys(view)


def describe_elsewhere(store: AnyStore) -> tuple[str, str, list[str]]:
    return run(store, describe)


async def read_kept(view: View) -> bytes:
    data: bytes = await view.read_bytes("kept")
    return data


PICKLED: dict[str, Callable[[Path, str], AnyStore]] = {
    **{kind: STORES[kind] for kind in ("local", "shared memory", "async store, local", "async store, shared memory")},
    "generic": lambda folder, name: Store(FsspecBackend(UnknownFileSystem(str(folder), LocalFileSystem()))),
    "async store, generic": STORES["async store, generic"],
    "generic async": STORES["generic async"],
    "local, from a URL": lambda folder, name: Store.from_url(f"file://{folder}", durable=True),
    "async store, over a sync backend": lambda folder, name: AsyncStore(LocalBackend(folder)),
}


@pytest.mark.parametrize("child", ["", "a/b"])
@pytest.mark.parametrize("kind", PICKLED)
def test_a_store_works_in_another_process(kind: str, child: str, tmp_path: Path, memory_tree: str) -> None:
    store = PICKLED[kind](tmp_path, memory_tree)
    store = store.child(child) if child else store
    run(store, lambda view: view.write("kept", b"kept"))
    own = pickle.loads(pickle.dumps(store))
    assert (type(own), repr(own)) == (type(store), repr(store))
    assert own.native_path("kept") == store.native_path("kept")
    assert run(own, read_kept) == b"kept"
    on_disk = os.listdir(tmp_path) != []
    there = in_new_process(describe_elsewhere, store)
    assert there == (type(store).__name__, repr(store), ["kept", "new/file"] if on_disk else ["new/file"])
    assert run(store, keys) == (["kept", "new/file"] if on_disk else ["kept"])


@pytest.mark.parametrize(
    "store",
    [
        Store(MemoryBackend()),
        Store(MemoryBackend()).child("a"),
        AsyncStore(AsyncMemoryBackend()),
        AsyncStore(MemoryBackend()),
    ],
    ids=repr,
)
def test_private_memory_refuses_to_be_pickled(store: AnyStore) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(pickle.PicklingError, match="cannot be pickled"):
            pickle.dumps(store, protocol)
    run(store, lambda view: view.write("f", b"1"))
    assert run(store, keys) == ["f"]


class CountingBackend(LocalBackend):
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        type(self).closed += 1
        super().close()


@pytest.mark.parametrize("how", ["copied", "pickled with its parent"])
def test_closing_another_child_store_leaves_the_backend_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(CountingBackend, "closed", 0)
    store = Store(CountingBackend(tmp_path))
    child = store.child("a")
    if how == "copied":
        child = copy.copy(child)
    else:
        store, child = pickle.loads(pickle.dumps((store, child)))
    child.close()
    assert CountingBackend.closed == 0
    store.close()
    assert CountingBackend.closed == 1


ERRORS: list[type[RemoteStoreError]] = [RemoteStoreError, *RemoteStoreError.__subclasses__()]


@pytest.mark.parametrize("kind", ERRORS, ids=[kind.__name__ for kind in ERRORS])
def test_an_error_pickles_with_all_it_carries(kind: type[RemoteStoreError]) -> None:
    more = {"capability": "glob"} if kind is CapabilityNotSupported else {}
    for options in ({"path": "a/b", "backend": "local", **more}, more):
        error = kind("What happened", **options)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            own = pickle.loads(pickle.dumps(error, protocol))
            assert type(own) is kind
            for attribute in ("message", "path", "backend", "args", *more):
                assert getattr(own, attribute) == getattr(error, attribute)
            assert getattr(own, "errno", None) == getattr(error, "errno", None)
            assert (str(own), repr(own)) == (str(error), repr(error))


def fail(store: Store) -> NoReturn:
    store.read_bytes("missing")
    raise AssertionError("found what is missing")


def test_an_error_of_a_child_store_comes_back_from_another_process(tmp_path: Path) -> None:
    store = Store(LocalBackend(tmp_path)).child("inner")
    with Fork(lambda: fail(store)) as child, pytest.raises(NotFound) as caught:
        child.result()
    assert (caught.value.path, caught.value.backend) == ("missing", "local")
    assert "inner" not in str(caught.value)


def test_every_error_class_is_public() -> None:
    assert {kind.__name__ for kind in ERRORS} <= set(remote_store.__all__)


# --- secrets

SECRET = "hunter2-secret"


class VaultFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Reads with the right password; everything that goes wrong tells it."""

    protocol = "vault"

    def __init__(self, host: str = "", password: str = "", broken: bool = False, **options: Any) -> None:
        super().__init__(host=host, password=password, **options)
        self.password = password
        if broken:
            raise ValueError(f"cannot log in with {password}")

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return str(infer_storage_options(str(path))["path"]).strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        options = infer_storage_options(path)
        return {name: options[name] for name in ("host", "password") if name in options}

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        if path.endswith("kept"):
            return {"name": path, "size": 4, "type": "file"}
        raise OSError(f"login with {self.password} failed")

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        if self.password != SECRET:
            raise PermissionError(f"not {self.password}")
        return b"kept"

    def ls(self, path: str, detail: bool = True, **options: Any) -> NoReturn:
        raise RuntimeError(f"no listing for {self.password}")

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> NoReturn:
        raise PermissionError(13, f"no writing with {self.password}", path)

    def rm_file(self, path: str) -> NoReturn:
        raise ConnectionError(f"gone, {self.password}")


@pytest.fixture(params=["filesystem", "option", "URL"])
def vault(request: pytest.FixtureRequest) -> Store:
    """A store whose filesystem knows a password, told in each way there is."""
    fsspec.register_implementation("vault", VaultFileSystem, clobber=True)
    if request.param == "filesystem":
        return Store(FsspecBackend(VaultFileSystem(host="box", password=SECRET), "dir"))
    if request.param == "option":
        return Store.from_url("vault://box/dir", password=SECRET)
    return Store.from_url(f"vault://me:{SECRET}@box/dir")


def texts_of(thing: object) -> str:
    return f"{thing!s} {thing!r}"


def vault_elsewhere(store: AnyStore) -> bytes:
    return run(store, read_kept)


def test_credentials_travel_in_a_pickle(vault: Store) -> None:
    for store in (vault, vault.child("deeper"), AsyncStore(vault._backend)):
        assert SECRET.encode() in pickle.dumps(store)
        assert in_new_process(vault_elsewhere, store) == b"kept"


def test_credentials_are_in_no_text(vault: Store) -> None:
    plan = vault.resolve("kept")
    things = [
        vault,
        vault._backend,
        vault.child("deeper"),
        AsyncStore(vault._backend),
        AsyncStore(vault._backend)._backend,
    ]
    for thing in (*things, plan, plan.details, plan.native_path, vault.native_path("kept")):
        assert SECRET not in texts_of(thing)
    assert plan.native_path == "dir/kept"


def test_credentials_are_in_no_error(vault: Store) -> None:
    assert vault.read_bytes("kept") == b"kept"
    for attempt in (
        lambda: vault.read_bytes("other"),
        lambda: vault.exists("other"),
        lambda: vault.write("kept", b"", overwrite=True),
        lambda: vault.delete("kept"),
        lambda: list(vault.list_files()),
        lambda: vault.child("deeper").delete("kept"),
        lambda: vault.move("kept", "kept too/kept", overwrite=True),
        vault.ping,
    ):
        with pytest.raises(RemoteStoreError) as caught:
            attempt()
        assert SECRET not in texts_of(caught.value)
        assert SECRET not in str(caught.value.args)
    fsspec.register_implementation("vault", VaultFileSystem, clobber=True)
    for url in ("vault://box", f"vault://me:{SECRET}@box"):
        with pytest.raises(ValueError, match="vault") as refused:
            Store.from_url(url, broken=True, **({} if SECRET in url else {"password": SECRET}))
        assert SECRET not in texts_of(refused.value)
