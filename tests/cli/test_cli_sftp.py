"""Every command that looks, copies or removes, on an SFTP server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sshfs")

from cli_files import below, fill

TREE = {"a.txt": b"1", "d/b.txt": b"22"}


def test_files_go_to_a_server_and_come_back(rs: Any, sftp: str, workplace: Path) -> None:
    fill(workplace / "tree", a=b"1", d__b=b"22")
    assert rs("cp", "-r", "tree", f"{sftp}/new").stdout.startswith("copied 2 files")
    assert rs("ls", f"{sftp}/new").stdout == "a.txt\nd/\n"
    assert rs("ls", "-R", f"{sftp}/new").stdout == "a.txt\nd/b.txt\n"
    drawn = rs("tree", f"{sftp}/new").stdout
    assert [name for name in ("a.txt", "d/", "b.txt") if name not in drawn] == []
    assert rs("cat", f"{sftp}/new/d/b.txt").stdout == "22"
    assert rs("head", "-c", "1", f"{sftp}/new/d/b.txt").stdout == "2"
    rs("cp", f"{sftp}/new/a.txt", f"{sftp}/new/c.txt")
    rs("mv", f"{sftp}/new/c.txt", f"{sftp}/new/d/c.txt")
    rs("cp", "-r", f"{sftp}/new", "back")
    assert below(workplace / "back") == {**TREE, "d/c.txt": b"1"}
    rs("rm", f"{sftp}/new/a.txt")
    assert "not found" in rs("cat", f"{sftp}/new/a.txt", code=1).stderr.lower()
    rs("rm", "-r", "--yes", f"{sftp}/new")
    assert rs("ls", sftp).stdout == ""


def test_a_server_that_nobody_vouches_for_is_refused(rs: Any, sftp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    told = rs("ls", sftp, code=1).stderr
    assert "is not known" in told
    assert told.count("\n") == 1


@pytest.mark.full
def test_a_server_is_certified(answered: Any, sftp: str, rs: Any) -> None:
    root = sftp.rpartition("/")[0]
    assert answered("certify", root)["ok"] is True
    assert rs("ls", root).stdout == ""
