"""Rules that take more than one store to try: other clients, programs and processes, a container that is missing."""

from remote_store._capabilities import Capability as Capability
from remote_store.certify.checks import absent
from remote_store.certify.live import clients as clients
from remote_store.certify.live import forks as forks
from remote_store.certify.live import races as races
from remote_store.certify.live.credentials import (
    a_missing_container_reads_as_a_missing_path as a_missing_container_reads_as_a_missing_path,
)
from remote_store.certify.live.credentials import a_refusal_is_no_absence as a_refusal_is_no_absence
from remote_store.certify.rules import LIVE as LIVE
from remote_store.certify.rules import live

ABSENT = live("CAP")(absent.refuses_what_it_lacks)
