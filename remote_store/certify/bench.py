"""Where a capability is tried, and what its trials have in common."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from remote_store._capabilities import Capability
from remote_store.certify.rules import Untried
from remote_store.certify.view import View

MIB = 1 << 20
ROUNDS = 3


@dataclass
class Bench:
    """A place to try one capability.

    Args:
        view: an empty folder of the store, behind every gate.
        other: the same folder as another client sees it.
        evidence: what was done, and what came back.
    """

    view: View
    other: View
    evidence: list[str] = field(default_factory=list)

    def saw(self, what: str) -> None:
        """Note what was done, and what came back."""
        self.evidence.append(what)

    def needs(self, *capabilities: Capability) -> None:
        """Give up where the store lacks what is needed to look at the outcome."""
        for capability in capabilities:
            if not self.view.supports(capability):
                raise Untried(f"it takes {capability.name} to see")


Probe = Callable[[Bench], Awaitable[None]]
PROBES: dict[Capability, Probe] = {}
"""How each capability is tried; a probe raises RuleBroken where it does not hold."""


def probe(capability: Capability) -> Callable[[Probe], Probe]:
    """Register the probe of a capability."""

    def register(body: Probe) -> Probe:
        PROBES[capability] = body
        return body

    return register


async def for_a_while() -> AsyncIterator[int]:
    """Count for half a second, and to 20 at least: what is rare may show in the next attempt."""
    end, count = time.monotonic() + 0.5, 0
    while count < 20 or time.monotonic() < end:
        yield count
        count += 1


def results(outcomes: list[Any]) -> list[Any]:
    """What racing operations returned; raises what one of them raised."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes
