"""The rules of the contract as plain coroutine functions: no test framework, the public API only.

`CHECKS` has them all; each takes a `View` of a fresh, empty store.
"""

from remote_store.certify.checks import absent as absent
from remote_store.certify.checks import atomic as atomic
from remote_store.certify.checks import content_types as content_types
from remote_store.certify.checks import deleting as deleting
from remote_store.certify.checks import exclusive as exclusive
from remote_store.certify.checks import listing as listing
from remote_store.certify.checks import metadata as metadata
from remote_store.certify.checks import moving as moving
from remote_store.certify.checks import paths as paths
from remote_store.certify.checks import questions as questions
from remote_store.certify.checks import ranges as ranges
from remote_store.certify.checks import reading as reading
from remote_store.certify.checks import seekable as seekable
from remote_store.certify.checks import signing as signing
from remote_store.certify.checks import updating as updating
from remote_store.certify.checks import values as values
from remote_store.certify.checks import writing as writing
from remote_store.certify.rules import CHECKS as CHECKS
from remote_store.certify.rules import Check as Check
from remote_store.certify.rules import RuleBroken as RuleBroken
