"""Which promises of the contract a storage really keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_store._lazy import lazy

if TYPE_CHECKING:
    from remote_store.certify._certify import certify as certify
    from remote_store.certify._certify import certify_async as certify_async
    from remote_store.certify.report import CapabilityFinding as CapabilityFinding
    from remote_store.certify.report import CertificationReport as CertificationReport
    from remote_store.certify.report import RuleFinding as RuleFinding

_HOMES = {
    "certify": "remote_store.certify._certify",
    "certify_async": "remote_store.certify._certify",
    "CapabilityFinding": "remote_store.certify.report",
    "CertificationReport": "remote_store.certify.report",
    "RuleFinding": "remote_store.certify.report",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, _HOMES)
__all__ = ["CapabilityFinding", "CertificationReport", "RuleFinding", "certify", "certify_async"]
