"""A wire around a wire: reads, questions and short writes go through obstore, everything else through the wire below.

obstore tries each request once. A try that failed is the first one of the wire below, which reads the answer, tries
again, tells an own write from a conflict, and finds the words, all as if it had sent the request itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

from remote_store.drivers.base import WriteOptions
from remote_store.drivers.fast.lane import Lane, Tried
from remote_store.drivers.objects.wire import Body, Malformed, Object, Wire, field
from remote_store.drivers.obstore.errors import Sent, lacks, sent_by, timed_out
from remote_store.drivers.obstore.replies import (
    Content,
    bare,
    mode,
    reading,
    told_object,
    works_here,
    written,
)
from remote_store.io.near import in_callers_thread

T = TypeVar("T")
Verb = tuple[Callable[..., Any], Callable[..., Awaitable[Any]]]
"""A function of obstore, which blocks, and its twin, which is awaited."""
AT_ONCE = 256 << 10
"""Content up to here comes with the reply, and longer one in pieces of at least that [bytes]."""
_ODD = re.compile(r"[\x00-\x1f\x7f]|(^|/)(\.{0,2})(/|$)")
"""What no name may have that obstore is to spell: a control character, a segment that is empty, `.` or `..`."""


class Below(Exception):
    """What obstore did not do in the caller's thread, and the wire below is to do on its loop.

    Args:
        request: of the wire below.
        tried: how it failed; None where nothing was sent.
    """

    def __init__(self, request: Callable[..., Awaitable[Any]], tried: Tried | None) -> None:
        self.request, self.tried = request, tried


class NotReady(Exception):
    """A lane is to be opened first, on the loop."""


class _Content(Content):
    """The content of a reply, whose failures every service's errors know."""

    async def read(self, size: int) -> bytes:
        try:
            return await super().read(size)
        except Exception as error:
            raise (TimeoutError if timed_out(error) else ConnectionResetError) from error


class FastWire:
    """The wire of a service with a lane beside it; what is not named here is that of the wire below.

    Args:
        below: speaks to the service.
        lane: leads to the same container.

    Attributes:
        timeout: of one request [s].
    """

    def __init__(self, below: Wire, lane: Lane) -> None:
        self.below, self._lane = below, lane
        self.timeout = 60.0
        import obstore

        self._getting: Verb = obstore.get, obstore.get_async
        self._putting: Verb = obstore.put, obstore.put_async
        # Its own errors, and built-in ones: `FileNotFoundError`, names that it cannot spell, what it does not support.
        raised = obstore.exceptions.BaseError, OSError, ValueError, NotImplementedError
        self._failures = (*raised, Malformed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)

    async def open(self) -> None:
        await self.below.open()
        if works_here():
            await self._lane.open()

    async def close(self, owned: bool) -> None:
        """Nothing: connections of obstore end with its store, and those below are closed there."""

    # --- requests

    async def head(self, name: str) -> Object:
        return await self._either(self.below.head, self._head, name)

    async def get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        return await self._either(self.below.get, self._get, name, start, end, etag)

    async def put(self, name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
        if (attributes := self._lane.attributes(options)) is None:
            return await self.go_on(self.below.put, None, name, data, options)
        return await self._either(self.below.put, self._put(attributes), name, data, options)

    async def _either(
        self, below: Callable[..., Awaitable[T]], ask: Callable[..., Awaitable[T]], name: str, *args: Any
    ) -> T:
        """Ask through obstore, or else through the wire below."""
        tried, writing, lane = None, below == self.below.put, self._lane
        if works_here() and not _ODD.search(name):
            if in_callers_thread() and not lane.fresh():
                raise NotReady
            if lane.ready() and (writing or lane.reads):
                try:
                    return await ask(name, *args)
                except self._failures as error:
                    tried = _tried(error, writing)
        return await self.go_on(below, tried, name, *args)

    async def go_on(self, below: Callable[..., Awaitable[T]], tried: Tried | None, *args: Any) -> T:
        """Ask through the wire below, after a try that failed, if there was one."""
        if in_callers_thread():
            raise Below(below, tried)
        with self._lane.begun(tried) if tried else nullcontext():
            return await below(*args)

    async def _ask(self, verb: Verb, *args: Any, **options: Any) -> Any:
        here, asked = verb
        store = self._lane.store(self.timeout)
        if in_callers_thread():
            return here(store, *args, **options)
        return await asked(store, *args, **options)

    async def _head(self, name: str) -> Object:
        found = await self._ask(self._getting, name, options={"head": True})
        told, attributes = told_object(name, found.meta), found.attributes
        if not told.modified_at.timestamp():
            raise Malformed("no LastModified")  # For which obstore makes up one.
        metadata = self._lane.metadata(attributes)
        return told._replace(content_type=attributes.get("Content-Type"), metadata=metadata)

    async def _get(self, name: str, start: int, end: int | None, etag: str | None) -> Body:
        options = reading(start, end, etag)
        found = await self._ask(self._getting, name, options=options)
        meta, (first, last) = found.meta, found.range
        told = field(meta, "size"), bare(field(meta, "e_tag")), "range" in options
        if last - first > AT_ONCE:
            stream = found.stream(min_chunk_size=AT_ONCE)
            return Body(_Content(stream), *told)
        data = memoryview(found.bytes() if in_callers_thread() else await found.bytes_async())
        if len(data) != last - first:
            raise Malformed("it ends early")
        return Body(_Content(None, data), *told)

    def _put(self, attributes: dict[str, str]) -> Callable[..., Awaitable[Mapping[str, Any]]]:
        async def put(name: str, data: bytes, options: WriteOptions) -> Mapping[str, Any]:
            more = {"mode": mode(options), "attributes": attributes or None}
            return written(await self._ask(self._putting, name, data, use_multipart=False, **more))

        return put


def _tried(error: Exception, writing: bool) -> Tried | None:
    """How a try failed; None where the service did not get it, or where its answer must be looked at anew."""
    sent, status, body = sent_by(error)
    if sent is Sent.ANSWERED:
        return Tried(status, body)
    if sent is Sent.UNANSWERED or (sent is Sent.UNKNOWN and writing):
        return Tried(timed_out=timed_out(error), lacking=lacks(error))
    return None
