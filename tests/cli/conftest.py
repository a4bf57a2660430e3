"""The command line, in this process and in others, and places to use it on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from helpers.deadline import DEADLINE
from servers import azure, gcs, gcs_login
from servers.s3 import BUCKET, KEY, SECRET, S3Server
from servers.sshd import SFTPPlace
from typer.testing import CliRunner

from remote_store.cli._app import app

Run = Callable[..., Any]
COMMAND = [sys.executable, "-c", "from remote_store.cli import main; main()"]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, no configuration, no terminal, and a stdout that is buffered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REMOTE_STORE_CONFIG", raising=False)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def rs() -> Run:
    """Runs a command in this process. Whatever is printed holds no secret, and no traceback unasked."""

    def run(*arguments: object, code: int = 0, input: bytes | None = None) -> Any:
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=input)
        told = result.stdout_bytes + result.stderr_bytes
        assert SECRET.encode() not in told
        assert KEY.encode() not in told
        assert azure.KEY.encode() not in told
        assert (b"Traceback" in told) == ("--debug" in arguments and code == 1)
        assert result.exit_code == code, told.decode(errors="replace")
        return result

    return run


@pytest.fixture
def answered(rs: Run) -> Run:
    """Runs a command with `--json`, and gives what it prints."""

    def run(*arguments: object, **options: Any) -> Any:
        return json.loads(rs(*arguments, "--json", **options).stdout)

    return run


@pytest.fixture
def process() -> Run:
    """Runs a command in a process of its own; its output is binary."""

    def run(*arguments: object, code: int = 0, **options: Any) -> Any:
        options = {"stdin": subprocess.DEVNULL, **options} if "input" not in options else options
        done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, timeout=DEADLINE, **options)
        assert done.returncode == code, done.stderr.decode()
        assert b"Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def started() -> Run:
    """Starts a command with pipes; it is over when the test is."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen([*COMMAND, *map(str, arguments)], bufsize=0, **{**pipes, **options}))
        return running[-1]

    yield start
    for one in running:
        if one.poll() is None:
            one.kill()
        with one:
            pass


@pytest.fixture
def s3(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty prefix; credentials are where the SDK looks for them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return f"s3://{BUCKET}/{moto_server.fresh_prefix()}"


@pytest.fixture
def gs(gcs_server: gcs.GcsServer, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty prefix; credentials, and the service, are where gcsfs looks for them."""
    key = tmp_path_factory.mktemp("login") / "key.json"
    key.write_text(json.dumps(gcs_login.service_account(gcs_server.endpoint)))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.endpoint)
    return f"gs://{gcs.BUCKET}/{gcs_server.fresh_prefix()}"


@pytest.fixture
def abfs(azure_server: azure.AzureServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty folder on Azure; credentials, and the service, are where adlfs looks for them."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    return f"abfs://{azure.HNS}/{azure_server.fresh_prefix()}"


@pytest.fixture
def az(abfs: str) -> str:
    """Likewise, where there are no folders."""
    return abfs.replace(f"abfs://{azure.HNS}", f"az://{azure.CONTAINER}")


@pytest.fixture
def sftp(asyncssh_server: SFTPPlace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a folder that is yet to be made on an SFTP server; the user, and whom to trust, are where `ssh` looks."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir()
    (home / ".ssh/known_hosts").write_text(Path(asyncssh_server.login["known_hosts"]).read_text())
    (home / ".ssh/config").write_text("Host 127.0.0.1\n  User guest\n")
    monkeypatch.setenv("HOME", str(home))
    return f"sftp://127.0.0.1:{asyncssh_server.port}{asyncssh_server.fresh_root()}/new"


@pytest.fixture
def configured(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes a configuration file, and makes it the one of the environment."""
    pytest.importorskip("pydantic")

    def write(text: str) -> Path:
        file = workplace / "stores.toml"
        file.write_text(text)
        monkeypatch.setenv("REMOTE_STORE_CONFIG", str(file))
        return file

    return write
