"""The documentation runs, links and numbers included."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import remote_store

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
SET_UP = ['pip install ".[cli]" && remote-store demo', "pip install tox && tox"]
MODULES = [module.name for module in pkgutil.walk_packages(remote_store.__path__, "remote_store.")]

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"print\(.*\)  # (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def blocks(page: Path, info: str) -> list[tuple[int, str]]:
    """Line and code of the fenced blocks of one kind."""
    text = page.read_text(encoding="utf-8")
    found = [(text.count("\n", 0, m.start()) + 1, m["code"]) for m in _FENCE.finditer(text) if m["info"] == info]
    fences = re.findall(r"^```" + info, text, re.MULTILINE)
    assert len(found) == len(fences), f"{page.name}: {info} blocks must have no further words on their fence"
    return found


def run_blocks(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = blocks(page, "python")
    assert found
    namespace: dict[str, object] = {"__name__": f"page_{page.stem}"}
    for line, code in found:
        # Newlines put the block where it stands on the page, for tracebacks.
        exec(compile("\n" * line + code, str(page), "exec", dont_inherit=True), namespace)
        printed = capsys.readouterr().out.splitlines()
        for promised in _PRINTED.findall(code):
            assert promised in printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(page, capsys)


def test_the_readme_runs_a_second_time_where_it_ran_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run_blocks(ROOT / "README.md", capsys)


def test_readme_begins_with_the_set_up_and_is_short() -> None:
    readme = ROOT / "README.md"
    assert [code.strip() for _, code in blocks(readme, "sh")][:2] == SET_UP
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), f"{page.name}: {target}"
        assert linked.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(linked), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_page_is_linked_from_the_readme(page: Path) -> None:
    targets = {target for target, _ in _LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert f"docs/{page.name}" in targets


def test_capability_table_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "_matrix.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_capability_table_is_noticed(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    script = docs / "_matrix.py"
    script.write_text((ROOT / "docs" / "_matrix.py").read_text(encoding="utf-8"), encoding="utf-8")
    page = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8")
    (docs / "capabilities.md").write_text(page.replace("| `READ` | ✓", "| `READ` | ?"), encoding="utf-8")
    check = [sys.executable, str(script), "--check"]
    assert subprocess.run(check, capture_output=True).returncode == 1
    subprocess.run([sys.executable, str(script)], check=True)
    assert (docs / "capabilities.md").read_text(encoding="utf-8") == page
    assert subprocess.run(check, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", ["remote_store", *MODULES])
def test_docstring_examples_hold(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.startswith("remote_store.cli"):
        pytest.importorskip("typer")
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert results.failed == 0


@pytest.mark.parametrize("name", ["remote_store", "remote_store._store", "remote_store.aio._store"])
def test_the_main_modules_show_examples(name: str) -> None:
    assert any(found.examples for found in doctest.DocTestFinder().find(importlib.import_module(name)))
