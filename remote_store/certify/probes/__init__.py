"""What the rules do not show of a capability; each probe returns what it saw, as evidence."""

from remote_store.certify.probes import atomic, exclusive, files, quality
from remote_store.certify.probes import present as present
from remote_store.certify.rules import PRESENT, PROBES

__all__ = ["PRESENT", "PROBES", "atomic", "exclusive", "files", "present", "quality"]
