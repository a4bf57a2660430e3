"""rm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cli_files import below, entries, fill
from servers.s3 import BUCKET, S3Server, client


@pytest.fixture(
    params=["local", *(pytest.param(name, marks=pytest.mark.full) for name in ("s3", "gs", "az", "abfs", "sftp"))]
)
def place(request: pytest.FixtureRequest, workplace: Path, rs: Any) -> str:
    """A folder with `a.txt` and `d/b.txt`."""
    fill(workplace / "tree", a=b"1", d__b=b"2")
    if request.param == "local":
        return str(workplace / "tree")
    url = str(request.getfixturevalue(request.param))
    rs("cp", "-r", "tree", url)
    return url


def test_files_are_deleted(rs: Any, answered: Any, place: str) -> None:
    assert rs("rm", f"{place}/a.txt").stdout == ""
    assert rs("ls", place).stdout == "d/\n"
    assert answered("rm", f"{place}/d/b.txt") == {"deleted": [f"{place}/d/b.txt"]}


def test_a_missing_file_fails_after_those_before_it(rs: Any, answered: Any, place: str) -> None:
    result = rs("rm", f"{place}/a.txt", f"{place}/no", f"{place}/d/b.txt", "--json", code=1)
    assert result.stderr == f"error: File not found: {place}/no\n"
    assert f'"{place}/a.txt"' in result.stdout
    assert rs("ls", "-R", place).stdout == "d/b.txt\n"


def test_a_folder_takes_r_and_yes(rs: Any, place: str) -> None:
    for arguments, fix in (([], "-r"), (["--yes"], "-r"), (["-r"], "--yes")):
        assert f"give {fix}" in rs("rm", *arguments, f"{place}/d", code=2).stderr
    assert rs("ls", "-R", f"{place}/d").stdout == "b.txt\n"
    rs("rm", "-r", "--yes", f"{place}/d", f"{place}/a.txt")
    rs("ls", f"{place}/d", code=1)


def test_roots_are_refused(rs: Any, s3: str, workplace: Path, configured: Any) -> None:
    configured('[stores.data]\nurl = "data"\n')
    fill(workplace / "data", a=b"1")
    for root in ("/", f"s3://{BUCKET}", f"s3://{BUCKET}/", "data:", "remote-store://data", "memory://"):
        told = rs("rm", "-r", "--yes", root, code=1).stderr
        assert told.startswith("error: Cannot delete the store root: ")
    assert below(workplace / "data") == {"a.txt": b"1"}


def test_a_link_is_deleted_not_what_it_leads_to(rs: Any, workplace: Path) -> None:
    fill(workplace / "there", a=b"1")
    for name, target in {"file": "there/a.txt", "folder": "there", "dangling": "no"}.items():
        (workplace / name).symlink_to(target)
    rs("rm", "file", "dangling")
    rs("rm", "-r", "--yes", "folder")
    assert entries(workplace) == ["there"]
    assert below(workplace / "there") == {"a.txt": b"1"}


def test_an_object_that_is_a_prefix_too_is_told_from_it_by_a_slash(rs: Any, s3: str, moto_server: S3Server) -> None:
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
    for key in ("x", "x/y"):
        client(moto_server).put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"1")
    rs("rm", "-r", "--yes", f"{s3}/x/")
    assert rs("ls", s3).stdout == "x\n"


def test_patterns_are_names(rs: Any, workplace: Path) -> None:
    fill(workplace, **{"*": b"1", "a": b"2"})
    rs("rm", "*.txt")
    assert entries(workplace) == ["a.txt"]


def test_what_may_not_be_deleted_fails(rs: Any, workplace: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may delete everything")
    fill(workplace / "d", a=b"1")
    (workplace / "d").chmod(0o500)
    assert "Permission denied" in rs("rm", "d/a.txt", code=1).stderr
    (workplace / "d").chmod(0o700)
