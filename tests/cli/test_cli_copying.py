"""cp and mv."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_files import below, entries, fill
from servers.ftp import PASSWORD, USER
from servers.s3 import BUCKET, Answer, Environ, S3Server, client, refusal

from remote_store import Capability, Store
from remote_store.cli import _transfer

TREE = {"a.txt": b"1", "d/b.txt": b"22", "d/e/c.txt": b"333"}
AZURE = re.compile("GET (?!.*(restype|resource)=)")
CONTENT = {"s3": re.compile("GET (?!.*list-type)"), "gs": re.compile("GET .*alt=media"), "az": AZURE, "abfs": AZURE}
"""Requests that fetch what is in a file."""


@pytest.fixture
def tree(workplace: Path) -> Path:
    return fill(workplace / "tree", a=b"1", d__b=b"22", d__e__c=b"333")


@pytest.fixture(
    params=["local", *(pytest.param(name, marks=pytest.mark.full) for name in ("s3", "gs", "az", "abfs", "sftp"))]
)
def target(request: pytest.FixtureRequest, workplace: Path) -> str:
    """An empty folder, on this machine or elsewhere."""
    return "target" if request.param == "local" else request.getfixturevalue(request.param)


def found(place: str, workplace: Path) -> dict[str, bytes]:
    """The files below a place."""
    with Store.from_url(place if "://" in place else f"file://{workplace}/{place}") as store:
        return {str(file.path): store.read_bytes(file.path) for file in store.list_files(recursive=True)}


# --- where it goes


def test_a_file_is_copied_to_another_name_and_folders_are_made(
    rs: Any, tree: Path, target: str, workplace: Path
) -> None:
    assert rs("cp", "tree/a.txt", f"{target}/x/y.txt").stdout == "copied 1 file, size 1\n"
    assert found(target, workplace) == {"x/y.txt": b"1"}
    assert below(tree) == TREE


def test_a_file_is_copied_into_a_folder(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    rs("cp", "tree/a.txt", f"{target}/new/")
    rs("cp", "tree/d/b.txt", f"{target}/new")
    assert found(target, workplace) == {"new/a.txt": b"1", "new/b.txt": b"22"}


def test_several_files_are_copied_into_a_folder(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    rs("cp", "tree/a.txt", "tree/d/b.txt", f"{target}/x/")
    assert found(target, workplace) == {"x/a.txt": b"1", "x/b.txt": b"22"}
    assert "end the target with a /" in rs("cp", "tree/a.txt", "tree/d/b.txt", f"{target}/y", code=2).stderr


def test_a_folder_is_copied_to_another_name_or_into_one(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    assert rs("cp", "-r", "tree", f"{target}/x").stdout == "copied 3 files, size 6\n"
    assert found(f"{target}/x", workplace) == TREE
    rs("cp", "-r", f"{target}/x", f"{target}/y/")
    assert found(f"{target}/y", workplace) == {f"x/{name}": content for name, content in TREE.items()}
    rs("cp", "-r", f"{target}/x/d", f"{target}/y")
    assert found(f"{target}/y/d", workplace) == {"b.txt": b"22", "e/c.txt": b"333"}


def test_a_whole_container_is_copied(rs: Any, workplace: Path, s3: str, moto_server: S3Server) -> None:
    bucket = moto_server.fresh_prefix()
    client(moto_server).create_bucket(Bucket=bucket)
    fill(workplace / "tree", a=b"1", d__b=b"22")
    rs("cp", "-r", "tree", f"s3://{bucket}")
    assert found(f"s3://{bucket}", workplace) == {"tree/a.txt": b"1", "tree/d/b.txt": b"22"}
    rs("cp", "-r", f"s3://{bucket}", "all")
    assert below(workplace / "all") == {"tree/a.txt": b"1", "tree/d/b.txt": b"22"}


def test_a_named_store_is_a_source_and_a_target(rs: Any, tree: Path, workplace: Path, configured: Any) -> None:
    configured('[stores.data]\nurl = "data"\n')
    rs("cp", "-r", "tree/d", "data:")
    rs("cp", "remote-store://data/d/b.txt", "b.txt")
    assert below(workplace / "data") == {"d/b.txt": b"22", "d/e/c.txt": b"333"}
    assert (workplace / "b.txt").read_bytes() == b"22"


def test_an_object_that_is_a_prefix_too_is_told_from_it_by_a_slash(
    rs: Any, workplace: Path, s3: str, moto_server: S3Server
) -> None:
    prefix = s3.removeprefix(f"s3://{BUCKET}/")
    for key in ("x", "x/y"):
        client(moto_server).put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"1")
    rs("cp", "-r", f"{s3}/x", "object")
    rs("cp", "-r", f"{s3}/x/", "prefix")
    assert below(workplace) == {"object": b"1", "prefix/y": b"1"}


# --- what is refused


def test_an_existing_file_is_replaced_by_force_only(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    fill(workplace, old=b"old")
    rs("cp", "old.txt", f"{target}/x")
    for verb in ("cp", "mv"):
        told = rs(verb, "tree/a.txt", f"{target}/x", code=1).stderr
        assert "already exists; give --force to replace it" in told
        assert told.count("\n") == 1
    assert found(target, workplace) == {"x": b"old"}
    assert rs("cp", "-f", "tree/a.txt", f"{target}/x").stderr == ""
    assert found(target, workplace) == {"x": b"1"}


def test_a_folder_needs_to_be_asked_for(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    for verb in ("cp", "mv"):
        assert "give -r" in rs(verb, "tree", f"{target}/x", code=2).stderr
    assert found(target, workplace) == {}
    assert below(tree) == TREE


@pytest.mark.parametrize("arguments", [[], ["-r"]])
def test_a_missing_source_fails(rs: Any, target: str, workplace: Path, arguments: list[str]) -> None:
    for verb in ("cp", "mv"):
        assert "not found" in rs(verb, *arguments, "no/such", f"{target}/x", code=1).stderr
    assert "not found" in rs("cp", *arguments, f"{target}/no", "x", code=1).stderr
    assert entries(workplace) == []


@pytest.mark.parametrize("goal", ["tree", "tree/", "tree/d", "./tree/d/e/f", "link/x"])
def test_a_folder_is_not_taken_into_itself(rs: Any, tree: Path, workplace: Path, goal: str) -> None:
    (workplace / "link").symlink_to(tree / "d")
    for verb in ("cp", "mv"):
        assert "the source itself, or in it" in rs(verb, "-r", "-f", "tree", goal, code=2).stderr
    assert below(tree) == TREE


def test_a_file_is_not_moved_onto_itself_by_another_name(
    rs: Any, s3: str, workplace: Path, configured: Any, moto_server: S3Server
) -> None:
    configured(f'[stores.lake]\nurl = "{s3}"\n[stores.here]\nurl = "data"\n')
    fill(workplace / "data", a=b"1")
    rs("cp", "data/a.txt", s3 + "/")
    (workplace / "link").symlink_to(workplace / "data" / "a.txt")
    for source, goal in [(f"{s3}/a.txt", "lake:a.txt"), ("here:a.txt", "data/a.txt"), ("here:a.txt", "link")]:
        assert "the source itself" in rs("mv", "-f", source, goal, code=2).stderr
    assert rs("cat", "lake:a.txt", "here:a.txt").stdout == "11"


def test_equal_names_in_different_stores_are_different_files(rs: Any, workplace: Path, configured: Any) -> None:
    configured('[stores.a]\nurl = "memory://a"\n[stores.b]\nurl = "memory://b"\n')
    fill(workplace, x=b"1")
    rs("cp", "x.txt", "a:x")
    rs("mv", "a:x", "b:x")
    assert rs("cat", "b:x").stdout == "1"


@pytest.mark.parametrize("verb", ["cp", "mv"])
@pytest.mark.parametrize("options", [[], ["-f"], ["-r", "-f"]])
def test_two_sources_of_one_name_are_refused_before_anything_is_done(
    rs: Any, workplace: Path, target: str, verb: str, options: list[str]
) -> None:
    before = below(fill(workplace, a__y=b"0", a__x=b"1", b__x=b"2"))
    told = rs(verb, *options, "a/y.txt", "a/x.txt", "b/x.txt", f"{target}/out/", code=2).stderr
    assert told.startswith("error: two sources have the same name")
    assert below(workplace) == before
    assert found(target, workplace) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["cp", "a"],
        ["mv", "-", "x"],
        ["mv", "a", "-"],
        ["cp", "-", "a", "x/"],
        ["cp", "-", "x/"],
        ["cp", "-r", "a", "-"],
        ["cp", "--json", "a", "-"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(rs: Any, workplace: Path, arguments: list[str]) -> None:
    rs(*arguments, code=2)
    assert entries(workplace) == []


# --- stdin, stdout


def test_stdin_is_copied_to_a_file_and_a_file_to_stdout(process: Any, target: str, s3: str, workplace: Path) -> None:
    content = bytes(range(256)) * 40_000  # more than a part of a multipart upload
    process("cp", "-", f"{target}/x", input=content)
    assert found(target, workplace) == {"x": content}
    assert process("cp", f"{target}/x", "-").stdout == content
    assert b"already exists" in process("cp", "-", f"{target}/x", input=b"", code=1).stderr


def test_a_file_named_like_stdin_is_reached_by_a_slash(rs: Any, process: Any, workplace: Path) -> None:
    process("cp", "-", "./-", input=b"1")
    assert below(workplace) == {"-": b"1"}
    assert rs("cat", "./-").stdout == "1"


# --- how


SERVERS = {"s3": "moto_server", "gs": "gcs_server", "az": "azure_server", "abfs": "azure_server"}


@pytest.mark.parametrize(("scheme", "server"), SERVERS.items())
def test_within_a_container_the_service_copies(
    rs: Any, scheme: str, server: str, workplace: Path, request: pytest.FixtureRequest
) -> None:
    url, requests = request.getfixturevalue(scheme), request.getfixturevalue(server).requests
    fill(workplace, a=b"1")
    rs("cp", "a.txt", f"{url}/a")
    for verb, name in (("cp", "b"), ("mv", "c")):
        before = len(requests)
        rs(verb, f"{url}/a", f"{url}/{name}")
        assert [sent for sent in requests[before:] if CONTENT[scheme].match(sent)] == []
    assert found(url, workplace) == {"b": b"1", "c": b"1"}


def test_from_service_to_service_content_passes_here(rs: Any, s3: str, gs: str, tree: Path, workplace: Path) -> None:
    rs("cp", "-r", "tree", f"{gs}/x")
    rs("cp", "-r", f"{gs}/x", f"{s3}/x")
    rs("mv", "-r", f"{s3}/x", f"{gs}/y")
    assert found(gs, workplace) == {f"{top}/{name}": content for top in "xy" for name, content in TREE.items()}
    assert "not found" in rs("ls", s3, code=1).stderr


def test_stores_that_share_a_backend_let_the_service_copy(
    rs: Any, process: Any, s3: str, configured: Any, moto_server: S3Server, workplace: Path
) -> None:
    fill(workplace, a=b"1")
    bucket, prefix = s3.removeprefix("s3://").split("/")
    store = f'url = "s3://{bucket}"\nroot = "{prefix}'
    configured(f'[stores.raw]\n{store}/raw"\n[stores.old]\n{store}/old"\n')
    rs("cp", "a.txt", "raw:d/a")
    before = len(moto_server.requests)
    assert process("cp", "-r", "raw:d", "old:x").stderr == b""
    rs("mv", "raw:d/a", "raw:b")
    sent = moto_server.requests[before:]
    assert not [request for request in sent if request.startswith("GET") and "list-type" not in request]
    assert rs("cat", "old:x/a", f"{s3}/old/x/a", "raw:b").stdout == "111"
    assert rs("cp", "raw:b", "old:x/a", code=1).stderr.endswith("replace it: remote-store://old/x/a\n")
    assert rs("mv", "raw:d/a", "old:y", code=1).stderr == "error: File not found: remote-store://raw/d/a\n"


def test_any_filesystem_is_a_source_and_a_target(
    rs: Any, process: Any, tree: Path, workplace: Path, configured: Any, ftp_server: tuple[str, int]
) -> None:
    host, port = ftp_server
    login = f'options = {{ username = "{USER}", password = "{PASSWORD}" }}'
    configured(f'[stores.ftp]\nurl = "ftp://{host}:{port}/cli-{os.getpid()}"\n{login}\n')
    done = process("cp", "-r", "tree", "ftp:x")
    assert done.stdout == b"copied 3 files, size 6\n"
    configured(
        f'[stores.ftp]\nurl = "ftp://{host}:{port}/cli-{os.getpid()}"\n{login}\n'
        f'[stores.alias]\nurl = "ftp://{host}:{port}/"\nroot = "cli-{os.getpid()}"\n{login}\n'
    )
    for goal in ("alias:x/a.txt", "ftp:x/a.txt"):
        assert "the source itself" in rs("mv", "-f", "ftp:x/a.txt", goal, code=2).stderr
    rs("mv", "-r", "ftp:x", "back")
    assert below(workplace / "back") == TREE
    told = [done.stderr.decode(), rs("--debug", "cat", "ftp:no", code=1).stderr]
    assert not [text for text in told if PASSWORD in text]


def test_who_may_only_write_can_copy(rs: Any, tree: Path, s3: str, workplace: Path, moto_server: S3Server) -> None:
    def refuse(environ: Environ, _: Any) -> Answer | None:
        return None if environ["REQUEST_METHOD"] == "PUT" else refusal("403 Forbidden", "AccessDenied")

    with moto_server.hooked(refuse):
        rs("cp", "tree/a.txt", f"{s3}/x")
    assert found(s3, workplace) == {"x": b"1"}


def test_metadata_goes_along_between_stores(
    rs: Any, s3: str, workplace: Path, configured: Any, moto_server: S3Server
) -> None:
    configured(f'[stores.lake]\nurl = "{s3}"\n')
    key = s3.removeprefix(f"s3://{BUCKET}/") + "/a"
    client(moto_server).put_object(Bucket=BUCKET, Key=key, Body=b"1", Metadata={"who": "Ada"})
    rs("cp", f"{s3}/a", "lake:b")
    rs("mv", f"{s3}/a", "lake:c")
    for name in "bc":
        head = client(moto_server).head_object(Bucket=BUCKET, Key=f"{key[:-1]}{name}")
        assert head["Metadata"]["who"] == "Ada"


def test_metadata_survives_a_stay_on_this_machine(
    rs: Any, answered: Any, s3: str, workplace: Path, moto_server: S3Server
) -> None:
    with Store.from_url(f"file://{workplace}") as store:
        if not store.supports(Capability.USER_METADATA):
            pytest.skip("this file system keeps no metadata")
        store.write("a", b"1", metadata={"who": "Ada"}, content_type="text/csv")
    rs("cp", "a", f"{s3}/a")
    rs("cp", f"{s3}/a", "b")
    assert answered("info", "b")["metadata"] == answered("info", f"{s3}/a")["metadata"] == {"who": "Ada"}
    assert answered("info", "b")["content_type"] == answered("info", f"{s3}/a")["content_type"] == "text/csv"


def test_memory_stays_bounded(workplace: Path) -> None:
    with open("big", "wb") as file:
        file.truncate(256 << 20)
    code = """
import re
from remote_store.cli import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
    done = subprocess.run([sys.executable, "-c", code, "cp", "big", "copy"], capture_output=True, check=True)
    assert (workplace / "copy").stat().st_size == 256 << 20
    assert int(done.stdout.split()[-1]) < 128 << 10


def test_some_files_are_on_their_way_at_a_time(rs: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transfer, "WORKERS", 3)
    fill(workplace / "many", **{f"f{number}": b"%d" % number for number in range(50)})
    assert rs("cp", "-r", "many", "copy").stdout.startswith("copied 50 files")
    assert below(workplace / "copy") == below(workplace / "many")


def test_what_was_done_before_an_error_is_told(rs: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transfer, "WORKERS", 1)
    fill(workplace, a=b"1", b=b"22", c=b"333")
    fill(workplace / "copy", c=b"old")
    sources = ["a.txt", "b.txt", "c.txt"]
    told = rs("cp", *sources, "copy", code=1)
    assert told.stderr.endswith("copy/c.txt; before that, copied 2 files, size 3\n")
    (workplace / "copy" / "a.txt").unlink()
    (workplace / "copy" / "b.txt").unlink()
    told = rs("cp", *sources, "copy", "--json", code=1)
    assert told.stdout == '{\n  "files": 2,\n  "size": 3\n}\n'


@pytest.mark.parametrize("verb", ["cp", "mv"])
@pytest.mark.parametrize(("source", "code"), [("nope://x/y", 2), ("zip://a::file:///no/such.zip", 1)])
def test_json_tells_that_nothing_was_done_where_a_place_cannot_be_opened(
    answered: Any, verb: str, source: str, code: int
) -> None:
    assert answered(verb, source, "x", code=code) == {"files": 0, "size": 0}


def test_json_counts_what_was_done(answered: Any, tree: Path, workplace: Path) -> None:
    assert answered("cp", "-r", "tree", "copy") == {"files": 3, "size": 6}
    assert answered("mv", "-r", "copy", "moved") == {"files": 3, "size": 6}


# --- mv


def test_a_file_is_moved(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    assert rs("mv", "tree/a.txt", f"{target}/x/").stdout == "moved 1 file, size 1\n"
    assert found(target, workplace) == {"x/a.txt": b"1"}
    assert not (tree / "a.txt").exists()


def test_a_move_on_one_device_is_a_rename(rs: Any, tree: Path) -> None:
    number = (tree / "a.txt").stat().st_ino
    rs("mv", "tree/a.txt", "other/x.txt")
    assert (tree.parent / "other" / "x.txt").stat().st_ino == number


def test_a_move_to_another_device_is_a_copy_then_a_delete(
    rs: Any, tree: Path, monkeypatch: pytest.MonkeyPatch, workplace: Path
) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tree.stat().st_dev:
        pytest.skip("there is no other device")
    there = shm / f"remote-store-{os.getpid()}"
    try:
        rs("mv", "-r", "tree", there)
        assert below(there) == TREE
        assert entries(workplace) == []
    finally:
        rs("rm", "-r", "--yes", there)


def test_a_folder_is_moved_with_its_empty_folders_gone(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    (tree / "empty" / "deep").mkdir(parents=True)
    rs("mv", "-r", "tree", f"{target}/x")
    assert found(f"{target}/x", workplace) == TREE
    assert not tree.exists()


def test_a_failed_move_loses_nothing(rs: Any, tree: Path, target: str, workplace: Path) -> None:
    fill(workplace, old=b"old")
    rs("cp", "old.txt", f"{target}/x/d/e/c.txt")
    rs("mv", "-r", "tree/d", f"{target}/x", code=1)
    moved = {name: content for name, content in found(f"{target}/x/d", workplace).items() if name != "e/c.txt"}
    assert below(tree / "d") | moved == {"b.txt": b"22", "e/c.txt": b"333"}
    assert found(f"{target}/x/d/e", workplace) == {"c.txt": b"old"}


@pytest.mark.parametrize(("look_ahead", "known"), [(100, True), (3, False)])
def test_a_total_is_told_only_when_all_files_are_known(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, look_ahead: int, known: bool
) -> None:
    from remote_store.cli import _transfer
    from remote_store.cli._change import _jobs
    from remote_store.cli._places import Places

    fill(workplace / "tree", **{f"f{number}": bytes(1000 + number) for number in range(9)})
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(_transfer, "LOOK_AHEAD", look_ahead)
    with Places() as places:
        transfer = _transfer.Transfer(False, False, lambda _, done, total: told.append((done, total)))
        transfer.run(_jobs([places.open("tree")], places.open("copy", "write"), False, True))
    size = sum(1000 + number for number in range(9))
    assert told[-1][0] == size == transfer.size
    assert {total for _, total in told} <= {0, size}
    assert all(total == size for _, total in told) or not known
    assert not known or told[0][1] == size
