"""What the doubles of services have in common: an endpoint, what it was asked, and hooks that see requests first."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from servers.double_answers import Answer, Hook, Request

_serial = itertools.count()


@dataclass
class Double:
    """A server.

    Attributes:
        endpoint: URL.
        requests: method, and path and query as they were sent, of each request, where the server counts.
        hook: sees each request first, where the server counts.
        pid: its process, where it has one of its own.
    """

    endpoint: str = ""
    requests: list[str] = field(default_factory=list, repr=False)
    hook: Hook | None = None
    pid: int | None = None

    def carry_out(self, request: Request) -> Answer:
        """Answer a request."""
        raise NotImplementedError

    def delay(self, request: Request) -> float:
        """What to wait before the answer [s]."""
        return 0

    def fresh_prefix(self) -> str:
        """A prefix that no other test uses."""
        return f"prefix-{next(_serial)}-{os.getpid()}"

    @contextmanager
    def hooked(self, hook: Hook) -> Iterator[None]:
        """Let `hook` see each request first."""
        self.hook = hook
        try:
            yield
        finally:
            self.hook = None

    @contextmanager
    def having(self, **settings: Any) -> Iterator[None]:
        """Let the double behave otherwise (see its `Settings`)."""
        before = {name: getattr(self, name) for name in settings}
        vars(self).update(settings)
        try:
            yield
        finally:
            vars(self).update(before)
