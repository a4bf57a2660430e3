"""Section PATH: spellings, the root, literal keys, round trips."""

from __future__ import annotations

from functools import partial

from remote_store._capabilities import Capability
from remote_store._errors import InvalidPath, NotFound, RemoteStoreError
from remote_store.certify.rules import check, collect, equal, raises, refused, true
from remote_store.certify.view import View

ROOTS = ("", ".", "./", "/", ".//")
LITERAL = (
    "a*b", "a?b", "a[b]c", "a{b}c", "#x", "50%", "50%25", "a+b", "a&b", "it's", "a;b", "a b", " lead", "trail ",
    "ümläut-日本", "a..b", "...", ".hidden", "a:b", "a=b", '"q"', "<x>", "~", "!x", "^", "$HOME",
    "COM1", "a,b", "@", "`x`", "**",
)  # fmt: skip


@check("PATH.root")
async def the_root_is_a_folder_in_every_spelling(s: View) -> None:
    """The root of a store is a folder by definition, whatever spells it."""
    for root in ROOTS:
        equal(await s.exists(root), True, f"exists({root!r})")
        equal(await s.is_file(root), False, f"is_file({root!r})")
        equal(await s.is_folder(root), True, f"is_folder({root!r})")


@check("PATH.root")
async def file_operations_refuse_the_root(s: View) -> None:
    """Operations naming a file, and writes, refuse the root in every spelling."""
    for root in ROOTS:
        for call in (
            partial(s.read, root),
            partial(s.read_bytes, root),
            partial(s.read_text, root),
            partial(s.read_range, root, 0, 1),
            partial(s.read_seekable, root),
            partial(s.write, root, b""),
            partial(s.write_text, root, ""),
        ):
            await refused(InvalidPath, call, f"file operation on {root!r}", "must not be empty")
    equal(await collect_all(s), [], "the store afterwards")


@check("PATH.root", needs=[Capability.DELETE, Capability.METADATA])
async def deleting_and_describing_refuse_the_root(s: View) -> None:
    """The root is neither deleted nor described as a file."""
    await s.write("keep", b"1")
    for root in ROOTS:
        await raises(InvalidPath, s.delete(root), f"delete({root!r})", "must not be empty")
        await raises(InvalidPath, s.delete(root, missing_ok=True), f"delete({root!r}, missing_ok)")
        await raises(
            InvalidPath, s.delete_folder(root, recursive=True), "delete_folder(root)", "Cannot delete the store root"
        )
        await raises(InvalidPath, s.get_file_info(root), f"get_file_info({root!r})", "must not be empty")
        await raises(InvalidPath, s.head(root), f"head({root!r})")
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
        for call in (
            partial(s.exists, bad),
            partial(s.is_file, bad),
            partial(s.is_folder, bad),
            partial(s.read, bad),
            partial(s.read_bytes, bad),
            partial(s.write, bad, b""),
            partial(s.delete, bad, missing_ok=True),
            partial(s.delete_folder, bad, missing_ok=True),
            partial(s.list_files, bad),
            partial(s.list_folders, bad),
            partial(s.iter_children, bad),
            partial(s.get_file_info, bad),
            partial(s.get_folder_info, bad),
            partial(s.native_path, bad),
            partial(s.child, bad),
            partial(s.resolve, bad),
        ):
            await refused(InvalidPath, call, f"an operation on {bad!r}", "escapes root" if ".." in bad else "NUL")


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
    """A key with a newline or a tab works like any other, or is refused and leaves nothing."""
    carried = []
    for key in ("new\nline", "return\r", "tab\t", "bell\a"):
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
