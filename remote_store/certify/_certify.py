"""Certification: every capability and every rule, tried on a live store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from remote_store._capabilities import Capability
from remote_store._paths import redact
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.certify import live
from remote_store.certify._scratch import Maker, Recorder, another_client, nature, scratch, sees, shortened, ungated
from remote_store.certify.checks import CHECKS, absent
from remote_store.certify.probes import PROBES, Bench
from remote_store.certify.probes.present import PRESENT
from remote_store.certify.proposal import proposed_driver
from remote_store.certify.report import CapabilityFinding, CertificationReport, Outcome, RuleFinding
from remote_store.certify.rules import Check, RuleBroken, Untried
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

Progress = Callable[[str, int, int], None]
"""Called with what is tried next, how much is done, and how much there is."""


def certify(
    store: Store,
    *,
    workers: int = 16,
    missing: Store | None = None,
    denied: Store | None = None,
    progress: Progress | None = None,
) -> CertificationReport:
    """Try the contract on a live store, in a folder of its own that is removed afterwards.

    Nothing outside that folder is touched. It takes a few thousand requests and about 200 MiB of traffic.

    Args:
        store: where to try it.
        workers: how many callers race.
        missing: a store in a container that does not exist, to see how that reads.
        denied: a store with credentials that may not read or write, to see that a refusal is told as such.
        progress: told what is tried next.

    Returns:
        A report; `report.ok` is whether declared capabilities were proved, none failed, and every rule was kept.

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
    """The twin of `certify` for an `AsyncStore`: the same trials, on the caller's event loop.

    A cancellation waits for the trial under way, and for the folder's removal.
    """
    run = _Certification(store, workers, missing, denied, progress)
    work = asyncio.ensure_future(run())
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        run.stopped = True  # And not cancelled, because a write in a thread would go on, and outlive the removal.
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
        other = another_client(self.store)
        try:
            async with scratch(self.store) as (self._folder, self._made, litter):
                self._open, self._done = ungated(self.store), 0
                await self._look_around(other)
                capabilities = tuple([await self._capability(capability) for capability in Capability])
                rules = tuple([await self._rule(check) for check in CHECKS])
                rules += tuple([finding async for finding in self._live()])
        finally:
            if other is not None:
                with suppress(Exception):  # A report that was made must not be lost.
                    await (other.aclose() if isinstance(other, AsyncStore) else View(other).close())
        seconds = round(time.perf_counter() - clock, 1)
        place = redact(self.store.resolve("").native_path)
        found = self.store.resolve("").backend, place, started, seconds, self.workers, capabilities, rules
        return CertificationReport(*found, tuple(litter), proposed_driver(self.store, capabilities))

    async def _look_around(self, other: Store | AsyncStore | None) -> None:
        # Without DELETE what is written would stay for ever.
        self._writes = all(self.store.supports(c) for c in (Capability.WRITE, Capability.DELETE))
        self._other, self._nature = self.store, dict[str, Any](workers=self.workers)
        if not self._writes:
            return
        self._nature |= await nature(self._view(self.store, "nature"))
        if other is not None and await sees(self._view(other, "twins"), self._view(self.store, "twins")):
            self._other = other

    def _view(self, store: Store | AsyncStore, place: str) -> Maker:
        return Maker(store.child(f"{self._folder}/{place}"), self._made, **self._nature)

    def _recorder(self, place: str) -> Recorder:
        return Recorder(self.store.child(f"{self._folder}/{place}"), self._made, **self._nature)

    def _next(self, what: str) -> None:
        if self.stopped:
            raise asyncio.CancelledError
        if self.progress is not None:
            self.progress(what, self._done, len(Capability) + len(CHECKS) + 4)
        self._done += 1

    async def _capability(self, capability: Capability) -> CapabilityFinding:
        self._next(capability.name)
        declared = self.store.supports(capability)
        tried, place = self.store if declared else self._open, capability.value
        bench = Bench(self._view(tried, place), self._view(self._other, place))
        observed: bool | None = False
        try:
            if self._writes:
                await PROBES[capability](bench)
            elif declared and capability in PRESENT:
                bench.view = View(self.store)
                await PRESENT[capability](bench)
            else:
                raise Untried("it takes WRITE and DELETE to try it, and to leave nothing")
            observed = True
        except Untried as reason:
            observed = None
            bench.saw(f"not tried: {reason}")
        except RuleBroken as reason:
            bench.saw(shortened(str(reason), 200))
        except Exception as error:
            bench.saw(shortened(f"{type(error).__name__}: {error}", 200))
        return CapabilityFinding(capability, declared, observed, tuple(bench.evidence))

    async def _rule(self, check: Check) -> RuleFinding:
        self._next(check.name)
        view = self._recorder(check.name)
        if not self._writes or not check.applies(view):
            return RuleFinding(check.name, check.rule, check.text, "not applicable")
        return await self._judge(check.name, check.rule, check.text, lambda: check(view), view)

    async def _live(self) -> AsyncIterator[RuleFinding]:
        view = self._recorder("live")
        yield await self._with("CAP", absent.refuses_what_it_lacks, view)
        if self._writes and self.store.supports(Capability.READ):
            other = self._view(self._other, "live")
            yield await self._with("RULE-9", live.changes_of_another_client_show_at_once, view, other)
        for store, place, rule in (
            (self.missing, "FLAT", live.a_missing_container_reads_as_a_missing_path),
            (self.denied, "ERR", live.a_refusal_is_no_absence),
        ):
            if store is not None:
                yield await self._with(place, rule, Recorder(store, set()))

    async def _with(
        self, place: str, rule: Callable[..., Awaitable[object]], view: Recorder, *more: View
    ) -> RuleFinding:
        self._next(rule.__name__)
        text = (rule.__doc__ or "").strip().split("\n")[0]
        return await self._judge(rule.__name__, place, text, lambda: rule(view, *more), view)

    async def _judge(
        self, name: str, rule: str, text: str, attempt: Callable[[], Awaitable[object]], view: Recorder
    ) -> RuleFinding:
        clock, problem = time.perf_counter(), tuple[str, ...]()
        outcome: Outcome = "broken"
        try:
            await attempt()
            outcome = "kept"
        except Untried as reason:
            outcome, problem = "not applicable", (f"not tried: {reason}",)
        except RuleBroken as error:
            problem = (shortened(str(error), 500),)
        except Exception as error:
            problem = (shortened(f"{type(error).__name__}: {error}", 500),)
        seconds = round(time.perf_counter() - clock, 3)
        return RuleFinding(name, rule, text, outcome, (*view.calls, *problem), seconds)
