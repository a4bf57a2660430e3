"""Object stores that obstore's `FsspecStore` leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_store.drivers.base import Driver


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
