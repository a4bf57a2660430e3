"""The rules of the contract as plain coroutine functions: no test framework, the public API only.

`CHECKS` has them all; each takes a `View` of a fresh, empty store.
"""

from remote_store.certify.checks import (
    absent,
    atomic,
    deleting,
    exclusive,
    listing,
    metadata,
    moving,
    paths,
    questions,
    reading,
    values,
    writing,
)
from remote_store.certify.rules import CHECKS, Check, RuleBroken

__all__ = [
    "CHECKS",
    "Check",
    "RuleBroken",
    "absent",
    "atomic",
    "deleting",
    "exclusive",
    "listing",
    "metadata",
    "moving",
    "paths",
    "questions",
    "reading",
    "values",
    "writing",
]
