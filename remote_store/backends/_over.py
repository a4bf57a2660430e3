"""What the sync and the async backend over a user's own filesystem share."""

from __future__ import annotations

import pickle
from typing import Any

from remote_store import _fork
from remote_store._capabilities import Capability, CapabilitySet
from remote_store.backends._engine import EngineBackend
from remote_store.drivers.base import Driver


class OverFilesystem(EngineBackend):
    """A backend over an fsspec filesystem that the user made."""

    CAPABILITIES = CapabilitySet(Capability)
    """A driver for the filesystem at hand may hold any of them."""

    def __init__(self, fs: Any, root: str = "", *, name: str | None = None) -> None:
        self._fs, self._root, self._name = fs, root, name
        self._forked = False
        self._check_driver(self._driver)
        if not self._driver.survives_fork:
            _fork.watch(self)

    def _check_driver(self, driver: Driver) -> None:
        """Raise `ValueError` for a filesystem that this backend cannot run."""
        raise NotImplementedError

    def _make_driver(self) -> Driver:
        if self._forked:
            # Neither an event loop nor a connection survives a fork: make an equal filesystem.
            self._forked = False
            self._fs = pickle.loads(pickle.dumps(self._fs))  # noqa: S301 (our own bytes)
        from remote_store.drivers.registry import driver_for

        root = self._fs._strip_protocol(self._root) if self._root else ""
        return driver_for(self._fs, root, self._name)

    def after_fork(self) -> None:
        """Let the next use in a forked child start afresh."""
        self._forked = True
        for name in ("_driver", "_engine", "_run"):
            self.__dict__.pop(name, None)

    @property
    def _recipe(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self._fs, self._root), {"name": self._name}
