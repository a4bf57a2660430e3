"""Listing objects of S3, and deleting what a listing finds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from remote_store._errors import BackendUnavailable, NotFound, folder_missing, is_container_missing, not_empty
from remote_store._models import FileInfo, file_info
from remote_store.drivers.base import Page, Want
from remote_store.drivers.objects.keys import KeyListing, Tokens
from remote_store.drivers.s3.errors import NO_S3, meaning
from remote_store.drivers.s3.headers import beyond_xml
from remote_store.drivers.s3.replies import Malformed, etag, field, last_modified, size

if TYPE_CHECKING:
    from remote_store.drivers.s3.driver import S3Driver


async def any_below(driver: S3Driver, key: str, folder: str | None = None) -> bool:
    """Whether there are keys below a folder, `key` itself unless another is named."""
    prefix = driver.object(key if folder is None else folder)
    found = await _asked(driver, key, Prefix=prefix and prefix + "/", MaxKeys=1)
    return bool(found.get("Contents"))


async def _asked(driver: S3Driver, key: str, **request: Any) -> Any:
    """One page of a listing, for which there is no missing key: only where it was taken for an object's name."""
    try:
        return await driver.call("list_objects_v2", key, **request)
    except NotFound as missing:
        if is_container_missing(missing):
            raise
        message = f"{NO_S3.format(host=driver.where)} (it looks for a key to list); is the bucket in endpoint_url, too?"
        raise BackendUnavailable(message, path=key, backend=driver.name) from missing.__cause__


async def raw_pages(driver: S3Driver, key: str, **request: Any) -> AsyncGenerator[Any, None]:
    """Pages of a listing as S3 gives them."""
    tokens, firsts, token = Tokens(), Tokens(), dict[str, str]()
    while True:
        page = await _asked(driver, key, **request, **token)
        with driver.errors(key):
            if (found := page.get("Contents")) and firsts.again(field(found[0], "Key")):
                raise Malformed("it leads back to where the listing was")
        yield page
        if not page.get("IsTruncated"):
            return
        with driver.errors(key):
            next_one = page.get("NextContinuationToken")
            if not next_one or tokens.again(next_one):
                raise Malformed("it ends in the middle of a listing, or leads back to where it was")
        token = {"ContinuationToken": next_one}


async def list_pages(
    driver: S3Driver, key: str, max_depth: int | None, want: Want, starts: str
) -> AsyncGenerator[Page, None]:
    """Files and folders below a folder."""
    listing = KeyListing(driver.root, key, max_depth, want, driver.name)
    prefix = driver.object(key) + "/" if driver.object(key) else ""
    request = {"Prefix": prefix + starts} | ({"Delimiter": "/"} if max_depth == 0 else {})
    async for raw in raw_pages(driver, key, **request):
        page: Page = []
        with driver.errors(key):
            for folder in raw.get("CommonPrefixes", ()):
                listing.add(page, field(folder, "Prefix"), None)
            for entry in raw.get("Contents", ()):
                name = field(entry, "Key")
                listing.add(page, name, None if name.endswith("/") else _listed(driver.root, name, entry))
        if raw.get("CommonPrefixes") or raw.get("Contents"):
            yield page


def _listed(root: str, name: str, entry: Mapping[str, Any]) -> FileInfo:
    key = name[len(root) + 1 :] if root else name
    return file_info(key, size(entry, "Size"), last_modified(entry), etag(entry))


async def remove_folder(driver: S3Driver, key: str, recursive: bool) -> None:
    """Delete the objects below a folder, its marker included."""
    marker, met = driver.object(key) + "/", False
    async for page in raw_pages(driver, key, Prefix=marker, **({} if recursive else {"MaxKeys": 2})):
        with driver.errors(key):
            names = [field(entry, "Key") for entry in page.get("Contents", ())]
        met = met or bool(names)
        if not recursive and any(name != marker for name in names):
            raise not_empty(key, driver.name)
        if names:
            await _delete_many(driver, key, names)
    if not met:
        raise folder_missing(key, driver.name)


async def _delete_many(driver: S3Driver, key: str, names: list[str]) -> None:
    for name in filter(beyond_xml, names):
        await driver.call("delete_object", key, Key=name)
    spelled = [{"Key": name} for name in names if not beyond_xml(name)]
    reply = await driver.call("delete_objects", key, Delete={"Objects": spelled, "Quiet": True}) if spelled else {}
    if failures := reply.get("Errors"):
        first = failures[0]
        with driver.errors(key):
            kind, message = meaning(field(first, "Code"), 0, driver.where)
        path = KeyListing(driver.root, "", None, "both", driver.name).key(first.get("Key", "")) or key
        raise kind(f"{message} ({len(failures)} of {len(names)} objects)", path=path, backend=driver.name)
