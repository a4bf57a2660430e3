"""From the configuration of a store to its backend."""

from __future__ import annotations

import importlib
import os
from typing import Any

from remote_store._errors import RemoteStoreError
from remote_store._urls import _bucket, backend_from_url
from remote_store.config._model import StoreConfig
from remote_store.config._options import KINDS
from remote_store.config._values import ConfigError, masked, plain, secrets_in


def make(store: StoreConfig, folder: str, *, asynchronous: bool) -> Any:
    """A backend of a store whose placeholders are filled; relative paths of local files start from `folder`."""
    secrets = secrets_in([store.options, store.storage_options])
    try:
        return _call(store, folder, asynchronous)
    except Exception as error:
        told, cause = error, error.__cause__
        if not isinstance(error, (RemoteStoreError, ImportError)):
            told, cause = ConfigError(("", f"refused by {store.kind!r}: {masked(str(error), secrets)}")), error
    # What others raise may show any argument.
    raise told from None if secrets else cause


def _call(store: StoreConfig, folder: str, asynchronous: bool) -> Any:
    kind, url = str(store.kind), store.url or ""
    # A copy: fsspec writes into the tables of a chained URL.
    options: dict[str, Any] = plain({**store.storage_options, **store.checked_options()[0]})
    for name in ("timeout", "reject_write_under_file_ancestor"):
        if getattr(store, name) is not None:
            options[name] = getattr(store, name)
    if store.retries is not None:
        retries = {"max_attempts": store.retries, "mode": "standard"}
        options["config_kwargs"] = {**(options.get("config_kwargs") or {}), "retries": retries}
    if kind == "local":
        root = os.path.expanduser(url.removeprefix("file://").removeprefix("local://") or options["root"])
        options["root"], url = os.path.join(folder, root), ""
    elif kind == "s3" and url:
        (options["bucket"], options["root"]), url = _bucket(url), ""
    if url:
        return backend_from_url(url, options)
    name = KINDS[kind].cls.__name__
    home, name = ("remote_store.aio", f"Async{name}") if asynchronous else ("remote_store.backends", name)
    return getattr(importlib.import_module(home), name)(**options)
