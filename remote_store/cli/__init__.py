"""The console script `remote-store`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; it needs the extra `cli`."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        sys.stderr.write("remote-store needs its command line extra: pip install 'remote-store-fsspec[cli]'\n")
        raise SystemExit(2) from None
    from remote_store.cli._app import app

    app(prog_name="remote-store")
