"""An asynchronous backend in a synchronous program, on an event loop in a thread of its own (ASYNC-080…093)."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, Protocol, TypeVar, cast, runtime_checkable

from remote_store._backend import BackendBase, MadeBackend, Wrapping, WritableContent
from remote_store._capabilities import Capability, CapabilitySet
from remote_store._methods import Method
from remote_store._models import WriteResult
from remote_store.bridges.loop import END, LoopClosed, LoopThread, RemoteIterator
from remote_store.io.content import Source, pieces

if TYPE_CHECKING:
    from remote_store.aio._backend import AsyncBackend
    from remote_store.io.files import AtomicWriter

T = TypeVar("T")
PEEK = 8192
"""What reading line by line looks at [bytes]."""


@runtime_checkable
class SyncSafeHandles(Protocol):
    """What an `AsyncBackend` implements to give out native handles that are bound to no event loop."""

    def unwrap_sync_safe(self, type_hint: type[T]) -> T:
        """The handle of type `type_hint`; raises `CapabilityNotSupported` where there is none."""


def _method(method: Method) -> Any:
    """A method that runs its async twin on the private loop."""

    def listing(self: AsyncBackendSyncAdapter, *args: Any, **options: Any) -> Any:
        self._run.check()
        return BridgedItems(RemoteIterator(self._run, getattr(self.inner, method.name)(*args, **options)), self)

    def blocking(self: AsyncBackendSyncAdapter, *args: Any, **options: Any) -> Any:
        self._run.check()
        return self._run(getattr(self.inner, method.name)(*args, **options))

    def writing(self: AsyncBackendSyncAdapter, path: str, content: WritableContent, **options: Any) -> Any:
        self._run.check()
        write = getattr(self.inner, method.name)

        async def start(source: Source) -> WriteResult:
            result: WriteResult = await write(path, pieces(source) if source.data is None else source.data, **options)
            return result

        return self._run.with_content(start, content)

    return listing if method.kind == "items" else writing if "content" in method.arguments else blocking


class AsyncBackendSyncAdapter(Wrapping["AsyncBackend"], MadeBackend, make=_method):
    """Serves an `AsyncBackend` to a `Store`.

    The backend's coroutines run on an event loop in a daemon thread that belongs to this adapter, so the backend must
    not be used elsewhere meanwhile. Any number of threads may call. Streams and listings are pulled one chunk or entry
    at a time. The adapter is a one-shot resource: close it, or use it in a `with` block; after that, as in a thread
    that runs an event loop and in a forked child, its methods raise RuntimeError.

    Args:
        backend: an asynchronous backend that no event loop has used yet.

    Example:
        >>> from remote_store import AsyncBackendSyncAdapter, Store
        >>> from remote_store.aio import AsyncMemoryBackend
        >>> with Store(AsyncBackendSyncAdapter(AsyncMemoryBackend())) as store:
        ...     store.write("a", b"123").size
        3
    """

    close_is_terminal = True

    def __init__(self, backend: AsyncBackend) -> None:
        if getattr(backend, "is_async", False) is not True:
            raise TypeError(f"backend must be an AsyncBackend, not {type(backend).__name__}")
        super().__init__(backend)
        self._run = LoopThread(type(self).__name__, backend.aclose)

    @property
    def capabilities(self) -> CapabilitySet:
        """Those of the wrapped backend, except that its streams do not seek here (ASYNC-084)."""
        return CapabilitySet(set(self.inner.capabilities) - {Capability.SEEKABLE_READ})

    def unwrap(self, type_hint: type[T]) -> T:
        """A native handle, only where the wrapped backend says through `SyncSafeHandles` that it may leave its loop.

        Raises:
            CapabilityNotSupported: it does not say so, or has none of that type.
        """
        if isinstance(self.inner, SyncSafeHandles):
            return self.inner.unwrap_sync_safe(type_hint)
        return BackendBase.unwrap(self, type_hint)

    def read(self, path: str, **options: Any) -> BinaryIO:
        """A stream that goes forward only; the first chunk is fetched now, so that a missing file is an error now."""
        self._run.check()
        stream = BridgedStream(RemoteIterator(self._run, self.inner.read(path, **options)), self)
        if not stream.peek():
            self._run.check()  # The adapter was closed meanwhile: the file is not empty.
        return cast("BinaryIO", stream)

    def read_seekable(self, path: str) -> BinaryIO:
        copy = super().read_seekable(path)
        if self._run.closed:
            copy.close()
            self._run.check()
        return copy

    @contextmanager
    def open_atomic(self, path: str, **options: Any) -> Iterator[AtomicWriter]:
        self._run.check()
        with super().open_atomic(path, **options) as file:
            yield file

    # --- life

    def close(self, timeout: float | None = 30.0) -> None:
        """Close the wrapped backend, wait for what is in flight, and end the loop and its thread; safe to repeat.

        Args:
            timeout: how long to wait [s]; None for ever. What is still running then is logged, and cancelled.

        Raises:
            RuntimeError: in a thread that runs an event loop.
        """
        self._run.close(timeout)

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.close()
        except RuntimeError:
            if exc_info[0] is None:  # The block's own error outranks it.
                raise

    def __del__(self) -> None:
        run: LoopThread | None = self.__dict__.get("_run")
        if run is not None and not run.closed and not run.forked:
            run.begin_close()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.inner,)


class BridgedStream(io.RawIOBase):
    """A file being read, a chunk at a time; forward only.

    Only the rest of the last chunk is held. A stream that failed, or whose adapter was closed, is
    at its end from then on; one that its user closed refuses to be read (ASYNC-081).
    """

    def __init__(self, pull: RemoteIterator[bytes], adapter: AsyncBackendSyncAdapter) -> None:
        self._pull, self._adapter = pull, adapter  # Keeps the adapter from being collected, and so closed.
        self._chunk, self._at = b"", 0
        self._failed = False
        self._lock = threading.RLock()

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, all that is left when negative; fewer only at the end."""
        wanted = -1 if size is None else size
        taken = []
        self._pull.loop.check_thread()  # Before the lock: its holder may be waiting for the loop of this thread.
        with self._lock:
            while (self._fill() if wanted else self._readable()) and wanted:
                piece = self._chunk[self._at :] if wanted < 0 else self._chunk[self._at : self._at + wanted]
                self._at += len(piece)
                wanted -= len(piece) if wanted > 0 else 0
                taken.append(piece)
            if taken and self._failed:  # Do not return partial data.
                self._pull.loop.check()
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def peek(self, size: int = 0) -> bytes:
        """The next bytes, without moving on; `io` reads lines with it."""
        self._pull.loop.check_thread()
        with self._lock:
            return self._chunk[self._at : self._at + max(size, PEEK)] if self._fill() else b""

    def _readable(self) -> bool:
        """Whether there may be more; False after a failure."""
        if self._pull.loop.closed and not self._pull.ended:
            self._fail()
        if self.closed and not self._failed:
            raise ValueError("I/O operation on closed file.")
        return not self._failed

    def _fill(self) -> bool:
        """Fetch the next chunk if the last is used up; False at the end."""
        if not self._readable():
            return False
        while self._at == len(self._chunk):
            self._chunk, self._at = b"", 0
            try:
                chunk = self._pull.next()
            except BaseException:
                self._fail()
                raise
            if chunk is END:
                return False
            self._chunk = bytes(chunk)
        return True

    def _fail(self) -> None:
        if not self.closed:
            self._failed = True
            self._end()
            self._pull.abandon()

    def _end(self) -> None:
        self._chunk, self._at = b"", 0
        super().close()

    def close(self) -> None:
        if self._pull.loop.closed and not self._pull.ended:
            self._fail()
        if not self.closed:
            self._end()
            self._pull.close()

    def __del__(self) -> None:
        pull: RemoteIterator[bytes] | None = self.__dict__.get("_pull")
        if pull is not None:
            pull.abandon()


class BridgedItems(Generic[T]):
    """A listing, an entry at a time; closing or forgetting it ends it early."""

    def __init__(self, pull: RemoteIterator[T], adapter: AsyncBackendSyncAdapter) -> None:
        self._pull, self._adapter = pull, adapter
        self._over = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            item = END if self._over else self._pull.next()
        except BaseException as error:
            # An entry may be lost, to an interrupt or the end of the loop: give no later one.
            if isinstance(error, LoopClosed) or not isinstance(error, Exception):
                self.close()
            raise
        if item is not END:
            return item
        cut, self._over = self._pull.loop.closed and not (self._over or self._pull.ended), True
        if cut:
            self._pull.loop.check()
        raise StopIteration

    def close(self) -> None:
        """Let go of the listing; safe to repeat."""
        self._over = True
        self._pull.close()

    def __del__(self) -> None:
        self._pull.abandon()
