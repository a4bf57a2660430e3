"""The findings of a certification as tests; `pytest --pyargs remote_store.certify --store-url=URL` runs them."""

from __future__ import annotations

import pytest

from remote_store._capabilities import Capability
from remote_store.certify.checks import CHECKS
from remote_store.certify.live import LIVE
from remote_store.certify.report import CertificationReport

pytestmark = pytest.mark.xdist_group("remote-store-certify")  # One certification is enough.
RULES = [check.name for check in (*CHECKS, *LIVE)]


@pytest.mark.parametrize("name", [capability.name for capability in Capability])
def test_capability(name: str, certification: CertificationReport) -> None:
    """A capability that is declared holds."""
    finding = next(finding for finding in certification.capabilities if finding.capability.name == name)
    if finding.verdict == "refuted":
        pytest.fail("\n".join(("declared, but it does not hold:", *finding.evidence)), pytrace=False)
    if finding.verdict != "proved":
        pytest.skip(finding.verdict)


def test_something_was_proved(certification: CertificationReport) -> None:
    """A storage on which nothing could be tried is not certified."""
    if not certification.proved:
        pytest.fail("no declared capability was proved", pytrace=False)


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str, certification: CertificationReport) -> None:
    """A rule of the contract is kept."""
    finding = next((finding for finding in certification.rules if finding.name == name), None)
    if finding is None or finding.outcome == "not applicable":
        pytest.skip((finding and finding.note) or "not applicable")
    if finding.outcome == "broken":
        pytest.fail("\n".join((finding.text, *finding.evidence)), pytrace=False)


def test_nothing_is_left_behind(certification: CertificationReport) -> None:
    """The scratch folder is gone."""
    assert certification.litter == ()
