"""What a store promises, shown on temporary files: every line printed is the outcome of a check."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

from rich.tree import Tree

from remote_store import AlreadyExists, Capability, Store
from remote_store.cli._show import draw, marks

WRITERS = 16
REPLACED = "reports/2026/january.csv"
FILES = {
    REPLACED: b"day,sold\n1,12\n2,9\n",
    "reports/2026/february.csv": b"day,sold\n1,7\n",
    "images/logo.bin": bytes(range(256)) * 4096,
    "readme.txt": b"Written by remote-store demo.\n",
}


class PromiseBroken(Exception):
    """What was observed differs from what a store promises."""


def demo() -> None:
    """Run the demonstration; raises PromiseBroken where an outcome differs from the promise."""
    with tempfile.TemporaryDirectory(prefix="remote-store-demo-") as folder:
        url = f"file://{folder}/store"
        with Store.from_url(url) as store, Store.from_url(f"memory://{Path(folder).name}") as memory:
            draw("1. Write a folder tree", "bold")
            _write(store, Tree(url))
            draw("\n2. Replace a file atomically", "bold")
            _replace(store)
            draw(f"\n3. Race {WRITERS} threads to create one file", "bold")
            _race(store)
            draw("\n4. Copy everything from file:// to memory://", "bold")
            _copy(store, memory)


def _check(kept: bool, promise: str) -> None:
    if not kept:
        raise PromiseBroken(f"this was promised, and is not so: {promise}")
    draw(f"   [green]{marks()[0]}[/green] {promise}")


def _write(store: Store, tree: Tree) -> None:
    for path, content in FILES.items():
        store.write(path, content)
    _grow(tree, store)
    draw(tree)
    sizes = {str(file.path): file.size for file in store.list_files(recursive=True)}
    kept = sizes == {path: len(content) for path, content in FILES.items()}
    _check(kept, f"{len(sizes)} files listed, each with the size that was written")


def _grow(tree: Tree, folder: Store) -> None:
    for entry in sorted(folder.list_folders(), key=lambda entry: entry.name):
        _grow(tree.add(f"[bold blue]{entry.name}/[/bold blue]"), folder.child(entry.path))
    for file in sorted(folder.list_files(), key=lambda file: file.name):
        tree.add(f"{file.name}  [dim]{file.size:,} bytes[/dim]")


def _replace(store: Store) -> None:
    old, new = store.read_bytes(REPLACED), b"day,sold\n1,13\n"
    with store.open_atomic(REPLACED, overwrite=True) as file:
        file.write(new)
        file.flush()
        _check(store.read_bytes(REPLACED) == old, "while the block writes, readers see the old content")
    _check(store.read_bytes(REPLACED) == new, "when the block ends, they see the new content")
    with suppress(RuntimeError), store.open_atomic(REPLACED, overwrite=True) as file:
        file.write(b"half a li")
        file.flush()
        raise RuntimeError
    _check(store.read_bytes(REPLACED) == new, "a block that raises publishes nothing")
    left = sum(1 for _ in store.list_files(recursive=True))
    _check(left == len(FILES), f"and leaves nothing behind: still {left} files")


def _race(store: Store) -> None:
    if not store.supports(Capability.EXCLUSIVE_CREATE):
        return draw(f"   {marks()[1]} left out: this file system has no exclusive creation")
    gate = Barrier(WRITERS, timeout=30)

    def contend(writer: int) -> None:
        gate.wait()
        store.write("race.txt", b"%d" % writer, overwrite=False)

    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(contend, writer) for writer in range(WRITERS)]
    outcomes = [type(writer.exception()) for writer in writers]
    won, lost = outcomes.count(type(None)), outcomes.count(AlreadyExists)
    _check((won, lost) == (1, WRITERS - 1), f"one writer wins: {won} created it, {lost} got AlreadyExists")
    _check(store.read_bytes("race.txt") == b"%d" % outcomes.index(type(None)), "the file has the winner's content")


def _copy(source: Store, target: Store) -> None:
    files = list(source.list_files(recursive=True))
    for file in files:
        with source.read(file.path) as content:
            target.write(file.path, content)
    same = [file.size for file in files if target.read_bytes(file.path) == source.read_bytes(file.path)]
    _check(len(same) == len(files), f"{len(same)} of {len(files)} files ({sum(same):,} bytes) read back the same")
