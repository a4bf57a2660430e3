"""From the configuration of a store to its backend."""

from __future__ import annotations

import os
from typing import Any

from remote_store._errors import RemoteStoreError
from remote_store._location import Location
from remote_store._urls import backend_from_url
from remote_store.aio._named import async_backend_of
from remote_store.backends._named import backend_of
from remote_store.config._model import StoreConfig
from remote_store.config._options import POLICIES
from remote_store.config._values import ConfigError, masked, plain, secrets_in


def make(store: StoreConfig, folder: str, *, asynchronous: bool) -> Any:
    """A backend of a store whose placeholders are filled; relative paths of local files start from `folder`."""
    secrets = secrets_in([store.options, store.storage_options, store.proxy])
    try:
        return _call(store, folder, asynchronous)
    except Exception as error:
        told, cause = error, error.__cause__
        if not isinstance(error, (RemoteStoreError, ImportError)):
            told, cause = ConfigError(("", f"refused by {store.kind!r}: {masked(str(error), secrets)}")), error
    # What others raise may show any argument.
    raise told from None if secrets else cause


def _call(store: StoreConfig, folder: str, asynchronous: bool) -> Any:
    kind = store.row
    # A copy: fsspec writes into the tables of a chained URL.
    options: dict[str, Any] = plain({**store.storage_options, **store.checked_options()[0]})
    options |= {name: plain(given) for name in POLICIES if (given := getattr(store, name)) is not None}
    if store.url is not None:
        told = kind.options.of_url(Location.parse(store.url)) if kind.make else None
        if told is None:
            return backend_from_url(store.url, options)
        options |= told
    for name in kind.options.marked("path") & options.keys():
        if options[name] is not None:
            options[name] = os.path.join(folder, os.path.expanduser(options[name]))
    return async_backend_of(kind, options) if asynchronous else backend_of(kind, options)
