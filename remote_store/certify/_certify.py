"""Certification: every capability and every rule, tried on a live store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from remote_store._capabilities import Capability
from remote_store._paths import redact
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.certify._scratch import Recorder, another_client, kind_of_names, scratch, sees, shortened, ungated
from remote_store.certify.checks import CHECKS
from remote_store.certify.live import (
    LIVE,
    a_missing_container_reads_as_a_missing_path,
    a_refusal_is_no_absence,
    races,
)
from remote_store.certify.probes import PRESENT, PROBES
from remote_store.certify.proposal import proposed_driver
from remote_store.certify.report import CapabilityFinding, CertificationReport, Outcome, RuleFinding
from remote_store.certify.rules import Check, Noted, RuleBroken, Untried
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

Progress = Callable[[str, int, int], None]
"""Called with the name of what is tried next, how many are done, and how many there are."""


def certify(
    store: Store,
    *,
    workers: int = 16,
    missing: Store | None = None,
    denied: Store | None = None,
    progress: Progress | None = None,
) -> CertificationReport:
    """Try the contract on a live store, in a new folder that is removed afterwards.

    Nothing outside that folder is touched. It takes a few thousand requests and about 200 MiB of traffic.

    Args:
        store: where to try it.
        workers: how many callers race.
        missing: a store in a container that does not exist, to see how that reads.
        denied: a store with credentials that may not read or write, to see that a refusal is PermissionDenied.
        progress: called before each check.

    Returns:
        A report; `report.ok` is whether declared capabilities were proved, none was refuted, and every rule was kept.

    Raises:
        ValueError: fewer than two workers.
        RemoteStoreError: the store does not answer at all.

    Example:
        >>> from remote_store import Store
        >>> from remote_store.backends import MemoryBackend
        >>> from remote_store.certify import certify
        >>> certify(Store(MemoryBackend())).ok
        True
    """
    run = _Certification(store, workers, missing, denied, progress)
    report: CertificationReport = run_to_end(run())
    return report


async def certify_async(
    store: AsyncStore,
    *,
    workers: int = 16,
    missing: AsyncStore | None = None,
    denied: AsyncStore | None = None,
    progress: Progress | None = None,
) -> CertificationReport:
    """Try the contract on a live `AsyncStore`, on the caller's event loop; see `certify`.

    A cancellation waits for the check under way, and for the folder's removal.
    """
    run = _Certification(store, workers, missing, denied, progress)
    work = asyncio.ensure_future(run())
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        run.stopped = True  # Not cancelled: a write in a thread would go on, and outlive the folder's removal.
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # Seen.
        raise


@dataclass
class _Certification:
    store: Store | AsyncStore
    workers: int
    missing: Store | AsyncStore | None
    denied: Store | AsyncStore | None
    progress: Progress | None
    stopped: bool = False

    async def __call__(self) -> CertificationReport:
        if self.workers < 2:
            raise ValueError("workers must be at least 2: one cannot race")
        started, clock = datetime.now(UTC), time.perf_counter()
        await View(self.store).ping()
        other, self._promised = another_client(self.store), frozenset(filter(self.store.supports, Capability))
        try:
            async with scratch(self.store) as (self._folder, self._keys, litter):
                self._open, self._done = ungated(self.store), 0
                await self._look_around(other)
                self._rules = {check.name: await self._rule(check, self._view(check.name)) for check in CHECKS}
                capabilities = tuple([await self._capability(capability) for capability in Capability])
                await self._live(capabilities)
        finally:
            if other is not None:
                with suppress(Exception):  # A report that was made must not be lost.
                    await (other.aclose() if isinstance(other, AsyncStore) else View(other).close())
        seconds = round(time.perf_counter() - clock, 1)
        place, rules = redact(self.store.resolve("").native_path), tuple(self._rules.values())
        found = self.store.resolve("").backend, place, started, seconds, self.workers, capabilities, rules
        return CertificationReport(*found, tuple(litter), proposed_driver(self.store, capabilities))

    async def _look_around(self, other: Store | AsyncStore | None) -> None:
        # Without DELETE what is written would stay for ever.
        self._writes = all(self.store.supports(c) for c in (Capability.WRITE, Capability.DELETE))
        self._other, self._names = self.store, dict[str, Any](workers=self.workers)
        if not self._writes:
            return
        self._names |= await kind_of_names(self._view("names"))
        if other is not None and await sees(self._recorder(other, "twins"), self._view("twins")):
            self._other = other

    def _recorder(self, store: Store | AsyncStore, place: str, other: View | None = None) -> Recorder:
        return Recorder(store.child(f"{self._folder}/{place}"), self._keys, other, **self._names)

    def _view(self, place: str, store: Store | AsyncStore | None = None) -> Recorder:
        """An empty folder, of the store unless another is given, and as another client sees it."""
        return self._recorder(store or self.store, place, self._recorder(self._other, place))

    def _next(self, what: str) -> None:
        if self.stopped:
            raise asyncio.CancelledError
        if self.progress is not None:
            self.progress(what, self._done, len(Capability) + len(CHECKS) + len(LIVE))
        self._done += 1

    async def _rule(self, check: Check, view: Recorder) -> RuleFinding:
        self._next(check.name)
        if (check.needs and not self._writes) or not check.applies(view):
            return _not_applicable(check)
        return await _judged(check, view)

    async def _live(self, capabilities: tuple[CapabilityFinding, ...]) -> None:
        refuted = {finding.capability for finding in capabilities if finding.verdict == "refuted"}
        given = {a_missing_container_reads_as_a_missing_path: self.missing, a_refusal_is_no_absence: self.denied}
        for check in sorted(LIVE, key=lambda check: check in given):
            if check not in given:
                if check.rule == races.RULE and refuted & check.needs:
                    self._rules[check.name] = _not_applicable(check, "not tried: writes are not exclusive either")
                else:
                    self._rules[check.name] = await self._rule(check, self._view(check.name))
            elif (store := given[check]) is not None:
                self._rules[check.name] = await self._rule(check, Recorder(store, set()))

    async def _capability(self, capability: Capability) -> CapabilityFinding:
        """Try a capability by the rules that prove it and by its probe, until one is broken if it is not declared."""
        self._next(capability.name)
        declared = self.store.supports(capability)
        findings = list[RuleFinding]()
        for check in (*CHECKS, *PROBES) if self._writes else PRESENT if declared else ():
            if capability in check.proves:
                findings.append(await self._trial(check, capability, declared))
                if findings[-1].outcome == "broken" and not declared:
                    break
        note = "declared, until the storage was looked at" if capability in self._promised and not declared else ""
        return replace(_summed_up(capability, declared, findings), note=note)

    async def _trial(self, check: Check, capability: Capability, declared: bool) -> RuleFinding:
        if lacking := [need.name for need in check.lacks(View(self.store)) if need is not capability]:
            return _not_applicable(check, f"not tried: it takes {' and '.join(lacking)} to see")
        if declared and check.name in self._rules:
            return self._rules[check.name]
        place = f"{capability.value}/{check.name}"
        view = self._view(place, None if declared else self._open) if self._writes else Recorder(self.store, set())
        return await _judged(check, view) if check.applies(view) else _not_applicable(check)


def _not_applicable(check: Check, *why: str) -> RuleFinding:
    return RuleFinding(check.name, check.rule, check.text, "not applicable", why)


async def _judged(check: Check, view: Recorder) -> RuleFinding:
    clock, notes, note = time.perf_counter(), tuple[str, ...](), ""
    outcome: Outcome = "broken"
    try:
        saw = await check(view)
        outcome, notes = "kept", (saw,) if isinstance(saw, str) else ()
    except Untried as reason:
        outcome, notes = "not applicable", (f"not tried: {reason}",)
    except Noted as seen:
        outcome, note = "not applicable", str(seen)
        notes = (note,)
    except RuleBroken as error:
        notes = (shortened(str(error), 500),)
    except Exception as error:
        notes = (shortened(f"{type(error).__name__}: {error}", 500),)
    seconds = round(time.perf_counter() - clock, 3)
    return RuleFinding(check.name, check.rule, check.text, outcome, (*view.calls, *notes), seconds, note)


def _summed_up(capability: Capability, declared: bool, findings: list[RuleFinding]) -> CapabilityFinding:
    """What rules and probes found, as evidence for a capability."""
    kept, broken, untried = (
        [finding for finding in findings if finding.outcome == outcome]
        for outcome in ("kept", "broken", "not applicable")
    )
    rules = ", ".join(finding.name for finding in kept if finding.rule)
    notes = [f"rules kept: {rules}"] if rules else []
    notes += [finding.evidence[-1] for finding in kept if not finding.rule]
    notes += dict.fromkeys(note for finding in untried for note in finding.evidence[-1:])
    notes += [f"{finding.name}: {shortened(finding.evidence[-1], 200)}" for finding in broken]
    observed = not broken if kept or broken else None
    if observed is None and not notes:
        notes = ["not tried: it takes WRITE and DELETE to try it, and to leave nothing behind"]
    return CapabilityFinding(capability, declared, observed, tuple(notes))
