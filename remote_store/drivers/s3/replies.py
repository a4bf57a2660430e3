"""Which replies are believed: S3's own, and whole. The SDK takes any page for a result, and requires no field."""

from __future__ import annotations

import datetime as dt
import re
import traceback
from collections.abc import Mapping
from typing import Any

import botocore.exceptions as sdk

from remote_store.drivers.objects.where import last_failure
from remote_store.drivers.objects.wire import Malformed, field

NOT_S3 = "NotS3"
"""Field of a reply that did not come from S3 or its likes; it says why."""
ROOTS = {
    "ListObjectsV2": "ListBucketResult",
    "CopyObject": "CopyObjectResult",
    "UploadPartCopy": "CopyPartResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetObjectTagging": "Tagging",
    **dict.fromkeys(("PutObject", "UploadPart", "DeleteObject", "AbortMultipartUpload"), ""),
}
"""Operation → element that a reply of success is, `""` where it is empty (S3 API reference)."""
DELETES = frozenset({"DeleteObject", "AbortMultipartUpload"})
"""Operations whose success says nothing but its status, 204: any server may answer 200 without content."""
ERRORS = frozenset({"Error", "ErrorResponse"})
MAKE = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload"})
"""Operations that make an object."""
SPOKEN = frozenset({401, 403, 409, 412, 429, *range(502, 600)})
"""Statuses that mean the same whoever answers, a gateway or S3."""
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]*>\s*)*<(?:[\w.-]+:)?([\w.-]+)")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


def mark_not_s3(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Mark what is no reply of S3, and make an error of it where it looks like success.

    A HEAD has no body, and decides nothing by itself.
    """
    name, status = operation_model.name, response_dict["status_code"]
    success = status < 300
    if operation_model.http["method"] == "HEAD" or (success and name not in ROOTS) or status in SPOKEN:
        return
    root, headers = _root(response_dict["body"]), response_dict["headers"]
    if success and root == ROOTS[name] and (name not in DELETES or status == 204 or "x-amz-request-id" in headers):
        return
    if root in ERRORS or (status == 500 and not root):
        return
    if 300 <= status < 400 and "x-amz-bucket-region" in headers:
        return
    media_type = _MEDIA_TYPE.match(headers.get("content-type", ""))
    told = media_type.group() if media_type and response_dict["body"] else "no content"
    customized_response_dict[NOT_S3] = f"status {status}, {told}"
    if success:
        response_dict["status_code"] = 500  # As the SDK does with an error that comes as a success.


def is_error(status: int, body: str) -> bool:
    """Whether an answer of which no header is known says as much as one with headers."""
    return status in SPOKEN or (status >= 400 and (not body or _root(body.encode()) in ERRORS))


def _root(body: bytes) -> str:
    """The name of the outermost element of a document, `""` where there is no document."""
    found = _ROOT.match(body)
    return found.group(1).decode() if found else "text" if body.strip() else ""


def end_redirects(request_dict: dict[str, Any], response: Any, **_: Any) -> None:
    """Let the SDK follow no redirect of HeadBucket that does not name the region.

    The SDK would ask HeadBucket for the region, again and again (botocore.utils.S3RegionRedirectorv2).
    """
    reply = response[1]["ResponseMetadata"] if response else {}
    if reply.get("HTTPStatusCode") in (301, 302, 307) and "x-amz-bucket-region" not in reply["HTTPHeaders"]:
        request_dict["context"]["s3_redirect"]["redirected"] = True


def look_at_try(
    operation: Any, request_dict: dict[str, Any], response: Any, caught_exception: BaseException | None, **_: Any
) -> None:
    """Look at a try before the SDK judges it: one handler, as each costs as much as all that it does."""
    reply = response[1].setdefault("ResponseMetadata", {}) if response else {}
    status = reply.get("HTTPStatusCode", 0)
    if status == 429:  # The SDK, which judges by code, is to try again as after 503 Slow Down.
        response[1].setdefault("Error", {})["Code"] = "SlowDown"
    # The deadline may pass while the SDK waits before the next try.
    last_failure.set(f"answered {status}" if status >= 400 else caught_exception)
    if operation.name in MAKE:
        note_lost_reply(request_dict["context"], response, reply, status)


def note_lost_reply(context: dict[str, Any], response: Any, reply: dict[str, Any], status: int) -> None:
    """Mark a reply, as `LostReply`, if an earlier try of its request may have succeeded with its reply lost."""
    if not response or status >= 500:
        context["remote_store_lost"] = True
    elif "remote_store_lost" in context:
        reply["LostReply"] = True


def watch(events: Any) -> None:
    """Look at each reply to a client before the SDK takes it for what it says."""
    events.register("before-parse.s3.*", mark_not_s3)
    events.register("needs-retry.s3.HeadBucket", end_redirects)
    events.register_first("needs-retry.s3", look_at_try)


def code_of(error: BaseException | None) -> str:
    """The error code of an SDK error, or its status where the service gave none; `""` for any other."""
    if not isinstance(error, sdk.ClientError):
        return ""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return str(error.response.get("Error", {}).get("Code") or status)


def lost_reply(error: BaseException) -> bool:
    """Whether what a refusal refers to may have been done by an earlier try of the same request."""
    response = getattr(error.__cause__, "response", {})
    return "LostReply" in response.get("ResponseMetadata", {})


# --- fields


def etag_of(reply: Mapping[str, Any]) -> str:
    """The ETag that a reply must tell, unquoted; gateways that compress mark those of S3 as weak, which has none."""
    tag: str = field(reply, "ETag")
    return tag.removeprefix("W/").strip('"')


def size(reply: Mapping[str, Any], name: str) -> int:
    """A size that a reply must tell [bytes]."""
    count: int = field(reply, name)
    if count < 0:
        raise Malformed(f"{name} is negative")
    return count


def last_modified(reply: Mapping[str, Any]) -> dt.datetime:
    """The time of the last change, which a reply must tell, in UTC."""
    moment: dt.datetime = field(reply, "LastModified")
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise Malformed("LastModified is no time") from error


def unreadable(error: BaseException) -> bool:
    """Whether the SDK raised this while it read a reply, and not before."""
    return any(
        frame.f_globals.get("__name__") == "botocore.parsers" or frame.f_code.co_name.startswith("decode_list_object")
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )
