"""Stores for programs that speak fsspec: pandas, Dask, pyarrow, zarr, xarray.

Example:
    >>> from remote_store import Store
    >>> fs = Store.from_url("memory://doc-interop").to_fsspec()
    >>> with fs.open("a/hello.txt", "w") as file:
    ...     _ = file.write("hello")
    >>> fs.find("")
    ['a/hello.txt']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_store._lazy import lazy

if TYPE_CHECKING:
    from remote_store.interop._filesystem import StoreFileSystem as StoreFileSystem

__all__ = ["StoreFileSystem"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy(__name__, {"StoreFileSystem": "remote_store.interop._filesystem"})
