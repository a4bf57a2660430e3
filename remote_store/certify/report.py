"""What a certification found, as data."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from remote_store._capabilities import Capability

Verdict = Literal["proved", "lie", "works undeclared", "absent", "not tried"]
_FORMATS = {".json": "to_json", ".md": "to_markdown", ".html": "to_html", ".xml": "to_junit"}
Outcome = Literal["kept", "broken", "not applicable"]


@dataclass(frozen=True)
class CapabilityFinding:
    """What became of one capability.

    Args:
        capability: which.
        declared: whether the backend says it has it.
        observed: whether it held when it was tried; None where it could not be tried.
        evidence: what was done, and what came back.
    """

    capability: Capability
    declared: bool
    observed: bool | None
    evidence: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The finding in a word; a capability that is declared and does not hold is a lie."""
        if self.observed is None:
            return "not tried"
        if self.declared:
            return "proved" if self.observed else "lie"
        return "works undeclared" if self.observed else "absent"


@dataclass(frozen=True)
class RuleFinding:
    """What became of one rule of the contract.

    Args:
        name: of the check.
        rule: where it stands in the contract.
        text: the rule in a sentence.
        outcome: whether it was kept.
        evidence: the calls that were made, and what came back; the last ones where they are many.
        seconds: how long it took.
    """

    name: str
    rule: str
    text: str
    outcome: Outcome
    evidence: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class CertificationReport:
    """Which promises a store really keeps.

    Args:
        backend: its name.
        place: where it is, without secrets.
        started: when, UTC.
        seconds: how long it took.
        workers: how many callers raced.
        capabilities: a finding for each.
        rules: a finding for each.
        litter: keys that could not be removed afterwards.
        proposal: Python source of a driver with the profile that was proved, for a filesystem without one.
    """

    backend: str
    place: str
    started: datetime
    seconds: float
    workers: int
    capabilities: tuple[CapabilityFinding, ...]
    rules: tuple[RuleFinding, ...]
    litter: tuple[str, ...] = ()
    proposal: str | None = None

    @property
    def proved(self) -> tuple[CapabilityFinding, ...]:
        """Capabilities that are declared and hold."""
        return tuple(finding for finding in self.capabilities if finding.verdict == "proved")

    @property
    def lies(self) -> tuple[CapabilityFinding, ...]:
        """Capabilities that are declared and do not hold."""
        return tuple(finding for finding in self.capabilities if finding.verdict == "lie")

    @property
    def broken(self) -> tuple[RuleFinding, ...]:
        """Rules that are not kept."""
        return tuple(finding for finding in self.rules if finding.outcome == "broken")

    @property
    def ok(self) -> bool:
        """Whether every declared capability that could be tried holds, one at least, every rule is kept, and nothing
        was left.
        """
        return bool(self.proved) and not (self.lies or self.broken or self.litter)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        data = asdict(self) | {"ok": self.ok, "started": self.started.isoformat()}
        for plain, finding in zip(data["capabilities"], self.capabilities, strict=True):
            plain |= {"capability": finding.capability.value, "verdict": finding.verdict}
        return data

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def to_markdown(self) -> str:
        """The report as Markdown."""
        from remote_store.certify.render import markdown

        return markdown(self)

    def to_html(self) -> str:
        """The report as one page that needs no network."""
        from remote_store.certify.render import html

        return html(self)

    def to_junit(self) -> str:
        """The report as JUnit XML, a test case for each capability and rule."""
        from remote_store.certify.render import junit

        return junit(self)

    def save(self, target: str | os.PathLike[str]) -> None:
        """Write the report in the format that the name asks for.

        Raises:
            ValueError: it ends in none of .json, .md, .html, .xml.
        """
        path = Path(target)
        check_format(path)
        write: Callable[[], str] = getattr(self, _FORMATS[path.suffix])
        path.write_text(write(), encoding="utf-8")


def check_format(target: Path) -> None:
    """Refuse what a report cannot be written as.

    Raises:
        ValueError: its name ends in none of .json, .md, .html, .xml.
    """
    if target.suffix not in _FORMATS:
        raise ValueError(f"a report is written as one of {', '.join(_FORMATS)}, not {target.name!r}")
