"""Fixtures: servers on loopback, and folders that clean up."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    from servers.ftp import serve

    logging.getLogger("pyftpdlib").setLevel(logging.ERROR)
    with serve(str(tmp_path_factory.mktemp("ftp"))) as address:
        yield address
