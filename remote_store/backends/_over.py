"""What the sync and the async backend over a user's own filesystem share."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Self

from remote_store import _fork
from remote_store._capabilities import Capability, CapabilitySet
from remote_store.backends._engine import EngineBackend
from remote_store.drivers.base import Driver

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class OverFilesystem(EngineBackend):
    """A backend over an fsspec filesystem that the user made."""

    CAPABILITIES = CapabilitySet(Capability)
    """A driver for the filesystem at hand may hold any of them."""

    def __init__(self, fs: AbstractFileSystem, root: str = "", *, name: str | None = None) -> None:
        if not hasattr(fs, "_strip_protocol"):
            raise TypeError(f"fs must be an fsspec filesystem, not {type(fs).__name__}; URLs go to Store.from_url")
        self._recipe = (fs, root), {"name": name}
        self._forked = self._adopted = False
        self._check_driver(self._driver)
        if not self._driver.survives_fork:
            _fork.watch(self)

    def adopt(self) -> Self:
        """Take the filesystem over: closing the backend closes it, and the next use makes an equal one."""
        self._adopted = True
        self._driver.owned = True
        return self

    def _after_close(self) -> None:
        if self._adopted:
            self._start_afresh()

    def _check_driver(self, driver: Driver) -> None:
        """Raise `ValueError` for a filesystem that this backend cannot run."""
        raise NotImplementedError

    def _make_driver(self) -> Driver:
        from remote_store.drivers.registry import driver_for

        (fs, root), options = self._recipe
        if self._forked:
            # A filesystem that is bound to a loop does not survive a fork: make an equal one.
            fs = pickle.loads(pickle.dumps(fs))  # noqa: S301 (our own bytes)
            self._recipe, self._forked = ((fs, root), options), False
        driver = driver_for(fs, fs._strip_protocol(root) if root else "", **options)
        driver.owned = self._adopted
        return driver

    def _start_afresh(self) -> None:
        self._forked = True
        super()._start_afresh()
