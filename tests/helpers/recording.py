"""A filesystem that records what is asked of it, and fails as it is told to."""

from __future__ import annotations

from typing import Any

from fsspec.implementations.memory import MemoryFileSystem


class Recording(MemoryFileSystem):  # type: ignore[misc]
    """A memory filesystem of a protocol nobody knows, that records what is asked of it."""

    protocol = "recording"
    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.calls: list[str] = []
        self.fail: dict[str, Exception] = {}

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fail:
            raise self.fail[name]

    def info(self, path: str, **options: Any) -> Any:
        self._note("info")
        return super().info(path, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._note("ls")
        return super().ls(path, detail=detail, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        self._note("cat_file")
        return super().cat_file(path, start=start, end=end, **options)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> Any:
        self._note("pipe_file")
        return super().pipe_file(path, value, mode=mode, **options)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> Any:
        self._note("put_file")
        return super().put_file(lpath, rpath, **options)

    def rm_file(self, path: str) -> None:
        self._note("rm_file")
        super().rm_file(path)

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        self._note("cp_file")
        super().cp_file(path1, path2, **options)
