"""The calls of the Blob API on one blob, in the double of Azure storage."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from servers import azure_copying
from servers.azure_answers import Refusal, element, http_date, xml_answer
from servers.azure_items import KEPT, Container, Item, check_md5, judge, judge_lease, metadata_of, settings_of
from servers.azure_leases import on_lease
from servers.double_answers import Answer, Request

if TYPE_CHECKING:
    from servers.azure_service import Service

MOST_BLOCKS = 50_000
LONGEST_BLOCK_ID = 64
LARGEST_BLOCK = 4000 << 20
NOTHING: dict[str, str] = {}


def on_blob(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Answer a call of the Blob API.

    Raises:
        Refusal: it is refused.
    """
    name, comp = container.path(name), request.query.get("comp", "")
    match request.method, comp:
        case (("GET" | "HEAD"), ("" | "metadata")):
            return _read(container.find(name), container.hns, request)
        case "PUT", "" if "x-ms-copy-source" in request.headers:
            return azure_copying.copy(service, container, name, request)
        case "PUT", "":
            return _put(service, container, name, request)
        case "PUT", "block":
            return _put_block(service, container, name, request)
        case "PUT", "blocklist":
            return _put_block_list(service, container, name, request)
        case "GET", "blocklist":
            return _block_list(container, name, request)
        case "PUT", ("metadata" | "properties"):
            return _change(container.find(name), comp, request)
        case "PUT", "lease":
            return on_lease(container.find(name), request)
        case "PUT", "copy":
            return azure_copying.abort(container.find(name), request)
        case "DELETE", "":
            return _delete(container, name, request)
    raise Refusal("NotImplemented", f"The double does not know {request.method} comp={comp}.")


def check_write(service: Service, container: Container, name: str, request: Request, to: str = "file") -> Item | None:
    """What a write would replace.

    Raises:
        Refusal: it may not be written.
    """
    settings, found = service.settings, container.items.get(name)
    if any((held := container.items.get(parent)) and not held.folder for parent in container.parents(name)):
        raise Refusal(settings.under_a_file, "A parent of the path is a file.")  # [unproved]: the code
    judge(request.headers, found)  # [unproved]: before the lease; so does azurite
    if found and found.folder and to == "file":
        raise Refusal(settings.onto_a_folder, "The path is a folder.")  # [unproved]: the code
    judge_lease(request.headers, found)
    if found and found.copy and found.copy.status == "pending":  # blob/copy-blob
        raise Refusal("PendingCopyOperation", "There is currently a pending copy operation.")
    return found


def _put(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Put Blob (blob/put-blob); the whole at once."""
    headers = request.headers
    if headers.get("x-ms-blob-type") != "BlockBlob":
        kind = headers.get("x-ms-blob-type")
        raise Refusal("NotImplemented") if kind else Refusal("MissingRequiredHeader", "x-ms-blob-type")
    check_write(service, container, name, request)
    check_md5(headers, request.body)
    settings = settings_of(headers)
    settings.setdefault("Content-Type", headers.get("Content-Type", "application/octet-stream"))
    item = Item(metadata_of(headers), content=request.body, settings=settings).with_md5()
    container.publish(name, item)
    told = {"Content-MD5": item.settings["Content-MD5"], "x-ms-request-server-encrypted": "true"}
    return Answer(201, headers=item.described() | told)


def _put_block(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Put Block, Put Block From URL (blob/put-block, blob/put-block-from-url); readers see nothing of it, and
    conditions do not apply to what it becomes."""
    block = request.query.get("blockid", "")
    try:
        decoded = base64.b64decode(block, validate=True)
    except binascii.Error:
        decoded = b""
    if not 0 < len(decoded) <= LONGEST_BLOCK_ID:
        raise Refusal("InvalidQueryParameterValue", "Value for one of the query parameters is invalid.")
    body = request.body
    if "x-ms-copy-source" in request.headers:
        body = azure_copying.range_of_source(service, request)
    if not body:
        raise Refusal("InvalidHeaderValue", "Content-Length")
    found = container.items.get(name)
    judge_lease(request.headers, found)
    _refuse_appended(found)
    if found and found.folder:
        raise Refusal(service.settings.onto_a_folder)
    check_md5(request.headers, body)
    known = [*container.uncommitted.get(name, ()), *((block for block, _ in found.blocks) if found else ())]
    if any(len(base64.b64decode(other)) != len(decoded) for other in known):  # One length for each blob.
        raise Refusal("InvalidBlobOrBlock", "The specified blob or block content is invalid.")
    container.uncommitted.setdefault(name, {})[block] = body
    return Answer(201, headers={"x-ms-request-server-encrypted": "true"})


def _refuse_appended(found: Item | None) -> None:
    """Blocks do not go with what the Data Lake API wrote (Azure/azure-storage-net-data-movement#312)."""
    if found and found.made_by == "dfs" and not found.folder:
        raise Refusal("BlobOperationNotSupported", "Blob operation is not supported.")


def _put_block_list(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Put Block List (blob/put-block-list); answers without an MD5 (borink-org/object-storage, measured)."""
    found = check_write(service, container, name, request)
    _refuse_appended(found)
    check_md5(request.headers, request.body)
    try:
        asked = [(each.tag, each.text or "") for each in ElementTree.fromstring(request.body)]
    except ElementTree.ParseError:
        raise Refusal("InvalidXmlDocument") from None
    fresh, old = container.uncommitted.get(name, {}), _committed(found)
    places = {"Latest": old | fresh, "Uncommitted": fresh, "Committed": old}
    if len(asked) > MOST_BLOCKS or any(block not in places.get(place, {}) for place, block in asked):
        raise Refusal("InvalidBlockList", "The specified block list is invalid.")
    content = [places[place][block] for place, block in asked]
    blocks = [(block, len(each)) for (_, block), each in zip(asked, content, strict=True)]
    settings = {"Content-Type": "application/octet-stream"} | settings_of(request.headers)
    made = Item(
        metadata_of(request.headers), content=b"".join(content), settings=settings, made_by="blocks", blocks=blocks
    )
    container.publish(name, made)
    return Answer(201, headers=made.described() | {"x-ms-request-server-encrypted": "true"})


def _committed(found: Item | None) -> dict[str, bytes]:
    """Blocks of a blob."""
    held, position = {}, 0
    for block, size in found.blocks if found else ():
        held[block] = found.content[position : position + size] if found else b""
        position += size
    return held


def _block_list(container: Container, name: str, request: Request) -> Answer:
    """Get Block List (blob/get-block-list)."""
    found, fresh = container.items.get(name), container.uncommitted.get(name, {})
    if not found and not fresh:
        container.find(name)
    kinds = request.query.get("blocklisttype", "committed").lower()
    text = ""
    for kind, blocks in (
        ("Committed", found.blocks if found else []),
        ("Uncommitted", [(block, len(content)) for block, content in fresh.items()]),
    ):
        if kinds in ("all", kind.lower()):
            listed = "".join(f"<Block>{element('Name', one)}{element('Size', size)}</Block>" for one, size in blocks)
            text += f"<{kind}Blocks>{listed}</{kind}Blocks>"
    answer = xml_answer(f"<BlockList>{text}</BlockList>")
    told = {"x-ms-blob-content-length": str(len(found.content) if found else 0)}
    return answer._replace(headers={**answer.headers, **told, **(found.described() if found else {})})


def _read(item: Item, hns: bool, request: Request) -> Answer:
    """Get Blob, Get Blob Properties (blob/get-blob, blob/get-blob-properties); gzip comes as it is stored."""
    judge(request.headers, item, reading=True)
    if request.headers.get("x-ms-lease-id"):
        judge_lease(request.headers, item)
    azure_copying.poll(item)
    headers = item.described() | item.lease_words() | azure_copying.described(item)
    headers |= {f"x-ms-meta-{name}": value for name, value in item.metadata.items()}
    headers |= {"x-ms-blob-type": "BlockBlob", "x-ms-server-encrypted": "true", "Accept-Ranges": "bytes"}
    headers["x-ms-creation-time"] = http_date(item.created)
    if request.method == "HEAD":
        headers["Content-Length"] = str(len(item.content))
        headers |= {"x-ms-access-tier": "Hot", "x-ms-access-tier-inferred": "true"}
    if hns:  # blob/get-blob-properties: x-ms-resource-type
        headers |= {"x-ms-resource-type": "directory" if item.folder else "file"}
        headers |= {"x-ms-meta-hdi_isfolder": "true"} if item.folder else {}
    headers |= {"Content-Type": "application/octet-stream"} | item.settings
    asked = request.headers.get("x-ms-range", request.headers.get("Range", ""))
    named = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)  # [unproved]: what is no such range is ignored
    if request.method == "HEAD" or not named:
        return Answer(200, item.content, headers)
    size, (first, last) = len(item.content), named.groups()
    if int(first) >= size or (last and int(last) < int(first)):
        raise Refusal("InvalidRange", "The range specified is invalid for the current size of the resource.")
    if "Content-MD5" in headers:  # Of the whole (blob/get-blob).
        headers["x-ms-blob-content-md5"] = headers.pop("Content-MD5")
    end = min(int(last) + 1, size) if last else size
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    return Answer(206, item.content[int(first) : end], headers)


def _change(item: Item, comp: str, request: Request) -> Answer:
    """Set Blob Metadata, Set Blob Properties; each replaces all there was (blob/set-blob-metadata)."""
    judge(request.headers, item)
    judge_lease(request.headers, item)
    if comp == "metadata":
        item.metadata = metadata_of(request.headers)
    else:
        given = settings_of(request.headers)
        item.settings = given if any(f"x-ms-blob-{name.lower()}" in request.headers for name in KEPT) else item.settings
    item.touch()
    return Answer(200, headers=item.described() | {"x-ms-request-server-encrypted": "true"})


def _delete(container: Container, name: str, request: Request) -> Answer:
    """Delete Blob (blob/delete-blob); of a folder only when it is empty (rclone/rclone#7047)."""
    found = container.find(name)
    judge(request.headers, found)
    judge_lease(request.headers, found)
    if found.folder and next(container.within(name), None):
        raise Refusal("DirectoryIsNotEmpty", "This operation is not permitted on a non-empty directory.")
    del container.items[name]
    container.uncommitted.pop(name, None)  # [unproved]
    return Answer(202, headers={"x-ms-delete-type-permanent": "true"})
