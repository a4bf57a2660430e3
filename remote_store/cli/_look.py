"""Commands that look: ls, tree, info, cat, head, sign."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, BinaryIO

import typer

from remote_store._models import UNKNOWN_TIME, FileInfo, FolderEntry
from remote_store._paths import below, printable
from remote_store.cli import _show
from remote_store.cli._options import Human, Json, Where, Wheres
from remote_store.cli._places import Place, Places
from remote_store.io.content import PART

Entry = FileInfo | FolderEntry
WHOLE = 8 << 20
"""Up to this size [bytes] the beginning of a file is one range request; beyond, a stream that is closed early."""


def ls(
    place: Where = ".",
    detailed: Annotated[bool, typer.Option("-l", help="Sizes and times (UTC) too.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="The files of all levels, unsorted.")] = False,
    human: Human = False,
    json: Json = False,
) -> None:
    """List a folder; in JSON, one entry a line."""
    with Places() as places:
        where = places.open(place)
        entries = where.entries(recursive)
        # Sorted for people, except where that would hold the files of all levels in memory.
        for entry in entries if json or recursive else sorted(entries, key=lambda entry: entry.name):
            if json:
                _show.document(_show.facts(entry, where), indent=None)
            else:
                named = _named(entry, below(where.key, str(entry.path)))
                _show.line((_details(entry, human) if detailed else "") + named)


def _details(entry: Entry, human: bool) -> str:
    size = time = "-"
    if isinstance(entry, FileInfo):
        size = _show.readable(entry.size) if human else str(entry.size)
        time = "-" if entry.modified_at == UNKNOWN_TIME else f"{entry.modified_at:%Y-%m-%d %H:%M}"
    return f"{size:>12}  {time:<16}  "


def _named(entry: Entry, path: str | None = None) -> str:
    """The path of an entry, else its name; folders end in a slash, and are blue on a terminal."""
    name = printable(path or entry.name)
    if isinstance(entry, FileInfo):
        return name
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return typer.style(f"{name}/", fg="blue", bold=True) if coloured else f"{name}/"


def tree(
    place: Where = ".",
    depth: Annotated[int, typer.Option("--level", "-L", min=1, help="Levels to show.")] = sys.maxsize,
    human: Human = False,
    json: Json = False,
) -> None:
    """Draw a folder with what is in it."""
    with Places() as places:
        where = places.open(place)
        if json:
            sys.setrecursionlimit(1 << 15)  # As deep as a path may be long.
            return _show.document({"place": str(where), "children": _nested(where, depth)})
        marks = ("├── ", "└── ", "│   ") if _show.fits("├└│") else ("|-- ", "`-- ", "|   ")
        branches = list(_branches(where, depth, human, marks))
        for drawn in (printable(where), *branches):
            _show.line(drawn)


def _sorted(place: Place, depth: int) -> list[Entry]:
    return sorted(place.entries(), key=lambda entry: entry.name) if depth else []


def _nested(place: Place, depth: int) -> list[dict[str, Any]]:
    return [
        _show.facts(entry, place)
        | ({} if isinstance(entry, FileInfo) else {"children": _nested(place.at(str(entry.path)), depth - 1)})
        for entry in _sorted(place, depth)
    ]


def _branches(place: Place, depth: int, human: bool, marks: tuple[str, ...]) -> Iterator[str]:
    rows = _rows(place, depth, "")
    while rows:
        entry, depth, indent, last = rows.pop()
        drawn = f"{indent}{marks[last]}{_named(entry)}"
        if isinstance(entry, FileInfo):
            yield f"{drawn}  ({_show.readable(entry.size) if human else entry.size})"
        else:
            yield drawn
            rows += _rows(place.at(str(entry.path)), depth - 1, indent + ("    " if last else marks[2]))


def _rows(place: Place, depth: int, indent: str) -> list[tuple[Entry, int, str, bool]]:
    """The lines of a folder, as entry, depth left, indent and whether it is the last; the last one first."""
    return [(entry, depth, indent, i == 0) for i, entry in enumerate(reversed(_sorted(place, depth)))]


def info(place: Where, json: Json = False) -> None:
    """Describe a file, or a folder with its totals."""
    with Places() as places:
        where = places.open(place)
        if file := where.look():
            return _show.answer(_show.facts(file, where), json)
        with _show.progress("counting"), where.errors():
            folder = where.store.get_folder_info(where.key)
            if not where.key and not folder.file_count:
                where.store.ping()
        newest = folder.modified_at and folder.modified_at.isoformat()
        totals = {"files": folder.file_count, "size": folder.total_size, "modified_at": newest}
        _show.answer({"type": "folder", "place": str(where), "name": folder.name, **totals}, json)


def cat(places: Wheres) -> None:
    """Print files, one after the other; - is stdin."""
    with Places() as opened:
        for text in places:
            if text == "-":
                _print(sys.stdin.buffer)
                continue
            where = opened.open(text)
            with where.errors(), where.store.read(where.key) as stream:
                _print(stream)


def head(
    place: Where,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines.")] = 10,
    size: Annotated[int | None, typer.Option("--bytes", "-c", min=0, help="How many bytes, instead.")] = None,
) -> None:
    """Print the beginning of a file, and fetch little more."""
    with Places() as places:
        where = places.open(place)
        with where.errors():
            if size is not None and size <= WHOLE:
                sys.stdout.buffer.write(where.store.read_range(where.key, 0, size))
                return
            with where.store.read(where.key) as stream:
                _print(stream, lines if size is None else None, size)


def _print(source: BinaryIO, lines: int | None = None, size: int | None = None) -> None:
    """Copy to stdout: everything, or the first lines or bytes."""
    piece = PART if lines is None else PART // 16
    while size != 0 and lines != 0 and (data := source.read(piece if size is None else min(size, piece))):
        if lines is not None:
            rows = data.split(b"\n", lines)
            data = data[: len(data) - len(rows[lines])] if len(rows) > lines else data
            lines -= data.count(b"\n")
        size = None if size is None else size - len(data)
        sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


class SignedBy(StrEnum):
    """The methods that `sign` offers."""

    GET = "GET"
    PUT = "PUT"


def sign(
    place: Where,
    expires_in: Annotated[int, typer.Option("--expires-in", min=1, help="How long it is good for [s].")] = 3600,
    method: Annotated[SignedBy, typer.Option("--method", help="GET to read the file, PUT to write it.")] = SignedBy.GET,
) -> None:
    """Print a URL by which whoever has it reads, or writes, one file. It is a secret."""
    with Places() as places:
        where = places.open(place)
        with where.errors():
            _show.line(where.store.sign(where.key, expires_in=expires_in, method=method.value))
