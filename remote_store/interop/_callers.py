"""Who closes a file that is written: fsspec's callers close one the same way whether or not their block has raised."""

from __future__ import annotations

import sys
from opcode import opmap

CLOSING = frozenset(
    {
        ("contextlib", "closing.__exit__"),
        ("fsspec.core", "OpenFile.__exit__"),
        ("pandas.io.common", "IOHandles.__exit__"),
        ("pyarrow.parquet.core", "ParquetWriter.__exit__"),
    }
)
"""Functions that close a file without passing on that the `with` block around it has raised."""
_WRAPPING = frozenset(
    {"bz2", "contextlib", "fsspec", "gzip", "lzma", "pandas", "pyarrow", "remote_store", "tarfile", "zipfile"}
)
"""Packages whose functions may stand between such a function and the file: they close what they have wrapped."""
_WITH_HAS_RAISED = opmap["WITH_EXCEPT_START"]


def raised_since(before: BaseException | None) -> bool:
    """Whether the caller is closing a file because a `with` block raised something else than `before`.

    The frames of its callers, and their local variables, show that.
    """
    error = sys.exc_info()[1]
    frame = sys._getframe(2) if error is not None else None
    if frame is not None and error is not before and frame.f_code.co_code[frame.f_lasti] == _WITH_HAS_RAISED:
        return True  # By an `__exit__` in C, which has no frame (pyarrow's streams).
    while frame is not None and (module := frame.f_globals.get("__name__", "")).partition(".")[0] in _WRAPPING:
        if (module, frame.f_code.co_qualname) in CLOSING:
            values = frame.f_locals.values()
            known = [each for value in values for each in (value if type(value) is tuple else (value,))]
            return any(isinstance(each, BaseException) and each is not before for each in known)
        frame = frame.f_back
    return False  # Other code in between has decided to close the file.
