"""caps, matrix, ping, certify, config."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cli_files import entries
from servers.s3 import BUCKET, Answer, Environ, S3Server, refusal

from remote_store import Capability, Store
from remote_store.drivers.kinds import KINDS, profiles

PROFILES = profiles(KINDS)


def test_caps_are_those_of_the_place(rs: Any, answered: Any, workplace: Path, s3: str, gs: str, az: str) -> None:
    for place, backend in ((workplace, "local"), (s3, "s3"), (gs, "gcs"), (az, "azure")):
        with Store.from_url(str(place)) as store:
            expected = {capability.value: store.supports(capability) for capability in Capability}
        told = answered("caps", place)
        assert (told["backend"], told["capabilities"]) == (backend, expected)
        lines = rs("caps", place).stdout.splitlines()
        assert lines[1] == f"backend              {backend}"
        assert {line.split()[0]: line.endswith("✓") for line in lines[2:]} == expected


def test_caps_ask_and_create_nothing(rs: Any, workplace: Path, s3: str, moto_server: S3Server) -> None:
    before = len(moto_server.requests)
    rs("caps", s3)
    assert len(moto_server.requests) == before
    rs("caps", "no/such")
    assert entries(workplace) == []


def test_matrix_is_that_of_the_profiles(rs: Any, answered: Any) -> None:
    assert answered("matrix") == {name: sorted(profile.capabilities) for name, profile in PROFILES.items()}
    told = rs("matrix").stdout
    assert all(word in told for name in (*PROFILES, *Capability) for word in name.split())


def test_ping_asks_the_place(rs: Any, answered: Any, workplace: Path, s3: str, gs: str, az: str, abfs: str) -> None:
    for place in (s3, gs, az, abfs):
        assert answered("ping", place) == {"place": place, "answers": True}
    assert answered("ping", workplace)["answers"] is True


def test_a_ping_that_fails_names_the_place_as_it_was_given(
    rs: Any, s3: str, gs: str, abfs: str, configured: Any
) -> None:
    for scheme in ("s3", "gs", "az", "abfs"):
        missing = f"{scheme}://no-such-bucket/prefix"
        assert rs("ping", missing, code=1).stderr == f"error: Container 'no-such-bucket' not found: {missing}\n"
    configured('[stores.lost]\nurl = "s3://no-such-bucket"\n')
    told = rs("ping", "lost:a", code=1).stderr
    assert told == "error: Container 'no-such-bucket' not found: remote-store://lost/a\n"


# --- certify


@pytest.mark.full
def test_a_certified_place_is_0_and_reported(rs: Any, s3: str, workplace: Path, moto_server: S3Server) -> None:
    result = rs("certify", s3, "--workers", "4", "--report", "r.json", "--report", "r.md")
    assert "\ncertified: " in result.stdout
    report = json.loads((workplace / "r.json").read_text())
    assert report["ok"] is True
    assert report["workers"] == 4
    assert "a_missing_container_reads_as_a_missing_path" in {rule["name"] for rule in report["rules"]}
    assert entries(workplace) == ["r.json", "r.md"]
    assert rs("ls", f"s3://{BUCKET}/").stdout.count("remote-store-certify") == 0


def test_a_folder_of_this_machine_is_certified_in_json(answered: Any, workplace: Path) -> None:
    (workplace / "here").mkdir()
    assert answered("certify", "here", "--workers", "2")["ok"] is True
    assert entries(workplace / "here") == []


def test_who_may_not_use_a_place_is_tried_too(
    answered: Any, configured: Any, s3: str, workplace: Path, moto_server: S3Server
) -> None:
    configured(f'[stores.denied]\nurl = "{s3}"\noptions = {{ key = "AKIADENIED", secret = "other" }}\n')
    (workplace / "here").mkdir()
    keys: list[str] = []

    def refuse(environ: Environ, _: Any) -> Answer:
        keys.append(environ["HTTP_AUTHORIZATION"].partition("Credential=")[2].partition("/")[0])
        return refusal("403 Forbidden", "AccessDenied")

    with moto_server.hooked(refuse):
        rules = answered("certify", "here", "--workers", "2", "--denied", "denied:")["rules"]
    assert {rule["name"]: rule["outcome"] for rule in rules}["a_refusal_is_no_absence"] == "kept"
    assert set(keys) == {"AKIADENIED"}


def test_where_nothing_can_be_tried_nothing_is_certified_and_the_reason_is_told(rs: Any, workplace: Path) -> None:
    zipfile.ZipFile("x.zip", "w").close()
    told = rs("certify", f"zip://::file://{workplace}/x.zip", code=1).stdout.splitlines()
    assert [line for line in told if line.startswith("not tried") and "it takes WRITE and DELETE" in line]
    assert told[-1].startswith("not certified: nothing could be tried; 0 of ")


class Copying(Store):
    """Says that it moves, and copies instead."""

    def move(self, src: Any, dst: Any, **options: Any) -> None:
        self.copy(src, dst, **options)


def test_what_is_not_kept_is_1_and_told(rs: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remote_store.cli._places.Store", Copying)
    result = rs("certify", ".", "--workers", "2", code=1)
    assert "not certified: " in result.stdout
    assert "refuted           move: " in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("report", ["r.txt", "no/such/r.json"])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_tried(
    rs: Any, workplace: Path, report: str
) -> None:
    (workplace / "here").mkdir()
    before = os.stat(workplace / "here").st_mtime_ns
    assert "report" in rs("certify", "here", "--report", report, code=2).stderr
    assert os.stat(workplace / "here").st_mtime_ns == before


def test_an_html_report_without_its_package_is_told_before(
    rs: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "remote-store-fsspec[certify]" in rs("certify", ".", "--report", "r.html", code=2).stderr


@pytest.mark.parametrize("arguments", [["no/such"], [".", "--missing-url", "no/such"]])
def test_a_missing_folder_is_not_certified(rs: Any, workplace: Path, arguments: list[str]) -> None:
    assert "not found" in rs("certify", *arguments, code=1).stderr
    assert entries(workplace) == []


def test_one_cannot_race(rs: Any) -> None:
    rs("certify", ".", "--workers", "1", code=2)


# --- config


def test_a_configuration_is_checked(rs: Any, answered: Any, configured: Any, workplace: Path) -> None:
    file = configured('[stores.a]\nurl = "data"\n[stores.b]\nbackend = "memory"\n')
    assert rs("config", "check").stdout == rs("config", "check", file).stdout == "a\nb\n"
    assert answered("config", "check") == {"stores": ["a", "b"]}
    assert entries(workplace) == ["stores.toml"]


def test_what_is_wrong_with_a_configuration_is_a_line_each(rs: Any, configured: Any, workplace: Path) -> None:
    configured('[stores.a]\nurl = "data"\ntimeout = 5\n[stores.b]\nurl = "x"\nretries = 1\n')
    lines = rs("config", "check", code=2).stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") for line in lines)
    assert "no/such.toml" in rs("config", "check", "no/such.toml", code=2).stderr


def test_the_schema_is_one(rs: Any) -> None:
    pytest.importorskip("pydantic")
    assert "stores" in json.loads(rs("config", "schema").stdout)["properties"]


def test_configurations_take_their_package(rs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "remote_store.config", None)
    for arguments in (["config", "check"], ["config", "schema"], ["ls", "a:"]):
        rs(*arguments, code=2)
