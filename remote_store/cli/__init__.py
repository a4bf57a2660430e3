"""The console script `remote-store`."""

from __future__ import annotations

import io
import os
import signal
import sys

from remote_store._hints import install

_OVERLAID = (
    "another project, remote-store, has the import name of remote-store-fsspec and is installed over it; to mend this, "
    "pip uninstall remote-store remote-store-fsspec, then install the one that you want"
)


def main() -> None:
    """Run the command line; it needs the extra `cli`."""
    signal.signal(signal.SIGTERM, _terminate)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # Closed by the caller. To read a closed stdin must fail, not end at once.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), mode))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may hold anything
    try:
        try:
            import rich  # noqa: F401
            import typer  # noqa: F401
        except ImportError:
            sys.stderr.write(f"remote-store needs its command line extra: {install('typer rich', 'cli')}\n")
            raise SystemExit(2) from None
        try:
            from remote_store.cli._app import app
        except (ImportError, AttributeError):
            if not _is_overlaid():
                raise
            sys.stderr.write(f"error: {_OVERLAID}\n")
            raise SystemExit(2) from None

        app(prog_name="remote-store")
    except KeyboardInterrupt as error:  # before a command has begun
        raise SystemExit((*error.args, 130)[0]) from None


def _is_overlaid() -> bool:
    """Whether the other project that installs a package `remote_store` is there."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution("remote-store")
    except PackageNotFoundError:
        return False
    return True


def _terminate(number: int, _: object) -> None:
    """Interrupt as Ctrl-C does, with the exit code of the signal."""
    signal.signal(number, signal.SIG_IGN)  # `timeout` sends it twice; the second must not stop the clean-up.
    raise KeyboardInterrupt(128 + number)
