"""Another project on PyPI installs a package of the same name: where it lies over this one, that is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import remote_store

PACKAGE = Path(remote_store.__file__).parent


def run(site: Path) -> subprocess.CompletedProcess[str]:
    code = "from remote_store.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-c", code, "--help"], cwd=site, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where this package is installed, with modules of the other project over it."""
    shutil.copytree(PACKAGE, tmp_path / "remote_store", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "_errors.py", "_store.py"):
        (tmp_path / "remote_store" / name).write_text("class Store: ...\n")
    return tmp_path


def test_the_other_project_over_this_one_is_told(site: Path) -> None:
    about = site / "remote_store-0.33.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: remote-store\nVersion: 0.33.0\n")
    done = run(site)
    assert (done.returncode, done.stdout) == (2, "")
    assert "another project, remote-store, has the import name of remote-store-fsspec" in done.stderr
    assert "pip uninstall remote-store remote-store-fsspec" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_installation_is_blamed_on_nobody(site: Path) -> None:
    done = run(site)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "another project" not in done.stderr
