"""What a terminal sees: bars, colours, questions."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from cli_files import entries, fill
from helpers.deadline import DEADLINE

COMMAND = [sys.executable, "-c", "from remote_store.cli import main; main()"]


def seen(*arguments: str, columns: int = 80, typed: bytes = b"", stdout: Any = None, code: int = 0) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    command = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color", **({"NO_COLOR": "1"} if columns == 79 else {})},
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, typed)
    pieces = []
    try:
        while piece := os.read(ours, 1 << 16):
            pieces.append(piece)
    except OSError:  # Linux says EIO when nobody holds the other end any more.
        pass
    os.close(ours)
    assert command.wait(DEADLINE) == code
    return b"".join(pieces).decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_copy_shows_a_bar_that_fits_and_goes_away(workplace: Path, columns: int) -> None:
    fill(workplace / "tree", a=bytes(3 << 20), b=b"1")
    told = seen("cp", "-r", "tree", "copy", columns=columns)
    frames = re.split(r"[\r\n]+", plain(told))
    assert any(frame.startswith("copying ") and "/3.0 MiB" in frame for frame in frames), frames
    assert all(len(frame) <= columns for frame in frames)
    assert frames[-2:] == ["copied 2 files, size 3.0M", ""]
    assert told.endswith("\x1b[2Kcopied 2 files, size 3.0M\n")


def test_nothing_moves_where_stdout_is_no_terminal(workplace: Path) -> None:
    fill(workplace, a=bytes(3 << 20))
    assert seen("cp", "a.txt", "b.txt", stdout=subprocess.DEVNULL) == ""


def test_a_certification_tells_how_far_it_is(workplace: Path) -> None:
    told = seen("certify", ".", "--workers", "2")
    frames = re.split(r"[\r\n]+", plain(told))
    drawn = [frame for frame in frames if "━" in frame]
    assert any(re.match("[a-z_]{12,} ", frame) for frame in drawn)  # the name of a check
    assert all(len(frame) <= 80 for frame in drawn)
    assert frames[-2].startswith("certified: ")


def test_folders_are_coloured_unless_colours_are_not_wanted(workplace: Path) -> None:
    fill(workplace, d__a=b"1", b=b"2")
    assert seen("ls") == "b.txt\n\x1b[34m\x1b[1md/\x1b[0m\n"
    assert seen("ls", columns=79) == "b.txt\nd/\n"


@pytest.mark.parametrize(
    ("typed", "code", "left"), [(b"y\n", 0, []), (b"n\n", 1, ["d"]), (b"\n", 1, ["d"]), (b"\x04", 130, ["d"])]
)
def test_a_folder_is_deleted_when_the_answer_is_yes(workplace: Path, typed: bytes, code: int, left: list[str]) -> None:
    fill(workplace, d__a=b"1")
    told = seen("rm", "-r", "d", typed=typed, code=code)
    assert f"Delete {workplace}/d with all that is in it? [y/N]" in "".join(told.split("\n"))
    assert entries(workplace) == left
