"""Any fsspec filesystem as a backend."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar, cast

from remote_store import _fork
from remote_store._backend import MadeBackend
from remote_store._capabilities import Capability, CapabilitySet
from remote_store._models import FileInfo
from remote_store._paths import below, file_key, join, key_of
from remote_store.backends._engine import EngineBackend, on_engine
from remote_store.drivers.base import Driver
from remote_store.engine.near import Near
from remote_store.engine.runners import Inline, OnLoop
from remote_store.io.content import PART
from remote_store.io.files import AtomicFile, AtomicWriter, seekable_file
from remote_store.io.streams import CHUNK, STRIDE, Reader, read_stream, run_to_end

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")


class DriverBackend(EngineBackend, MadeBackend, make=on_engine):
    """A synchronous backend over a driver."""

    @cached_property
    def _run(self) -> Inline:
        if not self._hops:
            return Inline()
        return (Near if self._driver.begins_here else OnLoop)(self._driver.fs.loop)

    def _run_at_once(self, operation: Any) -> Any:
        return run_to_end(operation)  # Without a hop.

    @property
    def _hops(self) -> bool:
        """Whether operations run on a loop in another thread, so that streams go there in strides."""
        return self._driver.runs == "native"

    def get_file_info(self, path: str) -> FileInfo:
        key = self._key(path, file_key)
        # Without a coroutine, which takes as long as the system does to describe a file.
        info: FileInfo = self._driver.file_now(key) or self._run(self._engine.get_file_info(key))
        return info

    def read(self, path: str, *, start: int = 0, end: int | None = None, if_match: str | None = None) -> BinaryIO:
        return self._stream(self._engine.open_read(self._key(path, file_key), start, end, if_match))

    def read_seekable(self, path: str) -> BinaryIO:
        if Capability.SEEKABLE_READ not in self.capabilities:
            return super().read_seekable(path)
        return self._stream(self._engine.open_seekable(self._key(path, file_key)))

    def _stream(self, opening: Awaitable[Reader]) -> BinaryIO:
        reader = self._run(opening)
        try:
            stride = STRIDE if self._hops else CHUNK
            return read_stream(reader, self._run, Capability.SEEKABLE_READ in self.capabilities, stride)
        except BaseException:
            self._run(reader.close())
            raise

    @contextmanager
    def open_atomic(
        self, path: str, *, overwrite: bool = False, seekable: bool = False, **options: Any
    ) -> Iterator[AtomicWriter]:
        upload, run = self._open_upload(path, overwrite, **options), self._run.throughout
        if seekable:
            with seekable_file(upload, run, path, self.name, self._driver.stride) as draft:
                yield cast("AtomicWriter", draft)
            return
        file = AtomicFile(upload, run, self._driver.stride if self._hops else PART // 4)
        try:
            yield cast("AtomicWriter", file)
            file.commit()
        except BaseException:
            file.abort()
            raise

    def close(self) -> None:
        self._run(self._driver.close())
        self._after_close()


class UserFilesystem(EngineBackend):
    """What the synchronous and the asynchronous backend over a filesystem that the user made share."""

    CAPABILITIES = CapabilitySet(Capability)
    """A driver for the filesystem at hand may hold any of them."""

    def __init__(self, fs: AbstractFileSystem, root: str = "", *, name: str | None = None) -> None:
        if not hasattr(fs, "_strip_protocol"):
            raise TypeError(f"fs must be an fsspec filesystem, not {type(fs).__name__}; URLs go to Store.from_url")
        self._recipe = (fs, root), {"name": name}
        self._forked = self._adopted = False
        self._check_driver(self._driver)
        if not self._driver.survives_fork:
            _fork.watch(self)

    def adopt(self) -> Self:
        """Take the filesystem over: closing the backend closes it, and the next use makes an equal one."""
        self._adopted = True
        self._driver.owned = True
        return self

    def _after_close(self) -> None:
        if self._adopted:
            self._start_afresh()

    def _check_driver(self, driver: Driver) -> None:
        """Raise `ValueError` for a filesystem that this backend cannot run."""
        raise NotImplementedError

    # --- the filesystem as the user knows it, whatever is inside wrappers

    @cached_property
    def _own_root(self) -> str | None:
        """The root as the given filesystem spells it; None where its driver spells paths alike."""
        from remote_store.drivers.wrappers import inside, spelled

        fs, root = self._recipe[0]
        return spelled(fs._strip_protocol(root)) if inside(fs).renamed else None

    def native_path(self, path: str) -> str:
        return super().native_path(path) if self._own_root is None else join(self._own_root, key_of(path))

    def _key_of_native(self, native_path: str) -> str | None:
        if self._own_root is None:
            return super()._key_of_native(native_path)
        return below(self._own_root, self._recipe[0][0]._strip_protocol(native_path).strip("/"))

    def unwrap(self, type_hint: type[T]) -> T:
        fs = self._recipe[0][0]
        return fs if isinstance(fs, type_hint) else super().unwrap(type_hint)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._driver.private:
            raise pickle.PicklingError(f"the files of {self!r} live in this process, and its copy would have none")
        return super().__reduce__()

    def _make_driver(self) -> Driver:
        from remote_store.drivers.generic.filesystem import forget
        from remote_store.drivers.registry import driver_for

        (fs, root), options = self._recipe
        if self._forked:
            # A filesystem that is bound to a loop does not survive a fork: make an equal one.
            forget(fs)
            fs = pickle.loads(pickle.dumps(fs))  # noqa: S301 (our own bytes)
            self._recipe, self._forked = ((fs, root), options), False
        driver = driver_for(fs, fs._strip_protocol(root) if root else "", **options)
        driver.owned = self._adopted
        return driver

    def _start_afresh(self) -> None:
        self._forked = True
        super()._start_afresh()


class FsspecBackend(UserFilesystem, DriverBackend):
    """A backend over an fsspec filesystem that you made yourself.

    A filesystem of a known kind gets its driver; any other gets the generic one, which trusts it with nothing.

    Args:
        fs: an fsspec filesystem; not one made with `asynchronous=True`.
        root: folder of it that is the root, as the filesystem spells it.
        name: of the backend; the filesystem's protocol unless given.

    Raises:
        ValueError: `fs` was made with `asynchronous=True`.

    Example:
        >>> import fsspec
        >>> from remote_store import FsspecBackend, Store
        >>> store = Store(FsspecBackend(fsspec.filesystem("memory"), "/reports"))
    """

    def _check_driver(self, driver: Driver) -> None:
        if getattr(driver.fs, "asynchronous", False):
            raise ValueError("a filesystem made with asynchronous=True needs AsyncFsspecBackend and AsyncStore")
