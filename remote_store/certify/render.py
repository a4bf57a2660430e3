"""A report as Markdown, and as one HTML page."""

from __future__ import annotations

import html as markup
from importlib.resources import files
from typing import TYPE_CHECKING

from remote_store._hints import install
from remote_store._paths import printable
from remote_store.certify.report import CapabilityFinding, CertificationReport

if TYPE_CHECKING:
    from jinja2 import Environment

MARKS = {"proved": "✓", "refuted": "✗", "works undeclared": "+", "absent": "\N{EN DASH}", "not tried": "?"}


def summary(report: CertificationReport) -> str:
    """The outcome in a sentence."""
    kept = sum(rule.outcome == "kept" for rule in report.rules)
    tried = sum(rule.outcome != "not applicable" for rule in report.rules)
    declared = sum(finding.declared for finding in report.capabilities)
    text = f"{len(report.proved)} of {declared} declared capabilities were proved, {kept} of {tried} rules kept"
    if not (report.proved or report.refuted):
        text = f"nothing could be tried; {text}"
    if report.refuted:
        names = ", ".join(finding.capability.name for finding in report.refuted)
        text += f"; declared and refuted: {names}"
    if report.litter:
        text += f"; could not be removed: {printable(', '.join(report.litter[:3]))}"
    return text


def markdown(report: CertificationReport) -> str:
    """The report as Markdown."""
    outcome = markup.escape(summary(report), quote=False)
    where = f"{report.backend} at `{printable(report.place)}`" if report.place else report.backend
    lines = [
        f"# {'Certified' if report.ok else 'Not certified'}: {where}",
        "",
        f"{outcome}. {report.started:%Y-%m-%d %H:%M} UTC, {report.seconds} s, {report.workers} workers.",
        "",
        "| capability | declared | verdict | evidence |",
        "| --- | :-: | --- | --- |",
    ]
    lines += [_row(finding) for finding in report.capabilities]
    if report.notes:
        lines += ["", "## Notes", "", *(f"- {markup.escape(printable(note), quote=False)}" for note in report.notes)]
    for title, outcome in (("Broken rules", "broken"), ("Kept", "kept"), ("Not applicable", "not applicable")):
        found = [rule for rule in report.rules if rule.outcome == outcome]
        if found:
            lines += ["", f"## {title} ({len(found)})", ""]
        for rule in found:
            lines.append(f"- **{rule.name}** ({rule.rule}): {rule.text}")
            if outcome == "broken":
                lines += ["", *(f"      {printable(call)}" for call in rule.evidence), ""]
    if report.litter:
        lines += ["", "## Left behind", "", *(f"- `{printable(path)}`" for path in report.litter)]
    if report.proposal:
        lines += ["", "## Proposed driver", "", "```python", report.proposal.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _row(finding: CapabilityFinding) -> str:
    notes = [markup.escape(printable(note), quote=False) for note in finding.evidence]
    evidence = "<br>".join(notes).replace("|", "\\|")
    declared = "✓" if finding.declared else "\N{EN DASH}"
    return f"| `{finding.capability.name}` | {declared} | {MARKS[finding.verdict]} {finding.verdict} | {evidence} |"


def html(report: CertificationReport) -> str:
    """The report as one page that needs no network; it takes the extra `certify`."""
    source = files("remote_store.certify").joinpath("report.html").read_text(encoding="utf-8")
    return environment().from_string(source).render(report=report, summary=summary(report), marks=MARKS)


def environment() -> Environment:
    """What renders the page; raises an ImportError that says how to install jinja2."""
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise ImportError(f"a report in HTML needs jinja2: {install('jinja2', 'certify')}") from error
    found = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    found.filters["printable"] = printable
    return found
