"""Files that are written: published whole, or not at all."""

from __future__ import annotations

import codecs
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from remote_store._capabilities import Capability
from remote_store._errors import RemoteStoreError
from remote_store.interop._callers import raised_since
from remote_store.interop._operations import WITH
from remote_store.io.content import spool

if TYPE_CHECKING:
    from remote_store.interop._place import Place


class _Discarded(Exception):
    """Thrown into a context manager so that it publishes nothing."""


class _Publishing:
    """What all files being written share: they are published only if they are closed without an exception."""

    closed: bool
    close: Callable[[], None]

    def writable(self) -> bool:
        return True

    def abandon(self) -> None:
        """Drop what was written, and ignore what is written until the file is closed."""
        raise NotImplementedError

    def discard(self) -> None:
        """Close without publishing anything."""
        raise NotImplementedError

    def _dealloc_warn(self, source: Any) -> None:
        """A wrapper of `io` that was forgotten calls it before it closes the file."""
        self.abandon()
        warnings.warn(f"unclosed {self!r}: nothing was published", ResourceWarning, source=source, stacklevel=2)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        """Nothing, where `io` would close: the writer underneath goes last, and discards."""


class StoreWriter(_Publishing, io.RawIOBase):
    """A file being written, published when it is closed, or with the transaction it belongs to.

    A block of `with` that raises publishes nothing, nor does a writer that failed or was forgotten, or whose wrapper of
    `io` was. Other wrappers need a block of `with` around the writer.
    """

    _opened: Any = None
    _given_up = False

    def __init__(self, fs: Any, path: str, at: Place, mode: str, autocommit: bool, **options: Any) -> None:
        self.fs, self.path, self.mode, self.autocommit = fs, path, mode, autocommit
        self._size = 0
        self._before = sys.exc_info()[1]
        self._errors = at.errors
        opened = _open(at, overwrite="x" not in mode, **options)
        with self._errors:
            self._file = opened.__enter__()
        self._opened = opened

    def write(self, data: Any) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if self._opened is None:
            return memoryview(data).nbytes  # Ignore what a codec flushes after a failure.
        try:
            with self._errors:
                written: int = self._file.write(data)
        except BaseException:
            self.abandon()
            raise
        self._size += written
        return written

    def tell(self) -> int:
        return self._size

    def close(self) -> None:
        if self.closed:
            return
        if raised_since(self._before):
            self.abandon()
        super().close()
        if self.autocommit and not self._given_up:
            self.commit()

    def commit(self) -> None:
        """Publish what was written; fsspec calls it when a transaction ends.

        Raises:
            ValueError: the file was discarded, or is still open and so discarded.
        """
        if self._given_up:
            raise ValueError(f"{self.path!r} was discarded: nothing can be published")
        if not self.closed:
            self.discard()
            raise ValueError(f"{self.path!r} is still open at the end of its transaction: it was not published")
        opened, self._opened, self._before = self._opened, None, None
        if opened is not None:
            with self._errors:
                opened.__exit__(None, None, None)

    def abandon(self) -> None:
        opened, self._opened, self._before = self._opened, None, None
        if opened is not None:
            self._given_up = True
            if not self.autocommit and (transaction := self.fs._transaction) is not None:
                with suppress(ValueError):  # The transaction may not have it yet.
                    transaction.files.remove(self)
            with suppress(RemoteStoreError):  # The error that made the caller give up matters more.
                opened.__exit__(_Discarded, _Discarded(), None)

    def discard(self) -> None:
        self.abandon()
        super().close()

    def __del__(self) -> None:
        if self._opened is not None:
            with suppress(Exception):  # The interpreter may be on its way out.
                self.abandon()
            if not self.closed:
                warnings.warn(f"unclosed {self!r}: nothing was published", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}>"


@contextmanager
def _open(at: Place, **options: Any) -> Iterator[Any]:
    """The atomic writer of a store, or where it has none a spool that is written at the end."""
    store, key = at.store, at.key
    if store.supports(Capability.ATOMIC_WRITE):
        with store.open_atomic(key, **options) as file:
            yield file
    else:
        store.check_write(key, **{name: options.get(name) for name in WITH})
        with spool() as file:
            yield file
            file.seek(0)
            store.write(key, file, **options)


class CompressedWriter(_Publishing, io.BufferedIOBase):
    """A codec over a file being written; closing it closes both."""

    def __init__(self, codec: Any, file: StoreWriter) -> None:
        self._codec, self._file = codec, file

    def write(self, data: Any) -> int:
        written: int = self._codec.write(data)
        return written

    def close(self) -> None:
        if not self.closed:
            try:
                self._codec.close()
            except BaseException:
                self._file.abandon()
                raise
            self._file.close()
            super().close()

    def abandon(self) -> None:
        self._file.abandon()

    def discard(self) -> None:
        self.abandon()
        self.close()

    def __del__(self) -> None:
        with suppress(Exception):
            self._codec.close()  # Some complain when they are left open.


class TextWriter(_Publishing, io.TextIOWrapper):
    """Text over a file being written."""

    def __init__(self, file: Any, **options: Any) -> None:
        super().__init__(file, **options)
        if codecs.lookup(self.encoding).name in ("utf-16", "utf-32"):
            self.write("\ufeff")  # `io` leaves the mark out where it cannot seek.

    def discard(self) -> None:
        self.buffer.discard()  # type: ignore[attr-defined]


def pieces_of(path: str, callback: Any, size: int = 1 << 20) -> Iterator[bytes]:
    """The content of a file of this machine; `callback` counts what has been taken."""
    with open(path, "rb") as file:
        callback.set_size(os.fstat(file.fileno()).st_size)
        while piece := file.read(size):
            yield piece
            callback.relative_update(len(piece))
