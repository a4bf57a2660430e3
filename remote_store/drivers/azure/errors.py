"""What Azure Blob Storage refuses, as the contract's errors that say where and why."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from remote_store._errors import (
    BackendUnavailable,
    InvalidPath,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
    closed,
    container_missing,
    file_missing,
    found_folder,
    storage_full,
)
from remote_store.drivers.errors import BUSY, DENIED, UNREACHABLE, by_status, from_any_error
from remote_store.drivers.objects.clock import time_told
from remote_store.drivers.objects.where import Where, forget_failure
from remote_store.drivers.objects.wire import Malformed, Meaning
from remote_store.drivers.reasons import host_of

NO_AZURE = "{host} does not answer like Azure Blob Storage"
WITHHELD = "; credentials of this machine are for another account or host, and were not sent: pass them as arguments"
DISABLED = "AccountIsDisabled"
CHANGED = "Md5Mismatch"
EXISTS = "BlobAlreadyExists"
LOGINS = "pass account_key=, sas_token=, connection_string= or credential=, or anon=True to send none"
LEASE_MISSING = "LeaseIdMissing"
LOCKED = (ResourceLocked, "The file is leased, archived or protected ({code})")
CODES: dict[str, tuple[type[RemoteStoreError], str]] = {
    **dict.fromkeys(
        (
            LEASE_MISSING, "LeaseIdMismatchWithBlobOperation", "LeaseAlreadyPresent", "LeaseLost", "BlobArchived",
            "BlobBeingRehydrated", "PendingCopyOperation", "BlobImmutableDueToPolicy", "SnapshotsPresent",
            "ContainerBeingDeleted", "FilesystemBeingDeleted", "SourcePathIsBeingDeleted",
            "DestinationPathIsBeingDeleted",
        ),
        LOCKED,
    ),
    **dict.fromkeys(
        ("AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"),
        (PermissionDenied, f"{DENIED}: {{host}} does not accept the credentials ({{code}})"),
    ),
    **dict.fromkeys(
        ("AuthorizationFailure", "AuthorizationPermissionMismatch", "AuthorizationProtocolMismatch",
         "AuthorizationResourceTypeMismatch", "AuthorizationServiceMismatch", "AuthorizationSourceIPMismatch",
         "InsufficientAccountPermissions", "PublicAccessNotPermitted"),
        (PermissionDenied, f"{DENIED}: {{host}} does not allow it to these credentials ({{code}})"),
    ),
    "TooSkewed": (
        PermissionDenied,
        f"{DENIED}: the clocks of this machine and of {{host}} differ by more than the service allows",
    ),
    DISABLED: (PermissionDenied, f"{DENIED}: the account is disabled, says {{host}}"),
    "ServerBusy": (BackendUnavailable, f"{UNREACHABLE} at {{host}}: {BUSY} ({{code}})"),
    CHANGED: (BackendUnavailable, "The content changed on its way to {host} ({code})"),
    "InvalidBlockList": (BackendUnavailable, "Another writer of the file discarded the blocks of this upload"),
    **dict.fromkeys(
        ("InvalidResourceName", "InvalidUri", "OutOfRangeInput"), (InvalidPath, "Path is not valid on this storage")
    ),
    "AccountLimitExceeded": (StorageFull, storage_full("", "").message + ", says {host}"),
    **dict.fromkeys(("ConditionNotMet", "412"), (PreconditionFailed, "The stored file does not match if_match")),
}  # fmt: skip
"""Error code → error: Blob Storage REST API, error codes."""
MEANINGS = {
    **dict.fromkeys(("BlobNotFound", "PathNotFound", "SourcePathNotFound", "404"), Meaning.MISSING),
    **dict.fromkeys(
        ("ConditionNotMet", "TargetConditionNotMet", "SourceConditionNotMet", EXISTS, "PathAlreadyExists",
         "UnauthorizedBlobOverwrite", "412"),
        Meaning.CONDITION_FAILED,
    ),
    "InvalidBlockList": Meaning.CONFLICT,
    **dict.fromkeys(("InvalidRange", "416"), Meaning.BAD_RANGE),
}  # fmt: skip
"""Error code → what it says about the request."""
TOO_SKEWED = "TooSkewed"
"""Our own code: a signature of another time than the service's."""
MOST_SKEWED = dt.timedelta(minutes=14)
"""Blob Storage REST API, authorize with Shared Key: a request must come within 15 minutes."""
IS_FOLDER = "IsFolder"
"""Our own code: a folder where a file is meant."""
NOT_AT_ONCE = "NotAtOnce"
"""Our own code: the service does not copy a blob in one step, or cannot be shown it."""
LISTING = re.compile(r"[?&](?:comp=list|resource=filesystem)(?:&|$)")
"""In the URL of a listing, which the service refuses with a code."""
CARRIED = frozenset({"response", "model", "inner_exception", "exc_type", "exc_value", "exc_traceback", "exc_msg"})
"""What errors of the SDK hold that is neither a text nor a number."""
WRONG_PLACE = frozenset({"PathConflict", "ResourceTypeMismatch", "PathAlreadyExists", "InvalidDestinationPath"})
"""Of a folder where a file is to be, or a file above."""
NO_CONTAINER = frozenset({"ContainerNotFound", "ContainerDisabled", "FilesystemNotFound"})

E = TypeVar("E", bound=BaseException)


class Closed(Exception):
    """The store was closed before a request was answered."""


@dataclass
class Container(Where):
    """A container.

    Args:
        hint: to whom is denied what they ask for.
    """

    SERVICE = "Azure Blob Storage"
    OWN = (".core.windows.net",)
    NOUN = "container"
    hint: str = ""

    @property
    def host(self) -> str:
        """Of the usual service too: equal names of containers are in many accounts."""
        return host_of(self.endpoint).removesuffix(":443") or super().host


def code_of(error: BaseException | None) -> str:
    """The error code of the service, or the status where it gave none; `""` for any other error."""
    if not isinstance(error, HttpResponseError):
        return ""
    told = getattr(error, "error_code", None)
    if not told and error.response is not None:
        told = error.response.headers.get("x-ms-error-code")
    return str(getattr(told, "value", told) or error.status_code or "")


def alone(error: E) -> E:
    """An error without what the SDK lets it carry: requests and replies, of which neither travels to other processes,
    as Dask sends causes along, and of which a URL may hold a signature."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, HttpResponseError):
            link.__dict__["error_code"] = code_of(link)
        for name in CARRIED & link.__dict__.keys():
            link.__dict__[name] = None
        link = link.__cause__ or link.__context__
    return error


@contextmanager
def sdk_errors(where: Container, key: str) -> Iterator[None]:
    """Map what requests raise, and what reading their replies does."""
    forget_failure()
    try:
        yield
    except RemoteStoreError:
        raise
    except ClientAuthenticationError as error:
        if error.response is not None:
            raise verdict(error, where, key) from alone(error)
        message = f"{DENIED}: no usable credentials were found for {where.host}{where.hint or f'; {LOGINS}'}"
        raise PermissionDenied(message, path=key, backend=where.backend) from alone(error)
    except HttpResponseError as error:
        if error.status_code is None:
            raise where.no_answer(error, key) from alone(error)
        raise verdict(error, where, key) from alone(error)
    except (AzureError, aiohttp.ClientError, TimeoutError) as error:
        raise where.no_answer(error, key) from alone(error)
    except Closed as error:
        raise closed(key, where.backend) from alone(error)
    except Malformed as error:
        raise where.malformed(error, key) from alone(error)
    except OSError as error:
        raise from_any_error(error, key, where.backend, place=str(where)) from error


def verdict(error: HttpResponseError, where: Container, key: str) -> RemoteStoreError:
    """The contract's error for an answer of the service."""
    code = code_of(error)
    if code in NO_CONTAINER:
        return container_missing(where.container, key, where.backend)
    if code == "404" and error.response is not None and LISTING.search(str(error.response.request.url)):
        return BackendUnavailable(f"{NO_AZURE.format(host=where)} (status 404)", path=key, backend=where.backend)
    if code == IS_FOLDER:
        return found_folder(key, where.backend)
    if MEANINGS.get(code) is Meaning.MISSING:
        return file_missing(key, where.backend)
    if code == "AuthenticationFailed" and _is_skewed(error):
        code = TOO_SKEWED
    kind, message = verdict_on(code, error.status_code or 0, where)
    return kind(message, path=key, backend=where.backend)


def _is_skewed(error: HttpResponseError) -> bool:
    """Whether a request was signed by a clock that is too far from that of the service."""
    if error.response is None:
        return False
    sent, answered = error.response.request.headers, error.response.headers
    signed, now = time_told(sent.get("x-ms-date")), time_told(answered.get("Date"))
    by_key = str(sent.get("Authorization", "")).startswith("SharedKey ")
    return by_key and signed is not None and now is not None and abs(now - signed) > MOST_SKEWED


def verdict_on(code: str, status: int, where: Container) -> tuple[type[RemoteStoreError], str]:
    """The error that a code, or else a status, stands for, and what it says."""
    kind, message = CODES.get(code) or by_status(status, NO_AZURE)
    message = message.format(host=where.host, code=code if re.fullmatch(r"\w{1,80}", code) else status)
    return kind, message + where.hint if kind is PermissionDenied else message


def locked(key: str, backend: str) -> ResourceLocked:
    """The error for a file that somebody has leased, as its lease would refuse a write."""
    return ResourceLocked(LOCKED[1].format(code=LEASE_MISSING), path=key, backend=backend)


def meaning(error: BaseException | None) -> Meaning:
    """What an error of the SDK says about the request."""
    return MEANINGS.get(code_of(error), Meaning.OTHER)


def is_final(error: HttpResponseError) -> bool:
    """Whether the refusal of a copy is not of its way, which another might do without: of a condition or a lease, of
    what is not there, or because the service is not well."""
    code, status = code_of(error), error.status_code or 500
    locked = CODES.get(code, (None, ""))[0] is ResourceLocked
    return locked or code in MEANINGS or code in WRONG_PLACE or code in NO_CONTAINER or status >= 500 or status == 429
