"""What S3, its SDK and the network between them refuse, as the contract's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import botocore.exceptions as sdk
from botocore.parsers import ResponseParserError

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
from remote_store.drivers.base import from_any_error
from remote_store.drivers.s3_replies import NOT_S3, Malformed, code_of, unreadable

UNREACHABLE = "Storage cannot be reached"
DENIED = "Permission denied"
NO_S3 = "{host} does not answer like S3"
CODES: dict[str, tuple[type[RemoteStoreError], str]] = {
    **dict.fromkeys(
        (
            "AccessDenied", "403", "401", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
            "AllAccessDisabled", "AccountProblem", "RequestTimeTooSkewed", "TokenRefreshRequired", "NotSignedUp",
            "KMS.AccessDeniedException", "MethodNotAllowed", "405",
        ),
        (PermissionDenied, DENIED),
    ),
    "400": (PermissionDenied, "The service refused the request without a reason, as with expired credentials"),
    **dict.fromkeys(("NotImplemented", "501"), (RemoteStoreError, "This service does not implement the request")),
    **dict.fromkeys(
        (
            "InternalError", "ServiceUnavailable", "RequestTimeout", "BadGateway", "GatewayTimeout", "500", "502",
            "503", "504", "OperationAborted",
        ),
        (BackendUnavailable, UNREACHABLE),
    ),
    **dict.fromkeys(
        ("SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "429"),
        (BackendUnavailable, UNREACHABLE),
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "TemporaryRedirect", "Redirect", "301", "307", "AuthorizationHeaderMalformed"),
        (BackendUnavailable, "The bucket is in another region; set region_name to it"),
    ),
    **dict.fromkeys(("302", "303", "308"), (BackendUnavailable, NO_S3 + " (status {code})")),
    **dict.fromkeys(
        ("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507"),
        (StorageFull, storage_full("", "").message),
    ),
    **dict.fromkeys(
        ("InvalidObjectState", "RestoreAlreadyInProgress"),
        (ResourceLocked, "The object is archived (Glacier); restore it first"),
    ),
    **dict.fromkeys(
        ("KMS.DisabledException", "KMS.InvalidStateException", "KMS.KeyUnavailableException", "KMS.NotFoundException"),
        (ResourceLocked, "The KMS key of the object cannot be used"),
    ),
    **dict.fromkeys(("KeyTooLongError", "InvalidURI"), (InvalidPath, "Path is not valid on this storage")),
    **dict.fromkeys(("PreconditionFailed", "412"), (PreconditionFailed, "The stored file does not match if_match")),
}  # fmt: skip
"""Error code → error, where the code means the same for every operation; a reply without a code has its status."""
MISSING_KEY = frozenset({"NoSuchKey", "404", "NoSuchVersion", "NotFound"})
CONFLICT = frozenset({"ConditionalRequestConflict", "409"})
FAILED_CONDITION = frozenset({"PreconditionFailed", "412"})
TOO_LARGE = frozenset({"InvalidRequest", "EntityTooLarge"})
"""How services refuse to copy an object that is too large for one request, and some other things."""
UNABLE = frozenset({"NotImplemented", "501", "InvalidRequest", "InvalidArgument"})
"""How services refuse a condition that they cannot judge."""
NO_CREDENTIALS = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.SSOError,
    sdk.TokenRetrievalError,
    sdk.ProfileNotFound,
    sdk.InvalidConfigError,
)


class Where(NamedTuple):
    """What errors tell of the place they happened at; no secret.

    Args:
        bucket: its name.
        backend: name of the backend.
        host: the service, as people would call it.
    """

    bucket: str
    backend: str
    host: str


def host_of(url: str) -> str:
    """Host and port of a URL, and nothing else that stands in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    port = port or (80 if url.startswith("http://") else 443)
    return f"[{host}]:{port}" if host and ":" in host else f"{host or 'the service'}:{port}"


@contextmanager
def sdk_errors(where: Where, key: str) -> Iterator[None]:
    """Map what the SDK raises, and what reading its replies does."""
    try:
        yield
    except RemoteStoreError:
        raise
    except sdk.ClientError as error:
        raise verdict(error, where, key) from error
    except NO_CREDENTIALS as error:
        raise PermissionDenied("No usable credentials", path=key, backend=where.backend) from error
    except sdk.FlexibleChecksumError as error:
        message = "The content is not what its checksum says"
        raise BackendUnavailable(message, path=key, backend=where.backend) from error
    except sdk.ParamValidationError as error:
        raise InvalidPath("The SDK refuses the request as malformed", path=key, backend=where.backend) from error
    except (sdk.BotoCoreError, sdk.HTTPClientError, aiohttp.ClientError, TimeoutError) as error:
        raise BackendUnavailable(UNREACHABLE, path=key, backend=where.backend) from error
    except (Malformed, ResponseParserError) as error:
        raise malformed(error, where, key) from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if not unreadable(error):
            raise
        raise malformed(error, where, key) from error
    except OSError as error:
        raise from_any_error(error, key, where.backend) from error


def malformed(error: Exception, where: Where, key: str) -> BackendUnavailable:
    """The verdict on a reply that lacks what it must have."""
    what = str(error) if isinstance(error, Malformed) else "it cannot be read"
    return BackendUnavailable(f"A reply of {where.host} is malformed: {what}", path=key, backend=where.backend)


def verdict(error: sdk.ClientError, where: Where, key: str) -> RemoteStoreError:
    """The contract's error for an answer of the service."""
    code = code_of(error)
    if code == "NoSuchBucket":
        return container_missing(where.bucket, key, where.backend)
    if NOT_S3 in error.response:
        message = f"{NO_S3.format(host=where.host)} ({error.response[NOT_S3]})"
        return BackendUnavailable(message, path=key, backend=where.backend)
    if code in MISSING_KEY:
        return file_missing(key, where.backend)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind, message = meaning(code, status, where)
    return kind(message, path=key, backend=where.backend)


def meaning(code: str, status: int, where: Where) -> tuple[type[RemoteStoreError], str]:
    """The error that a code, or else a status, stands for, and what it says."""
    kind, message = CODES.get(code) or _by_status(status)
    return kind, message.format(host=where.host, code=code if re.fullmatch(r"[\w.-]{1,80}", code) else status)


def _by_status(status: int) -> tuple[type[RemoteStoreError], str]:
    """The meaning of a code that nobody knows."""
    if status in (401, 403):
        return PermissionDenied, DENIED
    if status == 429:
        return CODES["429"]
    if status == 507:
        return CODES["507"]
    if status >= 500:
        return CODES["500"]
    return RemoteStoreError, "S3 answered {code}"


def replaced(doing: str, key: str, backend: str) -> PreconditionFailed:
    """The verdict on a file that is not the same any more."""
    return PreconditionFailed(f"The file was replaced while it was being {doing}", path=key, backend=backend)
