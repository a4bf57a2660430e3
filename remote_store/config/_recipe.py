"""From a filled store configuration to a backend."""

from __future__ import annotations

import importlib
import logging
import os
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from remote_store._backend import Backend
from remote_store._errors import RemoteStoreError
from remote_store._urls import _UNCACHED, _bucket, _filesystem_class, async_backend_from_url, backend_from_url
from remote_store.aio._backend import AsyncBackend
from remote_store.config import _errors
from remote_store.config._kinds import KINDS, own_options
from remote_store.config._model import Filled
from remote_store.config._values import plain, secrets_in
from remote_store.drivers.base import from_any_error

_REJECT = "reject_write_under_file_ancestor"


@dataclass(frozen=True)
class Recipe:
    """How to make a backend. Stores with equal recipes share what was made.

    Args:
        kind: of the backend.
        url: where it is, unless options say it.
        options: of the backend.
        secrets: the texts in all that which must not show; not those so short that they are in any text.
    """

    kind: str
    url: str = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    secrets: frozenset[str] = field(repr=False, compare=False)

    @property
    def named(self) -> bool:
        """Whether the backend has a class of its own."""
        return self.kind in KINDS and not self.url

    @property
    def native(self) -> bool:
        """Whether the asynchronous twin works without threads, and so belongs to an event loop."""
        if self.kind in KINDS:
            return KINDS[self.kind].native
        # In a chain, only the outermost filesystem would be told to be asynchronous.
        return "::" not in self.url and bool(_filesystem_class(self.kind).async_impl)

    @property
    def private(self) -> bool:
        """Whether the files are in the memory of this process."""
        return self.named and self.kind == "memory"


def recipe(store: Filled, folder: str) -> Recipe:
    """The recipe of a store.

    Args:
        store: its configuration.
        folder: what relative paths of local files start from; `""` for the working directory.
    """
    kind, url = store.kind, plain(store.url) or ""
    options = plain(store.storage_options) | plain(store.options)
    if kind == "s3" and url:
        (options["bucket"], options["root"]), url = _bucket(url), ""
    if kind == "local":
        root = os.path.expanduser(url.removeprefix("file://").removeprefix("local://") or options["root"])
        options["root"], url = os.path.join(folder, root), ""
    if store.timeout is not None:
        options["timeout"] = store.timeout
    if store.retries is not None:
        retries = {"max_attempts": store.retries, "mode": "standard"}
        options["config_kwargs"] = {**(options.get("config_kwargs") or {}), "retries": retries}
    if store.reject_write_under_file_ancestor is not None and _REJECT in own_options(kind):
        options[_REJECT] = store.reject_write_under_file_ancestor
    secrets = secrets_in([store.url, store.options, store.storage_options])
    return Recipe(kind, url, options, frozenset(text for text in secrets if len(text) > 3))


def make(recipe: Recipe) -> Backend:
    """A backend.

    Raises:
        ConfigError: something refuses its options.
        ImportError: its package is not installed; the message names what to install.
        RemoteStoreError: it connects at once, and could not.
    """
    backend: Backend = _make(recipe, asynchronous=False)
    return backend


def make_async(recipe: Recipe) -> AsyncBackend:
    """An asynchronous backend; raises as `make` does."""
    backend: AsyncBackend = _make(recipe, asynchronous=True)
    return backend


def _make(recipe: Recipe, asynchronous: bool) -> Any:
    if recipe.kind == "s3" or "s3://" in recipe.url:
        _mask_sdk_logs(recipe.secrets)
    try:
        return _call(recipe, asynchronous)
    except (RemoteStoreError, ImportError):
        raise
    except (TypeError, ValueError, AttributeError, KeyError, NotImplementedError) as error:
        shown = "".join(traceback.format_exception(error))
        cause = None if any(secret in shown for secret in recipe.secrets) else error
        text = f"refused by backend {recipe.kind!r}: {masked(str(error), recipe.secrets)}"
    except Exception as error:
        raise from_any_error(error, "", recipe.kind) from error
    raise _errors.error(text) from cause


def _call(recipe: Recipe, asynchronous: bool) -> Any:
    options = plain(recipe.options)  # a copy: fsspec writes into the tables of a chained URL
    if recipe.named:
        name = KINDS[recipe.kind].cls.__name__
        home, name = ("remote_store.aio", f"Async{name}") if asynchronous else ("remote_store.backends", name)
        return getattr(importlib.import_module(home), name)(**options)
    if recipe.url:
        return (async_backend_from_url if asynchronous else backend_from_url)(recipe.url, options)
    from remote_store.aio._fsspec import AsyncFsspecBackend
    from remote_store.backends._fsspec import FsspecBackend

    if asynchronous:
        fs = _filesystem_class(recipe.kind)(**_UNCACHED, **options, asynchronous=True)
        return AsyncFsspecBackend(fs).own()
    return FsspecBackend(_filesystem_class(recipe.kind)(**_UNCACHED, **options)).own()


# --- secrets


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without the secrets in it."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


class _Mask(logging.Filter):
    secrets: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if any(secret in text for secret in self.secrets):
            record.msg, record.args = masked(text, self.secrets), ()
        return True


_mask = _Mask()


def _mask_sdk_logs(secrets: frozenset[str]) -> None:
    """At DEBUG, these loggers spell requests out, with key id and session token."""
    _mask.secrets |= secrets
    for name in ("botocore.auth", "botocore.endpoint"):
        logging.getLogger(name).addFilter(_mask)
