"""Bodies that come compressed though nobody asked for that: unpacked here, as aiohttp takes a cut one for a whole."""

from __future__ import annotations

import zlib
from typing import Protocol

import aiohttp

from remote_store.drivers.http.replies import is_encoded
from remote_store.drivers.objects.wire import Malformed

PACKED = 8 << 10
"""Taken at a time: what is not used of it is copied [bytes]."""
ZLIB, RAW, GZIP = 15, -15, 31
"""Formats, as zlib names them (`wbits`)."""


class Content(Protocol):
    """Gives the content of a body."""

    async def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end only."""


def content_of(reply: aiohttp.ClientResponse) -> Content:
    """The content of a reply as it is stored.

    Raises:
        Malformed: it is in an encoding that this does not know.
    """
    if not is_encoded(reply.headers) or reply.headers.get("Content-Length") == "0":
        return reply.content
    encoding = reply.headers["Content-Encoding"].strip().lower()
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Malformed("content in an encoding that was not asked for")
    return _Unpacking(reply.content, encoding == "deflate")


class _Unpacking:
    """What gzip or deflate made of content (RFC 9110, 8.4.1).

    Args:
        body: gives what is packed.
        deflate: whether it is in that, which some servers send without its frame.
    """

    def __init__(self, body: aiohttp.StreamReader, deflate: bool) -> None:
        self._body, self._deflate = body, deflate
        self._packed = b""
        self._unpacker = None if deflate else zlib.decompressobj(GZIP)

    async def read(self, size: int) -> bytes:
        while True:
            if not self._packed and not (more := await self._body.read(PACKED)):
                if self._unpacker is None or not self._unpacker.eof:
                    raise aiohttp.ClientPayloadError("the content ended early")
                return b""
            self._packed = self._packed or more
            if data := self._unpacked(size):
                return data

    def _unpacked(self, size: int) -> bytes:
        if self._unpacker is None:
            self._unpacker = zlib.decompressobj(ZLIB if self._packed[0] & 15 == zlib.DEFLATED else RAW)
        elif self._unpacker.eof and not self._deflate:  # There may be one more of the kind.
            self._unpacker = zlib.decompressobj(GZIP)
        try:
            data = self._unpacker.decompress(self._packed, size)
        except zlib.error as error:
            raise Malformed("content that cannot be unpacked") from error
        self._packed = self._unpacker.unused_data or self._unpacker.unconsumed_tail
        if self._deflate and self._unpacker.eof and self._packed:
            raise Malformed("more than the content that was packed")
        return data
