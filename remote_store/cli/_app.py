"""The command line: each command with an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from remote_store import __version__
from remote_store.cli import _about, _change, _look
from remote_store.cli._run import Commands

EXAMPLES: dict[Callable[..., None], str] = {
    _look.ls: "ls -lh s3://lake/raw",
    _look.tree: "tree -L 2 s3://lake/raw",
    _look.info: "info s3://lake/raw/may.csv",
    _look.cat: "cat s3://lake/raw/may.csv.gz | zcat",
    _look.head: "head -n 5 s3://lake/raw/may.csv",
    _look.sign: "sign s3://lake/raw/may.csv --expires-in 600",
    _change.cp: "cp -r reports s3://lake/raw/",
    _change.mv: "mv s3://lake/raw/may.csv s3://lake/old/",
    _change.rm: "rm -r --yes s3://lake/tmp",
    _about.caps: "caps s3://lake",
    _about.matrix: "matrix --json",
    _about.ping: "ping s3://lake",
    _about.certify: "certify s3://lake/scratch --report report.html",
    _about.demo: "demo",
    _about.schema: "config schema > stores.schema.json",
    _about.check: "config check stores.toml",
}

app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
config = typer.Typer(help="Look at configuration files.", rich_markup_mode=None)
for _command, _example in EXAMPLES.items():
    _group = config if _example.startswith("config ") else app
    _group.command(epilog=f"Example: remote-store {_example}")(_command)
app.add_typer(config, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"remote-store {__version__}")
        raise typer.Exit


@app.callback(epilog="A PLACE is a URL, a path, or NAME:KEY of a store that the file $REMOTE_STORE_CONFIG configures.")
def remote_store(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks, and what packages log.")] = False,
) -> None:
    """One strict contract over any fsspec filesystem."""
