"""How each capability is tried: not by asking, but by doing what would go wrong without it."""

from remote_store.certify.bench import PROBES, Bench
from remote_store.certify.probes import atomic, exclusive, files, quality

__all__ = ["PROBES", "Bench", "atomic", "exclusive", "files", "quality"]
