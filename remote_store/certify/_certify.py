"""Certification: every capability and every rule, tried on a live store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from remote_store._capabilities import Capability
from remote_store._paths import redact
from remote_store._store import Store
from remote_store.aio._store import AsyncStore
from remote_store.certify import live
from remote_store.certify._scratch import Recorder, another_client, nature, scratch, shortened, ungated
from remote_store.certify.checks import CHECKS, absent
from remote_store.certify.probes import PROBES, Bench, Untried
from remote_store.certify.proposal import proposed_driver
from remote_store.certify.report import CapabilityFinding, CertificationReport, RuleFinding
from remote_store.certify.rules import Check, RuleBroken
from remote_store.certify.view import View
from remote_store.engine.run import finish

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

    Nothing outside that folder is touched. It takes some thousand requests and about 100 MiB of traffic.

    Args:
        store: where to try it.
        workers: how many callers race.
        missing: a store in a container that does not exist, to see how that reads.
        denied: a store with credentials that may not read or write, to see that a refusal is told as such.
        progress: told what is tried next.

    Returns:
        A report; `report.ok` is whether every declared capability was proved, and every rule kept.

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
    report: CertificationReport = finish(run())
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
            async with scratch(self.store) as (name, litter):
                self._open = ungated(self.store)
                self._other, self._folder = other or self.store, name
                # Without DELETE what is written would stay for ever.
                self._writes = all(self.store.supports(c) for c in (Capability.WRITE, Capability.DELETE))
                view = View(self.store).child(f"{name}/nature")
                self._nature = await nature(view) if self._writes else {}
                self._done = 0
                capabilities = tuple([await self._capability(capability) for capability in Capability])
                rules = tuple([await self._rule(check) for check in CHECKS])
                rules += tuple([finding async for finding in self._live()])
        finally:
            if other is not None:
                await (other.aclose() if isinstance(other, AsyncStore) else View(other).close())
        seconds = round(time.perf_counter() - clock, 1)
        place = redact(self.store.resolve("").native_path)
        found = self.store.resolve("").backend, place, started, seconds, self.workers, capabilities, rules
        return CertificationReport(*found, tuple(litter), proposed_driver(self.store, capabilities))

    def _next(self, what: str) -> None:
        if self.stopped:
            raise asyncio.CancelledError
        if self.progress is not None:
            self.progress(what, self._done, len(Capability) + len(CHECKS) + 4)
        self._done += 1

    async def _capability(self, capability: Capability) -> CapabilityFinding:
        self._next(capability.name)
        declared = self.store.supports(capability)
        place = f"{self._folder}/{capability.value}"
        tried = self.store if declared else self._open
        bench = Bench(View(tried.child(place), **self._nature), View(self._other.child(place)), self.workers)
        observed: bool | None = False
        try:
            if not self._writes:
                raise Untried("it takes WRITE and DELETE to try anything, and to leave nothing")
            await PROBES[capability](bench)
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
        view = Recorder(self.store.child(f"{self._folder}/{check.name}"), **self._nature)
        if not self._writes or not check.applies(view):
            return RuleFinding(check.name, check.rule, check.text, "not applicable")
        return await self._judge(check.name, check.rule, check.text, lambda: check(view), view)

    async def _live(self) -> AsyncIterator[RuleFinding]:
        place = f"{self._folder}/live"
        view = Recorder(self.store.child(place), **self._nature)
        yield await self._with("CAP", absent.refuses_what_it_lacks, view)
        if self._writes and self.store.supports(Capability.READ):
            other = View(self._other.child(place))
            yield await self._with("RULE-9", live.changes_of_another_client_show_at_once, view, other)
        if self.missing is not None:
            yield await self._with("FLAT", live.a_missing_container_reads_as_a_missing_path, Recorder(self.missing))
        if self.denied is not None:
            yield await self._with("ERR", live.a_refusal_is_no_absence, Recorder(self.denied))

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
        try:
            await attempt()
        except RuleBroken as error:
            problem = (shortened(str(error), 500),)
        except Exception as error:
            problem = (shortened(f"{type(error).__name__}: {error}", 500),)
        seconds = round(time.perf_counter() - clock, 3)
        return RuleFinding(name, rule, text, "broken" if problem else "kept", (*view.calls, *problem), seconds)
