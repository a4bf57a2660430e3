"""What errors of object stores tell of the place they happened at, and why there is no usable answer; no secrets."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar

from remote_store._errors import BackendUnavailable
from remote_store.drivers import reasons
from remote_store.drivers.errors import unreachable
from remote_store.drivers.objects.wire import Malformed

last_failure: ContextVar[BaseException | str | None] = ContextVar("last_failure", default=None)
"""How the last try of the call under way failed, which says more than that its deadline passed."""


def forget_failure() -> None:
    """Begin a call; to set what is set would cost two objects for each of many calls at once."""
    if last_failure.get() is not None:
        last_failure.set(None)


@dataclass
class Where:
    """A container of a service.

    Args:
        container: its name.
        backend: name of the backend.
        timeout: deadline of a call [s].
        endpoint: URL of the service, which may hold secrets; `""` for its usual one.
    """

    SERVICE: ClassVar[str]
    """What the service is called where it is the usual one."""
    OWN: ClassVar[tuple[str, ...]]
    """How the names of its own hosts end."""
    NOUN: ClassVar[str] = "bucket"
    container: str
    backend: str
    timeout: float
    endpoint: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it is the usual service."""
        host = reasons.host_of(self.endpoint).partition(":")[0]
        return not self.endpoint or host.endswith(self.OWN)

    @property
    def host(self) -> str:
        """The service: its name, or host and port."""
        return self.SERVICE if self.is_own else reasons.host_of(self.endpoint) or "the service"

    def __str__(self) -> str:
        return f"{self.host} ({self.NOUN} {self.container!r})"

    def no_answer(self, error: Exception, key: str) -> BackendUnavailable:
        """The verdict where no try was answered."""
        return unreachable(error, key, self.backend, str(self), self._why(error))

    def malformed(self, error: Exception, key: str) -> BackendUnavailable:
        """The verdict on a reply that lacks what it must have."""
        what = str(error) if isinstance(error, Malformed) else "it cannot be read"
        return BackendUnavailable(f"A reply of {self} is malformed: {what}", path=key, backend=self.backend)

    def _why(self, error: Exception) -> str:
        """Why there was no answer; of a call that ran out of time, how its last try failed says more."""
        last = last_failure.get()
        if type(error) is not TimeoutError:
            return reasons.reason(error)
        if isinstance(last, BaseException):
            return reasons.reason(last)
        return f"it {f'{last}, and did no better' if last else 'did not answer'} within {self.timeout:g} s"
