"""A tree of its own for an fsspec memory filesystem, in fsspec's structures, with an index of each folder."""

from __future__ import annotations

from typing import Any

from fsspec.implementations.memory import MemoryFile, MemoryFileSystem


class Folders(list[str]):
    """fsspec's list of folders, for a tree of its own: membership and children in one step."""

    def __init__(self) -> None:
        super().__init__([""])
        self.children: dict[str, dict[str, None]] = {"": {}}

    def __contains__(self, path: object) -> bool:
        return path in self.children

    def append(self, path: str) -> None:
        missing = []
        while path not in self.children:
            super().append(path)
            self.children[path] = {}
            parent, _, name = path.rpartition("/")
            missing.append((parent, name))
            path = parent
        for parent, name in missing:
            self.children[parent][name] = None

    def remove(self, path: str) -> None:
        super().remove(path)
        del self.children[path]
        self.orphan(path)

    def adopt(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        self.append(parent)
        self.children[parent][name] = None

    def orphan(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        self.children.get(parent, {}).pop(name, None)


class _Files(dict[str, MemoryFile]):
    """fsspec's mapping of paths to files, that keeps `Folders` in step."""

    def __init__(self, folders: Folders) -> None:
        super().__init__()
        self._folders = folders

    def __setitem__(self, path: str, file: MemoryFile) -> None:
        if path not in self:
            self._folders.adopt(path)
        super().__setitem__(path, file)

    def __delitem__(self, path: str) -> None:
        super().__delitem__(path)
        self._folders.orphan(path)

    def pop(self, path: str, *default: Any) -> Any:
        if path in self:
            self._folders.orphan(path)
        return super().pop(path, *default)


def private_filesystem() -> MemoryFileSystem:
    """An fsspec memory filesystem with a tree of its own."""
    fs = MemoryFileSystem(skip_instance_cache=True)
    fs.pseudo_dirs = Folders()
    fs.store = _Files(fs.pseudo_dirs)
    return fs
