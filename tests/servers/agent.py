"""A real SSH agent that holds one key, whose file is gone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers.processes import running, wait_until_up

AGENT = "/usr/bin/ssh-agent"


@contextmanager
def agent_with(key: Any, folder: Path) -> Iterator[str]:
    """The socket of an agent that has a private key, on which it listens until the block ends.

    Raises:
        OSError: it is not installed.
    """
    socket, file = str(folder / "agent"), folder / "key-for-the-agent"

    def add() -> None:
        environment = {**os.environ, "SSH_AUTH_SOCK": socket}
        done = subprocess.run(["ssh-add", "-q", str(file)], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise OSError(done.stderr)

    with running(AGENT, "-D", "-a", socket) as process:
        key.write_private_key(str(file))
        file.chmod(0o600)
        wait_until_up(process, add)
        file.unlink()
        yield socket
