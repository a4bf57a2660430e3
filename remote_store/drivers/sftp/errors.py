"""What SFTP servers refuse, and why connections fail, as the contract's errors that say where and why."""

from __future__ import annotations

from asyncssh import KeyImportError, SFTPError
from asyncssh import PermissionDenied as LoginRefused
from asyncssh.packet import PacketDecodeError

from remote_store._errors import (
    BackendUnavailable,
    CapabilityNotSupported,
    InvalidPath,
    PermissionDenied,
    RemoteStoreError,
    ResourceLocked,
    file_missing,
    found_file,
    found_folder,
    not_empty,
    storage_full,
    target_exists,
)
from remote_store.drivers import errors
from remote_store.drivers.sftp.channel import LOST, ConnectionGone
from remote_store.drivers.sftp.connecting import UntrustedHost, Unusable
from remote_store.drivers.sftp.proxying import ProxyFailed

MISSING = frozenset({2, 10})
"""No such file, no such path; also what lies below a file."""
DENIED, FAILURE, BAD_MESSAGE, UNSUPPORTED = 3, 4, 5, 8
GONE = frozenset({6, 7})
UNCLEAR = MISSING | {FAILURE, BAD_MESSAGE, UNSUPPORTED, 11, 18, 24}
"""Codes that mean one thing on one server and another on the next, or for another reason than they tell."""
LONGEST_NAME = 255
"""Bytes of a name, on all common file systems."""


def is_missing(error: SFTPError, path: bytes) -> bool:
    """Whether a refusal means that nothing is there: a name may be too long to be there."""
    return error.code in MISSING or (error.code in (FAILURE, BAD_MESSAGE) and too_long(path))


def too_long(path: bytes) -> bool:
    """Whether a name in a path is longer than names can be."""
    return any(len(name) > LONGEST_NAME for name in path.split(b"/"))


def by_code(error: SFTPError, key: str, backend: str) -> RemoteStoreError:
    """The contract's error for a refusal, by its code alone (draft-ietf-secsh-filexfer-13, section 9.1)."""
    if error.code in MISSING:
        return file_missing(key, backend)
    if error.code in (DENIED, 12):
        return PermissionDenied(errors.DENIED, path=key, backend=backend)
    if error.code in (5, 20):
        message = "Path is not valid on this filesystem: it may be too long, or a name in it"
        return InvalidPath(message, path=key, backend=backend)
    if error.code in GONE:
        return errors.unreachable(error, key, backend)
    known = {
        11: target_exists,
        14: storage_full,
        15: storage_full,
        18: not_empty,
        19: found_file,
        24: found_folder,
    }
    if error.code in known:
        return known[error.code](key, backend)
    if error.code == UNSUPPORTED:
        return CapabilityNotSupported("This is not supported by the server", path=key, backend=backend)
    if error.code == 17:
        return ResourceLocked("File is locked by someone else", path=key, backend=backend)
    return RemoteStoreError(f"The server failed and told no reason (code {error.code})", path=key, backend=backend)


def of_connection(error: BaseException, key: str, backend: str, place: str) -> RemoteStoreError:
    """The contract's error for a connection that cannot be made, or was lost."""
    while isinstance(error, ConnectionGone) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, (UntrustedHost, Unusable, ProxyFailed)):
        return BackendUnavailable(f"{errors.UNREACHABLE} at {place}: {error}", path=key, backend=backend)
    if isinstance(error, (LoginRefused, PermissionError)):
        return PermissionDenied(f"{errors.DENIED} at {place}: no credentials were accepted", path=key, backend=backend)
    if isinstance(error, KeyImportError):
        message = f"{errors.DENIED} at {place}: a private key cannot be read; it may need passphrase="
        return PermissionDenied(message, path=key, backend=backend)
    if isinstance(error, PacketDecodeError):
        return errors.unreachable(error, key, backend, place, "it does not answer like SFTP")
    return errors.unreachable(error, key, backend, place)


CONNECTING = (*LOST, ConnectionGone, UntrustedHost, Unusable, KeyImportError)
"""What making a connection, or using one, raises."""
