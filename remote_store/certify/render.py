"""A report as Markdown, as one HTML page, and as JUnit XML."""

from __future__ import annotations

import html as markup
import xml.etree.ElementTree as ET
from importlib.resources import files

from remote_store._hints import install
from remote_store._paths import printable
from remote_store.certify.report import CapabilityFinding, CertificationReport

MARKS = {"proved": "✓", "lie": "✗", "works undeclared": "+", "absent": "\N{EN DASH}", "not tried": "?"}


def summary(report: CertificationReport) -> str:
    """The outcome in a sentence."""
    kept = sum(rule.outcome == "kept" for rule in report.rules)
    tried = sum(rule.outcome != "not applicable" for rule in report.rules)
    declared = sum(finding.declared for finding in report.capabilities)
    text = f"{len(report.proved)} of {declared} declared capabilities were proved, {kept} of {tried} rules kept"
    if not (report.proved or report.lies):
        text = f"nothing could be tried; {text}"
    if report.lies:
        names = ", ".join(finding.capability.name for finding in report.lies)
        text += f"; declared but not so: {names}"
    if report.litter:
        text += f"; what could not be removed: {printable(', '.join(report.litter[:3]))}"
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
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise ImportError(f"to_html needs jinja2: {install('jinja2', 'certify')}") from error
    source = files("remote_store.certify").joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["printable"] = printable
    return environment.from_string(source).render(report=report, summary=summary(report), marks=MARKS)


def junit(report: CertificationReport) -> str:
    """The report as JUnit XML: a suite of capabilities and one of rules."""
    root = ET.Element("testsuites", name="remote-store certify")
    capabilities = ET.SubElement(root, "testsuite", name="capabilities")
    for finding in report.capabilities:
        case = ET.SubElement(capabilities, "testcase", classname=report.backend, name=finding.capability.name)
        if finding.verdict == "lie":
            _told(case, "failure", finding.evidence)
        elif finding.verdict != "proved":
            _told(case, "skipped", (finding.verdict,))
    rules = ET.SubElement(root, "testsuite", name="rules")
    for rule in report.rules:
        case = ET.SubElement(rules, "testcase", classname=report.backend, name=rule.name, time=str(rule.seconds))
        if rule.outcome == "broken":
            _told(case, "failure", rule.evidence)
        elif rule.outcome == "not applicable":
            _told(case, "skipped", (rule.outcome,))
    for suite in (capabilities, rules):
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _told(case: ET.Element, what: str, notes: tuple[str, ...]) -> None:
    shown = [printable(note) for note in notes]
    ET.SubElement(case, what, message=shown[-1] if shown else what).text = "\n".join(shown)
