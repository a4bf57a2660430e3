"""What goes wrong at a service that is a dict, and what others do to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpers.dictwire import Act, DictError, DictWire
from remote_store import RemoteStoreError
from remote_store.certify.view import View
from remote_store.drivers.base import WriteOptions
from remote_store.drivers.objects.wire import Meaning

PART = 100
"""Content up to here is one request [bytes]."""


def parts(view: View, count: int = 3, end: bytes = b"end") -> Any:
    return view.stream([*(bytes([number]) * PART for number in range(count)), end])


def verbs(wire: DictWire) -> list[str]:
    return [request.partition(" ")[0] for request in wire.requests]


class Hooked:
    """Does something with the requests of one verb, and counts them.

    Args:
        wire: the service.
        verb: of the requests.
        work: given their number, from 1, and what carries them out.
    """

    def __init__(self, wire: DictWire, verb: str, work: Callable[[int, Act], Any]) -> None:
        self._verb, self._work = verb, work
        self.asked = 0
        wire.hook = self

    async def __call__(self, verb: str, name: str, act: Act) -> Any:
        if verb != self._verb:
            return act()
        self.asked += 1
        return self._work(self.asked, act)


def refuse(meaning: Meaning, *, lost: bool = False, error: type[RemoteStoreError] = RemoteStoreError) -> Any:
    raise DictError(meaning, error, lost=lost)


def put(wire: DictWire, name: str, data: bytes, **metadata: str) -> None:
    """What another writer stores meanwhile."""
    wire.store(name, data, WriteOptions(True, metadata or None))


def unheard(meaning: Meaning, instead: Callable[[], object] | None = None) -> Callable[[int, Act], Any]:
    """Carries the first request out, or does something instead, and then refuses it as if it were tried again."""

    def work(number: int, act: Act) -> Any:
        (instead or act)()
        refuse(meaning, lost=True)

    return work
