"""Section PATH: spellings, the root, literal keys, round trips."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, NotFound, RemoteStoreError
from remote_store._methods import METHODS
from remote_store._paths import child_folder_key, file_key, key_of
from remote_store.certify.checks.absent import call_of
from remote_store.certify.rules import check, collect, equal, raises, refused, true
from remote_store.certify.view import View

ROOTS = ("", ".", "./", "/", ".//")
LITERAL = (
    "a*b", "a?b", "a[b]c", "a{b}c", "#x", "50%", "50%25", "a+b", "a&b", "it's", "a;b", "a b", " lead", "trail ",
    "ümläut-日本", "a..b", "...a", ".hidden", "a:b", "a=b", '"q"', "<x>", "~", "!x", "^", "$HOME",
    "COM1", "a,b", "@", "`x`", "**",
)  # fmt: skip


@check("PATH.root")
async def the_root_is_a_folder_in_every_spelling(s: View) -> None:
    """The root of a store is a folder by definition, whatever spells it."""
    for root in ROOTS:
        equal(await s.exists(root), True, f"exists({root!r})")
        equal(await s.is_file(root), False, f"is_file({root!r})")
        equal(await s.is_folder(root), True, f"is_folder({root!r})")


def _methods(s: View, *rules: Callable[[Any], str]) -> list[str]:
    """The methods of a store that take a path by one of these rules, as far as it has their capabilities."""
    fit = [method for method in METHODS.values() if method.of != "backend" and method.rule in rules]
    named = [method for method in fit if {"path", "src", "subpath"} & {*method.arguments}]
    return [method.name for method in named if method.gate is None or s.supports(method.gate)]


@check("PATH.root")
async def file_operations_refuse_the_root(s: View) -> None:
    """Operations naming a file, writes, and deletes refuse the root in every spelling."""
    await s.write("keep", b"1")
    for root in ROOTS:
        for method in _methods(s, file_key):
            await refused(InvalidPath, call_of(s, method, root), f"{method}({root!r})", "must not be empty")
        if s.supports(Capability.DELETE):
            await raises(InvalidPath, s.delete(root, missing_ok=True), f"delete({root!r}, missing_ok)")
            attempt, stem = s.delete_folder(root, recursive=True), "Cannot delete the store root"
            await raises(InvalidPath, attempt, f"delete_folder({root!r})", stem)
    equal(await collect_all(s) or ["keep"], ["keep"], "files after attempts on the root")
    equal(await s.read_bytes("keep"), b"1", "a file after attempts on the root")


@check("PATH.normalize")
async def spellings_are_normalized(s: View) -> None:
    """Backslashes count as slashes; doubled, leading and trailing slashes and dots drop."""
    await s.write("a//b/./c.txt", b"1")
    for spelling in ("a/b/c.txt", "/a/b/c.txt", "a\\b\\c.txt", "./a/b/c.txt", "a/b/c.txt/", "a/.//b///c.txt"):
        equal(await s.read_bytes(spelling), b"1", f"read_bytes({spelling!r})")


@check("PATH.reject", needs=[Capability.DELETE, Capability.LIST, Capability.METADATA])
async def malformed_paths_are_refused(s: View) -> None:
    """A `..` segment or a NUL byte is InvalidPath everywhere; `a..b` is a name like any other."""
    for bad in ("..", "../x", "a/../b", "a/..", "a\\..\\b", "a\0b"):
        stem = "escapes root" if ".." in bad else "NUL"
        for method in _methods(s, key_of, file_key, child_folder_key):
            if method != "to_key":  # It takes what another filesystem calls a path.
                await refused(InvalidPath, call_of(s, method, bad), f"{method}({bad!r})", stem)
        for call in (s.delete, s.delete_folder):
            await raises(InvalidPath, call(bad, missing_ok=True), f"deleting {bad!r} with missing_ok", stem)


@check("PATH.round-trip", needs=[Capability.LIST])
async def keys_are_literal(s: View) -> None:
    """No character of a key is special: it is written, listed, read and asked for as it stands."""
    for key in LITERAL:
        await s.write(f"d/{key}", key.encode())
    equal(await collect(s.list_files("d")), sorted(f"d/{key}" for key in LITERAL), "listing of literal keys")
    for key in LITERAL:
        equal(await s.read_bytes(f"d/{key}"), key.encode(), f"content of {key!r}")
        equal(await s.exists(f"d/{key}"), True, f"exists({key!r})")


@check("PATH.round-trip", needs=[Capability.LIST])
async def control_characters_are_carried_or_refused(s: View) -> None:
    """A key with a newline, a tab or a dot at its end works like any other, or is refused and leaves nothing."""
    carried = []
    for key in ("new\nline", "return\r", "tab\t", "bell\a", "dot.", "..."):
        try:
            await s.write(f"d/{key}", key.encode())
        except RemoteStoreError:
            continue
        carried.append(f"d/{key}")
        equal(await s.read_bytes(f"d/{key}"), key.encode(), f"content of {key!r}")
    equal(await collect(s.list_files("d")), sorted(carried), "files in a listing")
    if carried and s.supports(Capability.DELETE):
        await s.delete_folder("d", recursive=True)
        equal(await collect(s.list_files("d")), [], "files after the folder was deleted")


@check("PATH.round-trip", needs=[Capability.LIST, Capability.DELETE])
async def deleting_a_literal_key_deletes_nothing_else(s: View) -> None:
    """Deleting `a*b` leaves `axb`."""
    for key in ("a*b", "axb", "a[x]b", "a?b"):
        await s.write(key, b"1")
    await s.delete("a*b")
    await s.delete("a[x]b")
    equal(await collect_all(s), ["a?b", "axb"], "what is left")
    await s.write("f*/x", b"1")
    await s.write("fx/x", b"1")
    await s.delete_folder("f*", recursive=True)
    equal(await s.exists("fx/x"), True, "a sibling of a deleted folder with a star in its name")


@check("PATH.round-trip", needs=[Capability.LIST])
async def listed_paths_can_be_fed_back(s: View) -> None:
    """Every path a listing returns is relative to the store and can be used as it is."""
    for key in ("a/b/c", "a/d", "e"):
        await s.write(key, key.encode())
    async for info in s.list_files("", recursive=True):
        equal(await s.read_bytes(str(info.path)), str(info.path).encode(), f"content of {info.path}")
        equal(info.name, info.path.name, "name of an entry")
    child = s.child("a")
    equal(await collect(child.list_files("", recursive=True)), ["b/c", "d"], "listing of a child store")


@check("PATH.keys")
async def native_paths_round_trip(s: View) -> None:
    """`to_key(native_path(k)) == k`, without the file being there."""
    for key in ("a", "a/b.txt", "x y/#z", "a..b/c"):
        equal(s.to_key(s.native_path(key)), key, f"round trip of {key!r}")


@check("PATH.keys")
async def a_native_path_outside_is_refused(s: View) -> None:
    """`to_key` of a path outside the store is InvalidPath."""
    child = s.child("inner")
    await refused(InvalidPath, partial(child.to_key, s.native_path("other/x")), "to_key outside", "escapes root")


@check("PATH.resolve")
async def resolving_a_key_tells_where_it_leads(s: View) -> None:
    """`resolve` gives backend, key and native path, without I/O."""
    plan = s.resolve("a/b")
    equal((plan.key, plan.native_path), ("a/b", s.native_path("a/b")), "plan")
    true(plan.kind == plan.backend != "", "kind and backend of a plan are the backend's name")


@check("STORE.child")
async def a_child_is_a_store_below(s: View) -> None:
    """A child sees its folder as root, and errors in its own paths."""
    await s.write("a/b/c", b"1")
    child = s.child("a").child("b")
    equal(await child.read_bytes("c"), b"1", "content through a grandchild")
    result = await child.write("d", b"2")
    equal(str(result.path), "d", "path of a child's write result")
    equal(await s.read_bytes("a/b/d"), b"2", "content written by a child")
    error = await raises(NotFound, child.read_bytes("nope/x"), "missing file in a child")
    equal(error.path, "nope/x", "path of a child's error")
    true("a/b" not in str(error), "a child's error must not tell its parent's path")
    true(s.store.child("a") == s.store.child("a") != s.store.child("b"), "children are equal by root")
    for bad in ("", ".", ".."):
        await refused(InvalidPath, partial(s.child, bad), f"child({bad!r})")


async def collect_all(s: View) -> list[str]:
    """Every file of a store that can list, nothing otherwise."""
    return await collect(s.list_files("", recursive=True)) if s.supports(Capability.LIST) else []
