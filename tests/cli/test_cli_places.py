"""How a place is spelled, and what opening it does not do."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cli_files import below, entries, fill
from servers.s3 import SECRET

from remote_store import Store
from remote_store._paths import has_credentials
from remote_store.cli import _options, _places


@pytest.mark.parametrize("spelled", ["{0}", "file://{0}", "local://{0}", "../{1}", "./"])
def test_a_path_is_a_place(rs: Any, workplace: Path, spelled: str) -> None:
    fill(workplace, a=b"1")
    assert rs("ls", spelled.format(workplace, workplace.name)).stdout == "a.txt\n"


@pytest.mark.parametrize("command", [["ls"], ["ls", "-R"], ["tree"], ["info"], ["cat"], ["head"], ["rm"], ["ping"]])
def test_a_path_that_is_missing_is_an_error_and_stays_missing(rs: Any, workplace: Path, command: list[str]) -> None:
    result = rs(*command, "no/such", code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.endswith(f"not found: {workplace}/no/such\n")
    assert entries(workplace) == []


def test_links_are_followed_wherever_they_lead_to_be_read(rs: Any, workplace: Path) -> None:
    fill(workplace / "elsewhere", a=b"1")
    (workplace / "here").mkdir()
    (workplace / "here" / "link").symlink_to(workplace / "elsewhere")
    assert rs("ls", "here/link").stdout == "a.txt\n"
    assert rs("cat", "here/link/a.txt").stdout == "1"


def test_a_store_is_named_by_url_and_in_short(rs: Any, workplace: Path, configured: Any) -> None:
    configured('[stores.data]\nurl = "data"\nroot = "in"\n')
    fill(workplace / "data", in__a=b"1", in__d__b=b"2", other=b"3")
    for spelled in ("remote-store://data", "remote-store://data/", "data:"):
        assert rs("ls", spelled).stdout == "a.txt\nd/\n"
    for spelled in ("remote-store://data/d/b.txt", "data:d/b.txt"):
        assert rs("cat", spelled).stdout == "2"
    for spelled in ("remotestore://data/d/b.txt", "data:d/b.txt"):
        assert " remote-store://data/d/b.txt\n" in rs("info", spelled).stdout
    assert rs("cat", "data:d/c.txt", code=1).stderr == "error: File not found: remote-store://data/d/c.txt\n"


def test_a_configured_folder_is_made_unless_its_options_say_no(rs: Any, workplace: Path, configured: Any) -> None:
    configured('[stores.data]\nbackend = "local"\noptions = { root = "data", create = false }\n')
    assert "not found" in rs("ls", "data:", code=1).stderr
    assert entries(workplace) == ["stores.toml"]


def test_an_unknown_name_is_a_usage_error_that_tells_the_known(rs: Any, configured: Any) -> None:
    configured('[stores.data]\nurl = "data"\n')
    for spelled in ("remote-store://dat/x", "dat:x"):
        told = rs("cat", spelled, code=2).stderr
        assert told.startswith("error: ")
        assert "known are data" in told


def test_a_name_without_a_configuration_is_a_usage_error(rs: Any) -> None:
    told = rs("cat", "2026-05-01T10:30.txt", code=2).stderr
    assert "REMOTE_STORE_CONFIG" in told
    assert "./2026-05-01T10:30.txt" in told
    assert told.count("\n") == 1


def test_only_a_name_that_is_not_known_may_be_meant_as_a_path(rs: Any, configured: Any) -> None:
    configured('[stores.data]\nurl = "${NO_SUCH_VARIABLE}"\n')
    assert rs("cat", "other:x", code=2).stderr.endswith(
        "known are data (a path with a colon in it is written ./other:x)\n"
    )
    assert rs("cat", "data:x", code=2).stderr.endswith("the environment variable NO_SUCH_VARIABLE is not set\n")


def test_a_path_with_a_colon_is_told_from_a_name_by_a_slash(rs: Any, workplace: Path) -> None:
    fill(workplace, **{"a:b": b"1"})
    assert rs("cat", "./a:b.txt").stdout == "1"


def test_a_broken_configuration_is_a_usage_error_without_secrets(rs: Any, configured: Any) -> None:
    configured(f'[stores.data]\nurl = "s3://b"\noptions = {{ key = "AKIA", secrets = "{SECRET}" }}\n')
    told = rs("ls", "data:", code=2).stderr
    assert told.startswith("error: ")
    assert "data" in told


@pytest.mark.parametrize(
    "url",
    [
        f"s3://me:{SECRET}@bucket/x",
        f"s3://{SECRET}@bucket/x",
        f"https://{SECRET}@host/x",
        f"ftp://me:{SECRET}/with/slash@host/x",
        f"zip://a::ftp://me:{SECRET}@host/x.zip",
        f"https://host/x?X-Amz-Signature={SECRET}",
    ],
)
@pytest.mark.parametrize("command", [["cat"], ["cp", "x"], ["certify", ".", "--missing-url"], ["no-such"], ["ls", "x"]])
def test_credentials_in_a_url_are_refused_with_the_fix_and_not_repeated(rs: Any, command: list[str], url: str) -> None:
    told = rs(*command, url, code=2).stderr  # `rs` looks for the secret
    assert "chain" in told
    assert "configure" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("url", ["s3://b/a@b", "ftp://host:2121/a@b", "sftp://me@host/x", "memory://a:b/c", "./a@b:c"])
def test_what_only_looks_like_credentials_passes(url: str) -> None:
    assert not has_credentials(url)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("s3:/bucket/x", "malformed"),
        ("s3://", "bucket"),
        ("nope://x/y", "unknown protocol 'nope'"),
        ("", "malformed"),
        ("s3://bucket/../x", "'..'"),
        ("a\\b", "backslash"),
    ],
)
def test_what_no_place_can_be_is_a_usage_error(rs: Any, workplace: Path, text: str, problem: str) -> None:
    assert problem in rs("cat", text, code=2).stderr
    assert entries(workplace) == []


def test_a_missing_package_is_a_usage_error_that_tells_what_to_install(
    rs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert "pip install 'remote-store-fsspec[s3]'" in rs("cat", "s3://bucket/x", code=2).stderr


@pytest.mark.parametrize(
    ("url", "opened", "key", "again"),
    [
        ("s3://bucket/a/b", "s3://bucket", "a/b", "s3://bucket/a/b"),
        ("s3://bucket", "s3://bucket", "", "s3://bucket/"),
        ("ftp://host:21/a//b/", "ftp://host:21", "a/b", "ftp://host:21/a/b"),
        ("memory://a/b", "memory://", "a/b", "memory://a/b"),
        ("memory:///a/b", "memory:///", "a/b", "memory:///a/b"),
        ("zip://a/b::s3://bucket/x.zip", "zip://::s3://bucket/x.zip", "a/b", "zip://a/b::s3://bucket/x.zip"),
        ("zip::file:///x.zip", "zip://::file:///x.zip", "", "zip://::file:///x.zip"),
    ],
)
def test_a_store_is_opened_at_its_container(
    monkeypatch: pytest.MonkeyPatch, url: str, opened: str, key: str, again: str
) -> None:
    urls: list[str] = []
    memory = Store.from_url("memory://")
    monkeypatch.setattr(_places.Store, "from_url", lambda url: urls.append(url) or memory)
    with _places.Places() as places:
        place = places.open(url)
    assert (urls, place.key, str(place)) == ([opened], key, again)


def test_a_file_in_an_archive_is_a_place(rs: Any, workplace: Path) -> None:
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("a/b.txt", "12")
    url = f"zip://a/b.txt::file://{workplace}/x.zip"
    assert rs("cat", url).stdout == "12"
    assert rs("ls", f"zip://::file://{workplace}/x.zip").stdout == "a/\n"
    rs("cp", url, "b.txt")
    assert below(workplace)["b.txt"] == b"12"
    assert "no/such.zip" in rs("cat", "zip://a::file:///no/such.zip", code=1).stderr


def test_names_of_stores_are_completed(configured: Any) -> None:
    configured('[stores.data]\nurl = "data"\n[stores.date]\nurl = "date"\n[stores.x]\nurl = "x"\n')
    assert _options.store_names("dat") == ["data:", "date:"]


@pytest.mark.parametrize("text", ["", "x = [", "stores = 1"])
def test_completion_keeps_quiet_about_a_broken_configuration(configured: Any, text: str) -> None:
    configured(text)
    assert _options.store_names("") == []


def test_completion_works_in_a_shell(process: Any, configured: Any) -> None:
    configured('[stores.data]\nurl = "data"\n')
    variables = {"_REMOTE_STORE_COMPLETE": "complete_bash", "COMP_WORDS": "remote-store cat da", "COMP_CWORD": "2"}
    done = process(env={**os.environ, **variables})
    assert done.stdout.split() == [b"data:"]
