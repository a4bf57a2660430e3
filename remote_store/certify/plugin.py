"""A pytest plugin: the contract as tests of somebody's own filesystem.

    pytest --pyargs remote_store.certify --store-url=s3://bucket/scratch

Authors of fsspec filesystems give the store by a fixture instead, in a `conftest.py`:

    @pytest.fixture(scope="session")
    def certified_store():
        return Store(FsspecBackend(MyFileSystem(...), "/scratch"))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from remote_store import Store
    from remote_store.certify.report import CertificationReport


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the plugin."""
    group = parser.getgroup("remote-store", "certify a storage with remote_store")
    group.addoption("--store-url", help="fsspec URL, or remote-store://NAME, of the storage to certify")
    group.addoption("--store-missing-url", help="URL in a container that does not exist, to see how that reads")
    group.addoption("--store-workers", type=int, default=16, help="how many callers race (16)")
    group.addoption("--store-report", type=Path, help="write the report here: .json, .md, .html or .xml")


@pytest.fixture(scope="session")
def certified_store(pytestconfig: pytest.Config) -> Iterator[Store]:
    """The store to certify: that of `--store-url`, unless a conftest gives another."""
    from remote_store import Store

    url = pytestconfig.getoption("--store-url")
    if not url:
        pytest.skip("give --store-url, or a fixture certified_store")
    with Store.from_url(url) as store:
        yield store


@pytest.fixture(scope="session")
def certification(certified_store: Store, pytestconfig: pytest.Config) -> CertificationReport:
    """The report on the store, made once."""
    from remote_store import Store
    from remote_store.certify import certify

    url = pytestconfig.getoption("--store-missing-url")
    missing = Store.from_url(url) if url else None
    try:
        report = certify(certified_store, workers=pytestconfig.getoption("--store-workers"), missing=missing)
    finally:
        if missing is not None:
            missing.close()
    target = pytestconfig.getoption("--store-report")
    if target:
        report.save(target)
    return report
