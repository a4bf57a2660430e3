"""Arguments and options that commands share."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from typing import Annotated

import typer


def store_names(incomplete: str) -> list[str]:
    """The names of configured stores that begin with a text, for shell completion."""
    with suppress(OSError, KeyError, TypeError, ValueError), open(os.environ["REMOTE_STORE_CONFIG"], "rb") as file:
        return [f"{name}:" for name in tomllib.load(file)["stores"] if name.startswith(incomplete)]
    return []


_WHERE = "A URL, a path, or NAME:KEY of a configured store."
Where = Annotated[str, typer.Argument(metavar="PLACE", help=_WHERE, autocompletion=store_names)]
Wheres = Annotated[list[str], typer.Argument(metavar="PLACE", help=_WHERE, autocompletion=store_names)]
Sources = Annotated[list[str], typer.Argument(metavar="SOURCE", help=_WHERE, autocompletion=store_names)]
Target = Annotated[str, typer.Argument(metavar="TARGET", help=_WHERE, autocompletion=store_names)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Human = Annotated[bool, typer.Option("--human", "-h", help="Sizes as 1.5K, 20.0M.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Folders too, with all that is in them.")]
