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

Verdict = Literal["proved", "refuted", "works undeclared", "absent", "not tried"]
_FORMATS = {".json": "to_json", ".md": "to_markdown", ".html": "to_html"}
Outcome = Literal["kept", "broken", "not applicable"]


@dataclass(frozen=True)
class CapabilityFinding:
    """What was found out about one capability.

    Args:
        capability: which.
        declared: whether the backend says that it has it.
        observed: whether it held when it was tried; None where it could not be tried.
        evidence: the rules that were kept, what was seen beside them, and which rules were broken and how.
        note: what its users should know, and what refutes nothing.
    """

    capability: Capability
    declared: bool
    observed: bool | None
    evidence: tuple[str, ...] = ()
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """The finding in a word; a capability that is declared and does not hold is refuted."""
        if self.observed is None:
            return "not tried"
        if self.declared:
            return "proved" if self.observed else "refuted"
        return "works undeclared" if self.observed else "absent"


@dataclass(frozen=True)
class RuleFinding:
    """What was found out about one rule of the contract.

    Args:
        name: of the check.
        rule: where it stands in the contract.
        text: the rule in a sentence.
        outcome: whether it was kept.
        evidence: the last calls that were made, each with its result, and what was wrong.
        seconds: how long it took.
        note: what users of the store should know, and what breaks no promise.
    """

    name: str
    rule: str
    text: str
    outcome: Outcome
    evidence: tuple[str, ...] = ()
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class CertificationReport:
    """Which promises a store keeps.

    Args:
        backend: its name.
        place: where it is, without secrets.
        started: when, UTC.
        seconds: how long it took.
        workers: how many callers raced.
        capabilities: a finding for each.
        rules: a finding for each.
        litter: keys that could not be removed afterwards.
        proposal: Python source of a driver with the capabilities that were proved, for a filesystem without one.
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
    def refuted(self) -> tuple[CapabilityFinding, ...]:
        """Capabilities that are declared and do not hold."""
        return tuple(finding for finding in self.capabilities if finding.verdict == "refuted")

    @property
    def broken(self) -> tuple[RuleFinding, ...]:
        """Rules that are not kept."""
        return tuple(finding for finding in self.rules if finding.outcome == "broken")

    @property
    def notes(self) -> tuple[str, ...]:
        """What users of the store should know, and what breaks no promise of it."""
        noted = [(finding.capability.name, finding.note) for finding in self.capabilities]
        noted += [(finding.name, finding.note) for finding in self.rules]
        return tuple(f"{name}: {note}" for name, note in noted if note)

    @property
    def ok(self) -> bool:
        """Whether the store is certified: a declared capability was proved, none was refuted, every rule that could be
        tried is kept, and nothing is left behind.
        """
        return bool(self.proved) and not (self.refuted or self.broken or self.litter)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        data = asdict(self) | {"ok": self.ok, "started": self.started.isoformat(), "notes": list(self.notes)}
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

    def save(self, target: str | os.PathLike[str]) -> None:
        """Write the report in the format that the name asks for.

        Raises:
            ValueError, ImportError: see `check_target`.
        """
        path = Path(target)
        check_target(path)
        write: Callable[[], str] = getattr(self, _FORMATS[path.suffix])
        path.write_text(write(), encoding="utf-8")


def check_target(target: Path) -> None:
    """Refuse, before minutes of work, a file to which a report cannot be written.

    Raises:
        ValueError: its name ends in none of .json, .md, .html, or its folder does not exist.
        ImportError: HTML takes a package that is not installed.
    """
    if target.suffix not in _FORMATS:
        raise ValueError(f"a report is one of {', '.join(_FORMATS)}, not {target.name!r}")
    if not target.parent.is_dir():
        raise ValueError(f"there is no folder {target.parent} for the report")
    if target.suffix == ".html":
        from remote_store.certify.render import environment

        environment()
