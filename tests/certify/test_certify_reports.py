"""Reports as data, Markdown and HTML."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.liars import LIARS

from remote_store import Capability, Store
from remote_store.certify import CertificationReport, certify


@pytest.fixture(scope="module")
def report() -> CertificationReport:
    return certify(Store(LIARS[Capability.EXCLUSIVE_CREATE]()), workers=4)


def test_a_report_is_data(report: CertificationReport) -> None:
    data = json.loads(report.to_json())
    assert data["ok"] is False
    exclusive = next(item for item in data["capabilities"] if item["capability"] == "exclusive_create")
    assert (exclusive["declared"], exclusive["observed"], exclusive["verdict"]) == (True, False, "refuted")
    assert any(rule["outcome"] == "kept" and rule["evidence"] for rule in data["rules"])


def test_a_report_is_markdown_and_html(report: CertificationReport, tmp_path: Path) -> None:
    text = report.to_markdown()
    assert text.startswith("# Not certified: memory")
    assert "| `EXCLUSIVE_CREATE` | ✓ | ✗ refuted |" in text
    page = report.to_html()
    assert "Not certified" in page
    assert "src=" not in page
    assert "href=" not in page
    for name in ("r.json", "r.html"):
        report.save(tmp_path / name)
    report.save(str(tmp_path / "r.md"))
    assert (tmp_path / "r.md").read_text("utf-8") == text
    assert (tmp_path / "r.html").read_text("utf-8") == page
    with pytest.raises(ValueError, match=r"\.json"):
        report.save(tmp_path / "r.pdf")


def test_what_a_service_says_is_shown_and_does_nothing(report: CertificationReport) -> None:
    nasty = "line one\nline | two <script>alert(1)</script>\x1b[31m"
    refuted = replace(report.refuted[0], evidence=(nasty,))
    rule = replace(report.rules[0], outcome="broken", evidence=(nasty,))
    shown = replace(report, capabilities=(refuted,), rules=(rule,), litter=(nasty,))
    text = shown.to_markdown()
    row = next(line for line in text.splitlines() if refuted.capability.name in line and line.startswith("|"))
    assert row.endswith("| line one\\nline \\| two &lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m |")
    assert not [line for line in text.splitlines() if line.startswith("line |")]
    for page in (text, shown.to_html()):
        assert "\x1b" not in page
    assert "<script>" not in shown.to_html()
