"""Counting what calls of a store ask of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from servers import azure, gcs, s3
from servers.gcs_login import service_account

from remote_store import Capability, Store
from remote_store.aio import AsyncAzureBackend, AsyncGCSBackend, AsyncS3Backend, AsyncStore
from remote_store.backends import AzureBackend, GCSBackend, S3Backend
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
        on: the most requests on services where that differs.
        before: what is called before anything is counted.
    """

    name: str
    budget: int
    call: Call
    gives: object = None
    keys: tuple[str, ...] = ("f", "g", "empty", "d/f", "d/e/f", "marked/")
    reads_only: bool = False
    guarded: bool = False
    on: Mapping[str, int] = field(default_factory=dict)
    before: Call | None = None

    def budget_on(self, service: str) -> int:
        """The most requests on a service."""
        return self.on.get(service, self.budget)


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


@dataclass(frozen=True)
class Service:
    """A service that counts.

    Args:
        name: of its backends.
        requests: what it was asked so far, or its round trips.
        fresh_prefix: gives one that is empty.
        put: stores content under a key without a request.
        sync: makes a backend at a prefix, with these options.
        asynchronous: likewise.
        flat: whether it has keys instead of files: it takes `part_size`, and looks for files above where told to.
        settle: waits until what was asked before is over.
        attempts: at a number that a busy machine makes greater, and never less.
        close: ends what was started to count.
    """

    name: str
    requests: list[str]
    fresh_prefix: Callable[[], str]
    put: Callable[[str, bytes], object]
    sync: Callable[..., Any]
    asynchronous: Callable[..., Any]
    flat: bool = True
    settle: Callable[[], object] = lambda: None
    attempts: int = 1
    close: Callable[[], object] = lambda: None


def on_s3(server: s3.S3Server, **more: Any) -> Service:
    """Moto, asked past its HTTP."""
    from moto.s3.models import s3_backends

    def put(key: str, data: bytes) -> None:
        s3_backends[ACCOUNT]["aws"].put_object(s3.BUCKET, key, data)

    def sync(root: str, **options: Any) -> S3Backend:
        return S3Backend(s3.BUCKET, root, **server.options, **more, **options)

    def asynchronous(root: str, **options: Any) -> AsyncS3Backend:
        return AsyncS3Backend(s3.BUCKET, root, **server.options, **more, **options)

    return Service("s3", server.requests, server.fresh_prefix, put, sync, asynchronous)


def on_fast_s3(server: s3.S3Server) -> Service:
    """The same, through obstore where that will do."""
    return on_s3(server, engine="fast")


def on_gcs(server: gcs.GcsServer) -> Service:
    """The double, as a service account sees it."""
    login = {**server.options, "token": service_account(server.endpoint)}

    def sync(root: str, **options: Any) -> GCSBackend:
        return GCSBackend(gcs.BUCKET, root, **login, **options)

    def asynchronous(root: str, **options: Any) -> AsyncGCSBackend:
        return AsyncGCSBackend(gcs.BUCKET, root, **login, **options)

    return Service("gcs", server.requests, server.fresh_prefix, server.put, sync, asynchronous)


def on_azure(server: azure.AzureServer) -> Service:
    """The double, without folders."""
    return _on_azure("azure", server, azure.CONTAINER)


def on_azure_hns(server: azure.AzureServer) -> Service:
    """The double, with folders."""
    return _on_azure("azure-hns", server, azure.HNS)


def _on_azure(name: str, server: azure.AzureServer, container: str) -> Service:
    def put(key: str, data: bytes) -> None:
        if key.endswith("/") and container == azure.HNS:
            server.mkdir(key.rstrip("/"), container)
        else:
            server.put(key, data, container)

    def sync(root: str, **options: Any) -> AzureBackend:
        return AzureBackend(container, root, **server.options, **options)

    def asynchronous(root: str, **options: Any) -> AsyncAzureBackend:
        return AsyncAzureBackend(container, root, **server.options, **options)

    return Service(name, server.requests, server.fresh_prefix, put, sync, asynchronous)


class Counter:
    """Stores of both kinds over a counting service, whose bucket is filled without requests."""

    def __init__(self, service: Service, runner: asyncio.Runner) -> None:
        self.service, self._runner = service, runner
        self._shared: dict[tuple[str, ...], str] = {}
        options = {"part_size": PART_SIZE} if service.flat else {}
        self._plain = self._guarded = self._stores("", **options)
        if service.flat:
            self._guarded_root = service.fresh_prefix()
            options["reject_write_under_file_ancestor"] = True
            self._guarded = self._stores(self._guarded_root, **options)
        for store, async_store in {self._plain, self._guarded}:  # What credentials need is asked once.
            store.ping()
            runner.run(async_store.ping())

    def _stores(self, root: str, **options: Any) -> tuple[Store, AsyncStore]:
        return Store(self.service.sync(root, **options)), AsyncStore(self.service.asynchronous(root, **options))

    def requests(self, row: Row, asynchronous: bool) -> list[str]:
        """Carry out the call of a row, and tell what was asked of the server.

        Raises:
            AssertionError: the call did not do its work.
        """
        sent = self._requests(row, asynchronous)
        for _ in range(1, self.service.attempts):
            if len(sent) <= row.budget_on(self.service.name):
                break
            sent = min(sent, self._requests(row, asynchronous), key=len)
        return sent

    def _requests(self, row: Row, asynchronous: bool) -> list[str]:
        run = self._runner.run if asynchronous else run_to_end
        if row.guarded:  # A child would have its own root among the folders above.
            self._fill(self._guarded_root, row.keys)
            view = View(self._guarded[asynchronous])
        else:
            view = View(self._plain[asynchronous].child(self._prefix(row)))
        if row.before is not None:
            run(_awaited(row.before, view))
        self.service.settle()
        before = len(self.service.requests)
        outcome = run(_outcome(row, view))
        sent = self.service.requests[before:]
        if row.gives is not None and outcome != row.gives:
            raise AssertionError(f"{row.name}: {outcome!r}, expected {row.gives!r}")
        return sent

    def _prefix(self, row: Row) -> str:
        if row.keys in self._shared:
            return self._shared[row.keys]
        prefix = self.service.fresh_prefix()
        self._fill(prefix, row.keys)
        if row.reads_only:
            self._shared[row.keys] = prefix
        return prefix

    def _fill(self, prefix: str, keys: tuple[str, ...]) -> None:
        for key in keys:
            size = 1 << 18 if key in ("f", "g") else 1 if key.endswith("small") else 0
            self.service.put(f"{prefix}/{key}", bytes(size))

    def close(self) -> None:
        for store, async_store in {self._plain, self._guarded}:
            store.close()
            self._runner.run(async_store.aclose())
        self.service.close()


async def _awaited(call: Call, view: View) -> None:
    await call(view)


async def _outcome(row: Row, view: View) -> object:
    try:
        return await row.call(view)
    except Exception as error:
        if type(error) is not row.gives:
            raise
        return type(error)


@contextmanager
def counting(service: Service) -> Iterator[Counter]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner, closing(Counter(service, runner)) as counter:
        yield counter
