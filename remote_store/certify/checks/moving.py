"""Move and copy."""

from __future__ import annotations

from collections.abc import Awaitable

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, InvalidPath, NotFound
from remote_store.certify.rules import Check, check, equal, raises
from remote_store.certify.view import View


def _rules(verb: str, capability: Capability) -> list[Check]:
    moves = verb == "move"

    def act(s: View, src: str, dst: str, **options: bool) -> Awaitable[None]:
        call: Awaitable[None] = getattr(s, verb)(src, dst, **options)
        return call

    async def carries_the_content(s: View) -> None:
        """The content arrives, folders are made; the source goes with a move and stays with a copy."""
        await s.write("a/f", b"content")
        await act(s, "a/f", "b/c/g")
        equal(await s.read_bytes("b/c/g"), b"content", f"content after {verb}")
        equal(await s.exists("a/f"), not moves, f"source after {verb}")

    async def replaces_only_when_told(s: View) -> None:
        """An existing target is AlreadyExists, both files stay; with `overwrite=True` it is replaced."""
        await s.write("a", b"1")
        await s.write("b", b"2")
        error = await raises(AlreadyExists, act(s, "a", "b"), f"{verb} over a file", "already exists")
        equal(error.path, "b", "path of the error")
        equal((await s.read_bytes("a"), await s.read_bytes("b")), (b"1", b"2"), "both files afterwards")
        await act(s, "a", "b", overwrite=True)
        equal((await s.read_bytes("b"), await s.exists("a")), (b"1", not moves), "after overwriting")

    async def onto_itself_does_nothing(s: View) -> None:
        """The same path is a no-op for a file, in any spelling; else NotFound or InvalidPath."""
        await s.write("d/f", b"1")
        await act(s, "d/f", "d//f")
        await act(s, "d/f", "d/f", overwrite=True)
        equal(await s.read_bytes("d/f"), b"1", "content afterwards")
        await raises(NotFound, act(s, "x", "x"), f"{verb} of a missing file to itself", "not found")
        await raises(InvalidPath, act(s, "d", "d"), f"{verb} of a folder to itself")

    async def refuses_in_order(s: View) -> None:
        """Root, then a missing or wrong source, then a wrong target, then an existing one."""
        await s.write("d/f", b"1")
        await s.write("g", b"2")
        for src, dst in (("", "x"), ("g", ""), ("missing", ""), ("", "")):
            await raises(InvalidPath, act(s, src, dst), f"{verb} {src!r} → {dst!r}", "must not be empty")
        for dst in ("x", "d", "d/f", "d/f/x"):
            error = await raises(NotFound, act(s, "missing", dst), f"{verb} of a missing file", "not found")
            equal(error.path, "missing", "path of the error")
        await raises(InvalidPath, act(s, "d", "x"), f"{verb} of a folder", "exists as a directory")
        if s.hierarchical:
            for overwrite in (False, True):
                await raises(InvalidPath, act(s, "g", "d", overwrite=overwrite), f"{verb} onto a folder")
                await raises(InvalidPath, act(s, "g", "d/f/x", overwrite=overwrite), f"{verb} below a file")
        equal((await s.read_bytes("g"), await s.read_bytes("d/f")), (b"2", b"1"), "all files afterwards")

    rule, proving = (
        f"BE-01{8 if moves else 9}",
        (carries_the_content, replaces_only_when_told, onto_itself_does_nothing),
    )
    for body in (*proving, refuses_in_order):
        body.__name__ = f"{verb}_{body.__name__}"
    return [*map(check(rule, capability), proving), check(rule, needs=[capability])(refuses_in_order)]


MOVE = _rules("move", Capability.MOVE)
COPY = _rules("copy", Capability.COPY)


@check("PATH.round-trip", needs=[Capability.MOVE, Capability.COPY])
async def literal_keys_are_moved_and_copied(s: View) -> None:
    """Stars and brackets in keys are no patterns to move and copy."""
    await s.write("a*b", b"1")
    await s.write("axb", b"2")
    await s.copy("a*b", "c[1]")
    await s.move("a*b", "d?")
    found = [await s.read_bytes(key) for key in ("axb", "c[1]", "d?")]
    equal(found, [b"2", b"1", b"1"], "content of literal keys")
