"""How an operation is written once: as a coroutine, for asynchronous stores awaited, for others run on the spot."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from fsspec import AbstractFileSystem

from remote_store._errors import InvalidPath, below_file, is_file, is_folder
from remote_store.engine.run import finish

F = TypeVar("F", bound=Callable[..., Any])


class FolderFound(InvalidPath, IsADirectoryError):
    """A folder stands where a file is meant."""

    _errno = errno.EISDIR


class FileFound(InvalidPath, NotADirectoryError):
    """A file stands where a folder is meant."""

    _errno = errno.ENOTDIR


_BUILTINS: dict[str, type[InvalidPath]] = {
    is_folder("", "").message: FolderFound,
    is_file("", "").message: FileFound,
    below_file("", "").message: FileFound,
}


class _BuiltinErrors:
    """Makes an `InvalidPath` about the wrong type the builtin, too, that fsspec's callers catch (FSMap, zarr)."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: Any) -> None:
        if type(error) is InvalidPath and error.message in _BUILTINS:
            also = _BUILTINS[error.message](error.message, path=error.path, backend=error.backend)
            raise also.with_traceback(traceback) from error.__cause__


builtin_errors = _BuiltinErrors()


def here(fs: Any, coroutine: Any) -> Any:
    """Run a coroutine of a synchronous filesystem to its end in this thread.

    Not on fsspec's I/O loop, where its own `sync` would: a `Store` over S3 needs that loop itself.
    """
    if fs.asynchronous:
        coroutine.close()
        raise RuntimeError("this filesystem is asynchronous: await its methods that begin with an underscore")
    return finish(coroutine)


def blocking(name: str) -> Callable[..., Any]:
    """A method that runs the coroutine method `name` in the caller's thread."""

    def method(self: Any, *args: Any, **options: Any) -> Any:
        return here(self, getattr(self, name)(*args, **options))

    method.__name__ = name[1:]
    method.__doc__ = getattr(getattr(AbstractFileSystem, name[1:], None), "__doc__", None)
    return method


class _Operation:
    def __init__(self, coroutine: Callable[..., Any]) -> None:
        self._coroutine = coroutine

    def __set_name__(self, owner: type, name: str) -> None:
        coroutine = self._coroutine

        @wraps(coroutine)
        async def operation(*args: Any, **options: Any) -> Any:
            with builtin_errors:
                return await coroutine(*args, **options)

        setattr(owner, name, operation)
        setattr(owner, name[1:], blocking(name))


def operation(coroutine: F) -> F:
    """Mark a coroutine method `_name` that its class offers as `name`, too."""
    return cast("F", _Operation(coroutine))
