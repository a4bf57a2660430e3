"""What can go wrong, as types.

```
RemoteStoreError
├── NotFound                (also FileNotFoundError)
├── AlreadyExists           (also FileExistsError)
├── InvalidPath
├── DirectoryNotEmpty       (also OSError)
├── PermissionDenied        (also PermissionError)
├── CapabilityNotSupported
├── BackendUnavailable      (also ConnectionError)
├── ResourceLocked
├── PreconditionFailed
└── StorageFull             (also OSError)
```

None of them inherits from another, so one `except` clause means one thing. Where Python has a builtin for the
same thing the error is that too, with its `errno`, so `except FileNotFoundError` keeps working.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, TypeVar


class RemoteStoreError(Exception):
    """Base of every error a store raises.

    Args:
        message: what happened, without the path.
        path: the store-relative path it happened to.
        backend: name of the backend it happened on.
    """

    _errno: int | None = None

    def __init__(self, message: str = "", *, path: str | None = None, backend: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else str(path)
        self.backend = backend
        if self._errno is not None:
            _set_errno(self, self._errno)

    def __str__(self) -> str:
        where = [f"{name}={value!r}" for name, value in self._details() if value is not None]
        return f"{self.message} ({', '.join(where)})" if where else self.message

    def __repr__(self) -> str:
        details = "".join(f", {name}={value!r}" for name, value in self._details())
        return f"{type(self).__name__}({self.message!r}{details})"

    def _details(self) -> list[tuple[str, str | None]]:
        return [("path", self.path), ("backend", self.backend)]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self._details()), getattr(self, "errno", None))


E = TypeVar("E", bound=RemoteStoreError)


def with_errno(error: E, number: int | None) -> E:
    """The error with the `errno` of the `OSError` it was made from, where that had one."""
    if number is not None:
        _set_errno(error, number)
    return error


def _set_errno(error: Any, number: int) -> None:
    error.errno = number


def _rebuild(
    cls: type[RemoteStoreError], message: str, details: dict[str, Any], number: int | None
) -> RemoteStoreError:
    return with_errno(cls(message, **details), number)


class NotFound(RemoteStoreError, FileNotFoundError):
    """A file, folder or container that must exist does not."""

    _errno = errno.ENOENT


class AlreadyExists(RemoteStoreError, FileExistsError):
    """The target exists and `overwrite` is false."""

    _errno = errno.EEXIST


class InvalidPath(RemoteStoreError):
    """Malformed, outside the store, or of the wrong type (a folder where a file is meant, and the reverse)."""


class DirectoryNotEmpty(RemoteStoreError, OSError):
    """`delete_folder` without `recursive=True` on a folder with content."""

    _errno = errno.ENOTEMPTY


class PermissionDenied(RemoteStoreError, PermissionError):
    """Credentials, access lists or file modes do not allow it."""

    _errno = errno.EACCES


class CapabilityNotSupported(RemoteStoreError):
    """The backend cannot do this at all; raised before any I/O.

    Args:
        capability: value of the missing `Capability`, such as `"atomic_write"`.
    """

    def __init__(
        self, message: str = "", *, path: str | None = None, backend: str | None = None, capability: str = ""
    ) -> None:
        super().__init__(message, path=path, backend=backend)
        self.capability = str(capability)

    def _details(self) -> list[tuple[str, str | None]]:
        return [*super()._details(), ("capability", self.capability)]


class BackendUnavailable(RemoteStoreError, ConnectionError):
    """The service cannot be reached, gave up, or the backend is closed for good."""

    _errno = errno.ECONNABORTED


class ResourceLocked(RemoteStoreError):
    """It exists and is allowed, but somebody else holds it (lock, lease)."""


class PreconditionFailed(RemoteStoreError):
    """`if_match` no longer matches what is stored, or the file at `path` changed while it was moved, and is kept.

    Args:
        target: where the file was to be moved to; what it was may be there.
    """

    def __init__(
        self, message: str = "", *, path: str | None = None, backend: str | None = None, target: str | None = None
    ) -> None:
        super().__init__(message, path=path, backend=backend)
        self.target = target

    def _details(self) -> list[tuple[str, str | None]]:
        return [*super()._details(), *([] if self.target is None else [("target", self.target)])]


class StorageFull(RemoteStoreError, OSError):
    """No space, or no quota, is left where it would be stored; nothing half written stays."""

    _errno = errno.ENOSPC


def rename_paths(error: RemoteStoreError, name: Callable[[str], str]) -> None:
    """Give the paths of an error the names by which somebody else knows them."""
    for attribute in ("path", "target"):
        if (path := getattr(error, attribute, None)) is not None:
            setattr(error, attribute, name(path))


# The wording of each verdict stands here once; log searches rely on these stems.


def file_missing(path: str, backend: str) -> NotFound:
    return NotFound("File not found", path=path, backend=backend)


def folder_missing(path: str, backend: str) -> NotFound:
    return NotFound("Folder not found", path=path, backend=backend)


def container_missing(container: str, path: str, backend: str) -> NotFound:
    error = NotFound(f"Container {container!r} not found", path=path, backend=backend)
    error.__dict__["container"] = container
    return error


def is_container_missing(error: NotFound) -> bool:
    return "container" in error.__dict__


def folder_deleted(path: str, backend: str) -> NotFound:
    message = "Folder not found: it was deleted or moved while the file was being written"
    return NotFound(message, path=path, backend=backend)


def storage_full(path: str, backend: str) -> StorageFull:
    return StorageFull("No space or quota is left on the storage", path=path, backend=backend)


def found_folder(path: str, backend: str) -> InvalidPath:
    return InvalidPath("Path exists as a directory where a file is meant", path=path, backend=backend)


def found_file(path: str, backend: str) -> InvalidPath:
    return InvalidPath("Path exists as a file where a folder is meant", path=path, backend=backend)


def found_file_above(path: str, backend: str) -> InvalidPath:
    return InvalidPath("An ancestor of this path is a file", path=path, backend=backend)


def found_special(path: str, backend: str) -> InvalidPath:
    return InvalidPath("Not a file: neither a regular one nor a folder is there", path=path, backend=backend)


def escapes_root(path: str, backend: str | None = None) -> InvalidPath:
    return InvalidPath("Path escapes root", path=path, backend=backend)


def target_exists(path: str, backend: str) -> AlreadyExists:
    return AlreadyExists("File already exists; pass overwrite=True to replace it", path=path, backend=backend)


def not_empty(path: str, backend: str) -> DirectoryNotEmpty:
    return DirectoryNotEmpty(
        "Folder is not empty; pass recursive=True to delete what is in it", path=path, backend=backend
    )


def etag_differs(path: str, backend: str) -> PreconditionFailed:
    return PreconditionFailed("The stored file does not match if_match", path=path, backend=backend)


def source_changed(src: str, dst: str, backend: str) -> PreconditionFailed:
    message = "The file changed while it was being moved, so it was not deleted"
    return PreconditionFailed(message, path=src, backend=backend, target=dst)


def closed(path: str, backend: str) -> BackendUnavailable:
    return BackendUnavailable("The backend is closed for good; make a new one", path=path, backend=backend)


def unsupported(capability: str, path: str, backend: str, by: str = "this backend") -> CapabilityNotSupported:
    return CapabilityNotSupported(
        f"Capability '{capability}' is not supported by {by}",
        path=path,
        backend=backend,
        capability=capability,
    )


def not_whole(failure: BaseException, path: str, backend: str | None = None) -> RemoteStoreError:
    """The error for a file that is not published because a write to it failed."""
    kind = type(failure) if isinstance(failure, RemoteStoreError) else RemoteStoreError
    message = "A write to this file failed or was cancelled, so it is not published"
    return kind(message, path=path, backend=backend or getattr(failure, "backend", None))
