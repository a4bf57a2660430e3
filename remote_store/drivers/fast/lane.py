"""What the fast lane needs to know of a service."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from remote_store.drivers.base import WriteOptions


class Tried(NamedTuple):
    """How a try of a request failed, after the service may have got it.

    Args:
        status: of HTTP that it was answered with; 0 where no answer came.
        body: of the answer.
        timed_out: whether it took too long.
        lacking: what an answer lacks that was a success.
    """

    status: int = 0
    body: str = ""
    timed_out: bool = False
    lacking: str = ""


class Lane(Protocol):
    """The way to one container by obstore, with the settings and credentials of the wire below.

    Attributes:
        reads: whether obstore may read; it follows redirects, which must not take secrets to other hosts.
    """

    @property
    def reads(self) -> bool: ...

    async def open(self) -> None:
        """Make ready; called on the loop before each request, once the wire below is open."""

    def ready(self) -> bool:
        """Whether `store` can be asked for."""

    def fresh(self) -> bool:
        """Whether it can be without `open`, which would have something to wait for, such as new credentials."""

    def store(self, timeout: float) -> Any:
        """The store of obstore, whose connections have this timeout [s]."""

    def attributes(self, options: WriteOptions) -> dict[str, str] | None:
        """Content type and user metadata of a write as obstore takes them; None where it cannot.

        Raises:
            ValueError: the service cannot keep them.
        """

    def metadata(self, attributes: Mapping[str, str]) -> dict[str, str] | None:
        """User metadata as they were before `attributes`."""

    def begun(self, tried: Tried) -> AbstractContextManager[None]:
        """Let what is sent through the wire below, meanwhile, go on after a first try that failed so."""
