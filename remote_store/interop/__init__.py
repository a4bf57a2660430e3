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
    from remote_store.interop._named import NamedFileSystem as NamedFileSystem

__all__ = ["NamedFileSystem", "StoreFileSystem"]

if not TYPE_CHECKING:
    _HOMES = {
        "NamedFileSystem": "remote_store.interop._named",
        "StoreFileSystem": "remote_store.interop._filesystem",
    }
    __getattr__, __dir__ = lazy(__name__, _HOMES)
