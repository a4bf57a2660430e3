"""What commands print: lines for people, JSON for programs, progress bars."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from remote_store._models import UNKNOWN_TIME, FileInfo, FolderEntry
from remote_store._paths import printable
from remote_store.cli._places import Place

if TYPE_CHECKING:
    from rich.console import RenderableType

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and the total, 0 while that is unknown."""


def line(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def document(value: Any, *, indent: int | None = 2) -> None:
    """Print a JSON document; on one line without `indent`."""
    line(json.dumps(value, indent=indent))


def answer(value: Mapping[str, Any], as_json: bool) -> None:
    """Print facts: as JSON, or one a line without those that are None."""
    if as_json:
        return document(value)
    for name, fact in value.items():
        if name == "digest" and fact:
            fact = f"{fact['algorithm']}:{fact['value']}"
        elif isinstance(fact, dict):
            fact = ", ".join(f"{key}={one}" for key, one in fact.items())
        if fact is not None:
            line(f"{name:<20} {printable(fact)}")


def facts(entry: FileInfo | FolderEntry, place: Place) -> dict[str, Any]:
    """An entry of a listing as plain data."""
    known = {"place": place.url(str(entry.path)), "name": entry.name}
    if isinstance(entry, FolderEntry):
        return {"type": "folder", **known}
    return {
        "type": "file",
        **known,
        "size": entry.size,
        "modified_at": None if entry.modified_at == UNKNOWN_TIME else entry.modified_at.isoformat(),
        "etag": entry.etag,
        "content_type": entry.content_type,
        "digest": asdict(entry.digest) if entry.digest else None,
        "metadata": dict(entry.metadata) if entry.metadata else None,
    }


def readable(size: float) -> str:
    """A size [bytes] in powers of 1024."""
    if size < 1024:
        return str(size)
    units = "KMGTPE"
    while (size := size / 1024) >= 1023.95:
        units = units[1:]
    return f"{size:.1f}{units[0]}"


def fits(characters: str) -> bool:
    """Whether the encoding of stdout has some characters."""
    try:
        characters.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def marks() -> tuple[str, str]:
    """How yes and no are printed."""
    return ("✓", "\N{EN DASH}") if fits("✓\N{EN DASH}") else ("yes", "-")


def draw(what: RenderableType, style: str | None = None) -> None:
    """Print what rich renders, or a text with its markup."""
    from rich.console import Console

    console = Console(highlight=False)
    with console.capture() as drawn:  # On a closed pipe rich would end the process itself.
        console.print(what, style=style)
    sys.stdout.write(drawn.get())
    sys.stdout.flush()


@contextmanager
def progress(what: str, *, in_bytes: bool = False) -> Iterator[Tell]:
    """A bar on stderr while the block runs, where both it and stdout are a terminal."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield lambda *_: None
        return
    from rich import progress as rich
    from rich.console import Console

    columns: list[rich.ProgressColumn] = [rich.TextColumn("{task.description}", markup=False), rich.BarColumn()]
    if in_bytes:
        columns += [rich.DownloadColumn(binary_units=True), rich.TransferSpeedColumn()]
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda what, done, total: shown.update(task, description=what, completed=done, total=total or None)
