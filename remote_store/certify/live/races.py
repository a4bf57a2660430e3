"""Racing copies and moves, of which services let one win, or all: no capability is about them."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists
from remote_store.certify.rules import Noted, Untried, broken, equal, live
from remote_store.certify.view import View

RULE = "EXCLUSIVE"
ROUNDS = 2
NEEDS = (Capability.READ, Capability.WRITE, Capability.EXCLUSIVE_CREATE)


@live(RULE, *NEEDS, Capability.COPY)
async def one_racing_copy_wins(view: View) -> str:
    """Of racing copies to one name with `overwrite=False` one succeeds, where the service judges copies."""
    return await _raced(view, "copy", "copies")


@live(RULE, *NEEDS, Capability.MOVE)
async def one_racing_move_wins(view: View) -> str:
    """Of racing moves to one name with `overwrite=False` one succeeds, where the service judges moves."""
    if view.supports(Capability.ATOMIC_MOVE):
        raise Untried("one_mover_wins tries moves that are one step")
    return await _raced(view, "move", "moves")


async def _raced(view: View, verb: str, verbs: str) -> str:
    def start(round_: int, index: int) -> Awaitable[None]:
        call = getattr((view, view.other)[index % 2], verb)
        started: Awaitable[None] = call(_source(verb, round_, index), f"target/{round_}")
        return started

    for round_ in range(ROUNDS):
        if round_ == 0 or verb == "move":
            await view.together([partial(view.write, _source(verb, round_, i), b"%d" % i) for i in range(view.workers)])
        results = await view.race([partial(start, round_, index) for index in range(view.workers)])
        won = [index for index, result in enumerate(results) if not isinstance(result, BaseException)]
        if not won:
            broken(f"none of {len(results)} racing {verbs} succeeded: {results}")
        if (found := await view.read_bytes(f"target/{round_}")) not in [b"%d" % index for index in won]:
            broken(f"after racing {verbs} the target has {found!r}, which none of those had that succeeded: {won}")
        if len(won) > 1:
            raise Noted(
                f"{len(won)} of {len(results)} racing {verbs} to one name with overwrite=False succeeded: the service"
                f" does not judge {verbs}, so they decide nothing between clients"
            )
        losers = {type(result) for result in results if isinstance(result, BaseException)}
        equal(losers, {AlreadyExists}, "what the losers got")
    return f"one of {view.workers} racing {verbs} won, {ROUNDS} times"


def _source(verb: str, round_: int, index: int) -> str:
    return f"source/{round_ if verb == 'move' else 0}/{index}"
