"""Writers that are killed at any instant: no file is torn, none is lost, and what is left over goes with its folder."""

from __future__ import annotations

import io
import itertools
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from content import SEED, Killer, is_whole, payload
from servers import azure, gcs, s3

from remote_store import Store
from remote_store.backends import AzureBackend, GCSBackend, LocalBackend, S3Backend

pytestmark = [pytest.mark.soak, pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")]
Record = Callable[[str, object], None]

# --- local files

SIZE = 1 << 18
KILLS = 63
"""Of each of 16 kinds: 1,008 in all."""


def write(store: Store, number: int) -> None:
    store.write("d/key", payload(number, SIZE), overwrite=True)


def stream(store: Store, number: int) -> None:
    store.write("d/key", io.BytesIO(payload(number, SIZE)), overwrite=True)


def write_atomic(store: Store, number: int) -> None:
    store.write_atomic("d/key", payload(number, SIZE), overwrite=True)


def open_atomic(store: Store, number: int) -> None:
    with store.open_atomic("d/key", overwrite=True) as file:
        for _ in range(4):
            file.write(payload(number, SIZE // 4))


def create(store: Store, number: int) -> None:
    store.write(f"d/created/{number}", payload(number, SIZE))


def copy(store: Store, number: int) -> None:
    store.copy(f"d/source-{number % 2}", "d/key", overwrite=True)


def move(store: Store, number: int) -> None:
    store.move(f"d/at-{number % 2}", f"d/at-{(number + 1) % 2}")


def delete_folder(store: Store, number: int) -> None:
    store.write(f"d/tree/{number % 3}/f", payload(number, SIZE))
    store.delete_folder("d/tree", recursive=True)


OPERATIONS = (write, stream, write_atomic, open_atomic, create, copy, move, delete_folder)


def prepare(store: Store) -> None:
    for number, key in enumerate(("key", "source-0", "source-1", "at-0", "kept")):
        store.write(f"d/{key}", payload(number, SIZE))


@pytest.mark.parametrize("durable", [False, True], ids=["", "durable"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_a_killed_writer_of_local_files_tears_and_loses_none(
    operation: Callable[[Store, int], None], durable: bool, tmp_path: Path, record_property: Record
) -> None:
    name = f"{operation.__name__}, durable={durable}"
    killer, torn, lost, unnamed = Killer(name, 0.02), 0, 0, 0
    for turn in range(KILLS):
        root = tmp_path / str(turn)
        store = Store(LocalBackend(root, durable=durable))
        prepare(store)

        def work(begun: Callable[[], None], store: Store = store) -> None:
            for number in itertools.count():
                operation(store, number)
                if not number:
                    begun()

        killer.kill(work)
        found = {str(file.path): store.read_bytes(file.path) for file in store.list_files("", recursive=True)}
        torn += sum(not is_whole(data, SIZE) for data in found.values())
        expected = {"d/key", "d/source-0", "d/source-1", "d/kept"}
        lost += len(expected - found.keys()) + (not {"d/at-0", "d/at-1"} & found.keys())
        assert found["d/kept"] == payload(4, SIZE)
        unnamed += sum(name.startswith(".~rs-") for _, _, names in os.walk(root) for name in names)
        store.delete_folder("d", recursive=True)
        assert os.listdir(root) == []
    told = f"local, {name}: {killer.kills} kills, {torn} torn, {lost} lost, {unnamed} temporary files left, all swept"
    record_property("figures", told)
    assert (torn, lost) == (0, 0), f"{told} (seed {SEED})"
    assert killer.kills == KILLS


# --- services

BIG = 20 << 20
BIG_KILLS = 38
"""Of each of 4 kinds: 152 on each service."""
PART = 5 << 20


def pieces(number: int) -> Iterator[bytes]:
    for _ in range(20):
        yield payload(number, BIG // 20)


class Stream(io.RawIOBase):
    """The pieces of a payload as a file."""

    def __init__(self, number: int) -> None:
        self._pieces = pieces(number)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")


def upload(store: Store, number: int) -> None:
    store.write("key", Stream(number), overwrite=True)  # type: ignore[arg-type]


def upload_atomic(store: Store, number: int) -> None:
    with store.open_atomic("key", overwrite=True) as file:
        for piece in pieces(number):
            file.write(piece)


def copy_big(store: Store, number: int) -> None:
    store.copy("source", "key", overwrite=True)


def move_big(store: Store, number: int) -> None:
    store.move("source", "key", overwrite=True)


@dataclass
class Service:
    """A service whose writers are killed.

    Args:
        connect: makes a store below a prefix.
        discard: discards what writers below a prefix left unfinished, and says how much that was.
    """

    connect: Callable[[str], Store]
    discard: Callable[[str], int]


def on_s3(server: s3.S3Server) -> Service:
    def discard(prefix: str) -> int:
        look = s3.client(server)
        uploads = look.list_multipart_uploads(Bucket=s3.BUCKET, Prefix=f"{prefix}/").get("Uploads", [])
        for upload in uploads:
            look.abort_multipart_upload(Bucket=s3.BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        return len(uploads)

    return Service(lambda prefix: Store(S3Backend(s3.BUCKET, prefix, **server.options, part_size=PART)), discard)


def on_gcs(server: gcs.GcsServer) -> Service:
    def discard(prefix: str) -> int:
        left = len(server.uploads())
        server.service.sessions.clear()
        return left

    return Service(lambda prefix: Store(GCSBackend(s3.BUCKET, prefix, **server.options, part_size=PART)), discard)


def on_azure(server: azure.AzureServer, container: str = azure.CONTAINER) -> Service:
    def discard(prefix: str) -> int:
        held = server.container(container)
        hidden = {name for name in server.keys(prefix, container) if "/.~rs-" in name}
        blocks = server.uncommitted(prefix, container)
        for name in hidden:
            del held.items[name]
        for name in blocks:
            held.uncommitted.pop(name, None)
        return len(hidden | blocks.keys())

    options = {**server.options, "part_size": PART, "hns": container == azure.HNS}
    return Service(lambda prefix: Store(AzureBackend(container, prefix, **options)), discard)


SERVICES: dict[str, tuple[str, Callable[[Any], Service]]] = {
    "ministack": ("ministack_server", on_s3),
    "seaweedfs": ("seaweedfs_server", on_s3),
    "gcs": ("gcs_server", on_gcs),
    "azure": ("azure_server", on_azure),
    "azure-hns": ("azure_server", lambda server: on_azure(server, azure.HNS)),
}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    name, made = SERVICES[request.param]
    return made(request.getfixturevalue(name))


@pytest.fixture
def prefix() -> str:
    return f"killed-{uuid.uuid4().hex}"


@pytest.mark.parametrize("operation", [upload, upload_atomic, copy_big, move_big], ids=lambda one: one.__name__)
def test_a_killed_writer_on_a_service_tears_and_loses_nothing(
    operation: Callable[[Store, int], None],
    service: Service,
    prefix: str,
    request: pytest.FixtureRequest,
    record_property: Record,
) -> None:
    killer, torn, lost, orphans, strange = Killer(operation.__name__, 1), 0, 0, 0, set[str]()
    with service.connect(prefix) as store:
        store.write("key", Stream(1))  # type: ignore[arg-type]
        rounds = 0
        while killer.kills < BIG_KILLS and (rounds := rounds + 1) < 4 * BIG_KILLS:
            if not store.exists("source"):
                store.write("source", Stream(2))  # type: ignore[arg-type]

            def work(begin: Callable[[], None]) -> None:
                with service.connect(prefix) as own:
                    own.ping()
                    begin()
                    operation(own, 3)

            killer.kill(work)
            found = {str(file.path): store.read_bytes(file.path) for file in store.list_files()}
            torn += sum(not is_whole(data, BIG) for data in found.values())
            lost += "key" not in found
            strange |= found.keys() - {"key", "source"}
            if operation is move_big:
                lost += not any(data[:8] == payload(2, 8) for data in found.values())
            orphans += service.discard(prefix)
    told = (
        f"{request.node.callspec.id}: {rounds} rounds, {killer.kills} killed midway, {torn} torn, {lost} lost, "
        f"{orphans} unfinished uploads left, as documented"
    )
    record_property("figures", told)
    assert (torn, lost, strange) == (0, 0, set()), f"{told} (seed {SEED})"
    assert killer.kills == BIG_KILLS, told
