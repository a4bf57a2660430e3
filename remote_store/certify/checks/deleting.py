"""Deleting files and folders."""

from __future__ import annotations

from remote_store._capabilities import Capability
from remote_store._errors import DirectoryNotEmpty, InvalidPath, NotFound
from remote_store.certify.rules import check, equal, raises
from remote_store.certify.view import View


@check("BE-012", Capability.DELETE)
async def a_file_is_deleted(s: View) -> None:
    """A file goes, its neighbours stay; a missing one is NotFound unless `missing_ok`."""
    await s.write("d/a", b"1")
    await s.write("d/b", b"2")
    await s.delete("d/a")
    equal((await s.exists("d/a"), await s.exists("d/b")), (False, True), "what is left")
    for path in ("d/a", "x/y", "d/b/x"):
        await raises(NotFound, s.delete(path), f"deleting {path!r}", "not found")
        equal(await s.delete(path, missing_ok=True), None, "delete with missing_ok")


@check("BE-012", Capability.DELETE)
async def delete_refuses_a_folder(s: View) -> None:
    """A folder is InvalidPath to `delete`, even with `missing_ok`."""
    await s.write("d/a", b"1")
    for missing_ok in (False, True):
        await raises(InvalidPath, s.delete("d", missing_ok=missing_ok), "delete of a folder", "exists as a directory")
    equal(await s.read_bytes("d/a"), b"1", "the file in it")


@check("BE-013", Capability.DELETE)
async def a_folder_is_deleted(s: View) -> None:
    """With content only when `recursive`; what is not below it stays."""
    for key in ("d/a", "d/b/c", "d/b/e/f", "dd/x", "d.txt"):
        await s.write(key, b"1")
    await raises(DirectoryNotEmpty, s.delete_folder("d"), "deleting a folder with content", "not empty")
    equal(await s.exists("d/b/e/f"), True, "content after a refused delete")
    await s.delete_folder("d", recursive=True)
    equal((await s.exists("d"), await s.exists("d/b/e/f")), (False, False), "the folder")
    equal((await s.exists("dd/x"), await s.exists("d.txt")), (True, True), "names that begin alike")


@check("BE-013", Capability.DELETE)
async def delete_folder_refuses_a_file_and_misses_what_is_missing(s: View) -> None:
    """A file is InvalidPath even with `missing_ok`; a missing folder NotFound without it."""
    await s.write("f", b"1")
    for recursive in (False, True):
        for missing_ok in (False, True):
            attempt = s.delete_folder("f", recursive=recursive, missing_ok=missing_ok)
            await raises(InvalidPath, attempt, "delete_folder of a file")
        await raises(NotFound, s.delete_folder("x/y", recursive=recursive), "a missing folder", "not found")
        await s.delete_folder("x/y", recursive=recursive, missing_ok=True)
        await raises(NotFound, s.delete_folder("f/x", recursive=recursive), "a folder below a file", "not found")
    equal(await s.read_bytes("f"), b"1", "the file afterwards")


@check("HIERARCHY", Capability.DELETE, needs=[Capability.LIST], empty_folders=True)
async def empty_folders_live_until_deleted(s: View) -> None:
    """A folder outlives the last file in it, and goes by `delete_folder`."""
    await s.write("d/e/f", b"1")
    await s.delete("d/e/f")
    equal((await s.is_folder("d/e"), await s.is_folder("d")), (True, True), "folders after the last file went")
    equal([str(e.path) async for e in s.list_folders("d")], ["d/e"], "listing of an empty folder")
    await s.delete_folder("d/e")
    equal(await s.exists("d/e"), False, "an empty folder after delete_folder")
    await s.delete_folder("d")
    equal(await s.exists("d"), False, "its parent after delete_folder")
