"""Commands about places and configurations: caps, matrix, ping, certify, demo, config."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from remote_store._capabilities import Capability
from remote_store._errors import folder_missing
from remote_store._paths import printable
from remote_store._store import Store
from remote_store.backends._named import MadeOfOptions
from remote_store.cli import _show
from remote_store.cli._options import Json, Where, store_names
from remote_store.cli._places import Places
from remote_store.cli._run import FAILED, Usage
from remote_store.drivers.kinds import by_name


def caps(place: Where, json: Json = False) -> None:
    """Show the capabilities of a place."""
    with Places() as places:
        where = places.open(place, "write")
        has = {capability.value: where.store.supports(capability) for capability in Capability}
        known = {"place": str(where), "backend": where.store.resolve("").backend}
    if json:
        return _show.document(known | {"capabilities": has})
    yes, no = _show.marks()
    _show.answer(known | {name: yes if one else no for name, one in has.items()}, as_json=False)


def matrix(json: Json = False) -> None:
    """Show the capabilities that each kind of storage declares."""
    from remote_store.drivers.kinds import known, profiles

    shown = profiles(known())
    if json:
        return _show.document({name: sorted(profile.capabilities) for name, profile in shown.items()})
    from rich.table import Column, Table

    yes, no = _show.marks()
    for names in _beside(shown, len(yes)):
        table = Table("capability", *(Column(name, justify="center") for name in names), padding=0)
        for capability in Capability:
            has = [capability in shown[name].capabilities for name in names]
            table.add_row(capability.value, *(f"[green]{yes}[/green]" if one else no for one in has))
        _show.draw(table)


def _beside(names: Iterable[str], mark: int) -> list[list[str]]:
    """Names of columns with marks so wide, table by table, that fit into 80 columns behind those of capabilities."""
    room = 80 - max(len(capability.value) for capability in Capability) - 2
    tables: list[list[str]] = [[]]
    for name in names:
        if tables[-1] and sum(max(len(one), mark) + 1 for one in (*tables[-1], name)) > room:
            tables.append([])
        tables[-1].append(name)
    return tables


def ping(place: Where, json: Json = False) -> None:
    """Check that a place can be reached and used."""
    with Places() as places:
        where = places.open(place, "write")
        with where.errors(here=True):
            _rooted(places, place).ping()
        _show.answer({"place": str(where), "answers": True}, json)


def _rooted(places: Places, text: str) -> Store:
    """A place as a store; a folder of this machine must exist."""
    place = places.open(text, "write")
    with place.errors():
        if place.is_local and place.key:
            raise folder_missing(place.key, place.store.resolve("").backend)
    return place.store.child(place.key) if place.key else place.store


def certify(
    place: Where,
    report: Annotated[list[Path] | None, typer.Option(help="Write it here: .json, .md or .html.")] = None,
    workers: Annotated[int, typer.Option(min=2, help="How many callers race.")] = 16,
    missing_url: Annotated[
        str | None, typer.Option(help="A place in a container that does not exist; else one is made up.")
    ] = None,
    denied: Annotated[
        str | None, typer.Option(help="A place with credentials that may not use it.", autocompletion=store_names)
    ] = None,
    json: Json = False,
) -> None:
    """Try every promise at a place, in a new folder that is removed afterwards.

    It takes a few thousand requests and about 200 MiB of traffic.
    """
    from remote_store.certify import certify
    from remote_store.certify.render import summary
    from remote_store.certify.report import check_target

    try:
        for target in report or ():
            check_target(target)
    except ValueError as error:
        raise Usage(str(error)) from error
    with Places() as places, _show.progress("certifying") as tell:
        store = _rooted(places, place)
        missing = _rooted(places, missing_url) if missing_url else _missing(places, store)
        refused = _rooted(places, denied) if denied else None
        found = certify(store, workers=workers, missing=missing, denied=refused, progress=tell)
    for target in report or ():
        found.save(target)
    if json:
        _show.document(found.to_dict())
    else:
        for finding in found.capabilities:
            proof = finding.evidence[-1:] if finding.verdict in ("refuted", "not tried") else ()
            _show.line(f"{finding.verdict:<16}  {printable(': '.join((finding.capability.value, *proof)))}")
        for rule in found.broken:
            _show.line(f"broken            {printable(f'{rule.name}: {rule.evidence[-1]}')}")
        _show.line(f"{'certified' if found.ok else 'not certified'}: {summary(found)}")
    if not found.ok:
        raise typer.Exit(FAILED)


def _missing(places: Places, store: Store) -> Store | None:
    """The same store in a container that does not exist; None where there are none, or it is not made of options."""
    backend = store.backend
    called = by_name(backend.name).container
    if not isinstance(backend, MadeOfOptions) or not called:
        return None
    name = store.resolve("").details[called]
    return places.enter_context(Store(backend.with_options(**{called: f"{name[:40]}-{uuid4().hex[:12]}"})))


def demo() -> None:
    """Show the promises kept, in a temporary folder."""
    from remote_store.cli import _demo

    _demo.demo()
    _show.draw("\n5. What each backend can do", "bold")
    matrix()


def schema() -> None:
    """Print the JSON schema of configuration files."""
    from remote_store.config import Config

    _show.document(Config.model_json_schema())


def check(
    file: Annotated[Path | None, typer.Argument(help="That of $REMOTE_STORE_CONFIG unless given.")] = None,
    json: Json = False,
) -> None:
    """Check a configuration file, and name its stores; nothing is contacted."""
    from remote_store.config import ConfigError, Registry, default_registry

    try:
        names = (Registry(file) if file else default_registry()).names
    except ConfigError as error:
        raise Usage(str(error)) from error
    if json:
        return _show.document({"stores": names})
    for name in names:
        _show.line(printable(name))
