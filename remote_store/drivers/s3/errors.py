"""What S3, its SDK and the network between them refuse, as the contract's errors that say where and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
from remote_store.drivers.errors import BUSY, DENIED, UNREACHABLE, by_status, from_any_error
from remote_store.drivers.objects.where import Where, forget_failure
from remote_store.drivers.objects.wire import Malformed, Meaning
from remote_store.drivers.s3.replies import NOT_S3, code_of, unreadable

NO_S3 = "{host} does not answer like S3"
ELSEWHERE = frozenset(
    {"PermanentRedirect", "TemporaryRedirect", "Redirect", "301", "307", "AuthorizationHeaderMalformed"}
)
CODES: dict[str, tuple[type[RemoteStoreError], str]] = {
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "AccountProblem", "NotSignedUp", "KMS.AccessDeniedException"),
        (PermissionDenied, DENIED + ": {host} does not allow it to these credentials ({code})"),
    ),
    **dict.fromkeys(("401", "403"), (PermissionDenied, DENIED + ": {host} answered {code} and gave no reason")),
    **dict.fromkeys(("MethodNotAllowed", "405"), (PermissionDenied, DENIED + ": {host} does not allow it ({code})")),
    "SignatureDoesNotMatch": (
        PermissionDenied,
        DENIED + ": the secret key is wrong for this access key id, says {host}",
    ),
    "InvalidAccessKeyId": (PermissionDenied, DENIED + ": {host} does not know the access key id"),
    **dict.fromkeys(
        ("ExpiredToken", "TokenRefreshRequired"),
        (PermissionDenied, DENIED + ": the session token has expired, says {host}"),
    ),
    "InvalidToken": (PermissionDenied, DENIED + ": the session token is not valid, says {host}"),
    "RequestTimeTooSkewed": (
        PermissionDenied,
        DENIED + ": the clocks of this machine and of {host} differ by more than the service allows",
    ),
    "400": (PermissionDenied, "{host} refused the request without a reason, as with expired credentials"),
    **dict.fromkeys(("NotImplemented", "501"), (RemoteStoreError, "This service does not implement the request")),
    **dict.fromkeys(
        (
            "InternalError", "ServiceUnavailable", "RequestTimeout", "BadGateway", "GatewayTimeout", "500", "502",
            "503", "504", "OperationAborted",
        ),
        (BackendUnavailable, UNREACHABLE + " at {host}: it answered {code}"),
    ),
    **dict.fromkeys(
        ("SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "429"),
        (BackendUnavailable, f"{UNREACHABLE} at {{host}}: {BUSY} ({{code}})"),
    ),
    **dict.fromkeys(
        ELSEWHERE, (BackendUnavailable, "The bucket is in another region, says {host}; set region_name to it")
    ),
    **dict.fromkeys(("302", "303", "308"), (BackendUnavailable, NO_S3 + " (status {code})")),
    **dict.fromkeys(
        ("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507"),
        (StorageFull, storage_full("", "").message + ", says {host}"),
    ),
    **dict.fromkeys(
        ("InvalidObjectState", "RestoreAlreadyInProgress"),
        (ResourceLocked, "The object is archived (Glacier); restore it first"),
    ),
    **dict.fromkeys(
        ("KMS.DisabledException", "KMS.InvalidStateException", "KMS.KeyUnavailableException", "KMS.NotFoundException"),
        (ResourceLocked, "The KMS key of the object cannot be used"),
    ),
    "KeyTooLongError": (InvalidPath, "Path is not valid on this storage: it is too long"),
    "InvalidURI": (InvalidPath, "Path is not valid on this storage"),
    **dict.fromkeys(("PreconditionFailed", "412"), (PreconditionFailed, "The stored file does not match if_match")),
}  # fmt: skip
"""Error code → error, where the code means the same for every operation; a reply without a code has its status."""
MEANINGS = {
    **dict.fromkeys(("NoSuchKey", "404", "NoSuchVersion", "NotFound"), Meaning.MISSING),
    **dict.fromkeys(("PreconditionFailed", "412"), Meaning.CONDITION_FAILED),
    **dict.fromkeys(("ConditionalRequestConflict", "409"), Meaning.CONFLICT),
    **dict.fromkeys(("NotImplemented", "501", "InvalidRequest", "InvalidArgument"), Meaning.UNABLE),
    **dict.fromkeys(("InvalidRange", "416"), Meaning.BAD_RANGE),
    "NoSuchUpload": Meaning.NO_UPLOAD,
}
"""Error code → what it says about the request."""
TOO_LARGE = frozenset({"InvalidRequest", "EntityTooLarge"})
"""How services refuse to copy an object that is too large for one request, and some other things."""
NO_CREDENTIALS = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.SSOError,
    sdk.TokenRetrievalError,
    sdk.ProfileNotFound,
    sdk.InvalidConfigError,
)
WHOLE_CHECKSUM = (
    "; if this service sends the checksum of a whole file with a part of it, as rclone does, pass"
    " config_kwargs={'response_checksum_validation': 'when_required'}"
)


@dataclass
class Bucket(Where):
    """A bucket.

    Args:
        region: of Amazon's.
    """

    SERVICE = "S3"
    OWN = (".amazonaws.com", ".amazonaws.com.cn")
    region: str = ""

    @property
    def host(self) -> str:
        return f"S3 in {self.region}" if self.is_own and self.region else super().host


@contextmanager
def sdk_errors(where: Bucket, key: str, ranged: bool = False) -> Iterator[None]:
    """Map what the SDK raises, and what reading its replies, of a range of the file or the whole, does."""
    forget_failure()
    try:
        yield
    except RemoteStoreError:
        raise
    except sdk.ClientError as error:
        raise verdict(error, where, key) from error
    except NO_CREDENTIALS as error:
        raise PermissionDenied(_no_credentials(error), path=key, backend=where.backend) from error
    except sdk.FlexibleChecksumError as error:
        message = "The content is not what its checksum says" + (WHOLE_CHECKSUM if ranged else "")
        raise BackendUnavailable(message, path=key, backend=where.backend) from error
    except sdk.ParamValidationError as error:
        raise InvalidPath("The SDK refuses the request as malformed", path=key, backend=where.backend) from error
    except (sdk.BotoCoreError, sdk.HTTPClientError, aiohttp.ClientError, TimeoutError) as error:
        raise where.no_answer(error, key) from error
    except (Malformed, ResponseParserError) as error:
        raise where.malformed(error, key) from error
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        if not unreadable(error):
            raise
        raise where.malformed(error, key) from error
    except OSError as error:
        raise from_any_error(error, key, where.backend, place=str(where)) from error


def _no_credentials(error: sdk.BotoCoreError) -> str:
    if isinstance(error, sdk.ProfileNotFound):
        return f"No usable credentials: the configuration of the SDK has no profile {error.kwargs.get('profile')!r}"
    if isinstance(error, (sdk.NoCredentialsError, sdk.PartialCredentialsError)):
        return (
            "No usable credentials: pass key= and secret=, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " or name a profile with profile="
        )
    return f"No usable credentials: the SDK could not get them where it is told to ({type(error).__name__})"


def verdict(error: sdk.ClientError, where: Bucket, key: str) -> RemoteStoreError:
    """The contract's error for an answer of the service."""
    code = code_of(error)
    if code == "NoSuchBucket":
        return container_missing(where.container, key, where.backend)
    if NOT_S3 in error.response:
        message = f"{NO_S3.format(host=where)} ({error.response[NOT_S3]})"
        return BackendUnavailable(message, path=key, backend=where.backend)
    if MEANINGS.get(code) is Meaning.MISSING and error.operation_name == "ListObjectsV2":
        # For a listing there is no missing key, only where it was taken for an object's name.
        message = f"{NO_S3.format(host=where)} (it looks for a key to list); is the bucket in endpoint_url, too?"
        return BackendUnavailable(message, path=key, backend=where.backend)
    if MEANINGS.get(code) is Meaning.MISSING:
        return file_missing(key, where.backend)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind, message = verdict_on(code, status, where)
    if code in ELSEWHERE and (region := _region(error)):
        message = f"The bucket {where.container!r} is in region {region}; set region_name to it"
    return kind(message, path=key, backend=where.backend)


def meaning(error: BaseException | None) -> Meaning:
    """What an error of the SDK says about the request; a page of a web server says nothing."""
    if isinstance(error, sdk.ClientError) and NOT_S3 not in error.response:
        return MEANINGS.get(code_of(error), Meaning.OTHER)
    return Meaning.OTHER


def _region(error: sdk.ClientError) -> str:
    """The region that a redirect leads to, where it tells."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    told = str(headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region", ""))
    return told if re.fullmatch(r"[a-z0-9-]{1,40}", told) else ""


def verdict_on(code: str, status: int, where: Bucket) -> tuple[type[RemoteStoreError], str]:
    """The error that a code, or else a status, stands for, and what it says."""
    kind, message = CODES.get(code) or by_status(status, NO_S3)
    return kind, message.format(host=where, code=code if re.fullmatch(r"[\w.-]{1,80}", code) else status)
