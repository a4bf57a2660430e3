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
        self._recipe = (fs, root), {"name": name}
        self._forked = False
        self._check_driver(self._driver)
        if not self._driver.survives_fork:
            _fork.watch(self)

    def _check_driver(self, driver: Driver) -> None:
        """Raise `ValueError` for a filesystem that this backend cannot run."""
        raise NotImplementedError

    def _make_driver(self) -> Driver:
        from remote_store.drivers.registry import driver_for

        (fs, root), options = self._recipe
        if self._forked:
            # Nor does a filesystem that is bound to a loop: make an equal one.
            fs = pickle.loads(pickle.dumps(fs))  # noqa: S301 (our own bytes)
            self._recipe, self._forked = ((fs, root), options), False
        return driver_for(fs, fs._strip_protocol(root) if root else "", **options)

    def after_fork(self) -> None:
        self._forked = True
        super().after_fork()
