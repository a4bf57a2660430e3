"""How commands end: exit codes, one line of error, interrupts, readers that go away; and what starting costs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli_files import entries, fill
from servers.s3 import BUCKET, Environ, S3Server, client

from remote_store import BackendUnavailable, Store
from remote_store.cli import _app

COMMANDS = [example.split()[:2] if "config" in example else example.split()[:1] for example in _app.EXAMPLES.values()]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example(rs: Any, command: list[str]) -> None:
    told = rs(*command, "--help").stdout
    assert f"Example: remote-store {' '.join(command)}" in " ".join(told.split())


def test_every_command_is_in_the_help(rs: Any) -> None:
    told = rs("--help").stdout
    assert all(re.search(rf"^  {command[0]} ", told, re.M) for command in COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["no-such"], ["ls", "--no-such"], ["cat"], ["head", "-n", "x", "y"]])
def test_a_usage_error_is_2(rs: Any, arguments: list[str]) -> None:
    rs(*arguments, code=2)


def test_an_error_is_one_line_and_a_traceback_on_demand(rs: Any, workplace: Path) -> None:
    assert rs("cat", "x", code=1).stderr == f"error: File not found: {workplace}/x\n"
    told = rs("--debug", "cat", "x", code=1).stderr
    assert "Traceback" in told
    assert "FileNotFoundError" in told
    assert told.endswith(f"\nerror: File not found: {workplace}/x\n")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackendUnavailable("Storage cannot be reached", path="a"), "Storage cannot be reached: {0}/a"),
        (KeyError("no\nway"), "KeyError: 'no\\nway'"),
        (RuntimeError("two\nlines at https://me:pw@host/?a=secret"), "RuntimeError: two lines at https://host/?a=..."),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    rs: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(*_: Any) -> Any:
        if isinstance(error, BackendUnavailable):
            error.path = f"{workplace}/a"[1:]
        raise error

    monkeypatch.setattr(Store, "read", fail)
    assert rs("cat", "a", code=1).stderr == f"error: {told.format(workplace)}\n"


def test_a_warning_is_one_line(process: Any, workplace: Path) -> None:
    fill(workplace, **{"a\\b": b"", "c": b""})
    done = process("ls")
    assert done.stdout == b"c.txt\n"
    assert done.stderr.startswith(b"warning: ")
    assert done.stderr.count(b"\n") == 1


def test_warnings_are_as_before_afterwards(rs: Any) -> None:
    before = warnings.showwarning, list(warnings.filters)
    rs("ls")
    assert (warnings.showwarning, list(warnings.filters)) == before


def test_an_unreachable_service_is_1(process: Any, s3: str) -> None:
    closed = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    done = process("ls", s3, env=closed, code=1)
    assert done.stderr.startswith(b"error: Storage cannot be reached")
    assert done.stderr.count(b"\n") == 1


# --- readers that go away


@pytest.mark.parametrize("arguments", ["cat big.txt", "cp big.txt -", "ls -R many", "tree many"])
def test_a_reader_that_goes_away_is_no_error_to_talk_about(started: Any, workplace: Path, arguments: str) -> None:
    fill(workplace, big=b"line\n" * 1_000_000)
    fill(workplace / "many", **{f"{number:0200}": b"" for number in range(1000)})
    command = started(*arguments.split())
    assert command.stdout.read(1)
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait(60) == 141


# --- interrupts


def test_an_interrupted_copy_leaves_nothing(started: Any, workplace: Path) -> None:
    command = started("cp", "-", "new/folder/x")
    command.stdin.write(bytes(4 << 20))  # More than the pipe holds, so most of it has been read.
    command.send_signal(signal.SIGINT)
    assert command.wait(60) == 130
    assert command.stderr.read() == b"error: interrupted\n"
    assert command.stdout.read() == b""
    assert [str(path) for path in workplace.rglob("*")] == []


def test_an_interrupted_upload_leaves_no_part(started: Any, s3: str, moto_server: S3Server) -> None:
    command = started("cp", "-", f"{s3}/x")

    def interrupt(environ: Environ, _: Any) -> None:
        if "partNumber=1" in environ.get("QUERY_STRING", ""):
            command.send_signal(signal.SIGINT)

    with moto_server.hooked(interrupt):
        with suppress(BrokenPipeError):
            command.stdin.write(bytes(64 << 20))
        assert command.wait(60) == 130
    assert command.stderr.read() == b"error: interrupted\n"
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
    assert not client(moto_server).list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads")
    assert client(moto_server).list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] == 0


def test_an_interrupt_between_files_tells_what_was_done(
    started: Any, workplace: Path, s3: str, moto_server: S3Server
) -> None:
    fill(workplace / "many", **{f"f{number}": b"1" for number in range(200)})
    command = started("cp", "-r", "many", s3, "--json")
    puts: list[str] = []

    def interrupt(environ: Environ, _: Any) -> None:
        if environ["REQUEST_METHOD"] == "PUT":
            puts.append(environ["PATH_INFO"])
            if len(puts) == 10:
                command.send_signal(signal.SIGINT)

    with moto_server.hooked(interrupt):
        assert command.wait(60) == 130
    done = json.loads(command.stdout.read())["files"]
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
    assert client(moto_server).list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] == done < 200
    assert re.fullmatch(rb"error: interrupted; before that, copied \d+ files?, size \d+\n", command.stderr.read())


def test_a_reader_of_stdin_is_interrupted_too(started: Any) -> None:
    command = started("cat", "-", stdout=subprocess.DEVNULL)
    command.stdin.write(bytes(4 << 20))
    command.send_signal(signal.SIGINT)
    assert command.wait(60) == 130
    assert command.stderr.read() == b"error: interrupted\n"


def test_an_interrupt_before_a_command_has_begun_is_quiet() -> None:
    code = """
import sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "remote_store.cli._app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
from remote_store.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"")


# --- starting


def test_help_loads_no_filesystem_and_no_model() -> None:
    code = """
import sys
from remote_store.cli import main
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"typer", "remote_store"} <= loaded
    assert not loaded & {"fsspec", "s3fs", "botocore", "aiohttp", "pydantic", "jinja2"}


def test_local_commands_load_no_fsspec(workplace: Path) -> None:
    fill(workplace, a=b"1")
    code = "import sys, atexit; atexit.register(lambda: print('fsspec' in sys.modules))\n"
    code += "from remote_store.cli import main; main()"
    for arguments in (["ls"], ["cp", "a.txt", "b.txt"], ["rm", "b.txt"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "False"
    assert entries(workplace) == ["a.txt"]
