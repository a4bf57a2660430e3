"""Libraries under test, and the places they work in."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from servers import sftp

from remote_store import Store

KEY, SECRET, TOKEN = "AKIADISTINCTIVE", "wJalr/distinctive+secret", "distinctive-session-token"
"""Credentials of the store "bucket"."""
BEARER = "ya29.distinctive-access-token"
"""Those of the store "google"."""
ACCOUNT_KEY = "ZGlzdGluY3RpdmUtYWNjb3VudC1rZXk="
"""Those of the stores "blobs" and "lake"."""
SECRETS = (KEY, SECRET, TOKEN, BEARER, ACCOUNT_KEY, sftp.PASSWORD)


def places(*often: str) -> list[Any]:
    """Of all places those that plain runs try; full runs try the others, too."""
    names = ("files", "bucket", "google", "blobs", "lake")
    return [pytest.param(name, marks=[] if name in often else pytest.mark.full) for name in names]


on_services_too = pytest.mark.parametrize("place", [*places("files", "google", "lake"), "drop"], indirect=True)
"""Plain runs try each library once on Google Cloud Storage, on Azure with folders, and on an SFTP server."""
on_sftp_too = pytest.mark.parametrize("place", [*places("files"), "drop"], indirect=True)
"""They try this on an SFTP server, too."""


def library(name: str) -> Any:
    """A module. One that cannot be imported is a visible skip on a laptop and a failure in CI."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{name} cannot be imported: {error}", allow_module_level=True)


class HalfWay(RuntimeError):
    """Something fails while a file is being written."""


@contextmanager
def half_way() -> Iterator[None]:
    """Expects it."""
    with pytest.raises(HalfWay):
        yield


@dataclass(frozen=True)
class Place:
    """A folder of a configured store that no other test uses.

    Attributes:
        name: of the store.
        url: of the folder.
        store: rooted in the folder.
    """

    name: str
    url: str
    store: Store

    @property
    def path(self) -> str:
        """The folder in the filesystem of all stores."""
        return self.url.partition("://")[2]

    @property
    def fs(self) -> Any:
        """The store as a filesystem, whose paths start from the folder."""
        return self.store.to_fsspec()

    def fill(self, *keys: str) -> None:
        """Write files that contain their names."""
        for key in keys:
            self.store.write_text(key, f"of {key}", overwrite=True)

    @property
    def keys(self) -> list[str]:
        """All that is there."""
        return sorted(str(file.path) for file in self.store.list_files(recursive=True))
