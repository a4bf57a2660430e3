"""Work in other processes: forked with everything this one has, or started with nothing but a pickle."""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NoReturn, Self

from helpers.deadline import DEADLINE


class Signals:
    """Bytes through a pipe, which every process forked later shares."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def send(self, count: int = 1) -> None:
        os.write(self._writer, b"." * count)

    def wait(self, count: int = 1) -> None:
        """Take `count` signals."""
        for _ in range(count):
            _await_input(self._reader, time.monotonic() + DEADLINE)
            os.read(self._reader, 1)

    def within(self, seconds: float) -> bool:
        """Whether a signal comes in this time."""
        return bool(select.select([self._reader], [], [], seconds)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._reader)
        os.close(self._writer)


class Fork:
    """Work in a forked child, which is gone when the `with` block ends."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        with warnings.catch_warnings():
            # What the interpreter says since 3.12 of any fork beside other threads.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if not self._pid:
            os.close(self._reader)
            _answer(work, writer)
        os.close(writer)

    def result(self) -> Any:
        """What the work returned; raises what it raised."""
        deadline, pieces = time.monotonic() + DEADLINE, []
        while True:
            _await_input(self._reader, deadline)
            if not (piece := os.read(self._reader, 1 << 16)):
                break
            pieces.append(piece)
        returned, value = pickle.loads(b"".join(pieces))
        if not returned:
            raise value
        return value

    def kill(self) -> None:
        """Stop the child where it stands."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        os.close(self._reader)


def _answer(work: Callable[[], Any], writer: int) -> NoReturn:
    try:
        try:
            data = pickle.dumps((True, work()))
        except BaseException as error:
            data = pickle.dumps((False, error))
        while data:
            data = data[os.write(writer, data) :]
    finally:
        os._exit(0)


def _await_input(fd: int, deadline: float) -> None:
    ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        raise TimeoutError("another process hangs")


_SERVE = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
work, arguments = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps(work(*arguments)))
"""


def in_new_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns in a process that was started for it."""
    task = pickle.dumps(sys.path) + pickle.dumps((work, arguments))
    done = subprocess.run([sys.executable, "-c", _SERVE], input=task, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


def run_script(script: str, *arguments: str, code: int = 0) -> tuple[str, str]:
    """What a program prints that runs to its end in an interpreter of its own: to stdout, and to stderr."""
    task = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(task, capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr
