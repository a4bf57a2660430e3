"""Object stores that obstore's `FsspecStore` leads to."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from remote_store._hints import install

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver


def require() -> None:
    """Raise `ImportError`, which says how to get it, unless obstore is installed, which the fast lane needs."""
    if importlib.util.find_spec("obstore") is None:
        raise ImportError(f"engine='fast' needs obstore: {install('obstore', 'fast')}")


def over(fs: Any, root: str, name: str) -> Driver | None:
    """A driver over the store that a root leads to; None without a bucket, or for a kind of store that is not known.

    Raises:
        ValueError: obstore does not take its own options.
    """
    from remote_store.drivers.obstore.driver import STORES, ObstoreDriver

    bucket, path = fs._split_path(root)
    if not bucket and fs._split_path("bucket/path")[0]:
        return None
    try:
        store = fs._construct_store(bucket)
    except Exception as error:
        raise ValueError(f"obstore cannot open {bucket!r} ({type(error).__name__})") from error
    if type(store).__name__ not in STORES:
        return None
    return ObstoreDriver(fs, store, bucket, path.strip("/"), name=name)
