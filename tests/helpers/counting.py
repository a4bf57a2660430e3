"""Counting what calls of a store ask of an S3 server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from servers.s3 import BUCKET, S3Server

from remote_store import Capability, Store
from remote_store.aio import AsyncS3Backend, AsyncStore
from remote_store.backends import S3Backend
from remote_store.certify.view import View
from remote_store.engine.runners import run_to_end

PART_SIZE = 5 << 20
ACCOUNT = "123456789012"
"""Whose buckets moto keeps where no account is named."""


Call = Callable[[View], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """A call, and how many requests it may send.

    Args:
        name: shown.
        budget: the most requests.
        call: what is counted.
        gives: the result, where it tells whether the work was done; an error class where there is none.
        keys: what is there before.
        reads_only: whether `keys` may be shared with other such rows.
        guarded: whether the store looks for files above before it writes.
    """

    name: str
    budget: int
    call: Call
    gives: object = None
    keys: tuple[str, ...] = ("f", "g", "empty", "d/f", "d/e/f", "marked/")
    reads_only: bool = False
    guarded: bool = False


# --- the calls


def call(verb: str, *args: Any, **options: Any) -> Call:
    return lambda view: getattr(view, verb)(*args, **options)


def listing(verb: str, *args: Any, **options: Any) -> Call:
    """Go through all items, and give their number."""

    async def count(view: View) -> int:
        return len([item async for item in getattr(view, verb)(*args, **options)])

    return count


def first(verb: str, *args: Any, **options: Any) -> Call:
    async def take(view: View) -> None:
        items = getattr(view, verb)(*args, **options)
        await anext(items)
        await items.aclose()

    return take


def writing(verb: str, path: str, size: int, overwrite: bool) -> Call:
    """Write `size` bytes as a stream, a MiB at a time."""
    pieces = [bytes(min(1 << 20, size - start)) for start in range(0, size, 1 << 20)]

    async def write(view: View) -> None:
        if verb == "open_atomic":
            async with view.open_atomic(path, overwrite=overwrite) as file:
                for piece in pieces:
                    await file.write(piece)
        else:
            await getattr(view, verb)(path, view.stream(pieces), overwrite=overwrite)

    return write


def iterating(verb: str, path: str, size: int) -> Call:
    """Write the chunks of an iterator."""

    async def write(view: View) -> None:
        await getattr(view, verb)(path, (bytes(1 << 16) for _ in range(size >> 16)))

    return write


def going_back(path: str, size: int) -> Call:
    """Write through a writer that seeks, and go back to the start."""

    async def write(view: View) -> None:
        async with view.open_atomic(path, seekable=True) as file:
            for start in range(0, size, 1 << 20):
                await file.write(bytes(min(1 << 20, size - start)))
            await file.seek(0)
            await file.write(b"1")

    return write


def seeking(*seeks: tuple[int, int]) -> Call:
    async def seek(view: View) -> None:
        async with await view.read_seekable("f") as stream:
            await stream.read(10)
            for offset, whence in seeks:
                await stream.seek(offset, whence)
                await stream.read(10)

    return seek


async def totals(view: View) -> int:
    count: int = (await view.get_folder_info("")).file_count
    return count


async def ask_of_roots(view: View) -> bool:
    roots = (view, view.child("d"), view.child("none"))
    return all([await v.exists("") and await v.is_folder(".") and not await v.is_file("/") for v in roots])


async def names(view: View) -> bool:
    child = view.store.child("d")
    child.supports(Capability.READ)
    return child.resolve("f").key == child.to_key(child.native_path("f")) == "f"


# --- counting


class Counter:
    """Stores of both kinds over a counting server, whose bucket is filled without requests."""

    def __init__(self, server: S3Server, runner: asyncio.Runner) -> None:
        from moto.s3.models import s3_backends

        self._server, self._runner = server, runner
        self._service = s3_backends[ACCOUNT]["aws"]
        self._shared: dict[tuple[str, ...], str] = {}
        options = {**server.options, "part_size": PART_SIZE}
        self._plain = Store(S3Backend(BUCKET, **options)), AsyncStore(AsyncS3Backend(BUCKET, **options))
        options |= {"reject_write_under_file_ancestor": True}
        self._guarded_root = server.fresh_prefix()
        self._guarded = (
            Store(S3Backend(BUCKET, self._guarded_root, **options)),
            AsyncStore(AsyncS3Backend(BUCKET, self._guarded_root, **options)),
        )

    def requests(self, row: Row, asynchronous: bool) -> list[str]:
        """Carry out the call of a row, and tell what was asked of the server.

        Raises:
            AssertionError: the call did not do its work.
        """
        if row.guarded:  # A child would have its own root among the folders above.
            self._fill(self._guarded_root, row.keys)
            view = View(self._guarded[asynchronous])
        else:
            view = View(self._plain[asynchronous].child(self._prefix(row)))
        before = len(self._server.requests)
        outcome = self._runner.run(_outcome(row, view)) if asynchronous else run_to_end(_outcome(row, view))
        sent = self._server.requests[before:]
        if row.gives is not None and outcome != row.gives:
            raise AssertionError(f"{row.name}: {outcome!r}, expected {row.gives!r}")
        return sent

    def _prefix(self, row: Row) -> str:
        if row.keys in self._shared:
            return self._shared[row.keys]
        prefix = self._server.fresh_prefix()
        self._fill(prefix, row.keys)
        if row.reads_only:
            self._shared[row.keys] = prefix
        return prefix

    def _fill(self, prefix: str, keys: tuple[str, ...]) -> None:
        for key in keys:
            self._service.put_object(BUCKET, f"{prefix}/{key}", bytes(1 << 18) if key in ("f", "g") else b"")

    def close(self) -> None:
        for store, async_store in (self._plain, self._guarded):
            store.close()
            self._runner.run(async_store.aclose())


async def _outcome(row: Row, view: View) -> object:
    try:
        return await row.call(view)
    except Exception as error:
        if type(error) is not row.gives:
            raise
        return type(error)


@contextmanager
def counting(server: S3Server) -> Iterator[Counter]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner, closing(Counter(server, runner)) as counter:
        yield counter
