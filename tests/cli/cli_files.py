"""Files of this machine, to prepare and to look."""

from __future__ import annotations

import os
from pathlib import Path


def fill(folder: Path, **files: bytes) -> Path:
    """Write files: `a__b=b"1"` becomes `a/b.txt`."""
    for name, content in files.items():
        path = folder / (name.replace("__", "/") + ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def below(folder: Path) -> dict[str, bytes]:
    """The files in a folder, hidden ones included: path → content."""
    return {os.path.relpath(path, folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def entries(folder: Path) -> list[str]:
    """The names of all that is in a folder."""
    return sorted(os.listdir(folder))
