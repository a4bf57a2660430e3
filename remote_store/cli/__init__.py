"""The console script `remote-store`."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line; it needs the extra `cli`."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        sys.stderr.write("remote-store needs its command line extra: pip install 'remote-store-fsspec[cli]'\n")
        raise SystemExit(2) from None
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may hold anything
    try:
        from remote_store.cli._app import app

        app(prog_name="remote-store")
    except KeyboardInterrupt:  # before a command has begun
        raise SystemExit(130) from None
