"""What a check is: a rule of the contract, the capabilities that it proves, and a coroutine that tries it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from remote_store._capabilities import Capability
from remote_store._errors import RemoteStoreError
from remote_store.certify.view import View

E = TypeVar("E", bound=BaseException)
Body = Callable[[View], Awaitable[object]]
MIB = 1 << 20


class RuleBroken(AssertionError):
    """A store does not keep a rule of the contract."""


class Untried(Exception):
    """A rule, or a capability, cannot be tried on this store; the message says why."""


class Noted(Exception):
    """A store does what no promise of it is against, and what its users should know; the message says it."""


@dataclass(frozen=True)
class Check:
    """One rule, tried on a fresh store.

    Args:
        name: of the rule, as a statement.
        rule: where it stands: section of the contract, such as `"PATH"`, or an ID; `""` for what no rule says.
        proves: capabilities that do not hold where the rule is broken.
        needs: capabilities without which it cannot be tried, those that it proves among them.
        hierarchical: whether it is about names that are a file or a folder, never both.
        empty_folders: whether it is about folders that outlive their files.
        body: the coroutine; a text that it returns is evidence.
    """

    name: str
    rule: str
    proves: frozenset[Capability]
    needs: frozenset[Capability]
    hierarchical: bool
    empty_folders: bool
    body: Body

    @property
    def text(self) -> str:
        """The rule in a sentence."""
        return (self.body.__doc__ or self.name).strip().split("\n")[0]

    def lacks(self, view: View) -> list[Capability]:
        """The capabilities that it takes to try the rule, and that the store does not have."""
        return [capability for capability in Capability if capability in self.needs and not view.supports(capability)]

    def applies(self, view: View) -> bool:
        """Whether the store has what the rule is about."""
        if (self.hierarchical and not view.hierarchical) or (self.empty_folders and not view.empty_folders):
            return False
        return not self.lacks(view)

    async def __call__(self, view: View) -> object:
        """Try the rule; raises `RuleBroken`."""
        return await self.body(view)


CHECKS: list[Check] = []
"""Every rule that takes one store to try."""
LIVE: list[Check] = []
"""Rules about another client, a missing container, or other credentials."""
PROBES: list[Check] = []
"""What no rule shows of a capability: large content, long listings, other clients, what a method fetches."""
PRESENT: list[Check] = []
"""What files that are there show of a capability, where nothing may be written or removed."""

READ_WRITE = frozenset({Capability.READ, Capability.WRITE})


def check(
    rule: str,
    *proves: Capability,
    needs: Collection[Capability] = (),
    hierarchical: bool = False,
    empty_folders: bool = False,
) -> Callable[[Body], Check]:
    """Register a coroutine as the check of a rule; it needs READ and WRITE beside `proves` and `needs`."""
    return _listed(CHECKS, rule, proves, (*READ_WRITE, *needs), hierarchical, empty_folders)


def live(rule: str, *needs: Capability) -> Callable[[Body], Check]:
    """Register a coroutine as the check of a rule that takes more than one store."""
    return _listed(LIVE, rule, (), needs)


def probe(proves: Capability, *needs: Capability) -> Callable[[Body], Check]:
    """Register a coroutine that shows a capability; it returns what it saw."""
    return _listed(PROBES, "", (proves,), needs)


def present(proves: Capability, *needs: Capability) -> Callable[[Body], Check]:
    """Register a coroutine that shows a capability without writing; it returns what it saw."""
    return _listed(PRESENT, "", (proves,), needs)


def _listed(
    checks: list[Check],
    rule: str,
    proves: Collection[Capability],
    needs: Collection[Capability],
    hierarchical: bool = False,
    empty_folders: bool = False,
) -> Callable[[Body], Check]:
    def register(body: Body) -> Check:
        needed = frozenset({*proves, *needs})
        checks.append(Check(body.__name__, rule, frozenset(proves), needed, hierarchical, empty_folders, body))
        return checks[-1]

    return register


def broken(message: str) -> NoReturn:
    """Say how a rule is broken."""
    raise RuleBroken(message)


def equal(found: Any, expected: Any, what: str) -> None:
    """Broken unless `found == expected`."""
    if found != expected:
        broken(f"{what}: expected {expected!r}, found {found!r}")


def true(condition: object, what: str) -> None:
    """Broken unless `condition`."""
    if not condition:
        broken(what)


def winner(results: Sequence[object], what: str) -> int:
    """Which of racing operations succeeded; broken unless one did."""
    winners = [index for index, result in enumerate(results) if not isinstance(result, BaseException)]
    if len(winners) != 1:
        broken(f"{len(winners)} of {len(results)} {what} succeeded, and one should have: {results}")
    return winners[0]


async def raises(kind: type[E], attempt: Awaitable[Any] | AsyncIterator[Any], what: str, stem: str = "") -> E:
    """Broken unless the attempt, or iterating over it, raises just `kind` with `stem` in its message."""
    try:
        if isinstance(attempt, AsyncIterator):
            outcome = [item async for item in attempt]
        else:
            outcome = await attempt
    except kind as error:
        _well_formed(error, kind, what, stem)
        return error
    except Exception as error:
        raise RuleBroken(f"{what}: expected {kind.__name__}, got {error!r}") from error
    broken(f"{what}: expected {kind.__name__}, got {outcome!r}")


async def refused(kind: type[E], attempt: Callable[[], Any], what: str, stem: str = "") -> E:
    """Like `raises` for calls that may refuse at once or when awaited."""
    try:
        pending = attempt()
    except kind as error:
        _well_formed(error, kind, what, stem)
        return error
    return await raises(kind, pending, what, stem)


def _well_formed(error: BaseException, kind: type[BaseException], what: str, stem: str) -> None:
    if stem.lower() not in str(error).lower():
        broken(f"{what}: the message {str(error)!r} lacks {stem!r}")
    if isinstance(error, RemoteStoreError):
        true(type(error) is kind, f"{what}: expected {kind.__name__} itself, got {type(error).__name__}")
        true(error.path is not None and error.backend, f"{what}: path and backend must be set on {error!r}")


async def collect(items: AsyncIterator[Any]) -> list[str]:
    """The paths of a listing, sorted."""
    return sorted([str(item.path) async for item in items])


async def content(view: View, path: str, **options: Any) -> bytes:
    """What `read` streams."""
    return b"".join([chunk async for chunk in view.read(path, **options)])
