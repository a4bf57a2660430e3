"""Connections to SFTP and web servers that are lost in the middle of each operation: told in time, and made again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from helpers.deadline import DEADLINE
from helpers.web import web_view
from servers.files import FileServer
from servers.proxy import Fault, Proxy
from servers.sshd import SFTPPlace

from remote_store import BackendUnavailable, Store
from remote_store.aio import AsyncSFTPBackend, AsyncStore
from remote_store.backends import SFTPBackend
from remote_store.certify.view import View

OLD, NEW = b"old" * 400_000, b"a new file" * 300_000
FILES = {"f": OLD, "d/f": OLD, "d/e/f": OLD}


async def all_of(items: Any) -> list[Any]:
    return [item async for item in items]


async def in_steps(view: View) -> None:
    async with view.open_atomic("f", overwrite=True) as file:
        for start in range(0, len(NEW), 500_000):
            await file.write(NEW[start : start + 500_000])


Call = Callable[[View], Any]
READS: dict[str, Call] = {
    "read_bytes": lambda view: view.read_bytes("f"),
    "read_range": lambda view: view.read_range("f", 100_000, 1_000_000),
    "read": lambda view: all_of(view.read("f")),
    "get_file_info": lambda view: view.get_file_info("f"),
    "exists": lambda view: view.exists("d/f"),
    "list_files": lambda view: all_of(view.list_files("d")),
    "walk": lambda view: all_of(view.list_files(recursive=True)),
}
CHANGES: dict[str, Call] = {
    "write": lambda view: view.write("f", NEW, overwrite=True),
    "write_atomic": lambda view: view.write_atomic("f", NEW, overwrite=True),
    "open_atomic": in_steps,
    "copy": lambda view: view.copy("d/f", "f", overwrite=True),
    "move": lambda view: view.move("d/f", "f", overwrite=True),
    "move to a new name": lambda view: view.move("d/f", "n/f"),
    "delete": lambda view: view.delete("f"),
    "delete_folder": lambda view: view.delete_folder("d", recursive=True),
}
WRITTEN = {"write": NEW, "write_atomic": NEW, "open_atomic": NEW, "copy": OLD, "move": OLD}
LOST = [(side, after) for side in ("request", "response") for after in (0, 150, 700, 2_000, 60_000)]
"""Whose bytes are counted until the connection is reset, and how many still pass."""


@pytest.fixture(params=["asyncssh", pytest.param("openssh", marks=pytest.mark.full)])
def place(request: pytest.FixtureRequest) -> SFTPPlace:
    place: SFTPPlace = request.getfixturevalue(f"{request.param}_server")
    return place


@pytest.fixture
def proxy(place: SFTPPlace) -> Iterator[Proxy]:
    with closing(Proxy(f"http://127.0.0.1:{place.port}")) as proxy:
        yield proxy


@pytest.fixture
def root(place: SFTPPlace) -> str:
    return place.fresh_root()


@pytest.fixture(params=[pytest.param("sync", marks=pytest.mark.full), "async"])
async def view(request: pytest.FixtureRequest, place: SFTPPlace, proxy: Proxy, root: str) -> AsyncIterator[View]:
    port = int(proxy.endpoint.rpartition(":")[2])
    login: dict[str, Any] = {**place.options, "port": port, "known_hosts": None, "timeout": DEADLINE / 4}
    if request.param == "sync":
        with Store(SFTPBackend("127.0.0.1", root, **login)) as store:
            yield View(store)
    else:
        async with AsyncStore(AsyncSFTPBackend("127.0.0.1", root, **login)) as async_store:
            yield View(async_store)


def fill(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def outcome(call: Call, view: View, proxy: Proxy, fault: Fault) -> bool:
    """Whether a call does its work while the connection is lost; it ends in time, and by the error of an outage."""
    await view.exists("x")  # Connects.
    proxy.arm(fault)
    try:
        async with asyncio.timeout(DEADLINE):
            await call(view)
        return True
    except BackendUnavailable as error:
        assert "127.0.0.1" in str(error)  # noqa: PT017
        assert proxy.struck.is_set()
        return False
    finally:
        proxy.heal()


@pytest.mark.parametrize("name", [*READS, *CHANGES])
async def test_a_call_over_sftp_that_loses_its_connection_is_an_outage_and_the_next_one_connects(
    name: str, view: View, proxy: Proxy, place: SFTPPlace, root: str
) -> None:
    folder, done = Path(place.on_disk(root)), []
    for side, after in LOST:
        fill(folder)
        done.append(await outcome({**READS, **CHANGES}[name], view, proxy, Fault("reset", side, after, times=1)))  # type: ignore[arg-type]
        if done[-1]:  # Then it may be the next call that notices.
            with suppress(BackendUnavailable):
                await view.exists("x")
        assert await view.exists("x") is False
        found = contents(folder)
        if done[-1] and name in WRITTEN:
            assert found["f"] == WRITTEN[name]
        if name in ("delete", "delete_folder"):
            assert set(found.values()) <= {OLD, b"1"}
            assert "f" in found or name == "delete"
        else:
            # A file is as it was, or as it is to be; what was to be moved is in one of its places.
            assert found["f"] in (OLD, WRITTEN.get(name, OLD))
            assert found.get("d/f", found.get("n/f", found["f"])) == OLD
        await view.write("after", b"1", overwrite=True)
        assert not [path for path in contents(folder) if ".~rs-" in path and name != "move to a new name"]
        await view.delete_folder("n", recursive=True, missing_ok=True)
    assert False in done  # Some connection was lost in the middle of it.


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("kind", [pytest.param("sync", marks=pytest.mark.full), "async"])
async def test_a_call_over_http_that_loses_its_connections_is_an_outage_and_the_next_one_connects(
    name: str, kind: str, web_server: FileServer, brief: None
) -> None:
    fill(folder := web_server.fresh_folder())
    with closing(Proxy(web_server.endpoint)) as proxy:
        url = f"{proxy.endpoint}/{folder.name}"
        async with web_view(kind, url, index=True, retries=1, timeout=DEADLINE / 4) as view:
            done = [await outcome(READS[name], view, proxy, Fault("reset", "response", after)) for after in (0, 100)]
            assert done == [False, False]
            assert await view.read_bytes("f") == OLD
