"""How files get from one place to another: by the storage itself within one backend, else as a stream."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from itertools import islice
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any

from remote_store._capabilities import Capability
from remote_store._methods import carried
from remote_store._paths import join
from remote_store.cli._places import Place
from remote_store.cli._show import Tell, readable

WORKERS = 4
"""Files that are transferred at a time."""
LOOK_AHEAD = 10_000
"""Files that are listed before the first of them is sent."""
_KEPT = Capability.USER_METADATA, Capability.CONTENT_TYPE
"""What goes along with content where both stores keep it."""


Job = tuple[Place | None, Place, int]
"""Where a file is (None: it comes from stdin), where it goes, and its size as listed [bytes]."""


class Stopped(Exception):
    """Another file failed, or the user interrupted."""


class Transfer:
    """Transfers files, a few at a time; the first failure stops all.

    Attributes:
        files: how many have arrived.
        size: how much that is [bytes].
    """

    def __init__(self, moving: bool, force: bool, tell: Tell) -> None:
        self._moving, self._force, self._tell = moving, force, tell
        self._stop, self._lock = Event(), Lock()
        self._total = self._sent = self.files = self.size = 0

    def __str__(self) -> str:
        files = "1 file" if self.files == 1 else f"{self.files} files"
        return f"{'moved' if self._moving else 'copied'} {files}, size {readable(self.size)}"

    def run(self, jobs: Iterable[Job]) -> None:
        """Do all jobs, in threads: an interrupt stops none of them halfway, each is completed or undone."""
        with ThreadPoolExecutor(WORKERS) as pool:
            running: set[Future[None]] = set()
            try:
                for job in self._found(iter(jobs)):
                    if len(running) == WORKERS:
                        running = _settled(running)
                    running.add(pool.submit(self._do, *job))
                while running:
                    running = _settled(running)
            finally:
                self._stop.set()

    def _found(self, jobs: Iterator[Job]) -> Iterator[Job]:
        """The jobs, many of them listed before the first begins; the total is known once all are listed."""
        total = 0
        while ahead := list(islice(jobs, LOOK_AHEAD)):
            total += sum(size for _, _, size in ahead)
            if len(ahead) < LOOK_AHEAD and all(source for source, _, _ in ahead):
                self._total = total
            yield from ahead

    def _do(self, source: Place | None, target: Place, size: int) -> None:
        self._go_on()
        verb = "move" if self._moving else "copy"
        backend = target.store.backend
        if source and source.store.backend is backend and Capability(verb) in backend.capabilities:
            keys = [join(place.store.root, place.key) for place in (source, target)]
            with target.errors(), target.store.reroot_errors:  # the two stores may have different roots
                getattr(backend, verb)(*keys, overwrite=self._force)
            self._advance(size)
        else:
            size = self._stream(source, target)
            if self._moving and source:
                with source.errors():
                    source.store.delete(source.key)
        with self._lock:
            self.files, self.size = self.files + 1, self.size + size

    def _stream(self, source: Place | None, target: Place) -> int:
        """Copy from one store to another; returns the size [bytes]."""
        store, blame = target.store, source.errors if source else nullcontext
        options: dict[str, Any] = {"overwrite": self._force}
        with ExitStack() as opened:
            read: Any = self._stdin
            if source:
                with blame():
                    if any(source.store.supports(kept) and store.supports(kept) for kept in _KEPT):
                        options |= carried(source.store.get_file_info(source.key), store.supports)
                    read = opened.enter_context(source.store.read(source.key)).read

            def piece(size: int) -> bytes:
                with blame():
                    data: bytes = read(size)
                self._go_on()
                self._advance(len(data))
                return data

            content: Any = SimpleNamespace(read=piece)
            with target.errors():
                write = store.write_atomic if store.supports(Capability.ATOMIC_WRITE) else store.write
                return write(target.key, content, **options).size

    def _stdin(self, size: int) -> bytes:
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            self._go_on()  # There may never be any input.
        data = os.read(sys.stdin.fileno(), size)
        if not data:
            self._go_on(0.2)  # Ctrl-C also ends the writer of the pipe, and that may show before the interrupt does.
        return data

    def _go_on(self, patience: float = 0) -> None:
        if self._stop.wait(patience):
            raise Stopped

    def _advance(self, size: int) -> None:
        with self._lock:
            self._sent += size
            self._tell("moving" if self._moving else "copying", self._sent, self._total)


def _settled(running: set[Future[None]]) -> set[Future[None]]:
    """Wait until at least one has ended, and return the others."""
    done: set[Future[None]] = set()
    while not done:  # With a timeout: an interrupt right before wait() does not end it.
        done, running = wait(running, 0.5, FIRST_COMPLETED)
    for future in done:
        future.result()
    return running
