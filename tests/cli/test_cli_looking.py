"""ls, tree, info, cat, head."""

from __future__ import annotations

import io
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cli_files import fill
from servers.s3 import BUCKET, S3Server, client

from remote_store import Store


@pytest.fixture
def tree(workplace: Path) -> Path:
    folder = fill(workplace / "tree", b=b"22", a__x=b"1" * 2000, a__deep__y=b"")
    for path in folder.rglob("*.txt"):
        os.utime(path, (1_777_000_000, 1_777_000_000))
    return folder


@pytest.fixture
def remote(s3: str, moto_server: S3Server) -> str:
    """A prefix with the same files."""
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
    for key, content in {"b.txt": b"22", "a/x.txt": b"1" * 2000, "a/deep/y.txt": b""}.items():
        client(moto_server).put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=content)
    return s3


@pytest.fixture
def google(gs: str, tree: Path, rs: Any) -> str:
    """Another, copied there."""
    rs("cp", "-r", tree, gs)
    return gs


@pytest.fixture
def lake(abfs: str, tree: Path, rs: Any) -> str:
    """Likewise, on Azure."""
    rs("cp", "-r", tree, abfs)
    return abfs


@pytest.fixture
def drop(sftp: str, tree: Path, rs: Any) -> str:
    """Likewise, by SFTP."""
    rs("cp", "-r", tree, sftp)
    return sftp


AWAY = ("remote", "google", "lake", "drop")


@pytest.fixture(params=["tree", *(pytest.param(name, marks=pytest.mark.full) for name in AWAY)])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


# --- ls


def test_ls_names_what_is_in_a_folder_in_order(rs: Any, place: str) -> None:
    assert rs("ls", place).stdout == "a/\nb.txt\n"
    assert rs("ls", f"{place}/a/").stdout == "deep/\nx.txt\n"


def test_ls_recursive_names_the_files_of_all_levels(rs: Any, place: str) -> None:
    assert sorted(rs("ls", "-R", place).stdout.splitlines()) == ["a/deep/y.txt", "a/x.txt", "b.txt"]


def test_ls_of_a_file_shows_the_file(rs: Any, place: str) -> None:
    assert rs("ls", f"{place}/b.txt").stdout == "b.txt\n"
    assert rs("ls", "-R", f"{place}/b.txt").stdout == "b.txt\n"


def test_ls_of_what_is_missing_fails(rs: Any, place: str) -> None:
    assert rs("ls", f"{place}/c", code=1).stderr == f"error: File not found: {place}/c\n"
    assert rs("ls", f"{place}/b.txt/c", code=1).stdout == ""


def test_ls_of_a_missing_container_fails(rs: Any, s3: str) -> None:
    for arguments in (["ls"], ["ls", "-R"], ["tree"], ["info"]):
        assert "'no-such-bucket' not found" in rs(*arguments, "s3://no-such-bucket", code=1).stderr


def test_ls_of_an_empty_folder_is_empty(rs: Any, workplace: Path) -> None:
    assert rs("ls").stdout == rs("ls", "--json").stdout == ""


def test_ls_details_are_size_and_time(rs: Any, tree: Path) -> None:
    assert rs("ls", "-l", tree).stdout.splitlines() == [
        "           -  -                 a/",
        "           2  2026-04-24 03:06  b.txt",
    ]
    assert "2000  2026-04-24 03:06  x.txt" in rs("ls", "-l", tree / "a").stdout
    assert "2.0K  2026-04-24 03:06  x.txt" in rs("ls", "-lh", tree / "a").stdout


def test_ls_in_json_is_a_line_per_entry(rs: Any, place: str) -> None:
    file, folder = sorted(map(json.loads, rs("ls", "--json", place).stdout.splitlines()), key=lambda one: one["type"])
    assert folder == {"type": "folder", "place": f"{place}/a", "name": "a"}
    assert (file["place"], file["name"], file["size"], file["type"]) == (f"{place}/b.txt", "b.txt", 2, "file")
    assert rs("cat", file["place"]).stdout == "22"


def test_ls_sends_no_more_requests_than_needed(rs: Any, remote: str, moto_server: S3Server) -> None:
    before = len(moto_server.requests)
    rs("ls", remote)
    assert [request.partition(" ")[0] for request in moto_server.requests[before:]] == ["GET"]


def test_names_cannot_command_a_terminal(rs: Any, workplace: Path) -> None:
    (workplace / "a\x1b[2J\n.txt").write_bytes(b"")
    for arguments in (["ls"], ["tree"], ["ls", "-R"]):
        assert "a\\x1b[2J\\n.txt" in rs(*arguments).stdout
    assert json.loads(rs("ls", "--json").stdout)["name"] == "a\x1b[2J\n.txt"


def test_names_that_stdout_cannot_encode_are_escaped(process: Any, workplace: Path) -> None:
    (workplace / "\u00fc").write_bytes(b"")
    (workplace / os.fsdecode(b"\xff")).write_bytes(b"")
    plain = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert process("ls", env=plain).stdout == b"\\xfc\n\\udcff\n"
    assert process("tree", env=plain).stdout.splitlines()[1:] == [b"|-- \\xfc  (0)", b"`-- \\udcff  (0)"]


# --- tree


def test_tree_draws_all_levels(rs: Any, place: str) -> None:
    assert rs("tree", place).stdout.splitlines() == [
        place,
        "├── a/",
        "│   ├── deep/",
        "│   │   └── y.txt  (0)",
        "│   └── x.txt  (2000)",
        "└── b.txt  (2)",
    ]


def test_tree_ends_at_a_level(rs: Any, answered: Any, place: str) -> None:
    assert rs("tree", "-h", "-L", "2", f"{place}/a").stdout.splitlines()[1:] == [
        "├── deep/",
        "│   └── y.txt  (0)",
        "└── x.txt  (2.0K)",
    ]
    assert rs("tree", "-L", "1", place).stdout.splitlines()[1:] == ["├── a/", "└── b.txt  (2)"]
    assert answered("tree", "-L", "1", place)["children"][0]["children"] == []


def test_tree_in_json_is_nested(answered: Any, place: str) -> None:
    found = answered("tree", place)
    assert [child["name"] for child in found["children"]] == ["a", "b.txt"]
    assert found["children"][0]["children"][0]["children"][0]["place"] == f"{place}/a/deep/y.txt"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_tree_draws_as_many_levels_as_there_are(rs: Any, request: pytest.FixtureRequest, options: list[str]) -> None:
    limit = sys.getrecursionlimit()
    request.addfinalizer(lambda: sys.setrecursionlimit(limit))
    with Store.from_url("memory://deep-tree") as store:
        store.write("d/" * 1200 + "bottom", b"", overwrite=True)
        assert rs("tree", *options, "memory://deep-tree").stdout.count("d/" if not options else '"children"') >= 1200
        assert "bottom" in rs("tree", *options, "memory://deep-tree").stdout


# --- info


def test_info_of_a_file(rs: Any, answered: Any, place: str) -> None:
    told = answered("info", f"{place}/b.txt")
    assert (told["type"], told["place"], told["size"]) == ("file", f"{place}/b.txt", 2)
    assert f"size                 {told['size']}\n" in rs("info", f"{place}/b.txt").stdout
    assert "None" not in rs("info", f"{place}/b.txt").stdout


def test_info_is_told_in_words(rs: Any, answered: Any, s3: str, moto_server: S3Server) -> None:
    key = s3.removeprefix(f"s3://{BUCKET}/") + "/a"
    made = {"Metadata": {"by": "Ada", "for": "us"}, "ChecksumAlgorithm": "CRC32"}
    client(moto_server).put_object(Bucket=BUCKET, Key=key, Body=b"123456789", **made)
    digest = answered("info", f"{s3}/a")["digest"]
    assert digest == {"algorithm": "crc32", "value": "cbf43926"}
    facts = dict(line.split(maxsplit=1) for line in rs("info", f"{s3}/a").stdout.splitlines())
    assert (facts["digest"], facts["metadata"]) == ("crc32:cbf43926", "by=Ada, for=us")


def test_info_of_a_folder_has_totals(rs: Any, answered: Any, place: str) -> None:
    told = answered("info", place)
    assert (told["type"], told["files"], told["size"]) == ("folder", 3, 2002)
    assert "files                3\n" in rs("info", place).stdout


# --- cat, head


def test_cat_prints_files_one_after_the_other(rs: Any, place: str) -> None:
    assert rs("cat", f"{place}/b.txt", f"{place}/a/x.txt", f"{place}/b.txt").stdout == "22" + "1" * 2000 + "22"
    assert rs("cat", f"{place}/a", code=1).stderr.endswith(f"exists as a directory where a file is meant: {place}/a\n")


def test_cat_is_binary_through_and_through(process: Any, workplace: Path) -> None:
    content = bytes(range(256)) * 5000
    fill(workplace, a=content)
    assert process("cat", "a.txt").stdout == content
    assert process("cat", "-", input=content).stdout == content
    assert process("cat", "a.txt", "-", input=b"\xff").stdout == content + b"\xff"


@pytest.mark.parametrize(
    ("arguments", "lines"), [([], 10), (["-n", "3"], 3), (["--lines", "0"], 0), (["-n", "99999"], 20000)]
)
def test_head_prints_lines(rs: Any, workplace: Path, arguments: list[str], lines: int) -> None:
    text = [f"{number}\n" for number in range(20000)]
    fill(workplace, a="".join(text).encode())
    assert rs("head", *arguments, "a.txt").stdout == "".join(text[:lines])


def test_head_keeps_a_last_line_without_an_end(rs: Any, workplace: Path) -> None:
    fill(workplace, a=b"1\n2")
    assert rs("head", "a.txt").stdout == "1\n2"
    assert rs("head", "-n", "1", "a.txt").stdout == "1\n"


@pytest.mark.parametrize("size", [0, 1, 2000, 5000])
def test_head_prints_bytes(rs: Any, place: str, size: int) -> None:
    assert rs("head", "-c", size, f"{place}/a/x.txt").stdout == ("1" * 2000)[:size]


def test_head_prints_bytes_beyond_what_one_request_takes(
    rs: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_store.cli._look.WHOLE", 10)
    fill(workplace, a=bytes(range(100)))
    assert rs("head", "-c", 90, "a.txt").stdout_bytes == bytes(range(90))


def test_head_of_bytes_asks_for_no_others(rs: Any, remote: str, moto_server: S3Server) -> None:
    ranges: list[str] = []
    with moto_server.hooked(lambda environ, _: ranges.append(environ.get("HTTP_RANGE", "all"))):
        assert rs("head", "-c", "5", f"{remote}/a/x.txt").stdout == "11111"
    assert ranges == ["bytes=0-4"]


def test_head_of_lines_reads_little_more(rs: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO(b"line\n" * 1_000_000)
    monkeypatch.setattr(content, "close", lambda: None)
    monkeypatch.setattr(Store, "read", lambda store, path: content)
    assert rs("head", "-n", "2", "a.txt").stdout == "line\nline\n"
    assert content.tell() <= 1 << 16


@pytest.mark.parametrize("arguments", [["-n", "-1"], ["-c", "-1"], ["-n", "x"]])
def test_head_of_less_than_nothing_is_a_usage_error(rs: Any, arguments: list[str]) -> None:
    rs("head", *arguments, "a.txt", code=2)


@pytest.mark.parametrize("wrong", [("--method", "DELETE"), ("--expires-in", "0"), ("--expires-in", "1h")])
def test_sign_refuses_other_methods_and_times_as_wrong_arguments(rs: Any, remote: str, wrong: tuple[str, str]) -> None:
    refused = rs("sign", f"{remote}/b.txt", *wrong, code=2)
    assert f"'{wrong[0]}'" in refused.stderr


def test_sign_prints_a_url_that_opens_the_file(rs: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")  # The URL tells it, as nothing else may.
    url = rs("sign", f"{remote}/b.txt", "--expires-in", "60").stdout.strip()
    assert "X-Amz-Expires=60&" in url
    with urllib.request.urlopen(url) as reply:
        assert reply.read() == b"22"
    url = rs("sign", f"{remote}/new", "--method", "PUT").stdout.strip()
    headers = {"Content-Type": "text/csv"}
    urllib.request.urlopen(urllib.request.Request(url, b"1,2", headers, method="PUT")).close()
    assert rs("cat", f"{remote}/new").stdout_bytes == b"1,2"


def test_sign_says_what_cannot_be(rs: Any, remote: str, tree: Path) -> None:
    assert "signed_url" in rs("sign", f"{tree}/b.txt", code=1).stderr
    assert "604800" in rs("sign", f"{remote}/b.txt", "--expires-in", "604801", code=1).stderr
