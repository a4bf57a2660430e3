"""Programs that end, and processes that fork, in the middle of something: without a word, and without harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs")

from helpers.processes import run_script
from servers.files import FileServer
from servers.gcs import GcsServer
from servers.s3 import BUCKET, S3Server
from servers.sshd import SFTPPlace

from remote_store import Store
from remote_store.backends import GCSBackend, LocalBackend, S3Backend, SFTPBackend

BEGIN = """
import gc, json, multiprocessing, os, sys
import fsspec.asyn
from remote_store import Store
from remote_store import backends

backend, args, options = json.loads(sys.argv[1])
store = Store(getattr(backends, backend)(*args, **options))
"""


FILES = ("d/a", "d/b", "d/e/c")


def fill(write: Callable[[str, bytes], object]) -> None:
    """Write some files."""
    for name in FILES:
        write(name, b"x" * 300_000)


def recipe(server: S3Server | GcsServer, **more: Any) -> tuple[str, Store]:
    """What makes a store with some files, as a program takes it; and the store."""
    backend = S3Backend if isinstance(server, S3Server) else GCSBackend
    place, options = (BUCKET, server.fresh_prefix()), {**server.options, **more}
    store = Store(backend(*place, **options))
    fill(store.write)
    return json.dumps((backend.__name__, place, options)), store


@pytest.fixture(params=["moto_server", "gcs_server"])
def server(request: pytest.FixtureRequest) -> Any:
    """A server in this process."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["ministack_server", "gcs_server"])
def keeping(request: pytest.FixtureRequest) -> Any:
    """A server that keeps connections."""
    return request.getfixturevalue(request.param)


LISTING = "files = store.list_files('d'); next(files)"
READING = "file = store.read('d/a'); file.read(10)"
WRITING = "block = store.open_atomic('new'); block.__enter__().write(b'x' * (9 << 20))"
COLLECTED = "store.read_bytes('d/a'); del store; gc.collect(); store = None"
FORKED = "store.read_bytes('d/a')\nif (child := os.fork()) == 0: {}sys.exit()\nassert os.waitpid(child, 0)[1] == 0"
CHILD = "store.read_bytes('d/b'); "


@pytest.mark.parametrize(
    "begun",
    [
        LISTING,
        *(
            pytest.param(begun, marks=pytest.mark.full)
            for begun in (READING, WRITING, COLLECTED, FORKED.format(""), FORKED.format(CHILD))
        ),
    ],
)
def test_a_program_that_leaves_a_connection_to_sftp_says_nothing(asyncssh_server: SFTPPlace, begun: str) -> None:
    root = asyncssh_server.fresh_root()
    with Store(SFTPBackend("127.0.0.1", root, **asyncssh_server.options)) as store:
        fill(store.write)
        arguments = json.dumps(("SFTPBackend", ("127.0.0.1", root), asyncssh_server.options))
        assert run_script(BEGIN + begun, arguments) == ("", "")
        assert sorted(str(file.path) for file in store.list_files("", recursive=True)) == list(FILES)


@pytest.mark.parametrize(
    "begun",
    [
        LISTING,
        *(pytest.param(begun, marks=pytest.mark.full) for begun in (READING, COLLECTED, FORKED.format(CHILD))),
    ],
)
def test_a_program_that_leaves_a_connection_to_a_web_server_says_nothing(web_server: FileServer, begun: str) -> None:
    folder = web_server.fresh_folder()
    fill(Store(LocalBackend(folder)).write)
    arguments = json.dumps(("HTTPBackend", (f"{web_server.endpoint}/{folder.name}",), {"index": True}))
    assert run_script(BEGIN + begun, arguments) == ("", "")


@pytest.mark.parametrize(
    "begun",
    [
        "files = store.list_files('', recursive=True); next(files)",
        "files = store.child('d').iter_children(''); next(files)",
        "files = store.glob('**'); next(files)",
        "for file in store.list_files('d'): sys.exit()",
        "files = store.list_files('d'); next(files); sys.last_value = files, store",
        READING,
        "block = store.open_atomic('new'); block.__enter__().write(b'1')",
        WRITING,
        COLLECTED,
    ],
)
def test_a_program_that_ends_in_the_middle_says_nothing(server: S3Server | GcsServer, begun: str) -> None:
    arguments, store = recipe(server)
    with store:
        assert run_script(BEGIN + begun, arguments) == ("", "")
        assert sorted(str(file.path) for file in store.list_files("", recursive=True)) == ["d/a", "d/b", "d/e/c"]


def test_a_command_that_fails_in_the_middle_of_a_listing_says_only_that(
    moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typer")
    arguments, store = recipe(moto_server)
    _, (bucket, prefix), _ = json.loads(arguments)
    names = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": "endpoint_url"}
    for name, option in {**names, "AWS_DEFAULT_REGION": "region_name"}.items():
        monkeypatch.setenv(name, moto_server.options[option])
    (tmp_path / "file").write_bytes(b"")
    script = "import sys; from remote_store.cli import main; sys.exit(main())"
    copying = "cp", "-r", f"s3://{bucket}/{prefix}/d", str(tmp_path / "file" / "below")
    out, told = run_script(script, *copying, code=1)
    assert (out, told.count("\n")) == ("", 1)
    assert told.startswith("error: ")
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks need a POSIX system")
class TestFork:
    """Its server keeps connections, over which a child must not fall."""

    def test_workers_of_a_pool_say_nothing(self, keeping: S3Server | GcsServer) -> None:
        arguments, store = recipe(keeping)
        script = """
        def work(_):
            async def collect():
                gc.collect()
            size = len(store.read_bytes("d/a"))
            fsspec.asyn.sync(fsspec.asyn.get_loop(), collect)
            return size + len(store.read_bytes("d/b"))

        gc.disable()
        store.read_bytes("d/a")
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(sum(pool.map(work, range(4))))
            pool.close()
            pool.join()
        """
        with store:
            assert run_script(BEGIN + _dedented(script), arguments) == ("2400000\n", "")

    @pytest.mark.parametrize("begun", ["", "file, files = store.read('d/a'), store.list_files(''); file.read(1)"])
    @pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit()"])
    def test_a_child_leaves_the_connections_of_its_parent_alone(
        self, keeping: S3Server | GcsServer, ending: str, begun: str
    ) -> None:
        """The selector of the parent's loop is shared: who closes a connection in the child makes the parent deaf."""
        arguments, store = recipe(keeping, timeout=20, retries=0)  # What gets no answer fails.
        script = f"""
        gc.disable()
        store.read_bytes("d/a")
        file = files = None
        {begun}
        child = os.fork()
        if child == 0:
            async def collect():
                gc.collect()
            assert len(store.read_bytes("d/b")) == 300_000
            fsspec.asyn.sync(fsspec.asyn.get_loop(), collect)
            del file, files
            fsspec.asyn.sync(fsspec.asyn.get_loop(), collect)
            {ending}
        assert os.waitpid(child, 0)[1] == 0
        for _ in range(3):
            assert len(store.read_bytes("d/a")) == 300_000
        assert file is None or (len(file.read()), len(list(files))) == (299_999, 0)
        """
        with store:
            assert run_script(BEGIN + _dedented(script), arguments) == ("", "")


def _dedented(script: str) -> str:
    return script.replace("\n        ", "\n")
