"""The commands."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from remote_store import RemoteStoreError, __version__
from remote_store.cli._demo import PromiseBroken, demo

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"remote-store {__version__}")
        raise typer.Exit


@app.callback()
def remote_store(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """One strict contract over any fsspec filesystem."""


@app.command("demo")
def demo_command() -> None:
    """Try the promises in a temporary folder."""
    try:
        demo(Console())
    except (PromiseBroken, RemoteStoreError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
