"""Calls of a store that has the files `key` and `folder/key`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from remote_store.certify.view import View

Work = Callable[[View], Coroutine[Any, Any, Any]]


async def every(items: Any) -> list[Any]:
    return [item async for item in items]


async def read_on(view: View) -> None:
    async with await view.read_seekable("key") as stream:
        await stream.read(1)


READS: dict[str, Work] = {
    "exists": lambda view: view.exists("key"),
    "is_file": lambda view: view.is_file("key"),
    "is_folder": lambda view: view.is_folder("key"),
    "get_file_info": lambda view: view.get_file_info("key"),
    "head": lambda view: view.head("key"),
    "read": lambda view: every(view.read("key")),
    "read_bytes": lambda view: view.read_bytes("key"),
    "read_range": lambda view: view.read_range("key", 1, 3),
    "an empty range": lambda view: view.read_range("key", 1, 1),
    "read_seekable": read_on,
    "list_files": lambda view: every(view.list_files("")),
    "list_folders": lambda view: every(view.list_folders("folder")),
    "iter_children": lambda view: every(view.iter_children("")),
    "glob": lambda view: every(view.glob("*")),
    "glob of a key": lambda view: every(view.glob("folder/key")),
    "get_folder_info": lambda view: view.get_folder_info("folder"),
    "ping": lambda view: view.ping(),
}
CHANGES: dict[str, Work] = {
    "delete": lambda view: view.delete("key", missing_ok=True),
    "delete_folder": lambda view: view.delete_folder("folder", missing_ok=True),
    "delete_folder recursive": lambda view: view.delete_folder("folder", recursive=True, missing_ok=True),
    "copy": lambda view: view.copy("key", "new"),
    "copy, overwrite": lambda view: view.copy("key", "new", overwrite=True),
    "move": lambda view: view.move("key", "new"),
    "move, overwrite": lambda view: view.move("key", "new", overwrite=True),
}
