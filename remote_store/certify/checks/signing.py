"""Signed URLs: access to one file, for a time, for whoever has the URL."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath
from remote_store.certify.rules import check, equal, refused, true
from remote_store.certify.view import View

KEY = "d/a b+ü#?.txt"
PATIENCE = 60
"""How long a service may take to answer [s]."""


async def fetched(s: View, url: str, method: str = "GET", data: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of what a service answers."""

    def ask() -> tuple[int, bytes]:
        # Azure asks what kind of blob a PUT makes; others do not look.
        headers = {"Content-Type": "application/octet-stream", "x-ms-blob-type": "BlockBlob"}
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 (a URL of the store under test)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:  # noqa: S310
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, b""

    return await asyncio.to_thread(ask) if s.is_async else ask()


@check("SIGN", Capability.SIGNED_URL)
async def a_signed_url_reads_its_file(s: View) -> None:
    """A URL for GET gives the content of the file, of a child store as well."""
    await s.write(KEY, b"content")
    for url in (await s.sign(KEY), await s.child("d").sign(KEY[2:], expires_in=60, method="GET")):
        equal(await fetched(s, url), (200, b"content"), "the reply to a GET")


@check("SIGN", Capability.SIGNED_URL)
async def a_signed_url_writes_its_file(s: View) -> None:
    """A URL for PUT makes the file, or replaces it."""
    url = await s.sign(KEY, method="PUT")
    for content in (b"first", b"second"):
        status, _ = await fetched(s, url, "PUT", content)
        true(status in (200, 201, 204), f"the status of a reply to a PUT is {status}")
        equal(await s.read_bytes(KEY), content, "content after a PUT")


@check("SIGN", Capability.SIGNED_URL)
async def signing_needs_no_file(s: View) -> None:
    """A URL is made without looking at the file, which may be missing."""
    true((await fetched(s, await s.sign("missing")))[0] in (403, 404), "a GET of a missing file is refused")


@check("SIGN", Capability.SIGNED_URL)
async def signing_refuses_in_order(s: View) -> None:
    """The root is InvalidPath, before another method or a time that the service does not allow is a ValueError."""
    for path, kind in (("", InvalidPath), ("f", ValueError)):
        for options in ({"method": "DELETE"}, {"method": "get"}, {"expires_in": 0}, {"expires_in": 1 << 40}):
            await refused(kind, partial(s.sign, path, **options), f"signing {path!r} with {options}")
