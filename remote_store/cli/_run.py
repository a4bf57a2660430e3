"""How a command ends: an error is a line on stderr and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from remote_store._errors import RemoteStoreError
from remote_store._paths import has_credentials, printable, redact

FAILED, MISUSED, INTERRUPTED, NO_READER = 1, 2, 130, 141

_NO_CREDENTIALS = (
    "a URL takes no credentials here, where other processes see them: leave them to the SDK's own chain (environment, "
    "profile, role), or configure the store with `options` and give its name"
)


class Usage(Exception):
    """The arguments cannot be used; the message may have a line per problem."""


class Commands(TyperGroup):
    """The commands, with one way to report errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse credentials before any message can repeat them; without arguments, typer shows the help."""
        with exit_codes(debug=False) if args else nullcontext():
            if any(map(has_credentials, args)):
                raise Usage(_NO_CREDENTIALS)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with exit_codes(ctx.params["debug"]):
            return super().invoke(ctx)


@contextmanager
def exit_codes(debug: bool) -> Iterator[None]:
    """Turn any exception into a line on stderr, with a traceback and logs where `debug`, and an exit code."""
    try:
        with warnings.catch_warnings(), nullcontext() if debug else _quiet():
            warnings.filterwarnings("default", category=UserWarning, module="remote_store")
            warnings.showwarning = lambda message, *_, **__: _say(f"warning: {message}")
            try:
                yield
            finally:
                _flush()
    except BrokenPipeError:
        raise typer.Exit(NO_READER) from None
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            _say("".join(traceback.format_exception(error)).rstrip())
        text, code = _verdict(error)
        text += "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        for line in text.splitlines():
            _say(f"error: {printable(line)}")
        raise typer.Exit(code) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what packages log, which Python prints where nobody handles it."""
    before, logging.lastResort = logging.lastResort, logging.NullHandler()
    try:
        yield
    finally:
        logging.lastResort = before


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "w") as nowhere:  # At exit the interpreter flushes what is still buffered.
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise


def _verdict(error: Any) -> tuple[str, int]:
    """The message for an error, and the exit code."""
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted", (*error.args, INTERRUPTED)[0]
    if isinstance(error, (Usage, ImportError)):
        return str(error), MISUSED
    text, place, code = str(error), "", FAILED
    if context := getattr(error, "ctx", None):  # typer's own, about the arguments
        text, code = f"{error.format_message()} (see {context.command_path} --help)", MISUSED
    elif isinstance(error, RemoteStoreError) and "place" in error.__dict__:
        text = error.message.replace("pass overwrite=True", "give --force")
        place = f": {printable(error.__dict__['place'])}"
    elif not isinstance(error, (RemoteStoreError, OSError)):
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.splitlines()) + place, code


def _say(text: str) -> None:
    """Write to stderr, without secrets."""
    with suppress(BrokenPipeError):
        typer.echo(redact(text), err=True)
