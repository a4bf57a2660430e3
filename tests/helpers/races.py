"""Races over local folders, bounded in rounds; each tells what went wrong in words."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers.folders import descriptors
from remote_store import DirectoryNotEmpty, NotFound, RemoteStoreError, Store
from remote_store.backends import LocalBackend


@contextmanager
def beside(*works: Callable[[], object]) -> Iterator[None]:
    """Run works in threads that change places often, until they end."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work) for work in works]
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)


def swapped_links(root: Path, rounds: int) -> list[str]:
    """A folder is deleted or listed while one below it is a link to another folder every now and then."""
    store, failures = Store(LocalBackend(root)), []
    top, mid, away, other = root / "jail/top", root / "jail/top/mid", root / "away", root / "other"
    theirs = {f"theirs{number}" for number in range(20)}
    for number in range(rounds):
        for folder, name in ((mid / "sub", "mine"), (other / "sub", "theirs")):
            folder.mkdir(parents=True)
            for index in range(20):
                (folder / f"{name}{index}").write_bytes(b"1")
        over = threading.Event()

        def swap(over: threading.Event = over) -> None:
            with suppress(OSError):  # The folder has been deleted.
                while not over.is_set():
                    mid.rename(away)
                    mid.symlink_to(other)
                    mid.unlink()
                    away.rename(mid)

        with beside(swap):
            try:
                seen = {entry.name for entry in store.list_files("jail/top", recursive=True)}
                if seen & theirs:
                    failures.append(f"round {number}: a listing shows another folder's files")
                store.delete_folder("jail/top", recursive=True)
                if os.path.lexists(top):
                    failures.append(f"round {number}: deleted, but still there")
            except DirectoryNotEmpty:
                pass  # The other thread was faster every time.
            except Exception as error:
                failures.append(f"round {number}: {error!r}")
            finally:
                over.set()
        if {path.name for path in (other / "sub").iterdir()} != theirs:
            failures.append(f"round {number}: another folder's files are gone")
        for left in (root / "jail", away, other):
            shutil.rmtree(left, ignore_errors=True)
    return failures


def shared_deletions(root: Path, rounds: int) -> list[str]:
    """A folder is deleted while another thread deletes the files in it."""
    store, failures = Store(LocalBackend(root)), []
    folder = root / "d"
    for number in range(rounds):
        (folder / "e").mkdir(parents=True)
        files = [folder / f"{index}" for index in range(45)] + [folder / f"e/{index}" for index in range(45)]
        for file in files:
            file.write_bytes(b"1")

        def unlink(files: list[Path] = files) -> None:
            for file in files:
                file.unlink(missing_ok=True)

        with beside(unlink):
            try:
                store.delete_folder("d", recursive=True, missing_ok=bool(number % 2))
                if folder.exists():
                    failures.append(f"round {number}: deleted, but still there")
            except Exception as error:
                failures.append(f"round {number}: {error!r}")
        shutil.rmtree(folder, ignore_errors=True)
    return failures


def writers_and_deleters(root: Path, rounds: int) -> list[str]:
    """Four threads write below a folder that four others delete all the time."""
    store, failures = Store(LocalBackend(root)), []
    before = descriptors()

    def write(number: int) -> None:
        for index in range(50):
            try:
                store.write(f"d/{number}/{index % 5}/f", b"1", overwrite=True)
            except NotFound:
                pass  # The folder was deleted as fast as it was made.
            except Exception as error:
                failures.append(f"write: {error!r}")

    def delete() -> None:
        for _ in range(50):
            try:
                store.delete_folder("d", recursive=True, missing_ok=True)
            except DirectoryNotEmpty as error:
                if "others write there" not in str(error):
                    failures.append(f"delete_folder: {error!r}")
            except Exception as error:
                failures.append(f"delete_folder: {error!r}")

    for number in range(rounds):
        with beside(*(lambda n=n: write(n) for n in range(4)), *([delete] * 4)):
            pass
        if (now := descriptors()) != before:
            failures.append(f"round {number}: {now} descriptors instead of {before}")
        try:
            store.delete_folder("d", recursive=True, missing_ok=True)
        except RemoteStoreError as error:
            failures.append(f"round {number}: {error!r}")
        if os.listdir(root):
            failures.append(f"round {number}: left {os.listdir(root)}")
    return failures
