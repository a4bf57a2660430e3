"""The calls of the Data Lake API in the double of Azure storage, on the address of the Blob API.

The SDK makes one address of the other by `.dfs.` and `.blob.`, so on loopback both are one; a call is told by its
query. Reading and deleting a path without parameters is the same in both.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import unquote

from servers import azure_lists
from servers.azure_answers import Refusal
from servers.azure_blob import check_write
from servers.azure_items import Container, Item, judge, judge_lease, settings_of
from servers.double_answers import Answer, Request

if TYPE_CHECKING:
    from servers.azure_service import Service


def is_for_paths(request: Request) -> bool:
    """Whether a request is of the Data Lake API."""
    asked = {"resource", "action", "mode", "recursive"} & request.query.keys()
    return bool(asked) or request.method == "PATCH" or "x-ms-rename-source" in request.headers


def on_paths(service: Service, container: str, name: str, request: Request) -> Answer:
    """Answer a call.

    Raises:
        Refusal: it is refused.
    """
    if request.query.get("resource") == "filesystem":
        return _on_filesystem(service, container, request)
    held = service.container(container)
    if not held.hns:
        raise Refusal("HierarchicalNamespaceNotEnabled", "Hierarchical namespace is not enabled for this account.")
    if request.method == "HEAD" and request.query.get("action") in ("getAccessControl", "getStatus"):
        root = not name.strip("/")
        return _status(Item(folder=True) if root else held.find(held.path(name)), request)
    path = held.path(name)
    match request.method, request.query.get("action"):
        case "PUT", None if "x-ms-rename-source" in request.headers:
            return _rename(service, held, path, request)
        case "PUT", None if request.query.get("resource") in ("file", "directory"):
            return _create(service, held, path, request)
        case "PATCH", "append":
            return _append(held.find(path), request)
        case "PATCH", "flush":
            return _flush(held.find(path), request)
        case "PATCH", "setProperties":
            return _set_properties(held.find(path), request)
        case "PATCH", "setAccessControl":
            return Answer(200, headers=held.find(path).described())
        case "DELETE", None:
            return _delete(service, held, path, request)
    raise Refusal("NotImplemented", f"The double does not know {request.method} {request.query}.")


def _on_filesystem(service: Service, name: str, request: Request) -> Answer:
    """Calls on a filesystem, which is a container (datalake/filesystem)."""
    if request.method == "PUT":
        service.create_container(name, request)
    held = service.container(name)
    told = held.described() | {"x-ms-namespace-enabled": str(held.hns).lower()}
    match request.method:
        case "PUT":
            return Answer(201, headers=told)
        case "HEAD":
            return Answer(200, headers=told)
        case "DELETE":
            del service.containers[name]
            return Answer(202, headers={})
        case "GET" if held.hns:
            return azure_lists.list_paths(held, request.query, service.settings)
    raise Refusal("NotImplemented")


def _properties(request: Request) -> dict[str, str]:
    """Of `x-ms-properties`: names, and values as base64 (datalake/path/create)."""
    pairs = [each.partition("=") for each in request.headers.get("x-ms-properties", "").split(",") if each]
    try:
        return {name.strip(): base64.b64decode(value, validate=True).decode("latin-1") for name, _, value in pairs}
    except binascii.Error:
        raise Refusal("InvalidInput", "x-ms-properties") from None


def _create(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Path Create (datalake/path/create); what is there is replaced unless `If-None-Match: *` forbids it."""
    kind = request.query["resource"]
    found = check_write(service, container, name, request, to=kind)
    if found and kind == "directory" and not found.folder:
        raise Refusal("PathAlreadyExists", "The specified path already exists.")  # [unproved]: the code
    metadata = _properties(request)
    if found and found.folder:
        found.metadata = metadata or found.metadata  # [unproved]
        found.touch()
        return Answer(201, headers=found.described() | {"Content-Length": "0"})
    settings = {"Content-Type": "application/octet-stream"} | settings_of(request.headers, "x-ms-")
    item = Item(metadata, settings=settings if kind == "file" else {}, folder=kind == "directory", made_by="dfs")
    return Answer(201, headers=container.publish(name, item).described() | {"x-ms-request-server-encrypted": "true"})


def _append(item: Item, request: Request) -> Answer:
    """Path Update, action=append (datalake/path/update); seen by nobody until it is flushed."""
    if item.folder:
        raise Refusal("ResourceTypeMismatch")
    judge_lease(request.headers, item)
    position = _position(request)
    if position < len(item.content):
        raise Refusal("InvalidFlushPosition", "The uploaded data is not contiguous.")
    item.appended[position] = request.body
    if request.query.get("flush") == "true":
        request.query["position"] = str(position + len(request.body))
        return _flush(item, request)._replace(status=202)
    return Answer(202, headers={"x-ms-request-server-encrypted": "true"})


def _flush(item: Item, request: Request) -> Answer:
    """Path Update, action=flush (datalake/path/update)."""
    judge(request.headers, item)
    judge_lease(request.headers, item)
    if item.made_by != "dfs" or item.folder:  # What the Blob API wrote.
        raise Refusal("InvalidFlushOperation", "The resource was created or modified by the Azure Blob Service API.")
    content, position = item.content, _position(request)
    while len(content) < position and len(content) in item.appended:
        content += item.appended[len(content)]
    if len(content) != position:
        raise Refusal("InvalidFlushPosition", "The uploaded data is not contiguous or the position is not its length.")
    item.content, item.appended = content, {}
    item.settings |= settings_of(request.headers, "x-ms-")
    item.touch()
    return Answer(200, headers=item.described() | {"x-ms-request-server-encrypted": "true"})


def _position(request: Request) -> int:
    try:
        return int(request.query["position"])
    except (KeyError, ValueError):
        raise Refusal("MissingRequiredQueryParameter", "position") from None


def _set_properties(item: Item, request: Request) -> Answer:
    """Path Update, action=setProperties (datalake/path/update)."""
    judge(request.headers, item)
    judge_lease(request.headers, item)
    item.metadata = _properties(request)
    item.settings |= settings_of(request.headers, "x-ms-")
    item.touch()
    return Answer(200, headers=item.described())


def _status(item: Item, request: Request) -> Answer:
    """Path Get Properties, action=getAccessControl or getStatus (datalake/path/get-properties)."""
    judge(request.headers, item, reading=True)
    told = item.described() | {"x-ms-owner": "$superuser", "x-ms-group": "$superuser"}
    told |= {"x-ms-permissions": "rwxr-x---", "x-ms-acl": "user::rwx,group::r-x,other::---"}
    return Answer(200, headers=told | {"x-ms-resource-type": "directory" if item.folder else "file"})


def _rename(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Path Create with a source (datalake/path/create): one step, which replaces a file or an empty folder by default.

    What is renamed keeps its etag and its time, and the answer has neither (recordings of rename_file).
    """
    told, _, signature = request.headers["x-ms-rename-source"].partition("?")
    if "sig" in request.query and "sig=" not in signature:  # datalake/path/create: the source needs one, too.
        raise Refusal("AuthorizationFailure")
    told = unquote(told)
    _, filesystem, *rest = told.split("/", 2)
    origin = service.container(filesystem)
    source = origin.path(rest[0]) if rest else ""
    if source not in origin.items:
        raise Refusal("SourcePathNotFound", "The source path for a rename operation does not exist.")
    if "x-ms-properties" in request.headers:
        raise Refusal("UnsupportedHeader", "x-ms-properties")
    moved, found = origin.items[source], container.items.get(name)
    judge(request.headers, moved, "x-ms-source-")
    judge_lease(request.headers, moved, "x-ms-source-lease-id")
    if origin is container and (name == source or name.startswith(source + "/")):
        raise Refusal("InvalidRenameSourcePath", "The source directory cannot be the same as the destination.")
    parents = [container.items.get(parent) for parent in container.parents(name)]
    if not all(parents):
        raise Refusal("RenameDestinationParentPathNotFound", "The parent of the destination does not exist.")
    if not all(parent.folder for parent in parents if parent):
        raise Refusal(service.settings.under_a_file)  # [unproved]: the code
    judge(request.headers, found)  # A lease of the destination is broken, not asked for.
    if found and found.folder != moved.folder:
        raise Refusal("InvalidSourceOrDestinationResourceType")  # [unproved]
    if found and found.folder and next(container.within(name), None):
        raise Refusal("PathAlreadyExists", "There is already a directory that is not empty.")
    for each in [source, *list(origin.within(source))] if moved.folder else [source]:
        container.items[name + each[len(source) :]] = origin.items.pop(each)
        if blocks := origin.uncommitted.pop(each, None):  # [unproved]
            container.uncommitted[name + each[len(source) :]] = blocks
    return Answer(201, headers={"Content-Length": "0"})


def _delete(service: Service, container: Container, name: str, request: Request) -> Answer:
    """Path Delete (datalake/path/delete); a folder goes as a whole, with the last call."""
    found = container.find(name)
    judge(request.headers, found)
    judge_lease(request.headers, found)
    below = list(container.within(name)) if found.folder else []
    if below and request.query.get("recursive") != "true":
        raise Refusal("DirectoryNotEmpty", "The recursive query parameter value must be true to delete it.")
    calls = service.deletes.get(f"{container.name}/{name}", 0) + 1
    if found.folder and calls < service.settings.delete_calls:
        service.deletes[f"{container.name}/{name}"] = calls
        return Answer(200, headers={"x-ms-continuation": base64.b64encode(str(calls).encode()).decode()})
    service.deletes.pop(f"{container.name}/{name}", None)
    for each in [*below, name]:
        container.items.pop(each)
        container.uncommitted.pop(each, None)
    return Answer(200, headers={"x-ms-deleted": "true"})
