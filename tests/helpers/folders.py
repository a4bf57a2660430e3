"""What tests of local folders need: a fresh root, what is on disk, open descriptors, another user."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from remote_store.drivers.local import system

NOBODY = 65534


def on_disk(folder: Path) -> list[str]:
    """Everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def descriptors() -> int:
    """How many descriptors this process has open; 0 where nothing tells."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def let_in(folder: Path) -> None:
    """Let other users into a folder that pytest made, and through those above it."""
    while folder != Path(tempfile.gettempdir()) and folder.parent != folder:
        folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent


def become_nobody() -> None:
    """Give up all rights of root; for forked children only."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def free_descriptors(count: int) -> list[int]:
    """The lowest numbers that no open descriptor has."""
    taken: list[int] = []
    try:
        while len(taken) < count:
            taken.append(os.dup(0))
        return taken
    finally:
        for fd in taken:
            os.close(fd)


def limit_descriptors(count: int) -> None:
    """Allow no descriptor of that number or above; for forked children only."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@contextmanager
def inside(folder: Path) -> Iterator[int]:
    """Descriptor of a folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def make_deep(folder: Path, names: list[str], content: bytes) -> None:
    """Make folders within each other, and a file `f` in the last, whatever the length of the path."""
    with inside(folder) as top:
        fd = os.dup(top)
        for name in names:
            os.mkdir(name, dir_fd=fd)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        file = os.open("f", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd)
        os.write(file, content)
        os.close(file)
        os.close(fd)


def once(act: Callable[[], object]) -> Callable[[], None]:
    """The same, the first time it is called; nothing after that."""
    left: list[Any] = [act]

    def call() -> None:
        if left:
            left.pop()()

    return call


def refusing(number: int, *names: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Make functions of `system` fail as a file system without them does."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: Any, **options: Any) -> Any:
            raise OSError(number, os.strerror(number))

        for name in names:
            monkeypatch.setattr(system, name, refuse)

    return apply


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system in memory."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
