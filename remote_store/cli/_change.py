"""Commands that change what is stored: cp, mv, rm."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

import typer

from remote_store._either import EitherStore, prune_empty
from remote_store._errors import InvalidPath, PermissionDenied
from remote_store._location import PLAIN
from remote_store._models import FileInfo
from remote_store._paths import below, join, printable
from remote_store.cli import _show
from remote_store.cli._look import cat
from remote_store.cli._options import Force, Json, Recursive, Sources, Target, Wheres
from remote_store.cli._places import Place, Places
from remote_store.cli._run import FAILED, Usage
from remote_store.cli._transfer import Job, Transfer
from remote_store.drivers.kinds import by_name
from remote_store.engine.runners import run_to_end


def cp(
    sources: Sources, target: Target, recursive: Recursive = False, force: Force = False, json: Json = False
) -> None:
    """Copy files between any two places; - is stdin or stdout.

    A target that is a folder, or ends in a slash, is copied into.
    """
    if target != "-":
        _transfer(sources, target, False, recursive, force, json)
    elif recursive or json:
        raise Usage("stdout takes the content of files: neither -r nor --json")
    else:
        cat(sources)


def mv(
    sources: Sources, target: Target, recursive: Recursive = False, force: Force = False, json: Json = False
) -> None:
    """Move files between any two places.

    A target that is a folder, or ends in a slash, is moved into.
    """
    _transfer(sources, target, True, recursive, force, json)


def _transfer(sources: list[str], target: str, moving: bool, recursive: bool, force: bool, as_json: bool) -> None:
    if "-" in (*sources, target) and (moving or len(sources) > 1):
        raise Usage("stdin and stdout can only be copied, and by themselves")
    with Places() as places, _show.progress("moving" if moving else "copying", in_bytes=True) as tell:
        transfer = Transfer(moving, force, tell)
        try:
            origins = [places.open(text, "remove" if moving else "read") for text in sources if text != "-"]
            goal = places.open(target, "write")
            if moving:
                *origins, goal = places.together([*origins, goal])
            transfer.run(_jobs(origins, goal, moving, recursive))
        except BaseException as error:
            if transfer.files:
                error.add_note(f"before that, {transfer}")
            raise
        finally:
            if as_json:
                _show.document({"files": transfer.files, "size": transfer.size})
        for origin in origins if moving and recursive else ():
            with origin.errors():
                if origin.key and origin.store.is_folder(origin.key):
                    run_to_end(prune_empty(EitherStore(origin.store), origin.key))
    if not as_json:
        _show.line(str(transfer))


def _jobs(origins: list[Place], goal: Place, moving: bool, recursive: bool) -> Iterator[Job]:
    """The copy jobs, generated lazily; without origins, one that copies stdin."""
    into = goal.into or _is_folder(goal)
    if not origins and into:
        raise Usage("stdin has no name: give that of a file as target")
    if len(origins) > 1 and not into:
        raise Usage("several files go into a folder only: end the target with a /")
    if not origins:
        yield None, goal, 0
    names = [origin.key.rpartition("/")[2] for origin in origins]
    if len(set(names)) < len(names):
        raise Usage("two sources have the same name, and one would replace the other")
    for origin, name in zip(origins, names, strict=True):
        target = goal.at(join(goal.key, name)) if into else goal
        file = None if origin.into and recursive else origin.look()
        if file is None and not recursive:
            raise Usage(f"{printable(origin)} is a folder: give -r to take all that is in it")
        if _contains(origin, target, moving):
            why = "that is the source itself, or in it, or cannot be told from it"
            raise Usage(f"{printable(origin)} cannot go to {printable(target)}: {why}")
        if file is not None:
            yield origin, target, file.size
            continue
        for entry in origin.entries(recursive=True):
            path = str(entry.path)
            if isinstance(entry, FileInfo):
                yield origin.at(path), target.at(join(target.key, below(origin.key, path) or "")), entry.size


def _is_folder(place: Place) -> bool:
    with suppress(PermissionDenied), place.errors():  # Credentials that may write need not be allowed to list.
        return place.store.is_folder(place.key)
    return False


def _contains(source: Place, target: Place, moving: bool) -> bool:
    """Whether a target is the source itself or below it; when moving, which deletes, also where that is unknown."""
    plans = [place.store.resolve(place.key) for place in (source, target)]
    if source.store.backend is not target.store.backend:
        kinds = {(plan.backend, plan.details.get("endpoint_url")) for plan in plans}
        # The path of a file on another filesystem may not say on which machine it is.
        if len(kinds) > 1 or not (moving or by_name(plans[0].backend).placed):
            return False
    real = os.path.realpath if PLAIN in by_name(plans[0].backend).protocols else str
    return below(*(real(plan.native_path) for plan in plans)) is not None


def rm(
    places: Wheres,
    recursive: Recursive = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a folder is deleted.")] = False,
    json: Json = False,
) -> None:
    """Delete files, and with -r folders."""
    deleted: list[str] = []
    with Places() as opened:
        try:
            for place in [opened.open(text, "remove") for text in places]:
                with place.errors():
                    _remove(place, recursive, yes)
                deleted.append(str(place))
        finally:
            if json:
                _show.document({"deleted": deleted})


def _remove(place: Place, recursive: bool, sure: bool) -> None:
    if place.key and not (place.into and recursive):
        try:
            return place.store.delete(place.key)
        except InvalidPath:
            if not place.store.is_folder(place.key):
                raise
    if place.key and not recursive:
        raise Usage(f"{printable(place)} is a folder: give -r to delete all that is in it")
    if place.key and not sure:
        if not sys.stdin.isatty():
            raise Usage(f"{printable(place)} is a folder: give --yes to delete all that is in it without being asked")
        if not typer.confirm(f"Delete {printable(place)} with all that is in it?", err=True):
            raise typer.Exit(FAILED)
    with _show.progress("deleting"):
        place.store.delete_folder(place.key, recursive=True)
