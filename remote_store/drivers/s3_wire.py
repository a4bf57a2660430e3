"""What travels between a store and S3: error codes, conditions, metadata, checksums."""

from __future__ import annotations

import base64
import email.errors
import email.header
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp
import botocore.exceptions as sdk

from remote_store._errors import (
    BackendUnavailable,
    InvalidPath,
    PermissionDenied,
    PreconditionFailed,
    RemoteStoreError,
    ResourceLocked,
    container_missing,
    file_missing,
)
from remote_store._models import ContentDigest
from remote_store.drivers.base import WriteOptions, from_any_error

UNREACHABLE = "Storage cannot be reached"
DENIED = "Permission denied"
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
            "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "BadGateway", "GatewayTimeout",
            "Throttling", "ThrottlingException", "TooManyRequests", "429", "500", "502", "503", "504",
            "OperationAborted",
        ),
        (BackendUnavailable, UNREACHABLE),
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "TemporaryRedirect", "Redirect", "301", "307", "AuthorizationHeaderMalformed"),
        (BackendUnavailable, "The bucket is in another region; set region_name to it"),
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
"""Error code → error, where the code means the same for every operation."""
MISSING_KEY = frozenset({"NoSuchKey", "404", "NoSuchVersion", "NotFound"})
CONFLICT = frozenset({"ConditionalRequestConflict", "409"})
FAILED_CONDITION = frozenset({"PreconditionFailed", "412"})
TOO_LARGE = frozenset({"InvalidRequest", "EntityTooLarge"})
"""How services refuse to copy an object that is too large for one request, and some other things."""


def code_of(error: BaseException | None) -> str:
    """The error code of an SDK error, `""` for any other."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, sdk.ClientError) else ""


def verdict(error: sdk.ClientError, bucket: str, key: str, backend: str) -> RemoteStoreError:
    """The contract's error for an answer of S3."""
    code = code_of(error)
    if code == "NoSuchBucket":
        return container_missing(bucket, key, backend)
    if code in MISSING_KEY:
        return file_missing(key, backend)
    if code in CODES:
        kind, message = CODES[code]
        return kind(message, path=key, backend=backend)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status in (401, 403):
        return PermissionDenied(DENIED, path=key, backend=backend)
    if status >= 500:
        return BackendUnavailable(UNREACHABLE, path=key, backend=backend)
    return RemoteStoreError(f"S3 answered {code or status}", path=key, backend=backend)


NO_CREDENTIALS = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.SSOError,
    sdk.TokenRetrievalError,
    sdk.ProfileNotFound,
    sdk.InvalidConfigError,
)


@contextmanager
def sdk_errors(bucket: str, key: str, backend: str) -> Iterator[None]:
    """Map what the SDK raises."""
    try:
        yield
    except RemoteStoreError:
        raise
    except sdk.ClientError as error:
        raise verdict(error, bucket, key, backend) from error
    except NO_CREDENTIALS as error:
        raise PermissionDenied("No usable credentials", path=key, backend=backend) from error
    except sdk.FlexibleChecksumError as error:
        message = "The content is not what its checksum says"
        raise BackendUnavailable(message, path=key, backend=backend) from error
    except sdk.ParamValidationError as error:
        raise InvalidPath("The SDK refuses the request as malformed", path=key, backend=backend) from error
    except (sdk.BotoCoreError, sdk.HTTPClientError, aiohttp.ClientError, TimeoutError) as error:
        raise BackendUnavailable(UNREACHABLE, path=key, backend=backend) from error
    except OSError as error:
        raise from_any_error(error, key, backend) from error


def replaced(doing: str, key: str, backend: str) -> PreconditionFailed:
    """The verdict on a file that is not the same any more."""
    return PreconditionFailed(f"The file was replaced while it was being {doing}", path=key, backend=backend)


def end_redirects(request_dict: dict[str, Any], response: Any, **_: Any) -> None:
    """Take a reply to HeadBucket that redirects without naming the region for the last word.

    The SDK would ask HeadBucket for the region, again and again (botocore.utils.S3RegionRedirectorv2).
    """
    reply = response[1]["ResponseMetadata"] if response else {}
    if reply.get("HTTPStatusCode") in (301, 302, 307) and "x-amz-bucket-region" not in reply["HTTPHeaders"]:
        request_dict["context"]["s3_redirect"]["redirected"] = True


def note_lost_reply(request_dict: dict[str, Any], response: Any, **_: Any) -> None:
    """Let a reply tell, as `LostReply`, that an earlier try of its request may have been carried out unheard."""
    context, reply = request_dict["context"], response[1].setdefault("ResponseMetadata", {}) if response else {}
    if not response or reply.get("HTTPStatusCode") in (500, 502, 504):
        context["remote_store_lost"] = True
    elif "remote_store_lost" in context:
        reply["LostReply"] = True


def same_metadata(one: Mapping[str, str] | None, other: Mapping[str, str] | None) -> bool:
    """Whether S3 keeps the same for both: it does not tell the case of keys."""
    return {key.lower(): value for key, value in (one or {}).items()} == {
        key.lower(): value for key, value in (other or {}).items()
    }


def beyond_xml(name: str) -> bool:
    """Whether a request in XML cannot carry a key as it is: XML 1.0, sections 2.2 and 2.11."""
    return any((char < " " and char not in "\t\n") or char in "\ufffe\uffff" for char in name)


CHECKSUMS = {
    "ChecksumCRC32": "crc32",
    "ChecksumCRC32C": "crc32c",
    "ChecksumCRC64NVME": "crc64nvme",
    "ChecksumSHA1": "sha1",
    "ChecksumSHA256": "sha256",
}


def digest(reply: Mapping[str, Any]) -> ContentDigest | None:
    """The whole-object checksum in a reply; a composite one is of parts."""
    if reply.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    for field, algorithm in CHECKSUMS.items():
        if (value := reply.get(field)) and "-" not in value:
            return ContentDigest(algorithm, base64.b64decode(value).hex())
    return None


def version(reply: Mapping[str, Any]) -> dict[str, str]:
    """The version of an object, where its bucket keeps versions."""
    version = reply.get("VersionId")
    return {"version_id": version} if version and version != "null" else {}


def written(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the reply to a write tells of the object."""
    return {"etag": reply["ETag"].strip('"'), "digest": digest(reply), **version(reply)}


def combined(etags: Iterable[str]) -> str | None:
    """The ETag of what parts with these ETags become, None where they are no MD5 sums."""
    parts = [etag.strip('"') for etag in etags]
    try:
        sums = [bytes.fromhex(part) for part in parts]
    except ValueError:
        return None
    if any(len(part) != 16 for part in sums):
        return None
    return f"{hashlib.md5(b''.join(sums), usedforsecurity=False).hexdigest()}-{len(sums)}"


SYSTEM_METADATA = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires",
)  # fmt: skip
"""What CopyObject keeps of an object beside user metadata and tags; the storage class is not (S3 API reference)."""


def kept(head: Mapping[str, Any], tags: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """What a copy keeps, as it is told when an upload begins."""
    system = {name: head[name] for name in SYSTEM_METADATA if head.get(name)}
    # What is encoded already, in whichever way, stays as it is.
    user = {key: value if value.isascii() else _header(value) for key, value in head.get("Metadata", {}).items()}
    tagging = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
    return {**system, "Metadata": user, **({"Tagging": tagging} if tagging else {})}


def conditions(options: WriteOptions) -> dict[str, str]:
    """The condition under which a write may happen."""
    if options.if_match is not None:
        return {"IfMatch": f'"{options.if_match}"'}
    return {} if options.overwrite else {"IfNoneMatch": "*"}


def encoded(metadata: Mapping[str, str] | None) -> dict[str, dict[str, str]]:
    """User metadata as headers can carry it: by RFC 2047 where they cannot carry it as it is, as S3 itself does.

    Raises:
        ValueError: a key that is no name of a header, or that differs from another in case alone.
    """
    if not metadata:
        return {}
    if bad := [key for key in metadata if not _TOKEN.fullmatch(key)]:
        raise ValueError(f"metadata key {bad[0]!r} cannot be kept by S3: letters, digits and !#$%&'*+-.^_`|~ alone can")
    if len({key.lower() for key in metadata}) < len(metadata):
        raise ValueError("metadata keys differ in case alone, which S3 does not keep")
    return {"Metadata": {key: _header(value) for key, value in metadata.items()}}


def _header(value: str) -> str:
    if value.isascii() and value.isprintable() and value == value.strip() and "=?" not in value:
        return value
    return f"=?utf-8?b?{base64.b64encode(value.encode()).decode()}?="


def decoded(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    """User metadata as it was before `encoded`."""
    return {key: _text(value) for key, value in metadata.items()} if metadata else None


_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""RFC 9110, section 5.6.2."""


def _text(header: str) -> str:
    try:
        return str(email.header.make_header(email.header.decode_header(header))) if "=?" in header else header
    except (LookupError, ValueError, email.errors.HeaderParseError):
        return header  # Written by somebody else, in a code of their own.
