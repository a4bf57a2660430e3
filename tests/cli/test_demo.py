"""The demonstration, and what it says when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from typer.testing import CliRunner

from remote_store import BackendUnavailable, Capability, Store, __version__
from remote_store.cli._app import app
from remote_store.drivers.kinds import KINDS, profiles

PROFILES = profiles(KINDS)

HOLDS = ["4 files listed", "nothing behind", "1 created it, 15 got AlreadyExists", "5 of 5 files"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, by this process and those it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def run(*arguments: str, code: str = "from remote_store.cli import main; main()", **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "COLUMNS": "80", **environment},
    )


def rows(output: str, yes: str = "✓") -> dict[str, list[bool]]:
    """Capability → whether each backend has it, as printed in one table or several."""
    cells = [[cell.strip() for cell in line.strip("│|").replace("│", "|").split("|")] for line in output.splitlines()]
    found: dict[str, list[bool]] = {}
    for row in cells:
        found.setdefault(row[0], []).extend(cell == yes for cell in row[1:])
    return found


def expected() -> dict[str, list[bool]]:
    return {one.value: [one in profile.capabilities for profile in PROFILES.values()] for one in Capability}


def test_demo_shows_the_promises_and_the_matrix(folder: Path) -> None:
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0, result.output
    assert all(held in result.output for held in HOLDS), result.output
    assert rows(result.output).items() >= expected().items()
    assert list(folder.iterdir()) == []


def test_demo_as_a_command_is_plain_text_in_80_columns(folder: Path) -> None:
    done = run("demo")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert all(held in done.stdout for held in HOLDS)
    assert rows(done.stdout).items() >= expected().items()
    assert "\x1b" not in done.stdout
    assert all(len(line) <= 80 or str(folder) in line for line in done.stdout.splitlines())
    assert list(folder.iterdir()) == []


def test_demo_prints_ascii_where_the_terminal_has_no_more(folder: Path) -> None:
    done = run("demo", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert rows(done.stdout, "yes").items() >= expected().items()


def test_the_console_script_is_installed(folder: Path) -> None:
    script = Path(sys.executable).with_name("remote-store")
    if not script.exists():
        pytest.skip("the package is not installed beside this interpreter")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"remote-store {__version__}\n")


class LooksFirst(Store):
    """Creates without deciding who was first."""

    def write(self, path: Any, content: Any, **options: Any) -> Any:
        return super().write(path, content, **{**options, "overwrite": True})


class PublishesEarly(Store):
    """Writes where readers can see it."""

    @contextmanager
    def early(self, path: Any, *, overwrite: bool = False) -> Iterator[Any]:
        with open(self.native_path(path), "wb") as file:
            yield file

    open_atomic = early  # type: ignore[assignment]


class PublishesFailed(Store):
    """Publishes what a block wrote before it raised."""

    @contextmanager
    def careless(self, path: Any, *, overwrite: bool = False) -> Iterator[Any]:
        with super().open_atomic(path, overwrite=overwrite) as file:
            try:
                yield file
            except RuntimeError:
                return

    open_atomic = careless  # type: ignore[assignment]


class Garbles(Store):
    """Loses a byte of what is streamed into memory."""

    def write(self, path: Any, content: Any, **options: Any) -> Any:
        return super().write(path, content if isinstance(content, bytes) else content.read()[:-1], **options)


class Forgets(Store):
    """Leaves a file out of recursive listings."""

    def list_files(self, path: Any = "", **options: Any) -> Any:
        found = list(super().list_files(path, **options))
        return iter(found[1:] if options.get("recursive") else found)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (LooksFirst, "one writer wins: 16 created it, 0 got AlreadyExists"),
        (PublishesEarly, "readers see the old content"),
        (PublishesFailed, "a block that raises publishes nothing"),
        (Garbles, "0 of 5 files"),
        (Forgets, "3 files listed"),
    ],
)
def test_demo_tells_a_broken_promise(
    broken: type[Store], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_store.cli._demo.Store", broken)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert "what each backend can do" not in result.output.lower()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("error", [BackendUnavailable("Storage cannot be reached", path="a"), OSError(28, "No space")])
def test_errors_are_one_line_without_a_traceback(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(Store, "write", fail)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert result.stderr == f"error: {error}\n"
    assert list(folder.iterdir()) == []


def test_exclusive_creation_is_left_out_where_the_file_system_has_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "supports", lambda store, capability: capability is not Capability.EXCLUSIVE_CREATE)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0, result.output
    assert "no exclusive creation" in result.output
    assert "AlreadyExists" not in result.output
    assert "4 of 4 files" in result.output


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"remote-store {__version__}\n")


def test_an_unknown_command_is_an_error_that_names_it() -> None:
    done = run("no-such-command")
    assert done.returncode == 2
    assert "no-such-command" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_one_line_tells_what_to_install(missing: str) -> None:
    # None in sys.modules is how Python marks a module that cannot be imported.
    blocked = f"import sys; sys.modules[{missing!r}] = None; from remote_store.cli import main; main()"
    done = run("demo", code=blocked)
    assert done.returncode == 2
    assert done.stdout == ""
    hint = "pip install typer rich, or pip install 'remote-store-fsspec[cli]'"
    assert done.stderr == f"remote-store needs its command line extra: {hint}\n"
