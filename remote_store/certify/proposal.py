"""A driver for a filesystem that has none, with the capabilities that were proved."""

from __future__ import annotations

from typing import Any

from remote_store._capabilities import Capability
from remote_store.certify.report import CapabilityFinding
from remote_store.drivers.kinds import by_name

RACED = frozenset({Capability.ATOMIC_MOVE, Capability.ATOMIC_WRITE})
_SOURCE = '''\
"""A driver for {name} filesystems, with the capabilities that `certify` proved."""

from dataclasses import replace

from remote_store import Capability, CapabilitySet
from remote_store.drivers.generic.driver import GenericDriver
from remote_store.drivers.kind import Kind
from remote_store.drivers.profiles import GENERIC

PROVED = CapabilitySet(
    {{
{capabilities}
    }}
)


def driver(fs, root, name):
    """A driver over a filesystem."""
    return GenericDriver(fs, root, name, PROVED)


KIND = Kind("{name}", {protocols}, replace(GENERIC, capabilities=PROVED), over=f"{{__name__}}:driver")
"""For the entry point of the group `remote_store.drivers` with the name "{name}"."""
'''


def proposed_driver(store: Any, findings: tuple[CapabilityFinding, ...]) -> str | None:
    """Source of a driver where the store has only the generic one; None where it has its own."""
    driver = getattr(store.backend.identity, "driver", None)
    if driver is None or type(driver).__module__ != "remote_store.drivers.generic.driver":
        return None
    held = [f for f in findings if f.observed or (f.observed is None and f.declared)]
    lines = "\n".join(_line(finding) for finding in held)
    protocols = by_name(driver.name).protocols or (driver.name,)
    return _SOURCE.format(name=driver.name, protocols=protocols, capabilities=lines)


def _line(finding: CapabilityFinding) -> str:
    line = f"Capability.{finding.capability.name},"
    if finding.capability in RACED and not finding.declared:  # That no race broke it is no proof.
        line = f"# {line}  # held in every race; declare it if the service promises it"
    return "        " + line
