"""The pytest plugin: a storage certified by somebody else's tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.deadline import DEADLINE


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:zarr",
        "--pyargs",
        "remote_store.certify",
    ]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=DEADLINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return tmp_path


def test_the_plugin_certifies_a_url(project: Path) -> None:
    done = run_pytest(project, f"--store-url=file://{project}/data", "--store-report=r.json", "--store-workers=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((project / "r.json").read_text())["ok"] is True
    assert list((project / "data").iterdir()) == []


def test_the_plugin_certifies_what_a_conftest_gives(project: Path) -> None:
    tests = Path(__file__).parent.parent
    (project / "conftest.py").write_text(
        "import sys, pytest\n"
        f"sys.path.append({str(tests)!r})\n"
        "from remote_store import Store\n"
        "from helpers.liars import LooksThenWrites\n"
        "@pytest.fixture(scope='session')\n"
        "def certified_store(): return Store(LooksThenWrites())\n"
    )
    done = run_pytest(project, "--rootdir", str(project), "-c", str(project / "pytest.ini"), "-p", "conftest")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_capability[EXCLUSIVE_CREATE]" in done.stdout
    assert "declared, but it does not hold" in done.stdout


def test_the_plugin_wants_a_store(project: Path) -> None:
    done = run_pytest(project)
    assert done.returncode == 0
    assert "passed" not in done.stdout


def test_the_plugin_certifies_a_configured_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "stores.toml").write_text('[stores.own]\nbackend = "memory"\n')
    monkeypatch.setenv("REMOTE_STORE_CONFIG", str(project / "stores.toml"))
    options = "--store-report=r.json", "--store-workers=2", "--store-denied-url=memory://not-denied"
    done = run_pytest(project, "--store-url=remotestore://own/be/low", *options)
    report = json.loads((project / "r.json").read_text())
    assert (report["backend"], report["place"]) == ("memory", "/be/low")
    assert "1 failed" in done.stdout, done.stdout + done.stderr
    assert "test_rule[a_refusal_is_no_absence]" in done.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--store-url=no-such-protocol://x"], "--store-url: "),
        (["--store-denied-url=remote-store://nobody"], "--store-denied-url: "),
        (["--store-report=r.pdf"], "not 'r.pdf'"),
        (["--store-report=no/such/r.md"], "there is no folder no/such"),
        (["--store-report=r.md", "-n2"], "--dist loadfile"),
    ],
)
def test_the_plugin_refuses_at_once_what_cannot_be_used(project: Path, options: list[str], told: str) -> None:
    done = run_pytest(project, *options)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.full
def test_the_plugin_certifies_once_however_many_processes_there_are(project: Path) -> None:
    (project / "conftest.py").write_text(
        "import os, pytest\n"
        "from remote_store import Store\n"
        "from remote_store.backends import MemoryBackend\n"
        "@pytest.fixture(scope='session')\n"
        "def certified_store():\n"
        "    open(f'made-{os.getpid()}', 'w').close()\n"
        "    return Store(MemoryBackend())\n"
    )
    options = "-n2", "--dist=loadfile", "--store-report=r.json", "--store-workers=2"
    done = run_pytest(project, *options, "--rootdir", str(project), "-c", str(project / "pytest.ini"), "-p", "conftest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(project.glob("made-*"))) == 1
    assert json.loads((project / "r.json").read_text())["ok"] is True
