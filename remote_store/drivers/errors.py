"""What errors of operating systems, services and packages mean, as tables: the contract's error for each."""

from __future__ import annotations

import errno
import re
from typing import NamedTuple

from remote_store._errors import (
    BackendUnavailable,
    CapabilityNotSupported,
    InvalidPath,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
    file_missing,
    found_file_above,
    found_folder,
    not_empty,
    storage_full,
    target_exists,
    with_errno,
)
from remote_store.drivers import reasons

UNREACHABLE = "Storage cannot be reached"
DENIED = "Permission denied"
BUSY = "it asks for fewer requests"


class Verdict(NamedTuple):
    """What a number means: the class of the error, and its message."""

    error: type[RemoteStoreError]
    message: str


_REFUSED = Verdict(PermissionDenied, DENIED)
_LOGIN = Verdict(PermissionDenied, f"{DENIED}: the credentials were not accepted")
_INVALID = Verdict(InvalidPath, "Path is not valid on this filesystem")
_TOO_LONG = Verdict(InvalidPath, f"{_INVALID.message}: it is too long, or a name in it is too long")
_LOCKED = Verdict(ResourceLocked, "File is locked by someone else")
_FULL = Verdict(StorageFull, storage_full("", "").message)
_LOST = Verdict(BackendUnavailable, UNREACHABLE)
_BUSY = Verdict(BackendUnavailable, BUSY)

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
"""The numbers by which a POSIX filesystem says that a name leads nowhere."""

ERRNO_VERDICTS: dict[int, Verdict] = {
    number: verdict
    for names, verdict in (
        ("EACCES EPERM EROFS", _REFUSED),
        ("ELOOP EILSEQ ENXIO ENODEV", _INVALID),
        ("ENAMETOOLONG", _TOO_LONG),
        ("EBUSY ETXTBSY EAGAIN EDEADLK ENOLCK", _LOCKED),
        ("ENOSPC EDQUOT", _FULL),
        ("ETIMEDOUT ECONNREFUSED ECONNRESET ECONNABORTED EPIPE EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN", _LOST),
        ("ENOTCONN ESHUTDOWN ESTALE EIO EREMOTEIO", _LOST),
    )
    for name in names.split()
    if (number := getattr(errno, name, None)) is not None
}
"""errno → error, for those that mean the same wherever they occur."""

STATUS_VERDICTS: dict[int, Verdict] = {
    401: _LOGIN,
    403: _REFUSED,
    408: _LOST,
    412: Verdict(PreconditionFailed, "A precondition of the request failed"),
    423: _LOCKED,
    429: _BUSY,
    **dict.fromkeys(range(500, 600), _LOST),
    507: _FULL,
}
"""HTTP status → error, where the service tells nothing else."""


def by_status(status: int, stranger: str) -> tuple[type[RemoteStoreError], str]:
    """What a status of HTTP means where a service tells nothing else: an error, and a message with places for `host`
    and `code`; `stranger` is the one for what is no answer of such a service."""
    kind, message = STATUS_VERDICTS.get(status, (RemoteStoreError, ""))
    if 0 < status < 400:
        return BackendUnavailable, stranger + " (status {code})"
    if status == 429:
        return kind, f"{UNREACHABLE} at {{host}}: {BUSY} ({{code}})"
    if kind is BackendUnavailable:
        return kind, f"{UNREACHABLE} at {{host}}: it answered {{code}}"
    if kind is StorageFull:
        return kind, f"{message}, says {{host}}"
    return kind, (f"{message}: " if message else "") + "{host} answered {code}"


FTP_VERDICTS: dict[int, Verdict] = {
    **dict.fromkeys((421, 425, 426), _LOST),
    450: _LOCKED,
    **dict.fromkeys((452, 552), _FULL),
    530: _LOGIN,
    553: _INVALID,
}
"""FTP reply → error (RFC 959); 550 is ambiguous and not mapped."""


_WORDS: dict[re.Pattern[str], Verdict] = {
    re.compile(r"storageQuotaExceeded|quotaLimitReached|insufficient_(?:space|storage)|storage_limit_exceeded"
               r"|[DN]SQuotaExceeded|No space left on device|Disk quota exceeded"): _FULL,
    re.compile(r"[rR]ateLimitExceeded|too_many_requests|Too Many Requests"): _BUSY,
    re.compile(r"^Forbidden: "): _REFUSED,
}  # fmt: skip
"""Text → error, for services that give no status, or 403 for several things: Google, Microsoft Graph, Dropbox, Box,
Hadoop; gcsfs."""


def _status(error: Exception) -> tuple[int, dict[int, Verdict]]:
    """The status a service replied with, 0 when there is none, and the table to read it by."""
    if type(error).__module__ == "ftplib":
        return int(str(error)[:3]) if str(error)[:3].isdecimal() else 0, FTP_VERDICTS
    for name in ("status", "status_code", "code"):
        if isinstance(status := getattr(error, name, None), int):
            return status, STATUS_VERDICTS
    return 0, STATUS_VERDICTS


def _verdict_of(error: Exception) -> tuple[Verdict | None, int]:
    """What a reply of a service means, and its status."""
    status, verdicts = _status(error)
    if status in (0, 403) and not (isinstance(error, OSError) and error.errno):
        text = str(error)
        if (verdict := next((verdict for words, verdict in _WORDS.items() if words.search(text)), None)) is not None:
            return verdict, status
    return verdicts.get(status), status


def unreachable(error: BaseException, key: str, backend: str, place: str = "", why: str = "") -> BackendUnavailable:
    """The error for a storage that gave no usable answer: where it is, and why, without secrets.

    Args:
        error: what was raised.
        key: what it was about.
        backend: name of the backend.
        place: host and port, or a name, as far as known.
        why: the reason, where more than the error is known of it.
    """
    number = reasons.number_of(error)
    message = UNREACHABLE + (f" at {place}" if place else "") + f": {why or reasons.reason(error)}"
    known = number in ERRNO_VERDICTS and ERRNO_VERDICTS[number].error is BackendUnavailable
    return with_errno(BackendUnavailable(message, path=key, backend=backend), number if known else None)


def from_os_error(
    error: OSError, key: str, backend: str, *, writing: bool = False, place: str = ""
) -> RemoteStoreError:
    """The contract's error for an `OSError`; a path below a file is missing to readers and refused to writers."""
    number = error.errno
    # Some packages raise plain OSErrors whose number tells the class they should have (smbprotocol).
    classes = {type(error), type(OSError(number, ""))}
    if NotADirectoryError in classes and writing:
        return found_file_above(key, backend)
    if classes & {FileNotFoundError, NotADirectoryError} or (number == errno.ENAMETOOLONG and not writing):
        return file_missing(key, backend)
    if IsADirectoryError in classes:
        return found_folder(key, backend)
    if FileExistsError in classes:
        return target_exists(key, backend)
    if number == errno.ENOTEMPTY:
        return not_empty(key, backend)
    verdict = _os_verdict(error)
    if verdict.error is BackendUnavailable:
        return unreachable(error, key, backend, place)
    return with_errno(verdict.error(verdict.message, path=key, backend=backend), number)


def _os_verdict(error: OSError) -> Verdict:
    number = error.errno
    if number in ERRNO_VERDICTS:
        return ERRNO_VERDICTS[number]
    if isinstance(error, PermissionError):
        return _REFUSED
    if isinstance(error, (ConnectionError, TimeoutError)) or (number is None and reasons.is_outage(error)):
        return _LOST
    reason = errno.errorcode.get(number, "unknown") if number is not None else type(error).__name__
    return Verdict(RemoteStoreError, f"The filesystem failed ({reason})")


def from_any_error(
    error: Exception, key: str, backend: str, *, writing: bool = False, place: str = ""
) -> RemoteStoreError:
    """The contract's error for whatever an unknown filesystem raises; its text stays in `__cause__` alone.

    Args:
        error: what was raised.
        key: what it was about.
        backend: name of the backend.
        writing: whether the file was to be made or changed.
        place: where the storage is, as far as known: host and port, or a name; no secrets.
    """
    if isinstance(error, RemoteStoreError):
        return error
    if isinstance(error, NotImplementedError):
        return CapabilityNotSupported("This is not supported by the filesystem", path=key, backend=backend)
    verdict, status = _verdict_of(error)
    if status == 404:
        return file_missing(key, backend)
    if verdict is not None and verdict.error is BackendUnavailable:
        why = BUSY if verdict is _BUSY else f"it answered {status}"
        return unreachable(error, key, backend, place, why)
    if verdict is not None:
        message = verdict.message.replace(DENIED, f"{DENIED} at {place}") if place else verdict.message
        return verdict.error(message, path=key, backend=backend)
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        # Some filesystems report any failure as a missing file; the cause tells what it was (http).
        cause = from_any_error(error.__cause__, key, backend, writing=writing, place=place)
        if isinstance(cause, (PermissionDenied, BackendUnavailable, ResourceLocked)):
            return cause
    return _by_class(error, key, backend, writing, place)


def _by_class(error: Exception, key: str, backend: str, writing: bool, place: str) -> RemoteStoreError:
    names = reasons.kinds(error)
    if isinstance(error, PermissionError):  # Of a refused login, too (sshfs).
        names |= reasons.kinds(error.__cause__) & reasons.DENIED
    if names & reasons.DENIED:
        at = f" at {place}" if place else ""
        return PermissionDenied(f"Permission denied{at}: no credentials were accepted", path=key, backend=backend)
    if names & reasons.FULL:
        return storage_full(key, backend)
    if names & reasons.OUTAGES:
        return unreachable(error, key, backend, place)
    if isinstance(error, OSError):
        return from_os_error(error, key, backend, writing=writing, place=place)
    if reasons.is_outage(error):
        return unreachable(error, key, backend, place)
    if isinstance(error, ValueError) and not key.isprintable():
        return InvalidPath("This filesystem cannot carry such a name", path=key, backend=backend)
    return RemoteStoreError(f"The filesystem failed ({type(error).__name__})", path=key, backend=backend)
