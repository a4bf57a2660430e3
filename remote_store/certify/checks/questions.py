"""Exists, is_file, is_folder: absence is an answer, never an error."""

from __future__ import annotations

from remote_store.certify.rules import check, equal
from remote_store.certify.view import View


@check("BE-004")
async def questions_tell_files_from_folders(s: View) -> None:
    """A file, a folder and nothing are told apart; below a file there is nothing."""
    await s.write("d/f", b"1")
    for path, expected in (
        ("d/f", (True, True, False)),
        ("d", (True, False, True)),
        ("x", (False, False, False)),
        ("d/x/y", (False, False, False)),
        ("d/f/x", (False, False, False)),
        ("d/f/x/y", (False, False, False)),
        ("x" * 5000, (False, False, False)),
    ):
        found = (await s.exists(path), await s.is_file(path), await s.is_folder(path))
        equal(found, expected, f"exists, is_file, is_folder of {path[:20]!r}")


@check("PING")
async def ping_answers(s: View) -> None:
    """`ping` of a store that can be used returns."""
    equal(await s.ping(), None, "ping")
