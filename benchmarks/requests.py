"""How many requests each call sends to a service, counted at a server in this process, against a budget.

For SFTP these are round trips, counted by a proxy on its connection.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # Instead of this folder, where the name of this file would hide the package `requests`.
    sys.path[0] = str(Path(__file__).parent.parent / "tests")

from helpers.counting import PART_SIZE as PART
from helpers.counting import (
    Row,
    Service,
    ask_of_roots,
    call,
    counting,
    first,
    going_back,
    iterating,
    listing,
    names,
    on_azure,
    on_azure_hns,
    on_gcs,
    on_s3,
    seeking,
    totals,
    writing,
)
from helpers.counting_files import on_http, on_sftp
from servers.azure import azure
from servers.files import served_folder
from servers.gcs import gcs
from servers.s3 import moto
from servers.sftp import asyncssh_place

from remote_store import (
    AlreadyExists,
    CapabilityNotSupported,
    DirectoryNotEmpty,
    InvalidPath,
    NotFound,
    PreconditionFailed,
)

FOLDERS = tuple(f"{number % 300:03}/{number:04}.bin" for number in range(2500))
MIXED = tuple(f"{number:04}" + ("/f" if number % 2 else "") for number in range(2500))
DOOMED = tuple(f"d/{name}" for name in FOLDERS)
HNS = "azure-hns"
LOOKS: dict[str, int] = {HNS: 2}
"""Where folders are real, a refusal, an empty answer or a delete is not believed before the type is known."""
LARGER = {"azure": 1, HNS: 1}
"""Where a page of a listing has up to 5000 entries."""
ANOTHER = "1" * 16
"""An etag that no file has."""


# --- the budget


def writes() -> Iterator[Row]:
    for verb in ("write", "write_atomic", "open_atomic"):
        for label, size in (("1 byte", 1), ("1 part", PART)):
            yield Row(f"{verb}, {label}", 1, writing(verb, "new/n", size, False))
            yield Row(f"{verb}, {label}, overwrite", 1, writing(verb, "f", size, True))
            yield Row(f"{verb}, {label}, conflict", 1, writing(verb, "f", size, False), AlreadyExists, on=LOOKS)
        looking, three = writing(verb, "new/n", PART + 1, False), writing(verb, "new/n", 3 * PART, False)
        yield Row(f"{verb}, 1 byte over a part", 2 + 3, looking, on={"gcs": 2 + 2, "azure": 2 + 2})  # One looks first.
        yield Row(f"{verb}, 3 parts", 3 + 3, three, on={"gcs": 3 + 2, "azure": 3 + 2})
        replacing = writing(verb, "f", 3 * PART, True)
        several = {"gcs": 3 + 1, "azure": 3 + 1, HNS: 3 + 3}  # Before a rename one looks for a lease.
        yield Row(f"{verb}, 3 parts, overwrite", 3 + 2, replacing, on=several)
        yield Row(f"{verb}, 3 parts, conflict", 1, writing(verb, "f", 3 * PART, False), AlreadyExists)
    for verb in ("write", "write_atomic"):
        yield Row(f"{verb}, bytes", 1, call(verb, "new/n", b"1"))
        yield Row(f"{verb}, bytes, conflict", 1, call(verb, "f", b"1"), AlreadyExists, on=LOOKS)
        yield Row(f"{verb}, if_match", 1, call(verb, "f", b"1", if_match=ANOTHER), PreconditionFailed)
        yield Row(f"{verb}, content_type", 1, call(verb, "new/n", b"1", content_type="text/plain"))
        yield Row(f"{verb}, an iterator", 1, iterating(verb, "new/n", 3 * PART // 4))
    for label, size in (("1 byte", 1), ("1 part", PART)):
        yield Row(f"open_atomic, seekable, {label}", 1, going_back("new/n", size))
    going = going_back("new/n", 3 * PART)
    yield Row("open_atomic, seekable, 3 parts", 3 + 3, going, on={"gcs": 3 + 2, "azure": 3 + 2})
    for depth in range(4):
        path = "n/" * depth + f"new-{depth}"
        write = call("write", path, b"1", overwrite=True)
        yield Row(f"write, looks {depth} folders up", depth + 1, write, guarded=True, on={HNS: 1})
    above = call("write", "f/a/b/n", b"1")  # Which the service refuses where folders are real; then all are looked at.
    yield Row("write, finds a file 3 folders up", 3, above, InvalidPath, guarded=True, on={HNS: 1 + 4})


def files() -> Iterator[Row]:
    one = {
        "get_file_info": (),
        "head": (),
        "read_bytes": (),
        "read_text": (),
        "read_seekable": (),
        "read_range": (5, 9),
    }
    for verb, args in one.items():
        if verb not in ("read_text", "read_seekable"):
            yield Row(f"{verb}, hit", 1, call(verb, "f", *args))
            looks = LOOKS if verb == "read_range" else {}
            yield Row(f"{verb}, empty file", 1, call(verb, "empty", *args), on=looks)
        yield Row(f"{verb}, miss", 2, call(verb, "none", *args), NotFound)
        yield Row(f"{verb}, a folder", 2, call(verb, "d", *args), InvalidPath)
    yield Row("read, hit", 1, listing("read", "f"))
    yield Row("read, miss", 2, listing("read", "none"), NotFound)
    for label, options in (("a range", {"start": 5, "end": 9}), ("from the middle", {"start": 1 << 17})):
        yield Row(f"read, {label}, hit", 1, listing("read", "f", **options))
        yield Row(f"read, {label}, miss", 2, listing("read", "none", **options), NotFound)
        yield Row(f"read, {label}, a folder", 2, listing("read", "d", **options), InvalidPath)
    yield Row("read, beyond the end", 1, listing("read", "f", start=1 << 30), 0, on=LOOKS)
    yield Row("read, nothing", 1, listing("read", "f", start=5, end=5), 0)
    yield Row("read, if_match, another", 1, listing("read", "f", if_match=ANOTHER), PreconditionFailed)
    yield Row("read_range, beyond the end", 1, call("read_range", "f", 1 << 30, 1 << 31), b"", on=LOOKS)
    yield Row("read_range, nothing", 1, call("read_range", "f", 5, 5), b"")
    yield Row("read_seekable, no seek", 1, seeking())
    yield Row("read_seekable, end and back", 3, seeking((0, 2), (0, 0)))
    yield Row("read_seekable, 4 seeks", 5, seeking((200_000, 0), (100, 0), (100_000, 1), (-10, 2)))
    for verb, folder in (("exists", True), ("is_file", False), ("is_folder", True)):
        yield Row(f"{verb}, a file", 1, call(verb, "f"), verb != "is_folder")
        yield Row(f"{verb}, a folder", 2, call(verb, "d"), folder)
        yield Row(f"{verb}, miss", 2, call(verb, "none"), False)
    yield Row("delete, hit", 2, call("delete", "f"), on={"gcs": 1, "azure": 1})
    yield Row("delete, miss", 2, call("delete", "none"), NotFound)
    yield Row("delete, missing_ok", 2, call("delete", "none", missing_ok=True))
    yield Row("delete, a folder", 2, call("delete", "d"), InvalidPath)
    for verb, least, renaming in (("copy", 1, 1), ("move", 3, 1)):
        both = {HNS: 2 + 1}  # Where folders are real, both ends are looked at together.
        yield Row(f"{verb}, overwrite", least, call(verb, "f", "g", overwrite=True), on={"gcs": renaming, **both})
        yield Row(f"{verb}, overwrite, miss", 2, call(verb, "none", "g", overwrite=True), NotFound, on=both)
        yield Row(f"{verb}", least + 1, call(verb, "f", "n"), on={"gcs": renaming + 1, **both})
        yield Row(f"{verb}, conflict", 2, call(verb, "f", "g"), AlreadyExists)
        yield Row(f"{verb}, miss", 3, call(verb, "none", "n"), NotFound)


def changes() -> Iterator[Row]:
    yield Row("update", 3, call("update", "f", lambda content: b"1"))
    yield Row("update, creates", 3, call("update", "none", lambda content: b"1"))
    yield Row("sign, GET", 0, call("sign", "f"))
    yield Row("sign, PUT", 0, call("sign", "none", method="PUT"))


def folders() -> Iterator[Row]:
    yield Row(
        "list_files, 2,500 in 300 folders", 3, listing("list_files", recursive=True), 2500, FOLDERS, True, on=LARGER
    )
    yield Row("list_files, max_depth", 3, listing("list_files", max_depth=1), 2500, FOLDERS, True, on=LARGER)
    yield Row("list_files, the first", 1, first("list_files", recursive=True), None, FOLDERS, True)
    yield Row("list_files, a folder", 1, listing("list_files", "007"), 9, FOLDERS, True)
    yield Row("list_files, miss", 1, listing("list_files", "none"), 0)
    yield Row("glob, 2,500 in 300 folders", 3, listing("glob", "**/*.bin"), 2500, FOLDERS, True, on=LARGER)
    yield Row("glob, the first", 1, first("glob", "**/*.bin"), None, FOLDERS, True)
    yield Row("glob, a few folders", 1, listing("glob", "00?/*.bin"), 90, FOLDERS, True)
    yield Row("glob, a plain key", 1, listing("glob", "d/f"), 1)
    yield Row("glob, a plain key, miss", 2, listing("glob", "none"), 0)
    yield Row("get_folder_info, 2,500 in 300 folders", 3, totals, 2500, FOLDERS, True, on=LARGER)
    yield Row("get_folder_info, empty", 1, call("get_folder_info", "marked"), on=LOOKS)
    yield Row("get_folder_info, miss", 2, call("get_folder_info", "none"), NotFound)
    yield Row("get_folder_info, a file", 2, call("get_folder_info", "f"), InvalidPath)
    yield Row("list_folders, 300 entries", 1, listing("list_folders"), 300, FOLDERS, True)
    yield Row("list_folders, 2,500 entries", 3, listing("list_folders"), 1250, MIXED, True, on=LARGER)
    yield Row("list_folders, max_depth", 3, listing("list_folders", max_depth=1), 300, FOLDERS, True, on=LARGER)
    yield Row("list_folders, the first", 1, first("list_folders"), None, MIXED, True)
    yield Row("iter_children, 2,500 entries", 3, listing("iter_children"), 2500, MIXED, True, on=LARGER)
    yield Row("iter_children, the first", 1, first("iter_children"), None, MIXED, True)
    delete_all = call("delete_folder", "d", recursive=True)
    deleting = {"gcs": 3 + 2500, "azure": 1 + 10, **LOOKS}
    yield Row("delete_folder, 2,500 files", 6, delete_all, keys=DOOMED, on=deleting)
    yield Row("delete_folder, empty", 2, call("delete_folder", "marked"))
    yield Row("delete_folder, not empty", 1, call("delete_folder", "d"), DirectoryNotEmpty, on=LOOKS)
    yield Row("delete_folder, miss", 2, call("delete_folder", "none"), NotFound)
    yield Row("delete_folder, a file", 2, call("delete_folder", "f", recursive=True), InvalidPath)
    yield Row("ping", 1, call("ping"))
    yield Row("child, resolve, to_key, supports", 0, names, True)
    yield Row("exists, is_file, is_folder of a root", 0, ask_of_roots, True)


# --- the budget of SFTP, in round trips


def over_sftp() -> Iterator[Row]:
    seen = call("exists", "d/none")
    for verb in ("write", "write_atomic", "open_atomic"):
        for label, size in (("1 byte", 1), ("1 MiB", 1 << 20)):
            yield Row(f"{verb}, {label}", 3, writing(verb, "d/n", size, False), before=seen)
            yield Row(f"{verb}, {label}, overwrite", 3, writing(verb, "d/f", size, True), before=seen)
        yield Row(f"{verb}, conflict", 2, writing(verb, "d/f", 1, False), AlreadyExists, before=seen)
        yield Row(f"{verb}, 3 new folders", 3, writing(verb, "a/b/c/n", 1, False), before=seen)
        yield Row(f"{verb}, 3 new folders below one", 3, writing(verb, "d/b/c/n", 1, True), before=seen)
        yield Row(f"{verb}, first in a folder", 4, writing(verb, "d/n", 1, False))
        yield Row(f"{verb}, first in a folder, overwrite", 4, writing(verb, "d/f", 1, True))
    for verb, args in (("read_bytes", ()), ("read_text", ()), ("read_range", (5, 9))):
        yield Row(f"{verb}, hit", 3, call(verb, "f", *args))
        yield Row(f"{verb}, miss", 1, call(verb, "none", *args), NotFound)
        yield Row(f"{verb}, a folder", 1, call(verb, "d", *args), InvalidPath)
    yield Row("read, hit", 3, listing("read", "d/small"), 1, keys=("d/small",))
    yield Row("read, miss", 1, listing("read", "none"), NotFound)
    yield Row("read, a range", 3, listing("read", "f", start=5, end=9))
    yield Row("read_seekable, 4 seeks", 8, seeking((200_000, 0), (100, 0), (100_000, 1), (-10, 2)))
    for verb, folder in (("exists", True), ("is_file", False), ("is_folder", True)):
        yield Row(f"{verb}, a file", 1, call(verb, "d/f"), verb != "is_folder")
        yield Row(f"{verb}, a folder", 1, call(verb, "d"), folder)
        yield Row(f"{verb}, miss", 1, call(verb, "a/b/none"), False)
    for verb in ("get_file_info", "head"):
        yield Row(f"{verb}, hit", 1, call(verb, "d/f"))
        yield Row(f"{verb}, miss", 1, call(verb, "none"), NotFound)
    yield Row("delete, hit", 2, call("delete", "d/f"))
    yield Row("delete, miss", 1, call("delete", "none"), NotFound)
    yield Row("copy, overwrite", 4, call("copy", "f", "d/f", overwrite=True))
    yield Row("copy", 4, call("copy", "f", "d/n"))
    yield Row("copy, 3 new folders", 4, call("copy", "f", "a/b/c/n"))
    yield Row("move, overwrite", 2, call("move", "f", "d/f", overwrite=True))
    yield Row("move", 4, call("move", "f", "d/n"))
    yield Row("move, 3 new folders", 4, call("move", "f", "a/b/c/n"))
    for verb in ("copy", "move"):
        yield Row(f"{verb}, conflict", 1, call(verb, "f", "g"), AlreadyExists)
        yield Row(f"{verb}, miss", 1, call(verb, "none", "n"), NotFound)
    for verb in ("list_files", "list_folders", "iter_children"):
        yield Row(f"{verb}, a few entries", 3, listing(verb, "d"))
        yield Row(f"{verb}, miss", 1, listing(verb, "none"), 0)
    yield Row("list_files, 3 folders below", 3 + 3 * 2, listing("list_files", recursive=True), 5)
    yield Row("get_folder_info", 3 + 2, call("get_folder_info", "d"))
    yield Row("delete_folder, empty", 2, call("delete_folder", "marked"))
    yield Row("delete_folder, not empty", 4, call("delete_folder", "d"), DirectoryNotEmpty)
    yield Row("delete_folder, recursive", 1 + 3 + 3 + 1, call("delete_folder", "d", recursive=True))
    yield Row("delete_folder, miss", 1, call("delete_folder", "none"), NotFound)
    yield Row("ping", 1, call("ping"))
    yield Row("child, resolve, to_key, supports", 0, names, True)
    yield Row("exists, is_file, is_folder of a root", 0, ask_of_roots, True)


# --- the budget of HTTP


def over_http() -> Iterator[Row]:
    one = {"read_bytes": (), "read_text": (), "read_range": (5, 9), "get_file_info": (), "head": ()}
    for verb, args in one.items():
        yield Row(f"{verb}, hit", 1, call(verb, "f", *args))
        yield Row(f"{verb}, miss", 2 if verb in ("get_file_info", "head") else 1, call(verb, "none", *args), NotFound)
        yield Row(f"{verb}, a folder", 1, call(verb, "d", *args), InvalidPath)
    yield Row("read, hit", 1, listing("read", "f"))
    yield Row("read, miss", 1, listing("read", "none"), NotFound)
    yield Row("read, a range, hit", 1, listing("read", "f", start=5, end=9))
    yield Row("read_seekable, no seek", 1, seeking())
    yield Row("read_seekable, 4 seeks", 5, seeking((200_000, 0), (100, 0), (100_000, 1), (-10, 2)))
    for verb, folder in (("exists", True), ("is_file", False), ("is_folder", True)):
        yield Row(f"{verb}, a file", 1, call(verb, "f"), verb != "is_folder")
        yield Row(f"{verb}, a folder", 1, call(verb, "d"), folder)
        yield Row(f"{verb}, miss", 2, call(verb, "none"), False)
    yield Row("list_folders, 4 files", 1, listing("list_folders"), 2)
    yield Row("list_files, 3 files, one empty", 1 + 3 + 1, listing("list_files"), 3)
    yield Row("write, refused", 0, call("write", "n", b"1"), CapabilityNotSupported)
    yield Row("ping", 1, call("ping"))
    yield Row("child, resolve, to_key, supports", 0, names, True)
    yield Row("exists, is_file, is_folder of a root", 0, ask_of_roots, True)


ROWS = (*writes(), *files(), *changes(), *folders())
OVER_SFTP, OVER_HTTP = tuple(over_sftp()), tuple(over_http())
SERVICES: dict[str, tuple[Callable[[], AbstractContextManager[Any]], Callable[[Any], Service], tuple[Row, ...]]] = {
    "s3": (moto, on_s3, ROWS),
    "gcs": (gcs, on_gcs, ROWS),
    "azure": (azure, on_azure, ROWS),
    "azure-hns": (azure, on_azure_hns, ROWS),
    "sftp": (asyncssh_place, on_sftp, OVER_SFTP),
    "http": (served_folder, on_http, OVER_HTTP),
}
"""By name: what starts a server, what counts there, and the budget."""


def counted(service: str, only: str) -> Iterator[dict[str, Any]]:
    start, on, rows = SERVICES[service]
    with start() as server, counting(on(server)) as counter:
        for row in (row for row in rows if only in row.name):
            for asynchronous in (False, True):
                kind, budget = "async" if asynchronous else "sync", row.budget_on(service)
                requests = len(counter.requests(row, asynchronous))
                entry = {"name": row.name, "service": service, "store": kind, "target": budget, "requests": requests}
                yield entry | {"ok": requests <= budget}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the budget is exceeded")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--service", choices=SERVICES, help="one alone")
    options = parser.parse_args()
    services = [options.service] if options.service else SERVICES
    found = [entry for service in services for entry in counted(service, options.only)]
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{'':42}{'service':>9}{'store':>7}{'budget':>9}{'requests':>10}")
        for e in found:
            verdict = "pass" if e["ok"] else "FAIL"
            print(f"{e['name']:42}{e['service']:>9}{e['store']:>7}{e['target']:>9}{e['requests']:>10}  {verdict}")
    return 1 if options.check and not all(entry["ok"] for entry in found) else 0


if __name__ == "__main__":
    sys.exit(main())
