"""Atomic writes: old or new, never a part."""

from __future__ import annotations

from itertools import product

from remote_store._capabilities import Capability
from remote_store._errors import AlreadyExists, InvalidPath, NotFound
from remote_store.certify.checks.paths import collect_all
from remote_store.certify.checks.writing import PIECES, SourceFailed
from remote_store.certify.rules import check, equal, raises, true
from remote_store.certify.view import View


@check("AW", Capability.ATOMIC_WRITE)
async def write_atomic_is_a_write(s: View) -> None:
    """`write_atomic` takes, refuses and tells what `write` does."""
    result = await s.write_atomic("a/f", s.stream(PIECES))
    equal((str(result.path), result.size), ("a/f", 3_100_001), "result of write_atomic")
    await raises(AlreadyExists, s.write_atomic("a/f", b"2"), "write_atomic over a file", "already exists")
    await s.write_atomic("a/f", b"new", overwrite=True)
    equal(await s.read_bytes("a/f"), b"new", "content after write_atomic")
    if s.hierarchical:
        await raises(InvalidPath, s.write_atomic("a", b"2", overwrite=True), "write_atomic to a folder")
        await raises(InvalidPath, s.write_atomic("a/f/x", b"2"), "write_atomic below a file")


@check("AW", Capability.ATOMIC_WRITE)
async def a_failed_atomic_write_leaves_the_old(s: View) -> None:
    """When the content fails half-way, readers keep what they had."""
    await s.write("f", b"old")
    content = s.stream([b"x" * 3_000_000, SourceFailed()])
    await raises(SourceFailed, s.write_atomic("f", content, overwrite=True), "a failing write_atomic")
    equal(await s.read_bytes("f"), b"old", "content afterwards")


@check("AW.open_atomic", Capability.ATOMIC_WRITE)
async def open_atomic_publishes_at_the_end(s: View) -> None:
    """Nothing is visible within the block; all of it after."""
    async with s.open_atomic("a/f") as file:
        await file.write(b"1" * 500_000)
        await file.write(b"2")
        equal(await s.exists("a/f"), False, "the file within the block")
    equal((str(file.result.path), file.result.size), ("a/f", 500_001), "result after the block")
    equal(await s.read_bytes("a/f"), b"1" * 500_000 + b"2", "content after the block")
    async with s.open_atomic("a/f", overwrite=True) as file:
        await file.write(b"new")
        equal(len(await s.read_bytes("a/f")), 500_001, "old content within the block")
    equal(await s.read_bytes("a/f"), b"new", "content after replacing")
    for seekable in (False, True):
        async with s.open_atomic("empty", overwrite=seekable, seekable=seekable):
            pass
        equal(await s.read_bytes("empty"), b"", "a block that writes nothing makes an empty file")


@check("AW.open_atomic", Capability.ATOMIC_WRITE)
async def a_block_that_raises_publishes_nothing(s: View) -> None:
    """The block's exception passes unchanged, the old content stays, nothing is left behind."""
    await s.write("old", b"old")
    for path, seekable in product(("old", "new", "deep/er/new"), (False, True)):
        try:
            async with s.open_atomic(path, overwrite=True, seekable=seekable) as file:
                await file.write(b"x" * 3_000_000)
                if seekable:
                    await file.seek(0)
                raise SourceFailed
        except SourceFailed:
            true(file.result is None, "a discarded writer has no result")
    equal(await s.read_bytes("old"), b"old", "content after a block that raised")
    equal(await s.exists("new"), False, "the new file")
    if s.supports(Capability.LIST):
        equal(await collect_all(s), ["old"], "files after blocks that raised")


@check("AW.open_atomic", Capability.ATOMIC_WRITE)
async def open_atomic_refuses_as_write_does(s: View) -> None:
    """An existing file, a folder, the root and a missing overwrite are refused, whether or not the writer seeks."""
    await s.write("d/f", b"1")

    async def attempt(path: str, **options: bool) -> None:
        async with s.open_atomic(path, **options) as file:
            await file.write(b"2")

    for how in ({}, {"seekable": True}):
        await raises(AlreadyExists, attempt("d/f", **how), f"open_atomic over a file, {how}", "already exists")
        if s.hierarchical:
            await raises(InvalidPath, attempt("d", overwrite=True, **how), f"open_atomic on a folder, {how}")
            await raises(InvalidPath, attempt("d/f/x", **how), f"open_atomic below a file, {how}")
        await raises(InvalidPath, attempt("", **how), f"open_atomic on the root, {how}", "must not be empty")
    equal(await s.read_bytes("d/f"), b"1", "the file afterwards")
    await attempt("d/f", overwrite=True, seekable=True)
    equal(await s.read_bytes("d/f"), b"2", "the file once it was replaced")


@check("AW.open_atomic", Capability.ATOMIC_WRITE)
async def errors_of_another_store_pass_a_block(s: View) -> None:
    """An error that comes from elsewhere keeps its own path."""
    await s.write("a/x", b"1")
    inner, outer = s.child("a"), s.child("b")
    try:
        async with outer.open_atomic("t"):
            await inner.read_bytes("b/y")
    except NotFound as error:
        equal(error.path, "b/y", "path of an error of another store")
