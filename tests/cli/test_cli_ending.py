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
from threading import Event
from typing import Any

import pytest
from cli_files import below, entries, fill
from helpers.deadline import DEADLINE
from helpers.processes import run_script
from servers.s3 import BUCKET, Environ, S3Server, client

from remote_store import BackendUnavailable, Store
from remote_store.cli import _app, _transfer
from remote_store.cli._places import Places

COMMANDS = [example.split()[:2] if "config" in example else example.split()[:1] for example in _app.EXAMPLES.values()]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example(rs: Any, command: list[str]) -> None:
    told = rs(*command, "--help").stdout
    assert f"Example: remote-store {' '.join(command)}" in " ".join(told.split())


def test_every_command_is_in_the_help(rs: Any) -> None:
    told = rs("--help").stdout
    assert all(re.search(rf"^  {command[0]} ", told, re.M) for command in COMMANDS)


@pytest.mark.parametrize("arguments", [["no-such"], ["ls", "--no-such"], ["cat"], ["head", "-n", "x", "y"], ["config"]])
def test_a_usage_error_is_2(rs: Any, arguments: list[str]) -> None:
    told = rs(*arguments, code=2).stderr
    assert re.fullmatch(r"error: .+ \(see \S+( \w+)? --help\)\n", told)


def test_without_a_command_the_help_is_told(rs: Any) -> None:
    assert rs(code=2).stderr == rs("--help").stdout


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


@pytest.mark.parametrize(("command", "code"), [(["cat"], 1), (["rm"], 1), (["cp"], 1), (["rm", "d"], 2)])
def test_a_name_of_two_lines_is_told_as_it_is(rs: Any, workplace: Path, command: list[str], code: int) -> None:
    (workplace / "d" / "new\nline").mkdir(parents=True)
    name = "no\nsuch" if code == 1 else "d/new\nline"
    told = rs(command[0], name, *(["x"] if command == ["cp"] else []), code=code).stderr
    assert name.replace("\n", "\\n") in told
    assert told.count("\n") == 1


def test_a_warning_is_one_line(process: Any, workplace: Path) -> None:
    fill(workplace, **{"a\\b": b"", "c": b""})
    done = process("ls")
    assert done.stdout == b"c.txt\n"
    assert done.stderr.startswith(b"warning: ")
    assert done.stderr.count(b"\n") == 1


LOGGING = """
import logging, sys
import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from remote_store.cli import main

class Logging(MemoryFileSystem):
    protocol = "logging"

    def ls(self, *args, **options):
        logging.getLogger("of.a.package").warning("no credentials here\\nand none there")
        raise PermissionError

fsspec.register_implementation("logging", Logging)
main()
"""


@pytest.mark.parametrize("asked", [(), ("--debug",)])
def test_what_packages_log_is_told_on_demand(asked: tuple[str, ...]) -> None:
    out, told = run_script(LOGGING, *asked, "ls", "logging://x", code=1)
    assert out == ""
    assert told.splitlines()[-1].startswith("error: Permission denied")
    assert ("none there" in told) == (told.count("\n") > 1) == bool(asked)


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
    assert command.wait(DEADLINE) == 141


@pytest.mark.parametrize("arguments", ["matrix", "demo", "--help", "ls --help", "--version", "ls", "cat a.txt"])
@pytest.mark.parametrize(("reader", "code", "told"), [("none", 141, ""), ("full", 1, "error: .*No space left.*\n")])
def test_what_cannot_be_printed_is_told_by_the_exit_code(
    started: Any, workplace: Path, arguments: str, reader: str, code: int, told: str
) -> None:
    fill(workplace, a=b"1")
    closed, writer = os.pipe()
    os.close(closed)
    with open(writer, "wb") as unread, open("/dev/full", "wb") as full:
        command = started(*arguments.split(), stdout=unread if reader == "none" else full)
    assert re.fullmatch(told, command.stderr.read().decode())
    assert command.wait(DEADLINE) == code


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [("cp a.txt b", ">&-", 0), ("ls no", "2>&-", 1), ("cp - x", "<&-", 1), ("cat -", "<&-", 1), ("ls", "<&-", 0)],
)
def test_a_closed_stream_is_no_other_file(workplace: Path, arguments: str, closed: str, code: int) -> None:
    fill(workplace, a=b"1")
    main = f"exec {sys.executable} -m remote_store.cli {arguments} {closed}"
    done = subprocess.run(["sh", "-c", main], capture_output=True)
    assert done.returncode == code
    assert done.stderr == (b"error: [Errno 9] Bad file descriptor\n" if code and closed == "<&-" else b"")
    assert below(workplace) == {"a.txt": b"1"} | ({"b": b"1"} if "b" in arguments.split() else {})


# --- interrupts

SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


@SIGNALS
def test_an_interrupted_copy_leaves_nothing(started: Any, workplace: Path, number: int, code: int) -> None:
    command = started("cp", "-", "new/folder/x")
    command.stdin.write(bytes(4 << 20))  # More than the pipe holds, so most of it has been read.
    command.send_signal(number)
    assert command.wait(DEADLINE) == code
    assert command.stderr.read() == b"error: interrupted\n"
    assert command.stdout.read() == b""
    assert [str(path) for path in workplace.rglob("*")] == []


def test_an_interrupt_that_the_writer_of_stdin_hears_first_publishes_nothing(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Event):  # while the end of stdin is looked at
        def wait(self, timeout: float | None = None) -> bool:
            if timeout:
                self.set()
            return self.is_set()

    monkeypatch.setattr(_transfer, "Event", Interrupted)
    reader, writer = os.pipe()
    os.write(writer, b"partial")
    os.close(writer)
    transfer = _transfer.Transfer(False, False, lambda *_: None)
    with open(reader) as stdin, Places() as places:
        monkeypatch.setattr(sys, "stdin", stdin)
        jobs = [(None, places.open("x", "write"), 0)]
        with pytest.raises(_transfer.Stopped):
            transfer.run(jobs)
    assert entries(workplace) == []


@SIGNALS
def test_an_interrupted_upload_leaves_no_part(
    started: Any, s3: str, moto_server: S3Server, number: int, code: int
) -> None:
    command = started("cp", "-", f"{s3}/x")

    def interrupt(environ: Environ, _: Any) -> None:
        if "partNumber=1" in environ.get("QUERY_STRING", ""):
            command.send_signal(number)

    with moto_server.hooked(interrupt):
        with suppress(BrokenPipeError):
            command.stdin.write(bytes(64 << 20))
        assert command.wait(DEADLINE) == code
    assert command.stderr.read() == b"error: interrupted\n"
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
    assert not client(moto_server).list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads")
    assert client(moto_server).list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] == 0


def test_a_certification_that_is_terminated_more_than_once_leaves_nothing(
    started: Any, s3: str, moto_server: S3Server
) -> None:
    command, reads = started("certify", s3, "--workers", "2"), 0

    def terminate(environ: Environ, _: Any) -> None:
        nonlocal reads
        reads += environ["REQUEST_METHOD"] == "GET" and "certify" in environ["PATH_INFO"]
        if reads:  # what was read is there, and nothing is being written
            command.send_signal(signal.SIGTERM)

    with moto_server.hooked(terminate):
        assert command.wait(DEADLINE) == 143
    assert command.stderr.read() == b"error: interrupted\n"
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
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
        assert command.wait(DEADLINE) == 130
    done = json.loads(command.stdout.read())["files"]
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
    assert client(moto_server).list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] == done < 200
    assert re.fullmatch(rb"error: interrupted; before that, copied \d+ files?, size \d+\n", command.stderr.read())


def test_a_reader_of_stdin_is_interrupted_too(started: Any) -> None:
    command = started("cat", "-", stdout=subprocess.DEVNULL)
    command.stdin.write(bytes(4 << 20))
    command.send_signal(signal.SIGINT)
    assert command.wait(DEADLINE) == 130
    assert command.stderr.read() == b"error: interrupted\n"


@SIGNALS
def test_an_interrupt_before_a_command_has_begun_is_quiet(number: int, code: int) -> None:
    script = f"""
import os, sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "remote_store.cli._app":
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Interrupts())
from remote_store.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert (done.returncode, done.stderr) == (code, b"")


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
