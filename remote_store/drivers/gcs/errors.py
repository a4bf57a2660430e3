"""What Google Cloud Storage refuses, as the contract's errors that say where and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import google.auth.exceptions as auth

from remote_store._errors import (
    BackendUnavailable,
    InvalidPath,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    StorageFull,
    container_missing,
    file_missing,
    storage_full,
)
from remote_store.drivers.errors import BUSY, DENIED, UNREACHABLE, by_status, from_any_error
from remote_store.drivers.gcs.credentials import Login
from remote_store.drivers.gcs.session import Refused
from remote_store.drivers.objects.clock import in_words
from remote_store.drivers.objects.where import Where, forget_failure
from remote_store.drivers.objects.wire import Malformed, Meaning

NO_GCS = "{host} does not answer like Google Cloud Storage"
LOGIN = (PermissionDenied, f"{DENIED}: {{host}} does not accept the credentials")
CLOCKS = "; the clocks of this machine and of the service differ by {minutes}"
RAN_OUT = "; by the clock of this machine, the access token has run out"
NO_LOGIN = "; no credentials were found, so requests carry none: pass token="
PAYS = (
    PermissionDenied,
    f"{DENIED}: {{host}} wants to know who pays for the requests; pass requester_pays='the project that pays'",
)
LOGINS = (
    "pass token=: the file of a service account, an access token, or 'anon' to send none; or set"
    " GOOGLE_APPLICATION_CREDENTIALS"
)
NO_SIGNING = (
    f"{DENIED}: the credentials may not sign; their role lacks iam.serviceAccounts.signBlob, which Service Account"
    " Token Creator has"
)
SIGNING_REFUSED = re.compile(r"""sign(?:Blob|_bytes).*["']code["']: ?40[134]\b""", re.DOTALL)
"""How google.auth tells of an answer to a request to sign, whatever it was, in prose alone."""
ZONAL = "zonalBucket"
"""Our own reason: Cloud Storage guide, Rapid Bucket [unproved]."""
REASONS: dict[str, tuple[type[RemoteStoreError], str]] = {
    **dict.fromkeys(
        ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"),
        (BackendUnavailable, f"{UNREACHABLE} at {{host}}: {BUSY} ({{code}})"),
    ),
    **dict.fromkeys(
        ("storageQuotaExceeded", "quotaLimitReached"), (StorageFull, storage_full("", "").message + ", says {host}")
    ),
    **dict.fromkeys(
        ("retentionPolicyNotMet", "objectUnderActiveHold", "objectRetained"),
        (ResourceLocked, "The object is under a retention policy or a hold ({code})"),
    ),
    "userProjectMissing": PAYS,
    ZONAL: (
        RemoteStoreError,
        "The bucket is zonal (Rapid storage class): it takes writes by gRPC alone, which this driver does not speak",
    ),
    "keyTooLong": (InvalidPath, "Path is not valid on this storage: it is too long"),
}
"""Reason in an answer → error: Cloud Storage JSON API, HTTP status and error codes."""
STATUSES: dict[int, tuple[type[RemoteStoreError], str]] = {
    400: (RemoteStoreError, "{host} refused the request as malformed ({code})"),
    401: LOGIN,
    403: (PermissionDenied, f"{DENIED}: {{host}} does not allow it to these credentials ({{code}})"),
    405: (PermissionDenied, f"{DENIED}: {{host}} does not allow it ({{code}})"),
    410: (BackendUnavailable, "The upload is gone, says {host}"),
    412: (PreconditionFailed, "The stored file does not match if_match"),
    413: (RemoteStoreError, "The content is larger than {host} takes"),
    501: (RemoteStoreError, "This service does not implement the request"),
}
"""Status → error, where the reason tells nothing more."""
MEANINGS = {
    404: Meaning.MISSING,
    412: Meaning.CONDITION_FAILED,
    416: Meaning.BAD_RANGE,
    **dict.fromkeys((400, 405, 501), Meaning.UNABLE),
    410: Meaning.NO_UPLOAD,
}
"""Status → what it says about the request."""


@dataclass
class Bucket(Where):
    """A bucket.

    Args:
        login: the credentials of its requests.
    """

    SERVICE = "Google Cloud Storage"
    OWN = (".googleapis.com",)
    login: Login | None = None


@contextmanager
def service_errors(where: Bucket, key: str) -> Iterator[None]:
    """Map what requests raise, and what reading their replies does."""
    forget_failure()
    try:
        yield
    except RemoteStoreError:
        raise
    except Refused as error:
        raise verdict(error, where, key) from error
    except auth.GoogleAuthError as error:
        if isinstance(error, auth.TransportError) and SIGNING_REFUSED.search(str(error)):
            raise PermissionDenied(NO_SIGNING, path=key, backend=where.backend) from error
        if isinstance(error, auth.TransportError) or error.retryable:
            raise where.no_answer(error, key) from error
        why = type(error.__cause__ or error).__name__
        message = f"{DENIED}: no usable credentials for {where} ({why}){_about_time(where)}; {LOGINS}"
        raise PermissionDenied(message, path=key, backend=where.backend) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise where.no_answer(error, key) from error
    except Malformed as error:
        raise where.malformed(error, key) from error
    except OSError as error:
        raise from_any_error(error, key, where.backend, place=str(where)) from error


def verdict(error: Refused, where: Bucket, key: str) -> RemoteStoreError:
    """The contract's error for an answer of the service."""
    if error.status == 404 and error.container:
        if not error.spoken:
            message = f"{NO_GCS.format(host=where)} (status 404)"
            return BackendUnavailable(message, path=key, backend=where.backend)
        return container_missing(where.container, key, where.backend)
    if error.status == 404:
        return file_missing(key, where.backend)
    kind, message = verdict_on(error, where)
    return kind(message, path=key, backend=where.backend)


def verdict_on(error: Refused, where: Bucket) -> tuple[type[RemoteStoreError], str]:
    """The error that a reason, or else a status, stands for, and what it says."""
    kind, message = REASONS.get(error.reason) or STATUSES.get(error.status) or by_status(error.status, NO_GCS)
    if (error.status, error.reason) == (400, "required"):  # Which field, only prose tells; requests lack no other.
        kind, message = PAYS
    if error.status in (401, 403) and where.login and where.login.found_none:
        message += NO_LOGIN
    if error.status == 401:
        message += _about_time(where)
    code = error.reason if error.reason.isalnum() and len(error.reason) < 60 else str(error.status)
    return kind, message.format(host=where.host, code=code)


def _about_time(where: Bucket) -> str:
    """What is wrong with the clock of this machine, as far as that is known, when it is a reason to be refused."""
    if where.login is None:
        return ""
    if ahead := where.login.clock.ahead:
        return CLOCKS.format(minutes=in_words(ahead))
    return RAN_OUT if where.login.ran_out else ""


def meaning(error: BaseException | None) -> Meaning:
    """What an error of the service says about the request."""
    if not isinstance(error, Refused):
        return Meaning.OTHER
    if error.status == 404 and error.container:
        return Meaning.OTHER
    return MEANINGS.get(error.status, Meaning.OTHER)
