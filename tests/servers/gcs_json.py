"""The JSON API of the double of Google Cloud Storage, but uploads: buckets, objects, copies, moves."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from servers.gcs_answers import Answer, Refusal, Request, invalid, json_answer, json_of, number
from servers.gcs_objects import HOLDS, KEPT, Bucket, Stored, judge, now, writable
from servers.gcs_reading import media

if TYPE_CHECKING:
    from servers.gcs_service import Service

MIB = 1 << 20
MOST_COMPOSED = 32


def on_buckets(service: Service, request: Request) -> Answer:
    """Calls of `/b`."""
    if request.method == "POST":
        properties = json_of(request)
        name = properties.pop("name", "")
        if name in service.buckets:
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise Refusal(409, "conflict", message)
        service.buckets[name] = Bucket(name, properties)
        return json_answer(service.buckets[name].resource())
    items = [bucket.resource() for _, bucket in sorted(service.buckets.items())]
    return json_answer({"kind": "storage#buckets", "items": items})


def on_bucket(service: Service, bucket: Bucket, request: Request) -> Answer:
    """Calls of `/b/B`."""
    if request.method == "DELETE":
        if bucket.names or any(bucket.old.values()):
            raise Refusal(409, "conflict", "The bucket you tried to delete is not empty.")
        del service.buckets[bucket.name]
        return Answer(204)
    if request.method == "PATCH":
        bucket.properties |= json_of(request)
    return json_answer(bucket.resource())


def storage_layout(bucket: Bucket) -> Answer:
    """Call of `/b/B/storageLayout` (discovery: BucketStorageLayout)."""
    hierarchical = bucket.properties.get("hierarchicalNamespace", {"enabled": False})
    place = {"bucket": bucket.name, "location": "US", "locationType": "multi-region"}
    return json_answer({"kind": "storage#storageLayout", **place, "hierarchicalNamespace": hierarchical})


def on_object(bucket: Bucket, name: str, request: Request) -> Answer:
    """Calls of `/b/B/o/K`.

    Conditions are judged on an object that is there; of one that is missing the answer is 404 in any case.
    """
    if request.method == "DELETE":
        bucket.remove(name, request.query)
        return Answer(204)
    found = bucket.find(name, request.query)
    judge(request.query, found, reading=request.method in ("GET", "HEAD"))
    if request.method in ("PATCH", "PUT"):
        change(found, json_of(request), whole=request.method == "PUT")
    elif request.query.get("alt") == "media":
        return media(found, request, found.etag)
    return json_answer(found.resource())


def change(stored: Stored, wanted: Mapping[str, Any], whole: bool = False) -> None:
    """Change properties; null deletes one (docs/json_api/v1/objects/patch)."""
    old = {name: value for name, value in stored.properties.items() if not whole or name in HOLDS}
    metadata = {} if whole else dict(old.get("metadata", {}))
    metadata |= wanted.get("metadata") or {}
    kept = {name: value for name, value in wanted.items() if name in (*KEPT, *HOLDS)}
    merged = old | kept | {"metadata": {} if wanted.get("metadata", metadata) is None else metadata}
    stored.properties = writable(merged)
    stored.metageneration += 1
    stored.updated = now()


def rewrite(service: Service, source: Bucket, name: str, target: Bucket, new: str, request: Request) -> Answer:
    """Copy in as many calls as it takes (docs/json_api/v1/objects/rewrite).

    Arguments:
        service: whose `rewrite_step` bounds the bytes of each call, as the service's own patience does.
    """
    query, total = request.query, 0
    found = source.find(name, query, "sourceGeneration")
    judge(query, found, "ifSource")
    size = len(found.content)
    if token := query.get("rewriteToken"):
        said = _read_token(token)
        if said["of"] != [source.name, name, found.generation, target.name, new]:
            raise invalid("The rewrite token is not of this request.")
        total = said["done"]
    step = number(query, "maxBytesRewrittenPerCall")
    if step is not None and (step < MIB or step % MIB):
        raise invalid("maxBytesRewrittenPerCall must be a multiple of 1 MiB.")
    steps = [bound for bound in (step, service.settings.rewrite_step) if bound]
    total = min(total + min(steps), size) if steps else size
    progress = {"kind": "storage#rewriteResponse", "totalBytesRewritten": str(total), "objectSize": str(size)}
    if total < size:
        target.check(new, query)
        state = {"of": [source.name, name, found.generation, target.name, new], "done": total}
        token = base64.urlsafe_b64encode(json.dumps(state).encode()).decode()
        return json_answer({**progress, "done": False, "rewriteToken": token})
    stored = target.publish(new, found.content, _copied(found, request), query, found.components)
    return json_answer({**progress, "done": True, "resource": stored.resource()})


def _read_token(token: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise invalid("Invalid rewrite token") from None
    return said


def _copied(found: Stored, request: Request) -> dict[str, Any]:
    """Properties of a copy: those of the source, unless the request has some; a hold is never copied."""
    if wanted := writable(json_of(request)):
        return wanted
    return {name: value for name, value in found.properties.items() if name not in HOLDS}


def copy(source: Bucket, name: str, target: Bucket, new: str, request: Request) -> Answer:
    """Copy in one call (docs/json_api/v1/objects/copy)."""
    found = source.find(name, request.query, "sourceGeneration")
    judge(request.query, found, "ifSource")
    stored = target.publish(new, found.content, _copied(found, request), request.query, found.components)
    return json_answer(stored.resource())


def move(bucket: Bucket, name: str, new: str, request: Request) -> Answer:
    """Move within the bucket, at once (docs/json_api/v1/objects/move).

    The plain conditions are of the destination (discovery: objects.move). What was moved is a new generation.
    """
    if name == new:
        raise invalid("The source and destination object names must be different.")
    found = bucket.find(name, {})
    judge(request.query, found, "ifSource")
    bucket.check(new, request.query)
    bucket.remove(name, {})  # First: an object that is held refuses it, and then nothing has been stored.
    return json_answer(bucket.publish(new, found.content, found.properties, {}, found.components).resource())


def compose(bucket: Bucket, new: str, request: Request) -> Answer:
    """Join objects of the bucket (docs/json_api/v1/objects/compose)."""
    asked = json_of(request)
    sources = asked.get("sourceObjects", [])
    if not 0 < len(sources) <= MOST_COMPOSED:
        raise invalid(f"The number of source components provided must be from 1 to {MOST_COMPOSED}.")
    found = [bucket.find(each["name"], each) for each in sources]
    for each, stored in zip(sources, found, strict=True):
        judge(each.get("objectPreconditions", {}), stored)
    content = b"".join(stored.content for stored in found)
    properties = writable(asked.get("destination", {}))
    components = sum(stored.components or 1 for stored in found)
    return json_answer(bucket.publish(new, content, properties, request.query, components).resource())


def masked(content: Any, fields: str) -> Any:
    """The part of a resource that the parameter `fields` names (docs/json_api: partial responses)."""
    return _only(content, _tree(iter(fields)))


def _only(content: Any, tree: Mapping[str, Any]) -> Any:
    if isinstance(content, list):
        return [_only(each, tree) for each in content]
    if not tree or "*" in tree or not isinstance(content, dict):
        return content
    return {name: _only(value, tree[name]) for name, value in content.items() if name in tree}


def _tree(letters: Iterator[str]) -> dict[str, Any]:
    """`a,b(c,d),e/f` as nested names."""
    tree: dict[str, Any] = {}
    name, place = "", tree
    for letter in letters:
        if letter not in "(/,)":
            name += letter
            continue
        if letter == "(":
            place[name] = _tree(letters)
        elif name:
            place = place.setdefault(name, {})
        name = ""
        if letter in ",)":
            place = tree
        if letter == ")":
            return tree
    if name:
        place[name] = {}
    return tree
