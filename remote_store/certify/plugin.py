"""A pytest plugin: the contract as tests of a filesystem.

    pytest --pyargs remote_store.certify --store-url=s3://bucket/scratch

Authors of fsspec filesystems give the store by a fixture instead, in a `conftest.py`:

    @pytest.fixture(scope="session")
    def certified_store():
        return Store(FsspecBackend(MyFileSystem(...), "/scratch"))
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from remote_store import Store
    from remote_store.certify.report import CertificationReport

URLS = ("--store-url", "--store-missing-url", "--store-denied-url")
ONE_WORKER = ("no", "loadfile", "loadscope")
"""Values of `--dist` with which pytest-xdist runs a module in one process; 3.8 ignores xdist_group on pytest 9.2."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the plugin."""
    group = parser.getgroup("remote-store", "certify a storage with remote_store")
    group.addoption("--store-url", help="fsspec URL, or remote-store://NAME, of the storage to certify")
    group.addoption("--store-missing-url", help="URL in a container that does not exist, to see how that reads")
    group.addoption("--store-denied-url", help="URL whose credentials may not read or write, to see how that reads")
    group.addoption("--store-workers", type=int, default=16, help="how many callers race (16)")
    group.addoption("--store-report", type=Path, help="write the report here: .json, .md or .html")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse, before any test runs, options that cannot work.

    Raises:
        pytest.UsageError: a URL names no store, or the report cannot be written.
    """
    config.addinivalue_line("markers", "xdist_group(name): the tests of a name run in one process of pytest-xdist")
    if hasattr(config, "workerinput"):
        return
    for option in URLS:
        if url := config.getoption(option):
            _check_url(option, url)
    if target := config.getoption("--store-report"):
        _check_report(target, config.getoption("dist", "no"))


def _check_url(option: str, url: str) -> None:
    try:
        with _opened(url):
            pass
    except Exception as error:
        raise pytest.UsageError(f"{option}: {error}") from error


def _check_report(target: Path, dist: str) -> None:
    from remote_store.certify.report import check_target

    try:
        check_target(target)
    except (ValueError, ImportError) as error:
        raise pytest.UsageError(f"--store-report: {error}") from error
    if dist not in ONE_WORKER:
        raise pytest.UsageError("--store-report: pytest-xdist needs --dist loadfile, for one process to write it")


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    """The store of a URL; `remote-store://NAME` is one of the configuration."""
    from remote_store import Store
    from remote_store._location import STORES, Location

    place = Location.parse(url)
    if place.protocol in STORES:
        from remote_store.config import default_registry

        with default_registry() as registry:
            store = registry.get_store(place.host)
            yield store.child(place.path) if place.path.strip("/") else store
    else:
        with Store.from_url(url) as store:
            yield store


@pytest.fixture(scope="session")
def certified_store(pytestconfig: pytest.Config) -> Iterator[Store]:
    """The store to certify: that of `--store-url`, unless a conftest gives another."""
    url = pytestconfig.getoption("--store-url")
    if not url:
        pytest.skip("give --store-url, or a fixture certified_store")
    with _opened(url) as store:
        yield store


@pytest.fixture(scope="session")
def certification(certified_store: Store, pytestconfig: pytest.Config) -> CertificationReport:
    """The report on the store, made once."""
    from remote_store.certify import certify

    with ExitStack() as opened:
        urls = [pytestconfig.getoption(option) for option in URLS[1:]]
        missing, denied = [opened.enter_context(_opened(url)) if url else None for url in urls]
        workers = pytestconfig.getoption("--store-workers")
        report = certify(certified_store, workers=workers, missing=missing, denied=denied)
    target = pytestconfig.getoption("--store-report")
    if target:
        report.save(target)
    return report
