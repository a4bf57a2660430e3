"""Copies of blobs in the double of Azure storage: at once, in their own time, or given up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from servers.azure_answers import Refusal
from servers.azure_items import Copy, Item, judge, judge_lease, metadata_of
from servers.double_answers import Answer, Request

if TYPE_CHECKING:
    from servers.azure_items import Container
    from servers.azure_service import Service


def copy(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Copy Blob (blob/copy-blob); with `x-ms-requires-sync`, Copy Blob From URL."""
    from servers.azure_blob import check_write

    if "x-ms-blob-type" in request.headers:
        raise Refusal("NotImplemented", "Put Blob From URL")
    at_once = request.headers.get("x-ms-requires-sync", "").lower() == "true"
    # blob/copy-blob: a signature of the request is not one for the source; a key or token of the account is.
    source = _source(service, request, shown=at_once or "sig" in request.query)
    if at_once and len(source.content) > service.settings.copies_at_once:  # [unproved]: the code
        raise Refusal("InvalidInput", "The source is too large for a copy at once.", 409)
    if request.headers.get("x-ms-source-lease-id"):
        judge_lease(request.headers, source, "x-ms-source-lease-id")
    check_write(service, container, name, request)
    settings = service.settings
    if at_once and settings.copy_fails:
        raise Refusal("InternalError")
    at_once = at_once or settings.copy_polls == 0
    metadata = metadata_of(request.headers) or dict(source.metadata)  # None keeps that of the source.
    item = Item(metadata, settings=dict(source.settings))
    # The blob is there at once, and empty until the copy ends.
    item.copy = Copy(request.headers["x-ms-copy-source"], source.content, settings.copy_polls, settings.copy_fails)
    if at_once:
        _end(item, item.copy)
    item.blocks = list(source.blocks) if at_once else []
    container.publish(name, item)
    told = {"x-ms-copy-id": item.copy.id, "x-ms-copy-status": item.copy.status}
    return Answer(202, headers=item.described() | told)


def range_of_source(service: Service, request: Request) -> bytes:
    """What Put Block From URL reads (blob/put-block-from-url)."""
    content = _source(service, request, shown=True).content
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("x-ms-source-range", f"bytes=0-{len(content) - 1}"))
    if asked is None or int(asked[1]) >= len(content):
        raise Refusal("InvalidRange")
    return content[int(asked[1]) : int(asked[2]) + 1]


def _source(service: Service, request: Request, shown: bool) -> Item:
    """The blob that a request names as its source.

    Arguments:
        shown: whether the service reads it as anybody would.

    Raises:
        Refusal: there is none of this account, or a condition does not hold.
    """
    address = urlsplit(request.headers["x-ms-copy-source"])
    login = request.headers.get("x-ms-copy-source-authorization", "")
    if shown and "sig" not in dict(parse_qsl(address.query)) and not login.startswith("Bearer "):
        # blob/copy-blob-from-url: the source must be public, carry a signature, or be read with a token.
        raise Refusal("CannotVerifyCopySource", "The source needs authorization.", 401)
    path = address.path
    _, account, container, *name = path.split("/", 3)
    if account != service.account or not name:
        raise Refusal("CannotVerifyCopySource", "The double knows its own account only.")
    held = service.container(unquote(container))
    found = held.find(held.path(unquote(name[0])))
    if found.folder:
        raise Refusal("BlobOperationNotSupported")  # [unproved]
    judge(request.headers, found, "x-ms-source-")
    return found


def poll(item: Item) -> None:
    """Let a pending copy come nearer to its end, since somebody asks."""
    if item.copy and item.copy.status == "pending" and item.copy.polls is not None:
        if item.copy.polls > 0:
            item.copy.polls -= 1
        else:
            _end(item, item.copy)


def _end(item: Item, copied: Copy) -> None:
    """A copy that failed leaves an empty blob (blob/copy-blob)."""
    copied.status = "failed" if copied.fails else "success"
    if not copied.fails:
        item.content = copied.content
        item.touch()


def described(item: Item) -> dict[str, str]:
    """What is said of the last copy into a blob (blob/get-blob-properties)."""
    if not item.copy:
        return {}
    told = {"x-ms-copy-id": item.copy.id, "x-ms-copy-status": item.copy.status, "x-ms-copy-source": item.copy.source}
    size = len(item.copy.content)
    told["x-ms-copy-progress"] = f"{len(item.content)}/{size}"
    if item.copy.status == "failed":
        told["x-ms-copy-status-description"] = "500 InternalError"
    return told


def abort(item: Item, request: Request) -> Answer:
    """Abort Copy Blob leaves a blob of zero length (blob/abort-copy-blob)."""
    judge_lease(request.headers, item)
    if not item.copy or item.copy.status != "pending":
        raise Refusal("NoPendingCopyOperation", "There is currently no pending copy operation.")
    if request.query.get("copyid") != item.copy.id:
        raise Refusal("CopyIdMismatch")
    item.copy.status = "aborted"
    item.touch()
    return Answer(204, headers={})
