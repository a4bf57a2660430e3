"""What is true of the row of every kind, and of the backends that are made of it."""

from __future__ import annotations

import inspect

import pytest

from remote_store import aio, backends
from remote_store.backends import SFTPBackend
from remote_store.drivers.kind import Kind
from remote_store.drivers.kinds import KINDS

MADE = [pytest.param(row, id=row.name) for row in KINDS if row.make]
OF_SERVICES = ["timeout", "retries", "ca_bundle", "proxy"]


def classes(row: Kind) -> list[type]:
    """The backend of a kind, and its asynchronous twin."""
    named = [getattr(module, name) for module in (backends, aio) for name in module.__all__ if "Backend" in name]
    return [cls for cls in named if getattr(cls, "kind", None) == row.name]


@pytest.mark.parametrize("row", MADE)
def test_a_backend_has_the_signature_of_its_options_and_tells_of_each(row: Kind) -> None:
    assert len(classes(row)) == 2
    for cls in classes(row):
        assert inspect.signature(cls).parameters == inspect.signature(row.options).parameters
        told = " ".join(str(cls.__doc__).split())
        for name, text in row.options.docs().items():
            assert f" {name}: {text}" in told


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.name)
def test_every_option_is_told_of(row: Kind) -> None:
    assert list(row.options.docs()) == row.options.names()
    assert {*row.options.PLACE} <= {*row.options.names()}
    assert not row.container or not row.make or row.container in row.options.PLACE


def test_every_service_takes_the_same_four_options() -> None:
    taken = {row.name: [name for name in OF_SERVICES if name in row.options.names()] for row in KINDS if row.make}
    assert taken.pop("sftp") == ["timeout", "retries", "proxy"]  # SSH has no certificates of this kind.
    assert taken.pop("local") == taken.pop("memory") == []
    assert len(taken) >= 4
    assert all(names == OF_SERVICES for names in taken.values())


def test_what_sftp_has_instead_is_told() -> None:
    with pytest.raises(ValueError, match=r"unknown option 'ca_bundle' for SFTP.* did you mean 'known_hosts'\?"):
        SFTPBackend("h.example", ca_bundle="x")  # type: ignore[call-arg]
