"""SMB, over Samba: who creates, who holds a file open, whose connection it is."""

from __future__ import annotations

import gc
import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from helpers.deadline import DEADLINE
from helpers.processes import Fork
from helpers.publishing import Place, place_of
from servers.samba import PASSWORD, SMBServer

from remote_store import (
    AlreadyExists,
    Capability,
    FsspecBackend,
    InvalidPath,
    NotFound,
    PermissionDenied,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
    Store,
)

smbclient = pytest.importorskip("smbclient")
exceptions = pytest.importorskip("smbprotocol.exceptions")

from remote_store.drivers.publishing import smb  # noqa: E402 (It needs what may be missing.)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of("smb", request, tmp_path) as found:
        yield found


def raising(status: int) -> object:
    def refuse(*args: object, **options: object) -> None:
        raise exceptions.SMBOSError(status, "f")

    return refuse


# --- races


@pytest.mark.full
@pytest.mark.parametrize("racers", [16])
def test_of_racing_processes_one_creates_each_file(smb_server: SMBServer, racers: int) -> None:
    rounds, root = 20, smb_server.fresh_root()
    start = multiprocessing.get_context("fork").Barrier(racers)

    def create(index: int) -> list[str]:
        outcomes = []
        with Store(FsspecBackend(smb_server.filesystem(), root).adopt()) as store:
            for number in range(rounds):
                start.wait(DEADLINE)
                try:
                    store.write(f"{number}/f", b"%d" % index * 1000)
                    outcomes.append("created")
                except AlreadyExists:
                    outcomes.append("was there")
        return outcomes

    with ExitStack() as stack:
        forks = [stack.enter_context(Fork(lambda index=index: create(index))) for index in range(racers)]  # type: ignore[misc]
        results = [fork.result() for fork in forks]
    for number in range(rounds):
        won = [index for index in range(racers) if results[index][number] == "created"]
        assert len(won) == 1
        assert (smb_server.on_disk(root) / str(number) / "f").read_bytes() == b"%d" % won[0] * 1000
    assert sum(1 for _ in smb_server.on_disk(root).rglob("*") if _.is_file()) == rounds


def test_readers_of_another_process_see_the_old_content_or_the_new(smb_server: SMBServer) -> None:
    root = smb_server.fresh_root()
    with Store(FsspecBackend(smb_server.filesystem(), root).adopt()) as store:
        contents = [bytes([48 + number]) * 300_000 for number in range(8)]
        store.write("f", contents[0])

        def read() -> Counter[bytes]:
            with Store(FsspecBackend(smb_server.filesystem(), root).adopt()) as reader:
                return Counter(reader.read_bytes("f") for _ in range(40))

        with Fork(read) as fork:
            for content in contents * 3:
                store.write_atomic("f", content, overwrite=True)
            assert fork.result().keys() <= set(contents)


# --- files that are open


def test_a_file_that_is_open_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = place.store
    store.write("f", b"old")
    stream = store.read("f")
    waited = threading.Event()
    monkeypatch.setattr(smb.time, "sleep", lambda _: waited.set())
    writing = threading.Thread(target=store.write, args=("f", b"new"), kwargs={"overwrite": True})
    writing.start()
    assert waited.wait(60)
    assert stream.read() == b"old"
    stream.close()
    writing.join()
    assert place.files == {"f": b"new"}


@pytest.mark.parametrize("verb", ["write", "move", "copy"])
def test_a_file_that_stays_open_is_not_replaced(place: Place, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    store = place.store
    store.write("f", b"old")
    store.write("g", b"new!")
    monkeypatch.setattr(smb, "PATIENCE", 0.1)
    with store.read("f") as stream:
        with pytest.raises(ResourceLocked) as caught:
            store.write("f", b"new", overwrite=True) if verb == "write" else getattr(store, verb)(
                "g", "f", overwrite=True
            )
        assert stream.read() == b"old"
    assert caught.value.path == "f"
    assert place.files == {"f": b"old", "g": b"new!"}


def test_who_opens_a_file_for_itself_alone_locks_it(place: Place, smb_server: SMBServer) -> None:
    place.store.write("f", b"1")
    fs = smb_server.filesystem()
    options = {"port": fs.port, "username": fs.username, "password": fs.password, "connection_cache": {}}
    path = f"//127.0.0.1/share/{place.folder.name}/f"
    try:
        with smbclient.open_file(path, "rb", share_access=None, **options), pytest.raises(ResourceLocked):
            place.store.delete("f")
    finally:
        smbclient.reset_connection_cache(connection_cache=options["connection_cache"])


def test_what_may_not_be_replaced_is_denied_and_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.store.write("f", b"old")
    for module, name in ((smbclient, "replace"), (smb, "SMBRawIO")):
        monkeypatch.setattr(module, name, raising(smb.ACCESS_DENIED))
    monkeypatch.setattr(smb.time, "sleep", lambda _: pytest.fail("waits for what is forbidden"))
    with pytest.raises(PermissionDenied):
        place.store.write("f", b"new", overwrite=True)
    assert place.files == {"f": b"old"}


# --- names and answers


@pytest.mark.parametrize(
    "name", ["a*b", "a?", 'a"', "a:b", "<a", "a>", "a|b", "a\tb", "a.", "a ", "d./f", "CON", "x/nul.txt"]
)
def test_names_that_windows_has_not_are_refused_before_anything_is_asked(smb_server: SMBServer, name: str) -> None:
    store = Store(FsspecBackend(smb_server.filesystem(port=1), "/share"))  # Nobody listens there.
    for attempt in (store.read_bytes, store.exists, lambda key: store.write(key, b"1")):
        with pytest.raises(InvalidPath, match="Windows has not") as caught:
            attempt(name)
        assert caught.value.path == name


def test_ordinary_names_are_taken(place: Place) -> None:
    names = ["console", "a.con", ".hidden", "a..b", "com10", "a[b]", "#x", "50%", "ümläut-日本", "x" * 255]
    for name in names:
        place.store.write(name, name.encode())
    assert place.files == {name: name.encode() for name in names}
    assert sorted(str(info.path) for info in place.store.list_files("")) == sorted(names)


def test_a_name_that_is_too_long_is_absent_and_cannot_be_written(place: Place) -> None:
    assert not place.store.exists("x" * 300)
    with pytest.raises(NotFound):
        place.store.read_bytes("x" * 300)
    with pytest.raises(InvalidPath, match="too long"):
        place.store.write("x" * 300, b"1")
    assert not place.files


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0xC000007F, StorageFull),
        (0xC0000022, PermissionDenied),
        (0xC0000043, ResourceLocked),
        (0xC0000001, RemoteStoreError),
    ],
)
def test_what_the_server_answers_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, status: int, error: type[RemoteStoreError]
) -> None:
    monkeypatch.setattr(smbclient, "open_file", raising(status))
    with pytest.raises(error) as caught:
        place.store.write("d/f", b"1")
    assert type(caught.value) is error
    assert caught.value.path == "d/f"


def test_without_hard_links_exclusive_creation_is_dropped(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(smb.Calls, "link", raising(0xC00000BB))
    store = place.store
    assert store.supports(Capability.EXCLUSIVE_CREATE)
    store.write("f", b"1")
    assert not store.supports(Capability.EXCLUSIVE_CREATE)
    assert "no hard links" in caplog.text
    with pytest.raises(AlreadyExists):
        store.write("f", b"2")
    store.move("f", "g")
    assert place.files == {"g": b"1"}


# --- connections


def test_each_filesystem_has_credentials_of_its_own(place: Place, smb_server: SMBServer) -> None:
    place.store.write("f", b"1")
    wrong = "wr0ng-s3cret"
    with Store(FsspecBackend(smb_server.filesystem(password=wrong), f"/share/{place.folder.name}").adopt()) as store:
        with pytest.raises(PermissionDenied, match="credentials") as caught:
            store.read_bytes("f")
        told = [
            repr(store),
            str(store.resolve("f")),
            str(caught.value),
            repr(caught.value),
            repr(caught.value.__cause__),
        ]
    assert not any(wrong in text or PASSWORD in text for text in told)
    assert place.store.read_bytes("f") == b"1"


def test_a_forked_child_has_a_connection_of_its_own(place: Place) -> None:
    store = place.store
    store.write("f", b"1")
    with Fork(lambda: store.read_bytes("f")) as fork:
        assert fork.result() == b"1"
    assert store.read_bytes("f") == b"1"
    assert place.proxy.connections == 2


@pytest.mark.parametrize("holds", ["a connection", "a file that is open"])
def test_a_forked_child_collects_what_its_parent_left_over(place: Place, smb_server: SMBServer, holds: str) -> None:
    place.store.write("f", b"1" * 300_000)
    left_over: list[Any] = [FsspecBackend(smb_server.filesystem(), f"/share/{place.folder.name}").adopt()]
    left_over.append(Store(left_over[0]))
    left_over.append(left_over[1].read("f") if holds == "a file that is open" else left_over[1].get_file_info("f"))

    def collect() -> bytes:
        del left_over[1:]
        left_over.clear()
        gc.collect()
        return place.store.read_bytes("f")

    with Fork(collect) as fork:
        assert fork.result() == b"1" * 300_000
    connections = place.proxy.connections
    assert left_over[1].read_bytes("f") == place.store.read_bytes("f") == b"1" * 300_000
    assert place.proxy.connections == connections
    for opened in reversed(left_over):
        getattr(opened, "close", str)()


def test_a_filesystem_serves_anew_in_a_forked_child(smb_server: SMBServer) -> None:
    fs, root = smb_server.filesystem(), smb_server.fresh_root()
    with Store(FsspecBackend(fs, root).adopt()) as store:
        store.write("f", b"1")

        def work() -> bytes:
            return Store(FsspecBackend(fs, root)).read_bytes("f")

        with Fork(work) as fork:
            assert fork.result() == b"1"
        assert store.read_bytes("f") == b"1"


def test_calls_take_few_messages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from smbprotocol.connection import Connection

    store, sent = place.store, []
    for number in range(50):
        store.write(f"d/{number}", b"1")
    send = Connection._send

    def counting(self: Connection, messages: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(messages)  # Compounds count once.
        return send(self, messages, *arguments, **options)

    monkeypatch.setattr(Connection, "_send", counting)

    def frames(attempt: Callable[[], object]) -> int:
        sent.clear()
        attempt()
        return len(sent)

    assert frames(lambda: store.exists("d/1")) == 1
    assert frames(lambda: store.read_bytes("d/1")) <= 3
    assert frames(lambda: list(store.list_files("d"))) <= 4
    assert frames(lambda: store.delete("d/1")) == 2
    assert frames(lambda: store.write("d/2", b"2", overwrite=True)) <= 8
    assert frames(lambda: store.write("d/new", b"2")) <= 9
    assert frames(lambda: store.move("d/new", "d/newer")) <= 8
